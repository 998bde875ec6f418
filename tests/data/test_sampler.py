"""The reference sampler samples the energy, and its cache gives back what it would have made."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow.data import SamplingWarning, cache_folder, clear_cache, sample
from hiflow.data._mixing import mixing
from hiflow.data._tempering import inverse_temperatures
from hiflow.energies import (
    AbstractEnergy,
    DoubleWell,
    DoubleWellParticles,
    FunctionEnergy,
    Gaussian,
    GaussianMixture,
    HostEnergy,
    LennardJones,
    Ring,
)
from hiflow.groups import Trivial

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


def uneven_wells():
    """A barrier of 10 kT between wells of which the left one has 0.876 of the density."""
    return FunctionEnergy(lambda x: 10 * (x[0] ** 2 - 1) ** 2 + x[0] + x[1] ** 2 / 2, shape=(2,))


def test_chains_that_remember_their_start_are_told_of():
    with pytest.warns(SamplingWarning, match=r"coordinate 0.*`tempering`"):
        report = draw(uneven_wells()).report
    assert report is not None
    assert report.virial.z < 4  # which is why it takes more than the virial
    assert report.r_hat > 1.3
    assert report.memory > 0.3
    assert report.effective_size < 300


@pytest.mark.parametrize("tempering", [0.1, [1.0, 0.4, 0.1]], ids=["automatic", "ladder"])
def test_tempered_chains_find_the_share_of_every_well(tempering):
    samples = draw(uneven_wells(), tempering=tempering, size=3_000, chains=300)
    # By quadrature of the density over x[0] < 0.
    assert abs(float((samples.points[:, 0] < 0).mean()) - 0.8759) < 0.02
    report = samples.report
    assert report is not None
    assert report.r_hat < 1.1
    assert report.virial.z < 4
    assert "temperatures, exchanges 0." in str(report)


@pytest.mark.parametrize("tempering", [None, [1.0, 0.5]], ids=["plain", "tempered"])
def test_a_small_first_step_keeps_to_where_a_calculation_works(tempering):
    farthest = []

    def stiff(x):  # ω = 100: steps above 0.02 are unstable.
        farthest.append(np.abs(x).max())
        return 1e4 * np.sum(x**2, axis=-1) / 2, -1e4 * x

    energy = HostEnergy(stiff, shape=(2,), batch=20)
    given = {"chains": 10, "size": 20, "burn_in": 20, "thin": 2, "leapfrog_steps": 4}
    given |= {"start": np.zeros((10, 2)), "tempering": tempering}
    draw(energy, first_step=0.01, **given)
    assert max(farthest) < 0.2
    draw(energy, **given)
    assert max(farthest) > 1


def test_tempering_is_refused_where_it_is_no_ladder():
    for tempering in (1.0, 0, -0.1, [0.5, 0.1], [1.0, 0.1, 0.5], [1.0], ["a", "b"]):
        with pytest.raises(
            ValueError, match="`tempering` must be the smallest inverse temperature"
        ):
            draw(Ring(), tempering=tempering)


def test_a_ladder_is_even_in_the_logarithm_and_denser_in_many_dimensions():
    few, many = (np.asarray(inverse_temperatures(0.1, free)) for free in (2, 36))
    for betas in (few, many):
        np.testing.assert_allclose(np.diff(np.log(betas)), np.log(betas[1]), rtol=1e-6)
        np.testing.assert_allclose(betas[[0, -1]], [1, 0.1])
    assert len(few) < len(many)


def test_mixing_looks_at_what_the_group_leaves_unchanged():
    # Every chain keeps its own orientation for ever: no disagreement about the density.
    ring = Ring()
    radius = 2 + 0.08 * jax.random.normal(KEY, (20, 50))
    angle = jnp.broadcast_to(jnp.linspace(0, 6, 50), (20, 50))
    trace = radius[..., None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    assert mixing(ring, trace, burn_in=10.0).r_hat < 1.05
    hidden = FunctionEnergy(lambda x: ring(x), shape=(2,))
    found = mixing(hidden, trace, burn_in=10.0)
    assert found.r_hat > 2
    assert found.memory > 0.9
    assert found.effective_share < 0.1


def test_chains_that_stand_still_are_told_of():
    trace = jnp.broadcast_to(jnp.arange(30.0)[:, None], (8, 30, 1))
    found = mixing(Gaussian(jnp.zeros(1), 1.0), trace, burn_in=10.0)
    assert found.r_hat == np.inf
    np.testing.assert_allclose(found.memory, 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("start", "message"),
    [(np.nan, "`start` holds NaN"), (np.inf, "`start` holds NaN")],
)
def test_a_start_that_is_not_finite_is_refused(start, message):
    with pytest.raises(ValueError, match=message):
        draw(Ring(), start=np.full((100, 2), start))


def distances_with_the_diagonal(x):
    return jnp.sum((jnp.linalg.norm(x[:, None] - x[None, :], axis=-1) - 1) ** 2) + jnp.sum(x**2)


def test_a_gradient_that_is_not_finite_is_named():
    energy = FunctionEnergy(distances_with_the_diagonal, shape=(3, 2))
    for settings in ({}, {"tempering": 0.5}):
        with pytest.raises(ValueError, match=r"gradient of FunctionEnergy.*i = j"):
            draw(energy, **settings)


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
    with pytest.warns(SamplingWarning, match="remember"):
        samples = draw(energy, start=start, size=300)
    np.testing.assert_allclose((samples.points[:, 0] < 0).mean(), 0.3, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 1}, "`size` must be at least 2"),
        ({"chains": 0}, "`chains` must be at least 1"),
        ({"burn_in": 20}, "10 × `thin`"),
        ({"target_acceptance": 1.0}, "Around 0.8"),
        ({"first_step": 0.0}, "`first_step` must be positive"),
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


class Hopping(AbstractEnergy):
    """Two narrow wells, 80 kT apart, of which the right one holds 3 in 4."""

    event_shape = (1,)
    group = Trivial()

    def __call__(self, x):
        wells = jnp.array([-1.0, 1.0])
        return -jax.nn.logsumexp(-200 * (x - wells) ** 2, b=jnp.array([1.0, 3.0]))

    def start(self, key):
        return jnp.array([-1.0])

    def move(self, key, x):
        accept = jnp.log(jax.random.uniform(key)) < self(x) - self(-x)
        return jnp.where(accept, -x, x)


@pytest.mark.parametrize("tempering", [None, [1.0, 0.5]], ids=["plain", "tempered"])
def test_moves_of_an_energy_carry_its_chains_over_barriers(tempering):
    samples = draw(Hopping(), size=4_000, tempering=tempering)
    assert samples.report is not None
    right = np.asarray(samples)[:, 0] > 0
    assert abs(right.mean() - 0.75) < 0.05
    np.testing.assert_allclose(np.abs(samples), 1.0, atol=0.3)


def test_chains_start_where_an_energy_says():
    class Staying(Hopping):
        def move(self, key, x):
            return x

    for tempering in (None, [1.0, 0.9]):
        assert (np.asarray(draw(Staying(), size=200, tempering=tempering)) < 0).all()
