"""The Gaussian with any covariance."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree

from hiflow import groups
from hiflow._checks import as_array, as_shape, check_event, is_concrete
from hiflow.groups import AbstractGroup, Trivial, linear_part
from hiflow.priors._base import AbstractPrior, registry
from hiflow.priors._shrinkage import check_definite, check_shrinkage, shrunk, softened_inverse


@registry.register("gaussian")
class GaussianPrior(AbstractPrior):
    r"""$N(\mu, S)$ on events of any shape.

    A flow whose prior is as wide as its data in every direction has less of a way to go. Paths take it
    as it is; an end law then has noise of its own. For particles in space use
    [`ParticleGaussianPrior`][hiflow.priors.ParticleGaussianPrior].

    **Arguments:**

    - `covariance`: $S$ over the flattened event, `(dim, dim)`; or variances, one per coordinate.
    - `shape`: the event shape.
    - `mean`: $\mu$, a number or of the event shape.
    - `group`: a symmetry to declare, under which $\mu$ and $S$ are what they are.

    **Raises:** `ValueError` for a covariance of another shape, or that isn't positive definite; for a
    group that changes mean or covariance, or removes directions.

    **Example:**

    ```pycon
    >>> x = jax.random.normal(key, (500, 2)) * jnp.array([1.0, 0.1])
    >>> prior = hf.priors.GaussianPrior.fit(x)  # Ledoit and Wolf's shrinkage
    >>> jnp.sqrt(jnp.diag(prior.covariance_matrix)).round(1)
    Array([1. , 0.1], dtype=float32)
    >>> well = hf.priors.GaussianPrior.from_hessian(np.diag([4.0, 100.0]), shape=2)
    >>> well.covariance_matrix
    Array([[0.25, 0.  ],
           [0.  , 0.01]], dtype=float32)
    ```
    """

    covariance: Float[Array, "..."] = eqx.field(converter=as_array)
    shape: tuple[int, ...] = eqx.field(static=True, converter=as_shape)
    mean: Float[Array, "..."] = eqx.field(converter=as_array, default=0.0)
    group: AbstractGroup = eqx.field(converter=groups.registry.make, default=Trivial())

    def __check_init__(self):
        dim = math.prod(self.shape)
        if self.covariance.shape not in ((dim, dim), (dim,), self.shape):
            raise ValueError(
                f"GaussianPrior: `covariance` must be of shape {(dim, dim)} over the flattened event, "
                f"or variances of shape {self.shape}; got {self.covariance.shape}."
            )
        if self.mean.shape not in ((), self.shape):
            raise ValueError(
                f"GaussianPrior: `mean` must be a number or of the event shape {self.shape}, got shape "
                f"{self.mean.shape}."
            )
        if not is_concrete(self.covariance, self.mean):
            return
        matrix = np.asarray(self.covariance_matrix, np.float64)
        check_definite(matrix, "GaussianPrior: `covariance`")
        if not np.isfinite(self.mean).all():
            raise ValueError("GaussianPrior: `mean` holds NaN or infinity.")
        _check_group(self.group, self.event_shape, jnp.asarray(matrix), self.mean)

    @classmethod
    def fit(
        cls,
        data: ArrayLike,
        *,
        shrinkage: float | None = None,
        group: AbstractGroup | str = "trivial",
    ) -> "GaussianPrior":
        r"""Mean and covariance of `data`, `(n, *event)`, the covariance drawn towards a multiple of the
        identity: $(1 - s) S + s \tfrac{\operatorname{tr} S}{D} I$.

        **Arguments:**

        - `shrinkage`: $s$; by default Ledoit and Wolf's, which needs no more samples than dimensions.
        - `group`: as of the prior; the data must have its symmetry, as after averaging over it.
        """
        x, mean, shape = _centred(data, "GaussianPrior.fit")
        return cls(shrunk(x, shrinkage, "GaussianPrior.fit"), shape, mean, group)

    @classmethod
    def blank(
        cls,
        shape: int | tuple[int, ...],
        *,
        shrinkage: float | None = None,
        group: AbstractGroup | str = "trivial",
    ) -> "GaussianPrior":
        """$N(0, I)$ with `fit`'s settings and their checks."""
        check_shrinkage(shrinkage, "GaussianPrior.fit")
        return cls(np.ones(math.prod(as_shape(shape))), shape, 0.0, group)

    @classmethod
    def fit_features(
        cls, data: ArrayLike, *, group: AbstractGroup | str = "trivial"
    ) -> "GaussianPrior":
        """The mean and every coordinate's own variance, of `data`, `(n, *event)`."""
        x, mean, shape = _centred(data, "GaussianPrior.fit_features")
        variances = np.mean(x**2, axis=0)
        return cls(variances.reshape(shape), shape, mean, group)

    @classmethod
    def from_hessian(
        cls,
        hessian: ArrayLike,
        shape: int | tuple[int, ...],
        *,
        floor: float = 1.0,
        mean: ArrayLike = 0.0,
        group: AbstractGroup | str = "trivial",
    ) -> "GaussianPrior":
        r"""$S = Q \max(|\Lambda|, h)^{-1} Q^\top$: as wide as thermal motion in a well of this Hessian,
        `(dim, dim)`, in units of kT, such as the mean over the data; $h$ is the `floor`."""
        matrix = np.asarray(hessian, np.float64)
        dim = math.prod(as_shape(shape))
        if matrix.shape != (dim, dim):
            raise ValueError(
                f"GaussianPrior.from_hessian: `hessian` must be of shape {(dim, dim)} for events of "
                f"shape {as_shape(shape)}, got {matrix.shape}."
            )
        owner = "GaussianPrior.from_hessian"
        return cls(softened_inverse(matrix, floor, owner), shape, mean, group)

    @classmethod
    def example(cls) -> "GaussianPrior":
        """In the plane, aslant."""
        return cls([[1.0, 0.6], [0.6, 0.5]], 2, [0.3, -0.2])

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one event."""
        return self.shape

    @property
    def covariance_matrix(self) -> Float[Array, "dim dim"]:
        """$S$ over the flattened event."""
        dim = math.prod(self.shape)
        matrix = self.covariance.shape == (dim, dim)
        return self.covariance if matrix else jnp.diag(self.covariance.ravel())

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        z = jax.random.normal(key, (math.prod(self.shape),), self.covariance.dtype)
        return self.mean + jnp.matmul(self._root, z, precision="highest").reshape(self.shape)

    def log_prob(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="GaussianPrior.log_prob")
        L = self._root
        z = jax.scipy.linalg.solve_triangular(L, (x - self.mean).ravel(), lower=True)
        log_det = jnp.sum(jnp.log(jnp.diagonal(L)))
        return -jnp.sum(z**2) / 2 - log_det - x.size / 2 * jnp.log(2 * jnp.pi)

    @property
    def _root(self) -> Float[Array, "dim dim"]:
        return jnp.linalg.cholesky(self.covariance_matrix)


def _centred(data: ArrayLike, owner: str) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    x = np.asarray(data, np.float64)
    if x.ndim < 2 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(
            f"{owner}: `data` must be at least two finite points, (n, *event); got shape {x.shape}."
        )
    mean, shape = x.mean(axis=0), x.shape[1:]
    return (x - mean).reshape(len(x), -1), mean, shape


def _check_group(
    group: AbstractGroup, shape: tuple[int, ...], matrix: Array, mean: Float[Array, "..."]
) -> None:
    event = jnp.broadcast_to(mean, shape)
    if group.null_modes(event).shape[1]:
        raise ValueError(
            f"GaussianPrior: `group` must not remove directions, got {group}: this density isn't "
            "invariant under translations. Use ParticleGaussianPrior for particles."
        )
    for seed in range(4):
        g = group.sample(jax.random.key(seed), shape)
        moved = _moved_rows(group, g, _moved_rows(group, g, matrix, shape).T, shape)
        off = jnp.abs(moved - matrix).max() / jnp.abs(matrix).max()
        shifted = jnp.abs(group.act(g, event) - event).max() / (1 + jnp.abs(event).max())
        if jnp.maximum(off, shifted) > 1e-3:
            changed = "covariance" if off > shifted else "mean"
            raise ValueError(
                f"GaussianPrior: `group` ({group}) changes the {changed} by "
                f"{float(jnp.maximum(off, shifted)):.2g} of its size. Declare only "
                "what leaves both as they are, or average over the group first."
            )


def _moved_rows(group: AbstractGroup, g: PyTree, rows: Array, shape: tuple[int, ...]) -> Array:
    def move(row: Array) -> Array:
        return linear_part(group, g, row.reshape(shape)).ravel()

    return jax.vmap(move)(rows)
