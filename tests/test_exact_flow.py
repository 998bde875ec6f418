"""End to end against a closed form: Gaussian data whose marginal velocity is known exactly."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf

DIM = 39


class MarginalField(hf.networks.AbstractVelocityField):
    r"""$E[\dot x_t | x_t = x]$ for data $N(0, \Lambda^{-1})$, mode by mode:
    $x_t = (1-\alpha)x_1 + \sigma\varepsilon$ has variance
    $v = (1-\alpha)^2/\lambda + \sigma^2$, and the velocity is $\tfrac12 (\dot v/v)\,x$."""

    path: hf.paths.AbstractGaussianPath
    eigenvalues: jax.Array
    rotation: jax.Array
    group: hf.groups.AbstractGroup = eqx.field(default_factory=hf.groups.Trivial)

    @property
    def event_shape(self):
        return self.eigenvalues.shape

    def variance(self, t):
        frame = self.path.frame(self.path.anchor(jnp.zeros(self.event_shape)))
        alpha, sigma = self.path.schedule(t, frame)
        return (1 - alpha) ** 2 / self.eigenvalues + sigma**2

    def __call__(self, t, x):
        v, v_dot = jax.jvp(self.variance, (t,), (jnp.ones_like(t),))
        return self.rotation @ (v_dot / (2 * v) * (self.rotation.T @ x))


@pytest.mark.parametrize("name", ["optimal-transport", "linearised", "langevin"])
def test_nll_of_the_end_law_is_its_entropy(x64, name):
    """At condition number 1e3 and rtol 1e-6, to 1e-3 nats."""
    eigenvalues = jnp.logspace(-1.5, 1.5, DIM)
    rotation, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(1), (DIM, DIM)))
    energy = hf.energies.Gaussian(jnp.zeros(DIM), (rotation * eigenvalues) @ rotation.T)
    end_variance = 1 / eigenvalues
    if name == "optimal-transport":
        path = hf.paths.OptimalTransport()
    elif name == "linearised":
        path = hf.paths.Linearised(
            energy=energy,
            hessian="analytic",
            rates=hf.spectral.Saturating(kappa=1.0, stiffness=5.0),
        )
    else:
        path = hf.paths.Langevin(
            energy=energy, hessian="analytic", curvature=hf.spectral.Absolute(shift=0.5)
        )
        end_variance = end_variance + 1 / (eigenvalues + 0.5)
    field = MarginalField(path, eigenvalues, rotation)
    flow = hf.Flow(hf.priors.Normal(shape=(DIM,)), field, rtol=1e-6, atol=1e-6)

    noise = jax.random.normal(jax.random.key(2), (64, DIM))
    x = (jnp.sqrt(end_variance) * noise) @ rotation.T
    nll = -flow.log_prob(x)
    surprise = 0.5 * jnp.sum(noise**2 + jnp.log(2 * jnp.pi * end_variance), axis=1)
    entropy = 0.5 * jnp.sum(1 + jnp.log(2 * jnp.pi * end_variance))
    # Point by point against the end law's own surprise, so that sampling error cancels exactly.
    sampling_error = jnp.mean(surprise) - entropy
    np.testing.assert_allclose(nll.mean() - sampling_error, entropy, atol=1e-3)
    np.testing.assert_allclose(nll, surprise, atol=5e-3)
