"""Draws for coming steps, made in a background thread where the coupling asks for it."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from hiflow._training_step import Batches, Draw, draw


class Pairing:
    """Gives what every call of the training loop draws. A context manager.

    With a coupling that is `in_background` the draws of the next call are made on the CPU while the
    device works on this one. The draws of a step depend on its number alone, so the result is the same.
    """

    def __init__(self, batches: Batches, calls: list[tuple[int, int]], room: int):
        self._background = batches.coupling.in_background
        self._device = jax.devices("cpu")[0] if self._background else None
        self._batches = _on(self._device, batches)
        self._calls = calls
        self._room = room
        self._pool = ThreadPoolExecutor(1, "pairing")
        self._pending: dict[tuple[int, int], Future[Draw]] = {}

    def __enter__(self) -> "Pairing":
        return self

    def __exit__(self, *_: Any) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def draws(self, call: tuple[int, int]) -> Draw:
        """The draws of the steps from `call[0]` to before `call[1]`."""
        if not self._background:
            return self._draw(call)
        drawn = self._pending.pop(call, None) or self._pool.submit(self._draw, call)
        following = self._calls.index(call) + 1
        result = drawn.result()
        if following < len(self._calls):
            later = self._calls[following]
            self._pending[later] = self._pool.submit(self._draw, later)
        return _on(jax.devices()[0], result)

    def _draw(self, call: tuple[int, int]) -> Draw:
        with jax.default_device(self._device):
            first, until = (jnp.asarray(step, jnp.int32) for step in call)
            drawn = draw(self._batches, first, until, self._room)
            return jax.block_until_ready(drawn) if self._background else drawn


def _on(device: Any, tree: Any) -> Any:
    if device is None:
        return tree
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.device_put(arrays, device), rest)
