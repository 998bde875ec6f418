"""Anchors at minima that many points share: a table of minima, and for every point a row and a turn."""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from hiflow import energies, times
from hiflow._summaries import Component
from hiflow.data import Source
from hiflow.groups import AbstractGroup, Product, SupportsAlignment, linear_part
from hiflow.paths._anchors import make_anchors
from hiflow.paths._at_minimum import AtMinimum
from hiflow.paths._base import AbstractGaussianPath, SpectralAnchor
from hiflow.paths._noise import Noise

_CHUNK = 512
# Two searches end this near to each other where they end in one minimum, in tolerances of the search.
_SAME = 50
# From where an alignment is tried: it finds the nearest way only.
_STARTS = 8
# A table of more rows than one for so many points spares too little.
_FEWEST = 8


class SharedAnchor(Component):
    """Where a point's anchor stands in the table, and the symmetry that carries the row's minimum to the
    point's.

    **Example:**

    ```pycon
    >>> well = hf.energies.DoubleWell()
    >>> x = jnp.array([[1.4, 0.1], [-1.6, 0.0], [1.5, 0.2]] * 10)
    >>> shared = hf.paths.share_minima(hf.paths.AtMinimum(hf.paths.Langevin(well)), x)
    >>> shared.anchors.row[:3]
    Array([0, 1, 0], dtype=int32)
    ```
    """

    row: Int[Array, "*points"]
    turn: PyTree


