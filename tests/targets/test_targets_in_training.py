"""What `fit` makes of a target: the same step as before, refusals, anchors with forces."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow import energies, priors

ENERGY = energies.GaussianMixture(jnp.array([[-1.0, 0.0], [1.0, 0.5]]), jnp.array([3.0, 5.0]))
NORMAL = priors.Normal(2)
POINTS = jax.vmap(ENERGY.sample)(jax.random.split(jax.random.key(0), 64))
BRIDGE = {"name": "bridge", "width": 0.2}
JITTERED = {"name": "jittered", "inner": "minibatch-ot", "width": 0.3}


def trained(
    path: Any = "optimal-transport", points: Any = POINTS, energy: Any = ENERGY, steps: Any = 2,
    **settings: Any,
):  # fmt: skip
    network = {"name": "mlp", "width": 8, "depth": 1}
    flow = hf.fit(
        network, path, points, prior=NORMAL, energy=energy, key=jax.random.key(1), steps=steps,
        batch_size=8, progress=False, **settings,
    )  # fmt: skip
    return np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(flow.network)])


def test_forces_from_memory_and_from_disk_train_alike(tmp_path):
    memory = trained(target="force")
    np.testing.assert_array_equal(trained(target="force", anchor_dir=tmp_path), memory)
    assert len(list(tmp_path.glob("*/*gradient*"))) == 1
    assert not np.array_equal(trained(), memory)


def test_targets_train_where_they_are_right():
    for settings in (
        {"target": {"name": "posterior-averaged", "among": 8}},
        {"path": BRIDGE, "coupling": JITTERED, "target": "force"},
        {"path": BRIDGE, "coupling": "minibatch-ot", "time_sampler": "late"},
    ):
        assert np.isfinite(trained(**settings)).all()


@pytest.mark.filterwarnings("ignore:the data don't follow")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"energy": None}, "no `energy`"),
        ({"energy": energies.FittedGaussian.blank(2, rank=1)}, "fitted to data"),
        ({"path": {"name": "relaxed"}}, "depends on the data point"),
        ({"coupling": "minibatch-ot"}, "chooses the prior sample"),
        ({"path": BRIDGE, "coupling": "minibatch-ot"}, "chooses the prior sample"),
        ({"coupling": JITTERED}, "chooses the prior sample"),
        ({"points": 2 * POINTS}, "don't follow the energy"),
        ({"target": {"name": "force", "mean_hessian": [1.0, 2.0]}}, "mean_hessian"),
    ],
)
def test_a_biased_control_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        trained(**{"target": "force", **settings})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"path": BRIDGE}, "no density"),
        ({"coupling": "minibatch-ot"}, "independent pairs"),
        ({"target": {"name": "posterior-averaged", "budget": 10}}, "budget"),
        ({"target": {"name": "posterior-averaged", "among": 0}}, "among"),
    ],
)
def test_an_average_without_a_closed_form_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        trained(**{"target": "posterior-averaged", **settings})


def test_other_priors_and_sources_are_refused(tmp_path):
    shaped = priors.GaussianPrior(jnp.array([1.0, 4.0]), 2)
    for target in ("force", "posterior-averaged"):
        with pytest.raises(ValueError, match="normal"):
            hf.fit("mlp", "optimal-transport", POINTS, prior=shaped, energy=ENERGY, target=target,
                   key=jax.random.key(0), steps=1, progress=False)  # fmt: skip
    np.save(tmp_path / "points.npy", np.asarray(POINTS))
    source = np.load(tmp_path / "points.npy", mmap_mode="r")
    with pytest.raises(ValueError, match="source"):
        trained(points=source, target="posterior-averaged")
    with pytest.raises(ValueError, match="on disk"):
        trained(target="posterior-averaged", anchor_dir=tmp_path / "anchors")


def test_the_target_is_part_of_a_runs_identity():
    one, other = (hf.Training(target=target).identity() for target in ("plain", "force"))
    assert {name for name in one if one[name] != other[name]} == {"target"}
    assert hf.Training(target={"name": "plain"}).identity() == one


def test_draws_of_a_bridge_have_its_noise(x64):
    path = hf.paths.Bridge(width=0.3, group=hf.groups.Translation())
    anchor = path.anchor(jnp.ones((4, 2)))
    x0, t = jnp.zeros((4, 2)), jnp.asarray(0.25)
    keys = jax.random.split(jax.random.key(0), 4000)
    x = jax.vmap(lambda key: path.flow(x0, path.draw(anchor, key=key), t))(keys)
    np.testing.assert_allclose(x.mean(0), 0.25, atol=0.02)
    # A mean over 4 particles is taken out of the noise.
    np.testing.assert_allclose(jnp.var(x), (4 * 0.3 * 0.25 * 0.75) ** 2 * 3 / 4, rtol=0.05)
    np.testing.assert_allclose(x.mean(1), 0.25, atol=1e-9)


def test_jitter_is_what_the_inner_coupling_saw(x64):
    coupling = hf.couplings.Jittered("minibatch-ot", width=0.5)
    x0, x1 = jax.random.normal(jax.random.key(0), (2, 16, 2))
    key = jax.random.key(3)
    paired, xi = coupling.with_jitter(x0, x1, key)
    seen = x1 + 0.5 * xi
    again, _ = hf.couplings.MinibatchOT()(x0, seen, key)
    np.testing.assert_array_equal(paired, again)
    assert abs(float(jnp.std(xi)) - 1) < 0.3
    np.testing.assert_array_equal(coupling(x0, x1, key)[0], paired)
