"""Experiments on images, with energies fitted to them, as a user runs and compares them."""

import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

import hiflow as hf
from hiflow import experiments
from hiflow.cli import app

TOML = """
[energy]
name = "fitted-gaussian"
rank = 5
[data]
images = "digits"
test = 6
validation = 4
seed = 0
alpha = 1e-3
shift = -1.0
scale = 2.0
[network]
name = "mlp"
width = 8
depth = 1
[training]
steps = 3
batch_size = 8
[evaluation]
steps = 4
divergence = {name = "hutchinson", probes = 2}
[[arm]]
label = "OT-FM"
path = {name = "optimal-transport"}
[[arm]]
label = "HI-FM"
family = "HI-FM"
path = {name = "linearised", hessian = {name = "shared-basis"}}
[[arm]]
label = "mixture"
family = "HI-FM"
[arm.path]
name = "langevin"
hessian = {name = "low-rank", k = 4}
energy = {name = "fitted-mixture", components = 2, rank = 3}
"""

pytest.importorskip("sklearn", reason="needs the images extra")


def hiflow(*arguments):
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("images")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("HIFLOW_CACHE", str(place / "cache"))
        patch.setenv("COLUMNS", "300")
        (place / "digits.toml").write_text(TOML)
        result = hiflow("train", "digits.toml", "--out", "run")
        assert result.exit_code == 0, result.output
        (place / "output.txt").write_text(result.output)
        yield place


def test_nats_and_bits_per_dimension_are_printed_and_named(place):
    output = (place / "output.txt").read_text()
    assert "bits/dim of the pixels" in output
    assert "logit" in output
    what = experiments.read("digits.toml")
    _, test = experiments.make_data(what, None, 0, progress=False)
    history = (place / "run/seed-0/ot-fm/history.jsonl").read_text().splitlines()
    row = json.loads(history[-1])
    pixels = experiments.pixel_transform(what)
    assert pixels is not None
    expected = jax.vmap(pixels.bits_per_dim)(jnp.asarray(row["log_prob"]), test).mean()
    np.testing.assert_allclose(row["bits"], expected, rtol=1e-5)
    assert row["probe_se"] > 0
    members = json.loads((place / "run/comparison.json").read_text())["members"]
    assert all(member["bits"] > 0 for member in members)


def test_raw_pixels_are_scored_as_the_training_images_were(place):
    pixels = hf.data.images("digits")[1][:6]
    np.save(place / "raw.npy", pixels)
    found = experiments.evaluate_file(
        place / "run", place / "raw.npy", {"rtol": 1e-2, "atol": 1e-2}
    )
    transform = experiments.pixel_transform(experiments.read("digits.toml"))
    assert transform is not None
    row = found.rows()[0]
    trained = json.loads((place / "run/comparison.json").read_text())["rows"][0]
    # Other noise and other images of the same kind; taken for numbers of the flow they give hundreds.
    assert abs(row["bits"] - trained["bits"]) < 1
    np.save(place / "unit.npy", pixels / 16)
    with pytest.raises(ValueError, match="whole numbers"):
        experiments.evaluate_file(place / "run", place / "unit.npy", {})


def test_every_energy_is_fitted_once(place):
    kept = sorted((place / "run/seed-0/energies").glob("*.json"))
    found = [json.loads(path.read_text()) for path in kept]
    assert [one["energy"]["name"] for one in found] == ["fitted-gaussian", "fitted-mixture"]
    assert all(np.isfinite(one["value"]) and "NLL" in one["what"] for one in found)
    output = (place / "output.txt").read_text()
    assert output.count("energy fitted-gaussian: NLL, nats") == 1


def test_a_fit_sees_the_training_points_of_its_arm_only(place):
    what = experiments.read("digits.toml")
    points, test = experiments.make_data(what, None, 0, progress=False)
    fitted = experiments.FittedEnergies((8, 8), points, test, seed=0)
    few = fitted.make(what.tables["energy"], 60)
    assert isinstance(few, hf.energies.FittedGaussian)
    np.testing.assert_allclose(few.mean, points[:60].mean(0), atol=1e-4)
    assert fitted.make(what.tables["energy"], 60) is few


