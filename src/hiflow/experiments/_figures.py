"""The figures of a comparison."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from rich.console import Console

from hiflow._disk import kept, read_arrays, write_arrays
from hiflow.energies import AbstractEnergy
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._member import Member, data_of, samples_of, size_of

IMAGES = 24
CLASSES = 20


def figures_of(comparison: Comparison, console: Console) -> dict[str, Any]:
    """Name to figure, of those that the comparison has something for. Without matplotlib there are none,
    and the console is told how to get it."""
    try:
        from hiflow import plotting
    except ImportError as error:
        console.print(str(error), markup=False)
        return {}
    shown, energy = comparison.shown(), comparison.energy
    first = {label: group[0] for label, group in shown.items()}
    figures: dict[str, Any] = {}
    # A curve takes two points.
    known = {label: group for label, group in shown.items() if group[0].has_density}
    if any(len(member.history) > 1 for group in known.values() for member in group):
        histories = {label: [m.history for m in group] for label, group in known.items()}
        same = len({member.test for member in comparison.members}) == 1
        figures["learning"] = plotting.learning_curves(
            histories,
            floor=comparison.floor,
            same_points=same,
            origins={label: [m.origins for m in group] for label, group in known.items()},
        )
    if (pixels := comparison.pixels) is not None:
        images = {
            label: pixels.to_pixels(image_samples(member, energy))
            for label, member in first.items()
        }
        figures["images"] = plotting.image_grids(images, pixels.levels)
    elif drawn := _in_the_plane({label: first[label] for label in known}):
        points, _ = data_of(next(iter(first.values())), energy)
        figures["densities"] = plotting.densities_in_the_plane(
            {label: member.flow() for label, member in drawn.items()},
            points,
            energy=energy,
            nll={label: member.scores["nll"] for label, member in drawn.items()},
            shares={
                label: member.told.shares(size_of(member)).tolist()
                for label, member in drawn.items()
                if member.is_told and member.told is not None
            },
        )
    if swept := comparison.swept():
        figures["pareto"] = plotting.error_against_nfe(swept)
    if energy is not None and (weighed := comparison.weighed()):
        reference = jnp.concatenate(data_of(comparison.members[0], energy))
        figures["samples"] = plotting.sample_histograms(weighed, reference, energy)
    return figures


def _in_the_plane(members: dict[str, Member]) -> dict[str, Member]:
    """Those whose density of points can be drawn: all, but for flows that are told a vector or one of
    very many classes."""
    if not members or next(iter(members.values())).flow().prior.event_shape != (2,):
        return {}
    return {
        label: member
        for label, member in members.items()
        if not member.is_told
        or (member.told is not None and 0 < len(member.told.classes or ()) <= CLASSES)
    }


def losses_of(comparison: Comparison) -> dict[str, Any]:
    """The losses of every arm's first seed, if there are some."""
    from hiflow import plotting

    histories = {label: group[0].history for label, group in comparison.shown().items()}
    known = {
        label: rows
        for label, rows in histories.items()
        if sum(row.get("loss") is not None for row in rows) > 1
    }
    if not known:
        return {}
    return {"losses": plotting.losses(known).figure}


def image_samples(member: Member, energy: AbstractEnergy | None) -> Array:
    """Some samples of an arm's flow of images, drawn once and kept in its folder: of every class in turn
    if it is told classes, and else under the conditions of test points if it is told these."""
    path = member.place / f"images-{IMAGES}.npz"

    def draw() -> None:
        told = {"condition": _conditions(member, energy)} if member.is_told else {}
        x = member.flow().sample(jax.random.key(member.seed), IMAGES, **told)
        write_arrays(path, {"x": np.asarray(x)})

    return jnp.asarray(kept(path, draw, lambda: read_arrays(path)["x"]))


def _conditions(member: Member, energy: AbstractEnergy | None) -> Array:
    if member.told is not None and member.told.classes is not None:
        return jnp.arange(IMAGES) % len(member.told.classes)
    rows = samples_of(member, energy)[1].condition
    assert rows is not None, "the run's points have conditions"
    return jnp.asarray(np.resize(rows, (IMAGES, *rows.shape[1:])))
