"""What arms see of a seed's points: as many as they ask for, and every class that they are told of."""

from collections.abc import Sequence

from hiflow import energies
from hiflow.experiments._arm import Arm
from hiflow.experiments._condition import refuse_unseen
from hiflow.experiments._data import make_samples
from hiflow.experiments._toml import Experiment


def check_sizes(experiment: Experiment, available: int) -> None:
    """Raise `ValueError` for a size that is more than the training points."""
    for arm in experiment.arms:
        if not 1 <= arm.get("size", available) <= available:
            raise ValueError(
                f"variant {arm['variant']!r}: `size` must be between 1 and the {available:,} training "
                f"points of [data], got {arm['size']}."
            )


def check_classes(
    experiment: Experiment,
    energy: energies.AbstractEnergy | None,
    seeds: Sequence[int],
    arms: Sequence[Arm],
) -> None:
    """Raise `ConfigError` for classes that training wouldn't see, in any seed."""
    sizes = dict.fromkeys([None, *(arm.size for arm in arms if arm.condition is not None)])
    fixed = "seed" in experiment.tables.get("data", {})
    for seed in seeds[:1] if fixed else seeds:
        train_set, _ = make_samples(experiment, energy, seed, progress=False)
        for size in sizes:
            what = "" if size is None else f", variants of {size:,} points"
            refuse_unseen(train_set[:size], f"[data]: seed {seed}{what}")
