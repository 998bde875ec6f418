"""Draws for coming steps, made in a background thread where the coupling asks for it."""

import threading
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from hiflow._disk import fingerprint
from hiflow.data import Source
from hiflow.training._crowd import Crowd
from hiflow.training._draws import Batches, Draw
from hiflow.training._source_draws import source_draws

Call = tuple[int, int]
_ROOM = 256 * 2**20
T = TypeVar("T")


def paired_draws(
    batches: Batches | Crowd, calls: Iterable[Call], room: int
) -> Generator[Draw, None, None]:
    """What every call of the training loop draws, for the steps from `call[0]` to before `call[1]`.

    With a coupling that is `in_background` the draws of the next call are made on the CPU while the
    device works on this one. The draws of a step depend on its number alone, so the result is the same.
    """
    if isinstance(batches, Batches) and isinstance(batches.points, Source):
        yield from source_draws(batches, calls, room)
        return
    if not batches.coupling.in_background:
        for call in calls:
            yield _draw(batches, call, room)
        return
    host = jax.local_devices(backend="cpu")[0]
    batches = _on(host, batches)
    # Precision and device are settings of a thread, and the one that pairs has to follow this one.
    double = jnp.result_type(float) == jnp.float64
    identity = _memory.remember(batches, double)

    def on_host(call: Call) -> Draw:
        drawn = _memory.drawn(identity, call)
        if drawn is None:
            with jax.enable_x64(double), jax.default_device(host):
                drawn = jax.block_until_ready(_draw(batches, call, room))
            _memory.keep(identity, call, drawn)
        return drawn

    with ThreadPoolExecutor(1, "pairing") as pool:
        first, *others = calls
        ahead = pool.submit(on_host, first)
        for call in others:
            drawn = ahead.result()
            ahead = pool.submit(on_host, call)
            yield _handed_over(drawn)
        yield _handed_over(ahead.result())


class _Memory:
    """The draws of the last run: an experiment's arms mostly draw alike, and pairing is costly. Runs in
    several threads may take turns: each has its own identity, and only the last one's is kept."""

    def __init__(self) -> None:
        self.draws: dict[Call, Draw] = {}
        self.identity = ""
        self._lock = threading.Lock()

    def remember(self, batches: Batches | Crowd, double: bool) -> str:
        """Forget what was drawn from anything else, or in another precision; the identity of what is
        drawn from now."""
        identity = fingerprint(batches=batches, double=double).digest
        with self._lock:
            if identity != self.identity:
                self.draws, self.identity = {}, identity
        return identity

    def drawn(self, identity: str, call: Call) -> Draw | None:
        """A call's draws, where they are kept."""
        with self._lock:
            return self.draws.get(call) if identity == self.identity else None

    def keep(self, identity: str, call: Call, drawn: Draw) -> None:
        """Keep a call's draws, unless another run has begun; the oldest go where there is no room."""
        with self._lock:
            if identity != self.identity:
                return
            self.draws[call] = drawn
            while len(self.draws) > 1 and sum(map(_bytes, self.draws.values())) > _ROOM:
                del self.draws[next(iter(self.draws))]


_memory = _Memory()


def _bytes(drawn: Draw) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(drawn))


def _draw(batches: Batches | Crowd, call: Call, room: int) -> Draw:
    first, until = (jnp.asarray(step, jnp.int32) for step in call)
    return batches.drawn(first, until, room)


def _handed_over(drawn: Draw) -> Draw:
    """To the device, without being bound to it: a batch may have to be spread over several."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), drawn)


def _on(device: Any, tree: T) -> T:
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.device_put(arrays, device), rest)
