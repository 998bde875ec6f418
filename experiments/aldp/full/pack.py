"""The reference set in half the room: `python pack.py aldp-300K.npz packed.npz`.

Whole numbers of 1/4096 Å: the rounding, 7e-5 Å, changes an energy by some 3e-4 kT.
"""

import sys

import numpy as np


def main(source: str, to: str) -> None:
    with np.load(source) as held:
        points, chains = held["points"], held["chains"]
    unit = np.float32(1 / 4096)
    whole = np.round(points / unit)
    assert np.abs(whole).max() < 2**15
    np.savez_compressed(to, points=whole.astype(np.int16), chains=chains.astype(np.int8), unit=unit)


if __name__ == "__main__":
    main(*sys.argv[1:])
