"""Draws for coming steps, made in a background thread where the coupling asks for it."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from hiflow._training_step import Batches, Draw, draw


def paired_draws(
    batches: Batches, calls: Iterable[tuple[int, int]], room: int
) -> Generator[Draw, None, None]:
    """What every call of the training loop draws, for the steps from `call[0]` to before `call[1]`.

    With a coupling that is `in_background` the draws of the next call are made on the CPU while the
    device works on this one. The draws of a step depend on its number alone, so the result is the same.
    """
    if not batches.coupling.in_background:
        for call in calls:
            yield _draw(batches, call, room)
        return
    host, device = jax.devices("cpu")[0], jax.devices()[0]
    batches = _on(host, batches)

    def on_host(call: tuple[int, int]) -> Draw:
        with jax.default_device(host):
            return jax.block_until_ready(_draw(batches, call, room))

    with ThreadPoolExecutor(1, "pairing") as pool:
        first, *others = calls
        ahead = pool.submit(on_host, first)
        for call in others:
            drawn = ahead.result()
            ahead = pool.submit(on_host, call)
            yield _on(device, drawn)
        yield _on(device, ahead.result())


def _draw(batches: Batches, call: tuple[int, int], room: int) -> Draw:
    first, until = (jnp.asarray(step, jnp.int32) for step in call)
    return draw(batches, first, until, room)


def _on(device: Any, tree: Any) -> Any:
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.device_put(arrays, device), rest)
