"""What of the data can be refused or warned of before any work is spent."""

import warnings
from collections.abc import Sized

import jax
import jax.numpy as jnp
from jaxtyping import Array

from hiflow._checks import refuse_not_finite
from hiflow._statistics import spread_rows
from hiflow.couplings import SupportsPreparation
from hiflow.data import (
    Source,
    SuspiciousDataWarning,
    shared_points,
    warn_if_inconsistent,
    warn_if_suspicious,
)
from hiflow.energies import SupportsFitting
from hiflow.energies._gradient import refuse_bad_gradient
from hiflow.networks import AbstractVelocityField, SupportsComplaint
from hiflow.paths import Laplace
from hiflow.priors import AbstractPrior
from hiflow.standardisation import scale_complaint
from hiflow.training._preflight import Ready
from hiflow.training._targets import FEWEST_FOR_VIRIAL

# A gradient that isn't finite by its form is so everywhere; the virial sees the other points.
_LOOKED_AT = 10
_COMPLAINED_OF = 1_000
# Where data are scarce Langevin's extra spread is its point; where they are plenty, it is a bias.
_PLENTY = 1_000


def check_data(ready: Ready, points: dict[str, Array | None], chains: Sized | None) -> None:
    """Raise `ValueError` for data that aren't the prior's events; warn if they don't fit the energy."""
    _, path, prior, energy = ready[:4]
    for name, array in points.items():
        if array is not None:
            check_points(array, prior, argument=name)
    data = points["data"]
    assert data is not None
    warn_if_suspicious(data, chains, subject="fit: `data`")
    if not ready.training.standardise and (words := scale_complaint(data, prior)):
        warnings.warn(
            f"fit: `data` are far from `prior`: {words}. Say standardise=True, or scale them.",
            ScaleWarning,
            stacklevel=3,
        )
    if (held_out := points.get("validation")) is not None:
        _warn_if_shared(data, held_out)
    # An energy that was fitted to the data agrees with them as well as it can.
    fitted = isinstance(energy, SupportsFitting)
    if energy is not None:
        refuse_bad_gradient(energy, data[:_LOOKED_AT], "fit", kind="points of `data`")
    if energy is not None and not fitted and data.shape[0] >= FEWEST_FOR_VIRIAL:
        end_law = getattr(path, "end_law", None)
        agrees = warn_if_inconsistent(energy, data, chains).z <= 4
        if agrees and isinstance(end_law, Laplace) and data.shape[0] >= _PLENTY:
            warnings.warn(
                f"the data are {data.shape[0]:,} thermal samples of the energy, and the Laplace end law "
                "counts the thermal noise twice: the flow will be too wide. Use Relaxed instead of "
                "Langevin, or a larger `beta`.",
                stacklevel=3,
            )


def check_points(points: Array, prior: AbstractPrior, *, argument: str) -> None:
    """Raise `ValueError` unless the points are finite events in the prior's subspace."""
    event = tuple(prior.event_shape)
    if points.ndim != len(event) + 1 or points.shape[1:] != event or points.shape[0] == 0:
        raise ValueError(
            f"fit: `{argument}` must have shape (n, {', '.join(map(str, event))}) with n ≥ 1, like "
            f"`prior`'s events; got {points.shape}."
        )
    if not jnp.issubdtype(points.dtype, jnp.floating):
        raise ValueError(f"fit: `{argument}` must be of a float type, got {points.dtype}.")
    refuse_not_finite(points, f"fit: `{argument}`", kind="samples", cure="Remove them.")
    off = jnp.abs(points - jax.vmap(prior.group.project)(points)).max()
    if off > 1e-3 * (1 + jnp.abs(points).max()):
        raise ValueError(
            f"fit: `{argument}` leaves the subspace of {type(prior).__name__} by up to {off:.3g}: the "
            "prior has its mean over particles removed and the data have not. Centre them first: "
            "jax.vmap(prior.group.project)(data)."
        )


def checked_sample(ready: Ready, source: Source) -> Array:
    """Points of a source for `check_data`, at even distances.

    **Raises:** `ValueError` if the run needs all points at once.
    """
    if isinstance(ready.coupling, SupportsPreparation):
        raise ValueError(
            f"fit: `coupling` ({type(ready.coupling).__name__}) looks at all data points at once, and "
            f"`data` is a source of {len(source):,} that are read as they are needed. Use "
            "'minibatch-ot', or pass the data as an array."
        )
    if ready.training.finish is not None:
        raise ValueError(
            f"fit: `finish` draws from all data points, and `data` is a source of {len(source):,} that "
            "are read as they are needed. Pass them as an array, or call hiflow.finish on some of them."
        )
    if ready.training.standardise:
        raise ValueError(
            f"fit: standardise={ready.training.standardise!r} needs `data` as an array, and they are a "
            f"source of {len(source):,} points. Scale them where they are made, and make the flow's "
            "samples theirs with `hiflow.Standardised`."
        )
    return jnp.asarray(source.sample())


def _warn_if_shared(data: Array, held_out: Array) -> None:
    shared = shared_points(data, held_out)
    if shared:
        warnings.warn(
            f"fit: {shared:,} of {held_out.shape[0]:,} points of `validation` are points of `data` too: "
            "their likelihood is that of what was learned by heart. Hold them out.",
            SuspiciousDataWarning,
            stacklevel=4,
        )


class ScaleWarning(UserWarning):
    """Data far from the prior, in place or width: training would be wasted on getting there.

    **Example:**

    ```pycon
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     far = hf.fit("mlp", "optimal-transport", 50 + points, prior="normal", key=key,
    ...                  steps=1, progress=False)
    ...
    >>> caught[0].category.__name__  # take standardise=True
    'ScaleWarning'
    ```
    """


def warn_of_complaint(network: AbstractVelocityField, data: Array) -> None:
    """Say what the network says of the points that it is to be trained on, in their coordinates."""
    some = data[spread_rows(len(data), _COMPLAINED_OF)]
    if isinstance(network, SupportsComplaint) and (words := network.complaint(some)):
        warnings.warn(f"fit: {words}", stacklevel=3)
