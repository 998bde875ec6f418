"""`fit`: a network, a path and data in, a flow out."""

import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray

from hiflow import couplings
from hiflow._disk import fingerprint, structure
from hiflow.energies import AbstractEnergy
from hiflow.flow import Flow
from hiflow.metrics import negative_log_likelihood
from hiflow.networks import AbstractVelocityField
from hiflow.paths import AbstractPath, make_anchors, store_anchors
from hiflow.priors import AbstractPrior
from hiflow.training._anchor_stream import steps_at_once, with_anchors
from hiflow.training._checkpoints import Checkpoints
from hiflow.training._pairing import paired_draws
from hiflow.training._preflight import check_data, make_ready, warn_of_own_noise
from hiflow.training._progress import Bar
from hiflow.training._step import Batches, Draw, Recipe, State, advance, initial_state

Row = dict[str, Any]
STEPS_PER_CALL = 50


def fit(
    network: AbstractVelocityField,
    path: AbstractPath,
    data: Any,
    *,
    prior: AbstractPrior,
    key: PRNGKeyArray,
    energy: AbstractEnergy | None = None,
    steps: int = 2_000,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    warmup: int = 100,
    clip: float = 1.0,
    optimiser: str | optax.GradientTransformation = "adam",
    ema: float = 0.999,
    coupling: Any = "independent",
    time_sampler: Any = "stratified",
    augment: bool = False,
    validation: Any = None,
    validate_at: int | Sequence[int] = (),
    solver_settings: dict[str, Any] | None = None,
    callbacks: Sequence[Callable[[Row], None]] = (),
    anchor_dir: str | os.PathLike[str] | None = None,
    anchor_dtype: str = "float32",
    checkpoint_dir: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 500,
    resume: bool = False,
    progress: bool = True,
) -> Flow:
    r"""Train `network` by conditional flow matching and return the flow with its averaged weights.

    Minimises $E\,w(t)\,\|v_\theta(t, x_t) - u_t(x_t|x_1)\|^2 / D$ over times, data points and prior
    samples. All Hessian work (the anchors) is done once, before the first step.
    The same key gives the same parameters, bit for bit, on the same machine, also after a resume.

    **Arguments:**

    - `network`: the velocity field to train.
    - `path`: the conditional path.
    - `data`: `(n, *event)`, an array or [`Samples`][hiflow.data.Samples].
    - `prior`: the law at $t = 0$.
    - `key`: makes batches, times and prior samples.
    - `energy`: for the data–energy check; by default the path's.
    - `learning_rate`, `warmup`: peak of a cosine schedule that ends at 1 % of it, and the steps of
      linear rise before. `clip`: the gradient's largest global norm.
    - `optimiser`: an Optax optimiser's name, or an Optax transformation, which then replaces the
      schedule and the clipping too.
    - `ema`: decay of the exponential moving average of the weights; 0 keeps the last weights.
    - `coupling`, `time_sampler`: components, their names or tables.
    - `augment`: turn every sample and its target velocity by a random element of the energy's group
      (the prior's if there is no energy), for networks that don't have the symmetry built in.
    - `validation`: test points; their NLL and NFE are logged at the steps `validate_at` (a number
      means "every so many") and at the end.
    - `solver_settings`: defaults of the returned flow, and of the validation.
    - `callbacks`: each is called with a dict after every validation, or at the end if there is none:
      step, seconds (training only), loss, and the fields of [`NLL`][hiflow.metrics.NLL].
    - `anchor_dir`: keep the anchors on disk, in a folder there that runs with the same path and data
      share ([`store_anchors`][hiflow.paths.store_anchors]), and read those of coming batches in the
      background. `None` keeps them in memory. The parameters are the same, bit for bit.
    - `anchor_dtype`: `"float32"`, or `"float16"` for eigenvectors of half the size
      ([`make_anchors`][hiflow.paths.make_anchors]); steps compute in the data's precision.
    - `checkpoint_dir`: where the state is saved atomically every `checkpoint_every` steps;
      `resume=True` goes on from the newest checkpoint there.

    **Raises:** `ValueError` before any work is spent, if data, prior, path and network don't fit
    together, or if `checkpoint_dir` belongs to another run; `OSError` if `anchor_dir` has too little
    room.
    """
    ready = make_ready(
        network,
        path,
        prior,
        energy,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup=warmup,
        clip=clip,
        optimiser=optimiser,
        ema=ema,
        coupling=coupling,
        time_sampler=time_sampler,
        validate_at=validate_at,
        checkpoint_every=checkpoint_every,
        anchor_dtype=anchor_dtype,
    )
    coupling = ready.coupling
    points = jnp.asarray(data)
    held_out = None if validation is None else jnp.asarray(validation)
    named = {"data": points, "validation": held_out}
    check_data(network, path, prior, ready.energy, named, getattr(data, "chains", None))
    warn_of_own_noise(path, ready.noise)
    Flow(prior, network, **(solver_settings or {}))  # Its checks, before any training.
    parameters, static = eqx.partition(network, eqx.is_inexact_array)
    validation_steps = _validation_steps(steps, validate_at) if held_out is not None else {steps}
    stops = sorted({*validation_steps, *range(checkpoint_every, steps, checkpoint_every), steps})

    def flow_of(state: State) -> Flow:
        trained = jax.tree.map(jnp.copy, state.average if ema > 0 else state.parameters)
        return Flow(prior, eqx.combine(trained, static), **(solver_settings or {}))

    identity = {
        "steps": steps,
        "batch_size": batch_size,
        "key": jax.random.key_data(key).tolist(),
        "augment": augment,
        "ema": ema,
        "learning_rate": learning_rate,
        "warmup": warmup,
        "clip": clip,
    }
    identified = {
        "data": points,
        "network": structure(network),
        "path": path,
        "prior": prior,
        "coupling": coupling,
        "time_sampler": ready.time_sampler,
        "optimiser": optimiser,
    }
    identity |= {name: fingerprint(part=part).digest for name, part in identified.items()}
    with Checkpoints(checkpoint_dir, identity, resume) as checkpoints:
        state, seconds = checkpoints.restore(initial_state(parameters, ready.optimiser))
        stops = [stop for stop in stops if stop > int(state.step)]
        if not stops:
            return flow_of(state)
        anchors, stored = None, None
        if anchor_dir is None:
            anchors = make_anchors(path, points, dtype=anchor_dtype, progress=progress)
        else:
            stored = store_anchors(path, points, anchor_dir, dtype=anchor_dtype, progress=progress)
        if isinstance(coupling, couplings.SupportsPreparation):
            coupling = coupling.prepare(prior, points, jax.random.fold_in(key, steps))
        symmetry = ready.group if augment else None
        batches = Batches(
            points, prior, coupling, ready.time_sampler, symmetry, key, size=batch_size
        )
        recipe = Recipe(anchors, path, static, symmetry, ready.optimiser, ema, ready.noise.own)
        starts = [int(state.step), *stops[:-1]]
        room = STEPS_PER_CALL
        calls = [_calls(start, stop, room) for start, stop in zip(starts, stops, strict=True)]
        draws = paired_draws(batches, chain.from_iterable(calls), room)
        if stored is not None:
            room = steps_at_once(stored, batch_size, room)
            draws = with_anchors(draws, chain.from_iterable(calls), stored, room)
            calls = [[part for call in upto for part in _calls(*call, room)] for upto in calls]
        with Bar(steps, int(state.step), enabled=progress) as bar, closing(draws):
            for stop, upto in zip(stops, calls, strict=True):
                state, spent, loss = _advance(upto, recipe, draws, state, bar)
                seconds += spent
                if stop in validation_steps:
                    row: Row = {"step": stop, "seconds": seconds, "loss": loss}
                    if held_out is not None:
                        bar.note("validating")
                        row |= dataclasses.asdict(negative_log_likelihood(flow_of(state), held_out))
                    for callback in callbacks:
                        callback(row)
                checkpoints.save(state, seconds)
    return flow_of(state)


def _validation_steps(steps: int, validate_at: int | Sequence[int]) -> set[int]:
    if isinstance(validate_at, int):
        validate_at = range(validate_at, steps, validate_at)
    return {steps, *(step for step in validate_at if 0 < step < steps)}


def _calls(start: int, stop: int, room: int) -> list[tuple[int, int]]:
    """The steps of every jitted call on the way."""
    return [(first, min(first + room, stop)) for first in range(start, stop, room)]


def _advance(
    calls: list[tuple[int, int]], recipe: Recipe, draws: Iterator[Draw], state: State, bar: Bar
) -> tuple[State, float, float]:
    """Train through some calls; the state, the seconds that it took and the last mean loss."""
    begun = time.perf_counter()
    loss = float("nan")
    for _, until in calls:
        state, mean = advance((recipe, next(draws), jnp.asarray(until, jnp.int32)), state)
        loss = float(mean)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"fit: the loss is {loss} before step {until}. Lower `learning_rate`, or look at the "
                "path's velocity near t = 1 (hiflow.testing.check_path)."
            )
        bar.show(until, loss)
    return state, time.perf_counter() - begun, loss
