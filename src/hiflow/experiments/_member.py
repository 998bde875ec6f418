"""One trained arm and seed: its scores, and the data that it was scored on."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from hiflow._disk import fingerprint, read_json
from hiflow._statistics import Part, Pooled
from hiflow.data import Samples
from hiflow.energies import AbstractEnergy
from hiflow.experiments._classes import ClassScores
from hiflow.experiments._data import make_samples
from hiflow.experiments._run_folder import Row, RunFolder, read_history, resuming
from hiflow.experiments._toml import Experiment
from hiflow.flow import Flow, load
from hiflow.metrics import Weighted


@dataclasses.dataclass(frozen=True)
class Control:
    r"""The energy as a control variate of a seed's NLL.

    **Arguments:**

    - `luck`: $V(x) - \langle V\rangle$ at every test point $x$.
    - `level`: how well $\langle V\rangle$ is known.
    - `pooled`: the energies that it is the mean of, if their points are of the test points' file.
    """

    luck: np.ndarray
    level: Part
    pooled: Pooled | None = None


@dataclasses.dataclass(frozen=True)
class Told:
    """What a seed's test points come with.

    **Arguments:**

    - `digest`: what tells their conditions from others.
    - `classes`: the names of the classes; `None` for vectors.
    - `numbers`: the class of every test point.
    - `counts`: how many training points of every class an arm sees, by its `size`, "all" without one.
    """

    digest: str
    classes: tuple[str, ...] | None = None
    numbers: np.ndarray | None = None
    counts: Mapping[str, list[int]] = dataclasses.field(default_factory=dict)

    def shares(self, size: int | None) -> np.ndarray:
        """Of the classes among the training points of an arm."""
        counts = np.asarray(self.counts["all" if size is None else str(size)], np.float64)
        return counts / counts.sum()


@dataclasses.dataclass
class Member:
    """One trained arm and seed, with what was computed of its flow.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> member = experiments.compare(["run"]).members[0]
    >>> member.label, member.seed, member.flow().sample(key, 3).shape
    ('OT-FM', 0, (3, 2))
    ```
    """

    label: str
    arm: str
    variant: str
    family: str
    seed: int
    place: Path
    """The folder of its flow."""
    history: list[Row]
    """Its rows with scores of the test points."""
    test: str
    """What tells its test points from others."""
    experiment: Experiment
    origins: np.ndarray | None = None
    """Which points or chains of one file or set its test points are."""
    told: Told | None = None
    """The conditions of its test points, if they have some."""
    is_told: bool = False
    """Whether its flow is told them."""
    classes: ClassScores | None = None
    """Its test points under every class, if its flow is told one."""
    control: Control | None = None
    validation: float | None = None
    sweep: list[Row] | None = None
    doubled: Row | None = None
    """How few test points change by twice the number of the solver's steps."""
    weighted: Weighted | None = None

    def __repr__(self) -> str:
        """In a line: which one, and its NLL."""
        if not self.has_density:
            return f"Member({self.label!r}, seed {self.seed}, W₂ {self.scores['distance']:.3f})"
        return f"Member({self.label!r}, seed {self.seed}, NLL {self.scores['nll']:.3f} nats)"

    @property
    def scores(self) -> Row:
        """The last row of its history: `nll`, `nll_se`, `nfe`, …"""
        return self.history[-1]

    @property
    def has_density(self) -> bool:
        """Whether its flow has one; if not, its scores are those of samples."""
        return "log_prob" in self.scores

    @property
    def nll(self) -> np.ndarray:
        """The negative log density of every test point."""
        return -np.asarray(self.scores["log_prob"])

    @property
    def chains(self) -> np.ndarray | None:
        """The Markov chain of every test point; `None` if they are independent."""
        labels = self.scores.get("chains")
        return None if labels is None else np.asarray(labels)

    @property
    def controlled(self) -> np.ndarray | None:
        r"""The same with the energy as control variate, $-\log q(x) - V(x) + \langle V\rangle$.

        It has the mean of `nll` and, the nearer $q$ is to $e^{-V}/Z$, the less spread: which test points
        were drawn hardly matters.
        """
        return None if self.control is None else self.nll - self.control.luck

    def flow(self) -> Flow:
        """Its trained flow."""
        return load(self.place / "flow.hiflow")


def members_of(folder: RunFolder) -> list[Member]:
    """The finished arms and seeds of a run folder.

    **Raises:** `ValueError` if what tells their test points apart isn't in the folder.
    """
    experiment = folder.experiment()
    found = []
    for (label, seed), flow in folder.flows().items():
        rows = read_history(flow.parent)
        history = [
            row for row in rows if isinstance(row.get("log_prob"), list) or "distance" in row
        ]
        if not history or history[-1] is not rows[-1]:
            raise ValueError(f"{flow.parent}: its history has no test points; train it again.")
        known = history[-1].get("log_prob")
        number = None if known is None else len(known)
        test, origins, told = _test_points(folder.root, seed, number)
        is_told = told is not None and _is_told(experiment, label)
        about = (test, experiment, origins, told, is_told)
        found.append(
            Member(label, *parts_of(experiment, label), seed, flow.parent, history, *about)
        )
    return found


def told_of(run: str | os.PathLike[str], seed: int) -> Told | None:
    """The conditions of a run folder's points; one flow's file tells none."""
    file = Path(run) / f"seed-{seed}" / "data.json"
    if not file.is_file():
        return None
    cure = f"Remove it; then {resuming(Path(run))} writes it anew."
    return _told(read_json(file, cure), None, file, cure)


def classes_of(run: str | os.PathLike[str], seed: int) -> tuple[str, ...] | None:
    """The names of the classes that a run's flows are told, if they are."""
    told = told_of(run, seed)
    return None if told is None else told.classes


def size_of(member: Member) -> int | None:
    """How many training points its arm sees, if not all."""
    tables = [arm for arm in member.experiment.arms if arm["label"] == member.label]
    return tables[0].get("size") if tables else None


def _is_told(experiment: Experiment, label: str) -> bool:
    """Whether an arm is told the conditions that the points have."""
    return all(arm.get("condition", True) for arm in experiment.arms if arm["label"] == label)


def parts_of(experiment: Experiment, label: str) -> tuple[str, str, str]:
    """The arm, variant and family of a label; one that the experiment lacks is an arm of its own."""
    tables = {table["label"]: table for table in experiment.arms}
    table = tables.get(label, {"arm": label, "variant": ""})
    return table["arm"], table["variant"], table.get("family", "")


def _test_points(
    root: Path, seed: int, number: int | None
) -> tuple[str, np.ndarray | None, Told | None]:
    """What tells the test points from others, which points of a file or set they are, and their
    conditions."""
    file = root / f"seed-{seed}" / "data.json"
    cure = f"Remove it; then {resuming(root)} writes it anew."
    described = read_json(file, cure)
    if "test_points" not in described:
        raise ValueError(
            f"{file}: has no `test_points`, since an earlier version wrote it; `hiflow train "
            f"{root / 'config.toml'} --out {root} --seed {seed} --resume` adds them."
        )
    origins, told = described.get("test_origins"), _told(described, number, file, cure)
    if origins is None:
        return described["test_points"], None, told
    if not isinstance(origins, list) or len(origins) != (number or len(origins)):
        raise ValueError(
            f"{file}: `test_origins` isn't one of each of {number} test points. {cure}"
        )
    return described["test_points"], np.asarray([str(origin) for origin in origins]), told


