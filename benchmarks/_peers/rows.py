"""The rows of the table: what hiflow does, who else does the same, and what must agree."""

import dataclasses
from typing import Any

Part = tuple[str, str]
"""A worker's module, without `by_`, and the name of its function there."""

# Relative differences that are let pass between facts of the same name.
TOLERANCES = {
    "parameters": 0.0,
    "velocity": 1e-4,
    "cost": 1e-4,
    "log_prob": 1e-3,
    "noisy_log_prob": 5e-2,
}
# Two alternations with other roundings may end in other local optima.
ALIGNED = {"cost": 2e-2}


@dataclasses.dataclass(frozen=True)
class Row:
    """One piece of work."""

    name: str
    title: str
    ours: Part
    others: dict[str, Part]
    """By what the table calls them."""
    sizes: dict[str, Any]
    quick: dict[str, Any]
    """The sizes that a quick run replaces."""
    goals: dict[str, float] = dataclasses.field(default_factory=dict)
    """The most that time ÷ time should be, by the others' names."""
    limits: dict[str, float] = dataclasses.field(default_factory=dict)
    """The most that the regression check lets pass; of others that need nothing but hiflow."""
    tolerances: dict[str, float] = dataclasses.field(default_factory=lambda: TOLERANCES)
    rounds: int | None = None
    """Fewer than asked for, where a round takes long."""


HAND, BARE = "written by hand, with clipping, schedule and average", "written by hand, bare"
STEP = {"steps": 100, "batch": 256}
SHORT = {"steps": 10}
TRAINED = {"points": 256, "steps": 50}
FEW = {"points": 16, "steps": 5}
LANES = {"points": 128, "train": 300}

