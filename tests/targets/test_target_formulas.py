"""Targets against their formulas, written in NumPy, and the mean Hessian against its definition."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow import couplings, energies, groups, paths, priors, targets
from hiflow.targets._mean_hessian import estimated, given, parts_of

MEANS, PRECISIONS = np.array([[-1.0, 0.0], [1.0, 0.5]]), np.array([3.0, 5.0])
NORMAL = priors.Normal(2)
KEY = jax.random.key(0)
H = np.array([[4.0, 1.0], [1.0, 9.0]])


def mixture():
    """In the precision of the test."""
    return energies.GaussianMixture(jnp.asarray(MEANS), jnp.asarray(PRECISIONS))


def bridge():
    return paths.Bridge(width=jnp.asarray(0.3))


def jittered():
    return couplings.Jittered("minibatch-ot", width=jnp.asarray(0.4))


def sampled(n):
    return jax.vmap(mixture().sample)(jax.random.split(KEY, n))


@eqx.filter_jit
def asked(target, path, pairs):
    """Points and targets of a batch of pairs."""
    return jax.vmap(lambda *pair: target(path, targets.Pair(*pair)))(*pairs)


def pairs_of(path, coupling, n, t):
    """Pairs at one time, and the path and anchors with forces."""
    target, key = targets.ForceControlled(H), KEY
    parts = targets.Parts(path, NORMAL, coupling, mixture())
    forced = target.path_for(parts)
    x1 = sampled(n)
    anchors = jax.vmap(forced.anchor)(x1)
    target = target.prepare(parts, forced, anchors)
    x0, jitter = jax.random.normal(jax.random.key(1), (n, 2)), None
    if isinstance(coupling, couplings.SupportsJitter):
        x0, jitter = coupling.with_jitter(x0, x1, jax.random.key(2))
    if isinstance(path, paths.Bridge):
        anchors = jax.vmap(lambda a, k: forced.draw(a, key=k))(anchors, jax.random.split(key, n))
    index = jnp.arange(n)
    pairs = (x0, anchors, jnp.full(n, t), index, index.astype(jnp.uint32), jitter)
    return target, forced, pairs, x1


# Name: path, coupling, and β, β̇, σ, σ̇ at t.
LEVELS = {
    "optimal transport": (
        paths.OptimalTransport,
        couplings.Independent,
        lambda t: (t, 1.0, 1 - t, -1.0),
    ),
    "cosine": (
        paths.Cosine,
        couplings.Independent,
        lambda t: (
            np.sin(np.pi * t / 2),
            np.pi / 2 * np.cos(np.pi * t / 2),
            np.cos(np.pi * t / 2),
            -np.pi / 2 * np.sin(np.pi * t / 2),
        ),
    ),
    "bridge": (
        bridge,
        couplings.Independent,
        lambda t: (t, 1.0, 1.2 * t * (1 - t), 1.2 * (1 - 2 * t)),
    ),
    "bridge, jittered pairs": (
        bridge,
        jittered,
        lambda t: (t, 1.0, 1.2 * t * (1 - t), 1.2 * (1 - 2 * t)),
    ),
}


@pytest.mark.parametrize("name", LEVELS)
def test_a_controlled_target_is_its_formula(name, x64):
    make, couple, levels = LEVELS[name]
    path, coupling, t = make(), couple(), 0.7
    target, forced, pairs, x1 = pairs_of(path, coupling, 5, t)
    x, y = asked(target, forced, pairs)
    x0, anchors, *_, jitter = pairs
    beta, beta_dot, sigma, sigma_dot = levels(t)
    own, x0 = isinstance(path, paths.Bridge), np.asarray(x0)
    epsilon = np.asarray(anchors.inner.z) if own else x0
    rest, rest_dot = ((1 - t) * x0, -x0) if own else (0, 0)
    c = -np.asarray(jax.vmap(jax.grad(mixture()))(x1)) + beta / sigma * epsilon
    spread = H + beta**2 / sigma**2 * np.eye(2)
    if jitter is not None:
        c = c + np.asarray(jitter) / 0.4
        spread = spread + np.eye(2) / 0.4**2
    A = (beta_dot - sigma_dot * beta / sigma) * np.linalg.inv(spread)
    u = beta_dot * np.asarray(x1) + sigma_dot * epsilon + rest_dot
    np.testing.assert_allclose(x, beta * np.asarray(x1) + sigma * epsilon + rest, rtol=1e-6)
    np.testing.assert_allclose(y, u + c @ A.T, rtol=1e-6, atol=1e-8)
    gain = (beta_dot - sigma_dot * beta / sigma) ** 2
    removed = gain * np.trace(np.linalg.inv(spread)) / 2
    np.testing.assert_allclose(target.removed(forced, jnp.asarray(t)), removed, rtol=1e-6)


def test_what_is_taken_out_is_that_of_optimal_transport_in_closed_form(x64):
    target = targets.ForceControlled(222.5)
    parts = targets.Parts(paths.OptimalTransport(), NORMAL, couplings.Independent(), mixture())
    forced = target.path_for(parts)
    target = target.prepare(parts, forced, None)
    for t, removed in [(0.8, 0.105), (0.9, 0.329), (0.95, 0.686), (0.99, 0.998)]:
        found = float(target.removed(forced, jnp.asarray(t)))
        assert abs(found - 1 / (t**2 + 222.5 * (1 - t) ** 2)) < 1e-9
        assert abs(found - removed) < 1e-3


def test_targets_are_finite_at_both_ends():
    for path, coupling, _ in LEVELS.values():
        for t in (0.0, 1.0):
            target, forced, pairs, _ = pairs_of(path(), coupling(), 3, t)
            assert jnp.isfinite(asked(target, forced, pairs)[1]).all()


@eqx.filter_jit
def conditionals(path, anchors, x, t):
    """Log densities and velocities of every point (columns) at every place (rows)."""
    return tuple(
        jax.vmap(lambda x, t: jax.vmap(lambda a: of(x, a, t))(anchors))(x, t)  # noqa: B023
        for of in (path.log_prob, path.velocity)
    )


def averages(log_p, u):
    """The average over the points at every place, in NumPy."""
    w = np.exp(np.asarray(log_p) - np.max(log_p, axis=1, keepdims=True))
    return np.einsum("ij,ijk->ik", w, u) / w.sum(1, keepdims=True)


@pytest.mark.parametrize(
    "make",
    [
        paths.OptimalTransport,
        lambda: paths.Langevin(mixture()),
        lambda: paths.Langevin(mixture(), noise="own"),
    ],
    ids=["isotropic", "end law", "end law with noise of its own"],
)
def test_the_average_over_all_points_is_the_marginal_velocity(make, x64):
    path, n = make(), 7
    points = sampled(n)
    anchors = jax.vmap(path.anchor)(points)
    parts = targets.Parts(path, NORMAL, couplings.Independent(), mixture())
    drawn = anchors
    if getattr(path, "noise", "") == "own":
        drawn = jax.vmap(lambda a, k: path.draw(a, key=k))(anchors, jax.random.split(KEY, n))
    # Three times of every point.
    index, t = jnp.tile(jnp.arange(n), 3), jnp.repeat(jnp.array([0.0, 0.4, 0.9]), n)
    x0 = jax.random.normal(jax.random.key(5), (3 * n, 2))
    drawn = jax.tree.map(lambda leaf: leaf[index], drawn)
    for chunk_size in (3, 100):
        target = targets.PosteriorAveraged(chunk_size=chunk_size).prepare(parts, path, anchors)
        x, v = asked(target, path, (x0, drawn, t, index, index.astype(jnp.uint32)))
        expected = averages(*conditionals(path, anchors, x, t))
        np.testing.assert_allclose(v, expected, rtol=1e-6, atol=1e-8)


def test_where_scales_are_rounded_to_zero_a_point_is_alone():
    """A rate of 200 makes them 1e-60 at t = 1/2: the velocity is the point's own, and not NaN."""
    path, points, t = paths.Stable(rate=200.0), sampled(5), jnp.full(5, 0.5)
    parts = targets.Parts(path, NORMAL, couplings.Independent(), mixture())
    target = targets.PosteriorAveraged().prepare(parts, path, points)
    x0, index = jax.random.normal(jax.random.key(5), (5, 2)), jnp.arange(5)
    pairs = (x0, points, t, index, index.astype(jnp.uint32))
    for found, own in zip(
        asked(target, path, pairs), asked(targets.Plain(), path, pairs), strict=True
    ):
        np.testing.assert_allclose(found, own, atol=1e-6)


