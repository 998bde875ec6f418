"""First mistakes: what a user gets wrong in Python is said in one line, with the argument, what it got
and what to do."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import hiflow

# Whose types know better than to be called like this.
hf: Any = hiflow

KEY = jax.random.key(0)
POINTS = jnp.asarray(np.random.default_rng(0).normal(size=(20, 2)), jnp.float32)
PRIOR = hf.priors.Normal((2,))
NETWORK = hf.networks.MLP((2,), width=8, depth=1, key=KEY)
ENERGY = hf.energies.Gaussian(jnp.zeros(2), 1.0)
FLOW = hf.Flow(PRIOR, NETWORK, "Euler", steps=2)
PLAIN = eqx.nn.MLP(3, 2, 8, 1, jax.nn.silu, key=KEY)


def fit(network: Any = "mlp", path: Any = "optimal-transport", data: Any = POINTS, **changed):
    given = {"prior": "normal", "key": KEY, "progress": False, "steps": 2, **changed}
    return hf.fit(network, path, data, **given)


class Frame:
    positions = np.zeros((1, 2))


def normal(key):
    return jax.random.normal(key, (2,))


MISTAKES = {
    "habits of other libraries": [
        (
            lambda: FLOW.sample(100),
            "sample: missing a required argument: 'size'. It needs `key` and `size`.",
        ),
        (
            lambda: hf.networks.MLP(dim=2, key=KEY),
            "MLP: missing a required argument: 'shape'. It needs `shape` and `key`.",
        ),
        (lambda: fit(prior=POINTS), "Samples are one as hiflow.priors.EmpiricalPrior(samples)."),
        (
            lambda: fit(prior=normal),
            "A sampler is one as hiflow.priors.FunctionPrior(sample, shape).",
        ),
        (lambda: fit(data=[Frame(), Frame()]), "np.stack([frame.positions for frame in frames])"),
    ],
    "a seed in place of a key": [
        (lambda: fit(key=0), "fit: `key` must be a PRNG key, got 0. Write jax.random.key(0)."),
        (lambda: FLOW.sample(0, 5), "sample: `key` must be a PRNG key, got 0"),
        (lambda: FLOW.sample_and_log_prob(3, 5), "Write jax.random.key(3)"),
        (lambda: FLOW.log_prob(POINTS, key=1), "log_prob: `key` must be a PRNG key, got 1"),
        (lambda: hf.data.sample(ENERGY, key=0, size=5), "sample: `key` must be a PRNG key"),
        (lambda: hf.networks.MLP((2,), key=0), "MLP: `key` must be a PRNG key, got 0"),
        (lambda: hf.networks.EGNN(3, 2, key=0), "EGNN: `key` must be a PRNG key"),
        (lambda: hf.networks.UNet((8, 8), key=0), "UNet: `key` must be a PRNG key"),
        (lambda: hf.data.Samples(POINTS).split(2, 0), "Samples.split: `key` must be a PRNG key"),
        (
            lambda: hf.metrics.importance_sample(FLOW, ENERGY, key=0, size=5),
            "importance_sample: `key` must be a PRNG key",
        ),
        (
            lambda: FLOW.sample(jax.random.split(KEY, 3), 5),
            "must be one PRNG key, got an array of shape (3,)",
        ),
        (lambda: FLOW.sample(np.float32(1.5), 5), "must be a PRNG key"),
        (lambda: FLOW.sample("key", 5), "must be a PRNG key, got 'key'"),
    ],
    "a size": [
        (lambda: FLOW.sample(KEY, 0), "`size` must be a whole number, at least 1, got 0"),
        (lambda: FLOW.sample(KEY, 5.0), "at least 1, got 5.0"),
        (lambda: FLOW.sample(KEY, True), "at least 1, got True"),
        (lambda: FLOW.sample(5, KEY), "`key` must be a PRNG key, got 5"),
    ],
    "points": [
        (lambda: FLOW.log_prob([1, 2]), "log_prob: `x` must be of a float type, got int32"),
        (lambda: FLOW.log_prob(jnp.ones((3, 2), int)), "must be of a float type"),
        (lambda: FLOW.log_prob(POINTS.at[4].set(jnp.nan)), "first at index 4. Remove them"),
        (lambda: FLOW.log_prob(jnp.full(2, jnp.inf)), "holds NaN or infinity"),
        (lambda: FLOW.log_prob(POINTS[:0]), "log_prob: `x` holds no points"),
        (lambda: FLOW.log_prob([[1.0, 2.0], [3.0]]), "`x` must be an array of floats"),
        (lambda: FLOW.log_prob("points.npy"), "`x` must be an array of floats, got 'points.npy'"),
        (lambda: FLOW.log_prob(None), "`x` must be an array of floats, got None"),
        (lambda: FLOW.log_prob(jnp.ones((3, 5))), "must have shape (2,) or (n, 2), got (3, 5)"),
        (lambda: FLOW.log_prob(jnp.ones((4, 3, 2))), "got (4, 3, 2)"),
        (lambda: FLOW.log_prob(1.0), "got ()"),
        (lambda: FLOW.push(jnp.ones(2)), "`x0` must have shape (n, 2), got (2,)"),
        (lambda: FLOW.pull(jnp.ones(2)), "pull: `x` must have shape (n, 2), got (2,)"),
        (
            lambda: FLOW.velocity(0.5, jnp.ones((3, 5))),
            "velocity: `x` must have shape (2,) or (n, 2)",
        ),
        (lambda: FLOW.velocity(jnp.ones(3), POINTS), "the shape (20,), one per event, got (3,)"),
        (lambda: FLOW.velocity(POINTS, 0.5), "velocity: `t` must lie in [0, 1], got "),
        (lambda: FLOW.velocity(True, POINTS), "velocity: `t` must be numbers in [0, 1], got True"),
        (
            lambda: FLOW.velocity("0.5", POINTS),
            "velocity: `t` must be numbers in [0, 1], got '0.5'",
        ),
        (lambda: fit(data="points.npy"), "`data` must be an array of floats, got 'points.npy'"),
        (lambda: fit(data=np.ones((5, 2), int)), "must be of a float type"),
        (lambda: fit(data=[[1, 2], [3, 4]]), "must be of a float type"),
        (lambda: fit(validation="test"), "`validation` must be an array of floats, got 'test'"),
        (
            lambda: hf.metrics.negative_log_likelihood(POINTS, FLOW),
            "negative_log_likelihood: `flow` must be a Flow",
        ),
        (
            lambda: hf.metrics.negative_log_likelihood(FLOW, "test.npy"),
            "negative_log_likelihood: `points` must be an array of floats",
        ),
    ],
    "times": [
        (lambda: FLOW.trajectory(KEY, 2, [0.0, 1.5]), "`times` must lie in [0, 1], got 0 to 1.5"),
        (lambda: FLOW.trajectory(KEY, 2, [1, 0]), "trajectory: `times` must not go back"),
        (lambda: FLOW.trajectory(KEY, 2, 5), "`times` must lie in [0, 1], got 5"),
        (lambda: FLOW.trajectory(KEY, 2, 0.5), "must be a list of times, got shape ()"),
        (lambda: FLOW.trajectory(KEY, 2, []), "must be a list of times, got shape (0,)"),
        (lambda: FLOW.trajectory(KEY, 2, "all"), "must be numbers in [0, 1], got 'all'"),
        (lambda: FLOW.trajectory(KEY, 2, [0.0, np.nan]), "must lie in [0, 1], got nan"),
        (lambda: FLOW.trajectory(0, 2, [1.0]), "trajectory: `key` must be a PRNG key, got 0"),
        (lambda: FLOW.velocity(None, POINTS), "`t` must be numbers in [0, 1], got None"),
    ],
    "components": [
        (lambda: fit("optimal-transport", "mlp"), "networks: no component is called 'optimal-tr"),
        (lambda: fit("optimal-transport", "mlp"), "(that is one of paths)"),
        (lambda: fit(hf.paths.OptimalTransport(), NETWORK), "which is one of paths (are two"),
        (lambda: fit(hf.networks.MLP), "the class MLP itself; make an instance, MLP(...)"),
        (lambda: fit(prior=hf.priors.Normal), "the class Normal itself"),
        (lambda: fit(path=hf.paths.OptimalTransport), "the class OptimalTransport itself"),
        (lambda: fit(PLAIN), "hiflow.networks.FromVector(network, shape)"),
        (lambda: hf.Flow(PRIOR, PLAIN), "hiflow.networks.FromVector(network, shape)"),
        (lambda: hf.Flow("normal", NETWORK), "Flow: `prior` must be an instance of AbstractPrior"),
        (lambda: hf.Flow(NETWORK, PRIOR), "which is one of networks (are two arguments swapped?)"),
        (lambda: hf.Flow(hf.priors.Normal, NETWORK), "the class Normal itself"),
        (lambda: hf.data.sample("rings", key=KEY, size=5), "did you mean 'ring'"),
        (lambda: hf.data.sample(PRIOR, key=KEY, size=5), "which is one of priors"),
        (lambda: hf.networks.FromVector(PLAIN, (3,)), "must map 4 numbers, an event of 3 and"),
        (lambda: fit(path={"name": "stable", "time": 3}), "`time`"),
    ],
    "settings": [
        (lambda: fit(optimiser=optax.adam), "call it, as optax.adam(1e-3)"),
        (lambda: fit(optimiser="adamm"), "did you mean 'adam"),
        (lambda: fit(batch=3), "unknown setting 'batch'; did you mean 'batch_size'"),
        (lambda: fit(steps=10.0), "`steps` must be at least 1 and whole; got 10.0"),
        (lambda: FLOW.log_prob(POINTS, rtol=[1]), "`rtol` must be positive and finite, a number"),
        (lambda: FLOW.log_prob(POINTS, rtl=1e-3), "did you mean 'rtol'"),
    ],
    "Hessians": [
        (
            lambda: hf.hessians.Dense()(ENERGY, POINTS),
            "`x` must have the event shape (2,), got (20, 2)",
        ),
        (
            lambda: hf.hessians.Dense().spectrum(ENERGY, jnp.ones(3)),
            "`x` must have the event shape (2,), got (3,)",
        ),
        (
            lambda: hf.hessians.Lanczos(k=1)(ENERGY, jnp.ones(3)),
            "`x` must have the event shape (2,), got (3,)",
        ),
    ],
}


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        pytest.param(*case, id=f"{kind}-{k}")
        for kind, cases in MISTAKES.items()
        for k, case in enumerate(cases)
    ],
)
def test_a_mistake_is_said_in_one_line(mistake, words):
    with pytest.raises((ValueError, TypeError, LookupError)) as raised:
        mistake()
    message = str(raised.value)
    assert words in message
    assert "\n" not in message
    assert len(message) < 600


def test_lists_samples_and_double_precision_are_points():
    expected = FLOW.log_prob(POINTS)
    for same in (POINTS.tolist(), np.asarray(POINTS, np.float64), hf.data.Samples(POINTS)):
        np.testing.assert_array_equal(FLOW.log_prob(same), expected)
    found = hf.metrics.negative_log_likelihood(FLOW, hf.data.Samples(POINTS))
    np.testing.assert_allclose(found.nll, -expected.mean(), rtol=1e-6)


FOREIGN = {
    "big-endian": np.asarray(POINTS, ">f4"),
    "big-endian-double": np.asarray(POINTS, ">f8"),
    "long": np.asarray(POINTS, np.longdouble),
}


@pytest.mark.parametrize("points", FOREIGN.values(), ids=FOREIGN)
def test_numbers_of_other_machines_are_numbers(points, tmp_path):
    expected = fit(data=POINTS, steps=2, batch_size=4).log_prob(POINTS)
    np.testing.assert_array_equal(FLOW.log_prob(points), FLOW.log_prob(POINTS))
    assert hf.data.check_virial(ENERGY, points) == hf.data.check_virial(ENERGY, POINTS)
    np.save(tmp_path / "points.npy", points)
    np.save(tmp_path / "others.npy", points + 1)
    on_disk, apart = (np.load(tmp_path / f"{n}.npy", mmap_mode="r") for n in ("points", "others"))
    for same in (points, hf.data.Samples(points), on_disk):
        flow = fit(data=same, validation=apart, steps=2, batch_size=4)
        np.testing.assert_array_equal(flow.log_prob(POINTS), expected)


def test_conditions_of_other_machines_are_conditions():
    rows = np.arange(len(POINTS)) % 2
    settings = {"data": POINTS, "steps": 2, "batch_size": 4}
    flows = [fit(**settings, condition=rows.astype(kind)) for kind in (">i8", "<i4")]
    scores = [flow.log_prob(POINTS, condition=rows) for flow in flows]
    np.testing.assert_array_equal(*scores)


MASKED = np.ma.masked_greater(np.asarray(POINTS), 0.5)


@pytest.mark.parametrize(
    "taken",
    [lambda: FLOW.log_prob(MASKED), lambda: fit(data=MASKED), lambda: hf.data.Samples(MASKED),
     lambda: hf.data.check_virial(ENERGY, MASKED)],
)  # fmt: skip
def test_what_is_masked_is_no_point(taken):
    with pytest.raises(ValueError, match=r"has masked entries\. Leave these rows out"):
        taken()
    with pytest.raises(ValueError, match="must be a number or an array of real numbers"):
        hf.energies.KernelDensity.fit(MASKED)


def test_a_density_is_compiled_by_whoever_wants():
    expected = FLOW.log_prob(POINTS)
    np.testing.assert_allclose(jax.jit(lambda x: FLOW.log_prob(x))(POINTS), expected, rtol=1e-5)
    np.testing.assert_allclose(eqx.filter_jit(FLOW.log_prob)(POINTS), expected, rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(FLOW.log_prob)(POINTS), expected, rtol=1e-5)


def test_raw_and_new_keys_are_keys():
    raw = jax.random.key_data(KEY)
    new = FLOW.sample(KEY, 3)
    np.testing.assert_array_equal(FLOW.sample(np.asarray(raw), 3), new)


def test_a_plain_network_is_wrapped(tmp_path):
    network = hf.networks.FromVector(PLAIN, (2,))
    t, x = jnp.asarray(0.3), POINTS[0]
    np.testing.assert_allclose(network(t, x), PLAIN(jnp.append(x, t)), rtol=1e-6)
    flow = fit(network, prior=PRIOR, steps=2, batch_size=4)
    assert float(jnp.abs(flow.network.network.layers[0].weight - PLAIN.layers[0].weight).max()) > 0
    flow.save(tmp_path / "flow.hiflow")
    read = hf.load(tmp_path / "flow.hiflow")
    np.testing.assert_array_equal(read.network(t, x), flow.network(t, x))
