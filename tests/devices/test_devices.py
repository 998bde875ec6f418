"""Several devices, of one process or of two: the result is that of a single device."""

import shutil

import numpy as np
import pytest
from programs import outputs, pair, start

TOGETHER = """
me = jax.process_index()
keep(f"two-processes-{me}", *trained())
keep(f"two-processes-ot-{me}", *trained(coupling="minibatch-ot"))
class Stop(Exception):
    pass
def stop(row):
    if row["step"] == 30:
        raise Stop
try:
    trained(checkpoint_dir=place / "checkpoints", callbacks=[stop])
except Stop:
    pass
try:
    hf.fit(network(), path, points + me, **common)
    refusal = "none"
except ValueError as error:
    refusal = str(error)
(place / f"refusal-{me}.txt").write_text(refusal)
class Enough:
    def see(self, moment):
        if me == 1 and moment.row["step"] == 20:
            raise hf.callbacks.Stop("process 1 has seen enough")
history = hf.History()
keep(f"stopped-{me}", *trained(callbacks=[Enough()], history=history, log_every=20))
ended = [[str(row["step"]), row.get("ended", "")] for row in history.rows]
np.savez(place / f"ended-{me}.npz", ended=np.array(ended))
half = jax.sharding.Mesh(np.array(jax.local_devices()), ("mine",))
keep(f"alone-{me}", *trained(mesh=half))
"""
FORCED = """
from jax.sharding import Mesh
devices = np.array(jax.devices())
assert len(devices) == 8
keep("one", *trained(mesh=Mesh(devices[:1], ("x",))))
keep("one-ot", *trained(mesh=Mesh(devices[:1], ("x",)), coupling="minibatch-ot"))
keep("eight", *trained())
keep("grid", *trained(mesh=Mesh(devices[:6].reshape(2, 3), ("x", "y")), shard_parameters=True,
                      shard_anchors=True))
keep("stored", *trained(anchor_dir=place / "anchors"))
keep("resumed-on-eight", *trained(checkpoint_dir=place / "for-eight", resume=True))
keep("resumed-on-one", *trained(mesh=Mesh(devices[:1], ("x",)), checkpoint_dir=place / "for-one",
                                resume=True))
flow = hf.Flow(common["prior"], network(), steps=8)
def nll(shift):
    return -flow.log_prob(points[:9] + shift).mean()
def one_by_one(shift):
    return -sum(flow.log_prob(x + shift) for x in points[:9]) / 9
zero = jnp.zeros(2)
np.savez(place / "gradient.npz", spread=jax.grad(nll)(zero), jitted=jax.jit(jax.grad(nll))(zero),
         plain=jax.grad(one_by_one)(zero))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where all programs leave their results."""
    place = tmp_path_factory.mktemp("devices")
    outputs(*pair(TOGETHER, place))
    for name in ("for-one", "for-eight"):
        shutil.copytree(place / "checkpoints", place / name)
    outputs(start(FORCED, place, devices=8))
    return place


@pytest.fixture
def results(place):
    def read(name):
        with np.load(place / f"{name}.npz") as file:
            return file["curve"], file["log_prob"]

    return read


def agree(found, expected):
    """Up to the order in which single precision adds."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["eight", "grid", "stored", "two-processes-0", "alone-1"])
def test_curves_are_those_of_one_device(results, name):
    curve, _ = results(name)
    assert curve.shape == (4, 2)
    agree(results(name), results("one"))


def test_batches_paired_in_the_background_are_those_of_one_device(results):
    agree(results("two-processes-ot-0"), results("one-ot"))


@pytest.mark.parametrize("name", ["two-processes", "two-processes-ot"])
def test_all_processes_return_the_same_flow(results, name):
    for first, second in zip(results(f"{name}-0"), results(f"{name}-1"), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_callback_that_stops_in_one_process_stops_all_at_its_step(place, results):
    for process in range(2):
        with np.load(place / f"ended-{process}.npz") as file:
            ended = file["ended"].tolist()
        assert ended == [["10", ""], ["20", "process 1 has seen enough"]]
    np.testing.assert_array_equal(results("stopped-0")[1], results("stopped-1")[1])


@pytest.mark.parametrize("devices", ["one", "eight"])
def test_a_checkpoint_of_two_processes_is_gone_on_with(results, devices):
    curve, log_prob = results(f"resumed-on-{devices}")
    whole, expected = results("one")
    agree((curve, log_prob), (whole[2:], expected))


@pytest.mark.parametrize("process", [0, 1])
def test_other_data_in_one_process_are_refused_in_all(place, process):
    refusal = (place / f"refusal-{process}.txt").read_text()
    assert "`data` of process 1 isn't that of process 0" in refusal


def test_the_likelihood_has_its_gradient_on_several_devices(place):
    with np.load(place / "gradient.npz") as found:
        np.testing.assert_allclose(found["spread"], found["plain"], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found["jitted"], found["plain"], rtol=1e-4, atol=1e-6)