def test_an_average_over_a_few_points_is_that_of_the_own_and_the_drawn(x64):
    """Each is the average over the own point and two that were drawn, and every such pair comes."""
    path, n = paths.OptimalTransport(), 4
    points = sampled(n)
    parts = targets.Parts(path, NORMAL, couplings.Independent(), mixture())
    target = targets.PosteriorAveraged(among=3, chunk_size=2).prepare(parts, path, points)
    draws, t = 150, 0.3
    x0 = jnp.tile(jnp.array([0.3, -0.2]), (draws, 1))
    own, seeds = jnp.ones(draws, int), jnp.arange(draws, dtype=jnp.uint32)
    x, v = asked(target, path, (x0, points[own], jnp.full(draws, t), own, seeds))
    log_p, u = (np.asarray(part) for part in conditionals(path, points, x[:1], jnp.full(1, t)))
    sets = [(1, i, j) for i in range(n) for j in range(i + 1)]
    known = {s: averages(log_p[:, s], u[:, s])[0] for s in sets}
    found = set()
    for one in np.asarray(v):
        near = [s for s, value in known.items() if np.allclose(value, one, atol=1e-9)]
        assert len(near) == 1
        found.add(near[0])
    assert found == set(sets)


def symmetric(species=None, dim=3, turned=True):
    parts = [groups.Permutation(species), groups.Translation()]
    return groups.Product((*parts, groups.Rotation(dim)) if turned else parts)


