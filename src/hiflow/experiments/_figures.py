"""The figures of a comparison."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from rich.console import Console

from hiflow._disk import kept, read_arrays, write_arrays
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._member import data_of
from hiflow.flow import load

IMAGES = 24


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
            label: pixels.to_pixels(image_samples(member.place, member.seed))
            for label, member in first.items()
        }
        figures["images"] = plotting.image_grids(images, pixels.levels)
    elif known and comparison.members[0].flow().prior.event_shape == (2,):
        points, _ = data_of(next(iter(first.values())), energy)
        figures["densities"] = plotting.densities_in_the_plane(
            {label: first[label].flow() for label in known},
            points,
            energy=energy,
            nll={label: first[label].scores["nll"] for label in known},
        )
    if swept := comparison.swept():
        figures["pareto"] = plotting.error_against_nfe(swept)
    if energy is not None and (weighed := comparison.weighed()):
        reference = jnp.concatenate(data_of(comparison.members[0], energy))
        figures["samples"] = plotting.sample_histograms(weighed, reference, energy)
    return figures


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


def image_samples(place: Path, seed: int) -> Array:
    """Some samples of the flow of images in an arm's folder, drawn once and kept there."""
    path = place / f"images-{IMAGES}.npz"

    def draw() -> None:
        x = load(place / "flow.hiflow").sample(jax.random.key(seed), IMAGES)
        write_arrays(path, {"x": np.asarray(x)})

    return jnp.asarray(kept(path, draw, lambda: read_arrays(path)["x"]))
