"""A quadratic energy: the target for which everything is known in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import groups
from hiflow._checks import _concrete, as_array, check_event, check_finite
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.groups import AbstractGroup, Trivial


@registry.register("gaussian")
class Gaussian(AbstractEnergy):
    r"""$V(x) = \tfrac12 (x - m)^\top \Lambda (x - m)$, in kT: the precision is the Hessian.

    **Arguments:**

    - `mean`: $m$; its shape is the event shape.
    - `precision`: $\Lambda$ over the flattened event of $D$ coordinates: a symmetric positive
      definite `(D, D)` matrix, its diagonal `(D,)`, or one number for every direction.
    - `group`: a symmetry to declare, by default none.

    **Raises:** `ValueError` if the shapes don't fit, or the precision isn't symmetric and positive
    definite.

    **Example:**

    ```pycon
    >>> normal = hf.energies.Gaussian(mean=jnp.zeros(2), precision=jnp.array([1.0, 100.0]))
    >>> normal(jnp.array([1.0, 0.1]))
    Array(1., dtype=float32)
    >>> normal.sample(key).shape  # exact
    (2,)
    >>> round(normal.entropy()[0], 3)  # the least NLL, in nats
    0.535
    ```
    """

    mean: Float[Array, "*event"] = eqx.field(converter=as_array)
    precision: Float[Array, "*precision"] = eqx.field(converter=as_array, default=1.0)
    group: AbstractGroup = eqx.field(converter=groups.registry.make, default=Trivial())

    def __check_init__(self):
        check_finite(self, "mean", "precision")
        check_precision(self.precision, self.mean.size, owner="Gaussian", argument="precision")

    @classmethod
    def example(cls) -> "Gaussian":
        """A small instance, as `hiflow check gaussian --family energies` takes."""
        return cls(jnp.array([1.0, -1.0]), jnp.array([1.0, 100.0]))  # pyright: ignore[reportCallIssue]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of `mean`."""
        return self.mean.shape

    def __call__(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="Gaussian")
        z = jnp.ravel(x - self.mean)
        return jnp.dot(z, times(self.precision, z), precision="highest") / 2

    def hessian(self, x: Float[Array, "*event"]) -> Float[Array, "dim dim"]:
        r"""$\Lambda$, everywhere."""
        check_event(x, self.event_shape, owner="Gaussian.hessian")
        return precision_matrix(self.precision, x.size)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        r"""One exact sample of $N(m, \Lambda^{-1})$."""
        noise = jax.random.normal(key, (self.mean.size,), self.mean.dtype)
        return self.mean + times(inverse_root(self.precision), noise).reshape(self.event_shape)

    def entropy(self) -> tuple[float, float]:
        r"""$\tfrac{D}{2}(1 + \log 2\pi) - \tfrac12 \log\det\Lambda$, in nats."""
        dim = self.mean.size
        precision = np.asarray(precision_matrix(self.precision, dim), np.float64)
        value = dim * (1 + np.log(2 * np.pi)) / 2 - np.linalg.slogdet(precision)[1] / 2
        return float(value), float(value)


def check_precision(precision: Array, dim: int, *, owner: str, argument: str) -> None:
    """Raise `ValueError` unless it is a number, a positive diagonal, or a symmetric positive
    definite matrix over `dim` coordinates. Traced values pass."""
    if precision.shape not in ((), (dim,), (dim, dim)):
        raise ValueError(
            f"{owner}: `{argument}` must be a number or have shape ({dim},) or ({dim}, {dim}) for "
            f"{dim} coordinates, got shape {precision.shape}."
        )
    values = _concrete(precision)
    if values is None:
        return
    values = values.astype(np.float64)
    if values.ndim == 2:
        if not np.allclose(values, values.T, atol=1e-4 * np.abs(values).max(initial=0)):
            raise ValueError(
                f"{owner}: `{argument}` must be symmetric; symmetrise it as (A + A.T) / 2."
            )
        values = np.linalg.eigvalsh(values)
    if not (values > 0).all():
        raise ValueError(
            f"{owner}: `{argument}` must be positive definite, got a least eigenvalue of "
            f"{values.min():.3g}. It is the inverse of a covariance: add a ridge to a singular one."
        )


def precision_matrix(precision: Array, dim: int) -> Float[Array, "dim dim"]:
    """A precision in any of its three forms as a full matrix."""
    return precision if precision.ndim == 2 else jnp.diag(jnp.broadcast_to(precision, (dim,)))


def log_det(precision: Array, dim: int) -> Float[Array, ""]:
    """Its log determinant."""
    if precision.ndim == 2:
        return jnp.linalg.slogdet(precision)[1]
    return jnp.sum(jnp.log(jnp.broadcast_to(precision, (dim,))))


def inverse_root(precision: Array) -> Array:
    r"""$R$ of the same form, with $R R^\top = \Lambda^{-1}$."""
    if precision.ndim < 2:
        return 1 / jnp.sqrt(precision)
    L = jnp.linalg.cholesky(precision)
    eye = jnp.eye(len(L), dtype=L.dtype)
    return jax.scipy.linalg.solve_triangular(L, eye, lower=True, trans="T")


def times(precision: Array, z: Float[Array, " dim"]) -> Float[Array, " dim"]:
    """A precision, or a root of its inverse, times a vector."""
    return jnp.matmul(precision, z, precision="highest") if precision.ndim == 2 else precision * z
