"""The cost model's formulas, against XLA's count of the programs and the networks' own sizes."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import equinox as eqx
import jax
import pytest

from hiflow import networks

KEY = jax.random.key(0)
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PARTS = (
    "MLP 128×3, D = 39: forward",
    "MLP: gradient",
    "MLP: exact divergence",
    "EGNN 32×3, N = 13: forward",
    "EGNN 32×3, N = 13: gradient",
    "EGNN 32×3, N = 13: exact divergence",
    "U-Net tiny, 28×28: forward",
    "U-Net tiny, 28×28: gradient",
    "path, dense, LJ13",
    "path, dense, LJ55",
    "path, 16 modes of 64",
    "path, diagonal, D = 64",
    "Adam, clipping and average, per parameter",
)


@pytest.fixture(scope="module")
def model(monkeypatch_module: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch_module.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("cost_model")


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        yield patch


@pytest.fixture(scope="module")
def parts(model: ModuleType) -> dict:
    return {part.name: part for part in model.parts()}


@pytest.fixture(scope="module")
def cost(model: ModuleType) -> ModuleType:
    return importlib.import_module("_cost")


@pytest.mark.parametrize("name", PARTS)
def test_operations_are_those_that_xla_counts(model, parts, name):
    part = parts[name]
    assert model.counted(part) == pytest.approx(part.formula, rel=0.05)


def test_labels_keep_a_dimension_of_the_divergence_below_a_third_of_a_forward_pass(model):
    chain = [(i, i + 1) for i in range(21)]
    more = {"species": range(22), "bonds": chain, "reflections": False}
    network = networks.EGNN(22, 3, 32, 3, **more, key=KEY)
    x = jax.random.normal(KEY, (2, 22, 3))
    forward, _, divergence = (
        model.counted(model.Part("", 0, program, (network, x[:, 0, 0], x), 2))
        for program in model._programs(network)
    )
    assert divergence / forward < 0.3 * 66


def _size(network: eqx.Module) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array)))


def test_parameters_are_those_of_the_networks(cost):
    assert cost.mlp_parameters(39, 128, 3) == _size(networks.MLP(39, 128, 3, key=KEY))
    assert cost.egnn_parameters(32, 3) == _size(networks.EGNN(5, 3, 32, 3, key=KEY))
    for size, shape in (("tiny", (28, 28, 1)), ("small", (9, 9, 3))):
        unet = networks.UNet(shape, size, key=KEY)
        assert cost.unet_parameters(shape[0], shape[2], **cost.UNETS[size]) == _size(unet)


@pytest.mark.parametrize(("name", "dim"), [("LJ13", 39), ("LJ55", 165)])
def test_anchors_take_the_bytes_of_their_arrays(cost, parts, name, dim):
    x, anchors, _ = parts[f"path, dense, {name}"].arguments
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(anchors)) / x.shape[0]
    # The end law's variance isn't held where there is none.
    assert held == cost.anchor_bytes(dim, dim - 3) - (dim - 3) * cost.FLOAT


def test_a_ring_sends_nearly_twice_the_weights(cost):
    assert cost.all_reduce_bytes(1_000, 1) == 0
    assert cost.all_reduce_bytes(1_000, 64) == pytest.approx(2 * 4_000 * 63 / 64)
