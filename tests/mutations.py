"""Run the deliberate faults of `tests/faults`, each of which a named test must catch.

    python tests/mutations.py                            # all, an hour or so on two cores
    python tests/mutations.py nfe translation            # those whose name or file holds a word
    python tests/mutations.py --jobs 2 --results run.jsonl   # two at a time; resumes from the file

Every fault is made in a copy of `src`, the named test alone is run against the copy, and an assertion
of it has to fail: an error on the way there is no evidence. A fault that survives is printed, and the
exit status is 1. `--results` keeps what was found, a line each; a fault is run again only if it, its
source or its test has changed since.
`tests/test_mutations.py` keeps the list in step with the source.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from xml.etree import ElementTree

from faults import MUTATIONS, Mutation

ROOT = Path(__file__).parents[1]


def apply(mutation: Mutation, folder: Path) -> None:
    """Make the fault in a copy of `src/hiflow`.

    **Raises:** `ValueError` unless the text to replace occurs exactly once.
    """
    file = folder / "hiflow" / mutation.file
    text = file.read_text()
    if text.count(mutation.old) != 1:
        raise ValueError(
            f"{mutation.name}: {mutation.old!r} occurs {text.count(mutation.old)} times"
        )
    file.write_text(text.replace(mutation.old, mutation.new))


def run(test: str, source: Path) -> tuple[int, str]:
    """pytest's exit status with `source` in front of the installed package, and how the test failed:
    the first line of its message, empty if it passed or didn't get to run."""
    report = source / "report.xml"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    # A folder of its own: pytest clears away the older ones of runs at the same time.
    command += [f"--basetemp={source / 'temporary'}", f"--junitxml={report}", test]
    report.unlink(missing_ok=True)
    environment = {**os.environ}
    # The bytecode of all files but one is good for the next fault too.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = os.environ.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([str(source), *([before] if before else [])])
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    failures = ElementTree.parse(report).iter("failure") if report.exists() else []
    messages = [failure.get("message", "").strip().partition("\n")[0] for failure in failures]
    return done.returncode, messages[0][:120] if messages else ""


def caught(row: dict) -> bool:
    """Whether a test ran and an assertion of it failed, its own or of a law of `hiflow.testing`."""
    words = ("assert", "AssertionError", "Failed: DID NOT", "hiflow.testing")
    return row["status"] == 1 and row["failure"].startswith(words)


def found(mutation: Mutation, source: Path) -> dict:
    """What became of one fault, made in a copy of `src` and taken back again: pytest's exit status, how
    the test failed, the seconds that it took."""
    begun = time.perf_counter()
    try:
        apply(mutation, source)
        status, failure = run(mutation.test, source)
    finally:
        shutil.copy2(ROOT / "src" / "hiflow" / mutation.file, source / "hiflow" / mutation.file)
    return {
        "name": mutation.name,
        "identity": identity(mutation),
        "status": status,
        "failure": failure,
        "seconds": round(time.perf_counter() - begun, 1),
    }


def identity(mutation: Mutation) -> str:
    """Changes with the fault, the file that it is made in, and the file of its test."""
    source = ROOT / "src" / "hiflow" / mutation.file
    test = ROOT / mutation.test.partition("::")[0]
    parts = [repr(mutation).encode(), source.read_bytes(), test.read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def known(results: Path | None) -> dict[str, dict]:
    """Earlier findings, by the fault's identity."""
    if results is None or not results.exists():
        return {}
    rows = map(json.loads, results.read_text().splitlines())
    return {row["identity"]: row for row in rows}


def main(arguments: Sequence[str]) -> int:
    """Run the chosen faults; 1 if one survives or its test can't be run."""
    parser = argparse.ArgumentParser(description="Run deliberate faults against their tests.")
    parser.add_argument("words", nargs="*", help="parts of names or files; default all")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
    parser.add_argument("--results", type=Path, help="a file of earlier findings, added to")
    given = parser.parse_args(arguments)
    chosen = [
        m for m in MUTATIONS if not given.words or any(w in m.name + m.file for w in given.words)
    ]
    before = known(given.results)

    copies: SimpleQueue[Path] = SimpleQueue()

    def one(mutation: Mutation) -> dict:
        if (row := before.get(identity(mutation))) is not None:
            return row
        source = copies.get()
        try:
            return found(mutation, source)
        finally:
            copies.put(source)

    survivors = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.jobs) as pool:
        for job in range(given.jobs):
            copies.put(shutil.copytree(ROOT / "src", Path(folder) / str(job)))
        for number, row in enumerate(pool.map(one, chosen), 1):
            mutation = chosen[number - 1]
            if given.results is not None and row["identity"] not in before:
                with given.results.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            why = f"exit status {row['status']}, {row['failure'] or 'no test failed'}"
            verdict = "caught" if caught(row) else f"SURVIVED ({why})"
            survivors += not caught(row)
            test = mutation.test.rpartition("::")[2]
            print(
                f"{number:3d}/{len(chosen)} {verdict}: {mutation.name}, by {test} "
                f"({row['seconds']:.0f} s)",
                flush=True,
            )
    print(f"{len(chosen) - survivors} of {len(chosen)} caught")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
