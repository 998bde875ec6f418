"""One Hessian, or one of a few, for all points of an energy that was fitted so."""

from typing import ClassVar

import jax
import lineax as lx
from jaxtyping import Array, Float, Int

from hiflow.energies import AbstractEnergy, SupportsSharedBasis
from hiflow.hessians._base import AbstractHessian, low_rank_operator, refuse_symmetry, registry
from hiflow.spectrum import Modes, Spectrum


@registry.register("shared-basis")
class SharedBasis(AbstractHessian):
    """The precision that a point shares with others, for energies with
    [`shared_spectra`][hiflow.energies.SupportsSharedBasis].

    For a [`FittedGaussian`][hiflow.energies.FittedGaussian] it is the exact Hessian. For a
    [`FittedMixture`][hiflow.energies.FittedMixture] it is the precision of the most responsible
    component: positive definite, an approximation of the mixture's Hessian that leaves out what the
    other components and the changing responsibilities add. It changes abruptly from one component to
    the next.

    Anchors hold the basis's index only, and paths take the vectors from the energy: beside the point an
    anchor is a few numbers per mode, whatever the dimension. If there is only one basis, a training step
    multiplies the whole batch by it at once.

    **Raises:** `ValueError` if the energy has no shared basis or has a symmetry.

    **Example:**

    ```pycon
    >>> fitted = hf.energies.FittedGaussian.fit(points, rank=1)
    >>> path = hf.paths.Langevin(fitted, hessian=hf.hessians.SharedBasis())
    >>> path.anchor(points[0]).modes.index  # in place of the vectors
    Array(0, dtype=int32)
    ```
    """

    approximate: ClassVar[bool] = True

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        spectrum = self.spectrum(energy, x)
        vectors, rest = spectrum.modes.vectors, spectrum.eigenvalues[-1]
        assert vectors is not None
        values = spectrum.eigenvalues[: vectors.shape[1]] - rest
        return low_rank_operator(vectors, values, rest)

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        refuse_symmetry(energy, owner="SharedBasis")
        shared = _with_bases(energy)
        index = shared.component(x)
        eigenvalues, vectors = shared.shared_spectra()
        complete = vectors.shape[2] == x.size
        own = eigenvalues[0] if eigenvalues.shape[0] == 1 else eigenvalues[index]
        own = own[:-1] if complete else own
        modes = Modes(
            shared_vectors(energy, index), has_rest=not complete, size=x.size, index=index
        )
        return jax.lax.stop_gradient(Spectrum(own, modes))


def shared_vectors(energy: AbstractEnergy, index: Int[Array, ""]) -> Float[Array, "dim k"]:
    """The eigenvectors of the energy's shared basis of this index. Of one basis there is no copy per
    point, even under `jax.vmap`.

    **Raises:** `ValueError` if the energy has no shared basis.

    **Example:**

    ```pycon
    >>> mixture = hf.energies.FittedMixture.fit(points, components=3, rank=1, key=key)
    >>> hf.hessians.shared_vectors(mixture, mixture.component(points[0])).shape
    (2, 1)
    ```
    """
    vectors = _with_bases(energy).shared_spectra()[1]
    return vectors[0] if vectors.shape[0] == 1 else vectors[index]


def _with_bases(energy: AbstractEnergy) -> SupportsSharedBasis:
    if not isinstance(energy, SupportsSharedBasis):
        raise ValueError(
            f"SharedBasis needs an energy with `shared_spectra()` and `component(x)`, and "
            f"{type(energy).__name__} has none. Use hiflow.hessians.LowRank() or Lanczos()."
        )
    return energy
