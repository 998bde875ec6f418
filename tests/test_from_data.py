"""Experiments whose flows start from points of a file: what is told of them without a density."""

import json

import jax
import numpy as np
import pytest
from rich.console import Console

import hiflow as hf
from hiflow import experiments
from hiflow.experiments._filed_prior import filed_prior

CONFIG = """
[data]
file = "data.npy"
test = 40
[prior]
name = "empirical"
file = "source.npz"
array = "points"
[network]
name = "mlp"
width = 8
depth = 1
[training]
steps = 20
batch_size = 16
validate_at = 10
[evaluation]
rtol = 1e-2
atol = 1e-2
[[arm]]
label = "paths"
path = "optimal-transport"
training = {coupling = "minibatch-ot"}
[[arm]]
label = "normal"
path = "optimal-transport"
prior = "normal"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run with an arm from a file and one from a normal law, its folder and what it said."""
    folder = tmp_path_factory.mktemp("from-data")
    rng = np.random.default_rng(0)
    np.save(folder / "data.npy", rng.normal(size=(100, 2)).astype(np.float32))
    np.savez(folder / "source.npz", points=rng.normal(size=(60, 2)) + 3.0, other=np.zeros(3))
    (folder / "config.toml").write_text(CONFIG)
    console = Console(record=True, width=120)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = experiments.train(experiments.read("config.toml"), "run", console=console)
        experiments.show(found, console)
        yield found, folder, console.export_text()


def test_a_trained_flow_starts_from_the_files_points(run):
    _, folder, _ = run
    flow = hf.load(folder / "run" / "seed-0" / "paths" / "flow.hiflow")
    assert isinstance(flow.prior, hf.priors.EmpiricalPrior)
    stored = np.load(folder / "source.npz")["points"]
    np.testing.assert_allclose(flow.prior.points, stored, rtol=1e-6)


def test_distances_are_told_where_there_is_no_density(run):
    found, _, said = run
    drawn, normal = found.rows()
    assert drawn["nll"] is None
    assert drawn["distance"] > drawn["distance_floor"] > 0
    assert normal["distance"] is None
    assert normal["nll"] > 0
    assert normal["difference"] is None
    assert "W₂ of samples" in said
    assert "W₂: of samples from test points" in found.caption
    assert "W₂" in repr(found)
    assert [row["step"] for row in found.members[0].history] == [10, 20]


def test_page_figures_report_and_samples_do_without_it(run):
    found, folder, _ = run
    files = experiments.write(found, folder / "page")
    assert "W₂ of the data" in (folder / "page" / "comparison.md").read_text()
    assert json.loads((folder / "page" / "comparison.json").read_text())["rows"]
    assert any(file.suffix == ".png" for file in files)
    experiments.write_report(folder / "run")
    assert "W₂" in (folder / "run" / "report.html").read_text()
    experiments.write_drawn(folder / "run", folder / "drawn.npz", 5)
    assert sorted(np.load(folder / "drawn.npz")) == [
        "normal-0/log_prob", "normal-0/samples", "paths-0/samples",
    ]  # fmt: skip
    evaluated = experiments.evaluate_file(folder / "run", folder / "data.npy", {})
    assert evaluated.rows()[0]["distance"] is not None


def test_what_needs_densities_is_refused(run):
    _, folder, _ = run
    with pytest.raises(ValueError, match=r"`sweep` needs densities.*'paths'"):
        experiments.compare([folder / "run"], sweep=4)
    only = experiments.compare([folder / "run"], only=["normal"])
    assert len(only.rows()) == 1


def test_resuming_computes_nothing_anew(run):
    _, folder, _ = run
    console = Console(record=True, width=120)
    history = folder / "run" / "seed-0" / "paths" / "history.jsonl"
    before = history.read_text()
    what = experiments.read(folder / "config.toml")
    experiments.train(what, folder / "run", resume=True, console=console)
    assert history.read_text() == before
    assert "loss" not in console.export_text()


def test_particles_are_centred_by_the_group(tmp_path):
    x = np.random.default_rng(0).normal(size=(5, 4, 2)) + 2
    np.save(tmp_path / "x.npy", x)
    energy = hf.energies.DoubleWellParticles.preset("dw4")
    group = {"name": "product", "groups": ["permutation", "translation"]}
    table = {"name": "empirical", "file": str(tmp_path / "x.npy"), "group": group}
    prior = filed_prior(table, energy.event_shape, energy)
    np.testing.assert_allclose(prior.points.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(prior.sample(jax.random.key(0)).mean(0), 0, atol=1e-5)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("empirical", "needs a `file`"),
        ({"name": "empirical", "fil": "x.npy"}, "did you mean 'file'"),
        ({"name": "empirical", "file": 3}, "`file` must be"),
        ({"name": "empirical", "file": "none.npy"}, "there is no file"),
        ({"name": "empirical", "file": "x.npy", "group": "rotatoin"}, "rotation"),
    ],
)
def test_wrong_tables_are_refused(table, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.zeros((3, 2)))
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        filed_prior(table, (2,), None)


def test_points_of_another_shape_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 5)))
    with pytest.raises(ValueError, match="shape"):
        filed_prior({"name": "empirical", "file": str(tmp_path / "x.npy")}, (2,), None)


def test_points_may_stand_in_the_file_itself():
    table = {"name": "empirical", "points": [[0.0, 1.0], [2.0, 3.0]]}
    assert hf.priors.registry.make(filed_prior(table, (2,), None), shape=(2,)).event_shape == (2,)
