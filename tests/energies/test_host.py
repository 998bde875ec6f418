"""Energies outside JAX: the closed form's values and derivatives, asked for as often as is said."""

import copy
import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow._disk import fingerprint
from hiflow.energies import HostEnergy, Units

EXACT = hf.energies.LennardJones(4, epsilon=2.0, r_m=1.5, trap=0.5)
"""The same in JAX as `lennard_jones` is in NumPy."""


def lennard_jones(x):
    """Four particles in a trap, `(n, 4, 3)` or `(4, 3)`."""
    offset = x[..., :, None, :] - x[..., None, :, :]
    square = np.sum(offset**2, -1) + np.eye(4)
    q = (1.5**2 / square) ** 3 * (1 - np.eye(4))
    centred = x - x.mean(-2, keepdims=True)
    energy = 2.0 * np.sum(q * (q - 2), (-1, -2)) / 2 + 0.25 * np.sum(centred**2, (-1, -2))
    slope = 2.0 * 12 * (q - q**2) / square
    return energy, -np.sum(slope[..., None] * offset, -2) - 0.5 * centred


class Counted:
    """`lennard_jones` with the number of events in every call."""

    def __init__(self):
        self.calls = []

    def __call__(self, x):
        assert isinstance(x, np.ndarray)
        assert x.dtype == np.float64
        self.calls.append(1 if x.ndim == 2 else len(x))
        return lennard_jones(x)


def made(function=lennard_jones, **options):
    return HostEnergy(function, (4, 3), EXACT.group, **options)


def points(n, seed=0):
    corners = 1.5 * np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.87, 0], [0.5, 0.29, 0.82]])
    return jnp.asarray(corners + 0.05 * np.random.default_rng(seed).normal(size=(n, 4, 3)))


def close(found, expected, relative):
    np.testing.assert_allclose(found, expected, atol=relative * np.abs(expected).max())


