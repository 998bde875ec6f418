"""The figures of a run."""

import os
from pathlib import Path
from typing import Any

from rich.console import Console

from hiflow.experiments._data import make_data, pixel_transform
from hiflow.experiments._fitted import make_energy
from hiflow.experiments._run_folder import RunFolder, image_samples, read_history
from hiflow.experiments._summary import entropy
from hiflow.flow import load


def draw(root: str | os.PathLike[str], *, console: Console) -> list[Path]:
    """Draw a run's figures from its folder; without matplotlib, say how to get it."""
    try:
        from hiflow import plotting
    except ImportError as error:
        console.print(str(error), markup=False)
        return []
    folder = RunFolder(root)
    experiment = folder.experiment()
    energy = make_energy(experiment)
    pixels = pixel_transform(experiment)
    flows = folder.flows()
    histories: dict[str, list[Any]] = {}
    for label, seed in flows:
        histories.setdefault(label, []).append(read_history(folder.arm(seed, label)))
    written = [folder.root / "nll-nfe.png"]
    plotting.learning_curves(histories, floor=entropy(energy)).savefig(written[0], dpi=150)
    first = {label: load(path) for (label, seed), path in flows.items() if seed == min(flows)[1]}
    if next(iter(first.values())).prior.event_shape == (2,):
        seed = min(flows)[1]
        points, _ = make_data(experiment, energy, seed, progress=False)
        nll = {label: read_history(folder.arm(seed, label))[-1]["nll"] for label in first}
        written.append(folder.root / "densities.png")
        plotting.densities_in_the_plane(first, points, energy=energy, nll=nll).savefig(
            written[1], dpi=150
        )
    if pixels is not None:
        shown = {
            label: pixels.to_pixels(image_samples(path.parent, seed))
            for (label, seed), path in flows.items()
            if seed == min(flows)[1]
        }
        written.append(folder.root / "images.png")
        plotting.image_grids(shown, pixels.levels).savefig(written[-1], dpi=150)
    return written
