"""`hiflow sample`: samples of a run's flows in one file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array
from rich.console import Console

from hiflow import data
from hiflow._disk import write_arrays
from hiflow.energies import species_of, units_of
from hiflow.experiments._fitted import make_energy
from hiflow.experiments._member import classes_of
from hiflow.experiments._run_folder import RunFolder, check_drawn_file, flow_files
from hiflow.flow import Flow, load
from hiflow.networks import Labels, conditions_of
from hiflow.priors import has_density


def write_drawn(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    size: int,
    *,
    seed: int = 0,
    condition: str | None = None,
    console: Console | None = None,
) -> None:
    """Draw `size` samples of each of a run's flows into one file: `.npz`, with `<arm>-<seed>/samples`
    and, where the flow has a density, `<arm>-<seed>/log_prob`, or frames of atoms, `.extxyz`, `.xyz` or
    `.pdb`, in Å, that tell `arm`, `seed` and `log_prob`, whose measure is in
    the energy's unit of length.

    **Arguments:**

    - `condition`: a class by its name, or the numbers of a vector with commas, for flows that are told
      one; it is `<arm>-<seed>/condition` in an `.npz` file. Those that aren't are drawn from as ever.

    **Raises:** `ValueError` for a condition that a flow doesn't take, or one that is missing; if the
    file exists, or for frames of atoms where the run's energy doesn't
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
    for (label, k), (flow, under) in _conditioned(run, files, condition).items():
        x, told = _drawn(flow, jax.random.key(seed), size, under)
        arrays |= {f"{label}-{k}/samples": x}
        arrays |= {f"{label}-{k}/{name}": value for name, value in told.items()}
        if atoms:
            # Each of a chain of its own, as errors over them have it when they are read.
            chains = range(len(frames), len(frames) + size)
            info = {"arm": [label] * size, "seed": [k] * size, "chain": chains, **told}
            frames += data.to_atoms(x, species_of(energy), units_of(energy), info, str(out))
        console.print(f"{label}, seed {k}: {size} samples", markup=False)
    if atoms:
        data.write_atoms(out, frames)
    else:
        write_arrays(out, arrays)
    units = units_of(energy)
    said = f" ({units}; in Å)" if units is not None else ""
    console.print(f"written: {out}{said}", markup=False, soft_wrap=True)


def _drawn(
    flow: Flow, key: Array, size: int, under: np.ndarray | None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Samples, their log densities where they have some, and their conditions."""
    told = {} if under is None else {"condition": np.broadcast_to(under, (size, *under.shape))}
    if not has_density(flow.prior):
        return np.asarray(flow.sample(key, size, condition=under)), told
    x, log_prob = flow.sample_and_log_prob(key, size, condition=under)
    return np.asarray(x), {"log_prob": np.asarray(log_prob), **told}


def _conditioned(
    run: str | os.PathLike[str], files: Mapping[tuple[str, int], Path], said: str | None
) -> dict[tuple[str, int], tuple[Flow, np.ndarray | None]]:
    """Every flow with the condition that its samples are drawn under."""
    flows = {key: load(path) for key, path in files.items()}
    if said is not None and all(conditions_of(flow.network) is None for flow in flows.values()):
        raise ValueError(f"--condition {said}: no flow of {run} takes a condition. Leave it out.")
    classes = {k: classes_of(run, k) for _, k in flows}
    return {
        (label, k): (flow, _condition(flow, said, classes[k], label))
        for (label, k), flow in flows.items()
    }


def _condition(
    flow: Flow, said: str | None, classes: Sequence[str] | None, label: str
) -> np.ndarray | None:
    conditions = conditions_of(flow.network)
    if conditions is None or (said is None and bool(conditions.taught)):
        return None
    meaning = conditions.meaning if classes is None else f"one of {', '.join(classes)}"
    lead = f"--condition: {label!r} is told a condition, {meaning}; got {said or 'none'}."
    if said is None:
        raise ValueError(lead)
    try:
        if isinstance(conditions, Labels):
            value = np.asarray(int(said) if classes is None else classes.index(said), np.int32)
        else:
            value = np.asarray([float(part) for part in said.split(",")])
        conditions.rows(value, 1, "--condition")
    except ValueError as error:
        raise ValueError(lead) from error
    return value


def _refuse_file(run: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """**Raises:** `ValueError` for a file that can't be written, before anything is drawn."""
    check_drawn_file(out)
    if data.are_atoms(out) and not Path(run).is_dir():
        raise ValueError(
            f"--out {out}: one flow's file doesn't tell which elements its atoms are. Give the run "
            "folder, or write an .npz file."
        )
