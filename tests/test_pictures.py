"""What pictures of flows, paths and Hessians show: the numbers behind what is drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

import hiflow as hf
from hiflow.cli import app

plotting = pytest.importorskip("hiflow.plotting", reason="needs the plot extra")
KEY = jax.random.key(0)
RING = hf.energies.Ring(width=0.25)
ANGLES = np.linspace(0, 2 * np.pi, 6, endpoint=False)
AROUND = jnp.asarray(2.1 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1), jnp.float32)


@pytest.fixture(scope="module")
def flow():
    network = hf.networks.MLP((2,), width=8, depth=1, key=KEY)
    return hf.Flow(hf.priors.Normal((2,)), network, steps=4)


def line(ax, label):
    (found,) = [one for one in ax.get_lines() if one.get_label() == label]
    return found.get_xydata()


def test_trajectories_begin_at_the_prior_and_end_at_the_samples(flow):
    ax = plotting.trajectories(flow, key=KEY, size=3, energy=RING)
    np.testing.assert_allclose(line(ax, "end"), flow.sample(KEY, 3), atol=1e-5)
    np.testing.assert_allclose(line(ax, "start"), flow.trajectory(KEY, 3, [0.0])[:, 0], atol=1e-5)
    assert plotting.trajectories(flow, key=KEY, size=3, times=[0.0, 1.0], ax=ax) is ax
    with pytest.raises(ValueError, match="`coordinates` must be two of 0 to 1"):
        plotting.trajectories(flow, key=KEY, coordinates=(0, 2))


def test_arrows_are_the_flows_velocity(flow):
    ax = plotting.vector_field(flow, 0.3, energy=RING, arrows=3, half_width=2.0)
    (arrows,) = [one for one in ax.collections if hasattr(one, "U")]
    at = np.stack(np.meshgrid([-2.0, 0, 2], [-2.0, 0, 2]), -1).reshape(-1, 2)
    u = np.asarray(flow.velocity(0.3, jnp.asarray(at, jnp.float32)))
    np.testing.assert_allclose(arrows.XY, at)
    np.testing.assert_allclose(np.stack([arrows.U, arrows.V], 1), u, rtol=1e-5)
    np.testing.assert_allclose(arrows.get_array(), np.hypot(*u.T), rtol=1e-5)
    particles = hf.Flow(hf.priors.CentredNormal(4, 2), hf.networks.EGNN(4, 2, width=8, key=KEY))
    with pytest.raises(ValueError, match=r"vector_field: `flow` must have events of shape \(2,\)"):
        plotting.vector_field(particles, 0.5)


def test_a_conditional_flow_is_drawn_as_the_path_goes():
    path = hf.paths.Linearised(RING, rates=hf.spectral.Saturating())
    x0 = jax.random.normal(KEY, (2, 2))
    ax = plotting.conditional_flow(path, AROUND[:3], x0, energy=RING, times=3)
    ways = [one.get_xydata() for one in ax.get_lines() if len(one.get_xydata()) == 3][:6]
    middle = jax.vmap(
        lambda x1: jax.vmap(lambda x: path.flow(x, path.anchor(x1), jnp.asarray(0.5)))(x0)
    )(AROUND[:3])
    np.testing.assert_allclose([way[1] for way in ways], middle.reshape(6, 2), atol=1e-5)
    np.testing.assert_allclose(line(ax, "data"), AROUND[:3])
    with pytest.raises(ValueError, match=r"`x0` must have shape \(n, 2\)"):
        plotting.conditional_flow(path, AROUND, jnp.zeros((3, 4)))


def test_eigenspaces_of_a_ring_are_its_radii_and_tangents():
    ax = plotting.eigenspaces(RING, AROUND, length=0.5)
    ends = [one.get_xydata() for one in ax.get_lines() if len(one.get_xydata()) == 2]
    along = np.array([(end[1] - end[0]) for end in ends])  # Of the whole line, of length 1.
    radial = np.asarray(AROUND) / 2.1
    soft, stiff = along[:6], along[6:]
    np.testing.assert_allclose(np.sum(soft * radial, 1), 0, atol=1e-4)
    np.testing.assert_allclose(np.abs(np.sum(stiff * radial, 1)), 1, atol=1e-4)


def test_figure_2_shows_eigenvalues_that_do_not_turn():
    ax = plotting.figure_2(points=5).axes[1]
    # Across the ring 1/w², along it (1 − R/r)/w².
    np.testing.assert_allclose(line(ax, "stiff (radial)")[:, 1], 16, rtol=1e-3)
    np.testing.assert_allclose(line(ax, "soft (tangential)")[:, 1], 16 * (1 - 2 / 2.15), rtol=1e-3)


def test_spectra_are_quantiles_over_points_mode_by_mode():
    values = np.linalg.eigvalsh(np.asarray(jax.vmap(RING.hessian)(AROUND * 1.1)))
    ax = plotting.spectrum(RING, AROUND * 1.1)
    np.testing.assert_allclose(line(ax, "median")[:, 1], np.median(values, 0), rtol=1e-3)
    maps = {"rates": hf.spectral.Absolute(shift=1.0)}
    ax = plotting.mapped_spectrum(maps, RING, AROUND * 1.1, hessian="analytic")
    expected = np.abs(np.median(values, 0)) + 1
    np.testing.assert_allclose(line(ax, "rates")[:, 1], expected, rtol=1e-3)
    with pytest.raises(ValueError, match=r"`points` must have shape \(n, 2\)"):
        plotting.spectrum(RING, jnp.zeros((4, 3)))


def test_a_corner_has_a_panel_for_every_pair():
    x = np.random.default_rng(0).normal(size=(400, 4))
    weighted = hf.metrics.Weighted(jnp.asarray(x), np.zeros(400), np.zeros(400))
    axes = plotting.corner({"plain": x, "weighted": weighted}, coordinates=[0, 2, 3], unit="Å")
    assert axes.shape == (3, 3)
    assert axes[2, 1].get_xlabel() == "$x_{3}$ [Å]"
    assert axes[2, 0].get_ylabel() == "$x_{4}$ [Å]"
    # Equal weights are none: both histograms are the same.
    plain, same = (patch.get_xy() for patch in axes[0, 0].patches)
    np.testing.assert_allclose(plain, same)
    with pytest.raises(ValueError, match="two or more of 0 to 3"):
        plotting.corner({"plain": x}, coordinates=[0])


def test_a_film_has_its_frames_and_nothing_is_left_of_one_that_is_refused(flow, tmp_path):
    image = pytest.importorskip("PIL.Image")
    out = plotting.animation(flow, tmp_path / "a.gif", key=KEY, size=5, frames=3, seconds=1.0)
    with image.open(out) as film:
        # The last stays for a second; Pillow joins equal pictures.
        assert film.n_frames >= 3
    with pytest.raises(ValueError, match=r"animation: `out` is .*: its suffix must be"):
        plotting.animation(flow, tmp_path / "a.avi", key=KEY)
    with pytest.raises(ValueError, match="no such folder"):
        plotting.animation(flow, tmp_path / "none" / "a.gif", key=KEY)
    with pytest.raises(ValueError, match="`coordinates` must be two of 0 to 1"):
        plotting.animation(flow, tmp_path / "b.gif", key=KEY, coordinates=(0, 2))
    assert [file.name for file in tmp_path.iterdir()] == ["a.gif"]


def test_a_film_is_an_mp4_of_its_frames(flow, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    out = plotting.animation(flow, tmp_path / "a.mp4", key=KEY, size=5, frames=4, seconds=1.0)
    # Four, of which the last stays for a second: another four at this rate.
    assert ffmpeg.count_frames_and_secs(str(out)) == (8, 2.0)
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_an_mp4_without_ffmpeg_says_what_to_install(flow, tmp_path, monkeypatch):
    monkeypatch.setattr(plotting._animation.FFMpegWriter, "isAvailable", lambda: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"ffmpeg isn't there: .*pip install imageio-ffmpeg"):
        plotting.animation(flow, tmp_path / "a.mp4", key=KEY)
    assert not list(tmp_path.iterdir())


def test_losses_need_one():
    rows = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 1.0}]
    np.testing.assert_allclose(line(plotting.losses({"arm": rows}), "arm"), [[1, 3], [2, 1]])
    with pytest.raises(ValueError, match="history of 'arm' has no row with a `loss`"):
        plotting.losses({"arm": [{"step": 1}]})
    with pytest.raises(ValueError, match="`histories` is empty"):
        plotting.losses({})


def test_curves_differ_by_more_than_colour():
    looks = [plotting._style.style(k) for k in range(6)]
    for part in ("color", "linestyle", "marker"):
        assert len({str(look[part]) for look in looks}) == 6


def test_the_command_draws_the_papers_figures_or_says_what_is_wrong(tmp_path):
    run = CliRunner().invoke
    out = tmp_path / "two.svg"
    done = run(app, ["plot", "figure-2", "--out", str(out), "--no-cache"])
    assert done.exit_code == 0, done.output
    assert out.read_text(encoding="utf-8").startswith("<?xml")
    for given, words in [
        (["figure-1", "--out", str(tmp_path / "one.gif")], "must end in .png, .svg or .pdf"),
        (["figure-1", "--out", str(tmp_path / "no" / "one.png")], "no such folder"),
        ([str(tmp_path)], str(tmp_path)),
    ]:
        done = run(app, ["plot", *given])
        assert done.exit_code == 2, done.output
        assert words in "".join(done.output.split("\n"))