@pytest.mark.parametrize("batch", [False, True, 3])
def test_values_and_derivatives_are_the_closed_form(x64, batch):
    energy, x = made(batch=batch, displacement=1e-4), points(5)
    v, w = np.random.default_rng(1).normal(size=(2, *x.shape))
    close(jax.vmap(energy)(x), jax.vmap(EXACT)(x), 1e-12)
    close(jax.jit(jax.vmap(jax.grad(energy)))(x), jax.vmap(jax.grad(EXACT))(x), 1e-11)
    hessians = jax.vmap(EXACT.hessian)(x)
    close(jax.vmap(energy.hessian)(x), hessians, 1e-6)
    flat = jax.vmap(lambda y: jax.hessian(energy)(y).reshape(12, 12))(x)
    close(flat, hessians, 1e-6)
    close(flat, jnp.swapaxes(flat, 1, 2), 1e-6)

    def product(energy, x, v):
        return jax.jvp(jax.grad(energy), (x,), (v,))[1]

    def transposed(energy, x, v):
        return jax.grad(lambda y: jnp.sum(jax.grad(energy)(y) * v))(x)

    expected = jax.vmap(lambda x, v: product(EXACT, x, v))(x, v)
    for one in (product, transposed):
        close(jax.vmap(lambda x, v, one=one: one(energy, x, v))(x, v), expected, 1e-6)
    # The rule of the chain: through a map, and twice.
    for derivative in (jax.grad, jax.hessian):
        through = derivative(lambda y: energy(jnp.sin(y)) ** 2)(x[0])
        close(through, derivative(lambda y: EXACT(jnp.sin(y)) ** 2)(x[0]), 1e-5)
    assert jnp.isfinite(w).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_events_keep_their_precision(dtype):
    with jax.enable_x64(dtype == np.float64):
        energy, x = made(), points(1)[0].astype(dtype)
        value, gradient = jax.value_and_grad(energy)(x)
        assert value.dtype == gradient.dtype == energy.hessian(x).dtype == dtype
        expected, forces = lennard_jones(np.asarray(x, np.float64))
        np.testing.assert_allclose(value, expected, rtol=2 * np.finfo(dtype).eps)
        close(gradient, -forces, 4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("batch", [False, True])
def test_a_batch_is_a_loop(x64, batch):
    energy, x = made(batch=batch), points(4)
    for function in (energy, jax.grad(energy), energy.hessian, jax.hessian(energy)):
        together = jax.vmap(function)(x)
        alone = jnp.stack([function(one) for one in x])
        np.testing.assert_allclose(together, alone, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("compiled", [False, True])
def test_costs_in_calls(x64, compiled):
    counted = Counted()
    energy, x = made(counted, batch=True), points(8)
    wrap = (lambda f: jax.jit(lambda *some: f(*some))) if compiled else lambda f: f

    def cost(function, *arguments):
        counted.calls.clear()
        jax.block_until_ready(wrap(function)(*arguments))
        return counted.calls

    assert cost(energy, x[0]) == [1]
    assert cost(energy, x[0]) == cost(jax.value_and_grad(energy), x[0]) == []
    assert cost(jax.value_and_grad(energy), x[1]) == [1]
    assert cost(jax.vmap(energy), x[:4]) == [2]
    assert cost(energy.hessian, x[0]) == [24]
    assert cost(energy.hessian, x[0]) == []
    v = jnp.ones_like(x[0])
    assert cost(lambda v: jax.jvp(jax.grad(energy), (x[0],), (v,))[1], v) == [2]
    assert cost(jax.hessian(energy), x[0]) == [24]
    assert cost(jax.hessian(energy), x[0]) == []
    assert cost(jax.vmap(energy), jnp.stack([x[5]] * 3)) == [1]
    assert cost(energy, x[0].at[0, 0].set(jnp.nan)) == []


def test_batches_are_as_large_as_the_function_takes(x64):
    for batch, calls in ((False, [1] * 7), (3, [3, 3, 1]), (True, [7])):
        counted = Counted()
        jax.block_until_ready(jax.vmap(made(counted, batch=batch))(points(7)))
        assert counted.calls == calls


def test_what_is_kept_is_bounded(x64):
    counted = Counted()
    energy, x = made(counted, cache=0), points(1)[0]
    assert energy(x) == energy(x)
    assert len(counted.calls) == 2
    few = made(counted, cache=2e-3)
    for one in points(50):
        few(one)
    assert few.host._cache._bytes <= few.host._cache.size
    assert 0 < len(few.host._cache._held) < 10


def test_a_given_hessian_is_the_hessian(x64):
    counted = Counted()
    asked = []

    def hessian(x):
        asked.append(x)
        with jax.ensure_compile_time_eval():
            return np.asarray(HESSIANS[x.tobytes()])

    x = points(2)
    exact = jax.vmap(EXACT.hessian)(x)
    HESSIANS = {np.asarray(one).tobytes(): np.asarray(h) for one, h in zip(x, exact, strict=True)}
    energy = made(counted, hessian=hessian)
    close(jax.vmap(energy.hessian)(x), exact, 1e-13)
    close(jax.hessian(energy)(x[0]).reshape(12, 12), exact[0], 1e-13)
    assert len(asked) == 2
    assert sum(counted.calls) <= 1


def test_units_are_taken_off(x64):
    units = Units(250.0, "nm")
    energy, plain, x = made(units=units, unit="kJ/mol"), made(), points(1)[0]
    np.testing.assert_allclose(energy(x) * units.kT("kJ/mol"), plain(x), rtol=1e-13)
    close(energy.hessian(x) * units.kT(), plain.hessian(x), 1e-12)
    assert energy.units == units
    assert hf.energies.units_of(plain) is None
    table = made(units={"temperature": 250.0, "length": "nm"}, unit="kJ/mol")
    assert table.units == units
    np.testing.assert_array_equal(table(x), energy(x))
    with pytest.raises(ValueError, match="no meaning in kT without a temperature"):
        made(unit="eV")


def test_the_error_of_differences_is_estimated(x64):
    x = points(1)[0]
    for step in (3e-2, 1e-2):
        energy = made(displacement=step)
        error = float(jnp.abs(energy.hessian(x) - EXACT.hessian(x)).max())
        told = energy.difference_error(x)
        assert error / 2 < told.truncation < 2 * error

    def noisy(x):
        energy, forces = lennard_jones(x)
        return energy, forces + 1e-4 * np.sin(1e6 * np.roll(x, 1))

    energy = made(noisy, displacement=1e-4)
    assert energy.difference_error(x).noise > energy.difference_error(x).truncation / 10
    better = energy.choose_displacement(x)

    def missed(energy):
        return float(jnp.abs(energy.hessian(x) - EXACT.hessian(x)).max())

    assert better.displacement > energy.displacement
    assert missed(better) < missed(energy) / 3


def test_forces_that_are_no_slope_are_measured(x64):
    x = points(1)[0]
    assert made().force_error(x) < 1e-5

    def upside_down(x):
        energy, forces = lennard_jones(x)
        return energy, -forces

    assert abs(made(upside_down).force_error(x) - 2) < 1e-4


def test_third_derivatives_are_refused():
    energy = made()
    for third in (jax.jacfwd(jax.hessian(energy)), jax.jacrev(energy.hessian)):
        with pytest.raises(ValueError, match="no third derivatives"):
            third(points(1)[0])


def test_lanczos_asks_for_two_forces_a_product(x64):
    counted = Counted()

    def bowl(x):
        counted.calls.append(1)
        return 0.5 * np.sum(STIFF * x**2), -STIFF * x

    STIFF = np.array([100.0, 50.0, *[1.0] * 18])
    energy = HostEnergy(bowl, (20,))
    lanczos = hf.hessians.Lanczos(k=2, iterations=6)
    found = jax.jit(lambda x: lanczos.spectrum(energy, x))(jnp.ones(20))
    close(jnp.sort(found.eigenvalues)[-2:], np.array([50.0, 100.0]), 1e-8)
    assert len(counted.calls) == 12


def test_functions_are_never_traced_and_programs_made_once():
    energy, traced = made(), []

    @jax.jit
    def value(x):
        traced.append(x)
        return energy(x)

    for x in points(3):
        value(x)
    assert len(traced) == 1


def test_a_function_runs_once_at_a_time():
    state = {"running": 0, "most": 0}

    def slow(x):
        state["running"] += 1
        state["most"] = max(state["most"], state["running"])
        result = lennard_jones(x)
        threading.Event().wait(0.002)
        state["running"] -= 1
        return result

    energy = made(slow)
    threads = [
        threading.Thread(target=lambda k=k: np.asarray(jax.vmap(energy)(points(5, k))))
        for k in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state["most"] == 1


def failing(x):
    raise ArithmeticError("the field did not converge")


def answers(value):
    return lambda x: value


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (failing, r"`energy_and_forces` failing failed: ArithmeticError: the field did not conv"),
        (answers(3.0), r"must give a pair \(energy, forces\), got float"),
        (answers((np.zeros(2), np.zeros((4, 3)))), r"energy must have shape \(\), got \(2,\)"),
        (answers((0.0, np.zeros(12))), r"forces must have shape \(4, 3\), got \(12,\)"),
        (answers((np.nan, np.zeros((4, 3)))), "energy at a finite point is NaN or infinite"),
        (answers((-np.inf, np.zeros((4, 3)))), "energy at a finite point is NaN or infinite"),
        (answers((0.0, np.full((4, 3), np.inf))), "forces at a finite point is NaN or infinite"),
        (answers((0.0, "none")), "the forces can't be read as an array of numbers"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda f: f, eqx.filter_jit, lambda f: jax.jit(jax.grad(f))])
def test_what_the_host_does_wrong_is_told_with_the_event(function, told, wrap):
    x = points(1)[0]
    with pytest.raises(RuntimeError, match=told + r".*event 0 of 1, x = \["):
        jax.block_until_ready(wrap(made(function))(x))


def test_the_event_of_a_batch_that_fails_is_named():
    x = points(10)

    def seventh(y):
        if np.allclose(y, x[7]):
            raise ArithmeticError("no convergence")
        return lennard_jones(y)

    with pytest.raises(RuntimeError, match=r"ArithmeticError: no convergence.*event 7 of 10"):
        jax.block_until_ready(jax.jit(jax.vmap(made(seventh)))(x))


def test_the_point_of_the_data_that_fails_is_named():
    x = points(10)

    def seventh(y):
        if np.allclose(y, x[7], atol=2e-3):  # Its finite differences too.
            raise ArithmeticError("no convergence")
        return lennard_jones(y)

    with pytest.raises(RuntimeError, match=r"no convergence.*point 7 of the data"):
        hf.data.check_virial(made(seventh), x)
    path = hf.paths.Linearised(made(seventh), hessian="analytic")
    with pytest.raises(RuntimeError, match=r"no convergence.*point 7 of the data"):
        hf.paths.make_anchors(path, x, chunk_size=4)


def test_forbidden_points_have_an_infinite_energy():
    energy = made(answers((np.inf, np.full((4, 3), np.nan))))
    value, gradient = jax.value_and_grad(energy)(points(1)[0])
    assert value == jnp.inf
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"batch": -1}, "`batch` must be True, False or the largest number"),
        ({"batch": 2.0}, "`batch` must be True, False or the largest number"),
        ({"displacement": 0.0}, "`displacement` must be positive"),
        ({"cache": -1}, "`cache` must be MiB"),
        ({"units": Units(300.0), "unit": "K"}, "`unit` must be 'kJ/mol', 'kcal/mol' or 'eV'"),
        ({"units": {"lenght": "nm"}}, "`units` must be a table of `temperature`"),
        (
            {"units": {"temperature": "warm"}},
            "`temperature` must be positive and finite; got 'warm'",
        ),
        ({"hessian": 3}, "`hessian` must be a callable or a string"),
    ],
)
def test_bad_arguments_are_named(change, told):
    with pytest.raises(ValueError, match=told):
        made(**change)


