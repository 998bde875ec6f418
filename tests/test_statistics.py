"""What is printed after "±": half of an interval that covers the truth in 68 of 100 repetitions."""

import numpy as np
import pytest

from hiflow._statistics import Part, Pooled, half_width, mean_of, mean_over, part_of

REPETITIONS = 700
# Three standard errors of a share over that many repetitions, about the 64 to 72 % that are promised.
LOW, HIGH = 0.64 - 0.035, 0.72 + 0.035


def covered(draw, truth=0.0):
    """How often the interval that `draw(generator)` estimates holds the truth."""
    generator = np.random.default_rng(0)
    found = [draw(generator) for _ in range(REPETITIONS)]
    return np.mean([abs(each.value - truth) < each.error for each in found])


@pytest.mark.parametrize("number", [1, 2, 3, 10])
@pytest.mark.parametrize(
    "spreads", [(0.0, 1.0, 0.3), (0.1, 1.0, 0.3), (1.0, 1.0, 0.3), (0.1, 0.1, 1.0)]
)
def test_seeds_that_share_their_points_are_covered(number, spreads):
    """Spreads of the seeds, of the points and of what is left."""

    def draw(generator):
        seeds, points, rest = (
            spread * generator.normal(size=shape)
            for spread, shape in zip(spreads, [(number, 1), (1, 40), (number, 40)], strict=True)
        )
        return mean_over(list(seeds * (number > 1) + points + rest), [0] * number)

    assert LOW < covered(draw) < HIGH


@pytest.mark.parametrize("number", [2, 3, 10])
def test_seeds_with_points_of_their_own_are_covered(number):
    def draw(generator):
        seeds = 0.2 * generator.normal(size=(number, 1)) + generator.normal(size=(number, 40))
        return mean_over(list(seeds), list(range(number)))

    assert LOW < covered(draw) < HIGH


@pytest.mark.parametrize("taken", [12, 30, 40])
@pytest.mark.parametrize("number", [2, 5])
def test_seeds_that_take_their_points_from_one_pool_are_covered(number, taken):
    """Some, most or all of 40, each seed in an order of its own."""

    def draw(generator):
        pool = generator.normal(size=40)
        rows = [generator.permutation(40)[:taken] for _ in range(number)]
        values = [pool[row] + 0.2 * generator.normal(size=taken) for row in rows]
        return mean_over(values, list(range(number)), origins=rows)

    assert LOW < covered(draw) < HIGH


def test_the_same_points_in_another_order_are_the_same_points():
    generator = np.random.default_rng(0)
    values = generator.normal(size=30) + 0.2 * generator.normal(size=(2, 30))
    order = generator.permutation(30)
    rows = [np.arange(30), order]
    found = mean_over([values[0], values[1][order]], [0, 1], origins=rows)
    np.testing.assert_allclose(found, mean_over(list(values), [0, 0]))


@pytest.mark.parametrize("chains", [3, 12])
@pytest.mark.parametrize("number", [1, 3])
def test_correlated_points_are_covered(chains, number):
    """Chains of unequal length, whose points have much in common."""

    def draw(generator):
        labels = np.repeat(np.arange(chains), generator.integers(5, 40, chains))
        common = generator.normal(size=chains)[labels] + 0.3 * generator.normal(size=len(labels))
        own = 0.3 * generator.normal(size=(number, len(labels)))
        return mean_over(list(common + own), [0] * number, [labels] * number)

    assert LOW < covered(draw) < HIGH


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_level_that_all_seeds_share_is_covered(number):
    """The mean of many other values added to all: as the energy's is to a controlled NLL."""

    def draw(generator):
        many = generator.normal(size=400)
        points = 0.3 * generator.normal(size=(1, 40)) + 0.1 * generator.normal(size=(number, 40))
        return mean_over(list(points + many.mean()), [0] * number, also=[part_of(many)])

    assert LOW < covered(draw) < HIGH


@pytest.mark.parametrize("slope", [0.7, 1.0, 1.3])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_level_of_other_points_of_the_pool_is_covered(number, slope):
    """As of controlled NLLs: what is held out is off by what is left, and that is other seeds' too."""

    def draw(generator):
        pool = generator.normal(size=60)
        rows = [generator.permutation(60) for _ in range(number)]
        held, left = [row[:15] for row in rows], [row[15:] for row in rows]
        levels = [Pooled(pool[row], row) for row in left]
        values = [
            (slope - 1) * pool[row] + level.values.mean()
            for row, level in zip(held, levels, strict=True)
        ]
        also = [part_of(levels[0].values)] if number == 1 else []
        return mean_over(values, list(range(number)), None, also, held, levels)

    assert LOW < covered(draw) < HIGH


def test_many_independent_values_have_their_standard_error():
    values = np.random.default_rng(0).normal(size=4_000)
    found = mean_of(values)
    np.testing.assert_allclose(found.value, values.mean())
    np.testing.assert_allclose(found.error, values.std(ddof=1) / np.sqrt(4_000), rtol=1e-3)


def test_copies_of_points_are_no_new_points():
    values = np.random.default_rng(0).normal(size=30)
    copies, labels = np.repeat(values, 9), np.repeat(np.arange(30), 9)
    np.testing.assert_allclose(mean_of(copies, labels), mean_of(values))


def test_equal_seeds_are_one_seed():
    values = np.random.default_rng(0).normal(size=30)
    np.testing.assert_allclose(mean_over([values] * 3, [0] * 3), mean_of(values))


def test_a_single_value_or_chain_has_no_error():
    assert mean_of(np.ones(1)).error == np.inf
    chain, values = np.zeros(5), np.arange(5.0)
    assert mean_of(values, chain).error == np.inf
    assert mean_over([values, values + 1], [0, 1], [chain] * 2, (), [chain] * 2).error == np.inf
    left = [Pooled(values, chain), Pooled(values, chain)]
    one, other = np.full(5, 1), np.full(5, 2)
    assert mean_over([values, values + 1], [0, 1], None, (), [one, other]).error < np.inf
    assert mean_over([values, values + 1], [0, 1], None, (), [one, other], left).error == np.inf


def test_independent_parts_add_up_and_few_degrees_widen():
    parts = [Part(9.0, 1e9), Part(16.0, 1e9)]
    np.testing.assert_allclose(half_width(parts), 5, rtol=1e-6)
    # Student's quantile at 84.1 % with one degree of freedom: tan(π/2 · 0.683).
    np.testing.assert_allclose(half_width([Part(1.0, 1)]), np.tan(np.pi / 2 * 0.6826895), rtol=1e-5)
    assert half_width([]) == 0
