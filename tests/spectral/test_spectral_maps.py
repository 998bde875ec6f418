"""Laws of the spectral maps beyond the conformance kit's."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hiflow import spectral

eigenvalues = st.lists(
    st.floats(-400, 7000, width=32, allow_nan=False), min_size=2, max_size=12
).map(lambda values: jnp.asarray(sorted(values), jnp.float32))
INNER = ["constant", "absolute", "clamped", "power", "saturating", "affine-power"]
# The maps that are fixed, as values of the one that can be learned.
SPECIAL = {
    "constant": (spectral.Constant(3.0), {"floor": 3.0, "slope": 0.0}),
    "absolute": (spectral.Absolute(0.7), {"floor": 0.7}),
    "clamped": (spectral.Clamped(2.5), {"floor": 0.0, "negative": 0.0, "least": 2.5}),
    "shifted": (spectral.Shifted(0.4), {"floor": 0.4, "negative": 0.0}),
    "power": (spectral.Power(0.3, 1.7), {"floor": 0.0, "exponent": 0.3, "least": 1.7}),
    "saturating": (
        spectral.Saturating(1.5, 50.0),
        {"slope": 1.5 / 50.0, "negative": 0.0, "saturation": 1 / 50.0},
    ),
}


@given(eigenvalues, st.sampled_from(INNER))
def test_normalised_rates_sum_to_the_dimension(values, inner):
    rates = spectral.TraceNormalised(inner=inner)(values)
    np.testing.assert_allclose(rates.sum(), values.size, rtol=1e-4)
    assert float(rates.min()) >= 0.55 - 1e-6


@given(eigenvalues, st.sampled_from(INNER))
def test_the_mean_control_keeps_the_trace_and_drops_the_anisotropy(values, inner):
    inner_values = spectral.registry.make(inner)(values)
    control = spectral.MeanRate(inner=inner)(values)
    np.testing.assert_allclose(control.sum(), inner_values.sum(), rtol=1e-4)
    assert float(control.max() - control.min()) == 0


@given(eigenvalues, st.sampled_from(INNER))
def test_the_shuffled_control_keeps_the_values_and_moves_every_one(values, inner):
    # Equal eigenvalues share what they are handed: tests/hessians/test_symmetry_projected.py.
    assume(np.diff(np.sort(values)).min() > 1e-4 * np.abs(values).max())
    inner_values = np.asarray(spectral.registry.make(inner)(values))
    control = np.asarray(spectral.Shuffled(inner=inner)(values))
    np.testing.assert_array_equal(np.sort(control), np.sort(inner_values))
    moved = (np.arange(values.size) + max(1, values.size // 2)) % values.size
    np.testing.assert_array_equal(control[moved], inner_values)
    assert (moved != np.arange(values.size)).all()


@given(eigenvalues)
def test_saturating_rates_grow_with_stiffness_between_their_bounds(values):
    rates = spectral.Saturating(kappa=1.5, stiffness=50.0)(values)
    assert bool((jnp.diff(rates) >= -1e-6).all())
    assert float(rates.min()) >= 1
    assert float(rates.max()) < 2.5 + 1e-6


def test_an_eigenvalue_below_what_shifted_takes_is_nan():
    rates = spectral.Shifted(shift=1.0, least=0.0)(jnp.array([-1.0, 0.0, 2.0]))
    assert bool(jnp.isnan(rates[0]))
    np.testing.assert_allclose(rates[1:], [1.0, 3.0])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: spectral.Absolute(shift=0.0), "Absolute: `shift` must be positive"),
        (lambda: spectral.Clamped(floor=-1.0), "Clamped: `floor` must be positive"),
        (lambda: spectral.Shifted(shift=1.0, least=-2.0), "`lower_bound` must be positive"),
        (lambda: spectral.Power(exponent=0.0), "`exponent` must be positive"),
        (lambda: spectral.Saturating(kappa=-1.0), "`kappa` must be at least -0.5"),
        (lambda: spectral.Saturating(stiffness=float("nan")), "`stiffness` must be positive"),
        (lambda: spectral.AffinePower(slope=-1.0), "AffinePower: `slope` must be at least 0"),
        (lambda: spectral.AffinePower(floor=0.0), "`lower_bound` must be positive"),
        (lambda: spectral.AffinePower(saturation=float("inf")), "`saturation` must be at least 0"),
        (lambda: spectral.TraceNormalised(floor=1.0), "`floor` must be below 1"),
        (lambda: spectral.Absolute(shift=jnp.ones(2)), "must be a number"),
    ],
)
def test_bad_parameters_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@given(eigenvalues, st.floats(0, 2), st.floats(0, 2))
def test_raised_maps_compose_and_run_from_newtons_to_the_physical_mobility(values, p, q):
    inner = spectral.Absolute(shift=2.0)
    K = np.asarray(inner(values))
    np.testing.assert_array_equal(spectral.Raised(inner, 0.0)(values), 1)
    np.testing.assert_allclose(spectral.Raised(inner, 1.0)(values), K, rtol=1e-6)
    product = spectral.Raised(inner, p)(values) * spectral.Raised(inner, q)(values)
    np.testing.assert_allclose(product, spectral.Raised(inner, p + q)(values), rtol=1e-3)


@pytest.mark.parametrize("name", SPECIAL)
def test_fixed_maps_are_values_of_the_one_that_can_be_learned(name):
    fixed, numbers = SPECIAL[name]
    learned = spectral.AffinePower(**numbers)
    values = jnp.array([-380.0, -3.0, -0.5, 0.0, 0.2, 1.0, 3.0, 100.0, 7068.0])
    values = values[values >= 0] if name == "shifted" else values
    np.testing.assert_allclose(learned(values), fixed(values), rtol=1e-6)
    np.testing.assert_allclose(learned.lower_bound, fixed.lower_bound, rtol=1e-6)


numbers = st.tuples(*(st.floats(low, high, width=32) for low, high in [(0, 9), (0, 9), (0, 2)]))


@given(eigenvalues, numbers, st.tuples(*[st.floats(0, 2, width=32)] * 3))
def test_no_value_of_affine_power_falls_where_curvature_grows(values, first, second):
    try:
        one = spectral.AffinePower(*first, *second)
    except ValueError:
        assume(False)  # Its least value would be 0.
    with_zero = jnp.sort(jnp.append(values, 0.0))
    found = np.asarray(one(with_zero), np.float64)
    slack = 1e-6 * np.abs(found).max()
    positive = np.asarray(with_zero) >= 0
    assert (np.diff(found[positive]) >= -slack).all()
    assert (np.diff(found[~positive]) <= slack).all()
    assert found.min() >= float(one.lower_bound) - slack


def test_numbers_of_affine_power_have_derivatives_even_at_null_modes(x64):
    values = jnp.array([-3.0, 0.0, 0.2, 7.0])
    one = spectral.AffinePower(0.3, 2.0, 0.7, 0.4, 0.0, 0.02)

    def total(numbers):
        return jnp.sum(jnp.log(spectral.AffinePower(*numbers)(values)))

    leaves = jnp.stack(jax.tree.leaves(one))
    found = jax.grad(total)(leaves)
    step = 1e-6
    for k in (0, 1, 2, 3, 5):  # At least = 0 a null mode has no derivative in it.
        ahead, behind = (total(leaves.at[k].add(sign * step)) for sign in (1, -1))
        np.testing.assert_allclose(found[k], (ahead - behind) / (2 * step), rtol=1e-6)
    assert bool(jnp.isfinite(found).all())
    assert bool(jnp.isfinite(eqx.filter_jit(jax.grad(lambda x: jnp.sum(one(x))))(values)).all())