def test_images_are_split_into_disjoint_parts(place):
    what = experiments.read("digits.toml")
    points, test = experiments.make_data(what, None, 0, progress=False)
    validation = experiments.make_validation(what, None, 0, progress=False)
    assert (points.shape, validation.shape) == ((1433, 8, 8), (4, 8, 8))
    assert test.shape == (6, 8, 8)
    pixels = experiments.pixel_transform(what)
    assert pixels is not None
    train, _ = hf.data.images("digits")
    every = {np.asarray(image).tobytes() for image in pixels.to_pixels(points).astype(jnp.uint8)}
    assert every <= {image.tobytes() for image in train}
    held = {np.asarray(image).tobytes() for image in pixels.to_pixels(validation).astype(jnp.uint8)}
    assert not held & every


def test_arms_are_compared_and_their_samples_shown(place):
    result = hiflow("compare", "run", "--out", "page")
    assert result.exit_code == 0, result.output
    text = (place / "page/comparison.md").read_text()
    assert "bits/dim" in text
    assert "± probes" in text
    assert "controlled" not in text
    assert "Each family's best" in text
    assert (place / "page/images.png").is_file()
    assert (place / "run/images.png").is_file()


def test_an_energy_is_read_from_its_file(place):
    energy = hf.energies.FittedGaussian.fit(
        experiments.make_data(experiments.read("digits.toml"), None, 0, progress=False)[0], rank=2
    )
    hf.energies.save(energy, "gaussian.hiflow")
    fitted = experiments.FittedEnergies((8, 8))
    read = fitted.make({"name": "fitted-gaussian", "file": "gaussian.hiflow"})
    assert isinstance(read, hf.energies.FittedGaussian)
    np.testing.assert_array_equal(read.vectors, energy.vectors)
    with pytest.raises(
        experiments.ConfigError, match=r"the 'fitted-mixture' that .* holds a FittedGaussian"
    ):
        fitted.make({"name": "fitted-mixture", "file": "gaussian.hiflow"})
    with pytest.raises(experiments.ConfigError, match="leave out rank"):
        fitted.make({"name": "fitted-gaussian", "file": "gaussian.hiflow", "rank": 3})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('images = "digits"', 'images = "cifar"', "must be digits, mnist or fashion-mnist"),
        ("rank = 5", "rnak = 5", "rnak"),
        ("rank = 5", "rank = 65", "rank"),
        ("seed = 0", "side = 3", "`side` must divide 8"),
        ("alpha = 1e-3", "alpha = 0.7", "`alpha` must be between 0 and 0.5"),
        ("seed = 0", 'file = "x.npy"', "unknown name 'file'"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_written(place, old, new, message):
    (place / "bad.toml").write_text(TOML.replace(old, new))
    result = hiflow("train", "bad.toml", "--out", "bad")
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert not (place / "bad").exists()


def test_more_images_than_there_are_is_refused(place):
    (place / "many.toml").write_text(TOML.replace("test = 6", "test = 361"))
    result = hiflow("train", "many.toml", "--out", "many")
    assert result.exit_code == 2, result.output
    assert "`test` = 361" in result.output


def test_mnist_experiments_build_from_a_folder_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HIFLOW_CACHE", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    for part in ("train", "t10k"):
        images = bytes(4 * 28 * 28)
        header = struct.pack(">HBBIII", 0, 8, 3, 4, 28, 28)
        (tmp_path / f"mnist/{part}-images-idx3-ubyte").write_bytes(header + images)
    table = TOML.replace('images = "digits"', 'images = "mnist"\nside = 14')
    (tmp_path / "mnist.toml").write_text(table)
    what = experiments.read(tmp_path / "mnist.toml")
    assert experiments.event_shape(what, None) == (14, 14)
    pixels = experiments.pixel_transform(what)
    assert pixels is not None
    assert pixels.levels == 256
