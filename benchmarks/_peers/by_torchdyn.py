# pyright: reportMissingImports=false
"""torchdyn's solver."""

from typing import Any

import torch
from torchdyn.core import NeuralODE

from _peers import problem
from _peers.problem import Sizes
from _peers.torch_network import Network


def sample(sizes: Sizes) -> Any:
    """`dopri5` to a tolerance of 1e-4, one step size for the batch."""
    weights, start, end = problem.trained(sizes)
    network, x0 = Network(weights), torch.tensor(start)

    class Field(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, t: Any, x: Any, args: Any = None) -> Any:
            del args
            return self.network(t, x)

    node = NeuralODE(Field(), solver="dopri5", sensitivity="autograd", atol=1e-4, rtol=1e-4)

    def run() -> Any:
        with torch.no_grad():
            return node.trajectory(x0, t_span=torch.linspace(0, 1, 2))[-1]

    said = {"parameters": problem.count(weights), "error": problem.error(end, run().numpy())}
    return (lambda: run() is None), said


VARIANTS = {"sample": sample}
