# pyright: reportMissingImports=false
"""The common network in PyTorch, and the training loop around its libraries."""

import time
from typing import Any

import numpy as np
import torch

from _peers import problem
from _peers.problem import Sizes

torch.set_num_threads(1)


class Network(torch.nn.Module):
    """Of a batch of points and times (or one time for all)."""

    def __init__(self, weights: problem.Weights):
        super().__init__()
        self.layers = torch.nn.ModuleList()
        for matrix, bias in weights:
            linear = torch.nn.Linear(matrix.shape[1], matrix.shape[0])
            linear.weight.data, linear.bias.data = torch.tensor(matrix), torch.tensor(bias)
            self.layers.append(linear)
        self.register_buffer("k", torch.pi * torch.arange(1, 5))

    def forward(self, t: Any, x: Any) -> Any:
        t = t.expand(x.shape[0])[:, None]
        y = torch.cat([x, 2 * t - 1, torch.cos(self.k * t), torch.sin(self.k * t)], dim=1)
        *hidden, last = self.layers
        for layer in hidden:
            y = torch.nn.functional.silu(layer(y))
        return last(y)


def facts(network: Network, sizes: Sizes) -> dict[str, float]:
    """Its size, and a number of it that all libraries agree on."""

    def v(t: float, x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(torch.tensor(t), torch.tensor(x)).numpy()

    count = sum(p.numel() for p in network.parameters())
    return {"parameters": count, "velocity": problem.probe(sizes, v)}


def training(network: Any, interpolated: Any, sizes: Sizes, full: bool = True) -> Any:
    """Adam; `full` with clipping, a schedule and an average of the weights, as hiflow has them.
    `interpolated(x0, x1)` gives times, points and targets."""
    weights = list(network.parameters())
    optimiser = torch.optim.Adam(weights, lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 10_000)
    mean = torch.optim.swa_utils.get_ema_multi_avg_fn(0.999)
    average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=mean)
    points = torch.tensor(problem.points())

    def step() -> None:
        x1 = points[torch.randint(len(points), (sizes["batch"],))]
        t, x, target = interpolated(torch.randn_like(x1), x1)
        optimiser.zero_grad()
        loss = torch.mean((network(t, x) - target) ** 2)
        loss.backward()
        if full:
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        if full:
            schedule.step()
            average.update_parameters(network)

    def run() -> dict[str, float]:
        begun = time.perf_counter()
        for _ in range(sizes["steps"]):
            step()
        return {"seconds": (time.perf_counter() - begun) / sizes["steps"]}

    return run
