"""What an interactive session prints of a result: a few lines, whatever it holds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.training import _progress

KEY = jax.random.key(0)
PARTICLES = hf.Flow(
    hf.priors.CentredNormal(4, 2), hf.networks.EGNN(4, 2, width=8, key=KEY), "Euler", steps=3
)
WEIGHTED = hf.metrics.Weighted(jnp.zeros((500, 2)), np.zeros(500), np.zeros(500))


def test_a_flow_says_its_parts_and_how_many_parameters_it_has():
    network = hf.networks.MLP((2,), width=8, depth=1, key=KEY)
    units = hf.Standardised(scale=jnp.array([1.0, 2.0]), shift=3.0)
    flow = hf.Flow(hf.priors.Normal((2,)), network, units=units)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(network) if hasattr(leaf, "size"))
    assert repr(flow).splitlines() == [
        f"Flow of events (2,), {parameters:,} parameters",
        "  prior    Normal(shape=(2,), scale=1, group=Trivial())",
        "  network  MLP(shape=(2,), width=8, depth=1, activation=silu, projects_on=Trivial())",
        "  solver   Solver(method=Tsit5(), rtol=0.0001, atol=0.0001, divergence=Exact())",
        "  units    Standardised(scale=[1, 2], shift=3)",
    ]
    traced = jax.eval_shape(
        lambda x: jnp.zeros(len(repr(hf.Flow(hf.priors.Normal((2,), x), network)))), 1.0
    )
    assert traced.shape[0] < 400


def test_a_component_says_the_numbers_it_was_made_with():
    ring = hf.energies.Ring(radius=2.5, width=0.08)
    assert repr(ring) == "Ring(radius=2.5, width=0.08)"
    assert "step=0.25" in repr(hf.paths.Relaxed(ring, step=0.25))
    assert repr(hf.Standardised(jnp.array([1.0, 2.0]))) == "Standardised(scale=[1, 2], shift=0)"
    assert repr(hf.Standardised(jnp.ones(500))) == "Standardised(scale=float32[500], shift=0)"
    network = hf.networks.MLP((2,), width=8, depth=1, classes=3, key=KEY)
    assert "width=8" in repr(network)
    assert "classes=3" in repr(network)


def test_components_within_components_are_laid_out_and_indented():
    path = hf.paths.Relaxed(hf.energies.Ring(), curvature=hf.spectral.Absolute(1.5))
    lines = repr(path).splitlines()
    assert lines[0] == "Relaxed("
    assert lines[-1] == ")"
    assert all(line.startswith("  ") for line in lines[1:-1])
    assert max(map(len, lines)) <= 100


def test_tables_of_arrays_are_short_too():
    class Named(hf.couplings.AbstractCoupling):
        parts: dict[str, jax.Array]

        def __call__(self, key, x0, x1):
            return x0

    parts = {"a": jnp.zeros(500), "b": jnp.ones(2)}
    assert repr(Named(parts)) == "Named(parts={'a': float32[500], 'b': [1, 1]})"


def test_a_component_of_anything_else_than_arrays_can_be_shown():
    ring = hf.energies.Ring()
    text = []
    jax.jit(lambda radius: text.append(repr(hf.energies.Ring(radius))))(1.0)
    assert text == ["Ring(radius=float32[], width=float32[])"]
    assert repr(eqx.filter(ring, lambda leaf: False)) == "Ring()"
    network = hf.networks.EGNN(4, 2, width=8, key=KEY)
    assert repr(eqx.filter(network, lambda leaf: False)).startswith("EGNN(")


@pytest.mark.parametrize(
    "result",
    [
        PARTICLES,
        WEIGHTED,
        hf.metrics.free_energy_surface(WEIGHTED, lambda x: x, [np.linspace(-1, 1, 40)] * 2),
        hf.metrics.NLL(1.0, 0.1, 30.0, 40, [1.0] * 500),
        hf.data.Samples(np.zeros((500, 2))),
    ],
    ids=lambda result: type(result).__name__,
)
def test_a_result_is_shown_in_a_few_lines(result):
    text = repr(result)
    assert len(text.splitlines()) <= 6
    assert len(text) <= 500


def test_weights_say_what_they_are_worth():
    x = jnp.zeros((4, 2))
    fair = hf.metrics.Weighted(x, np.zeros(4), np.array([0.0, 0.0, np.inf, np.inf]))
    assert repr(fair).startswith("Weighted(4 samples of shape (2,); ESS 0.5,")
    chains = hf.metrics.Weighted(x, np.zeros(4), np.zeros(4), np.array([0, 0, 1, 1]))
    assert "4 samples of 2 chains" in repr(chains)
    none = hf.metrics.Weighted(x, np.full(4, np.inf), np.zeros(4))
    assert repr(none) == "Weighted(4 samples of shape (2,), all of weight 0)"


def test_a_notebook_without_widgets_gets_a_line_and_no_warning(monkeypatch, capsys):
    pytest.importorskip("IPython", reason="needs the dev extra")
    monkeypatch.setattr(_progress, "without_widgets", lambda: True)
    with _progress.Bar(40, 0, enabled=True) as bar:
        bar.show(10, 3.0)
        bar.show(40, 0.5)
        assert bar._line is not None
        assert "training 40/40 · loss 0.5000" in repr(bar._line._shown)
    assert "ipywidgets" not in capsys.readouterr().err
