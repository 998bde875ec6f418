"""What a run does for its target: refuses what would bias it, and makes it ready."""

from collections.abc import Sized

from jaxtyping import Array

from hiflow.data import Source, check_virial
from hiflow.data._virial import FEWEST_FOR_VIRIAL
from hiflow.energies import SupportsFitting
from hiflow.paths import AbstractPath, AnchorStore
from hiflow.targets import AbstractTarget, Parts, SupportsPreparation
from hiflow.training._anchors import Kept


def check_target(target: AbstractTarget, parts: Parts) -> None:
    """Raise `ValueError` for a target that doesn't go with the other parts."""
    if isinstance(target, SupportsPreparation):
        target.check(parts)


def check_target_data(
    target: AbstractTarget,
    parts: Parts,
    points: Array | Source,
    read: Array,
    chains: Sized | None,
) -> None:
    """Raise `ValueError` for a target that would be wrong with these data, of which `read` are some."""
    if not isinstance(target, SupportsPreparation):
        return
    energy, virial = parts.energy, None
    if energy is not None and not isinstance(energy, SupportsFitting):
        fits = read.shape[1:] == tuple(energy.event_shape)
        if fits and len(read) >= FEWEST_FOR_VIRIAL:
            virial = check_virial(energy, read, chains)
    target.check_data(points, virial)


def path_of(target: AbstractTarget, parts: Parts) -> AbstractPath:
    """The path whose anchors hold what the target needs."""
    return target.path_for(parts) if isinstance(target, SupportsPreparation) else parts.path


def made_ready(target: AbstractTarget, parts: Parts, kept: Kept) -> AbstractTarget:
    """The target that is trained with."""
    if not isinstance(target, SupportsPreparation):
        return target
    anchors = kept.rows.anchors if isinstance(kept.rows, AnchorStore) else kept.anchors
    return target.prepare(parts, kept.path, anchors)
