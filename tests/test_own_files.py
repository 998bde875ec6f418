"""Users' own files in `[data]` and `hiflow evaluate`: chains stay together, errors are over chains, and
what can't be meant is refused before any work."""

import json
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow import experiments
from hiflow.data import Samples, SuspiciousDataWarning, _trajectory
from hiflow.data._trajectory import Trajectory
from hiflow.experiments import ConfigError
from hiflow.experiments._run_folder import resuming

CHAINS, EACH, DIM = 20, 15, 4
TOML = """
[energy]
name = "gaussian"
mean = [0.0, 0.0, 0.0, 0.0]
precision = 1.0
[data]
{data}
[network]
name = "mlp"
width = 8
depth = 1
[training]
steps = 2
batch_size = 8
[[arm]]
label = "OT-FM"
path = {{name = "optimal-transport"}}
"""


def near_copies(seed=1):
    """Chains that hardly move, one after the other."""
    rng = np.random.default_rng(seed)
    middles = np.repeat(rng.normal(size=(CHAINS, DIM)), EACH, axis=0)
    points = middles + 1e-3 * rng.normal(size=middles.shape)
    return Samples(points, np.repeat(np.arange(CHAINS), EACH))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    near_copies().save("chains.npz")
    np.save("plain.npy", np.asarray(near_copies()))
    np.save("few.npy", np.random.default_rng(0).normal(size=(60, DIM)))
    return tmp_path


def experiment(data):
    path = Path("own.toml")
    path.write_text(TOML.format(data=data))
    return experiments.read(path)


def sets(data, seed=0):
    what = experiment(data)
    energy = experiments.make_energy(what)
    experiments.event_shape(what, energy)
    return experiments.make_samples(what, energy, seed, progress=False)


def test_no_chain_of_a_file_is_on_both_sides():
    train, test = sets('file = "chains.npz"\ntest = 40\nsize = 100')
    assert train.chains is not None
    assert test.chains is not None
    assert (len(train), len(test)) == (100, 40)
    assert set(train.chains.tolist()).isdisjoint(test.chains.tolist())
    gaps = np.asarray(test.points)[:, None] - np.asarray(train.points)[None]
    assert np.sqrt((gaps**2).sum(-1)).min() > 0.1
    # A subset of few points is of many chains.
    assert len(set(train.chains[:20].tolist())) > 8


def test_a_subset_beside_a_test_file_is_of_all_chains():
    near_copies(2).save("other.npz")
    train, test = sets('file = "chains.npz"\ntest_file = "other.npz"\nsize = 30')
    assert train.chains is not None
    assert test.chains is not None
    assert len(set(train.chains.tolist())) > 12
    assert len(test) == CHAINS * EACH


def over_chains(values, chains):
    means = np.array([values[chains == chain].mean() for chain in np.unique(chains)])
    return means.std(ddof=1) / np.sqrt(len(means))


def test_errors_of_training_and_evaluation_are_over_chains():
    what = experiment('file = "chains.npz"\ntest = 60')
    # The virial of near-copies is 4 standard errors off if they count as independent: a warning, which
    # is an error here.
    values = np.sum(np.asarray(near_copies()) ** 2, axis=1)
    assert abs(values.mean() - DIM) > 4 * values.std() / np.sqrt(len(values))
    experiments.train(what, "run")
    row = json.loads(Path("run/seed-0/ot-fm/history.jsonl").read_text())
    assert len(set(row["chains"])) == 4
    nll, chains = -np.array(row["log_prob"]), np.array(row["chains"])
    assert row["nll_se"] >= 0.99 * over_chains(nll, chains) > 0
    found = experiments.evaluate_file("run", "chains.npz", {}).members[0].scores
    expected = over_chains(-np.array(found["log_prob"]), np.array(found["chains"]))
    np.testing.assert_allclose(found["nll_se"], expected, rtol=0.05)
    with warnings.catch_warnings(record=True, action="always") as warned:
        plain = experiments.evaluate_file("run", "plain.npy", {}).members[0].scores
    assert plain["nll_se"] < expected / 2
    assert {w.category for w in warned} == {UserWarning, SuspiciousDataWarning}


