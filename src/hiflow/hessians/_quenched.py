"""The Hessian at the minimum downhill of a point."""

from typing import ClassVar

import equinox as eqx
import lineax as lx
from jaxtyping import Array, Float

from hiflow.energies import AbstractEnergy, quench
from hiflow.hessians._base import AbstractHessian, registry
from hiflow.spectrum import Spectrum


@registry.register("quenched")
class Quenched(AbstractHessian):
    """Another provider's Hessian, not at the point but at the minimum that lies downhill of it.

    At a thermal sample many eigenvalues are negative and the gradient isn't 0. At its
    [inherent structure][hiflow.energies.quench] none is and it is: the modes are normal modes. The
    path still ends at the sample; [`AtMinimum`][hiflow.paths.AtMinimum] moves the end too.

    **Arguments:**

    - `inner`: the provider at the minimum. Rotations are null modes there, which the default marks.
    - `steps`, `tolerance`: of [`quench`][hiflow.energies.quench].

    **Example:**

    ```pycon
    >>> well = hf.energies.DoubleWell()
    >>> x = jnp.array([0.5, 0.3])  # on the barrier
    >>> hf.hessians.Dense().spectrum(well, x).eigenvalues.round(1)
    Array([-3.6, 10.], dtype=float32)
    >>> hf.hessians.Quenched("dense").spectrum(well, x).eigenvalues.round(1)
    Array([10. , 10.7], dtype=float32)
    ```
    """

    approximate: ClassVar[bool] = True

    inner: AbstractHessian = eqx.field(converter=registry.make, default="symmetry-projected")
    steps: int = eqx.field(static=True, default=500)
    tolerance: float = eqx.field(static=True, default=1e-4)

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        return self.inner(energy, self._minimum(energy, x))

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        return self.inner.spectrum(energy, self._minimum(energy, x))

    def _minimum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        return quench(energy, x, steps=self.steps, tolerance=self.tolerance)
