"""Draws on their way to several devices."""

from collections.abc import Generator
from contextlib import closing

import equinox as eqx
import jax.numpy as jnp

from hiflow._devices import padded
from hiflow.training._draws import Draw
from hiflow.training._layout import Layout


def even_draws(draws: Generator[Draw, None, None], layout: Layout) -> Generator[Draw, None, None]:
    """Draws of several steps whose batches divide evenly among the devices."""
    with closing(draws):
        for drawn in draws:
            yield drawn if layout.mesh is None else _even(drawn, layout.mesh.size)


def placed_draws(draws: Generator[Draw, None, None], layout: Layout) -> Generator[Draw, None, None]:
    """Every device with its part of every batch."""
    with closing(draws):
        for drawn in draws:
            yield layout.put_draws(drawn)


def _even(drawn: Draw, devices: int) -> Draw:
    """What is added to a batch has weight 0."""
    size = drawn.weight.shape[1]
    more = padded(drawn, devices, axis=1)
    room = more.weight.shape[1]
    # The loss is a mean over all of the batch, what was added too.
    weight = jnp.where(jnp.arange(room) < size, more.weight * (room / size), 0)
    return eqx.tree_at(lambda one: one.weight, more, weight)
