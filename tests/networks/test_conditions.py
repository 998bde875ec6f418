"""What networks make of conditions: their features, guidance, and divergences under a condition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow.groups import Trivial
from hiflow.networks import (
    EGNN,
    MLP,
    AbstractVelocityField,
    Guided,
    Labels,
    SupportsDivergence,
    UNet,
    Vector,
    told,
)
from hiflow.networks._perturbed import perturbed
from hiflow.testing import BrokenLawsError, check_velocity_field

KEY = jax.random.key(0)
NETWORKS = {
    "mlp of labels": (lambda: MLP(3, width=6, depth=2, classes=4, key=KEY), 2),
    "egnn of a number": (lambda: EGNN(3, 2, width=6, depth=2, condition_size=1, key=KEY), [0.7]),
    "unet of labels": (lambda: UNet((4, 4), width=4, heads=2, classes=4, key=KEY), 1),
}


@pytest.fixture(scope="module", params=NETWORKS)
def conditional(request):
    make, condition = NETWORKS[request.param]
    network = perturbed(make(), jax.random.key(1), 0.1)
    return network, jnp.asarray(condition), jax.random.normal(KEY, network.event_shape)


def test_a_condition_changes_the_velocity_and_none_is_another(conditional):
    network, condition, x = conditional
    t = jnp.asarray(0.4)
    heard, free = network(t, x, condition), network(t, x)
    assert jnp.abs(heard - free).max() > 1e-4
    np.testing.assert_array_equal(network(t, x, None), free)


def test_what_is_dropped_in_a_batch_is_no_condition(conditional):
    network, condition, x = conditional
    none = -1 if jnp.issubdtype(condition.dtype, jnp.integer) else jnp.nan
    t = jnp.asarray(0.4)
    np.testing.assert_allclose(
        network(t, x, jnp.full_like(condition, none)), network(t, x), atol=1e-6
    )
    slope = jax.grad(lambda x: jnp.sum(network(t, x, jnp.full_like(condition, none)) ** 2))(x)
    assert jnp.isfinite(slope).all()


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_guidance_goes_from_no_condition_to_one_and_beyond(conditional, weight):
    network, condition, x = conditional
    t = jnp.asarray(0.4)
    heard, free = network(t, x, condition), network(t, x)
    guided = Guided(network, weight)
    expected = free + weight * (heard - free)
    np.testing.assert_allclose(guided(t, x, condition), expected, atol=2e-5)


def test_the_divergence_under_a_condition_is_the_trace_of_the_jacobian(conditional):
    network, condition, _ = conditional
    for field in (told(network, condition), told(Guided(network, 2.5), condition)):
        assert isinstance(field, SupportsDivergence) == isinstance(network, SupportsDivergence)
        if isinstance(field, SupportsDivergence):
            check_velocity_field(field, perturb=0.0)


def test_labels_are_rows_of_a_table_and_vectors_two_layers():
    labels, vector = Labels(3, key=KEY), Vector(2, key=KEY)
    table = np.asarray(labels.table)
    np.testing.assert_array_equal(labels(jnp.asarray(2)), table[2])
    np.testing.assert_array_equal(labels(None), table[3])
    np.testing.assert_array_equal(labels(jnp.asarray(-1)), table[3])
    # Compiled code refuses nothing: a label that is none isn't taken for another, or for no class.
    assert np.isnan(jax.jit(lambda k: labels(k))(jnp.asarray(3))).all()
    assert np.isnan(labels(jnp.asarray(7))).all()
    c = np.asarray([0.3, -1.2])
    inner = np.asarray(vector.first.weight) @ c + np.asarray(vector.first.bias)
    outer = np.asarray(vector.second.weight) @ (inner / (1 + np.exp(-inner)))
    np.testing.assert_allclose(vector(c), outer + np.asarray(vector.second.bias), rtol=1e-5)


@pytest.mark.parametrize(
    ("conditions", "condition", "words"),
    [
        (Labels(3, key=KEY), [0, 3], "label from 0 to 2, got 3"),
        (Labels(3, key=KEY), [0, -1], "got -1"),
        (Labels(3, key=KEY), [0.0, 1.0], "an integer; got float"),
        (Labels(3, key=KEY), [0, 1, 2], r"one for each of 2 samples.*got shape \(3,\)"),
        (Labels(3, key=KEY), "cat", "a label from 0 to 2"),
        (Vector(2, key=KEY), [[0.0, np.nan]] * 2, "NaN"),
        (Vector(2, key=KEY), [[0.0]], "a vector of 2 numbers"),
        (Vector(1, key=KEY), {"a": 1}, "a number"),
    ],
)
def test_other_conditions_are_refused_by_name(conditions, condition, words):
    with pytest.raises(ValueError, match=words) as error:
        conditions.rows(condition, 2, "f: `condition`")
    assert "f: `condition`" in str(error.value)


def test_one_number_is_for_all_and_a_row_of_numbers_for_each():
    vector = Vector(1, key=KEY)
    assert vector.rows(2.0, 3, "c").shape == vector.rows([1.0, 2.0, 3.0], 3, "c").shape == (3, 1)
    assert Vector(2, key=KEY).rows([1, 2], 2, "c").tolist() == [[1, 2], [1, 2]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"classes": 0}, "`classes` must be at least 1"),
        ({"condition_size": 0}, "`condition_size` must be at least 1"),
        ({"classes": 2, "condition_size": 1}, "not both"),
    ],
)
def test_sizes_that_cannot_be_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        MLP(2, key=KEY, **arguments)


def test_only_a_network_of_conditions_is_guided_or_told():
    plain = MLP(2, key=KEY)
    with pytest.raises(ValueError, match="must be one of conditions"):
        Guided(plain, 2.0)
    with pytest.raises(ValueError, match="takes no `condition`"):
        plain(jnp.asarray(0.5), jnp.zeros(2), 1)
    assert told(plain, None) is plain


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_conditions_keep_the_laws_under_a_condition(name):
    make, _ = NETWORKS[name]
    laws = {law.name for law in check_velocity_field(make(), key=KEY).laws}
    assert {"condition", "dropped", "equivariance"} <= laws


class _Deaf(AbstractVelocityField):
    """It takes a label, and forgets it or what it means to drop one."""

    conditions: Labels
    hears: bool
    event_shape = (2,)
    group = Trivial()

    def __call__(self, t, x, condition=None):
        if condition is None or not self.hears:
            return x
        return x + jnp.sum(self.conditions.table[condition])  # -1 is its last row, and None isn't.


@pytest.mark.parametrize(("hears", "law"), [(False, "condition"), (True, "dropped")])
def test_a_field_that_is_deaf_to_its_condition_is_found_out(hears, law):
    with pytest.raises(BrokenLawsError, match=law):
        check_velocity_field(_Deaf(Labels(3, key=KEY), hears), key=KEY)
