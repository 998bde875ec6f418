# pyright: reportMissingImports=false
"""flow_matching, with and without PyTorch's compiler."""

from typing import Any

import torch
from flow_matching.path import AffineProbPath
from flow_matching.path.scheduler import CondOTScheduler
from flow_matching.solver import ODESolver

from _peers import problem
from _peers.problem import Sizes
from _peers.torch_network import Network, facts, training


def step(sizes: Sizes, compiled: bool = False) -> Any:
    """The loop of its examples, and what hiflow does beyond."""
    network, path = Network(problem.initial_weights()), AffineProbPath(scheduler=CondOTScheduler())
    field: Any = torch.compile(network) if compiled else network

    def interpolated(x0: Any, x1: Any) -> Any:
        found = path.sample(t=torch.rand(len(x1)), x_0=x0, x_1=x1)
        return found.t, found.x_t, found.dx_t

    said = facts(network, sizes)
    return training(field, interpolated, sizes), said


def compiled_step(sizes: Sizes) -> Any:
    """The same with the network compiled."""
    return step(sizes, compiled=True)


def _solver(weights: problem.Weights) -> ODESolver:
    network = Network(weights)
    return ODESolver(velocity_model=lambda x, t: network(t, x))


def sample(sizes: Sizes) -> Any:
    """`dopri5` to a tolerance of 1e-4, one step size for the batch."""
    weights, start, end = problem.trained(sizes)
    solver, x0 = _solver(weights), torch.tensor(start)

    def run() -> Any:
        return solver.sample(x0, None, method="dopri5", atol=1e-4, rtol=1e-4)

    said = {"parameters": problem.count(weights), "error": problem.error(end, run().numpy())}
    return (lambda: run() is None), said


def likelihood(sizes: Sizes, exact: bool = True) -> Any:
    """Midpoint steps and the exact divergence."""
    weights, _, _ = problem.trained(sizes)
    solver, x1 = _solver(weights), torch.tensor(problem.points(sizes["points"]))

    def normal(x: Any) -> Any:
        return -(x**2).sum(1) / 2 - problem.DIM / 2 * torch.log(torch.tensor(2 * torch.pi))

    def run() -> Any:
        return solver.compute_likelihood(
            x1, normal, 1 / sizes["steps"], method="midpoint", exact_divergence=exact
        )[1]

    name = "log_prob" if exact else "noisy_log_prob"
    said = {"parameters": problem.count(weights), name: float(run().mean())}
    return (lambda: run() is None), said


def hutchinson(sizes: Sizes) -> Any:
    """The same with one probe per point."""
    return likelihood(sizes, exact=False)


VARIANTS = {
    "step": step,
    "compiled_step": compiled_step,
    "sample": sample,
    "likelihood": likelihood,
    "hutchinson": hutchinson,
}
