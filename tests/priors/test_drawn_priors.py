"""Priors that are known by their draws alone: the law of the draws, and flows from data to data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow import groups, priors

POINTS = jnp.array([[0.0, 1.0], [2.0, 3.0], [-1.0, 0.5]])
KEY = jax.random.key(0)


def drawn(prior, number=3000):
    return np.asarray(jax.vmap(prior.sample)(jax.random.split(KEY, number)))


def uniform(key):
    return jax.random.uniform(key, (2,))


def test_draws_are_the_points_equally_often():
    found, times = np.unique(drawn(priors.EmpiricalPrior(POINTS)), axis=0, return_counts=True)
    np.testing.assert_array_equal(found, np.unique(np.asarray(POINTS), axis=0))
    assert (np.abs(times - 1000) < 6 * np.sqrt(1000 * 2 / 3)).all()


def test_with_a_group_draws_are_spread_over_the_orbits_of_the_points():
    x = drawn(priors.EmpiricalPrior(POINTS, group=groups.Rotation(2)))
    radii = np.linalg.norm(np.asarray(POINTS), axis=1)
    nearest = np.abs(np.linalg.norm(x, axis=1)[:, None] - radii).min(1)
    assert nearest.max() < 1e-5
    turned = np.exp(1j * np.angle(x[:, 0] + 1j * x[:, 1]))
    assert np.abs(turned.mean()) < 6 / np.sqrt(len(x))


def test_points_of_particles_must_be_centred():
    group = groups.Product((groups.Permutation(), groups.Translation()))
    x = jax.random.normal(KEY, (5, 3, 2))
    with pytest.raises(ValueError, match="Centre them first"):
        priors.EmpiricalPrior(x, group=group)
    prior = priors.EmpiricalPrior(jax.vmap(group.project)(x), group=group)
    hf.testing.check_prior(prior, samples=500)
    np.testing.assert_allclose(drawn(prior, 10).mean(1), 0, atol=1e-5)


@pytest.mark.parametrize(
    "points", [[], [1.0, 2.0], 3.0, np.zeros((0, 2)), np.zeros((3, 0)), [[np.nan, 0.0], [1.0, 2.0]]]
)
def test_what_are_no_points_is_refused(points):
    with pytest.raises(ValueError, match="EmpiricalPrior: `points`"):
        priors.EmpiricalPrior(points)


def test_a_function_is_taken_at_its_word_and_checked():
    known = priors.FunctionPrior(uniform, 2, lambda x: -jnp.sum(x**2) / 2 - jnp.log(2 * jnp.pi))
    assert priors.has_density(known)
    assert not priors.has_density(priors.FunctionPrior(uniform, 2))
    np.testing.assert_allclose(known.log_prob(jnp.ones(2)), -1 - np.log(2 * np.pi), rtol=1e-6)
    with pytest.raises(hf.testing.BrokenLawsError, match="samples have the density's moments"):
        hf.testing.check_prior(known, samples=1000)
    for sampler, density in [
        (lambda key: jnp.zeros(3), None),
        (lambda key: 0.5, None),
        (lambda key: jnp.zeros(2, int), None),
        (uniform, lambda x: x),
    ]:
        with pytest.raises(ValueError, match=r"FunctionPrior: `(sampler|log_density)` must"):
            priors.FunctionPrior(sampler, 2, density)


class SaysSymmetric(priors.AbstractPrior):
    """Declares a symmetry that its draws don't have."""

    group = groups.Rotation(2)
    event_shape = (2,)
    has_density = False

    def sample(self, key):
        return jnp.array([2.0, 0.3]) * jax.random.normal(key, (2,))

    def log_prob(self, x):
        raise ValueError("none")


def test_a_symmetry_that_the_draws_lack_is_refused():
    with pytest.raises(hf.testing.BrokenLawsError, match="same moments"):
        hf.testing.check_prior(SaysSymmetric(), samples=1000)
    data = jax.random.normal(KEY, (20, 2))
    with pytest.raises(ValueError, match="not invariant under Rotation"):
        hf.fit("mlp", "optimal-transport", data, prior=SaysSymmetric(), energy="ring", key=KEY)


