"""Couplings by ott-jax keep the marginals and sit between independence and exact transport."""

import jax
import jax.numpy as jnp
import pytest

import hiflow as hf
from hiflow.testing import check_coupling
from hiflow_ott import LowRankSinkhorn, Sinkhorn

PRIOR = hf.priors.CentredNormal(4, 2)
KEY = jax.random.key(0)


def batch(n):
    x0 = jax.vmap(PRIOR.sample)(jax.random.split(jax.random.key(1), n))
    return x0, 0.5 * jax.vmap(PRIOR.sample)(jax.random.split(jax.random.key(2), n))


def mean_cost(coupling, n=32):
    x0, x1 = batch(n)
    pair = jax.jit(lambda key: jnp.sum((coupling(x0, x1, key)[0] - x1) ** 2, axis=(1, 2)).mean())
    return float(jnp.mean(jnp.stack([pair(key) for key in jax.random.split(KEY, 20)])))


@pytest.mark.parametrize(
    "coupling", [Sinkhorn(), Sinkhorn(epsilon=1.0), LowRankSinkhorn(rank=4)], ids=type
)
def test_coupling_obeys_its_laws(coupling):
    check_coupling(coupling, prior=PRIOR, draws=400)


def test_regularisation_goes_from_exact_transport_to_independence():
    exact = mean_cost(hf.couplings.MinibatchOT())
    independent = mean_cost(hf.couplings.Independent())
    costs = [mean_cost(Sinkhorn(epsilon=e)) for e in (0.01, 0.1, 1.0, 100.0)]
    assert costs == sorted(costs)
    assert costs[0] == pytest.approx(exact, rel=0.05)
    assert costs[-1] == pytest.approx(independent, rel=0.1)


@pytest.mark.parametrize(
    "coupling", [*map(Sinkhorn, (1e-5, 1e-3, 0.05)), LowRankSinkhorn()], ids=str
)
def test_every_accepted_plan_keeps_the_priors_marginal(coupling):
    x0 = jax.random.normal(KEY, (32, 4))
    x1 = 3 + jax.random.normal(jax.random.key(1), (32, 4))
    pair = jax.jit(lambda key: coupling(x0, x1, key)[0])
    drawn = jnp.stack([pair(key) for key in jax.random.split(KEY, 40)])
    # Weighed by distance from the middle, which a plan that hasn't converged prefers.
    assert float(jnp.mean(drawn**2) / jnp.mean(x0**2)) == pytest.approx(1, abs=0.02)
    assert float(jnp.abs(drawn.mean((0, 1)) - x0.mean(0)).max()) < 0.06


@pytest.mark.parametrize("coupling", [Sinkhorn(0.01), LowRankSinkhorn()], ids=type)
def test_pairs_are_the_same_far_from_the_origin(coupling):
    x0, x1 = (4 * jax.random.normal(key, (32, 3)) for key in jax.random.split(KEY))
    whole = jnp.round(x1 * 16) / 16  # so that the far points are the near ones, exactly
    near, far = (coupling(x0, whole + shift, KEY)[0] for shift in (0.0, 4096.0))
    assert float(jnp.mean(jnp.all(near == far, axis=1))) > 0.9


def test_low_rank_is_coarser_than_full_and_better_than_nothing():
    low = mean_cost(LowRankSinkhorn(rank=8))
    assert (
        mean_cost(hf.couplings.MinibatchOT()) < low < 0.97 * mean_cost(hf.couplings.Independent())
    )


def test_found_by_name_and_trained_with():
    registry = hf.couplings.registry
    assert registry.origin("sinkhorn") == registry.origin("low-rank-sinkhorn") == "hiflow-ott"
    flow = hf.fit(
        hf.networks.MLP(2, 8, 1, key=KEY), hf.paths.OptimalTransport(),
        jax.random.normal(KEY, (32, 2)), prior=hf.priors.Normal(2), key=KEY, steps=20,
        batch_size=16, coupling={"name": "sinkhorn", "epsilon": 0.1}, progress=False,
    )  # fmt: skip
    assert jnp.isfinite(flow.log_prob(jnp.zeros(2)))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="epsilon"):
        Sinkhorn(epsilon=0.0)
    with pytest.raises(ValueError, match="'minibatch-ot' is the exact limit"):
        Sinkhorn(epsilon=1e-9)
    with pytest.raises(ValueError, match="`rank` must be at least 1"):
        LowRankSinkhorn(rank=0)
    with pytest.raises(ValueError, match="more than the batch's 3"):
        LowRankSinkhorn(rank=4)(*batch(3), KEY)
