r"""The virial check: $E[x \cdot \nabla V(x)]$ is known exactly on samples of an energy."""

import warnings
from collections.abc import Sized
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hiflow._checks import native, refuse_masked
from hiflow._programs import compiled
from hiflow._statistics import mean_of
from hiflow.data._lengths import wrong_lengths
from hiflow.energies import AbstractEnergy
from hiflow.energies._host_naming import naming_points
from hiflow.groups._periods import circular_mean, virial

# A single chain is cut into so many stretches, in its own order, and these count as independent.
_STRETCHES = 10
# Below, the standard error of the virial is itself too uncertain to judge by.
FEWEST_FOR_VIRIAL = 10


class VirialReport(NamedTuple):
    r"""What [`check_virial`][hiflow.data.check_virial] found, in units of kT.

    - `mean`: the average of $Px \cdot \nabla V(x)$ over the samples.
    - `standard_error`: of that average, over independent chains where they are known.
    - `expected`: the number of free dimensions, by integration by parts.

    **Example:**

    ```pycon
    >>> found = hf.data.check_virial(ring, points)
    >>> found.expected  # two dimensions
    2
    >>> abs(found.mean - found.expected) == abs(found.z) * found.standard_error
    True
    ```
    """

    mean: float
    standard_error: float
    expected: int

    @property
    def z(self) -> float:
        """How many standard errors the mean is from what is expected."""
        return abs(self.mean - self.expected) / max(self.standard_error, 1e-12)


def check_virial(
    energy: AbstractEnergy, points: object, chains: Sized | None = None
) -> VirialReport:
    r"""Average $Px \cdot \nabla V(x)$: on exact samples of $e^{-V}$, $D$ less the null modes.

    Costs one gradient per sample. A wrong unit or convention of the energy shows at once: a factor
    2 in $V$ changes the mean by about that factor. A coordinate with a period
    ([`SupportsPeriods`][hiflow.groups.SupportsPeriods]) has its sine in place of itself, about the
    data's middle: $\omega^{-1}\sin(\omega x_i)\,\partial_iV + 1 - \cos(\omega x_i)$ has the mean 1 too.

    **Arguments:**

    - `energy`: the energy that the samples are supposed to follow.
    - `points`: `(n, *event)` with n ≥ 2, an array or [`Samples`][hiflow.data.Samples].
    - `chains`: `(n,)`, the Markov chain that each sample belongs to; the standard error is then
      taken over chains. Without it samples count as independent. `Samples` know theirs.

    **Raises:** `ValueError` if the shapes don't fit the energy.

    **Example:**

    ```pycon
    >>> found = hf.data.check_virial(ring, points)
    >>> found.expected, abs(found.z) < 4
    (2, True)
    >>> wrong = hf.energies.Affine(ring, scale=1.1)  # another unit of length
    >>> abs(hf.data.check_virial(wrong, points).z) > 4
    True
    ```
    """
    labels = getattr(points, "chains", None) if chains is None else chains
    refuse_masked(points, "check_virial: `points`")
    x = native(np.asarray(points))
    shape = tuple(energy.event_shape)
    if x.shape[1:] != shape or len(x) < 2:
        raise ValueError(
            f"check_virial: `points` must have shape (n, {', '.join(map(str, shape))}) with n ≥ 2 "
            f"for {type(energy).__name__}, got {x.shape}."
        )
    if labels is not None and len(labels) != len(x):
        raise ValueError(
            f"check_virial: `chains` must have one label per sample: {len(labels)} for {len(x)}."
        )
    with naming_points(x):
        values = np.asarray(_virials(energy, jnp.asarray(x)), np.float64)
    mean, error = mean_over_chains(values, labels)
    return VirialReport(mean, error, free_dimensions(energy))


def warn_if_inconsistent(
    energy: AbstractEnergy, points: object, chains: Sized | None = None
) -> VirialReport:
    """[`check_virial`][hiflow.data.check_virial], with a `UserWarning` when the mean is more than
    four standard errors off.

    **Example:**

    ```pycon
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     found = hf.data.warn_if_inconsistent(hf.energies.Affine(ring, scale=1.1), points)
    ...
    >>> len(caught)
    1
    ```
    """
    report = check_virial(energy, points, chains)
    if not report.z <= 4:  # NaN is inconsistent too
        name = getattr(energy, "convention", None) or type(energy).__name__
        lengths = wrong_lengths(energy, np.asarray(points))
        warnings.warn(
            f"the data don't follow the energy {name}: E[x·∇V] is {report.mean:.2f} ± "
            f"{report.standard_error:.2f} over the samples, and must be {report.expected}. "
            "Likely causes: the other convention of the energy (two LJ13 conventions are a factor "
            "2 in epsilon apart: presets 'lj13' and 'lj13-eps1'), other units of length or kT, or "
            "a sampler that hasn't converged, or correlated samples without chain labels. A floor "
            "of the likelihood under this energy won't hold for these data."
            + (f" Look at the lengths first: {lengths}" if lengths else ""),
            stacklevel=2,
        )
    return report


def free_dimensions(energy: AbstractEnergy) -> int:
    """$D$ less the null modes of the energy's group."""
    event = jax.ShapeDtypeStruct(tuple(energy.event_shape), jnp.result_type(float))
    modes = jax.eval_shape(energy.group.null_modes, event)
    return modes.shape[0] - modes.shape[1]


def mean_over_chains(values: np.ndarray, chains: object = None) -> tuple[float, float]:
    """The mean, and its error from the spread of the chains' means, wider where they are few (Student);
    of a single chain, from that of its stretches (batch means). Samples without labels count as
    independent."""
    labels = None if chains is None else np.asarray(chains)
    if labels is not None and len(np.unique(labels)) < 2:
        labels = np.arange(len(values)) * _STRETCHES // len(values)
    found = mean_of(values, labels)
    return found.value, found.error


@compiled()
def _virials(energy: AbstractEnergy, x: jax.Array) -> jax.Array:
    origin = circular_mean(energy.group, x)

    def one(x: jax.Array) -> jax.Array:
        return virial(energy.group, x, jax.grad(energy)(x), origin)

    return jax.lax.map(one, x, batch_size=min(len(x), 1024))
