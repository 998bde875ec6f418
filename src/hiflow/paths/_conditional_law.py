r"""The law of a Gaussian path given $x_1$, for a Gaussian prior of any covariance.

Two covariances meet here that needn't commute, the prior's and the end law's: the law is held as a dense
matrix over the free directions, and elimination gives what an eigenbasis gives elsewhere.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hiflow._summaries import Component
from hiflow.paths._base import AbstractGaussianPath
from hiflow.paths._noise import choose_noise, is_normal
from hiflow.priors import AbstractPrior, SupportsCovariance


class ConditionalLaw(Component):
    r"""$p_t(\cdot\,|\,x_1) = N(m_t, \Sigma_t)$ of a Gaussian path from a prior $N(\mu_0, S_0)$, pairs
    independent.

    A path whose noise is the prior sample's carries it by $G_t = Q\sigma_tQ^\top/s_0$, so that
    $\Sigma_t = G_tS_0G_t$. With an end law of covariance $C$ whose noise is its own, $x_t$ relaxes by
    $\Phi_t = Q\alpha_tQ^\top$ onto a draw, and $\Sigma_t = \Phi_tS_0\Phi_t + (1-\Phi_t)C(1-\Phi_t)$.
    The path's own `log_prob`, `score`, `velocity` and `divergence` are these for $S_0 = s_0^2P$, in less
    time. What it takes here grows as the cube of the dimension.

    **Arguments:**

    - `path`: Gaussian; `fit` chooses its noise for this prior in the same way.
    - `prior`: with a covariance, as [`GaussianPrior`][hiflow.priors.GaussianPrior]'s, or normal.

    **Raises:** `ValueError` for another prior, and for an end law that takes the noise of a prior sample
    that isn't normal with the path's scale.

    **Example:**

    ```pycon
    >>> prior = hf.priors.GaussianPrior([1.0, 4.0], shape=2)
    >>> law = hf.paths.ConditionalLaw(hf.paths.OptimalTransport(), prior)
    >>> anchor = law.path.anchor(jnp.array([2.0, 0.0]))
    >>> law.mean(anchor, jnp.asarray(0.5)), law.covariance(anchor, jnp.asarray(0.5))
    (Array([1., 0.], dtype=float32), Array([[0.25, 0.  ],
           [0.  , 1.  ]], dtype=float32))
    ```
    """

    path: AbstractGaussianPath
    prior: AbstractPrior
    own_noise: bool = eqx.field(static=True)

    def __init__(self, path: AbstractGaussianPath, prior: AbstractPrior):
        self.path, self.prior = path, prior
        if not isinstance(prior, SupportsCovariance) and not is_normal(prior, _scale(path, prior)):
            raise ValueError(
                "ConditionalLaw: `prior` must be Gaussian and know its covariance, as GaussianPrior "
                f"does; got {type(prior).__name__}."
            )
        self.own_noise = choose_noise(path, prior).own

    def mean(self, anchor: PyTree, t: Float[Array, ""]) -> Float[Array, "*event"]:
        """$m_t$."""
        centre = self.path.frame(anchor).centre
        B = self._free(centre)
        (gain, _), left = self._parts(anchor, t)
        start = jnp.broadcast_to(self._moments(centre)[0], centre.shape)
        along = _times(gain, _times(B.T, start.ravel())) - _times(left, _times(B.T, centre.ravel()))
        return centre + _times(B, along).reshape(centre.shape)

    def velocity(
        self, x: Float[Array, "*event"], anchor: PyTree, t: Float[Array, ""]
    ) -> Float[Array, "*event"]:
        r"""$u_t(x|x_1) = \mathrm{E}[\dot x_t\,|\,x_t = x]$, whose flow has these laws. Not defined where
        $\Sigma_t$ is singular: at $t = 1$ of a path that ends in a point."""
        m, m_dot = jax.jvp(lambda s: self.mean(anchor, s), (t,), (jnp.ones_like(t),))
        B, (sigma, cross) = self._free(x), self._covariances(anchor, t)
        whitened, _ = _solved(sigma, _times(B.T, (x - m).ravel())[:, None])
        return m_dot + _times(B, _times(cross, whitened[:, 0])).reshape(x.shape)

    def divergence(self, anchor: PyTree, t: Float[Array, ""]) -> Float[Array, ""]:
        r"""$\nabla\cdot u_t(x|x_1)$, the same at every $x$, over the free directions."""
        sigma, cross = self._covariances(anchor, t)
        return jnp.trace(_solved(sigma, cross)[0])

    def log_prob(
        self, x: Float[Array, "*event"], anchor: PyTree, t: Float[Array, ""]
    ) -> Float[Array, ""]:
        r"""$\log p_t(x|x_1)$ in nats, with respect to Lebesgue measure on the free directions."""
        y = _times(self._free(x).T, (x - self.mean(anchor, t)).ravel())
        sigma, _ = self._covariances(anchor, t)
        whitened, log_det = _solved(sigma, y[:, None])
        return -(_times(y, whitened[:, 0]) + log_det + y.size * jnp.log(2 * jnp.pi)) / 2

    def score(
        self, x: Float[Array, "*event"], anchor: PyTree, t: Float[Array, ""]
    ) -> Float[Array, "*event"]:
        r"""$\nabla\log p_t(x|x_1)$."""
        B, (sigma, _) = self._free(x), self._covariances(anchor, t)
        y = _times(B.T, (x - self.mean(anchor, t)).ravel())
        return -_times(B, _solved(sigma, y[:, None])[0][:, 0]).reshape(x.shape)

    def covariance(self, anchor: PyTree, t: Float[Array, ""]) -> Float[Array, "dim dim"]:
        r"""$\Sigma_t$ over the flattened event."""
        B = self._free(self.path.frame(anchor).centre)
        return _times(_times(B, self._covariances(anchor, t)[0]), B.T)

    def _covariances(
        self, anchor: PyTree, t: Float[Array, ""]
    ) -> tuple[Float[Array, "free free"], Float[Array, "free free"]]:
        r"""$\Sigma_t$ and $\mathrm{Cov}(\dot x_t, x_t)$ on the free directions."""
        parts = lambda s: self._parts(anchor, s)[0]  # noqa: E731
        (gain, noise), (gain_dot, noise_dot) = jax.jvp(parts, (t,), (jnp.ones_like(t),))
        centre = self.path.frame(anchor).centre
        B = self._free(centre)
        S = _times(_times(B.T, self._moments(centre)[1]), B)

        def between(left: tuple[Array, Array]) -> Array:
            return _times(_times(left[0], S), gain.T) + _times(left[1], noise.T)

        return between((gain, noise)), between((gain_dot, noise_dot))

    def _parts(
        self, anchor: PyTree, t: Float[Array, ""]
    ) -> tuple[tuple[Float[Array, "free free"], Float[Array, "free free"]], Array]:
        """What the prior sample and the end law's own noise are multiplied by, and what is left of the
        way to the centre, on the free directions."""
        frame = self.path.frame(anchor)
        alpha, sigma = self.path.schedule(t, frame)
        B = self._free(frame.centre)

        def matrix(values: Array) -> Array:
            return _times(B.T, jax.vmap(lambda b: frame.modes.apply(values, b), 1, 1)(B))

        left = matrix(alpha)
        if not self.own_noise:
            return (matrix(sigma / self.path.prior_scale), jnp.zeros_like(left)), left
        assert frame.variance is not None, "only an end law has noise of its own"
        return (left, matrix((1 - alpha) * jnp.sqrt(frame.variance))), left

    def _moments(self, x: Float[Array, "*event"]) -> tuple[Array, Array]:
        if isinstance(self.prior, SupportsCovariance):
            return self.prior.mean, self.prior.covariance_matrix
        scale = _scale(self.path, self.prior)
        return jnp.zeros((), x.dtype), scale**2 * jnp.eye(x.size, dtype=x.dtype)

    def _free(self, x: Float[Array, "*event"]) -> Float[Array, "dim free"]:
        """An orthonormal basis of the directions that densities are normalised over."""
        null = self.prior.group.null_modes(x)
        if null.shape[1] == 0:
            return jnp.eye(x.size, dtype=x.dtype)
        return jnp.linalg.qr(null, mode="complete")[0][:, null.shape[1] :]


def _solved(
    sigma: Float[Array, "free free"], right: Float[Array, "free k"]
) -> tuple[Float[Array, "free k"], Float[Array, ""]]:
    r"""$\Sigma^{-1}R$ and $\log\det\Sigma$, by elimination, which needs no pivoting where $\Sigma$ is
    positive definite; NaN where it isn't. Not by LAPACK: two batches of triangular solves that are under
    way at once deadlock in jaxlib 0.10 on two cores."""
    size = sigma.shape[0]

    def eliminate(rows: Array, i: Array) -> tuple[Array, Array]:
        pivot, row = rows[i, i], rows[i] / rows[i, i]
        return (rows - jnp.outer(rows[:, i], row)).at[i].set(row), jnp.log(pivot)

    rows, logs = jax.lax.scan(eliminate, jnp.hstack([sigma, right]), jnp.arange(size))
    return rows[:, size:], jnp.sum(logs)


def _scale(path: AbstractGaussianPath, prior: AbstractPrior) -> Array:
    return getattr(prior, "scale", path.prior_scale)


def _times(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
