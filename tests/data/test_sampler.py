"""The reference sampler samples the energy, and its cache gives back what it would have made."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow.data import cache_folder, clear_cache, sample
from hiflow.energies import (
    DoubleWell,
    DoubleWellParticles,
    FunctionEnergy,
    Gaussian,
    GaussianMixture,
    LennardJones,
    Ring,
)

KEY = jax.random.key(0)
QUICK = {"chains": 100, "burn_in": 100, "thin": 10, "progress": False}


def draw(energy, **settings):
    return sample(energy, key=KEY, **{"size": 1_000, **QUICK, **settings})


def test_hmc_finds_the_moments_of_a_gaussian():
    exact = Gaussian(jnp.array([1.0, -2.0, 0.0]), [1.0, 4.0, 25.0])
    hidden = FunctionEnergy(lambda x: exact(x), shape=(3,))
    samples = draw(hidden, size=4_000)
    z = (np.asarray(samples) - np.asarray(exact.mean)) * np.sqrt(exact.precision)
    np.testing.assert_allclose(z.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(3), atol=0.12)


def test_hmc_finds_the_virial_of_a_gaussian():
    exact = Gaussian(jnp.array([1.0, -2.0, 0.0]), [1.0, 4.0, 25.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What `sample` would warn of is asserted.
        report = draw(FunctionEnergy(lambda x: exact(x), shape=(3,))).report
    assert report is not None
    assert report.virial.z <= 4


@pytest.mark.parametrize(
    "energy", [Ring(), DoubleWell(), DoubleWellParticles.preset("dw4")], ids=["ring", "dw", "dw4"]
)
def test_chains_have_the_energy_and_the_virial_of_the_density(energy):
    report = draw(energy, size=2_000).report
    assert report is not None
    assert 0.6 < report.acceptance < 0.95
    assert report.virial.z < 4
    # ⟨V⟩ by quadrature in the plane, and from a long independent run for dw4.
    expected = {"Ring": 0.5, "DoubleWell": 1.07, "dw4": -22.54}[report.energy]
    assert abs(report.mean_energy - expected) < 5 * report.energy_error


def test_lennard_jones_chains_reach_the_known_mean_energy():
    report = draw(LennardJones.preset("lj13"), chains=50, size=500, burn_in=150, thin=15).report
    assert report is not None
    assert report.energy == "lj13"
    assert report.free_dimensions == 36
    assert report.virial.z < 4
    assert abs(report.mean_energy + 42.97) < 4 * report.energy_error


def test_energies_with_exact_samples_are_drawn_exactly():
    mixture = GaussianMixture([[-20.0, 0.0], [20.0, 0.0]], 1.0, [0.25, 0.75])
    samples = draw(mixture)
    assert samples.report is not None
    assert samples.report.method == "exact"
    assert samples.chains is None
    assert abs((samples.points[:, 0] > 0).mean() - 0.75) < 0.06


def test_particle_samples_are_centred_and_labelled():
    samples = draw(DoubleWellParticles.preset("dw4"), size=250)
    np.testing.assert_allclose(samples.points.mean(1), 0, atol=1e-5)
    assert samples.shape == (250, 4, 2)
    assert samples.chains is not None
    assert len(np.unique(samples.chains)) == 100


def test_report_prints_the_preset_and_the_virial(capsys):
    draw(DoubleWellParticles.preset("dw4"), size=200, progress=True)
    printed = capsys.readouterr().out
    assert "samples of dw4" in printed
    assert "must be 6" in printed


def test_chains_start_where_they_are_told_to():
    # A barrier that no chain crosses: the wells keep the shares of the start.
    energy = DoubleWell(barrier=200.0)
    start = jnp.where(jnp.arange(100)[:, None] < 30, -1.5, 1.5) * jnp.array([1.0, 0.0])
    samples = draw(energy, start=start, size=300)
    np.testing.assert_allclose((samples.points[:, 0] < 0).mean(), 0.3, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 1}, "`size` must be at least 2"),
        ({"chains": 0}, "`chains` must be at least 1"),
        ({"burn_in": 20}, "10 × `thin`"),
        ({"target_acceptance": 1.0}, "Around 0.8"),
        ({"start": np.zeros((3, 2))}, r"\(100, 2\), got \(3, 2\)"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        draw(Ring(), **settings)


def test_an_energy_that_is_not_finite_at_the_start_is_refused():
    energy = FunctionEnergy(lambda x: jnp.log(x).sum(), shape=(2,))
    with pytest.raises(ValueError, match="isn't finite"):
        draw(energy)


def files():
    folder = cache_folder() / "samples"
    return sorted(folder.glob("*")) if folder.exists() else []


def test_cache_returns_the_same_samples_without_sampling():
    first, second = draw(Ring(), size=200), draw(Ring(), size=200)
    assert len(files()) == 1
    np.testing.assert_array_equal(first.points, second.points)
    np.testing.assert_array_equal(first.chains, second.chains)
    assert second.report == first.report  # seconds too: it wasn't made anew
    clear_cache()
    assert not files()


def test_cache_tells_energies_keys_and_settings_apart():
    energy = Gaussian(jnp.zeros(2), 1.0)
    draw(energy)
    draw(Gaussian(jnp.zeros(2), 1.5))
    draw(energy, size=999)
    draw(energy, thin=9)
    sample(energy, key=jax.random.key(1), size=1_000, **QUICK)
    assert len(files()) == 5


def test_cache_is_left_alone_where_it_cannot_identify_the_energy():
    draw(FunctionEnergy(lambda x: (x**2).sum(), shape=(2,)), size=200)
    draw(Gaussian(jnp.zeros(2), 1.0), cache=False)
    assert not files()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip"], ids=["empty", "garbage"])
def test_a_corrupt_cache_is_reported_and_made_anew(damage):
    energy = Gaussian(jnp.zeros(2), 1.0)
    first = draw(energy)
    (path,) = files()
    path.write_bytes(damage or path.read_bytes()[:200])
    with pytest.warns(UserWarning, match="made anew"):
        again = draw(energy)
    np.testing.assert_array_equal(first.points, again.points)
    np.testing.assert_array_equal(draw(energy).points, first.points)
    assert files() == [path]  # no temporary file is left


def test_an_unwritable_cache_is_reported_and_ignored(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HIFLOW_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="couldn't be cached"):
        assert len(draw(Gaussian(jnp.zeros(2), 1.0))) == 1_000
