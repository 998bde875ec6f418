"""End laws: where a spectral path ends around its data point."""

import abc

import equinox as eqx
import jax
from jaxtyping import Array, Float

from hiflow import spectral
from hiflow._checks import as_scalar, check_below, check_positive
from hiflow._summaries import Component
from hiflow.energies import AbstractEnergy
from hiflow.registry import Registry
from hiflow.spectrum import Spectrum


class AbstractEndLaw(Component):
    r"""A Gaussian $N(c, QCQ^\top)$ around a data point, in the eigenbasis $Q$ of the Hessian there.

    Called once per data point, when its anchor is made. `hiflow.testing.check_path` checks it as a part
    of a path: [`Spectral`][hiflow.paths.Spectral]`(energy, end_law=...)`.

    **Example:**

    ```pycon
    >>> class Capped(hf.paths.AbstractEndLaw):
    ...     def __call__(self, x1, spectrum, energy):
    ...         variance = 1 / spectrum.curvature(hf.spectral.Absolute(shift=1.0))
    ...         return x1, jnp.minimum(variance, 0.3**2)
    ...
    >>> path = hf.paths.Spectral(ring, end_law=Capped())
    >>> path.anchor(jnp.array([2.0, 0.0])).variance.round(3)
    Array([0.09 , 0.006], dtype=float32)
    ```
    """

    @abc.abstractmethod
    def __call__(
        self, x1: Float[Array, "*event"], spectrum: Spectrum, energy: AbstractEnergy
    ) -> tuple[Float[Array, "*event"], Float[Array, " modes"] | None]:
        """The centre $c$ and the variance of every mode; `None` for no variance at all."""


end_laws = Registry("end_laws", AbstractEndLaw)


@end_laws.register("point")
class Point(AbstractEndLaw):
    """The data point itself: the flow learns what the samples say, and no more.

    **Example:**

    ```pycon
    >>> path = hf.paths.Spectral(ring, rates="saturating", end_law=hf.paths.Point())
    >>> path.anchor(jnp.array([2.0, 0.0])).variance is None  # as `Linearised`
    True
    ```
    """

    def __call__(
        self, x1: Float[Array, "*event"], spectrum: Spectrum, energy: AbstractEnergy
    ) -> tuple[Float[Array, "*event"], None]:
        return x1, None


@end_laws.register("laplace")
class Laplace(AbstractEndLaw):
    r"""$N(x_1, K^{-1}/\beta)$ with curvature $K = c(H)$: each data point is spread along the soft
    directions of the energy. For thermal samples that counts the thermal noise twice;
    [`Relaxation`][hiflow.paths.Relaxation] does not.

    **Arguments:**

    - `curvature`: a spectral map, its name or table.
    - `beta`: inverse temperature; $\beta \to \infty$ is `Point`.

    **Raises:** `ValueError` for a non-positive `beta`.

    **Example:**

    ```pycon
    >>> law = hf.paths.Laplace(curvature=hf.spectral.Absolute(shift=1.0), beta=1.0)
    >>> path = hf.paths.Spectral(ring, end_law=law)  # as `Langevin`
    >>> path.anchor(jnp.array([2.0, 0.0])).variance.round(3)
    Array([1.   , 0.006], dtype=float32)
    ```
    """

    curvature: spectral.AbstractSpectralMap = eqx.field(
        converter=spectral.registry.make, default="absolute"
    )
    beta: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)

    def __check_init__(self):
        check_positive(self, "beta")

    def __call__(
        self, x1: Float[Array, "*event"], spectrum: Spectrum, energy: AbstractEnergy
    ) -> tuple[Float[Array, "*event"], Float[Array, " modes"]]:
        return x1, 1 / (self.beta * spectrum.curvature(self.curvature))


@end_laws.register("relaxation")
class Relaxation(AbstractEndLaw):
    r"""One exact step of the linearised Ornstein–Uhlenbeck dynamics from $x_1$, gradient kept:
    $N(x_1 - sC\nabla V(x_1),\; s(2-s)\,C)$, $C = K^{-1}$.

    For thermal samples (kT = 1) of a Gaussian target with $K = H$ this law, averaged over the data, is
    the target itself for every `step` $s \in (0, 1]$: the spread adds no bias.

    **Arguments:**

    - `curvature`: a spectral map, its name or table.
    - `step`: $s$.

    **Raises:** `ValueError` for a `step` outside (0, 1].

    **Example:**

    ```pycon
    >>> law = hf.paths.Relaxation(curvature=hf.spectral.Absolute(shift=1.0), step=0.5)
    >>> path = hf.paths.Spectral(ring, end_law=law)  # as `Relaxed`
    >>> path.anchor(jnp.array([2.0, 0.0])).variance.round(3)
    Array([0.75, 0.005     ], dtype=float32)
    ```
    """

    curvature: spectral.AbstractSpectralMap = eqx.field(
        converter=spectral.registry.make, default="absolute"
    )
    step: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.5)

    def __check_init__(self):
        check_positive(self, "step")
        check_below(self, "step", 1.0, or_equal=True)

    def __call__(
        self, x1: Float[Array, "*event"], spectrum: Spectrum, energy: AbstractEnergy
    ) -> tuple[Float[Array, "*event"], Float[Array, " modes"]]:
        covariance = 1 / spectrum.curvature(self.curvature)
        gradient = jax.grad(energy)(x1).ravel()
        centre = x1 - self.step * spectrum.modes.apply(covariance, gradient).reshape(x1.shape)
        return centre, self.step * (2 - self.step) * covariance
