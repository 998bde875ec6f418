"""What a file is begun with: the starter, the schema, single settings, and what would run."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from hiflow import experiments
from hiflow.cli import app
from hiflow.experiments._overrides import as_toml, overridden

ROOT = Path(__file__).parents[1]
FILES = sorted((*ROOT.glob("experiments/*/*.toml"), *ROOT.glob("src/hiflow/experiments/*.toml")))
SMALL = {
    "training.steps": "4",
    "training.batch_size": "8",
    "training.validate_at": "2",
    "data.test": "4",
    "data.validation": "4",
    "network.width": "4",
    "arm.HI-FM.path.beta": "2.0",
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "300")
    return tmp_path


@pytest.fixture(scope="module")
def schema():
    found = json.loads(json.dumps(experiments.schema()))
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def hiflow(*arguments):
    return CliRunner().invoke(app, list(arguments))


def setting():
    return [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]


def test_the_starter_trains_and_settings_beside_it_are_those_of_a_file(place):
    assert hiflow("init").exit_code == 0
    assert "exists; name another file" in hiflow("init").output
    result = hiflow("train", "experiment.toml", *setting())
    assert result.exit_code == 0, result.output
    config = place / "runs/experiment/config.toml"
    tables = tomllib.loads(config.read_text())
    wanted = tomllib.loads((place / "experiment.toml").read_text())
    wanted["training"] |= {"steps": 4, "batch_size": 8, "validate_at": 2}
    wanted["data"] |= {"test": 4, "validation": 4}
    wanted["network"]["width"] = 4
    wanted["arm"][1]["path"]["beta"] = 2.0
    assert tables == wanted
    again = hiflow("train", "experiment.toml", *setting(), "--resume")
    assert "nothing to do" in again.output, again.output
    assert hiflow("train", str(config), "--out", "runs/experiment", "--resume").exit_code == 0


def test_a_dry_run_says_what_would_run_and_writes_nothing(place):
    hiflow("init")
    result = hiflow("train", "experiment.toml", "--dry-run", *setting(), "--seeds", "3")
    assert result.exit_code == 0, result.output
    rows = experiments.plan(experiments.read("experiment.toml"), [0, 1, 2])
    assert [row["steps"] for row in rows] == [2000, 2000]
    for row in rows:
        assert row["seconds"] == pytest.approx(row["step"] / 1e3 * 2000 * 3)
    # Of 20 points in the plane: the point; or the point, eigenvectors, and three numbers a mode.
    assert [row["anchors"] for row in rows] == pytest.approx([20 * 2 * 4e-6, 20 * 12 * 4e-6])
    # Weights, their average and Adam's two moments at the least, in single precision.
    for row in rows:
        assert 4 * 4 * row["parameters"] < row["memory"] * 1e6 < 1e3 * row["parameters"]
        # Weights, points and their densities.
        assert (
            4 * (row["parameters"] + 4 * (2 + 1)) < row["scoring"] * 1e6 < 1e3 * row["parameters"]
        )
    assert result.output.count(" MB ") == 3  # Of anchors, of a step and of scoring.
    assert "2 arms × 3 seeds" in result.output
    assert not (place / "runs").exists()


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_tables_are_written_as_they_are_and_obey_the_schema(file, schema):
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    assert tomllib.loads(as_toml(tables)) == tables
    schema.validate(tables)


def test_words_that_need_escapes_are_written_as_they_are():
    assert as_toml({"x": True}) == "x = true\n"
    tables = {"a b": {'"': "\\ \n \x7f é \t", "n": [1, 2.5, True, 1e300]}, "t": [{"x": {}}]}
    assert tomllib.loads(as_toml(tables)) == tables


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("steps = 2_000", "stepz = 2_000"),
        ("steps = 2_000", 'steps = "many"'),
        ("radius = 2.0", "raduis = 2.0"),
        ("radius = 2.0", 'radius = "wide"'),
        ('name = "ring"', 'name = "rign"'),
        ("shift = 1.0", "shfit = 1.0"),
        ('label = "HI-FM"', ""),
        ("[evaluation]", "[evaluate]"),
        ("size = 20", "size = 2.5"),
    ],
)
def test_what_training_refuses_by_its_table_the_schema_refuses_too(old, new, schema, place):
    assert old in experiments.STARTER
    text = experiments.STARTER.replace(old, new)
    with pytest.raises(jsonschema.ValidationError):
        schema.validate(tomllib.loads(text))
    (place / "bad.toml").write_text(text)
    assert hiflow("train", "bad.toml").exit_code == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("training.steps", "write a setting as key=value"),
        ("trainign.steps=3", "unknown name 'trainign'; did you mean 'training'"),
        ("training.stepz=3", "unknown setting 'stepz'; did you mean 'steps'"),
        ("training.steps=many", "`steps` must be at least 1 and whole"),
        ("arm.HI-FN.path=3", "nothing has the label 'HI-FN'; did you mean 'HI-FM'"),
        ("seeds.a=3", "--set seeds.a: 'seeds' is no table"),
        ("seeds.a.b=3", "--set seeds.a.b"),
        (".=3", "must be a key, as training.steps"),
    ],
)
def test_a_setting_that_leads_nowhere_is_refused(given, words, place):
    hiflow("init")
    result = hiflow("train", "experiment.toml", "--set", given)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert not (place / "runs").exists()


def test_a_word_for_a_component_becomes_a_table():
    tables = {"network": "mlp", "arm": [{"label": "a", "path": "optimal-transport"}]}
    found = overridden(tables, [("network.width", 8), ("arm.a.path.sigma_min", 0.1)])
    assert found["network"] == {"name": "mlp", "width": 8}
    assert found["arm"][0]["path"] == {"name": "optimal-transport", "sigma_min": 0.1}
    assert tables["network"] == "mlp"
