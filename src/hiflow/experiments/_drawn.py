"""`hiflow sample`: samples of a run's flows in one file."""

import os
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array
from rich.console import Console

from hiflow import data
from hiflow._disk import write_arrays
from hiflow.energies import species_of, units_of
from hiflow.experiments._fitted import make_energy
from hiflow.experiments._run_folder import RunFolder, check_drawn_file, flow_files
from hiflow.flow import Flow, load
from hiflow.priors import has_density


def write_drawn(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    size: int,
    *,
    seed: int = 0,
    console: Console | None = None,
) -> None:
    """Draw `size` samples of each of a run's flows into one file: `.npz`, with `<arm>-<seed>/samples`
    and, where the flow has a density, `<arm>-<seed>/log_prob`, or frames of atoms, `.extxyz`, `.xyz` or
    `.pdb`, in Å, that tell `arm`, `seed` and `log_prob`.

    **Raises:** `ValueError` if the file exists, or for frames of atoms where the run's energy doesn't
    tell its elements.
    """
    console = console or Console()
    _refuse_file(run, out)
    files, atoms = flow_files(run), data.are_atoms(out)
    energy = make_energy(RunFolder(run).experiment()) if atoms else None
    if atoms and species_of(energy) is None:
        raise ValueError(
            f"--out {out}: the run's energy doesn't tell which elements its atoms are. Write an .npz "
            "file."
        )
    arrays, frames = {}, []
    for (label, k), path in files.items():
        x, told = _drawn(load(path), jax.random.key(seed), size)
        arrays |= {f"{label}-{k}/samples": x}
        arrays |= {f"{label}-{k}/{name}": value for name, value in told.items()}
        if atoms:
            info = {"arm": [label] * size, "seed": [k] * size, **told}
            frames += data.to_atoms(x, species_of(energy), units_of(energy), info, str(out))
        console.print(f"{label}, seed {k}: {size} samples")
    if atoms:
        data.write_atoms(out, frames)
    else:
        write_arrays(out, arrays)
    units = units_of(energy)
    console.print(f"written: {out}{f' ({units}; in Å)' if units is not None else ''}")


def _drawn(flow: Flow, key: Array, size: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Samples, and their log densities where they have some."""
    if not has_density(flow.prior):
        return np.asarray(flow.sample(key, size)), {}
    x, log_prob = flow.sample_and_log_prob(key, size)
    return np.asarray(x), {"log_prob": np.asarray(log_prob)}


def _refuse_file(run: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """**Raises:** `ValueError` for a file that can't be written, before anything is drawn."""
    check_drawn_file(out)
    if data.are_atoms(out) and not Path(run).is_dir():
        raise ValueError(
            f"--out {out}: one flow's file doesn't tell which elements its atoms are. Give the run "
            "folder, or write an .npz file."
        )
