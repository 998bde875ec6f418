"""Run folders: an experiment's arms and seeds trained by `fit`, with everything kept on disk."""

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from rich.console import Console

from hiflow import config, data, energies
from hiflow._summary import FIGURES, Result, entropy, markdown, print_table, summarise
from hiflow.flow import load
from hiflow.metrics import negative_log_likelihood, standard_error
from hiflow.training import fit

IMAGES = 24
_PACKAGES = ["hiflow-jax", "jax", "jaxlib", "equinox", "diffrax", "optax", "lineax", "numpy"]


class RunFolder:
    """`<root>/config.toml`, `run.json`, `results.json`, `results.md`, figures, and for every seed and
    arm `seed-<k>/<arm>/` with `flow.hiflow`, `history.jsonl` and checkpoints."""

    def __init__(self, root: str | os.PathLike[str]):
        self.root = Path(root)

    def arm(self, seed: int, label: str) -> Path:
        """The folder of one arm and seed."""
        return self.root / f"seed-{seed}" / config.slug(label)

    def energies(self, seed: int) -> Path:
        """Where energies that were fitted to a seed's data are."""
        return self.root / f"seed-{seed}" / "energies"

    def flows(self) -> dict[tuple[str, int], Path]:
        """The trained flows: (label, seed) to file.

        **Raises:** `ValueError` if the folder is no run or holds no finished arm.
        """
        if not (self.root / "run.json").is_file():
            raise ValueError(f"{self.root}: not a run folder (it has no run.json).")
        run = json.loads((self.root / "run.json").read_text())
        files = {
            (label, seed): self.arm(seed, label) / "flow.hiflow"
            for label in run["arms"]
            for seed in run["seeds"]
        }
        finished = {key: path for key, path in files.items() if path.is_file()}
        if not finished:
            raise ValueError(f"{self.root}: no arm has finished training; resume it first.")
        return finished

    def describe_data(self, seed: int, points: Array, test: Array) -> None:
        """Keep what tells one data set from another, so that only like is compared with like."""
        described = {
            "size": points.shape[0],
            "test": test.shape[0],
            "test_sha256": hash_points(test),
        }
        (self.root / f"seed-{seed}").mkdir(exist_ok=True)
        write_atomically(self.root / f"seed-{seed}" / "data.json", json.dumps(described, indent=2))

    def results(self) -> list[Result]:
        """What has been trained so far."""
        path = self.root / "results.json"
        return [Result(**row) for row in json.loads(path.read_text())] if path.is_file() else []

    def add(self, result: Result) -> None:
        """Keep a result, in the place of an older one of the same arm and seed."""
        key = (result.label, result.seed)
        results = [*(old for old in self.results() if (old.label, old.seed) != key), result]
        text = json.dumps([dataclasses.asdict(each) for each in results], indent=2)
        write_atomically(self.root / "results.json", text)

    def experiment(self) -> config.Experiment:
        """The experiment as it was configured."""
        if not (self.root / "config.toml").is_file():
            raise ValueError(f"{self.root}: not a run folder (it has no config.toml).")
        read = config.read(self.root / "config.toml")
        name = json.loads((self.root / "run.json").read_text())["name"]
        return dataclasses.replace(read, name=name)

    def claim(self, experiment: config.Experiment, seeds: Sequence[int], *, resume: bool) -> None:
        """Make the folder and write what is run, or refuse one that is there. Seeds that it has already
        stay.

        **Raises:** `ValueError` if the folder exists and `resume` is off, or holds another run.
        """
        run = self.root / "run.json"
        before = json.loads(run.read_text())["seeds"] if resume and run.is_file() else []
        description = {
            "name": experiment.name,
            "seeds": sorted({*before, *seeds}),
            "arms": [arm["label"] for arm in experiment.arms],
            "versions": {package: version(package) for package in _PACKAGES},
            "python": platform.python_version(),
            "devices": [f"{device.platform}:{device.device_kind}" for device in jax.devices()],
        }
        if self.root.exists() and any(self.root.iterdir()):
            if not resume:
                raise ValueError(
                    f"{self.root} exists. Go on with it by --resume, choose another folder by --out, or "
                    "remove it."
                )
            same = (self.root / "config.toml").is_file() and (
                self.root / "config.toml"
            ).read_text() == experiment.text
            if not same:
                raise ValueError(f"{self.root} holds a run of another configuration; use --out.")
        self.root.mkdir(parents=True, exist_ok=True)
        write_atomically(self.root / "config.toml", experiment.text)
        write_atomically(self.root / "run.json", json.dumps(description, indent=2))