def test_frames_without_labels_are_told_of_in_training():
    flow = {"prior": hf.priors.Normal(DIM), "key": jax.random.key(0), "steps": 1}
    parts = (hf.networks.MLP(DIM, 4, 1, key=jax.random.key(0)), hf.paths.OptimalTransport())
    points = jnp.asarray(near_copies())
    with pytest.warns(SuspiciousDataWarning, match="successive points"):
        hf.fit(*parts, points, **flow, progress=False)
    hf.fit(*parts, near_copies(), **flow, progress=False)
    held_out = jnp.concatenate([points[:3], points[:1] + 1])
    with pytest.warns(SuspiciousDataWarning, match="3 of 4 points of `validation`"):
        hf.fit(*parts, near_copies(), validation=held_out, **flow, progress=False)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('file = "few.npy"\ntest = 10\nsize = -5', "`size` must be at least 1 and whole; got -5"),
        ('file = "few.npy"\ntest = 10\nsize = 0', "`size` must be at least 1 and whole; got 0"),
        ('file = "few.npy"\ntest = 10\nsize = 2.5', "`size` must be at least 1 and whole"),
        ('file = "few.npy"\ntest = 10\nsize = 5000', "has 50 training points beside 10 test"),
        ('file = "few.npy"\ntest_file = "few.npy"', "are training points of"),
        ('file = "few.npy"\ntest_file = "copy.npy"', "are training points of"),
        ('file = "few.npy"\ntest_file = "flat.npy"', "of shape"),
        ('test_file = "few.npy"', "needs a `file`"),
        ("size = -5", "`size` must be at least 1"),
        ("test = -1", "`test` must be at least 2"),
    ],
)
def test_sizes_and_files_that_cannot_be_meant_are_refused(data, message):
    np.save("copy.npy", np.load("few.npy"))
    np.save("flat.npy", np.zeros((8, DIM + 1)))
    what = experiment(data)
    with pytest.raises(ValueError, match=message) as raised:
        experiments.event_shape(what, experiments.make_energy(what))
    assert "flat" in data or isinstance(raised.value, ConfigError)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"length": "nm", "species": (8, 1, 1)}, "lengths are in nm in 'test.atoms', and in Å in"),
        (
            {"length": "Å", "species": (1, 8, 1)},
            "another order: it has H O H, and 'train.atoms' has O",
        ),
    ],
)
def test_test_frames_of_other_atoms_or_lengths_are_refused(facts, message, monkeypatch):
    rng = np.random.default_rng(0)
    held = {
        "train.atoms": Trajectory(rng.normal(size=(9, 3, 3)), length="Å", species=(8, 1, 1)),
        "test.atoms": Trajectory(rng.normal(size=(9, 3, 3)), **facts),
    }
    for name in held:
        Path(name).touch()
    monkeypatch.setitem(_trajectory._READERS, ".atoms", lambda path, topology: held[path.name])
    what = experiment('file = "train.atoms"\ntest_file = "test.atoms"')
    with pytest.raises(ValueError, match=message):
        experiments.event_shape(what, hf.energies.Gaussian(jnp.zeros((3, 3)), 1.0))


