"""Whether weights can be trusted, and what clipping makes of them."""

import jax.numpy as jnp
import numpy as np
import pytest

from hiflow.metrics import Weighted, free_energy_surface

RANDOM = np.random.default_rng(0)


def with_weights(w):
    return Weighted(jnp.zeros((len(w), 1)), np.full(len(w), 3.0), -3.0 - np.log(w))


@pytest.mark.parametrize("k", [0.3, 0.5, 0.9])
def test_the_tails_shape_is_that_of_a_pareto_law(k):
    found = [with_weights(1 + RANDOM.pareto(1 / k, 20_000)).pareto_k for _ in range(5)]
    np.testing.assert_allclose(np.mean(found), k, atol=0.08)


def test_weights_are_doubted_where_their_variance_is_none():
    light = with_weights(1 + RANDOM.pareto(10, 20_000))
    heavy = with_weights(1 + RANDOM.pareto(1.1, 20_000))
    assert light.doubt is None
    assert heavy.doubt is not None
    assert f"Pareto k {heavy.pareto_k:.2f} is above 0.70" in heavy.doubt
    assert with_weights(np.ones(100)).doubt is None
    few = with_weights(1 + RANDOM.random(5)).doubt
    assert few is not None
    assert "inf" in few


def test_samples_without_weight_have_no_part_in_the_tail():
    samples = with_weights(1 + RANDOM.pareto(2, 1_000))
    energies, log_prob = np.append(samples.energies, np.inf), np.append(samples.log_prob, 0.0)
    more = Weighted(jnp.zeros((1_001, 1)), energies, log_prob)
    assert more.pareto_k == samples.pareto_k
    assert more.clipped(0.01).weights[-1] == 0


def test_clipped_weights_are_cut_at_the_largest_of_the_others():
    w = RANDOM.permutation(np.arange(1.0, 1_001))
    clipped = with_weights(w).clipped(2e-3).weights
    np.testing.assert_allclose(clipped, np.minimum(w, 998) / np.minimum(w, 998).sum())
    np.testing.assert_allclose(with_weights(w).clipped(0.0).weights, w / w.sum())


def test_trimmed_samples_are_those_of_the_smaller_weights():
    w = RANDOM.permutation(np.arange(1.0, 1_001))
    chained = Weighted(jnp.asarray(w)[:, None], np.zeros(1_000), -np.log(w), np.arange(1_000))
    trimmed = chained.trimmed(2e-3)
    np.testing.assert_allclose(trimmed.x[:, 0], w[w <= 998])
    np.testing.assert_allclose(trimmed.weights, w[w <= 998] / w[w <= 998].sum())
    assert trimmed.chains is not None
    np.testing.assert_array_equal(trimmed.chains, np.arange(1_000)[w <= 998])


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
def test_a_share_is_a_share(share):
    with pytest.raises(ValueError, match=r"`share` must be in \[0, 1\)"):
        with_weights(np.ones(9)).clipped(share)


def test_a_share_counts_samples_whatever_its_products_last_digit_is():
    """0.07 · 100 is 7.000000000000001."""
    assert len(with_weights(np.arange(1.0, 101)).trimmed(0.07).energies) == 93
    with pytest.raises(ValueError, match=r"`share` = 0.95 of 9 samples are all of them"):
        with_weights(np.arange(1.0, 10)).clipped(0.95)


def test_one_sample_has_no_error():
    alone = with_weights(np.ones(1))
    assert alone.free_energy[1] == alone.mean(np.ones(1))[1] == np.inf


def test_what_isnt_one_number_for_each_sample_is_refused():
    """A column would be broadcast against the weights, and summed into another number."""
    x = np.ones((4, 1))
    with pytest.raises(
        ValueError, match=r"`log_prob` must have one entry.*\(4, 1\); got shape \(3,\)"
    ):
        Weighted(jnp.asarray(x), np.zeros(4), np.zeros(3))
    listed = Weighted(jnp.asarray(x), np.ones(4), np.zeros(4))
    assert listed.mean(lambda y: y[0])[0] == 1
    with pytest.raises(ValueError, match=r"`observable` must give one number.*\(1,\)"):
        listed.mean(x)
    for edges in ([1.0, 0.0], [0.0, 2.0, 1.0], [0.0, np.nan], [0.0]):
        with pytest.raises(ValueError, match="each above the one before"):
            free_energy_surface(listed, x[:, 0], [np.array(edges)])