def test_identity_is_what_caches_on_disk_go_by(tmp_path):
    assert fingerprint(energy=made()).lasting is None
    named = [made(identity=name) for name in ("a 1", "a 1", "a 2")]
    digests = [fingerprint(energy=energy).lasting for energy in named]
    assert digests[0] is not None
    assert digests[0] == digests[1] != digests[2]
    with pytest.raises(TypeError, match="can't be stored"):
        hf.energies.save(made(), tmp_path / "energy")
    assert not list(tmp_path.iterdir())


def test_a_copy_asks_a_function_of_its_own():
    energy = made(Counted())
    other = copy.deepcopy(energy)
    assert other(points(1)[0]) == energy(points(1)[0])
    assert other.host.energy_and_forces is not energy.host.energy_and_forces


def test_a_flow_is_fitted_to_samples_of_the_host():
    keys = jax.random.split(jax.random.key(0), 3)
    energy = HostEnergy(lambda x: (np.sum(8 * x**2, -1), -16 * x), (2,), batch=True)
    data = hf.data.sample(energy, key=keys[0], size=200, chains=8)
    np.testing.assert_allclose(np.var(data.points, axis=0), 1 / 16, rtol=0.5)
    path = hf.paths.Langevin(energy, hessian="analytic")
    network = hf.networks.MLP((2,), width=8, depth=1, key=keys[1])
    flow = hf.fit(
        network, path, data, prior=hf.priors.Normal((2,)), steps=3, batch_size=32, key=keys[2]
    )
    assert jnp.isfinite(flow.log_prob(data.points[:4])).all()
