"""Files of experiments that are wrong: what is said of them, and that nothing else happens."""

import json
import random
import tomllib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

import hiflow as hf
from hiflow import experiments
from hiflow.cli import app
from hiflow.experiments._check import checked
from mutated import mutated

GOOD = tomllib.loads("""
seeds = [0]
energy = {name = "gaussian", mean = [0.0, 0.0], precision = 2.0}
data = {size = 20, test = 8}
prior = {name = "normal"}
network = {name = "mlp", width = 8, depth = 1}
training = {steps = 4, batch_size = 4}
evaluation = {rtol = 1e-3}
arm = [
    {label = "A", path = {name = "langevin", hessian = {name = "lanczos", k = 1, iterations = 2}}},
    {label = "B", path = "optimal-transport"},
]
""")


def inline(value):
    if isinstance(value, dict):
        items = (f"{json.dumps(key)} = {inline(each)}" for key, each in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value)


def check(tables, folder):
    """All that training does before data are drawn."""
    lines = (f"{json.dumps(key)} = {inline(value)}\n" for key, value in tables.items())
    (folder / "config.toml").write_text("".join(lines), encoding="utf-8")
    return checked(experiments.read(folder / "config.toml"))


def changed(*keys, to):
    tables = json.loads(json.dumps(GOOD))
    holder = tables
    for key in keys[:-1]:
        holder = holder[key]
    holder[keys[-1]] = to
    return tables


def test_the_good_one_is_accepted(tmp_path):
    energy, shape, _ = check(GOOD, tmp_path)
    assert isinstance(energy, hf.energies.Gaussian)
    assert shape == (2,)


@pytest.mark.parametrize("seed", range(60))
def test_a_changed_file_is_accepted_or_refused_with_its_place(seed, tmp_path):
    tables, change = mutated(GOOD, random.Random(seed))
    said = ""
    try:
        check(tables, tmp_path)
    except experiments.ConfigError as error:
        said = str(error)
    for internal in ("TypeError", "AttributeError", "KeyError", "unexpected keyword", "Tracer"):
        assert internal not in said, change


PLACES = [
    (
        changed("arm", 0, "path", "hessian", "iterations", to=-1.5),
        '[[arm]] "A" path: `hessian.iterations` must be a whole number; got -1.5',
    ),
    (
        changed("arm", 0, "path", "hessian", "k", to=True),
        '[[arm]] "A" path: `hessian.k` must be a whole number; got True',
    ),
    (changed("arm", 0, "path", "beta", to=float("nan")), "`beta` must be a finite number; got nan"),
    (changed("arm", 0, "path", "noise", to="on"), "`noise` must be one of auto, prior, own"),
    (changed("arm", 1, "path", to="dense"), "(that is one of hessians)"),
    (changed("network", "width", to=10**6), "`width` must be at most 65,536, got 1,000,000"),
    (changed("network", "wdth", to=8), "takes no argument 'wdth'; did you mean 'width'"),
    (changed("prior", "scale", to=-1.0), "[prior]: Normal: `scale` must be positive and finite"),
    (changed("data", "size", to="many"), "[data]: `size` must be a whole number; got 'many'"),
    (changed("training", "steps", to=0), "[training]: `steps` must be at least 1 and whole; got 0"),
    (changed("evaluation", "rtol", to=[1]), "[evaluation]: `rtol` must be positive and finite"),
    (changed("seeds", to=[0, 0]), "`seeds` must be at least one whole number from 0 on, each once"),
    (changed("arm", to=3), "`arm` must be tables, each under [[arm]]; got 3"),
    (changed("arm", 1, "label", to=""), "every [[arm]] needs a `label` of its own"),
    (changed("energy", "mean", to="wide"), "[energy]: `mean` must be an array of finite numbers"),
]


@pytest.mark.parametrize(("tables", "words"), PLACES)
def test_the_place_the_value_and_the_cure_are_said(tables, words, tmp_path):
    with pytest.raises(experiments.ConfigError) as raised:
        check(tables, tmp_path)
    assert words in str(raised.value)


def test_all_problems_are_said_at_once(tmp_path):
    tables = changed("training", "steps", to=0)
    tables["network"]["width"] = "wide"
    tables["arm"][0]["path"]["hessian"]["k"] = "all"
    tables["prior"]["scale"] = 1.0
    with pytest.raises(experiments.ConfigError) as raised:
        check(tables, tmp_path)
    assert len(raised.value.problems) == 3
    assert "3 problems:" in str(raised.value)


def run(*words):
    return CliRunner().invoke(app, [*map(str, words), "--no-cache"])


def test_samples_are_evaluated_as_they_were_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prior = hf.priors.CentredNormal(4, 2)
    network = hf.networks.EGNN(4, 2, width=4, depth=1, key=jax.random.key(0))
    flow = hf.Flow(prior, network, "Euler", steps=2)
    flow.save("flow.hiflow")
    assert run("sample", "flow.hiflow", "--size", 6, "--out", "samples.npz").exit_code == 0
    found = run("evaluate", "flow.hiflow", "--data", "samples.npz")
    assert found.exit_code == 0, found.output
    with np.load("samples.npz") as file:
        name = next(key for key in file if key.endswith("/samples"))
        points = file[name]
    np.save("flat.npy", points.reshape(6, 8) + 3.0)
    made = experiments.evaluate_file("flow.hiflow", "flat.npy", {}).members[0].nll
    np.testing.assert_allclose(made, -flow.log_prob(jnp.asarray(points)), rtol=1e-4)
    np.savez("two.npz", **{"A-0/samples": points, "B-0/samples": points})
    refused = run("evaluate", "flow.hiflow", "--data", "two.npz").output
    assert "A-0/samples, B-0/samples" in " ".join(refused.split())
    chosen = run("evaluate", "flow.hiflow", "--data", "two.npz", "--array", "B-0/samples")
    assert chosen.exit_code == 0, chosen.output


@pytest.mark.parametrize(
    ("table", "key", "value", "words"),
    [
        ("evaluation", "rtol", 1e12, "at most 1"),
        ("evaluation", "atol", 2, "at most 1"),
        ("evaluation", "chunk_size", 10**12, "at most 2147483647"),
        ("training", "steps", 10**30, "at most 2147483647"),
        ("training", "batch_size", 10**30, "at most 2147483647"),
        ("training", "batch_size", 2**31 - 1, "GB are free"),
    ],
)
def test_a_number_that_nobody_means_is_refused(table, key, value, words, tmp_path, monkeypatch):
    monkeypatch.setattr("hiflow.training._room.free_bytes", lambda: 10**9)
    with pytest.raises(experiments.ConfigError, match=words) as raised:
        check(changed(table, key, to=value), tmp_path)
    assert key in str(raised.value)


def test_an_unknown_setting_of_several_arms_is_said_once(tmp_path):
    tables = changed("training", "couling", to="independent")
    tables["energy"]["width"] = 3
    with pytest.raises(experiments.ConfigError) as raised:
        check(tables, tmp_path)
    said = str(raised.value)
    assert said.count("couling") == 1
    assert "TypeError" not in said


def test_an_arm_without_a_label_is_named_by_its_place(tmp_path):
    tables = changed("arm", 1, to={"labl": "B", "path": "optimal-transport"})
    with pytest.raises(experiments.ConfigError, match=r"\[\[arm\]\] number 2: unknown name 'labl'"):
        check(tables, tmp_path)
