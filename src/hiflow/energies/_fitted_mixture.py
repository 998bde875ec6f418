"""A mixture of Gaussians fitted to data, each of few directions with a variance of their own."""

import math
from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hiflow._checks import as_array, as_shape, check_event, check_finite, check_positive
from hiflow.energies import _factored
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.energies._expectation_maximisation import maximise_likelihood
from hiflow.energies._fitting import (
    HeldOut,
    as_points,
    check_at_least_one,
    check_rank,
    check_setting_positive,
    held_out_nll,
    mean_variance,
)
from hiflow.groups import Trivial


@registry.register("fitted-mixture")
class FittedMixture(AbstractEnergy):
    r"""$V = -\log \sum_j w_j N(x; m_j, \Sigma_j)$ with
    $\Sigma_j = V_j\mathrm{diag}(s_j)V_j^\top + \sigma_j^2(I - V_jV_j^\top)$: a mixture of probabilistic
    principal component analysers (Tipping and Bishop, Neural Computation 11, 1999).

    Normalised, in units of kT. Its Hessian is low-rank plus a multiple of the identity and has negative
    curvature between the components. Usually made by `fit`.

    **Arguments:**

    - `means`: $m_j$, `(components, *event)`.
    - `vectors`: $V_j$, `(components, dim, k)`, orthonormal columns over the flattened event.
    - `variances`: $s_j$, `(components, k)`, the whole variance along each vector.
    - `noises`: $\sigma_j^2$, `(components,)`, the variance along all other directions.
    - `weights`: $w_j$, `(components,)`, positive; they are normalised.

    **Raises:** `ValueError` if shapes don't fit, a variance or weight isn't positive, or the vectors
    aren't orthonormal.

    **Example:**

    ```pycon
    >>> moons = hf.energies.GaussianMixture.preset("two-moons")
    >>> x = jax.vmap(moons.sample)(jax.random.split(key, 300))
    >>> fitted = hf.energies.FittedMixture.fit(x, components=8, rank=1, key=key)
    >>> fitted.means.shape
    (8, 2)
    >>> path = hf.paths.Langevin(fitted, hessian="low-rank")  # data in place of physics
    ```
    """

    means: Float[Array, "m *event"] = eqx.field(converter=as_array)
    vectors: Float[Array, "m dim k"] = eqx.field(converter=as_array)
    variances: Float[Array, "m k"] = eqx.field(converter=as_array)
    noises: Float[Array, " m"] = eqx.field(converter=as_array)
    weights: Float[Array, " m"] = eqx.field(converter=as_array)

    def __check_init__(self):
        m, dim, k = self.vectors.shape
        found = (self.means.shape[0], self.means[0].size, self.variances.shape)
        if found != (m, dim, (m, k)) or self.noises.shape != (m,) or self.weights.shape != (m,):
            raise ValueError(
                f"FittedMixture: for `means` of shape {self.means.shape}, `vectors` must have shape "
                f"({found[0]}, {found[1]}, k), `variances` ({found[0]}, k), `noises` and `weights` "
                f"({found[0]},); got {self.vectors.shape}, {self.variances.shape}, "
                f"{self.noises.shape} and {self.weights.shape}."
            )
        check_rank("FittedMixture", k, dim)
        check_finite(self, "means")
        check_positive(self, "variances", "noises", "weights")
        _factored.check_orthonormal(self.vectors, owner="FittedMixture")

    @classmethod
    def fit(
        cls,
        points: object,
        *,
        key: PRNGKeyArray,
        components: int = 10,
        rank: int = 16,
        floor: float = 1e-4,
        epochs: int = 10,
        batch_size: int = 1000,
    ) -> "FittedMixture":
        """A local maximum of the likelihood by expectation maximisation, from k-means.

        Every covariance is drawn towards the pooled one as if `rank` + 1 more points had shown that.
        The time per epoch is that of one `(dim, dim)` scatter matrix per component over all points.

        **Arguments:**

        - `points`: `(n, *event)`.
        - `components`: how many Gaussians; one that loses its points is moved to a random one.
        - `rank`: how many directions of each get a variance of their own.
        - `floor`: the smallest variance allowed, for coordinates that never change, as a share of the
          points' mean variance.
        - `epochs`: passes over the points, with one update each.
        - `batch_size`: points at a time; it changes the memory, not the result.

        **Raises:** `ValueError` for NaN, fewer points than components, points that are all the same, or
        a setting out of range.
        """
        owner = "FittedMixture.fit"
        points = as_points(points, owner=owner, least=2, cure="A variance needs two.")
        shape = points.shape[1:]
        _check_settings(shape, components, rank, floor, epochs, batch_size)
        if points.shape[0] < components:
            raise ValueError(
                f"{owner}: `points` must be at least as many as the {components} `components`, got "
                f"{points.shape[0]}. Lower `components`."
            )
        flat = points.reshape(points.shape[0], -1)
        found: Any = maximise_likelihood(
            flat,
            key,
            components=components,
            rank=rank,
            floor=floor * mean_variance(points, owner=owner),
            epochs=epochs,
            batch_size=min(batch_size, points.shape[0]),
        )
        return cls(found[0].reshape(components, *shape), *found[1:])

    @classmethod
    def blank(
        cls,
        shape: int | Iterable[int],
        *,
        components: int = 10,
        rank: int = 16,
        floor: float = 1e-4,
        epochs: int = 10,
        batch_size: int = 1000,
    ) -> "FittedMixture":
        """Components that are all standard normal, with the settings of `fit`; has seen no data.

        **Raises:** `ValueError` for a setting out of range, as `fit` does.
        """
        shape = as_shape(shape)
        _check_settings(shape, components, rank, floor, epochs, batch_size)
        eye = np.broadcast_to(np.eye(math.prod(shape), rank), (components, math.prod(shape), rank))
        ones = np.ones(components)
        means, variances = np.zeros((components, *shape)), np.ones((components, rank))
        return cls(means, eye, variances, ones, ones)  # pyright: ignore[reportCallIssue]

    @classmethod
    def example(cls) -> "FittedMixture":
        """A small instance, as `hiflow check fitted-mixture` takes without arguments."""
        means = np.array([[-1.0, 0.0, 0.5], [1.0, 0.5, 0.0]])
        axes = np.array([[[0.6], [0.8], [0.0]], [[0.0], [0.0], [1.0]]])
        variances, weights = np.array([[1.5], [0.7]]), np.array([1.0, 2.0])
        return cls(means, axes, variances, np.array([0.3, 0.4]), weights)  # pyright: ignore[reportCallIssue]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one mean."""
        return self.means.shape[1:]

    @property
    def group(self) -> Trivial:
        """None is declared."""
        return Trivial()

    def __call__(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="FittedMixture")
        return -jax.nn.logsumexp(self._log_joint(x))

    def hessian(self, x: Float[Array, "*event"]) -> Float[Array, "dim dim"]:
        r"""$\sum_j r_j (\Sigma_j^{-1} - (g_j - g)(g_j - g)^\top)$ with responsibilities $r_j$, the
        components' gradients $g_j$ and $g = \sum_j r_j g_j$."""
        check_event(x, self.event_shape, owner="FittedMixture.hessian")
        r, deviations = self._responsibilities(x)
        precisions = jax.vmap(_factored.precision)(*self._parts)
        spread = jnp.einsum("j,ji,jk->ik", r, deviations, deviations, precision="highest")
        return jnp.tensordot(r, precisions, axes=1, precision="highest") - spread

    def low_rank_hessian(
        self, x: Float[Array, "*event"]
    ) -> tuple[Float[Array, "dim columns"], Float[Array, " columns"], Float[Array, ""]]:
        r"""All components' vectors with $r_j(1/s_j - 1/\sigma_j^2)$, the deviations $g_j - g$ with
        $-r_j$, and $\sum_j r_j/\sigma_j^2$."""
        check_event(x, self.event_shape, owner="FittedMixture.low_rank_hessian")
        r, deviations = self._responsibilities(x)
        added = r[:, None] * jax.vmap(_factored.precision_values)(self.variances, self.noises)
        vectors = jnp.moveaxis(self.vectors, 0, 1).reshape(x.size, -1)
        factors = jnp.concatenate([vectors, deviations.T], axis=1)
        return factors, jnp.concatenate([added.ravel(), -r]), jnp.sum(r / self.noises)

    def shared_spectra(self) -> tuple[Float[Array, "m modes"], Float[Array, "m dim k"]]:
        """The precision of every component: positive definite, where the mixture's Hessian needn't be,
        and close to it where one component has all the responsibility."""
        noises = 1 / self.noises[:, None]
        return jnp.concatenate([1 / self.variances, noises], axis=1), self.vectors

    def component(self, x: Float[Array, "*event"]) -> Int[Array, ""]:
        """The component of the largest responsibility for `x`."""
        check_event(x, self.event_shape, owner="FittedMixture.component")
        return jnp.argmax(self._log_joint(x))

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        """One exact sample."""
        key_component, key_noise = jax.random.split(key)
        j = jax.random.categorical(key_component, jnp.log(self.weights))
        offset = _factored.sample(key_noise, self.vectors[j], self.variances[j], self.noises[j])
        return self.means[j] + offset.reshape(self.event_shape)

    def held_out(self, points: object) -> HeldOut:
        """The mean of $V$, which is the NLL."""
        return held_out_nll(self, points)

    @property
    def _parts(self) -> tuple[Array, Array, Array]:
        return self.vectors, self.variances, self.noises

    def _offsets(self, x: Float[Array, "*event"]) -> Float[Array, "m dim"]:
        return (x - self.means).reshape(self.means.shape[0], -1)

    def _log_joint(self, x: Float[Array, "*event"]) -> Float[Array, " m"]:
        weights = jax.nn.log_softmax(jnp.log(self.weights))
        return jax.vmap(_factored.log_joint)(self._offsets(x), weights, *self._parts)

    def _responsibilities(
        self, x: Float[Array, "*event"]
    ) -> tuple[Float[Array, " m"], Float[Array, "m dim"]]:
        """$r_j$ and $g_j - g$."""
        r = jax.nn.softmax(self._log_joint(x))
        gradients = jax.vmap(_factored.gradient)(self._offsets(x), *self._parts)
        return r, gradients - jnp.matmul(r, gradients, precision="highest")


def _check_settings(
    shape: tuple[int, ...], components: int, rank: int, floor: float, epochs: int, batch_size: int
) -> None:
    check_at_least_one("FittedMixture", components=components, epochs=epochs, batch_size=batch_size)
    check_rank("FittedMixture", rank, math.prod(shape))
    check_setting_positive("FittedMixture", floor=floor)