@pytest.fixture(scope="module")
def trained():
    """From one law in the plane to another, pairs by optimal transport, with its history."""
    source = 0.3 * jax.random.normal(KEY, (200, 2)) + jnp.array([4.0, 0.0])
    data = 0.3 * jax.random.normal(jax.random.key(1), (260, 2))
    history = hf.History()
    network = {"name": "mlp", "width": 32, "depth": 2}
    flow = hf.fit(
        network, "optimal-transport", data[:200], prior=priors.EmpiricalPrior(source), key=KEY,
        coupling="minibatch-ot", validation=data[200:], validate_at=100, steps=200, batch_size=64,
        history=history, learning_rate=3e-3, progress=False,
    )  # fmt: skip
    return flow, source, data, history


def test_a_flow_goes_from_data_to_data_and_back(trained):
    flow, source, data, _ = trained
    x = flow.sample(KEY, 200)
    np.testing.assert_allclose(x.mean(0), data.mean(0), atol=0.15)
    np.testing.assert_allclose(flow.pull(flow.push(source[:5])), source[:5], atol=0.02)
    way = flow.trajectory(KEY, 4, [0.0, 1.0])
    gaps = jnp.linalg.norm(way[:, 0, None] - source[None], axis=-1).min(1)
    np.testing.assert_allclose(gaps, 0, atol=1e-6)


def test_validation_tells_the_distance_of_samples(trained):
    flow, _, data, history = trained
    rows = history.validations
    assert [row["step"] for row in rows] == [100, 200]
    assert "nll" not in rows[0]
    found = hf.metrics.held_out_score(flow, data[200:])
    assert isinstance(found, hf.metrics.SampleDistance)
    assert rows[-1]["distance"] == pytest.approx(found.distance, abs=1e-3)
    assert found.distance < 4 * found.distance_floor < 1


@pytest.mark.parametrize(
    ("what", "ask"),
    [
        ("log_prob", lambda flow, x: flow.log_prob(x)),
        ("sample_and_log_prob", lambda flow, x: flow.sample_and_log_prob(KEY, 2)),
        ("log_prob", lambda flow, x: hf.metrics.negative_log_likelihood(flow, x)),
        (
            "sample_and_log_prob",
            lambda flow, x: hf.metrics.importance_sample(flow, hf.energies.Ring(), key=KEY, size=4),
        ),
        ("finish", lambda flow, x: hf.finish(flow, x, validation=x, key=KEY)),
    ],
)
def test_densities_are_refused_with_what_to_do(trained, what, ask):
    with pytest.raises(ValueError, match=rf"^{what}: .*draws alone.*pull.*wasserstein"):
        ask(trained[0], trained[2][:2])


@pytest.mark.parametrize("asked", [{"patience": 2}, {"keep": "best"}])
def test_choosing_by_likelihood_is_refused(asked):
    x = jax.random.normal(KEY, (20, 2))
    with pytest.raises(ValueError, match="judges by the NLL"):
        hf.fit(
            "mlp", "optimal-transport", x, prior=priors.EmpiricalPrior(POINTS), key=KEY,
            validation=x, validate_at=1, **asked,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("variance-exploding", "only comes close to its start"),
        (hf.paths.Langevin("ring", noise="prior"), "isn't normal with mean 0"),
    ],
)
def test_paths_that_need_a_normal_start_are_refused(path, words):
    x = jax.random.normal(KEY, (20, 2))
    prior = priors.EmpiricalPrior(jax.random.normal(KEY, (500, 2)), group=groups.Rotation(2))
    with pytest.raises(ValueError, match=words):
        hf.fit("mlp", path, x, prior=prior, key=KEY, steps=1)


def test_paths_are_checked_by_their_draws():
    prior = priors.EmpiricalPrior(POINTS)
    assert "start" in hf.testing.check_path(hf.paths.OptimalTransport(), prior=prior)
    with pytest.raises(ValueError, match="check_coupling: `prior`"):
        hf.testing.check_coupling(hf.couplings.MinibatchOT(), prior=prior)


def test_the_points_travel_with_a_saved_flow(trained, tmp_path):
    flow = trained[0]
    flow.save(tmp_path / "a.flow")
    again = hf.load(tmp_path / "a.flow")
    np.testing.assert_array_equal(again.sample(KEY, 3), flow.sample(KEY, 3))
