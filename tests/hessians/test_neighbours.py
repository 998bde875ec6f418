"""The covariance of a point's neighbours, by its formula, and what of it symmetry demands."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow import energies, groups, hessians
from hiflow.testing import check_hessian

pytestmark = pytest.mark.usefixtures("x64")
POINTS = np.random.default_rng(0).normal(size=(9, 3)) * [1.0, 0.3, 0.1]
FLAT = energies.FunctionEnergy(lambda x: jnp.sum(x**2), (3,))


def by_hand(points, x, neighbours, bandwidth, floor):
    def others(y):
        d = np.linalg.norm(points - y, axis=1)
        order = np.argsort(d)
        return [i for i in order if d[i] > 1e-6], d

    near, d = others(x)
    near = near[:neighbours]
    scales = [others(points[j])[1][others(points[j])[0][bandwidth - 1]] for j in near]
    weights = np.exp(-(d[near] ** 2) / (d[near[bandwidth - 1]] * np.asarray(scales)))
    weights /= weights.sum()
    mean = weights @ points[near]
    spread = sum(
        w * np.outer(p - mean, p - mean) for w, p in zip(weights, points[near], strict=True)
    )
    largest = d[near[0]] ** 2 / 9
    return largest * (spread / np.linalg.eigvalsh(spread)[-1] + floor * np.eye(3))


@pytest.mark.parametrize("x", [POINTS[4], np.array([0.2, -0.1, 0.05])], ids=["datum", "other"])
def test_it_is_the_precision_of_the_neighbours(x):
    provider = hessians.Neighbours.fit(POINTS, neighbours=5, bandwidth=2, floor=0.01)
    expected = by_hand(POINTS, x, 5, 2, 0.01)
    np.testing.assert_allclose(provider.covariance(FLAT, jnp.asarray(x)), expected, atol=1e-12)
    spectrum = provider.spectrum(FLAT, jnp.asarray(x))
    variances = np.linalg.eigvalsh(expected)
    np.testing.assert_allclose(np.sort(1 / spectrum.eigenvalues), variances, rtol=1e-8)
    operator = provider(FLAT, jnp.asarray(x)).as_matrix()
    np.testing.assert_allclose(operator @ expected, np.eye(3), atol=1e-8)


def test_a_point_is_not_its_own_neighbour():
    x = jnp.asarray(POINTS[0])
    provider = hessians.Neighbours.fit(POINTS, neighbours=4, bandwidth=2)
    without = hessians.Neighbours(POINTS[1:], provider.scales[1:], 4, 2)
    np.testing.assert_allclose(provider.covariance(FLAT, x), without.covariance(FLAT, x), rtol=1e-9)


def test_a_duplicate_counts_as_the_point_itself():
    ring, points = energies.Ring(), np.repeat(POINTS[:, :2], 2, axis=0)
    provider = hessians.Neighbours.fit(points, group=ring.group, neighbours=4, bandwidth=2)
    nearest = np.sort(
        np.abs(np.linalg.norm(POINTS[1:, :2], axis=1) - np.linalg.norm(POINTS[0, :2]))
    )[0]
    largest = np.linalg.eigvalsh(provider.covariance(ring, jnp.asarray(POINTS[0, :2])))[-1]
    # Turned to the point, others lie on its ray; the floor adds a thousandth.
    np.testing.assert_allclose(largest, nearest**2 / 9 * 1.001, rtol=1e-6)


def test_neighbours_count_however_far_other_points_are():
    """Two clusters, a hundred thousand times as far apart as points in one of them."""
    far = np.concatenate([POINTS, POINTS[::-1] + np.array([1e5, 0, 0])])
    provider = hessians.Neighbours.fit(far, neighbours=5, bandwidth=2, floor=0.01)
    expected = by_hand(POINTS, POINTS[4], 5, 2, 0.01)
    found = provider.covariance(FLAT, jnp.asarray(POINTS[4]))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("scale", [3.0, np.array([0.5, 4.0, 1.0])], ids=["scalar", "features"])
def test_of_an_energy_in_other_units_points_are_in_its_own(scale):
    """As `fit(standardise=...)` makes it: a precision there is S Γ⁻¹ S."""
    affine = energies.Affine(FLAT, scale, jnp.array([0.3, -10.0, 20.0]))
    provider = hessians.Neighbours.fit(POINTS, neighbours=5, bandwidth=2, floor=0.01)
    for x in (POINTS[4], np.array([0.2, -0.1, 0.05])):
        z = (jnp.asarray(x) - affine.shift) / affine.scale
        expected = by_hand(POINTS, x, 5, 2, 0.01) / np.multiply.outer(*[scale * np.ones(3)] * 2)
        np.testing.assert_allclose(provider.covariance(affine, z), expected, rtol=1e-6, atol=1e-9)
        twice = energies.Affine(affine, 2.0, jnp.ones(3))
        found = provider.covariance(twice, (z - 1) / 2)
        np.testing.assert_allclose(found, expected / 4, rtol=1e-6, atol=1e-9)


def test_neighbours_are_turned_to_the_point():
    energy = energies.BeadChain(4)
    points = np.random.default_rng(1).normal(size=(7, 4, 3))
    points = jax.vmap(energy.group.project)(jnp.asarray(points))
    turns = [energy.group.sample(jax.random.key(i), (4, 3)) for i in range(7)]
    turned = [energy.group.act(g, x) for g, x in zip(turns, points, strict=True)]
    x = points[0] * 1.1
    found, expected = (
        hessians.Neighbours.fit(each, group=energy.group, neighbours=5).covariance(energy, x)
        for each in (np.asarray(turned), points)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
    check_hessian(hessians.Neighbours.fit(points, group=energy.group, neighbours=5), energy)


def test_the_arm_of_an_experiment_gives_its_points():
    fitted = hf.experiments.FittedEnergies((2,), jnp.asarray(POINTS[:, :2]), seed=0)
    table = {"name": "langevin", "hessian": {"name": "neighbours", "neighbours": 4, "bandwidth": 2}}
    made = fitted.inside({"name": "displacement", "inner": table}, 6, energies.Ring())
    np.testing.assert_array_equal(made["inner"]["hessian"].points, POINTS[:6, :2])
    path = hf.paths.registry.make(made, energy=energies.Ring())
    assert bool(jnp.isfinite(path.anchor(jnp.asarray(POINTS[0, :2])).variance).all())
    blank = hf.experiments.FittedEnergies((2,)).inside(table, None, energies.Ring())
    assert blank["hessian"].neighbours == 4
    with pytest.raises(
        ValueError, match="takes no argument 'neighbour'; did you mean 'neighbours'"
    ):
        fitted.inside({"hessian": {"name": "neighbours", "neighbour": 4}}, None)
    with pytest.raises(ValueError, match=r"points.* must be left out"):
        fitted.inside({"hessian": {"name": "neighbours", "points": [1.0]}}, None)


class Mirror(groups.AbstractDiscreteGroup):
    """Aligns nothing."""

    def sample(self, key, event_shape):
        return jax.random.rademacher(key, ())

    def act(self, g, x):
        return g * x

    def inverse(self, g):
        return g

    def compose(self, g, h):
        return g * h


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: hessians.Neighbours.fit(POINTS[:8]), "at least 9 points, got 8. Lower"),
        (
            lambda: hessians.Neighbours.fit(POINTS, neighbours=4, bandwidth=5),
            "`bandwidth` one from 1",
        ),
        (lambda: hessians.Neighbours.fit(POINTS, neighbours=4, floor=0.0), "`floor` must be pos"),
        (lambda: hessians.Neighbours.fit(np.zeros((9, 3)), neighbours=4), "duplicates"),
        (lambda: hessians.Neighbours.fit(POINTS * np.nan), "NaN"),
        (
            lambda: hessians.Neighbours.fit(POINTS, group=Mirror()),
            "can't align",
        ),
        (lambda: hessians.Neighbours(POINTS, np.ones(8)), "one entry for each of the 9"),
        (
            lambda: hf.paths.Langevin("ring", hessian=hessians.Neighbours.fit(POINTS)),
            r"event shape \(3,\), and the energy's \(Ring\) is \(2,\)",
        ),
    ],
)
def test_bad_arguments_are_refused_with_the_cure(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("far", [10.0, 1e4])
def test_a_point_far_from_all_others_is_spread_alike_in_every_direction(far):
    """One neighbour has all the weight there, and a covariance of one point has no direction."""
    near = 0.01 * np.random.default_rng(0).normal(size=(60, 2))
    points = jnp.asarray(np.concatenate([near, [[far, 0.0]]]), jnp.float32)
    provider = hessians.Neighbours.fit(points)
    found = provider.covariance(energies.DoubleWell(), points[-1])
    nearest = np.min(np.sum((points[:-1] - points[-1]) ** 2, axis=1))
    np.testing.assert_allclose(found, 1.001 * nearest / 9 * np.eye(2), rtol=1e-5)
