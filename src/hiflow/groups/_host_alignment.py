"""Permutations and rotations aligned in turn, in NumPy, for as many pairs of events as there are.

Compiled code goes on with a whole batch until the slowest pair is done; here pairs drop out one by one.
"""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from hiflow._on_host import on_host
from hiflow.groups._assignment import assignments
from hiflow.groups._permutation import Permutation
from hiflow.groups._rotation import Rotation

_LEAST_GAIN = 1e-9
"""Of a squared distance: a round that gains less has come to a fixed point, up to rounding."""


def known(groups: Sequence[object], event_shape: tuple[int, ...]) -> bool:
    """Whether `align_in_turn` aligns such events under these factors; without a permutation there is
    nothing that compiled code does slowly."""
    only = all(isinstance(group, Permutation | Rotation) for group in groups)
    return only and len(event_shape) == 2 and any(isinstance(g, Permutation) for g in groups)


def align_in_turn(
    groups: Sequence[Permutation | Rotation],
    rounds: int,
    x: Float[Array, "particles dim"],
    y: Float[Array, "particles dim"],
    like: tuple[jax.ShapeDtypeStruct, ...],
) -> tuple[Array, ...]:
    """The elements, arrays `like` those, that bring `x` near to `y`: factor by factor, each given the
    others, until the distance no longer falls or `rounds` is reached.

    Called back from compiled code, a whole batch at once under `vmap`.
    """
    return on_host(_Alignment(tuple(groups), rounds), like, x, y)


@dataclasses.dataclass(frozen=True)
class _Alignment:
    groups: tuple[Permutation | Rotation, ...]
    rounds: int

    def __call__(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        return _align(self.groups, self.rounds, *np.broadcast_arrays(x, y))


def _align(
    groups: Sequence[Permutation | Rotation], rounds: int, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, ...]:
    batch, event = x.shape[:-2], x.shape[-2:]
    x, y = (z.reshape(-1, *event).astype(np.float64) for z in (x, y))
    factors = [
        _Permutations(group, *x.shape)
        if isinstance(group, Permutation)
        else _Rotations(group, *x.shape)
        for group in groups
    ]
    going, before = np.arange(len(x)), _squares(x - y)
    for _ in range(rounds):
        moved, goal = x[going], y[going]
        for factor in factors:
            moved = factor.improve(going, moved, goal)
        x[going], now = moved, _squares(moved - goal)
        gained = now < (1 - _LEAST_GAIN) * before
        going, before = going[gained], now[gained]
        if not going.size:
            break
    return tuple(factor.elements.reshape(*batch, *factor.elements.shape[1:]) for factor in factors)


class _Permutations:
    """A permutation for every pair."""

    def __init__(self, group: Permutation, count: int, particles: int, dim: int):
        self.elements = np.tile(np.arange(particles), (count, 1))
        self.kinds = group.kinds((particles, dim))

    def improve(
        self,
        which: Int[np.ndarray, " some"],
        x: Float[np.ndarray, "some particles dim"],
        y: Float[np.ndarray, "some particles dim"],
    ) -> Float[np.ndarray, "some particles dim"]:
        """`x` of these pairs in the best order, which is kept."""
        # |a - b|² without the squares, which no permutation changes.
        cost = -np.matmul(y, x.swapaxes(1, 2))
        unlike = self.kinds[:, None] != self.kinds[None]
        if unlike.any():
            cost[:, unlike] = 1 + 2 * len(unlike) * np.abs(cost).max()
        order = assignments(cost)
        self.elements[which] = np.take_along_axis(self.elements[which], order, axis=1)
        return np.take_along_axis(x, order[..., None], axis=1)


class _Rotations:
    """A rotation for every pair."""

    def __init__(self, group: Rotation, count: int, particles: int, dim: int):
        self.elements = np.tile(np.eye(dim), (count, 1, 1))
        self.proper = not group.reflections

    def improve(
        self,
        which: Int[np.ndarray, " some"],
        x: Float[np.ndarray, "some particles dim"],
        y: Float[np.ndarray, "some particles dim"],
    ) -> Float[np.ndarray, "some particles dim"]:
        """`x` of these pairs by Kabsch's rotation, which is kept."""
        U, _, Vt = np.linalg.svd(np.matmul(y.swapaxes(1, 2), x))
        if self.proper:
            U[np.linalg.det(U) * np.linalg.det(Vt) < 0, :, -1] *= -1
        turn = np.matmul(U, Vt)
        self.elements[which] = np.matmul(turn, self.elements[which])
        return np.matmul(x, turn.swapaxes(1, 2))


def _squares(offset: Float[np.ndarray, "some particles dim"]) -> Float[np.ndarray, " some"]:
    return np.einsum("nij,nij->n", offset, offset)