def train(
    experiment: config.Experiment,
    root: str | os.PathLike[str],
    *,
    seeds: Sequence[int] | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> list[Result]:
    """Train every arm for every seed into a run folder; finished arms are skipped on resume.

    All arms are built and checked before the first one is trained. The results of other seeds that the
    folder holds already are kept and returned too.
    """
    console = console or Console()
    seeds = experiment.seeds if seeds is None else list(seeds)
    energy = config.make_energy(experiment)
    folder = RunFolder(root)
    shape = config.event_shape(experiment, energy)
    pixels = config.pixel_transform(experiment)
    for arm in experiment.arms:  # Refuses whatever is wrong, before data are drawn.
        config.make_arm(experiment, arm, energy, shape, jax.random.key(0))
    folder.claim(experiment, seeds, resume=resume)
    for seed in seeds:
        points, test = config.make_data(experiment, energy, seed, progress=console.is_terminal)
        _check_sizes(experiment, points.shape[0])
        folder.describe_data(seed, points, test)
        fitted = config.FittedEnergies(
            shape, points, test, seed=seed, folder=folder.energies(seed), console=console
        )
        for table in experiment.arms:
            key_network, key_fit = jax.random.split(jax.random.key(seed))
            arm = config.make_arm(experiment, table, energy, shape, key_network, fitted)
            place = folder.arm(seed, arm.label)
            seen = points[: arm.size]
            console.print(f"[bold]{arm.label}[/], seed {seed}: {type(arm.path).__name__}")
            record = Record(place, test, pixels, console)
            folder.add(_train_arm(arm, record, seen, energy, seed, key_fit))
    results = folder.results()
    summary = summarise(results)
    write_atomically(folder.root / "results.md", markdown(summary, energy, pixels))
    print_table(summary, energy, console, pixels)
    return results


def flow_files(run: str | os.PathLike[str]) -> dict[tuple[str, int], Path]:
    """The flows of a run folder, or the one file given: (label, seed) to file."""
    path = Path(run)
    return {(path.stem, 0): path} if path.is_file() else RunFolder(path).flows()


def evaluate_file(
    run: str | os.PathLike[str], file: str | os.PathLike[str], settings: Mapping[str, Any]
) -> tuple[list[Result], energies.AbstractEnergy | None]:
    """The NLL of a run's flows on the points in a file, and the run's energy.

    Points of an energy with a symmetry are first projected as training data are, and checked against
    the energy: a wrong convention is warned of.
    """
    energy = None
    if Path(run).is_dir():
        energy = config.make_energy(RunFolder(run).experiment())
    flows = {key: load(path) for key, path in flow_files(run).items()}
    prior = next(iter(flows.values())).prior
    points = jnp.asarray(data.load(file, event_shape=prior.event_shape))
    points = jax.vmap(prior.group.project)(points)
    results = []
    for (label, seed), flow in flows.items():
        figures = negative_log_likelihood(flow, points, **settings)
        results.append(Result(label, seed, 0, 0.0, *(getattr(figures, k) for k in FIGURES)))
    if energy is not None:
        data.warn_if_inconsistent(energy, points)
    return results, energy


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz atomically."""
    temporary = path.with_name(f".{path.name}.tmp.npz")
    np.savez(temporary, allow_pickle=False, **arrays)
    temporary.replace(path)


def draw(root: str | os.PathLike[str], *, console: Console) -> list[Path]:
    """Draw a run's figures from its folder; without matplotlib, say how to get it."""
    try:
        from hiflow import plotting
    except ImportError as error:
        console.print(str(error), markup=False)
        return []
    folder = RunFolder(root)
    experiment = folder.experiment()
    energy = config.make_energy(experiment)
    pixels = config.pixel_transform(experiment)
    flows = folder.flows()
    histories: dict[str, list[Any]] = {}
    for label, seed in flows:
        histories.setdefault(label, []).append(read_history(folder.arm(seed, label)))
    written = [folder.root / "nll-nfe.png"]
    plotting.learning_curves(histories, floor=entropy(energy)).savefig(written[0], dpi=150)
    first = {label: load(path) for (label, seed), path in flows.items() if seed == min(flows)[1]}
    if next(iter(first.values())).prior.event_shape == (2,):
        seed = min(flows)[1]
        points, _ = config.make_data(experiment, energy, seed, progress=False)
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


def image_samples(place: Path, seed: int) -> Array:
    """Some samples of the flow of images in an arm's folder, drawn once and kept there."""
    path = place / f"images-{IMAGES}.npz"
    if not path.exists():
        x = load(place / "flow.hiflow").sample(jax.random.key(seed), IMAGES)
        save_arrays(path, {"x": np.asarray(x)})
    with np.load(path, allow_pickle=False) as stored:
        return jnp.asarray(stored["x"])


def read_history(place: Path) -> list[dict[str, Any]]:
    """The rows of one arm's history."""
    path = place / "history.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a crash leaves the old one or the new one, never half of one."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


@dataclasses.dataclass(frozen=True)
class Record:
    """The history of one arm and seed, on disk and on the console.

    **Arguments:**

    - `place`: the arm's folder.
    - `test`: the test points.
    - `pixels`: how they came of pixels, if they are images: then bits per dimension are recorded too.
    """

    place: Path
    test: Array
    pixels: data.PixelTransform | None
    console: Console

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What was recorded so far."""
        return read_history(self.place)

    def __call__(self, row: dict[str, Any]) -> None:
        """Add a row."""
        row = row | self._bits(row)
        # A resumed run repeats the rows after its checkpoint: the later one counts.
        rows = [*(old for old in self.rows if old["step"] < row["step"]), row]
        text = "".join(json.dumps(entry) + "\n" for entry in rows)
        write_atomically(self.place / "history.jsonl", text)
        probes = f" (probes {row['probe_se']:.3f})" if row["probe_se"] > 0 else ""
        bits = f"  {row['bits']:.3f} ± {row['bits_se']:.3f} bits/dim" if "bits" in row else ""
        self.console.print(
            f"  step {row['step']:>6,}  loss {row['loss']:.4f}  NLL {row['nll']:.3f} ± "
            f"{row['nll_se']:.3f}{probes} nats{bits}  NFE {row['nfe']:.1f}  ({row['seconds']:.0f} s of "
            "training)"
        )

    def _bits(self, row: dict[str, Any]) -> dict[str, float]:
        if self.pixels is None:
            return {}
        bits = jax.vmap(self.pixels.bits_per_dim)(jnp.asarray(row["log_prob"]), self.test)
        return {"bits": float(bits.mean()), "bits_se": standard_error(bits)}


def hash_points(points: Array) -> str:
    """What tells one set of points from another."""
    return hashlib.sha256(np.asarray(points).tobytes()).hexdigest()


def _check_sizes(experiment: config.Experiment, available: int) -> None:
    for arm in experiment.arms:
        if not 1 <= arm.get("size", available) <= available:
            raise ValueError(
                f"variant {arm['variant']!r}: `size` must be between 1 and the {available:,} training "
                f"points of [data], got {arm['size']}."
            )


def _train_arm(
    arm: config.Arm,
    record: Record,
    points: Array,
    energy: energies.AbstractEnergy | None,
    seed: int,
    key: Array,
) -> Result:
    weights = record.place / "flow.hiflow"
    if not weights.exists():
        checkpoints = record.place / "checkpoints"
        flow = fit(
            arm.network,
            arm.path,
            points,
            prior=arm.prior,
            energy=energy,
            key=key,
            validation=record.test,
            solver_settings=arm.solver_settings,
            callbacks=[record],
            checkpoint_dir=checkpoints,
            resume=checkpoints.exists(),
            progress=record.console.is_terminal,
            **arm.training,
        )
        flow.save(weights)
    last = record.rows[-1]
    figures = [last[k] for k in FIGURES]
    return Result(
        arm.label, seed, int(last["step"]), last["seconds"], *figures, bits=last.get("bits")
    )
