"""Flow files that were made to run code, fill the memory or pass for another density: what loading each
does. Prints what went wrong, and the counts.

    python benchmarks/hostile_files.py [-v]
"""

import collections
import os
import resource
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import jax

import hiflow as hf
from hostile import Finding, examine, honest_files, hostile

SLACK = 2**24


def main(folder: Path) -> None:
    os.chdir(folder)
    sys.path.insert(0, "")
    plane, particles = honest_files(folder)
    x = jax.random.normal(jax.random.key(1), (3, 2))
    expected = hf.load(plane).log_prob(x)
    hf.load(particles)
    cases = list(hostile(plane, particles, 3 * 2**30))
    limit = 16 * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found = []
    for i, (name, content) in enumerate(cases):
        file = folder / f"{i}.hiflow"
        file.write_bytes(content)
        finding = examine(name, file, x, expected)
        found.append(finding)
        if "-v" in sys.argv:
            print(f"{name}: {finding.outcome} {finding.message.replace(str(folder), '')[:200]!r}")
        if wrong := what_is_wrong(finding, len(content)):
            print(f"{name}: {wrong}: {finding.message[:300]}", flush=True)
        file.unlink()
    print(f"{len(found)} files:", dict(collections.Counter(each.outcome for each in found)))
    print(f"slowest: {max(each.seconds for each in found):.2f} s")
    print(f"most memory: {max(each.grown for each in found) / 2**20:.1f} MiB")


def what_is_wrong(finding: Finding, size: int) -> str:
    """What a reader must not see, or nothing."""
    if finding.outcome not in ("refused", "same density"):
        return finding.outcome
    if finding.grown > 2 * size + SLACK:
        return f"{finding.grown:,} bytes for a file of {size:,}"
    return f"{finding.seconds:.1f} s" if finding.seconds > 10 else ""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(Path(place))
