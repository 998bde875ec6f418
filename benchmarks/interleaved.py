"""Several ways of doing the same work, timed in turn within one process, and their ratios."""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import numpy as np
from _timing import interleaved


def seconds(variants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """How long each took in every round, after one that compiles and warms up."""
    waiting = {name: partial(_waited_for, run) for name, run in variants.items()}
    return {name: np.array(taken) for name, taken in interleaved(waiting, rounds).items()}


def _waited_for(run: Callable[[], object]) -> None:
    jax.block_until_ready(run())


def ratio(times: Mapping[str, np.ndarray], one: str, other: str) -> str:
    """Time of one over time of the other: the median over rounds, and its quartiles."""
    low, middle, high = np.quantile(times[one] / times[other], (0.25, 0.5, 0.75))
    return f"{one} / {other} = {middle:.3f} ({low:.3f} to {high:.3f})"


def exponent(sizes: list[int], times: list[float]) -> float:
    """The slope of log time against log size, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
