"""Kill runs at chosen and random moments, resume each, and hold it against the uninterrupted run.

    python benchmarks/kills.py --kills 100 --seed 0

A run is killed where it is about to do its n-th thing on the disk, for n spread over all of them, or
after a random time; two in three by SIGKILL, the others by SIGTERM. It is then resumed. Its flows have
to be those of the uninterrupted run, byte for byte, and its folder may hold nothing that the other
hasn't. Processes are forked off this one, which has imported everything and computed nothing.
"""

import argparse
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOML = """
seeds = [0]
[data]
file = "points.npy"
test = 4
[network]
name = "mlp"
width = 8
depth = 1
[training]
steps = 120
batch_size = 8
checkpoint_every = 30
validate_at = 60
[evaluation]
steps = 4
[[arm]]
label = "first"
path = {name = "optimal-transport"}
[[arm]]
label = "second"
path = {name = "optimal-transport", sigma_min = 0.1}
"""
ON_DISK = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
# What a process that SIGTERM ended may say: it was saving, or hadn't begun.
TERMINATED = (143, -signal.SIGTERM)


def main() -> int:
    """Print how many kills of each sort there were and what came of them; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        os.environ["HIFLOW_CACHE"] = str(Path(place) / "cache")
        _import_everything()
        return Harness(asked.kills, random.Random(asked.seed)).run()


def _import_everything() -> None:
    import numpy as np

    sys.modules["matplotlib"] = None  # pyright: ignore[reportArgumentType]  no time for figures
    from hiflow import _compilation

    _compilation.keep()
    import orbax.checkpoint  # noqa: F401

    import hiflow.cli
    import hiflow.experiments._report
    import hiflow.experiments._train  # noqa: F401

    np.save("points.npy", np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32))
    Path("x.toml").write_text(TOML)


class Harness:
    """So many kills, and what came of them."""

    def __init__(self, kills: int, chance: random.Random):
        self.kills, self.chance = kills, chance
        self.counts: Counter[str] = Counter()
        self.lost: list[str] = []

    def run(self) -> int:
        """Do it and say it."""
        for warm in ("warm", "whole"):  # The first one compiles.
            begun = time.monotonic()
            assert train(warm, lambda: _count_into("events")) == 0
            self.seconds = time.monotonic() - begun
        self.events = int(Path("events").read_text())
        self.whole = contents("whole")
        print(f"uninterrupted: {self.seconds:.1f} s, {self.events} times on the disk", flush=True)
        while sum(self.counts.values()) < self.kills:
            self._one(sum(self.counts.values()))
        for sort, number in sorted(self.counts.items()):
            print(f"{number:4d} {sort}")
        resumed = self.kills - len(self.lost)
        print(
            f"{resumed} of {self.kills} resumed to the uninterrupted run's flows, nothing left over"
        )
        return bool(self.lost)

    def _one(self, index: int) -> None:
        out = f"run-{index}"
        number = signal.SIGTERM if index % 3 == 2 else signal.SIGKILL
        if index % 2:
            moment = self.chance.uniform(0, self.seconds)
            sort, what = "after a time", f"after {moment:.2f} s"
            code = train(out, None, after=moment, number=number)
        else:
            share = (index // 2 + self.chance.random()) / (self.kills // 2 + 1)
            event = 1 + int(self.events * share)
            sort, what = "at the disk", f"at event {event}"
            code = train(out, lambda: _end_at(event, number))
        if code == 0:
            return  # It was faster than the uninterrupted one.
        self.counts[f"{number.name} {sort}"] += 1
        wanted = TERMINATED if number == signal.SIGTERM else (-signal.SIGKILL,)
        complaints = [] if code in wanted else [f"ended with {code}"]
        if (code := train(out, None)) != 0:
            complaints.append(f"resuming ended with {code}")
        else:
            complaints += differences(self.whole, contents(out))
        if complaints:
            self.lost.append(f"{number.name} {what}: {'; '.join(complaints)}")
            print(self.lost[-1], flush=True)


def train(
    out: str,
    first: Callable[[], None] | None,
    *,
    after: float | None = None,
    number: signal.Signals = signal.SIGKILL,
) -> int:
    """The exit status of `hiflow train --resume` in a process of its own, minus the signal if one ended
    it.

    **Arguments:**

    - `first`: what the process does before.
    - `after`: the seconds after which it gets the signal.
    """
    child = os.fork()
    if child == 0:
        _be_trained(out, first)
    if after is not None:
        time.sleep(after)
        os.kill(child, number)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _be_trained(out: str, first: Callable[[], None] | None) -> None:
    code: Any = 1
    try:
        log = os.open(f"{out}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if first is not None:
            first()
        from hiflow.cli import app

        app(["train", "x.toml", "--out", out, "--resume"])
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        _at_the_end()
        os._exit(code)


def _at_the_end() -> None:
    """Replaced where there is something to do."""


def _watch(act: Callable[[int], None]) -> None:
    """Call `act` with the number of every change of a run folder on the disk, before it is made."""
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in ON_DISK or not isinstance(arguments[0], str | os.PathLike):
            return
        writes = event != "open" or bool((arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR))
        if writes and re.search(r"(warm|whole|run-\d+)/", f"{os.fspath(arguments[0])}/"):
            seen += 1
            act(seen)

    sys.addaudithook(hook)


def _count_into(file: str) -> None:
    global _at_the_end
    counted = []
    _watch(counted.append)

    def write() -> None:
        Path(file).write_text(str(len(counted)))

    _at_the_end = write


def _end_at(event: int, number: signal.Signals) -> None:
    _watch(lambda seen: os.kill(os.getpid(), number) if seen == event else None)


def contents(out: str) -> dict[str, bytes]:
    """A run folder's files by their names, without those in its checkpoints' states."""
    root = Path(out)
    files = [path for path in root.rglob("*") if path.is_file()]
    return {
        name: path.read_bytes()
        for path in files
        if "/steps/" not in (name := path.relative_to(root).as_posix())
    } | {path.relative_to(root).as_posix(): b"" for path in root.rglob("*tmp*")}


def differences(whole: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    """What a resumed run's folder has more or less than the uninterrupted one's, and other flows."""
    flows = [name for name in whole if name.endswith(".hiflow") and found.get(name) != whole[name]]
    return [
        *(f"{name} differs" for name in flows),
        *(f"{name} is left over" for name in sorted(found.keys() - whole.keys())),
        *(f"{name} is missing" for name in sorted(whole.keys() - found.keys())),
    ]


if __name__ == "__main__":
    sys.exit(main())
