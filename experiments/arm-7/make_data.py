"""Configurations of a seven-joint arm whose end effector is held near a plane, and whether the chains
that gave them agree: `python experiments/arm-7/make_data.py arm-7.npz`.
"""

import argparse

import jax

import hiflow as hf
from hiflow_robotics import SerialArm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="an .npz file, for hf.data.load and `[data] file`")
    parser.add_argument("--size", type=int, default=5_120)
    parser.add_argument("--chains", type=int, default=128)
    parser.add_argument("--thin", type=int, default=20, help="updates from one sample to the next")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    # Plain chains stay where the elbow was at their start (R-hat 1.65): replicas take them over.
    samples = hf.data.sample(
        SerialArm.preset("iiwa-7"), key=jax.random.key(given.seed), size=given.size,
        chains=given.chains, burn_in=20 * given.thin, thin=given.thin, tempering=0.1, cache=False,
    )  # fmt: skip
    samples.save(given.out)


if __name__ == "__main__":
    main()