class SharedMinima(AbstractGaussianPath):
    r"""[`AtMinimum`][hiflow.paths.AtMinimum] with a table of the distinct minima of a data set, up to
    the energy's symmetry.

    A spectral function of the Hessian moves with the symmetry, $H(gx) = gH(x)g^\top$, so the anchor at
    $gx^*$ is the one at $x^*$ with centre and eigenvectors turned by $g$: a point needs the row of
    $x^*$ and $g$ alone, a hundredth of an anchor for 13 particles.

    **Arguments:**

    - `path`: the path whose anchors these are.
    - `minima`: its anchors at the distinct minima, with a leading axis.

    **Example:**

    ```pycon
    >>> well = hf.energies.DoubleWell()
    >>> x = jnp.array([[1.4, 0.1], [-1.6, 0.0], [1.5, 0.2]] * 10)
    >>> shared = hf.paths.share_minima(hf.paths.AtMinimum(hf.paths.Langevin(well)), x)
    >>> shared.path.anchor(x[1]).centre.round(2)
    Array([-1.5,  0. ], dtype=float32)
    ```
    """

    path: AtMinimum
    minima: SpectralAnchor

    @property
    def energy(self) -> energies.AbstractEnergy:
        """The path's energy."""
        return self.path.energy

    @property
    def time(self) -> times.AbstractTimeTransform:
        """The path's time transform."""
        return self.path.time

    @property
    def prior_scale(self) -> Float[Array, ""]:
        """The path's scale of the prior."""
        return self.path.prior_scale

    @property
    def noise(self) -> Noise:
        """Whose noise the path's end law has."""
        return self.path.noise

    def anchor(self, x1: Float[Array, "*event"]) -> SpectralAnchor:
        """The path's own, of any point."""
        return self.path.anchor(x1)

    def draw(self, anchor: SharedAnchor | SpectralAnchor, *, key: PRNGKeyArray) -> SpectralAnchor:
        """The path's."""
        return self.path.draw(self.frame(anchor), key=key)

    def frame(self, anchor: SharedAnchor | SpectralAnchor) -> SpectralAnchor:
        """The row, turned."""
        if isinstance(anchor, SpectralAnchor):
            return self.path.frame(anchor)
        row = self.path.frame(jax.tree.map(lambda leaf: leaf[anchor.row], self.minima))
        return _turned(self.energy.group, anchor.turn, row)

    def schedule(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        """The path's."""
        return self.path.schedule(t, frame)


class Shared(NamedTuple):
    """A path with its table, and the anchors of all points."""

    path: SharedMinima
    anchors: SharedAnchor


def share_minima(
    path: AtMinimum,
    points: Float[Array, "n *event"] | Source,
    *,
    progress: bool = False,
) -> Shared | None:
    """The path with a table of the distinct minima below the points, and the anchors that point into it.
    `None` where there are too many minima for that to be worth it: more than one for eight points.

    Minima are the same if an element of the group carries one to within 50 times the search's tolerance
    of the other (root mean square). Elements are looked for by the group's alignment from eight starts:
    where they miss one, the table has a row twice, which is as right. Groups that can't align share
    minima at the same place only.

    **Example:**

    ```pycon
    >>> well = hf.energies.DoubleWell()
    >>> x = jnp.array([[1.4, 0.1], [-1.6, 0.0], [1.5, 0.2]] * 10)
    >>> shared = hf.paths.share_minima(hf.paths.AtMinimum(hf.paths.Langevin(well)), x)
    >>> shared.path.minima.centre.shape  # the bottoms of the two wells
    (2, 2)
    ```
    """
    from rich.progress import track

    table = _Table(path)
    starts = range(0, len(points), _CHUNK)
    for start in track(starts, "minima", disable=not progress, transient=True):
        chunk = jnp.asarray(points[start : start + _CHUNK])
        minima, values = map(np.asarray, _quenched(path, chunk))
        if not np.isfinite(values).all() or not np.isfinite(minima).all():
            return None
        room = max(2, min(len(points), start + _CHUNK) // _FEWEST)
        if not table.sort_in(minima, values, room):
            return None
    made = make_anchors(path.inner, jnp.asarray(np.stack(table.rows)))
    return Shared(SharedMinima(path, made), table.anchors())


class _Table:
    """The distinct minima so far, and where every point is in it."""

    def __init__(self, path: AtMinimum):
        self.rows: list[np.ndarray] = []
        self._values: list[float] = []
        self._path = path
        self._found: list[tuple[np.ndarray, list[np.ndarray]]] = []

    def sort_in(self, minima: np.ndarray, values: np.ndarray, room: int) -> bool:
        """Find the rows of a chunk's minima, or add them; whether there was room for so many."""
        levels = np.sort(values)
        # One row at least for every energy: known before anything is aligned.
        if 1 + np.sum(np.diff(levels) > _alike(levels[1:])) > room:
            return False
        sizes = np.linalg.norm(minima.reshape(len(minima), -1), axis=1)
        index = np.full(len(minima), -1)
        turns = [
            np.zeros((len(minima), *leaf.shape), leaf.dtype) for leaf in self._identity(minima)
        ]

        tolerance, span = self._path.tolerance, np.sqrt(minima[0].size)

        def compare(row: int) -> None:
            near = np.abs(values - self._values[row]) <= _alike(values)
            # What the symmetry keeps, of minima without translations.
            near &= np.abs(sizes - np.linalg.norm(self.rows[row])) < _SAME * tolerance * span
            left = np.flatnonzero((index < 0) & near)
            if len(left) == 0:
                return
            # Of few sizes, so that few are compiled.
            padded = np.resize(left, _size(len(left)))
            turn, distance = _turns(
                self._path, jnp.asarray(self.rows[row]), jnp.asarray(minima[padded])
            )
            same = np.asarray(distance)[: len(left)] < _SAME * tolerance
            index[left[same]] = row
            for all, one in zip(turns, jax.tree.leaves(turn), strict=True):
                all[left[same]] = np.asarray(one)[: len(left)][same]

        for row in range(len(self.rows)):
            compare(row)
        while (index < 0).any():
            if len(self.rows) == room:
                return False
            first = int(np.argmax(index < 0))
            self.rows.append(minima[first])
            self._values.append(float(values[first]))
            index[first] = len(self.rows) - 1
            for all, one in zip(turns, self._identity(minima), strict=True):
                all[first] = one
            compare(len(self.rows) - 1)
        self._found.append((index, turns))
        return True

    def anchors(self) -> SharedAnchor:
        """Of all points, in order."""
        index, *turns = (
            jnp.asarray(np.concatenate(parts))
            for parts in zip(*((index, *turns) for index, turns in self._found), strict=True)
        )
        group, shape = self._path.energy.group, self._path.energy.event_shape
        structure = jax.tree.structure(_identity(group, shape))
        return SharedAnchor(index.astype(jnp.int32), jax.tree.unflatten(structure, turns))

    def _identity(self, minima: np.ndarray) -> list[np.ndarray]:
        group = self._path.energy.group
        return [np.asarray(leaf) for leaf in jax.tree.leaves(_identity(group, minima.shape[1:]))]


def _size(n: int) -> int:
    return 16 if n <= 16 else _CHUNK


def _alike(values: np.ndarray) -> np.ndarray:
    """How far the energies of one minimum may be apart, in kT."""
    return 1e-2 + 1e-5 * np.abs(values)


@eqx.filter_jit
def _quenched(path: AtMinimum, points: Array) -> tuple[Array, Array]:
    minima = jax.vmap(path.minimum)(points)
    return minima, jax.vmap(path.energy)(minima)


@eqx.filter_jit
def _turns(path: AtMinimum, row: Array, minima: Array) -> tuple[PyTree, Array]:
    """Elements that carry the row to each minimum, as near as they can, and the distances left."""
    group = path.energy.group
    starts = [_identity(group, row.shape)]
    if _aligns(group):
        keys = jax.random.split(jax.random.key(0), _STARTS - 1)
        starts += [group.sample(key, row.shape) for key in keys]

    def best(minimum: Array) -> tuple[PyTree, Array]:
        def one(start: PyTree) -> tuple[PyTree, Array]:
            turn = _aligned(group, start, row, minimum)
            return turn, jnp.sqrt(jnp.mean((group.act(turn, row) - minimum) ** 2))

        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
        turns, distances = jax.vmap(one, axis_size=len(starts))(stacked)
        least = jnp.argmin(distances)
        return jax.tree.map(lambda leaf: leaf[least], turns), distances[least]

    return jax.lax.map(best, minima, batch_size=64)


def _aligned(group: AbstractGroup, start: PyTree, row: Array, minimum: Array) -> PyTree:
    if not _aligns(group):
        return start
    assert isinstance(group, SupportsAlignment)
    return group.compose(group.align(group.act(start, row), minimum), start)


def _aligns(group: AbstractGroup) -> bool:
    parts = group.groups if isinstance(group, Product) else (group,)
    return all(isinstance(part, SupportsAlignment) for part in parts)


def _identity(group: AbstractGroup, shape: tuple[int, ...]) -> PyTree:
    some = group.sample(jax.random.key(0), shape)
    return group.compose(group.inverse(some), some)


def _turned(group: AbstractGroup, turn: PyTree, frame: SpectralAnchor) -> SpectralAnchor:
    """The frame at the turned centre. Components stay: the basis turns along."""
    vectors, shape = frame.modes.vectors, frame.centre.shape
    if vectors is not None and vectors.ndim == 2:

        def moved(column: Array) -> Array:
            return linear_part(group, turn, column.reshape(shape)).ravel()

        vectors = jax.vmap(moved, 1, 1)(vectors)
    modes = dataclasses.replace(frame.modes, vectors=vectors)
    return dataclasses.replace(frame, centre=group.act(turn, frame.centre), modes=modes)