ROWS = (
    Row(
        "step",
        "Training step, isotropic",
        ("hiflow", "step"),
        {
            HAND: ("hand", "full_step"),
            BARE: ("hand", "bare_step"),
            "torchcfm": ("torchcfm", "step"),
            "torchcfm, Adam alone": ("torchcfm", "bare_step"),
            "flow_matching": ("flow_matching", "step"),
            "flow_matching, compiled": ("flow_matching", "compiled_step"),
            "ott-jax": ("ott", "step"),
            "jaxfm": ("jaxfm", "step"),
        },
        STEP,
        SHORT,
        goals={HAND: 1.02, "torchcfm": 0.5, "flow_matching": 0.5, "ott-jax": 0.36, "jaxfm": 0.08},
        limits={HAND: 1.25},
    ),
    Row(
        "spectral",
        "Training step, spectral (dense), 13 particles: Linearised",
        ("hiflow", "linearised_step"),
        {"its own isotropic step": ("hiflow", "isotropic_step")},
        STEP,
        SHORT,
        goals={"its own isotropic step": 1.15},
        limits={"its own isotropic step": 1.6},
    ),
    Row(
        "langevin",
        "Training step, spectral (dense), 13 particles: Langevin",
        ("hiflow", "langevin_step"),
        {"its own isotropic step": ("hiflow", "isotropic_step")},
        STEP,
        SHORT,
        goals={"its own isotropic step": 1.15},
    ),
    Row(
        "egnn",
        "Training step, EGNN, 13 particles, batch 128",
        ("hiflow", "egnn_step"),
        {f"the same network, {HAND}": ("hand", "egnn_step")},
        {"steps": 50, "batch": 128},
        SHORT,
        goals={f"the same network, {HAND}": 1.03},
        limits={f"the same network, {HAND}": 1.25},
    ),
    Row(
        "ot",
        "Minibatch optimal transport, batch 512, the coupling alone",
        ("hiflow", "ot"),
        {"SciPy": ("hand", "ot"), "POT": ("torchcfm", "ot")},
        {"batch": 512},
        {"batch": 32},
        goals={"SciPy": 1.1, "POT": 1.1},
        limits={"SciPy": 1.5},
    ),
    Row(
        "ot-step",
        "Training step with minibatch optimal transport",
        ("hiflow", "ot_step"),
        {"torchcfm": ("torchcfm", "ot_step")},
        {"steps": 50, "batch": 256},
        SHORT | {"batch": 32},
        goals={"torchcfm": 0.5},
    ),
    Row(
        "align-13",
        "Symmetry alignment of 128 pairs, 13 particles",
        ("hiflow", "align"),
        {"NumPy and SciPy by hand": ("hand", "align")},
        {"particles": 13, "pairs": 128},
        {"pairs": 8},
        goals={"NumPy and SciPy by hand": 0.5},
        limits={"NumPy and SciPy by hand": 1.5},
        tolerances=ALIGNED,
    ),
    Row(
        "align-55",
        "Symmetry alignment of 128 pairs, 55 particles",
        ("hiflow", "align"),
        {"NumPy and SciPy by hand": ("hand", "align")},
        {"particles": 55, "pairs": 128},
        {"pairs": 4},
        goals={"NumPy and SciPy by hand": 1.0},
        tolerances=ALIGNED,
    ),
    Row(
        "sample",
        "256 samples, adaptive, tolerance 1e-4",
        ("hiflow", "sample"),
        {
            "torchdyn, dopri5": ("torchdyn", "sample"),
            "flow_matching, dopri5": ("flow_matching", "sample"),
            "its own Dopri5": ("hiflow", "sample_dopri5"),
        },
        TRAINED,
        FEW,
        goals={"torchdyn, dopri5": 0.5, "flow_matching, dopri5": 0.5, "its own Dopri5": 1.0},
    ),
    Row(
        "likelihood",
        "Exact likelihood, 50 midpoint steps, 256 points",
        ("hiflow", "likelihood"),
        {
            "ott-jax": ("ott", "likelihood"),
            "written by hand, divergence where it counts": ("hand", "likelihood"),
            "flow_matching": ("flow_matching", "likelihood"),
        },
        TRAINED,
        FEW,
        goals={"ott-jax": 0.6, "written by hand, divergence where it counts": 1.0},
        limits={"written by hand, divergence where it counts": 1.25},
    ),
    Row(
        "hutchinson",
        "Hutchinson likelihood, one probe, 50 midpoint steps, 256 points",
        ("hiflow", "hutchinson"),
        {
            "ott-jax": ("ott", "hutchinson"),
            "flow_matching": ("flow_matching", "hutchinson"),
        },
        TRAINED,
        FEW,
        goals={"ott-jax": 0.8},
    ),
    Row(
        "lanes-mlp",
        "Adaptive exact likelihood, MLP, 13 particles: time per needed evaluation",
        ("hiflow", "lanes_mlp"),
        {"with equal steps, where all that is executed is needed": ("hiflow", "lanes_mlp_fixed")},
        LANES,
        {"points": 8, "train": 20},
        goals={"with equal steps, where all that is executed is needed": 1.15},
    ),
    Row(
        "lanes-egnn",
        "Adaptive exact likelihood, EGNN, 13 particles: time per needed evaluation",
        ("hiflow", "lanes_egnn"),
        {"with equal steps, where all that is executed is needed": ("hiflow", "lanes_egnn_fixed")},
        LANES | {"points": 64},
        {"points": 8, "train": 20},
        goals={"with equal steps, where all that is executed is needed": 1.15},
        rounds=3,
    ),
)


def chosen(names: str) -> tuple[Row, ...]:
    """The rows of these names, apart by commas; `all` for all.

    **Raises:** `SystemExit` for an unknown one.
    """
    known = {row.name: row for row in ROWS}
    wanted = list(known) if names == "all" else names.split(",")
    for name in wanted:
        if name not in known:
            raise SystemExit(f"--rows: no row {name!r}. There are {', '.join(known)}.")
    return tuple(known[name] for name in wanted)


def disagreements(row: Row, facts: dict[str, dict[str, float]]) -> list[str]:
    """In what the parts of a row differ by more than is let pass, in words."""
    found, (first, *others) = [], facts
    reference = facts[first]
    for label in others:
        said = facts[label]
        for name in reference.keys() & said.keys() & row.tolerances.keys():
            a, b = reference[name], said[name]
            if not abs(a - b) <= row.tolerances[name] * max(abs(a), abs(b)):
                found.append(f"{name} is {a:.6g} for {first} and {b:.6g} for {label}")
    return found
