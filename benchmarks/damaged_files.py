"""Damaged files of every kind that hiflow reads: what reading each does. Prints faults and counts.

python benchmarks/damaged_files.py [NUMBER of damaged files of a kind, default 150]
"""

import collections
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np

from damaged import examine_all, kinds

FINE = ("refused", "made anew", "read")


def main(folder: Path, number: int) -> None:
    generator = np.random.default_rng(0)
    found = []
    for kind in kinds(folder):
        mine = list(examine_all(kind, generator, number))
        print(f"{kind.name}:", dict(collections.Counter(each.outcome for each in mine)), flush=True)
        for each in mine:
            if each.outcome not in FINE or each.seconds > 10:
                print(
                    f"  {each.damage}: {each.outcome}: {each.message[:300]} ({each.seconds:.1f} s)"
                )
        found += mine
        if "-v" in sys.argv:
            messages = {each.message.replace(str(folder), "")[:250]: each for each in mine}
            for message, each in list(messages.items())[:12]:
                print(f"    {each.damage}: {message}")
    wrong = sum(each.outcome not in FINE for each in found)
    print(f"{len(found)} files, {wrong} wrong, slowest {max(each.seconds for each in found):.1f} s")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(Path(place), int(sys.argv[1]) if len(sys.argv) > 1 else 150)