def _told(described: Row, number: int | None, file: Path, cure: str) -> Told | None:
    if (digest := described.get("test_conditions")) is None:
        return None
    names, numbers = described.get("classes"), described.get("test_classes")
    counts = described.get("class_counts")
    if names is None and numbers is None:
        return Told(digest)
    whole = (
        isinstance(names, list)
        and isinstance(numbers, list)
        and len(numbers) == (number or len(numbers))
        and all(isinstance(each, int) and 0 <= each < len(names) for each in numbers)
        and isinstance(counts, dict)
        and all(isinstance(each, list) and len(each) == len(names) for each in counts.values())
    )
    if not whole or names is None or counts is None:
        raise ValueError(f"{file}: `test_classes` isn't a class of each of {number} points. {cure}")
    return Told(digest, tuple(map(str, names)), np.asarray(numbers), counts)


def data_of(member: Member, energy: AbstractEnergy | None) -> tuple[jax.Array, jax.Array]:
    """The training and test points of the member's run and seed.

    **Raises:** `ValueError` if they aren't the ones that it was scored on.
    """
    train, test = samples_of(member, energy)
    return train.points, test.points


def samples_of(member: Member, energy: AbstractEnergy | None) -> tuple[Samples, Samples]:
    """As `data_of`, with the chains that the points come from."""
    train, test = make_samples(member.experiment, energy, member.seed, progress=False)
    rows = None if member.told is None else fingerprint(rows=test.condition).digest
    known = None if member.told is None else member.told.digest
    if (fingerprint(points=test.points).digest, rows) != (member.test, known):
        raise ValueError(
            f"{member.place}: the test points that its configuration gives now aren't those it was "
            "scored on (another version of hiflow or JAX, another machine, or a changed file). Train it "
            "again, or compare where it was trained."
        )
    return train, test


def test_points(member: Member, energy: AbstractEnergy | None) -> jax.Array:
    """The test points of the member's run and seed.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> found = experiments.compare(["run"])
    >>> experiments.test_points(found.members[0], found.energy).shape
    (20, 2)
    ```
    """
    return data_of(member, energy)[1]
