"""Every energy against its formula, written in NumPy, in double precision."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import energies

RANDOM = np.random.default_rng(0)
PLANE = RANDOM.normal(size=(6, 2)) * 1.5
SPACE = RANDOM.normal(size=(6, 3))
# On grids, so that no two particles come near a core.
CLUSTERS = 1.2 * np.argwhere(np.ones((3, 3, 3)))[:13] + 0.1 * RANDOM.normal(size=(3, 13, 3))
FLAT = 1.2 * np.argwhere(np.ones((2, 2))) + 0.1 * RANDOM.normal(size=(3, 4, 2))


def _log_normal(x, mean, covariance):
    z = np.ravel(x - mean)
    return (
        -z @ np.linalg.solve(covariance, z) / 2 - np.linalg.slogdet(2 * np.pi * covariance)[1] / 2
    )


def _mixture(x, means, covariances, weights):
    shares = np.asarray(weights) / np.sum(weights)
    parts = [
        w * np.exp(_log_normal(x, m, S)) for w, m, S in zip(shares, means, covariances, strict=True)
    ]
    return -np.log(np.sum(parts))


def _of_pairs(x, pair):
    return sum(pair(np.linalg.norm(a - b)) for a, b in itertools.combinations(x, 2))


def _lennard_jones(epsilon, r_m, trap):
    def energy(x):
        pairs = _of_pairs(x, lambda d: epsilon * ((r_m / d) ** 12 - 2 * (r_m / d) ** 6))
        return pairs + trap / 2 * np.sum((x - x.mean(0)) ** 2)

    return energy


def _chain(k_b, k_a, theta, k_t, k_r, w, length):
    def energy(x):
        total = 0.0
        for a, b in itertools.pairwise(x):
            total += k_b / (8 * length**2) * (np.sum((a - b) ** 2) - length**2) ** 2
        for a, b, c in zip(x, x[1:], x[2:], strict=False):
            cosine = (a - b) @ (c - b) / np.linalg.norm(a - b) / np.linalg.norm(c - b)
            total += k_a / 2 * (cosine - np.cos(np.radians(theta))) ** 2
        for a, b, c, d in zip(x, x[1:], x[2:], x[3:], strict=False):
            total += k_t / 2 * (1 + np.cos(3 * _dihedral(a, b, c, d)))
        for i, j in itertools.combinations(range(len(x)), 2):
            if j - i >= 3:
                total += k_r * np.exp(-np.sum((x[i] - x[j]) ** 2) / (2 * w**2))
        return total

    return energy


def _lattice(mass_squared, coupling):
    def energy(x):
        total = np.sum(mass_squared * x**2 + coupling * x**4)
        for i, j in np.ndindex(*x.shape):
            right, below = x[i, (j + 1) % len(x)], x[(i + 1) % len(x), j]
            total += (right - x[i, j]) ** 2 + (below - x[i, j]) ** 2
        return total

    return energy


def _dihedral(a, b, c, d):
    """The angle between the projections of both ends onto the plane across the middle bond."""
    axis = (c - b) / np.linalg.norm(c - b)
    left, right = a - b - ((a - b) @ axis) * axis, d - c - ((d - c) @ axis) * axis
    return np.arctan2(np.cross(axis, left) @ right, left @ right)


def _silu_network(x, energy):
    z = (x - np.asarray(energy.gaussian.mean)) / float(energy.scale)
    y = z
    for layer in energy.layers[:-1]:
        y = np.asarray(layer.weight) @ y + np.asarray(layer.bias)
        y = y / (1 + np.exp(-y))
    last = energy.layers[-1]
    return np.sum(z**2) / 2 + (np.asarray(last.weight) @ y + np.asarray(last.bias))[0]


MEAN, MEANS = np.array([1.0, -1.0]), np.array([[-1.0, 0.0], [1.0, 0.5], [0.3, -2.0]])
PRECISION = np.array([[4.0, 1.0], [1.0, 2.0]])
PRECISIONS = np.stack([PRECISION, np.eye(2), np.diag([9.0, 0.5])])
AXIS = np.array([[0.6], [0.8], [0.0]])
AXES = np.stack([AXIS, np.array([[0.0], [0.0], [1.0]])])
CENTRES = RANDOM.normal(size=(5, 3))


def _one_direction(axis, variance, noise):
    return variance * axis @ axis.T + noise * (np.eye(3) - axis @ axis.T)


# Heights, a, b, c and centres of Müller and Brown's four terms.
MULLER_BROWN = (
    (-200, -1, 0, -10, 1, 0), (-100, -1, 0, -10, 0, 0.5), (-170, -6.5, 11, -6.5, -0.5, 1.5),
    (15, 0.7, 0.6, 0.7, -1, 1),
)  # fmt: skip


def _of_muller_brown(term, x):
    A, a, b, c, x0, y0 = term
    dx, dy = x[0] - x0, x[1] - y0
    return A * np.exp(a * dx**2 + b * dx * dy + c * dy**2)


# Name: the energy, its formula, points.
ENERGIES = {
    "double well": (
        lambda: energies.DoubleWell(),
        lambda x: 3 * (x[0] ** 2 / 1.5**2 - 1) ** 2 + 5 * x[1] ** 2,
        PLANE,
    ),
    "double well, other settings": (
        lambda: energies.DoubleWell(barrier=7.0, position=0.8, stiffness=3.0),
        lambda x: 7 * (x[0] ** 2 / 0.64 - 1) ** 2 + 1.5 * x[1] ** 2,
        PLANE,
    ),
    "Muller-Brown": (
        lambda: energies.MullerBrown(temperature=12.0),
        lambda x: sum(map(_of_muller_brown, MULLER_BROWN, [x] * 4)) / 12,
        PLANE,
    ),
    "dw4": (
        lambda: energies.DoubleWellParticles.preset("dw4"),
        lambda x: _of_pairs(x, lambda d: -4 * (d - 4) ** 2 + 0.9 * (d - 4) ** 4),
        3 * FLAT,
    ),
    "double-well particles": (
        lambda: energies.DoubleWellParticles(3, dim=3, a=0.7, b=-1.0, c=0.3, d0=2.0),
        lambda x: _of_pairs(x, lambda d: 0.7 * (d - 2) - (d - 2) ** 2 + 0.3 * (d - 2) ** 4),
        CLUSTERS[:, :3],
    ),
    "lj13": (
        lambda: energies.LennardJones.preset("lj13"),
        _lennard_jones(2.0, 1.0, 1.0),
        CLUSTERS,
    ),
    "lj13-eps1": (
        lambda: energies.LennardJones.preset("lj13-eps1"),
        _lennard_jones(1.0, 1.0, 1.0),
        CLUSTERS,
    ),
    "lj55": (
        lambda: energies.LennardJones.preset("lj55"),
        _lennard_jones(2.0, 1.0, 1.0),
        1.2 * np.argwhere(np.ones((4, 4, 4)))[:55] + 0.1 * RANDOM.normal(size=(3, 55, 3)),
    ),
    "lennard-jones": (
        lambda: energies.LennardJones(4, dim=2, epsilon=0.7, r_m=1.3, trap=0.2),
        _lennard_jones(0.7, 1.3, 0.2),
        FLAT,
    ),
    "ring": (
        lambda: energies.Ring(),
        lambda x: (np.linalg.norm(x) - 2) ** 2 / (2 * 0.08**2),
        PLANE,
    ),
    "ring, other settings": (
        lambda: energies.Ring(radius=0.7, width=0.5),
        lambda x: (np.linalg.norm(x) - 0.7) ** 2 / 0.5,
        PLANE,
    ),
    "gaussian": (
        lambda: energies.Gaussian(MEAN, PRECISION),
        lambda x: (x - MEAN) @ PRECISION @ (x - MEAN) / 2,
        PLANE,
    ),
    "gaussian, diagonal": (
        lambda: energies.Gaussian(MEAN, np.array([3.0, 0.2])),
        lambda x: (3 * (x[0] - 1) ** 2 + 0.2 * (x[1] + 1) ** 2) / 2,
        PLANE,
    ),
    "gaussian, one precision": (
        lambda: energies.Gaussian(MEAN, 5.0),
        lambda x: 5 * np.sum((x - MEAN) ** 2) / 2,
        PLANE,
    ),
    "funnel": (
        lambda: energies.Funnel(3, 1.7),
        lambda x: -_log_normal(x, np.zeros(3), np.diag([1.7**2, np.exp(x[0]), np.exp(x[0])])),
        SPACE,
    ),
    "lattice": (
        lambda: energies.LatticePhi4(3, -1.2, 0.7),
        _lattice(-1.2, 0.7),
        RANDOM.normal(size=(3, 3, 3)),
    ),
    "mixture": (
        lambda: energies.GaussianMixture(MEANS, PRECISIONS, np.array([1.0, 2.0, 5.0])),
        lambda x: _mixture(x, MEANS, np.linalg.inv(PRECISIONS), [1, 2, 5]),
        PLANE,
    ),
    "mixture, one number each": (
        lambda: energies.GaussianMixture(MEANS, np.array([1.0, 4.0, 0.5])),
        lambda x: _mixture(x, MEANS, [np.eye(2), np.eye(2) / 4, np.eye(2) * 2], [1, 1, 1]),
        PLANE,
    ),
    "kernel density": (
        lambda: energies.KernelDensity(CENTRES, 0.7),
        lambda x: _mixture(x, CENTRES, [0.49 * np.eye(3)] * 5, np.ones(5)),
        SPACE,
    ),
    "kernel density, few neighbours": (
        lambda: energies.KernelDensity(CENTRES, 1.1, neighbours=2),
        lambda x: _mixture(x, CENTRES, [1.21 * np.eye(3)] * 5, np.ones(5)),
        SPACE,
    ),
    "fitted gaussian": (
        lambda: energies.FittedGaussian(CENTRES[0], AXIS, np.array([2.0]), 0.3),
        lambda x: -_log_normal(x, CENTRES[0], _one_direction(AXIS, 2.0, 0.3)),
        SPACE,
    ),
    "fitted gaussian of all directions": (
        lambda: energies.FittedGaussian(CENTRES[0], np.eye(3), np.array([2.0, 0.1, 1.0]), 9.0),
        lambda x: -_log_normal(x, CENTRES[0], np.diag([2.0, 0.1, 1.0])),
        SPACE,
    ),
    "bead chain": (
        # Bonds a hundred times as long as at rest: what they are rounded off by is 1e-8 of their square.
        lambda: energies.BeadChain(6, 1e-2, 3e-4, 5.0, 80.0, 2.0, 7.0, 0.8),
        _chain(3e-4, 5.0, 80.0, 2.0, 7.0, 0.8, 1e-2),
        RANDOM.normal(size=(3, 6, 3)),
    ),
    "fitted mixture": (
        lambda: energies.FittedMixture(
            CENTRES[:2], AXES, np.array([[1.5], [0.7]]), np.array([0.3, 0.4]), np.array([1.0, 3.0])
        ),
        lambda x: _mixture(
            x,
            CENTRES[:2],
            [_one_direction(AXES[0], 1.5, 0.3), _one_direction(AXES[1], 0.7, 0.4)],
            [1, 3],
        ),
        SPACE,
    ),
    "energy network": (
        lambda: _moved_network(),
        lambda x: _silu_network(x, _moved_network()),
        PLANE,
    ),
    "function": (
        lambda: energies.FunctionEnergy(lambda x: jnp.sum(x**4) - x[0], (2,)),
        lambda x: np.sum(x**4) - x[0],
        PLANE,
    ),
    "host": (
        energies.HostEnergy.example,
        lambda x: np.sum(x**4) + x[0] * x[1] / 2,
        PLANE,
    ),
}


def _moved_network():
    network = energies.EnergyNetwork.blank((2,), width=8, depth=2, sigma=0.7)
    return eqx.tree_at(lambda e: e.gaussian.mean, network, jnp.array([0.5, -2.0]))


@pytest.mark.parametrize("name", ENERGIES)
def test_an_energy_is_its_formula(name, x64):
    make, formula, points = ENERGIES[name]
    energy = make()
    expected = [formula(x) for x in points]
    np.testing.assert_allclose(jax.jit(jax.vmap(energy))(jnp.asarray(points)), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["lj13", "dw4", "ring"])
def test_below_the_core_an_energy_is_its_tangent_in_the_squared_distance(name, x64):
    radial, energy, core = {
        "lj13": (
            # The trap of two particles, d²/4, is its own tangent in d².
            lambda d: 2 * (d**-12 - 2 * d**-6) + d**2 / 4,
            energies.LennardJones(2, epsilon=2.0),
            0.3,
        ),
        "dw4": (
            lambda d: -4 * (d - 4) ** 2 + 0.9 * (d - 4) ** 4,
            energies.DoubleWellParticles(2),
            4e-3,
        ),
        "ring": (lambda d: (d - 2) ** 2 / 2 / 0.08**2, energies.Ring(), 2e-3),
    }[name]
    s, h = core**2, 1e-6 * core**2
    slope = (radial(np.sqrt(s + h)) - radial(np.sqrt(s - h))) / (2 * h)
    for share in (0.0, 0.3, 0.9):
        x = np.zeros(energy.event_shape)
        x.flat[0] = share * core
        expected = radial(core) + slope * (x.flat[0] ** 2 - s)
        np.testing.assert_allclose(energy(jnp.asarray(x)), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["double well", "ring, other settings", "mixture", "gaussian"])
def test_the_entropy_is_that_of_a_fine_grid(name, x64):
    make, formula, _ = ENERGIES[name]
    axis = np.linspace(-10, 10, 501)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    values = np.asarray(jax.jit(jax.vmap(make()))(jnp.asarray(grid)))
    weight = np.exp(-values) * (axis[1] - axis[0]) ** 2
    entropy = np.log(weight.sum()) + np.sum(weight * values) / weight.sum()
    np.testing.assert_allclose(make().entropy(), entropy, atol=1e-4)
    assert formula(grid[0]) == pytest.approx(values[0])


def test_the_entropy_of_a_fitted_gaussian_is_half_log_det(x64):
    covariance = _one_direction(AXIS, 2.0, 0.3)
    expected = np.linalg.slogdet(2 * np.pi * np.e * covariance)[1] / 2
    found = energies.FittedGaussian(CENTRES[0], AXIS, np.array([2.0]), 0.3).entropy()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(40, 5), (4, 5)])
def test_a_fitted_gaussian_is_the_principal_components(shape, x64):
    points = RANDOM.normal(size=shape) * np.array([3.0, 1.0, 0.5, 2.0, 0.1])
    fitted = energies.FittedGaussian.fit(points, rank=2, floor=1e-9)
    covariance = (points - points.mean(0)).T @ (points - points.mean(0)) / len(points)
    eigenvalues = np.sort(np.linalg.eigvalsh(covariance))[::-1]
    np.testing.assert_allclose(fitted.mean, points.mean(0), atol=1e-12)
    np.testing.assert_allclose(np.sort(fitted.variances)[::-1], eigenvalues[:2], rtol=1e-6)
    np.testing.assert_allclose(fitted.noise, eigenvalues[2:].mean(), rtol=1e-6)
    turned = fitted.vectors.T @ covariance @ fitted.vectors
    np.testing.assert_allclose(turned, np.diag(fitted.variances), atol=1e-9)


def test_the_floor_is_a_share_of_the_mean_variance(x64):
    points = RANDOM.normal(size=(30, 3)) * np.array([2.0, 1.0, 0.0])
    fitted = energies.FittedGaussian.fit(points, rank=2, floor=0.01)
    np.testing.assert_allclose(fitted.noise, 0.01 * points.var(0).mean(), rtol=1e-6)


def test_one_epoch_of_a_mixture_is_expectation_maximisation(x64):
    """From the same start, the second epoch's mixture is one update of the first's."""
    points = np.concatenate([RANDOM.normal(size=(30, 3)) - 1, 2 * RANDOM.normal(size=(20, 3)) + 1])
    settings = {"components": 2, "rank": 1, "key": jax.random.key(0), "batch_size": 16}
    before = energies.FittedMixture.fit(points, epochs=1, **settings)
    # The key of an epoch only says where a lost component is moved to.
    after = energies.FittedMixture.fit(points, epochs=2, **settings)
    shares = np.asarray(before.weights / before.weights.sum())
    covariances = [
        _one_direction(np.asarray(v), float(s[0]), float(n))
        for v, s, n in zip(before.vectors, before.variances, before.noises, strict=True)
    ]
    joint = np.stack(
        [
            [np.log(w) + _log_normal(x, np.asarray(m), S) for x in points]
            for w, m, S in zip(shares, before.means, covariances, strict=True)
        ]
    )
    r = np.exp(joint) / np.exp(joint).sum(0)
    means = r @ points / r.sum(1)[:, None]
    scatter = [(points - m).T * w @ (points - m) for w, m in zip(r, means, strict=True)]
    pooled = sum(scatter) / len(points)
    np.testing.assert_allclose(after.means, means, rtol=1e-6)
    np.testing.assert_allclose(after.weights / after.weights.sum(), r.sum(1) / 50, rtol=1e-6)
    for j in range(2):
        drawn = (scatter[j] + 2 * pooled) / (r[j].sum() + 2)
        eigenvalues = np.linalg.eigvalsh(drawn)
        np.testing.assert_allclose(after.variances[j, 0], eigenvalues[-1], rtol=1e-6)
        np.testing.assert_allclose(after.noises[j], eigenvalues[:-1].mean(), rtol=1e-6)


def test_the_bandwidth_has_the_largest_leave_one_out_likelihood(x64):
    points = RANDOM.normal(size=(25, 2))
    squares = ((points[:, None] - points) ** 2).sum(-1)
    np.fill_diagonal(squares, np.inf)

    def likelihood(h):
        with np.errstate(divide="ignore"):  # Far too small a bandwidth has the likelihood 0.
            return np.mean(np.log(np.exp(-squares / (2 * h**2)).sum(1) / h**2))

    found = float(energies.KernelDensity.fit(points).bandwidth)
    assert likelihood(found) > max(likelihood(0.999 * found), likelihood(1.001 * found))
    assert likelihood(found) >= max(map(likelihood, np.geomspace(0.05, 3, 60)))


def test_a_network_is_compared_with_the_gaussian_of_the_blurred_data(x64):
    """Of a network whose layers are 0 the energy is |z|²/2s², a Gaussian: both denoise linearly."""
    points = RANDOM.normal(size=(50, 2))
    network = energies.EnergyNetwork.fit(
        points, key=jax.random.key(0), width=2, depth=1, steps=1, sigma=0.8
    )
    spread = np.sqrt(((points - points.mean(0)) ** 2).mean())
    np.testing.assert_allclose(network.sigma, 0.8 * spread, rtol=1e-6)
    np.testing.assert_allclose(network.scale, spread * np.sqrt(1 + 0.64), rtol=1e-6)
    zero = eqx.tree_at(lambda e: e.layers, network, jax.tree.map(jnp.zeros_like, network.layers))
    keys = jax.random.split(jax.random.key(0), 50)
    noise = np.stack([jax.random.normal(key, (4, 2), np.float64) for key in keys])
    sigma, mean = float(network.sigma), points.mean(0)
    blurred = points[:, None] + sigma * noise
    own = sigma * (blurred - mean) / float(network.scale) ** 2 - noise
    covariance = (points - mean).T @ (points - mean) / 50 + sigma**2 * np.eye(2)
    linear = sigma * (blurred - mean) @ np.linalg.inv(covariance) - noise
    ratio = (own**2).mean() / (linear**2).mean()
    np.testing.assert_allclose(zero.held_out(points).value, ratio, rtol=1e-6)


# Müller and Brown (1979), table 1: place, energy, number of descending directions.
STATIONARY = {
    "deepest well": ([-0.558, 1.442], -146.700, 0),
    "second well": ([0.623, 0.028], -108.167, 0),
    "shallow well": ([-0.050, 0.467], -80.768, 0),
    "high saddle": ([-0.822, 0.624], -40.665, 1),
    "low saddle": ([0.212, 0.293], -72.249, 1),
}


@pytest.mark.parametrize("place", STATIONARY)
def test_muller_and_brown_has_its_wells_and_saddles(place, x64):
    energy = energies.MullerBrown(temperature=1.0)
    x, value, descending = STATIONARY[place]
    x = jnp.asarray(x)
    step = jnp.linalg.solve(energy.hessian(x), jax.grad(energy)(x))
    np.testing.assert_allclose(step, 0, atol=6e-4)  # Places have three digits.
    np.testing.assert_allclose(energy(x - step), value, atol=1e-3)
    assert np.sum(np.linalg.eigvalsh(energy.hessian(x)) < 0) == descending


def test_cold_surface_has_the_entropy_of_its_deepest_well(x64):
    """By then a Gaussian with the Hessian at the minimum."""
    energy = energies.MullerBrown(temperature=1e-5)
    x = jnp.asarray([-0.55822363, 1.44172584])
    expected = 1 + np.log(2 * np.pi) - np.log(np.linalg.det(energy.hessian(x))) / 2
    np.testing.assert_allclose(energy.entropy(), expected, atol=1e-4)
