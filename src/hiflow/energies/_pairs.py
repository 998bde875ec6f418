"""Particles with a pair potential and a harmonic trap: value and closed-form Hessian."""

import abc
import functools
from typing import TYPE_CHECKING, cast

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow._checks import check_event
from hiflow.energies._base import AbstractEnergy
from hiflow.energies._radial import continued, continued_derivatives, radial_blocks
from hiflow.groups import Permutation, Product, Rotation, Translation

# Particles from which on summing each pair twice is the faster way: benchmarks/pairs.py.
_MANY = 24


class AbstractPairEnergy(AbstractEnergy):
    r"""$V(x) = \sum_{i<j} \varphi(\|x_i - x_j\|^2) + \tfrac{k}{2} \sum_i \|x_i - \bar x\|^2$.

    Events are `(particles, dim)`; the energy is invariant under translations, rotations,
    reflections and permutations. Subclasses give the pair potential as a function $\varphi$ of the
    *squared* distance and its first two derivatives: then neither the gradient nor the Hessian
    divides by a distance.

    Below the distance `core` the potential goes on as its tangent in the squared distance, so that
    overlapping particles (a normal draw from a prior) have a large finite energy and a finite
    gradient in single precision. A subclass chooses a core that no thermal sample ever enters.

    **Example:**

    ```pycon
    >>> class Repelling(hf.energies.AbstractPairEnergy):
    ...     particles: int = 4
    ...     dim: int = 3
    ...     trap = jnp.asarray(1.0)
    ...     @property
    ...     def core(self):
    ...         return jnp.asarray(0.01)
    ...     def pair(self, s):  # of the squared distance
    ...         return jnp.exp(-s)
    ...     def pair_derivatives(self, s):
    ...         return -jnp.exp(-s), jnp.exp(-s)
    ...
    >>> found = hf.testing.check_energy(Repelling())
    ```
    """

    if TYPE_CHECKING:  # An annotation would read as the constructor's first argument.
        particles = cast(int, ...)
        dim = cast(int, ...)
        trap = cast(Float[Array, ""], ...)
    else:
        particles: eqx.AbstractVar[int]
        dim: eqx.AbstractVar[int]
        trap: eqx.AbstractVar[Float[Array, ""]]

    @property
    @abc.abstractmethod
    def core(self) -> Float[Array, ""]:
        """The distance below which the pair potential is continued by its tangent."""

    @abc.abstractmethod
    def pair(self, s: Float[Array, "*pairs"]) -> Float[Array, "*pairs"]:
        r"""$\varphi(s)$ of squared distances, elementwise."""

    @abc.abstractmethod
    def pair_derivatives(
        self, s: Float[Array, "*pairs"]
    ) -> tuple[Float[Array, "*pairs"], Float[Array, "*pairs"]]:
        r"""$\varphi'(s)$ and $\varphi''(s)$, elementwise."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(particles, dim)`."""
        return (self.particles, self.dim)

    @property
    def group(self) -> Product:
        """Permutations, rotations with reflections, translations."""
        return Product((Permutation(), Rotation(self.dim, reflections=True), Translation()))

    def __call__(self, x: Float[Array, "particles dim"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner=type(self).__name__)
        trap = self.trap / 2 * jnp.sum((x - x.mean(0)) ** 2)
        if self.particles < _MANY:
            return self._continued(jnp.sum(_differences(x) ** 2, axis=-1)).sum() + trap
        # With so many, each pair twice is faster than either a product or gathering.
        itself = jnp.eye(self.particles, dtype=bool)
        s = jnp.sum(jnp.stack([(c[:, None] - c) ** 2 for c in x.T]), axis=0)
        pairs = self._continued(jnp.where(itself, self.core**2, s))
        return jnp.where(itself, 0, pairs).sum() / 2 + trap

    def _continued(self, s: Float[Array, "*pairs"]) -> Float[Array, "*pairs"]:
        return continued(self.pair, lambda s: self.pair_derivatives(s)[0], s, self.core**2)

    def hessian(self, x: Float[Array, "particles dim"]) -> Float[Array, "flat flat"]:
        r"""$\nabla^2 V(x)$ over the flattened event, from the pairs' $d \times d$ blocks $B_{ij}$:
        $H_{ij} = -B_{ij}$ and $H_{ii} = \sum_j B_{ij}$."""
        check_event(x, self.event_shape, owner=f"{type(self).__name__}.hessian")
        n, d = x.shape
        r = x[:, None] - x[None, :]
        itself = jnp.eye(n, dtype=bool)
        s = jnp.where(itself, self.core**2, jnp.sum(r**2, axis=-1))
        first, second = continued_derivatives(self.pair_derivatives, s, self.core**2)
        blocks = radial_blocks(r, jnp.where(itself, 0, first), jnp.where(itself, 0, second))
        pairs = jnp.eye(n, dtype=x.dtype)[:, :, None, None] * blocks.sum(1)[:, None] - blocks
        trap = self.trap * (jnp.eye(n, dtype=x.dtype) - 1 / n)
        trap = trap[:, :, None, None] * jnp.eye(d, dtype=x.dtype)
        return (pairs + trap).transpose(0, 2, 1, 3).reshape(n * d, n * d)


def check_particles(energy: AbstractPairEnergy) -> None:
    """Raise `ValueError` unless there are two particles and a dimension."""
    if energy.particles < 2 or energy.dim < 1:
        raise ValueError(
            f"{type(energy).__name__}: needs at least 2 `particles` in at least 1 `dim`, got "
            f"particles={energy.particles}, dim={energy.dim}."
        )


def _differences(x: Float[Array, "particles dim"]) -> Float[Array, "pairs dim"]:
    """$x_i - x_j$ for $i < j$, as a product with the incidence matrix, which is exact and, batched and
    for few particles, several times faster than gathering: its transpose needs no scatter."""
    return jnp.matmul(_incidence(x.shape[0]).astype(x.dtype), x, precision="highest")


@functools.cache
def _incidence(particles: int) -> np.ndarray:
    i, j = np.triu_indices(particles, 1)
    eye = np.eye(particles, dtype=np.int8)
    return eye[i] - eye[j]
