"""Laws of a flow: its density, its solver's count, its file."""

from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.solver import methods

KEY = jax.random.key(0)


class Linear(hf.networks.AbstractVelocityField):
    """v = A x: the flow of a matrix exponential."""

    matrix: jax.Array
    group: hf.groups.AbstractGroup = eqx.field(default_factory=hf.groups.Trivial)

    @property
    def event_shape(self):
        return self.matrix.shape[:1]

    def __call__(self, t, x):
        return self.matrix @ x


class Zero(hf.networks.AbstractVelocityField):
    event_shape: tuple[int, ...] = eqx.field(static=True)
    group: hf.groups.AbstractGroup = eqx.field(default_factory=hf.groups.Trivial)

    def __call__(self, t, x):
        return jnp.zeros_like(x)


class Rough(hf.networks.AbstractVelocityField):
    event_shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    group: hf.groups.AbstractGroup = eqx.field(default_factory=hf.groups.Trivial)

    def __call__(self, t, x):
        return jnp.sin(20 * t * x) + jnp.where(t > 0.5, jnp.sin(60 * t), 0.0)


class Counting(hf.networks.AbstractVelocityField):
    """Counts its evaluations on the host; rough enough that steps are rejected."""

    event_shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    group: hf.groups.AbstractGroup = eqx.field(default_factory=hf.groups.Trivial)

    calls = 0

    def __call__(self, t, x):
        def count(value):
            Counting.calls += 1
            return np.zeros_like(value)

        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        counted = jax.pure_callback(count, shape, x, vmap_method="sequential")
        return Rough()(t, x) + counted


def linear_flow(**settings):
    matrix = jnp.array([[0.5, 1.0], [-0.3, -0.8]])
    return hf.Flow(hf.priors.Normal(shape=(2,)), Linear(matrix), **settings)


@pytest.mark.parametrize(
    "prior", [hf.priors.Normal(shape=(3,)), hf.priors.CentredNormal(particles=13, dim=3)]
)
def test_zero_velocity_leaves_the_prior(prior):
    flow = hf.Flow(prior, Zero(prior.event_shape))
    x = flow.sample(KEY, 20)
    np.testing.assert_allclose(flow.log_prob(x), jax.vmap(prior.log_prob)(x), rtol=1e-6)


def test_density_of_a_linear_field_is_the_transformed_gaussian(x64):
    flow = linear_flow(rtol=1e-9, atol=1e-9)
    assert isinstance(flow.network, Linear)
    push = jax.scipy.linalg.expm(flow.network.matrix)
    covariance = push @ push.T
    x = jax.random.normal(KEY, (7, 2))
    expected = jax.scipy.stats.multivariate_normal.logpdf(x, jnp.zeros(2), covariance)
    np.testing.assert_allclose(flow.log_prob(x), expected, atol=1e-7)


def test_samples_carry_the_density_that_log_prob_gives(x64):
    flow = linear_flow(rtol=1e-8, atol=1e-8)
    x, log_prob = flow.sample_and_log_prob(KEY, 9)
    np.testing.assert_allclose(flow.log_prob(x), log_prob, atol=1e-6)


def test_density_ignores_the_centre_of_mass():
    prior = hf.priors.CentredNormal(particles=4, dim=2)
    network = hf.networks.EGNN(particles=4, dim=2, width=8, depth=2, key=KEY)
    flow = hf.Flow(prior, network)
    x = flow.sample(KEY, 3)
    np.testing.assert_allclose(flow.log_prob(x + 5.0), flow.log_prob(x), atol=1e-3)


def test_pull_is_the_inverse_of_push(x64):
    flow = linear_flow(rtol=1e-8, atol=1e-8)
    x0 = jax.random.normal(KEY, (5, 2))
    np.testing.assert_allclose(flow.pull(flow.push(x0)), x0, atol=1e-6)
    np.testing.assert_allclose(flow.push(flow.pull(x0)), x0, atol=1e-6)
    assert isinstance(flow.network, Linear)
    there = x0 @ jax.scipy.linalg.expm(flow.network.matrix).T
    np.testing.assert_allclose(flow.pull(there), x0, atol=1e-6)


