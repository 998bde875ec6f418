# pyright: reportMissingImports=false
"""torchcfm (and POT, which it pairs by)."""

from typing import Any

import numpy as np
import ot as pot
from torchcfm.conditional_flow_matching import (
    ConditionalFlowMatcher,
    ExactOptimalTransportConditionalFlowMatcher,
)

from _peers import problem
from _peers.problem import Sizes
from _peers.torch_network import Network, facts, training


def step(sizes: Sizes, matcher: Any = ConditionalFlowMatcher, full: bool = True) -> Any:
    """The loop of its tutorials, and what hiflow does beyond."""
    network = Network(problem.initial_weights())
    interpolated = matcher(sigma=0.0).sample_location_and_conditional_flow
    said = facts(network, sizes)
    return training(network, interpolated, sizes, full), said


def bare_step(sizes: Sizes) -> Any:
    """The loop of its tutorials: Adam alone."""
    return step(sizes, full=False)


def ot_step(sizes: Sizes) -> Any:
    """With its exact minibatch optimal transport."""
    return step(sizes, ExactOptimalTransportConditionalFlowMatcher)


def ot(sizes: Sizes) -> Any:
    """POT's distances and exact plan, of which the pairs are read off."""
    x0, x1 = (problem.clusters(13, sizes["batch"], s).reshape(-1, 39) for s in (4, 5))
    uniform = pot.unif(sizes["batch"])

    def pair() -> np.ndarray:
        plan = pot.emd(uniform, uniform, pot.dist(x1, x0))
        return x0[np.asarray(plan).argmax(1)]

    return (lambda: pair() is None), {"cost": float(np.sum((pair() - x1) ** 2))}


VARIANTS = {"step": step, "bare_step": bare_step, "ot_step": ot_step, "ot": ot}
