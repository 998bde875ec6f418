"""What hiflow says to experiments' files that were changed at random: is every fault refused by a
message that names its table and key?

`python benchmarks/mutated_configs.py --n 10000 --out outcomes.jsonl` reads the packaged experiments,
changes each copy at one to three places (tests/mutated.py), and does all that `hiflow train` does before
data are drawn.
"""

import argparse
import collections
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
import tomllib
import warnings
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))

import jax

from hiflow import experiments
from hiflow.experiments._check import checked
from mutated import mutated

# Of processor time, and of the clock for what only waits. Enough to compile what the shell would find
# in its cache.
SECONDS, WAITING = 60.0, 120.0
# Of every file, so that ten thousand take an hour.
ARMS = 2
_PLACED = re.compile(
    r"\[\[?\w+\]\]?"
    r"|`(arm|variant|seeds|energy|data|prior|network|training|evaluation)` must be"
    r"|unknown name|not valid TOML|has no"
)
# What Python, JAX and their checkers say of themselves.
_INTERNAL = re.compile(
    r"TypeError|AttributeError|KeyError|IndexError|AssertionError|Traceback|beartype|jaxtyping|Tracer"
    r"|dot_general|broadcast|dtype\[|ShapedArray|unexpected keyword|RESOURCE_EXHAUSTED"
)


class _Hang(BaseException):
    pass


def _interrupt(*_: object) -> None:
    raise _Hang


def outcome(tables: dict[str, Any], seconds: float = SECONDS) -> tuple[str, str]:
    """`accepted`, `refused`, `internal`, `traceback` or `hang`, and what was said."""
    for alarm in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(alarm, _interrupt)
    # Again and again: JAX lets no exception out of its callbacks.
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.2)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, WAITING), 0.2)
    try:
        experiment = experiments.read(_written(tables))
        checked(experiment)
    except _Hang:
        return "hang", ""
    except experiments.ConfigError as error:
        said = str(error)
        clear = _PLACED.search(said) and not _INTERNAL.search(said)
        return ("refused" if clear else "internal"), said
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "accepted", ""


def _shortened(tables: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    arms = tables["arm"]
    return {**tables, "arm": rng.sample(arms, min(ARMS, len(arms)))}


def _written(tables: dict[str, Any]) -> Path:
    file = Path(tempfile.gettempdir()) / f"mutated-{os.getpid()}.toml"
    file.write_text(toml(tables), encoding="utf-8")
    return file


def toml(tables: dict[str, Any]) -> str:
    """Tables as TOML, everything inline."""
    return "".join(f"{_key(key)} = {_inline(value)}\n" for key, value in tables.items())


def _key(key: str) -> str:
    return json.dumps(key)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0, help="To go on after so many.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", nargs="*", help="Packaged experiments; all by default.")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    packaged = experiments.packaged_experiments().items()
    own = [name for name, origin in packaged if origin == "hiflow"]
    originals = {name: dict(experiments.read(name).tables) for name in own}
    for file in sorted((Path(__file__).parent.parent / "experiments").glob("*/*.toml")):
        if not re.search(r"(?m)^(images|file) =", file.read_text("utf-8")):
            originals[file.stem] = tomllib.loads(file.read_text("utf-8"))
    names = chosen.only or sorted(originals)
    for name in names:  # Compiled before anything is timed.
        assert outcome(originals[name], seconds=1e3)[0] == "accepted", name
    counts: collections.Counter[str] = collections.Counter()
    rows = []
    for k in range(chosen.first, chosen.n):
        rng = random.Random(f"{chosen.seed}/{k}")
        name = rng.choice(names)
        tables, told = mutated(_shortened(originals[name], rng), rng)
        begun = time.perf_counter()
        kind, said = outcome(tables)
        counts[kind] += 1
        seconds = time.perf_counter() - begun
        rows.append({"k": k, "of": name, "change": told, "outcome": kind, "said": said})
        rows[-1]["seconds"] = seconds
        if chosen.out is not None:
            with chosen.out.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
        if (k + 1) % 100 == 0:
            jax.clear_caches()
            print(k + 1, dict(counts), flush=True)
    print(dict(counts))
    for kind in ("traceback", "internal", "hang"):
        shown = [row for row in rows if row["outcome"] == kind][:10]
        for row in shown:
            print(f"{kind}: {row['of']}: {row['change']}\n    {row['said'][:400]}")


if __name__ == "__main__":
    main()