@pytest.mark.parametrize("settings", [{"rtol": 1e-8, "atol": 1e-8}, {"solver": "Heun", "steps": 8}])
def test_a_trajectory_goes_from_the_prior_to_the_samples_of_the_same_key(x64, settings):
    units = hf.Standardised(scale=jnp.array([3.0, 0.5]), shift=7.0)
    flow = linear_flow(**settings, units=units)
    times = jnp.array([0.0, 0.3, 0.3, 0.8, 1.0])
    x = flow.trajectory(KEY, 4, times)
    np.testing.assert_allclose(x[:, -1], flow.sample(KEY, 4), atol=1e-7)
    start = jax.vmap(flow.prior.sample)(jax.random.split(KEY, 4))
    np.testing.assert_allclose(x[:, 0], jax.vmap(units.inverse)(start))
    # Of the linear field it is the exponential's, at every time.
    assert isinstance(flow.network, Linear)
    z = jax.vmap(jax.vmap(units))(x)
    for k, t in enumerate(times):
        there = z[:, 0] @ jax.scipy.linalg.expm(t * flow.network.matrix).T
        np.testing.assert_allclose(z[:, k], there, atol=1e-2)


def test_velocity_is_the_slope_of_the_trajectory_in_the_datas_units(x64):
    units = hf.Standardised(scale=jnp.array([3.0, 0.5]), shift=7.0)
    flow = hf.Flow(hf.priors.Normal((2,)), Rough(), units=units, rtol=1e-10, atol=1e-10)
    times = jnp.array([0.2, 0.4])
    h = 1e-4
    around = flow.trajectory(KEY, 3, jnp.sort(jnp.concatenate([times - h, times, times + h])))
    for k, t in enumerate(times):
        before, here, after = (around[:, 3 * k + j] for j in range(3))
        slope = (after - before) / (2 * h)
        np.testing.assert_allclose(flow.velocity(t, here), slope, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(flow.velocity(float(t), here[0]), slope[0], rtol=1e-4, atol=1e-4)
    each = flow.velocity(times, around[:2, 0])
    np.testing.assert_allclose(each[1], flow.velocity(times[1], around[1, 0]))


@pytest.mark.parametrize("chunk_size", [1, 3])
def test_chunks_do_not_change_the_result(x64, chunk_size):
    x = jax.random.normal(KEY, (7, 2))
    whole, stats = linear_flow().log_prob_and_stats(x)
    parts, parts_stats = linear_flow().log_prob_and_stats(x, chunk_size=chunk_size)
    np.testing.assert_allclose(parts, whole, rtol=1e-9)
    np.testing.assert_array_equal(parts_stats.nfe, stats.nfe)


def counted(divergence: bool, **settings):
    """What the solver says that it evaluated, and what the host saw, for one sample."""
    flow = hf.Flow(hf.priors.Normal(shape=(2,)), Counting(), **settings)
    Counting.calls = 0
    if divergence:
        _, stats = flow.log_prob_and_stats(jnp.array([[0.4, -1.2]]), divergence=Blind())
    else:
        _, stats = flow.sample_and_stats(KEY, 1)
    return jax.block_until_ready(stats), Counting.calls


class Blind(hf.divergences.AbstractDivergence):
    """0, so that a counter in the network isn't differentiated."""

    def draw(self, key, x):
        return None

    def __call__(self, field, t, x, drawn):
        return field(t, x), jnp.zeros(())


@pytest.mark.parametrize("divergence", [False, True], ids=["samples", "density"])
@pytest.mark.parametrize("steps", [None, 7])
@pytest.mark.parametrize("method", [*methods()])
def test_nfe_is_what_a_counter_in_the_network_sees(method, steps, divergence):
    if method == "Euler" and steps is None:
        pytest.skip("Euler's method has no error estimate")
    # Tight enough that the first steps are rejected, some later ones too, and there are many.
    tight = {"Bosh3": 1e-7}.get(method, 1e-4)
    stats, calls = counted(divergence, solver=method, steps=steps, rtol=tight, atol=tight)
    assert int(stats.nfe[0]) == calls
    if steps is None:
        assert int(stats.rejected[0]) > 0, "the case must exercise rejected steps"
    if steps is None and method == "Bosh3":
        assert int(stats.accepted[0]) > 130


def test_a_number_of_steps_is_taken_as_it_is():
    _, stats = linear_flow(steps=7).sample_and_stats(KEY, 3)
    np.testing.assert_array_equal(stats.accepted, 7)
    np.testing.assert_array_equal(stats.rejected, 0)


def test_far_from_the_origin_the_relative_tolerance_decides(x64):
    x = 1e6 * jnp.array([[1.0, -0.5]])

    def evaluations(**tolerances):
        return int(linear_flow(**tolerances).log_prob_and_stats(x)[1].nfe[0])

    assert evaluations(rtol=1e-2, atol=1e-10) < evaluations(rtol=1e-10, atol=1e-2)


def test_nfe_of_a_sample_does_not_depend_on_its_neighbours(x64):
    flow = hf.Flow(hf.priors.Normal(shape=(2,)), Rough())
    x = jnp.array([[0.1, 0.2], [5.0, -7.0]])
    _, together = flow.log_prob_and_stats(x, chunk_size=2)
    _, alone = flow.log_prob_and_stats(x, chunk_size=1)
    assert together.nfe[0] != together.nfe[1]
    np.testing.assert_array_equal(together.nfe, alone.nfe)


def test_hutchinson_averages_to_the_exact_density():
    flow = linear_flow()
    x = jnp.ones((1, 2))
    exact = flow.log_prob(x)[0]
    noisy = flow.log_prob(jnp.tile(x, (4000, 1)), divergence=hf.Hutchinson(2), key=KEY)
    error = noisy.std() / np.sqrt(noisy.size)
    assert noisy.std() > 0.01
    assert abs(noisy.mean() - exact) < 4 * error


def test_probe_variance_is_that_of_the_estimate():
    x = jnp.tile(jnp.array([[1.0, 0.5]]), (3000, 1))
    log_prob, stats = linear_flow().log_prob_and_stats(x, divergence=hf.Hutchinson(4), key=KEY)
    np.testing.assert_allclose(stats.probe_variance.mean(), log_prob.var(), rtol=0.1)
    assert not linear_flow().log_prob_and_stats(x[:2])[1].probe_variance.any()
    single = linear_flow().log_prob_and_stats(x[:2], divergence=hf.Hutchinson(1), key=KEY)[1]
    assert jnp.isnan(single.probe_variance).all()


def test_hutchinson_needs_a_key():
    with pytest.raises(ValueError, match="needs `key=`"):
        linear_flow().log_prob(jnp.ones((1, 2)), divergence=hf.Hutchinson())


def test_likelihood_is_differentiable_in_the_parameters(x64):
    x = jnp.array([[0.3, -0.2], [1.0, 0.5]])

    def nll(matrix):
        flow = hf.Flow(hf.priors.Normal(shape=(2,)), Linear(matrix), rtol=1e-9, atol=1e-9)
        return -flow.log_prob(x).mean()

    matrix = jnp.array([[0.5, 1.0], [-0.3, -0.8]])
    direction = jnp.array([[1.0, -2.0], [0.5, 1.0]])
    slope = jnp.sum(jax.grad(nll)(matrix) * direction)
    h = 1e-5
    expected = (nll(matrix + h * direction) - nll(matrix - h * direction)) / (2 * h)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_one_event_and_a_batch_agree():
    x = jax.random.normal(KEY, (3, 2))
    flow = linear_flow()
    assert flow.log_prob(x[1]).shape == ()
    np.testing.assert_allclose(flow.log_prob(x[1]), flow.log_prob(x)[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": diffrax.Kvaerno5()}, "explicit Runge"),
        ({"solver": diffrax.Euler()}, "pass a number of `steps`"),
        ({"steps": 0}, "`steps` must be at least 1"),
        ({"rtol": -1.0}, "`rtol` must be positive"),
        ({"tolerance": 1e-3}, "unknown solver setting 'tolerance'"),
        ({"chunk_size": 0}, "`chunk_size` must be at least 1"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        linear_flow().with_settings(**settings)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"must have shape \(2,\) or \(n, 2\)"):
        linear_flow().log_prob(jnp.ones((4, 3)))
    with pytest.raises(ValueError, match="build both for the same events"):
        hf.Flow(hf.priors.Normal(shape=(3,)), Linear(jnp.eye(2)))


def test_a_saved_flow_comes_back_bit_for_bit(tmp_path):
    prior = hf.priors.CentredNormal(particles=4, dim=2)
    network = hf.networks.EGNN(particles=4, dim=2, width=8, depth=2, key=KEY)
    flow = hf.Flow(prior, network, solver=diffrax.Bosh3(), rtol=1e-3, divergence=hf.Hutchinson(3))
    flow.save(tmp_path / "a.flow")
    back = hf.load(tmp_path / "a.flow")
    assert eqx.tree_equal(flow, back)
    np.testing.assert_array_equal(flow.sample(KEY, 2), back.sample(KEY, 2))


def test_an_mlp_flow_comes_back_with_its_activation(tmp_path):
    flow = hf.Flow(
        hf.priors.Normal(shape=(2,)), hf.networks.MLP(shape=(2,), width=8, depth=2, key=KEY)
    )
    flow.save(tmp_path / "a.flow")
    np.testing.assert_array_equal(flow.sample(KEY, 3), hf.load(tmp_path / "a.flow").sample(KEY, 3))


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, keep):
    flow = hf.Flow(
        hf.priors.Normal(shape=(2,)), hf.networks.MLP(shape=(2,), width=8, depth=2, key=KEY)
    )
    flow.save(tmp_path / "a.flow")
    whole = (tmp_path / "a.flow").read_bytes()
    size = keep if isinstance(keep, int) else int(keep * len(whole))
    (tmp_path / "b.flow").write_bytes(whole[:size])
    with pytest.raises(ValueError, match=r"b\.flow: truncated, corrupt"):
        hf.load(tmp_path / "b.flow")


def test_a_flipped_byte_is_noticed(tmp_path):
    flow = hf.Flow(
        hf.priors.Normal(shape=(2,)), hf.networks.MLP(shape=(2,), width=64, depth=2, key=KEY)
    )
    flow.save(tmp_path / "a.flow")
    content = bytearray((tmp_path / "a.flow").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "a.flow").write_bytes(content)
    with pytest.raises(ValueError, match="truncated, corrupt"):
        hf.load(tmp_path / "a.flow")


def test_what_cannot_be_stored_is_refused_and_leaves_no_file(tmp_path):
    energy = hf.energies.FunctionEnergy(lambda x: (x**2).sum(), shape=(2,))
    flow = eqx.tree_at(lambda f: f.prior, linear_flow(), energy, is_leaf=lambda x: x is None)
    with pytest.raises(TypeError, match="can't be stored"):
        flow.save(tmp_path / "a.flow")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_the_first_format_is_read():
    flow = hf.load(Path(__file__).parent / "files" / "flow-of-format-1.hiflow")
    assert isinstance(flow.solver.method, diffrax.Bosh3)
    assert (float(flow.solver.rtol), flow.solver.chunk_size) == (np.float32(1e-3), 7)
    assert flow.solver.divergence == hf.Hutchinson(2)
    # As the version that wrote it drew them.
    drawn = flow.sample(KEY, 2, rtol=1e-6, atol=1e-6)
    expected = [[0.83716, -0.94068], [-2.44546, -2.15067]]
    np.testing.assert_allclose(drawn, expected, rtol=2e-3)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.flow: no such file"):
        hf.load(tmp_path / "none.flow")


@pytest.mark.gpu
def test_density_law_on_the_gpu():
    flow = linear_flow(rtol=1e-6, atol=1e-6)
    x, log_prob = flow.sample_and_log_prob(KEY, 9)
    np.testing.assert_allclose(flow.log_prob(x), log_prob, atol=1e-4)


class Stiff(hf.networks.AbstractVelocityField):
    """Turns round so often that no adaptive solver gets to the end."""

    group: hf.groups.AbstractGroup = eqx.field(default_factory=hf.groups.Trivial)
    event_shape: tuple[int, ...] = eqx.field(static=True, default=(2,))

    def __call__(self, t, x):
        return 1e5 * jnp.array([-x[1], x[0]])


def test_a_solve_that_does_not_arrive_is_no_number():
    flow = hf.Flow(hf.priors.Normal(2), Stiff(), rtol=1e-5, atol=1e-5)
    with pytest.raises(RuntimeError, match="didn't arrive for 2 of 2 samples within 4,096 steps"):
        flow.trajectory(KEY, 2, jnp.array([0.0, 1.0]))
    with pytest.raises(RuntimeError, match="didn't arrive for 3 of 3 samples within 4,096 steps"):
        flow.sample(KEY, 3)
    x = jnp.ones((2, 2))
    with pytest.raises(RuntimeError, match="`rtol` and `atol`"):
        flow.log_prob(x)
    with pytest.raises(RuntimeError, match="`rtol` and `atol`"):
        jax.block_until_ready(eqx.filter_jit(flow.log_prob)(x))


def test_events_may_be_numbers_alone():
    network = hf.networks.MLP((), width=8, depth=1, key=KEY)
    flow = hf.Flow(hf.priors.Normal(()), network, method="Heun", steps=8)
    x = jnp.linspace(-8, 8, 200)
    density = jnp.exp(flow.log_prob(x))
    assert density.shape == flow.velocity(0.5, x).shape == (200,)
    np.testing.assert_allclose(jnp.trapezoid(density, x), 1, atol=1e-3)
    np.testing.assert_allclose(jnp.exp(flow.log_prob(x[60])), density[60], rtol=1e-4)
    with pytest.raises(ValueError, match=r"must have shape \(\) or \(n, \), got \(2, 2\)"):
        flow.log_prob(jnp.ones((2, 2)))
