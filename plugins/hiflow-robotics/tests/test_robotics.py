"""The arm's kinematics and potential, the torus, and a flow on it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import hiflow as hf
from hiflow import experiments
from hiflow.testing import (
    check_coupling,
    check_energy,
    check_group,
    check_hessian,
    check_path,
    check_prior,
    check_velocity_field,
)
from hiflow_robotics import JointUniform, PeriodicMLP, SerialArm, Torus

WRAPS = (True, True, False)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def test_every_component_is_found_by_name_and_obeys_its_laws(x64):
    for registry, name, check in [
        (hf.energies.registry, "serial-arm", check_energy),
        (hf.groups.registry, "torus", lambda group: check_group(group, (3,))),
        (hf.priors.registry, "joint-uniform", check_prior),
        (hf.networks.registry, "periodic-mlp", check_velocity_field),
    ]:
        assert registry.origin(name) == "hiflow-robotics"
        check(registry.get(name).example())


@pytest.mark.parametrize("name", ["planar-3", "ur5"])
def test_presets_obey_the_laws_of_energies_and_hessians(name, x64):
    arm = SerialArm.preset(name)
    points = jax.random.uniform(jax.random.key(0), (4, *arm.event_shape), minval=-2, maxval=2)
    check_energy(arm, points=points)
    check_hessian(hf.hessians.GaussNewton(), arm, points=points, exact=False)


def test_forward_kinematics_of_a_planar_arm_is_a_sum_of_turns(x64):
    arm = SerialArm.preset("planar-3")
    x = np.array([0.3, -1.1, 2.0])
    angles, lengths = np.cumsum(x), np.array([1.0, 0.8, 0.5])
    ends = np.cumsum(lengths * np.exp(1j * angles))
    expected = np.stack([np.real(ends), np.imag(ends), 0 * np.real(ends)], axis=1)
    np.testing.assert_allclose(arm.forward(jnp.asarray(x))[1:], expected, atol=1e-12)


def end_of_ur5(x):
    """By turns about the joints' axes in the zero pose, without Denavit and Hartenberg's frames: axes
    and points on them from Lynch and Park, Modern Robotics (2017), example 4.5."""
    L1, L2, W1, W2, H1, H2 = 0.425, 0.39225, 0.10915, 0.0823, 0.089159, 0.09465
    axes = [[0, 0, 1], [0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, -1], [0, 1, 0]]
    through = [
        [0, 0, 0], [0, 0, H1], [L1, 0, H1], [L1 + L2, 0, H1], [L1 + L2, W1, 0],
        [L1 + L2, 0, H1 - H2],
    ]  # fmt: skip
    end = np.array([L1 + L2, W1 + W2, H1 - H2])
    for axis, point, angle in reversed(list(zip(axes, through, x, strict=True))):
        end = Rotation.from_rotvec(angle * np.array(axis)).apply(end - point) + point
    return end * [-1, -1, 1]  # Their base is turned by half a turn against the maker's.


def test_forward_kinematics_of_the_ur5_is_a_product_of_turns(x64):
    arm = SerialArm.preset("ur5")
    np.testing.assert_allclose(
        arm.forward(jnp.zeros(6))[-1], [-0.81725, -0.19145, -0.005491], atol=1e-6
    )
    for x in np.random.default_rng(0).uniform(-3, 3, (5, 6)):
        np.testing.assert_allclose(arm.forward(jnp.asarray(x))[-1], end_of_ur5(x), atol=1e-12)


def test_potential_is_lowest_at_the_goal_and_high_in_an_obstacle(x64):
    arm = SerialArm([{"a": 1.0}, {"a": 1.0}], goal=[1.0, 1.0, 0.0], obstacles=[[1.0, 0, 0, 0.2]])
    at_goal = jnp.array([np.pi / 2, -np.pi / 2])
    through_obstacle = jnp.array([0.0, np.pi / 2])
    np.testing.assert_allclose(arm.forward(at_goal)[-1], [1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(arm.forward(through_obstacle)[-1], [1, 1, 0], atol=1e-12)
    assert arm(at_goal) < 0.01
    assert arm(through_obstacle) > 5


def test_gauss_newton_is_the_hessian_near_a_reached_goal(x64):
    arm = SerialArm([{"a": 1.0}, {"a": 1.0}], goal=[1.0, 1.0, 0.0])
    x = jnp.array([np.pi / 2, -np.pi / 2])
    exact = jax.hessian(arm)(x)
    np.testing.assert_allclose(hf.hessians.GaussNewton()(arm, x).as_matrix(), exact, atol=1e-9)
    far = x + 0.5
    away = hf.hessians.GaussNewton()(arm, far).as_matrix() - jax.hessian(arm)(far)
    assert jnp.abs(away).max() > 1


def test_limits_stop_a_joint_and_wrapping_joints_have_none(x64):
    links, turn = [{"a": 1.0}, {"a": 1.0}], 2 * np.pi
    limited = SerialArm(links, goal=[2.0, 0, 0], limits=[[-1, 1], [-1, 1]])
    assert limited.group == hf.groups.Trivial()
    assert limited(jnp.array([turn, 0.0])) > 100
    mixed = SerialArm(links, goal=[2.0, 0, 0], limits=[[-1, 1], [-1, 1]], wraps=[True, False])
    assert mixed.group == Torus((True, False))
    np.testing.assert_allclose(mixed(jnp.array([turn, 0.0])), mixed(jnp.zeros(2)), atol=1e-9)
    assert mixed(jnp.array([0.0, turn])) > 100
    check_energy(mixed, points=jnp.array([[0.3, 0.2], [2.0, -0.5]]))


def test_a_prior_that_is_not_normalised_over_one_turn_is_refused(x64):
    class Doubled(JointUniform):
        def log_prob(self, x):
            return super().log_prob(x) + jnp.log(2.0)

    class Bumpy(JointUniform):
        def log_prob(self, x):
            return super().log_prob(x) + jnp.log1p(0.5 * jnp.sin(x[0]))

    with pytest.raises(AssertionError, match="normalised: "):
        check_prior(Doubled(WRAPS))
    with pytest.raises(AssertionError, match="samples: "):
        check_prior(Bumpy(WRAPS))


def test_alignment_takes_the_shorter_way_round(x64):
    coupling = hf.couplings.SymmetryAligned(Torus(WRAPS))
    check_coupling(coupling, prior=JointUniform(WRAPS))
    x0, x1 = jnp.array([[3.0, -3.0, 3.0]]), jnp.array([[-3.0, 3.0, -3.0]])
    moved, _ = coupling(x0, x1, jax.random.key(0))
    np.testing.assert_allclose(moved[0], [3 - 2 * np.pi, 2 * np.pi - 3, 3.0], atol=1e-12)


def test_anchors_on_the_arm_are_finite_and_move_with_the_turns(x64):
    arm = SerialArm.preset("planar-3")
    path = hf.paths.Linearised(arm, hessian="gauss-newton")
    points = jnp.array([[0.5, 0.2, -0.4], [2.0, -1.0, 0.3]])
    anchors = hf.paths.make_anchors(path, points)
    assert jnp.isfinite(anchors.speeds).all()
    turned = hf.paths.make_anchors(path, points + 2 * np.pi)
    np.testing.assert_allclose(turned.speeds, anchors.speeds, atol=1e-9)


def test_paths_between_normal_priors_obey_their_laws(x64):
    arm = SerialArm.preset("ur5")
    points = jax.random.uniform(jax.random.key(0), (2, 6), minval=-1, maxval=1)
    path = hf.paths.Langevin(arm, hessian="gauss-newton")
    check_path(path, prior=hf.priors.Normal(6), points=points)


@pytest.mark.parametrize("name", ["langevin", "relaxed"])
def test_end_laws_are_right_from_the_uniform_prior(name, x64):
    """A uniform sample, 1.8 times as wide as a normal one, would be the wrong noise."""
    arm, wraps = SerialArm.preset("planar-3"), (True, True, True)
    path = hf.paths.registry.make(name, energy=arm, hessian="gauss-newton")
    prior, point = JointUniform(wraps), jnp.array([0.5, 0.2, -0.4])
    anchor = path.anchor(point)
    anchors = hf.paths.make_anchors(path, jnp.broadcast_to(point, (4000, 3)))
    ends = hf.paths.end_law_samples(path, anchors, prior, key=jax.random.key(0))
    z = jax.vmap(anchor.modes.components)(ends - anchor.centre) / jnp.sqrt(anchor.variance)
    np.testing.assert_allclose(z.mean(0), 0, atol=0.08)
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(3), atol=0.12)
    x0 = jax.vmap(prior.sample)(jax.random.split(jax.random.key(1), 4000))
    shared = jax.vmap(lambda x: path.flow(x, anchor, jnp.ones(())))(x0) - anchor.centre
    wide = jax.vmap(anchor.modes.components)(shared) / jnp.sqrt(anchor.variance)
    np.testing.assert_allclose(wide.std(0), np.pi / np.sqrt(3), atol=0.05)
    check_path(path, prior=prior, points=point[None])


def test_density_of_a_trained_flow_integrates_to_one_over_one_turn(tmp_path):
    wraps = (True, True)
    prior = JointUniform(wraps)
    network = PeriodicMLP(wraps, width=32, depth=2, key=jax.random.key(0))
    centre = jnp.array([3.0, 0.5])
    data = centre + 0.4 * jax.random.normal(jax.random.key(1), (500, 2))
    data = (data + np.pi) % (2 * np.pi) - np.pi
    flow = hf.fit(
        network, hf.paths.OptimalTransport(), data, prior=prior, key=jax.random.key(2), steps=400,
        coupling={"name": "symmetry-aligned", "group": Torus(wraps)}, progress=False,
    )  # fmt: skip
    side = (jnp.arange(24) + 0.5) / 24 * 2 * np.pi - np.pi
    grid = jnp.stack(jnp.meshgrid(side, side), axis=-1).reshape(-1, 2)
    log_p = flow.log_prob(grid)
    np.testing.assert_allclose(jnp.exp(log_p).mean() * (2 * np.pi) ** 2, 1.0, atol=0.03)
    # It has learned where the data are, across the seam at π.
    assert flow.log_prob(centre) > flow.log_prob(jnp.array([0.0, -2.0])) + 2
    np.testing.assert_allclose(flow.log_prob(centre), flow.log_prob(centre - 2 * np.pi), atol=1e-2)
    flow.save(tmp_path / "torus.flow")
    loaded = hf.load(tmp_path / "torus.flow")
    np.testing.assert_array_equal(loaded.log_prob(centre), flow.log_prob(centre))


# With chains this short, of which the full example has none.
@pytest.mark.filterwarnings("ignore:sample. the chains of SerialArm remember")
def test_example_trains_to_its_end(tmp_path):
    text = experiments.read("planar-3-quick").text
    for line, shorter in [
        ("size = 30", "size = 8\nchains = 16\nburn_in = 200\ncache = false"),
        ("test = 500", "test = 8"),
        ("width = 96", "width = 4"),
        ("steps = 10_000", "steps = 2"),
        ("validate_at = 2_500", "validate_at = 2"),
    ]:
        assert f"\n{line}\n" in text
        text = text.replace(line, shorter)
    tables, *arms = text.split("[[arm]]")  # Of four arms the first and the last.
    (tmp_path / "small.toml").write_text("[[arm]]".join([tables, arms[0], arms[-1]]))
    found = experiments.train(experiments.read(tmp_path / "small.toml"), tmp_path / "run")
    assert [row["label"] for row in found.rows()] == ["OT-FM", "HI-FM (Relaxed)"]
    assert all(np.isfinite(row["nll"]) for row in found.rows())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SerialArm([{"a": 1.0, "b": 2.0}], goal=[0, 0, 0]), "unknown column 'b'"),
        (lambda: SerialArm([[1.0, 2.0]], goal=[0, 0, 0]), "rows of four numbers"),
        (lambda: SerialArm([{"a": 1.0}], goal=[0, 0]), "`goal` must be three numbers"),
        (lambda: SerialArm([{"a": 1}], goal=[0, 0, 0], obstacles=[[0, 0]]), "x, y, z, radius"),
        (lambda: SerialArm([{"a": 1}], goal=[0, 0, 0], limits=[[1, -1]]), "below its upper"),
        (lambda: SerialArm([{"a": 1}], goal=[0, 0, 0], limits=[[1, 2, 3]]), "1 rows lower, upper"),
        (lambda: SerialArm([{"a": 1}], goal=[0, 0, 0], reach=0.0), "reach"),
        (lambda: SerialArm.preset("planar-4"), "must be one of planar-3, ur5"),
        (lambda: SerialArm.preset("planar-3")(jnp.zeros(2)), "has 3 joints"),
        (lambda: Torus("yes"), "one per joint"),
        (lambda: Torus(WRAPS).act(jnp.zeros(2, int), jnp.zeros(2)), "for 3 joints"),
        (lambda: JointUniform(WRAPS, spread=-1.0), "spread"),
        (lambda: PeriodicMLP(WRAPS, harmonics=0, key=jax.random.key(0)), "`harmonics` must be"),
        (lambda: PeriodicMLP("yes", key=jax.random.key(0)), "one per joint"),
        (lambda: PeriodicMLP.example()(jnp.array(0.5), jnp.zeros(2)), "for 3 joints"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_end_effector_is_held_to_the_surface():
    arm = SerialArm.preset("iiwa-7")
    x = jax.random.uniform(jax.random.key(0), (7,), minval=-1.0, maxval=1.0)
    # The chain by hand: rotations about z and x, as Denavit and Hartenberg write them.
    frame = np.eye(4)
    offsets, turns = (
        [0.34, 0, 0.4, 0, 0.4, 0, 0.126],
        np.array([-1, 1, 1, -1, -1, 1, 0]) * np.pi / 2,
    )
    for angle, d, alpha in zip(np.asarray(x), offsets, turns, strict=True):
        c, s, ca, sa = np.cos(angle), np.sin(angle), np.cos(alpha), np.sin(alpha)
        about_z = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, d], [0, 0, 0, 1]])
        about_x = np.array([[1, 0, 0, 0], [0, ca, -sa, 0], [0, sa, ca, 0], [0, 0, 0, 1]])
        frame = frame @ about_z @ about_x
    np.testing.assert_allclose(arm.height(x), frame[2, 3] - 0.3, atol=1e-6)
    inside = (arm.limits is not None) and bool((jnp.abs(x) < arm.limits[:, 1] - 1).all())
    assert inside
    expected = ((frame[2, 3] - 0.3) / 0.02) ** 2 / 2
    np.testing.assert_allclose(arm(x), expected, rtol=1e-3, atol=1e-2)
    scaled = SerialArm(links=arm.links, surface=[0.0, 0.0, 5.0, 1.5])
    np.testing.assert_allclose(scaled.height(x), arm.height(x), atol=1e-6)


def test_the_arm_with_a_surface_obeys_the_laws_of_an_energy():
    hf.testing.check_energy(SerialArm.preset("iiwa-7"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "`goal` or a `surface`"),
        ({"surface": [0.0, 0.0, 0.0, 1.0]}, "`surface` must be a normal"),
    ],
)
def test_arms_without_an_aim_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        SerialArm(links=[{"a": 1.0}], **arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"limits": [[-170, 170]] * 2}, "are in radians, and 170 would be 27.1 turns"),
     ({"goal": [np.nan, 0, 0]}, "`goal` must be finite"),
     ({"links": [{"a": np.inf}] * 2}, "`links` must be finite"),
     ({"obstacles": [[1, 2, 3, -0.1]]}, "radii of `obstacles` must not be negative"),
     ({"points_per_link": 0}, "`points_per_link` must be at least 1"),
     ({"wraps": ["true", "false"]}, "must be true or false for every joint")],
)  # fmt: skip
def test_what_would_be_another_arm_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        SerialArm(**{"links": [{"a": 1.0}] * 2, "goal": [1.0, 0.0, 0.0], **arguments})


def test_a_goal_in_millimetres_is_warned_of():
    with pytest.warns(UserWarning, match="500 m from the base, and the arm's links reach 2 m"):
        SerialArm([{"a": 1.0}] * 2, goal=[500.0, 0.0, 0.0])
    free = SerialArm([{"a": 1.0}] * 2, goal=[1.0, 0.0, 0.0], limits=[[-np.inf, np.inf], [-1, 1]])
    assert np.isfinite(free(jnp.zeros(2)))
