"""Training from points that aren't in memory is training from memory, and says what it can't do."""

from typing import Any

import equinox as eqx
import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.data import Source, as_source

KEY = jax.random.key(0)
ENERGY = hf.energies.Gaussian(jnp.array([1.0, -1.0, 0.0]), jnp.array([4.0, 2.0, 1.0]))
LINEARISED = hf.paths.Linearised(energy=ENERGY, hessian="analytic")
POINTS = np.asarray(
    jnp.array([1.0, -1.0, 0.0])
    + jax.random.normal(jax.random.key(1), (37, 3)) / jnp.sqrt(jnp.array([4.0, 2.0, 1.0]))
)


class Records:
    """A random-access source of one point at a time, in mappings."""

    def __init__(self, points, **others):
        self.points, self.others = points, others

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index: int):
        return {"x": self.points[index], **self.others}


class Increasing:
    """Rows as h5py gives them: of increasing indices, each once."""

    def __init__(self, points):
        self.points, self.shape, self.dtype = points, points.shape, points.dtype

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        assert np.all(np.diff(index) > 0)
        return self.points[index]


@pytest.fixture
def mapped(tmp_path):
    np.save(tmp_path / "points.npy", POINTS)
    return np.load(tmp_path / "points.npy", mmap_mode="r")


def train(data, path: Any = "optimal-transport", **settings):
    network = hf.networks.MLP(shape=(3,), width=8, depth=1, key=KEY)
    defaults = {"steps": 23, "batch_size": 4, "prior": hf.priors.Normal(shape=(3,)), "key": KEY}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hiflow.training._prepare.STEPS_PER_CALL", 10)
        return hf.fit(network, path, data, **{**defaults, "progress": False, **settings})


def as_grain_source(points):
    return grain.sources.SharedMemoryDataSource(list(points))


@pytest.mark.parametrize(
    "wrap",
    [
        Source,
        lambda points: Source(Increasing(points)),
        lambda points: Source(Records(points)),
        lambda points: Source(Records(points, other=1), field="x"),
        lambda points: grain.MapDataset.source(Records(points)).map(lambda record: record["x"]),
    ],
    ids=["array", "increasing", "records", "field", "grain"],
)
def test_rows_are_the_points(wrap):
    source = as_source(wrap(POINTS))
    assert source is not None
    assert (source.shape, source.dtype, len(source)) == (POINTS.shape, POINTS.dtype, len(POINTS))
    index = np.array([[7, 0, 7], [36, 3, 1]])
    np.testing.assert_array_equal(source[index], POINTS[index])
    np.testing.assert_array_equal(source[5:9], POINTS[5:9])
    np.testing.assert_array_equal(source.sample(), POINTS)
    assert len(source.sample(5)) == 5
    assert source.identity == Source(POINTS).identity
    assert source.identity != Source(POINTS[::-1]).identity


def test_arrays_in_memory_are_no_source(mapped):
    for data in (POINTS, jnp.asarray(POINTS), POINTS.tolist(), hf.data.Samples(POINTS)):
        assert as_source(data) is None
    assert as_source(mapped) is not None


def test_double_precision_is_kept_where_jax_keeps_it():
    assert Source(POINTS.astype(float)).dtype == np.float32
    with jax.enable_x64(True):
        assert Source(POINTS.astype(float)).dtype == np.float64


@pytest.mark.parametrize("coupling", ["independent", "minibatch-ot"])
@pytest.mark.parametrize("path", ["optimal-transport", LINEARISED], ids=["isotropic", "linearised"])
def test_training_from_a_source_is_training_from_memory(mapped, path, coupling, tmp_path):
    streamed = train(mapped, path, coupling=coupling, anchor_dir=tmp_path)
    assert eqx.tree_equal(streamed, train(POINTS, path, coupling=coupling))


def test_training_from_records_is_training_from_memory():
    dataset = grain.MapDataset.source(Records(POINTS)).map(lambda record: record["x"])
    assert eqx.tree_equal(train(dataset), train(POINTS))


def test_training_from_a_source_in_double_precision(x64):
    path = hf.paths.OptimalTransport()
    points, prior = POINTS.astype(float), hf.priors.Normal(shape=(3,))
    streamed = train(Source(points), path, prior=prior)
    assert eqx.tree_equal(streamed, train(points, path, prior=prior))


def test_a_resumed_run_from_a_source_is_an_uninterrupted_one_from_memory(mapped, tmp_path):
    def interrupt(row):
        if row["step"] == 13:
            raise KeyboardInterrupt

    settings = {"checkpoint_dir": tmp_path / "run", "checkpoint_every": 6}
    with pytest.raises(KeyboardInterrupt):
        train(
            mapped, validation=0.9 * POINTS[:2], validate_at=[13], callbacks=[interrupt], **settings
        )
    with pytest.raises(ValueError, match="holds another run, with other data"):
        train(Source(POINTS[::-1]), resume=True, **settings)
    assert eqx.tree_equal(train(mapped, resume=True, **settings), train(POINTS))


def test_what_has_no_random_access_is_refused():
    dataset = grain.MapDataset.source(Records(POINTS)).map(lambda record: record["x"])
    for data in (dataset.to_iter_dataset(), (x for x in POINTS)):
        with pytest.raises(TypeError, match="`rows` must have __len__ and __getitem__"):
            train(data)
    with pytest.raises(ValueError, match="`data` must be an array of floats"):
        train({"x": POINTS})


def test_records_that_are_no_points_are_refused():
    with pytest.raises(ValueError, match="say which of these is the point by `field`"):
        Source(Records(POINTS, other=1))
    with pytest.raises(ValueError, match="must be an array or a mapping that holds one"):
        Source(Records([object()]))
    with pytest.raises(ValueError, match="holds no points"):
        Source(Records([]))


def test_bad_points_of_a_source_are_refused_before_training(mapped):
    with pytest.raises(ValueError, match="`data` must have shape"):
        train(Source(POINTS[:, :2]))
    with pytest.raises(ValueError, match="`data` must be of a float type"):
        train(Source(np.zeros((3, 3), int)))
    spoilt = POINTS.copy()
    spoilt[20] = np.nan
    with pytest.raises(ValueError, match=r"`data` .*NaN"):
        train(Source(spoilt))
    with pytest.raises(ValueError, match="looks at all data points at once"):
        train(mapped, coupling="precomputed")
