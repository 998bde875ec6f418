"""What figures show: the numbers behind the curves."""

import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow._statistics import mean_over

figure = pytest.importorskip("matplotlib.figure")
plotting = pytest.importorskip("hiflow.plotting")


def _rows(nll, nfe):
    steps = zip((10, 20), nll, nfe, strict=True)
    # Two test points whose mean is the NLL.
    return [
        {"step": step, "nll": a, "nll_se": 0.5, "nfe": b, "log_prob": [-a - 1, -a + 1]}
        for step, a, b in steps
    ]


def _band(ax):
    """Lower and upper edge of the first band."""
    vertices = ax.collections[0].get_paths()[0].vertices
    return [[f(vertices[vertices[:, 0] == step, 1]) for step in (10, 20)] for f in (min, max)]


def test_several_seeds_are_their_mean_with_an_error_over_seeds_and_points():
    seeds = [_rows([3, 2], [20, 40]), _rows([5, 4], [30, 50]), _rows([4, 6], [40, 90])]
    left, right = plotting.learning_curves({"arm": seeds}).axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), [4, 4])
    np.testing.assert_allclose(right.lines[0].get_ydata(), [30, 60])
    # Student's quantile at 84.1 % with two degrees of freedom is 1.3213.
    error = 1.3213 * np.array([1, 2]) / np.sqrt(3)
    np.testing.assert_allclose(_band(left), [4 - error, 4 + error], rtol=1e-4)
    shared, _ = plotting.learning_curves({"arm": seeds}, same_points=True).axes
    assert np.all(np.diff(_band(shared), axis=0) > 2 * error)


def test_curves_of_seeds_on_the_same_chains_have_errors_over_these():
    values, chains = np.array([[1.0, 1.1, 3.0, 2.9], [1.2, 1.3, 3.2, 3.3]]), [0, 0, 1, 1]
    seeds = [
        [{"step": s, "nfe": 9, "log_prob": (-v).tolist(), "chains": chains} for s in (10, 20)]
        for v in values
    ]
    left, _ = plotting.learning_curves({"arm": seeds}, same_points=True).axes
    expected = mean_over(list(values), [0, 0], [np.asarray(chains)] * 2)
    np.testing.assert_allclose(np.diff(_band(left), axis=0), 2 * expected.error, rtol=1e-6)
    assert expected.error > 1.5 * mean_over(list(values), [0, 0]).error


def test_seeds_that_ended_at_other_steps_are_drawn_at_those_that_all_have():
    longer = [*_rows([3, 2], [20, 40]), {**_rows([1, 1], [70, 70])[0], "step": 30}]
    short, other = _rows([5, 4], [30, 50]), [{**row, "step": 7} for row in longer[:1]]
    for seeds in ([longer, short], [short, longer], [longer, [*other, *short]]):
        left, right = plotting.learning_curves({"arm": seeds}).axes
        np.testing.assert_allclose(left.lines[0].get_xydata(), [[10, 4], [20, 3]])
        np.testing.assert_allclose(right.lines[0].get_ydata(), [25, 45])


def test_one_seed_has_the_error_over_its_points():
    left, _ = plotting.learning_curves({"arm": [_rows([3, 2], [20, 40])]}, floor=(1, 1.5)).axes
    np.testing.assert_allclose(_band(left), [[2.5, 1.5], [3.5, 2.5]])


def test_errors_of_a_solver_are_means_of_paired_differences():
    exact = [1.0, 2.0, 3.0]
    rows = [
        {"setting": "tolerance 1e-06", "log_prob": exact, "nfe": 200},
        {"setting": "tolerance 1e-03", "log_prob": [1.1, 1.9, 3.3], "nfe": 40},
        {"setting": "8 steps", "log_prob": [0.0, 2.0, 3.0], "nfe": 49},
    ]
    adaptive, fixed = plotting.error_against_nfe({"arm": rows}).axes
    np.testing.assert_allclose(adaptive.lines[0].get_xydata(), [[40, 0.1]])
    np.testing.assert_allclose(fixed.lines[0].get_xydata(), [[49, 1 / 3]])


def _tilted():
    x = np.random.default_rng(0).normal(0, 1.3, (4_000, 2))
    log_prob = -np.sum(x**2, 1) / 2 / 1.3**2 - 2 * np.log(1.3)
    return hf.metrics.Weighted(jnp.asarray(x), np.sum(x**2, 1) / 2, log_prob)


def test_a_histogram_shows_what_was_sampled_what_it_is_worth_and_the_reference():
    energy, edges = hf.energies.Gaussian(jnp.zeros(2), jnp.ones(2)), np.linspace(-3, 3, 13)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(500, 2)))
    reference = hf.metrics.equally_weighted(x, energy)
    ax = plotting.histogram(
        _tilted(), lambda y: y[0], reference=reference, bins=edges, label="x [Å]"
    )
    shown = [patch.get_data().values for patch in ax.patches]
    np.testing.assert_allclose(shown[0], np.histogram(x[:, 0], edges, density=True)[0])
    expected = _tilted().histogram(lambda y: y[0], edges)
    np.testing.assert_allclose(shown[1], expected[0])
    np.testing.assert_allclose(shown[2], expected[1])
    assert ax.get_xlabel() == "x [Å]"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["reference", "as sampled", "reweighted"]


def test_a_number_of_bins_covers_both_sets():
    energy = hf.energies.Gaussian(jnp.zeros(2), jnp.ones(2))
    far = hf.metrics.equally_weighted(jnp.full((50, 2), 9.0), energy)
    ax = plotting.histogram(_tilted(), lambda y: y[0], reference=far, bins=20)
    edges = ax.patches[0].get_data().edges
    assert len(edges) == 21
    assert edges[0] < -3
    assert edges[-1] > 9
    with pytest.raises(ValueError, match="must be a function of one event"):
        plotting.histogram(_tilted(), np.zeros(4_000), reference=far)


def test_a_surface_is_drawn_first_observable_across_and_with_its_errors():
    edges = [np.linspace(-2, 2, 5), np.linspace(-2, 2, 4)]
    found = hf.metrics.free_energy_surface(_tilted(), lambda y: y, edges)
    here = figure.Figure().subplots()
    assert plotting.surface(found, ax=here) is here
    (mesh,) = here.collections
    np.testing.assert_allclose(mesh.get_array(), found.free_energy.T)
    (mesh,) = plotting.surface(found, error=True).collections
    np.testing.assert_allclose(mesh.get_array(), found.error.T)
    line = hf.metrics.free_energy_surface(_tilted(), lambda y: y[0], edges[:1])
    ax = plotting.surface(line, labels=("x", ""))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), line.free_energy)
