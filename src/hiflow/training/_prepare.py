"""What comes between a checked training run and its first step: anchors, draws and the step's recipe."""

from collections.abc import Generator, Iterable
from itertools import chain
from typing import NamedTuple

import jax
from jaxtyping import Array, PRNGKeyArray, PyTree

from hiflow import _processes
from hiflow.couplings import SupportsPreparation
from hiflow.data import Source
from hiflow.targets import AbstractTarget
from hiflow.training._anchor_stream import Call, steps_at_once, with_anchors
from hiflow.training._anchors import Kept, kept_anchors
from hiflow.training._conditions import Given
from hiflow.training._crowd import Crowd
from hiflow.training._draws import Batches, Draw
from hiflow.training._layout import Layout
from hiflow.training._pairing import paired_draws
from hiflow.training._placed_draws import even_draws, placed_draws
from hiflow.training._preflight import Ready
from hiflow.training._step import Recipe
from hiflow.training._targets import made_ready, path_of

STEPS_PER_CALL = 50


class Ground(NamedTuple):
    """What runs with the same points, path and target have in common."""

    kept: Kept
    target: AbstractTarget
    anchors: PyTree
    """Where they are in memory, on the layout's devices."""
    layout: Layout


def grounded(
    ready: Ready,
    points: Array | Source,
    layout: Layout,
    *,
    together: bool,
    progress: bool,
    share: bool = True,
) -> Ground:
    """The anchors, and the target made ready by them.

    **Arguments:**

    - `together`: whether several processes train, who share a disk.
    - `share`: whether points may share minima.
    """
    settings = ready.training
    wanted = path_of(ready.target, ready.parts)

    def keep() -> Kept:
        return kept_anchors(wanted, points, settings, progress=progress, share=share)

    # What is kept on disk is made by one for all.
    shared = together and settings.anchor_dir is not None
    kept = _processes.leader_first(keep) if shared else keep()
    anchors = kept.anchors
    target = made_ready(ready.target, ready.parts, kept)
    if anchors is not None:
        layout = layout.for_anchors(anchors, settings.shard_anchors)
        anchors = layout.put_anchors(anchors)
    return Ground(kept, target, anchors, layout)


def batches_of(ready: Ready, points: Array | Source, given: Given, key: PRNGKeyArray) -> Batches:
    """All that the steps draw from."""
    settings, coupling = ready.training, ready.coupling
    if isinstance(coupling, SupportsPreparation):
        assert isinstance(points, jax.Array), "checked_sample refuses others"
        fresh = jax.random.fold_in(key, ready.ends[0])
        coupling = coupling.prepare(ready.prior, points, fresh)
    return Batches(
        points,
        ready.prior,
        coupling,
        ready.time_sampler,
        ready.group if settings.augment else None,
        key,
        size=settings.batch_size,
        conditions=given.data,
        kinds=given.kinds,
        dropout=settings.condition_dropout,
    )


def recipe_of(ready: Ready, ground: Ground, static: PyTree) -> Recipe:
    """What a step does with a batch.

    **Arguments:**

    - `static`: what of the network isn't trained.
    """
    settings, layout = ready.training, ground.layout
    symmetry = ready.group if settings.augment else None
    path, static, symmetry, target = layout.put_whole(
        (ground.kept.path, static, symmetry, ground.target)
    )
    return Recipe(
        ground.anchors,
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


class Coming(NamedTuple):
    """The jitted calls of every stretch of steps, and what they draw."""

    calls: list[list[Call]]
    draws: Generator[Draw, None, None]


def coming(batches: Batches | Crowd, stretches: Iterable[Call], ground: Ground) -> Coming:
    """The calls, and their draws, which are made as they are asked for."""
    room, layout, rows = STEPS_PER_CALL, ground.layout, ground.kept.rows
    calls = [_calls(start, stop, room) for start, stop in stretches]
    draws = even_draws(paired_draws(batches, chain.from_iterable(calls), room), layout)
    if rows is not None:
        room = steps_at_once(rows, batches.size, room)
        draws = with_anchors(draws, chain.from_iterable(calls), rows, room, layout)
        calls = [[part for call in upto for part in _calls(*call, room)] for upto in calls]
    return Coming(calls, placed_draws(draws, layout))


def _calls(start: int, stop: int, room: int) -> list[Call]:
    """The steps of every jitted call on the way."""
    return [(first, min(first + room, stop)) for first in range(start, stop, room)]
