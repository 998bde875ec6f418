"""The numbers of an end law under which points are likeliest by the other points' laws, by gradient."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from hiflow._statistics import spread_rows
from hiflow.paths import AbstractSpectralPath
from hiflow.paths._noise import has_end_law
from hiflow.spectrum import Spectrum
from hiflow.training._evidence import Surroundings, first_line, nll_of_others
from hiflow.training._ranges import Range, with_numbers

# Points that are scored, and whose end laws they are scored by.
_SCORED, _MIXED = 256, 1_024
_STEPS, _RATE = 100, 0.1


def likeliest(
    around: Surroundings, table: Mapping[str, Any], ranges: Sequence[Range], start: np.ndarray
) -> tuple[np.ndarray | None, str]:
    """The shares of the ranges that maximise the mean log density that points have under the mean end
    law of all others, and what was done, in words. `None` where that says nothing: without an end law,
    if the Hessians themselves depend on what is learned, or for an equivariant network, of whose turned
    copies of the points the end laws know nothing.

    Adam, kept inside of the ranges: the score is smooth in a handful of numbers, and needs no training.
    """
    if any(each.place[0] in ("hessian", "energy") for each in ranges):
        return None, "end laws aren't scored: their Hessians are learned"
    numbers = [each.rounded(share) for each, share in zip(ranges, start.tolist(), strict=True)]
    path = around.made(with_numbers(table, ranges, numbers))
    if not isinstance(path, AbstractSpectralPath) or not has_end_law(path):
        return None, "there is no end law to score"
    if not around.plain:
        return None, "end laws aren't scored: the network's symmetry moves points"
    if around.ready.training.standardise is not False and "energy" in table:
        return None, "end laws aren't scored: the path's energy has units of its own"
    x = around.points[spread_rows(len(around.points), _MIXED)]
    spectra = eqx.filter_jit(lambda x: jax.lax.map(_spectrum_by(path), x))(x)

    def loss(shares: Float[Array, " k"]) -> Array:
        numbers = [each.at(shares[k]) for k, each in enumerate(ranges)]
        made = around.made(with_numbers(table, ranges, numbers))
        assert isinstance(made, AbstractSpectralPath)
        return nll_of_others(made, jax.vmap(made.anchor_from)(spectra, x), x, _SCORED)

    shares = jnp.asarray(start, x.dtype)
    try:
        jax.eval_shape(loss, shares)
    except (
        Exception
    ) as error:  # A component may be anyone's, and keep a number as a part of its code.
        return None, f"end laws aren't scored: {first_line(error)}"
    first, least, shares = jax.jit(lambda shares: _least(loss, shares))(shares)
    if not np.isfinite(float(least)):
        return None, "no end law in the ranges gives left-out points a density"
    words = (
        f"by the others' end laws {min(_SCORED, len(x))} points have an NLL of {float(least):.3f}"
    )
    return np.asarray(shares, np.float64), f"{words}, and had {float(first):.3f} at the start"


def _spectrum_by(path: AbstractSpectralPath) -> Any:
    def spectrum(x: Float[Array, "*event"]) -> Spectrum:
        return path.hessian.spectrum(path.energy, x)

    return spectrum


def _least(loss: Any, start: Float[Array, " k"]) -> tuple[Array, Array, Array]:
    """The first loss, the least, and where that is."""
    optimiser = optax.adam(optax.cosine_decay_schedule(_RATE, _STEPS))

    def step(carry: Any, _: None) -> tuple[Any, Array]:
        shares, state, least, best = carry
        value, slope = jax.value_and_grad(loss)(shares)
        best = jnp.where(value < least, shares, best)
        updates, state = optimiser.update(jnp.nan_to_num(slope), state)
        moved = optax.projections.projection_box(shares + updates, 0.0, 1.0)
        return (moved, state, jnp.fmin(least, value), best), value

    carry = start, optimiser.init(start), jnp.full((), jnp.inf, start.dtype), start
    (_, _, least, best), values = jax.lax.scan(step, carry, None, _STEPS)
    return values[0], least, best
