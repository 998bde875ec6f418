"""What comes between a checked training run and its first step: anchors, draws and the step's recipe."""

from collections.abc import Generator
from itertools import chain
from typing import NamedTuple

import jax
from jaxtyping import Array, PRNGKeyArray, PyTree

from hiflow import _processes
from hiflow.couplings import SupportsPreparation
from hiflow.data import Source
from hiflow.training._anchor_stream import Call, steps_at_once, with_anchors
from hiflow.training._anchors import Kept, kept_anchors
from hiflow.training._conditions import Given
from hiflow.training._layout import Layout
from hiflow.training._pairing import paired_draws
from hiflow.training._placed_draws import even_draws, placed_draws
from hiflow.training._preflight import Ready
from hiflow.training._step import Batches, Draw, Recipe
from hiflow.training._targets import made_ready, path_of

STEPS_PER_CALL = 50


class Prepared(NamedTuple):
    """The step's recipe, the jitted calls of every stretch of steps, and what they draw."""

    recipe: Recipe
    calls: list[list[Call]]
    draws: Generator[Draw, None, None]


def prepared(
    ready: Ready,
    points: Array | Source,
    given: Given,
    key: PRNGKeyArray,
    static: PyTree,
    stretches: list[Call],
    layout: Layout,
    *,
    together: bool,
    progress: bool,
) -> Prepared:
    """All that the steps of every stretch need; the draws are made as they are asked for.

    **Arguments:**

    - `static`: what of the network isn't trained.
    - `together`: whether several processes train, who share a disk.
    """
    settings = ready.training

    wanted = path_of(ready.target, ready.parts)

    def keep() -> Kept:
        return kept_anchors(wanted, points, settings, progress=progress)

    # What is kept on disk is made by one for all.
    shared = together and settings.anchor_dir is not None
    kept = _processes.leader_first(keep) if shared else keep()
    anchors = kept.anchors
    target = made_ready(ready.target, ready.parts, kept)
    if anchors is not None:
        layout = layout.for_anchors(anchors, settings.shard_anchors)
        anchors = layout.put_anchors(anchors)
    coupling = ready.coupling
    if isinstance(coupling, SupportsPreparation):
        assert isinstance(points, jax.Array), "checked_sample refuses others"
        fresh = jax.random.fold_in(key, ready.ends[0])
        coupling = coupling.prepare(ready.prior, points, fresh)
    symmetry = ready.group if settings.augment else None
    batches = Batches(
        points,
        ready.prior,
        coupling,
        ready.time_sampler,
        symmetry,
        key,
        size=settings.batch_size,
        conditions=given.data,
        kinds=given.kinds,
        dropout=settings.condition_dropout,
    )
    path, static, symmetry, target = layout.put_whole((kept.path, static, symmetry, target))
    recipe = Recipe(
        anchors,
        path,
        static,
        symmetry,
        ready.optimiser,
        settings.ema,
        ready.noise.own,
        layout,
        target,
        settings.compute,
    )
    room = STEPS_PER_CALL
    calls = [_calls(start, stop, room) for start, stop in stretches]
    draws = even_draws(paired_draws(batches, chain.from_iterable(calls), room), layout)
    if kept.rows is not None:
        room = steps_at_once(kept.rows, settings.batch_size, room)
        draws = with_anchors(draws, chain.from_iterable(calls), kept.rows, room, layout)
        calls = [[part for call in upto for part in _calls(*call, room)] for upto in calls]
    return Prepared(recipe, calls, placed_draws(draws, layout))


def _calls(start: int, stop: int, room: int) -> list[Call]:
    """The steps of every jitted call on the way."""
    return [(first, min(first + room, stop)) for first in range(start, stop, room)]
