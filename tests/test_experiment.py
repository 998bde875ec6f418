"""The command line and run folders, as a user types them."""

import json
import struct
import sys
import warnings
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

import hiflow as hf
from hiflow import experiments
from hiflow.cli import app
from hiflow.experiments._caption import caption
from hiflow.experiments._data import condition_of
from hiflow.experiments._run_folder import read_history
from hiflow.registry import families

FILES = sorted((Path(__file__).parents[1] / "experiments").glob("*/*.toml"))
TOML = """
seeds = [3]
[energy]
name = "ring"
[data]
size = 20
test = 8
[network]
name = "mlp"
width = 8
depth = 1
[training]
steps = 6
batch_size = 8
validate_at = 3
checkpoint_every = 3
[evaluation]
rtol = 1e-3
atol = 1e-3
[[arm]]
label = "OT-FM"
path = {name = "optimal-transport"}
[[arm]]
label = "HI-FM"
path = {name = "langevin", hessian = {name = "analytic"}}
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "300")
    (tmp_path / "tiny.toml").write_text(TOML)
    return tmp_path


def hiflow(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_train_evaluate_and_sample(place):
    result = hiflow("train", "tiny.toml")
    assert result.exit_code == 0, result.output
    assert "NLL in nats" in result.output
    assert "floor 1.424" in result.output
    result_of_training = result.output.splitlines()
    run = place / "runs" / "tiny"
    written = {path.name for path in run.iterdir()}
    assert {"config.toml", "run.json", "comparison.json", "comparison.md"} <= written
    assert {"learning.png", "densities.png"} <= written
    rows = [json.loads(x) for x in (run / "seed-3/ot-fm/history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 6]
    assert json.loads((run / "run.json").read_text())["versions"]["jax"] == jax.__version__

    ring = hf.energies.Ring()
    points = hf.data.sample(ring, key=jax.random.key(1), size=12, progress=False)
    np.save("test.npy", np.asarray(points))
    result = hiflow("evaluate", str(run), "--data", "test.npy")
    assert result.exit_code == 0, result.output
    assert "OT-FM" in result.output
    assert "HI-FM" in result.output

    result = hiflow("sample", str(run), "--size", "5", "--out", "x.npz")
    assert result.exit_code == 0, result.output
    with np.load("x.npz") as arrays:
        assert arrays["HI-FM-3/samples"].shape == (5, 2)
        assert arrays["HI-FM-3/log_prob"].shape == (5,)

    result = hiflow("train", "tiny.toml")
    assert result.exit_code == 2
    assert "--resume" in result.output
    told = [line for line in result_of_training if line.startswith(("│", "NLL"))]
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    finished = hiflow("train", "tiny.toml", "--resume")
    assert finished.exit_code == 0, finished.output
    assert "nothing to do" in finished.output
    assert [x for x in finished.output.splitlines() if x.startswith(("│", "NLL"))] == told
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before

    weights = run / "seed-3/ot-fm/flow.hiflow"
    weights.write_bytes(weights.read_bytes()[:100])
    result = hiflow("evaluate", str(run), "--data", "test.npy")
    assert result.exit_code == 2
    assert "truncated, corrupt" in result.output


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("comparison.json", lambda text: text.replace("OT-FM", "XX-FM")),
        ("finished.json", lambda text: text[:-9]),
        ("seed-3/ot-fm/history.jsonl", lambda text: text.replace('"step": 3', '"step": 2')),
    ],
)
def test_what_changed_in_a_finished_run_is_made_anew(place, file, change):
    toml = TOML[: TOML.rindex("[[arm]]")]
    (place / "one.toml").write_text(toml)
    assert hiflow("train", "one.toml").exit_code == 0
    path = place / "runs/one" / file
    path.write_text(change(path.read_text()))
    result = hiflow("train", "one.toml", "--resume")
    assert result.exit_code == 0, result.output
    assert "written: " in result.output
    assert "XX-FM" not in (place / "runs/one/comparison.json").read_text()
    assert "nothing to do" in hiflow("train", "one.toml", "--resume").output


def test_another_seed_is_something_to_do(place):
    what = experiments.read("tiny.toml")
    assert experiments.finished(what, "runs/none") is None
    (place / "one.toml").write_text(TOML[: TOML.rindex("[[arm]]")])
    assert hiflow("train", "one.toml").exit_code == 0
    what = experiments.read("one.toml")
    assert experiments.finished(what, "runs/one", seeds=[3]) is not None
    assert experiments.finished(what, "runs/one", seeds=[3, 4]) is None


def test_the_shell_and_python_give_the_same_flow(place):
    assert hiflow("train", "tiny.toml").exit_code == 0
    from_shell = hf.load(place / "runs/tiny/seed-3/hi-fm/flow.hiflow")
    what = experiments.read("tiny.toml")
    energy = experiments.make_energy(what)
    points, test = experiments.make_data(what, energy, 3, progress=False)
    key_network, key_fit = jax.random.split(jax.random.key(3))
    arm = experiments.make_arm(what, what.arms[1], energy, (2,), key_network)
    from_python = hf.fit(
        hf.networks.MLP(shape=(2,), width=8, depth=1, projects_on=arm.prior.group, key=key_network),
        hf.paths.Langevin(energy=hf.energies.Ring(), hessian=hf.hessians.Analytic()),
        points,
        prior=hf.priors.Normal(shape=(2,)),
        key=key_fit,
        steps=6,
        batch_size=8,
        validation=test,
        validate_at=3,
        checkpoint_every=3,
        solver_settings={"rtol": 1e-3, "atol": 1e-3},
        progress=False,
    )
    x = from_shell.sample(jax.random.key(0), 4)
    np.testing.assert_array_equal(x, from_python.sample(jax.random.key(0), 4))


def test_hutchinson_validation_needs_no_key_in_the_file(place):
    toml = TOML.replace("rtol = 1e-3", 'divergence = {name = "hutchinson", probes = 2}')
    (place / "probes.toml").write_text(toml[: toml.rindex("[[arm]]")])
    result = hiflow("train", "probes.toml")
    assert result.exit_code == 0, result.output


CHOOSING = TOML.replace("test = 8", "test = 8\nvalidation = 5").replace(
    "steps = 6",
    'steps = 12\npatience = 1\nkeep = "best"\nlearning_rate = 1.0\nlog_every = 2\nema = 0.0',
)


def test_arms_end_and_take_their_weights_by_validation_and_never_by_the_test_points(place):
    (place / "tiny.toml").write_text(CHOOSING)
    result = hiflow("train", "tiny.toml")
    assert result.exit_code == 0, result.output
    run = place / "runs" / "tiny"
    what = experiments.read("tiny.toml")
    energy = hf.energies.Ring()
    _, test = experiments.make_data(what, energy, 3, progress=False)
    held_out = experiments.make_validation(what, energy, 3, progress=False)
    numbers = json.loads((run / "comparison.json").read_text())
    for row, arm in zip(numbers["rows"], ("ot-fm", "hi-fm"), strict=True):
        rows = read_history(run / "seed-3" / arm)
        last, flow = rows[-1], hf.load(run / "seed-3" / arm / "flow.hiflow")
        validated = {
            each["step"]: each["validation_nll"] for each in rows if "validation_nll" in each
        }
        best = min(validated, key=validated.__getitem__)
        assert last["ended"] == "patience"
        assert (last["taken"], row["taken"]) == (best, str(best))
        assert max(validated) == last["step"] == best + 3
        np.testing.assert_allclose(-flow.log_prob(held_out).mean(), validated[best], rtol=1e-4)
        np.testing.assert_allclose(flow.log_prob(test), last["log_prob"], rtol=1e-4)
        assert [each["step"] for each in rows if "log_prob" in each] == [last["step"]]
        assert 2 in [each["step"] for each in rows]
    assert "| weights of step |" in (run / "comparison.md").read_text()
    before = {path: path.read_bytes() for path in run.glob("seed-3/*/*.*")}
    (run / "finished.json").unlink()
    assert hiflow("train", "tiny.toml", "--resume").exit_code == 0
    assert {path: path.read_bytes() for path in run.glob("seed-3/*/*.*")} == before
    (place / "tiny.toml").write_text(CHOOSING.replace("validate_at = 3", "validate_at = 2"))
    result = hiflow("train", "tiny.toml", "--resume")
    assert "other training (validate_at) of arm 'OT-FM'" in result.output


def test_a_choice_that_was_not_scored_is_scored_on_resume(place):
    (place / "tiny.toml").write_text(CHOOSING[: CHOOSING.rindex("[[arm]]")])
    assert hiflow("train", "tiny.toml").exit_code == 0
    history = place / "runs/tiny/seed-3/ot-fm/history.jsonl"
    rows = history.read_text().splitlines()
    history.write_text("\n".join(rows[:2]))
    assert hiflow("train", "tiny.toml", "--resume").exit_code == 0
    found, wanted = (json.loads(text[-1]) for text in (history.read_text().splitlines(), rows))
    np.testing.assert_allclose(found.pop("log_prob"), wanted.pop("log_prob"), rtol=1e-5)
    assert found.keys() == wanted.keys()
    assert found["taken"] == wanted["taken"]


def test_several_seeds_give_an_error_over_seeds_and_points(place):
    result = hiflow("train", "tiny.toml", "--seeds", "2")
    assert result.exit_code == 0, result.output
    assert "over 2 seeds and the test points together" in result.output
    rows = json.loads((place / "runs/tiny/comparison.json").read_text())["members"]
    assert [(row["label"], row["seed"]) for row in rows] == [
        ("OT-FM", 0),
        ("OT-FM", 1),
        ("HI-FM", 0),
        ("HI-FM", 1),
    ]


def test_a_run_folder_takes_further_seeds(place):
    for seed in ("0", "4"):
        result = hiflow("train", "tiny.toml", "--seed", seed, "--resume")
        assert result.exit_code == 0, result.output
    run = place / "runs" / "tiny"
    assert json.loads((run / "run.json").read_text())["seeds"] == [0, 4]
    rows = json.loads((run / "comparison.json").read_text())["members"]
    assert {(row["label"], row["seed"]) for row in rows} == {
        (label, seed) for label in ("OT-FM", "HI-FM") for seed in (0, 4)
    }
    assert len(rows) == 4
    assert "over 2 seeds and the test points together" in result.output


def test_test_points_are_of_chains_of_their_own(place):
    energy = hf.energies.DoubleWellParticles.preset("dw4")
    table = {"size": 30, "test": 10, "chains": 10, "burn_in": 10, "thin": 1}
    what = experiments.Experiment("x", "", {"data": table})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # So few updates don't reach equilibrium.
        points, test = experiments.make_data(what, energy, 0, progress=False)
    assert (points.shape[0], test.shape[0]) == (30, 10)
    distances = np.abs(np.asarray(test)[:, None] - np.asarray(points)).max(axis=(2, 3))
    assert distances.min() > 1e-4


def test_data_come_from_a_file(place):
    points = jax.random.normal(jax.random.key(0), (30, 2))
    np.save("points.npy", np.asarray(points))
    toml = TOML.replace('[energy]\nname = "ring"\n', "").replace("size = 20", 'file = "points.npy"')
    toml = toml[: toml.rindex("[[arm]]")]
    (place / "file.toml").write_text(toml)
    result = hiflow("train", "file.toml")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "ring"', 'name = "rign"', "did you mean 'ring'"),
        ("steps = 6", "stepz = 6", "unknown setting 'stepz'; did you mean 'steps'"),
        ("[training]", "[trainign]", "unknown name 'trainign'; did you mean 'training'"),
        ("steps = 6", "steps = ", "not valid TOML"),
        ('label = "HI-FM"', 'label = "OT-FM"', "needs a `label` of its own"),
        ("rtol = 1e-3", "rtol = -1", "`rtol` must be positive"),
        (
            "rtol = 1e-3",
            'solver = "Tsit6"',
            "`method` must be the name of a method of diffrax; did you mean 'Tsit5'",
        ),
        (
            'name = "langevin"',
            'name = "langevin", rates = {name = "power", least = 0.01}',
            "rates must exceed 1/2",
        ),
        ("[data]", '[prior]\nname = "normal"\nscale = -1\n[data]', "`scale` must be positive"),
        (
            'name = "langevin"',
            'name = "langevin", prior_scale = 2.0',
            "Pass prior_scale=1.0",
        ),
        (
            'name = "ring"\n[data]',
            'name = "lennard-jones"\npreset = "lj13"\n[data]',
            "is not invariant under",
        ),
        ("size = 20", 'file = "none.npy"', "none.npy"),
        ("steps = 6", "steps = -6", "`steps` must be at least 1"),
        ("steps = 6", 'steps = 6\noptimiser = "adamm"', "must be the name of one of Optax's"),
        ('name = "langevin", ', 'name = "langevin", time = "lgo", ', "did you mean 'log'"),
        (
            'path = {name = "langevin"',
            'training = {coupling = "minibatch-ot"}\npath = {name = "langevin", noise = "prior"',
            "Use the coupling 'independent'",
        ),
        (
            "steps = 6",
            'steps = 6\nkeep = "best"',
            "chooses its weights by validation (`patience`, `keep`, `finish`), never by the test points",
        ),
        ("validate_at = 3", "patience = 3", "`validate_at` asks for none before the end"),
        ("test = 8", "test = 1", "`test` must be at least 2"),
        ("size = 20", "size = 20\nchain = 5", "unknown name 'chain'; did you mean 'chains'"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_written(place, old, new, message):
    (place / "bad.toml").write_text(TOML.replace(old, new))
    result = hiflow("train", "bad.toml")
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "Traceback" not in result.output
    assert not (place / "runs").exists()


def test_an_unknown_experiment_lists_the_packaged_ones():
    result = hiflow("train", "ring-quik")
    assert result.exit_code == 2
    assert "did you mean 'ring-quick'" in result.output


@pytest.mark.parametrize("name", sorted(experiments.packaged_experiments()))
def test_packaged_experiments_build(name):
    what = experiments.read(name)
    energy = experiments.make_energy(what)
    shape = experiments.event_shape(what, energy)
    for arm in what.arms:
        built = experiments.make_arm(what, arm, energy, shape, jax.random.key(0))
        assert built.prior.event_shape == shape


def write_points(path, energy, points, chains):
    if path.suffix == ".npz":
        np.savez(path, points=points, chains=chains)
        return
    frames = hf.metrics.Weighted(jnp.asarray(points) / 2, 1.0 * chains, 1.0 * chains).to_atoms(
        energy.species
    )
    for frame, chain in zip(frames, chains, strict=True):
        frame.info["chain"] = int(chain)
    hf.data.write_atoms(path, frames)


@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_committed_experiments_build(file, place, monkeypatch):
    for part in ("train", "t10k"):
        header = struct.pack(">HBBIII", 0, 8, 3, 1, 28, 28)
        (place / "cache/mnist").mkdir(parents=True, exist_ok=True)
        (place / f"cache/mnist/{part}-images-idx3-ubyte").write_bytes(header + bytes(28 * 28))
    if "tblite" in file.read_text(encoding="utf-8"):
        pytest.importorskip("tblite")
    what = experiments.read(file)
    monkeypatch.syspath_prepend(file.parent)
    energy = experiments.make_energy(what)
    if "file" in what.tables["data"]:
        assert energy is not None
        points = np.random.default_rng(0).normal(size=(1_000, *energy.event_shape))
        chains = np.arange(1_000) % 50
        write_points(place / what.tables["data"]["file"], energy, points, chains)
    shape, first = experiments.event_shape(what, energy), what.arms[0]["variant"]
    told = condition_of(what, energy)
    arms = [arm for arm in what.arms if arm["variant"] == first]
    # One of every family: the others of it differ in numbers.
    for arm in {arm.get("family", arm["label"]): arm for arm in arms}.values():
        key = jax.random.key(0)
        experiments.make_arm(what, arm, energy, shape, key, condition=told)


def test_list_names_every_family():
    result = hiflow("list")
    assert result.exit_code == 0
    for family in families():
        assert family in result.output
    one = hiflow("list", "paths")
    assert "langevin" in one.output
    assert "saturating" not in one.output
    assert hiflow("list", "pahts").exit_code == 2


def test_a_folder_that_is_no_run_is_refused(place):
    (place / "empty").mkdir()
    result = hiflow("sample", "empty")
    assert result.exit_code == 2
    assert "not a run folder" in result.output


def test_particle_captions_name_convention_and_measure():
    energy = hf.energies.LennardJones.preset("lj13")
    text = caption(energy, 1)
    assert "lj13" in text
    assert "centred subspace" in text
    assert "floor 16.9 to 17.0" in text


def test_captions_name_the_periods_of_periodic_coordinates():
    class Turning(hf.groups.Trivial):
        def periods(self, event_shape):
            return np.full(event_shape, 2 * np.pi)

    energy = hf.energies.FunctionEnergy(lambda x: x.sum(), shape=(2,), group=Turning())
    assert "one period of every periodic coordinate" in caption(energy, 1)


def test_resuming_mends_what_was_damaged_after_training(place):
    toml = TOML[: TOML.rindex("[[arm]]")]
    (place / "tiny.toml").write_text(toml)
    assert hiflow("train", "tiny.toml").exit_code == 0
    run = place / "runs" / "tiny"
    weights, history = run / "seed-3/ot-fm/flow.hiflow", run / "seed-3/ot-fm/history.jsonl"
    trained, rows = hf.load(weights), history.read_text().splitlines()
    weights.write_bytes(weights.read_bytes()[:100])
    history.write_text(rows[0] + "\n" + rows[1][:50])
    (run / "run.json").write_text('{"name": "tiny"')
    result = hiflow("compare", str(run))
    assert result.exit_code == 2
    assert "run.json: damaged" in result.output
    assert "--resume` writes it anew" in result.output

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = hiflow("train", "tiny.toml", "--resume")
    assert result.exit_code == 0, result.output
    assert "run.json: damaged" in result.output
    assert eqx.tree_equal(hf.load(weights), trained)
    assert json.loads((run / "run.json").read_text())["seeds"] == [3]
    before, after = json.loads(rows[1]), json.loads(history.read_text().splitlines()[1])
    np.testing.assert_allclose(after["log_prob"], before["log_prob"], rtol=1e-5)
    assert (after["step"], after["nfe"]) == (6, before["nfe"])
    assert hiflow("compare", str(run)).exit_code == 0


def test_a_damaged_history_is_named_with_the_way_out(place):
    arm = place / "run" / "seed-0" / "hi-fm"
    arm.mkdir(parents=True)
    (arm / "history.jsonl").write_text('{"step": 3}\n{"step": 6, "nll"')
    with pytest.raises(ValueError, match=r"history\.jsonl: damaged: line 2.*--resume` scores"):
        read_history(arm)


def test_a_configuration_names_functions_that_are_trusted(place, monkeypatch):
    (place / "my_energies.py").write_text("def bowl(x):\n    return (x**2).sum() / 2\n")
    monkeypatch.syspath_prepend(place)
    energy = '[energy]\nname = "function"\nfunction = "my_energies:bowl"\nshape = 2'
    (place / "own.toml").write_text(TOML.replace('[energy]\nname = "ring"', energy))
    result = hiflow("train", "own.toml")
    assert result.exit_code == 2
    assert "--trust my_energies" in result.output
    assert "my_energies" not in sys.modules