def test_a_group_says_how_much_of_the_mean_hessian_is_open():
    assert parts_of(symmetric(), (5, 3)) == 1
    assert parts_of(symmetric(("O", "H", "H", "C", "C")), (5, 3)) == 5
    assert parts_of(symmetric(turned=False), (5, 3)) == 15
    assert parts_of(groups.Trivial(), (4,)) == 4
    assert parts_of(groups.Product((groups.Rotation(3), groups.Translation())), (4, 3)) == 4


def test_the_mean_hessian_is_found_from_gradients_up_to_the_symmetry():
    """Of gradients with a known covariance M ⊗ I between atoms, two of which are alike."""
    n, species = 40_000, ("A", "B", "B")
    M = np.array([[6.0, -3.0, -3.0], [-3.0, 8.0, -5.0], [-3.0, -5.0, 8.0]])
    values, vectors = np.linalg.eigh(M)
    root = vectors * np.sqrt(np.maximum(values, 0))
    noise = np.random.default_rng(0).normal(size=(n, 3, 3))
    gradients = jnp.asarray(np.einsum("ij,njd->nid", root, noise))
    found = estimated(gradients, symmetric(species), scalar=False)
    Q = np.asarray(found.vectors)
    np.testing.assert_allclose(Q @ np.diag(found.values) @ Q.T, M, atol=0.15)
    # What the symmetry makes alike is alike to the last digit, and translations are left out.
    again = Q @ np.diag(found.values) @ Q.T
    np.testing.assert_allclose(again[1:, 1:], again[1:, 1:][::-1, ::-1], atol=1e-4)
    assert Q.shape == (3, 2)
    np.testing.assert_allclose(Q.sum(0), 0, atol=1e-5)
    number = estimated(gradients, symmetric(species), scalar=True)
    np.testing.assert_allclose(number.mean, np.trace(M) / 2, rtol=0.02)
    np.testing.assert_allclose(number.mean, found.mean, rtol=0.02)


def test_identical_particles_have_a_number(x64):
    gradients = jax.random.normal(jax.random.key(0), (50, 4, 3))
    gradients = gradients - gradients.mean(1, keepdims=True)
    found = estimated(gradients, symmetric(), scalar=False)
    assert found.values.shape == (1,)
    expected = np.mean(np.sum(np.asarray(gradients) ** 2, axis=(1, 2))) / 9
    np.testing.assert_allclose(found.mean, expected, rtol=1e-6)


def test_a_given_matrix_is_solved_on_the_free_directions(x64):
    M = np.array([[6.0, -3.0, -3.0], [-3.0, 8.0, -5.0], [-3.0, -5.0, 8.0]])
    found = given(M, symmetric(("A", "B", "B")), (3, 3))
    y = jax.random.normal(jax.random.key(0), (3, 3))
    y = y - y.mean(0)
    solved = found.solve(jnp.asarray(0.5), jnp.asarray(2.0), y)
    expected = np.linalg.solve(0.5 * M + 2 * np.eye(3), np.asarray(y))
    np.testing.assert_allclose(solved, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "matrix", [np.ones(3), np.ones((2, 2)), -np.eye(3), np.triu(np.ones((3, 3)))]
)
def test_a_matrix_of_another_shape_or_sign_is_refused(matrix):
    with pytest.raises(ValueError, match="mean_hessian"):
        given(matrix, symmetric(("A", "B", "B")), (3, 3))


@pytest.mark.parametrize("value", ["skalar", None, True, ["a"], -1.0, np.inf])
def test_what_is_no_mean_hessian_is_refused_by_name(value):
    with pytest.raises(ValueError, match="ForceControlled: `mean_hessian`"):
        targets.ForceControlled(value)


def test_a_target_that_was_not_made_ready_says_so():
    x = jnp.zeros(2)
    pair = targets.Pair(x, x, jnp.zeros(()), jnp.asarray(0), jnp.asarray(0, jnp.uint32))
    for target in (targets.ForceControlled(), targets.PosteriorAveraged()):
        with pytest.raises(ValueError, match="made ready"):
            target(hf.paths.OptimalTransport(), pair)
