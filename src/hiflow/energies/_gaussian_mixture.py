"""A mixture of Gaussians: several modes, and curvature of either sign between them."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import groups
from hiflow._checks import as_array, check_event, check_finite, check_positive
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.energies._gaussian import (
    check_precision,
    inverse_root,
    log_det,
    precision_matrix,
    times,
)
from hiflow.energies._mixture_presets import two_moons, wide_and_narrow
from hiflow.groups import AbstractGroup, Trivial
from hiflow.registry import SupportsPresets


@registry.register("gaussian-mixture")
class GaussianMixture(AbstractEnergy, SupportsPresets):
    r"""$V(x) = -\log \sum_k w_k\, N(x; m_k, \Lambda_k^{-1})$: normalised, in units of kT.

    Presets: `two-moons`, two interlocked half circles of radius 1.5 in the plane, 0.08 wide, and
    `mixture10`, four Gaussians in 10 dimensions, turned at random, with standard deviations from 0.05
    to 1.

    **Arguments:**

    - `means`: `(components, *event)`.
    - `precisions`: over the flattened event of $D$ coordinates: `(components, D, D)` matrices,
      `(components, D)` diagonals, `(components,)` numbers, or one number for all.
    - `weights`: `(components,)`, positive; they are normalised. Equal by default.
    - `group`: a symmetry to declare, by default none.

    **Raises:** `ValueError` if the shapes don't fit, a precision isn't symmetric and positive
    definite, or a weight isn't positive.

    **Example:**

    ```pycon
    >>> two = hf.energies.GaussianMixture([[-2.0, 0.0], [2.0, 0.0]], precisions=4.0)
    >>> two(jnp.array([2.0, 0.0])).round(3)
    Array(1.145, dtype=float32)
    >>> moons = hf.energies.GaussianMixture.preset("two-moons")
    >>> hf.data.sample(moons, key=key, size=100, progress=False).shape
    (100, 2)
    ```
    """

    means: Float[Array, "components *event"] = eqx.field(converter=as_array)
    precisions: Float[Array, "*precisions"] = eqx.field(converter=as_array, default=1.0)
    weights: Float[Array, "*weights"] = eqx.field(converter=as_array, default=1.0)
    group: AbstractGroup = eqx.field(converter=groups.registry.make, default=Trivial())

    presets: ClassVar = {"two-moons": two_moons(), "mixture10": wide_and_narrow()}

    def __check_init__(self):
        if self.means.ndim < 1 or self.means.shape[0] < 1:
            raise ValueError(
                "GaussianMixture: `means` must have shape (components, *event) with at least one "
                f"component, got {self.means.shape}."
            )
        check_finite(self, "means", "precisions")
        check_positive(self, "weights")
        components = self.means.shape[0]
        for name, value in {"precisions": self.precisions, "weights": self.weights}.items():
            if value.ndim > 0 and value.shape[0] != components:
                raise ValueError(
                    f"GaussianMixture: `{name}` must have one entry for each of the {components} "
                    f"`means`, got shape {value.shape}."
                )
        if self.weights.ndim > 1:
            raise ValueError(f"GaussianMixture: `weights` must be 1-D, got {self.weights.shape}.")
        for k, precision in enumerate(self._each_precision()):
            check_precision(
                precision, self._dim, owner="GaussianMixture", argument=f"precisions[{k}]"
            )

    @classmethod
    def example(cls) -> "GaussianMixture":
        """A small instance, as `hiflow check gaussian-mixture` takes without arguments."""
        return cls(jnp.array([[-1.0, 0.0], [1.0, 0.5]]), jnp.array([3.0, 5.0]))  # pyright: ignore[reportCallIssue]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one mean."""
        return self.means.shape[1:]

    def __call__(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="GaussianMixture")
        return -jax.nn.logsumexp(self._log_joint(x))

    def hessian(self, x: Float[Array, "*event"]) -> Float[Array, "dim dim"]:
        r"""$\sum_k r_k (\Lambda_k - g_k g_k^\top) + g g^\top$, with $g_k$ a component's gradient,
        $r_k$ its responsibility and $g = \sum_k r_k g_k$."""
        check_event(x, self.event_shape, owner="GaussianMixture.hessian")
        r = jax.nn.softmax(self._log_joint(x))
        g_k = self._gradients(x)
        g = r @ g_k
        matrices = jax.vmap(lambda P: precision_matrix(P, self._dim))(self._each_precision())
        spread = jnp.einsum("k,ki,kj->ij", r, g_k - g, g_k - g, precision="highest")
        return jnp.tensordot(r, matrices, axes=1, precision="highest") - spread

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        """One exact sample."""
        key_component, key_noise = jax.random.split(key)
        k = jax.random.categorical(key_component, self._log_weights())
        noise = jax.random.normal(key_noise, (self._dim,), self.means.dtype)
        # One by one, and once for all keys of a batch: two batches of Cholesky factors or triangular
        # solves that are under way at once deadlock in jaxlib 0.10 on two cores.
        roots = jax.lax.map(inverse_root, self._each_precision())
        return self.means[k] + times(roots[k], noise).reshape(self.event_shape)

    def entropy(self) -> tuple[float, float]:
        r"""In nats: by quadrature in one or two dimensions, else the bounds
        $\sum_k w_k h_k$ and $\sum_k w_k (h_k - \log w_k)$."""
        w = np.exp(np.asarray(self._log_weights(), np.float64))
        each = self._each_precision()
        P = [np.asarray(precision_matrix(p, self._dim), np.float64) for p in each]
        if self._dim <= 2:
            value = _quadrature(np.asarray(self.means, np.float64).reshape(len(w), -1), P, w)
            return value, value
        constant = self._dim * (1 + np.log(2 * np.pi)) / 2
        h = constant - np.array([np.linalg.slogdet(p)[1] for p in P]) / 2
        return float(w @ h), float(w @ (h - np.log(w)))

    @property
    def _dim(self) -> int:
        return self.means[0].size

    def _each_precision(self) -> Float[Array, "components *precision"]:
        one_for_all = self.precisions.ndim == 0
        return jnp.full(self.means.shape[0], self.precisions) if one_for_all else self.precisions

    def _log_weights(self) -> Float[Array, " components"]:
        return jax.nn.log_softmax(jnp.log(jnp.broadcast_to(self.weights, self.means.shape[:1])))

    def _gradients(self, x: Float[Array, "*event"]) -> Float[Array, "components dim"]:
        z = (x - self.means).reshape(self.means.shape[0], -1)
        P = self._each_precision()
        if P.ndim == 3:
            return jnp.einsum("kij,kj->ki", P, z, precision="highest")
        return P.reshape(P.shape[0], -1) * z

    def _log_joint(self, x: Float[Array, "*event"]) -> Float[Array, " components"]:
        z = (x - self.means).reshape(self.means.shape[0], -1)
        norm = jax.vmap(lambda P: log_det(P, self._dim))(self._each_precision())
        norm = norm - self._dim * jnp.log(2 * jnp.pi)
        return self._log_weights() + (norm - jnp.sum(z * self._gradients(x), axis=-1)) / 2


def _quadrature(means: np.ndarray, precisions: list[np.ndarray], w: np.ndarray) -> float:
    r"""$\sum_k w_k E_k[-\log p]$, each on a grid in the component's own standard coordinates."""
    dim, step = means.shape[1], 0.08
    axis = np.arange(-9, 9 + step, step)
    grid = np.stack(np.meshgrid(*[axis] * dim), axis=-1).reshape(-1, dim)
    weight = np.exp(-np.sum(grid**2, axis=-1) / 2)
    weight /= weight.sum()
    factors = [np.linalg.cholesky(P) for P in precisions]
    constants = [
        np.log(w_k) + np.log(np.diag(L)).sum() - dim * np.log(2 * np.pi) / 2
        for w_k, L in zip(w, factors, strict=True)
    ]
    total = 0.0
    for k, L in enumerate(factors):
        x = means[k] + np.linalg.solve(L.T, grid.T).T
        log_p = np.full(len(x), -np.inf)
        for m, L_other, constant in zip(means, factors, constants, strict=True):
            quadratic = np.sum(((x - m) @ L_other) ** 2, axis=-1)
            log_p = np.logaddexp(log_p, constant - quadratic / 2)
        total -= w[k] * float(weight @ log_p)
    return float(total)
