"""What a file may name, and whose trust it takes beyond."""

import pickle
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow import _disk, energies

OWN = """
import equinox as eqx, jax, hiflow as hf
from timeit import timeit

class Shear(hf.networks.AbstractVelocityField):
    matrix: jax.Array
    group: hf.groups.AbstractGroup = eqx.field(default_factory=hf.groups.Trivial)

    @property
    def event_shape(self):
        return self.matrix.shape[:1]

    def __call__(self, t, x):
        return self.matrix @ x

def well(x):
    return (x**4).sum()
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of a user's own, with a network and a function."""
    (tmp_path / "my_own_package.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import my_own_package  # pyright: ignore[reportMissingImports]

    yield my_own_package
    del sys.modules["my_own_package"]


@pytest.fixture
def file(own, tmp_path):
    flow = hf.Flow(hf.priors.Normal(2), own.Shear(jnp.array([[0.1, 1.0], [0.0, -0.2]])))
    flow.save(tmp_path / "own.hiflow")
    return tmp_path / "own.hiflow"


def test_a_users_own_class_loads_by_trust_alone(file):
    with pytest.raises(ValueError, match=r"trust=\('my_own_package',\).*--trust my_own_package"):
        hf.load(file)
    with pytest.raises(ValueError, match="neither hiflow"):
        hf.load(file, trust=("my_own", "own_package", "my_own_package.inner"))
    flow = hf.load(file, trust=("my_own_package",))
    x = jnp.array([[0.5, -1.0]])
    np.testing.assert_allclose(flow.log_prob(x).shape, (1,))
    with _disk.trusting("my_own_package"):
        assert eqx.tree_equal(hf.load(file), flow)


def test_trust_is_of_what_a_package_defines_not_of_what_it_imports(own, tmp_path):
    energies.save(energies.FunctionEnergy(own.well, (2,)), tmp_path / "well.hiflow")
    loaded = energies.load(tmp_path / "well.hiflow", trust=("my_own_package",))
    assert loaded(jnp.ones(2)) == 2
    with _disk.trusting("my_own_package"), pytest.raises(ValueError, match="timeit defines"):
        energies.FunctionEnergy("my_own_package:timeit", (2,))


@pytest.mark.parametrize("trust", [("os.system()",), ("",), ("a b",)])
def test_trust_holds_names_of_packages(file, trust):
    with pytest.raises(ValueError, match="`trust` must hold names of packages"):
        hf.load(file, trust=trust)


def test_a_configuration_names_functions_of_trusted_packages(own):
    with _disk.trusting(), pytest.raises(ValueError, match="--trust my_own_package"):
        energies.FunctionEnergy("my_own_package:well", (2,))
    with _disk.trusting("my_own_package"):
        assert energies.FunctionEnergy("my_own_package:well", (2,))(jnp.ones(2)) == 2
    # What Python code itself names is its own affair.
    assert energies.FunctionEnergy("my_own_package:well", (2,))(jnp.ones(2)) == 2


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_weights_of_any_precision_come_back_bit_for_bit(tmp_path, dtype):
    network = hf.networks.MLP(2, 8, 2, key=jax.random.key(0))
    cast = jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_array(leaf) else leaf, network)
    hf.Flow(hf.priors.Normal(2), cast).save(tmp_path / "flow.hiflow")
    back = hf.load(tmp_path / "flow.hiflow").network
    assert eqx.tree_equal(back, cast)
    assert isinstance(back, hf.networks.MLP)
    assert back.layers[0].weight.dtype == dtype


def test_double_precision_is_kept_in_double_precision_and_said_to_be_rounded_in_single(tmp_path):
    with jax.enable_x64(True):
        network = hf.networks.MLP(2, 8, 2, key=jax.random.key(0))
        hf.Flow(hf.priors.Normal(2), network).save(tmp_path / "flow.hiflow")
        assert eqx.tree_equal(hf.load(tmp_path / "flow.hiflow").network, network)
    with pytest.warns(UserWarning, match="double precision.*rounded"):
        back = hf.load(tmp_path / "flow.hiflow").network
    assert isinstance(back, hf.networks.MLP)
    assert back.layers[0].weight.dtype == jnp.float32


def test_nan_is_neither_written_nor_read(tmp_path):
    network = hf.networks.MLP(2, 8, 1, key=jax.random.key(0))
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan if eqx.is_array(leaf) else leaf, network)
    with pytest.raises(ValueError, match=r"root\.network\.layers\[0\]\.weight holds NaN"):
        hf.Flow(hf.priors.Normal(2), broken).save(tmp_path / "flow.hiflow")
    assert list(tmp_path.iterdir()) == []


def test_content_that_is_not_that_of_its_checksum_is_refused(tmp_path):
    hf.Flow(hf.priors.Normal(2), hf.networks.MLP(2, 8, 1, key=jax.random.key(0))).save(
        tmp_path / "flow.hiflow"
    )
    with np.load(tmp_path / "flow.hiflow") as stored:
        arrays = dict(stored)
    # As an archive nothing is wrong with it.
    arrays["array1"] = 2 * arrays["array1"]
    _disk.write_arrays(tmp_path / "flow.hiflow", arrays)
    with pytest.raises(ValueError, match="checksum"):
        hf.load(tmp_path / "flow.hiflow")


@pytest.mark.parametrize("function", [jax.nn.silu, jax.nn.relu, jnp.tanh])
def test_functions_in_a_pickle_are_themselves(function):
    assert pickle.loads(pickle.dumps(function)) is function


SPAWNED = """
import multiprocessing
import jax, numpy as np, hiflow as hf

def scored(flow):
    return np.asarray(flow.log_prob(np.ones((2, 2), np.float32)))

if __name__ == "__main__":
    flow = hf.Flow(hf.priors.Normal(2), hf.networks.MLP(2, 8, 1, key=jax.random.key(0)))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert (pool.apply(scored, (flow,)) == scored(flow)).all()
"""


def test_a_flow_crosses_into_a_spawned_process(tmp_path):
    (tmp_path / "spawned.py").write_text(SPAWNED, encoding="utf-8")
    subprocess.run([sys.executable, "spawned.py"], cwd=tmp_path, check=True, timeout=300)
