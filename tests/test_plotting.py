"""What figures show: the numbers behind the curves."""

import numpy as np
import pytest

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
