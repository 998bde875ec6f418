"""A look at the scoring of a flow before the flow is trained."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from hiflow.flow import Flow
from hiflow.priors import has_density


def rehearse(flow: Flow, number: int, conditions: PyTree = None) -> None:
    """Raise what solving the flow for the density of so many points, or for samples where there is none,
    would raise while it is compiled: nothing is solved."""
    if not has_density(flow.prior):
        eqx.filter_eval_shape(
            flow.sample_and_stats, jax.random.key(0), number, condition=conditions
        )
        return
    shape = (number, *flow.prior.event_shape)
    points = jax.ShapeDtypeStruct(shape, jnp.result_type(float))
    eqx.filter_eval_shape(
        flow.log_prob_and_stats, points, key=jax.random.key(0), condition=conditions
    )
