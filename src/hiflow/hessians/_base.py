"""What a Hessian provider is: how the curvature of an energy at a point is got."""

import abc
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._summaries import Component
from hiflow.energies import AbstractEnergy
from hiflow.groups import AbstractGroup, SupportsPeriods, Trivial
from hiflow.registry import Registry
from hiflow.spectrum import Spectrum


class AbstractHessian(Component):
    r"""Gives $H = \nabla^2 V(x)$ of any energy as an operator, and its spectrum on the directions that
    the energy's group leaves free.

    Laws (`hiflow.testing.check_hessian`): the operator is symmetric and matches Hessian–vector
    products, the spectrum's eigenvectors are orthonormal and diagonalise it, and
    $H(gx) = gH(x)g^\top$.

    **Example:**

    ```pycon
    >>> import lineax as lx
    >>> class Constant(hf.hessians.AbstractHessian):
    ...     def __call__(self, energy, x):
    ...         return lx.MatrixLinearOperator(10 * jnp.eye(x.size), lx.symmetric_tag)
    ...     def spectrum(self, energy, x):
    ...         return hf.spectrum.diagonal(10 * jnp.ones(x.size))
    ...
    >>> path = hf.paths.Langevin(ring, hessian=Constant(), curvature="absolute")
    >>> path.anchor(points[0]).variance.round(3)
    Array([0.091, 0.091], dtype=float32)
    ```
    """

    approximate: ClassVar[bool] = False
    """Whether the operator is meant to differ from the Hessian at the point."""

    @abc.abstractmethod
    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        """The Hessian over the flattened event, tagged symmetric.

        **Raises:** `ValueError` if this provider can't serve the energy, while tracing; paths trace it
        once when they are built.
        """

    @abc.abstractmethod
    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        """Its eigenvalues and eigenvectors on the image of `energy.group.project`."""


registry = Registry("hessians", AbstractHessian)


@runtime_checkable
class SupportsPoints(Protocol):
    """A provider that is made of data: experiments give it each arm's training points. They are in the
    data's coordinates; the energy is an [`Affine`][hiflow.energies.Affine] of the data's where a flow is
    trained in standardised ones.

    **Example:**

    ```pycon
    >>> issubclass(hf.hessians.Neighbours, hf.hessians.SupportsPoints)
    True
    >>> hf.hessians.Neighbours.blank((2,)).points.shape
    (9, 2)
    ```
    """

    @classmethod
    def fit(
        cls, points: Any, *, group: AbstractGroup, key: PRNGKeyArray, **settings: Any
    ) -> AbstractHessian:
        """The provider of these `(n, *event)` points, which have the symmetry `group`."""
        ...

    @classmethod
    def blank(cls, shape: int | Iterable[int], **settings: Any) -> AbstractHessian:
        """One for this event shape that has seen no data, with `fit`'s settings and their checks."""
        ...


def free_basis(energy: AbstractEnergy, x: Float[Array, "*event"]) -> Float[Array, "dim free"]:
    """An orthonormal basis of the image of `energy.group.project`.

    **Example:**

    ```pycon
    >>> argon = hf.energies.LennardJones.preset("lj13")
    >>> hf.hessians.free_basis(argon, jnp.zeros((13, 3))).shape  # without the translations
    (39, 36)
    ```
    """
    null = energy.group.null_modes(x)
    if null.shape[1] == 0:
        return jnp.eye(x.size, dtype=x.dtype)
    return jnp.linalg.qr(null, mode="complete")[0][:, null.shape[1] :]


def restricted(
    operator: lx.AbstractLinearOperator, basis: Float[Array, "dim free"]
) -> Float[Array, "free free"]:
    """The operator on the span of the basis. No gradient: spectra are data, and that of eigh is NaN at
    degenerate eigenvalues."""
    product = jnp.matmul(operator.as_matrix(), basis, precision="highest")
    return jax.lax.stop_gradient(jnp.matmul(basis.T, product, precision="highest"))


def symmetric(matrix: Float[Array, "dim dim"]) -> lx.MatrixLinearOperator:
    """The matrix as an operator, its rounding's asymmetry averaged away."""
    return lx.MatrixLinearOperator((matrix + matrix.T) / 2, lx.symmetric_tag)


def products(
    energy: AbstractEnergy, x: Float[Array, "*event"]
) -> Callable[[Float[Array, " dim"]], Float[Array, " dim"]]:
    """Hessian–vector products at a point, over the flattened event."""
    gradient = jax.grad(lambda y: energy(y.reshape(x.shape)))
    flat = x.ravel()
    return lambda v: jax.jvp(gradient, (flat,), (v,))[1]


def low_rank_operator(
    factors: Float[Array, "dim m"],
    values: Float[Array, " m"],
    rest: Float[Array, ""],
) -> lx.FunctionLinearOperator:
    r"""$\rho I + F\,\mathrm{diag}(v)\,F^\top$, in $O(m D)$."""

    def product(y: Array) -> Array:
        along = values * jnp.matmul(factors.T, y, precision="highest")
        return rest * y + jnp.matmul(factors, along, precision="highest")

    like = jax.ShapeDtypeStruct(factors.shape[:1], factors.dtype)
    return lx.FunctionLinearOperator(product, like, lx.symmetric_tag)


def refuse_symmetry(energy: AbstractEnergy, *, owner: str) -> None:
    """Raise `ValueError` if the energy has a symmetry that turns directions; whole periods don't."""
    if not isinstance(energy.group, Trivial | SupportsPeriods):
        raise ValueError(
            f"{owner} is not equivariant under {energy.group}, the symmetry of "
            f"{type(energy).__name__}: rotated data would get other paths. Use "
            "hiflow.hessians.Dense() or Analytic()."
        )
