"""All cells at once on one GPU, each a process: `python run.py packed.npz --minutes 8 --out $OUT`.

Trains until `--train` of the minutes, evaluates until the end, and packs what there is into archives
every half minute, so that a run that is killed leaves what it had.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

HERE = Path(__file__).parent
# Arms and sizes; small sets share a process, one after the other.
CELLS = [
    ("ot", "100000"),
    ("force", "100000"),
    ("relaxed", "100000"),
    ("ot", "10000"),
    ("force", "10000"),
    ("relaxed", "10000"),
    ("ot", "100", "1000"),
    ("force", "100", "1000"),
    ("relaxed", "100", "1000"),
]
QUICK = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, required=True, help="of the archives")
    parser.add_argument("--runs", type=Path, default=Path("runs/aldp-full"), help="of the cells")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--train", type=float, default=0.62, help="the part that is training")
    parser.add_argument(
        "--only", type=int, nargs="+", default=range(len(CELLS)), help="these cells"
    )
    given, passed_on = parser.parse_known_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    given.out.mkdir(parents=True, exist_ok=True)
    begun = time.time()
    end = begun + 60 * given.minutes
    until = [f"--train-until={begun + 60 * given.minutes * given.train}", f"--until={end - 15}"]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(given.runs / "compiled")}
    running = []
    for arm, *frames in (CELLS[k] for k in given.only):
        name = f"{arm}-{'-'.join(frames)}"
        command = [sys.executable, str(HERE / "cell.py"), given.data, arm, "--frames", *frames]
        command += [f"--out={given.runs}", *until, *passed_on]
        log = open(given.runs / f"{name}.log", "w", encoding="utf-8")  # noqa: SIM115  the process's own
        running.append(
            subprocess.Popen(
                command, env={**os.environ, **QUICK, **cache}, stdout=log, stderr=subprocess.STDOUT
            )
        )
    while time.time() < end and any(process.poll() is None for process in running):
        time.sleep(min(30.0, max(0.5, end - time.time())))
        pack(given.runs, given.out)
    for process in running:
        if process.poll() is None:
            process.kill()
    pack(given.runs, given.out)
    print("ended with", [process.wait() for process in running], "after", time.time() - begun, "s")


def pack(runs: Path, out: Path) -> None:
    """An archive for every arm of all that is there; with the logs in it, and whole at any moment."""
    for arm in ("ot", "force", "relaxed"):
        part = out.parent / f".{out.name}-{arm}.part"
        with tarfile.open(part, "w:gz", compresslevel=3) as archive:
            for place in sorted(runs.glob(f"{arm}-*")):
                files = (
                    [place]
                    if place.is_file()
                    else [f for f in sorted(place.iterdir()) if f.suffix != ".part"]
                )
                for file in files:
                    archive.add(file, f"{file.relative_to(runs)}")
        part.replace(out / f"aldp-{arm}.tar.gz")


if __name__ == "__main__":
    main()