def test_evaluated_frames_are_held_against_those_of_training(monkeypatch):
    rng = np.random.default_rng(0)
    told = {
        "train.atoms": {"length": "nm", "species": (8, 1, 1)},
        "longer.atoms": {"length": "Å", "species": (8, 1, 1)},
        "other.atoms": {"length": "nm", "species": (1, 8, 1)},
        "like.atoms": {"length": "nm", "species": (8, 1, 1)},
    }
    held = {name: Trajectory(rng.normal(size=(40, 3, 3)), **facts) for name, facts in told.items()}
    for name in held:
        Path(name).touch()
    monkeypatch.setitem(_trajectory._READERS, ".atoms", lambda path, topology: held[path.name])
    what = experiment('file = "train.atoms"\ntest = 10\nindependent = true').text
    energy = what[what.index("[energy]") : what.index("[data]")]
    solver = '[evaluation]\nsolver = "Heun"\nsteps = 2\n[[arm]]'
    what = what.replace(energy, "").replace("OT-FM", "[/a] OT-FM")  # No markup.
    Path("atoms.toml").write_text(what.replace("[[arm]]", solver))
    experiments.train(experiments.read("atoms.toml"), "run")
    for file, message in {
        "longer.atoms": "lengths are in Å in 'longer.atoms', and in nm in 'train.atoms'",
        "other.atoms": "in another order: it has H O H, and 'train.atoms' has O",
    }.items():
        with pytest.raises(ValueError, match=message):
            experiments.evaluate_file("run", file, {})
    # Its geometries are as independent as those of training, unless something else is said.
    errors = [
        experiments.evaluate_file("run", "like.atoms", {}, independent=said).members[0].scores
        for said in (None, False)
    ]
    assert errors[0]["nll_se"] < np.inf
    assert "chains" not in errors[0]
    assert errors[1]["chains"] == [0] * 40
    seen = []
    monkeypatch.setattr("hiflow.data.needs_topology", lambda path: True)
    monkeypatch.setitem(
        _trajectory._READERS, ".atoms",
        lambda path, topology: seen.append(topology) or held[path.name],
    )  # fmt: skip
    Path("of.pdb").touch()
    assert experiments.evaluate_file("run", "like.atoms", {}, topology="of.pdb").rows()
    assert seen[-1] == Path("of.pdb")
    Path("train.atoms").unlink()
    with pytest.warns(UserWarning, match="no train.atoms here: see that its atoms and"):
        experiments.evaluate_file("run", "longer.atoms", {})


def test_a_split_by_chains_that_leaves_too_few_is_refused():
    with pytest.raises(ConfigError, match="has 240 points of other chains than those held out"):
        sets('file = "chains.npz"\ntest = 50\nsize = 245')


def test_a_gradient_that_is_not_finite_is_refused_before_training():
    def energy(x):
        return jnp.sum((jnp.linalg.norm(x[:, None] - x[None, :], axis=-1) - 1) ** 2)

    broken = hf.energies.FunctionEnergy(energy, shape=(3, 2))
    with pytest.raises(ValueError, match=r"gradient of FunctionEnergy isn't finite.*i = j"):
        hf.fit(
            hf.networks.MLP((3, 2), 4, 1, key=jax.random.key(0)), hf.paths.OptimalTransport(),
            jax.random.normal(jax.random.key(0), (5, 3, 2)), prior=hf.priors.Normal((3, 2)),
            energy=broken, key=jax.random.key(0), steps=1, progress=False,
        )  # fmt: skip


def test_validation_points_of_a_file_are_of_chains_of_their_own(tmp_path):
    generator = np.random.default_rng(0)
    chains = np.repeat(np.arange(40), 10)
    points = chains[:, None] + 0.1 * generator.normal(size=(400, 2))
    hf.data.Samples(jnp.asarray(points), chains).save(tmp_path / "points.npz")
    table = {"file": str(tmp_path / "points.npz"), "size": 50, "test": 20, "validation": 30}
    what = experiments.Experiment("x", "", {"data": table})
    train, test = experiments.make_data(what, None, 0, progress=False)
    validation = experiments.make_validation(what, None, 0, progress=False)
    found = [
        set(np.round(np.asarray(part)[:, 0]).astype(int)) for part in (train, validation, test)
    ]
    assert [len(part) for part in (train, validation, test)] == [50, 30, 20]
    assert not found[0] & found[1]
    assert not found[0] & found[2]
    assert not found[1] & found[2]
    # Errors are over chains: a tenth of them at the least is held out, also for few points.
    assert len(found[2]) >= 3


def test_a_command_to_go_on_by_is_one_that_a_shell_takes():
    assert resuming(Path("my run")) == "`hiflow train 'my run/config.toml' --out 'my run' --resume`"
    assert (
        resuming(Path("runs/one")) == "`hiflow train runs/one/config.toml --out runs/one --resume`"
    )
