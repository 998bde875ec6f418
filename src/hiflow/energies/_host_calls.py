"""A function on the host: called for single events or batches, checked, remembered, and differenced."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float

from hiflow.energies._host_cache import Cache, key_of

Batch = bool | int
Points = np.ndarray
"""`(*batch, *event)`, of which the batch may be any, none and broadcasting ones too."""


class HostError(RuntimeError):
    """A function on the host failed, or gave what is no energy, force or Hessian."""


_failures: list[tuple[np.ndarray, str]] = []


def last_failure() -> tuple[np.ndarray, str] | None:
    """The events of the call that failed last, on whatever thread, and what was said of it: through
    compiled code only the words come."""
    return _failures[-1] if _failures else None


class HostCalls:
    """The functions behind a [`HostEnergy`][hiflow.energies.HostEnergy], equal only to themselves, as
    compiled programs need it. One call runs at a time.

    **Arguments:**

    - `energy_and_forces`: of one event, or of as many as `batch` says.
    - `hessian`: of one event; `None` for differences of forces.
    - `shape`: of an event.
    - `scale`: one kT in the unit of the energies; results are divided by it.
    - `label`: what errors call the function.
    - `cache`: bytes of results that are kept.
    - `identity`: what stands for the functions in a fingerprint, if anything does.
    """

    def __init__(
        self,
        energy_and_forces: Callable[..., Any],
        hessian: Callable[..., Any] | None,
        shape: tuple[int, ...],
        batch: Batch,
        scale: float,
        label: str,
        cache: int,
        identity: str | None,
    ):
        self.energy_and_forces = energy_and_forces
        self.hessian_function = hessian
        self.shape, self.batch, self.scale = shape, batch, scale
        self.label, self.identity = label, identity
        self.size = int(np.prod(shape, dtype=int))
        # Reentrant: the function may be used directly, by whoever holds it.
        self.lock = threading.RLock()
        self._cache = Cache(cache)

    def __reduce__(self) -> Any:
        return type(self), (
            self.energy_and_forces, self.hessian_function, self.shape, self.batch, self.scale,
            self.label, self._cache.size, self.identity,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"{self.label} outside JAX"

    def __getattr__(self, name: str) -> Any:
        # Read by fingerprints. Code on the host may call anything, so its source doesn't identify it.
        if name == "__wrapped__" and self.identity is not None:
            return "host", self.identity, self.shape, self.scale
        raise AttributeError(name)

    def energy(self, x: Points) -> tuple[Any]:
        """In kT; NaN where the point isn't finite, without a call."""
        return (self.value_and_gradient(x)[0],)

    def value_and_gradient(self, x: Points) -> tuple[np.ndarray, np.ndarray]:
        """In kT and kT per length; NaN where the point isn't finite, without a call."""
        batch, points = self._rows(x)
        values, gradients = self._evaluated(points)
        return values.reshape(batch), gradients.reshape(batch + self.shape)

    def hessian(self, x: Points, displacement: np.ndarray) -> tuple[np.ndarray]:
        """In kT per squared length: the function's own, or differences of forces along every coordinate,
        symmetrised."""
        batch, points = self._rows(x)
        h = _one(displacement)
        found = np.empty((len(points), self.size, self.size))
        for one, row in zip(points, found, strict=True):
            row[:] = self._symmetric_hessian(one, h)
        return (found.reshape(*batch, self.size, self.size),)

    def product(self, x: Points, v: Points, displacement: np.ndarray) -> tuple[np.ndarray]:
        """The Hessian at `x` times `v`: by the function's own Hessian, or from two forces along `v`,
        of which none is further from `x` than the displacement."""
        batch = np.broadcast_shapes(x.shape, v.shape)[: x.ndim - len(self.shape)]
        h = _one(displacement)
        points, directions = (
            np.broadcast_to(a, batch + self.shape).reshape(-1, *self.shape).astype(np.float64)
            for a in (x, v)
        )
        if self.hessian_function is not None:
            pairs = zip(points, directions, strict=True)
            rows = [self._symmetric_hessian(p, h) @ d.ravel() for p, d in pairs]
            return (np.reshape(rows, batch + self.shape),)
        return (self._products(points, directions, h).reshape(batch + self.shape),)

    def differences(self, x: Float[np.ndarray, "*event"], h: float) -> Float[np.ndarray, "dim dim"]:
        """Row by row the central difference of gradients along a coordinate; not symmetrised."""
        steps = h * np.eye(self.size).reshape(self.size, *self.shape)
        gradients = self._evaluated(np.concatenate([x + steps, x - steps]), keep=False)[1]
        up, down = gradients.reshape(2, self.size, self.size)
        return (up - down) / (2 * h)

    def _symmetric_hessian(self, x: np.ndarray, h: float) -> np.ndarray:
        if not np.isfinite(x).all():
            return np.full((self.size, self.size), np.nan)
        key = key_of("hessian", x, np.asarray(h))
        found = self._cache.get(key)
        if found is None:
            matrix = self._own_hessian(x) if self.hessian_function else None
            matrix = self.differences(x, h) if matrix is None else matrix
            found = ((matrix + matrix.T) / 2,)
            self._cache.keep(key, found)
        return found[0]

    def _products(self, points: np.ndarray, directions: np.ndarray, h: float) -> np.ndarray:
        axis = tuple(range(1, directions.ndim))
        rows = directions if directions.ndim > 1 else directions[:, None]
        longest = np.linalg.norm(rows, axis=-1).reshape(len(rows), -1).max(axis=1)
        found = np.zeros_like(directions)
        keys = [
            key_of("product", x, v, np.asarray(h)) for x, v in zip(points, directions, strict=True)
        ]
        kept = [self._cache.get(key) for key in keys]
        for k in np.flatnonzero([k is not None for k in kept]):
            found[k] = kept[k][0]  # pyright: ignore[reportOptionalSubscript]
        new = np.flatnonzero((longest > 0) & [k is None for k in kept])
        if new.size:
            unit = np.expand_dims(longest[new], axis)
            steps = directions[new] / unit * h
            gradients = self._evaluated(
                np.concatenate([points[new] + steps, points[new] - steps]), keep=False
            )[1]
            up, down = gradients.reshape(2, new.size, *self.shape)
            found[new] = (up - down) * (unit / (2 * h))
            for k in new:
                self._cache.keep(keys[k], (found[k],))
        return found

    def _evaluated(self, points: Points, *, keep: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Energies and gradients, each different point asked for once."""
        values, gradients = np.full(len(points), np.nan), np.full(points.shape, np.nan)
        finite = np.isfinite(points).reshape(len(points), -1).all(axis=1)
        missing: dict[bytes, list[int]] = {}
        for k in map(int, np.flatnonzero(finite)):
            key = key_of("point", points[k])
            found = self._cache.get(key)
            if found is None:
                missing.setdefault(key, []).append(k)
            else:
                values[k], gradients[k] = found
        firsts = np.array([where[0] for where in missing.values()], int)
        keys = list(missing)
        for chosen, energies, forces in self._asked(points, firsts):
            for k, energy, force in zip(chosen, energies, forces, strict=True):
                value, gradient = energy / self.scale, -force / self.scale
                values[missing[keys[k]]], gradients[missing[keys[k]]] = value, gradient
                if keep:
                    self._cache.keep(keys[k], (np.asarray(value), gradient))
        return values, gradients

    def _asked(
        self, points: Points, rows: np.ndarray
    ) -> Iterator[tuple[range, np.ndarray, np.ndarray]]:
        """Energies and forces of the rows, in as many calls as `batch` asks for, by place in `rows`."""
        for chosen in self._chunks(len(rows)):
            x = points[rows[chosen.start : chosen.stop]]
            where = f"{_places(rows[chosen.start : chosen.stop])} of {len(points)}"
            given = x.copy() if self.batch else x[0].copy()
            result = self._call(self.energy_and_forces, given, x, where)
            yield chosen, *self._checked(result, x, where)

    def _chunks(self, n: int) -> Iterator[range]:
        most = n if self.batch is True else max(int(self.batch), 1)
        for start in range(0, n, max(most, 1)):
            yield range(start, min(start + most, n))

    def _own_hessian(self, x: np.ndarray) -> np.ndarray:
        assert self.hessian_function is not None
        where = "its `hessian`"
        result = self._call(self.hessian_function, x.copy(), x[None], where)
        matrix = self._numbers(result, "`hessian`", x[None], where)
        if matrix.size != self.size**2 or matrix.ndim == 0:
            self._refuse(
                f"`hessian` must give {self.size} × {self.size} numbers, got shape {matrix.shape}",
                x[None],
                where,
            )
        if not np.isfinite(matrix).all():
            self._refuse("`hessian` gives NaN or infinity", x[None], where)
        return matrix.reshape(self.size, self.size) / self.scale

    def _checked(self, result: Any, x: Points, where: str) -> tuple[np.ndarray, np.ndarray]:
        """As energies `(n,)` and forces `(n, *event)`, both in float64."""
        n, event = len(x), self.shape
        if not isinstance(result, tuple | list) or len(result) != 2:
            self._refuse(
                f"it must give a pair (energy, forces), got {type(result).__name__}", x, where
            )
        energies = self._numbers(result[0], "the energy", x, where)
        forces = self._numbers(result[1], "the forces", x, where)
        wanted: tuple[int, ...] = (n,) if self.batch else ()
        for name, array, shape in (
            ("energy", energies, wanted),
            ("forces", forces, wanted + event),
        ):
            if array.shape != shape and not (name == "energy" and array.size == n):
                self._refuse(f"its {name} must have shape {shape}, got {array.shape}", x, where)
        energies, forces = energies.reshape(n), forces.reshape(n, *event)
        forbidden = energies == np.inf
        force_bad = ~np.isfinite(forces).reshape(n, -1).all(axis=1)
        for bad, what in ((~np.isfinite(energies), "energy"), (force_bad, "forces")):
            if (bad & ~forbidden).any():
                k = int(np.argmax(bad & ~forbidden))
                self._refuse(
                    f"its {what} at a finite point is NaN or infinite; for a point that is forbidden "
                    "give an energy of +inf",
                    x[k : k + 1], where,
                )  # fmt: skip
        forces = np.where(np.reshape(forbidden, (n, *(1,) * len(event))), 0, forces)
        return energies, forces

    def _numbers(self, value: Any, name: str, x: Points, where: str) -> np.ndarray:
        try:
            return np.asarray(value, np.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            self._fail(
                f"{self.label}: {name} can't be read as an array of numbers ({error}); a tensor that "
                "needs a gradient or is on a GPU has to be detached and brought to the CPU first",
                x,
                where,
                error,
            )

    def _call(self, function: Callable[..., Any], given: np.ndarray, x: Points, where: str) -> Any:
        # Particles that overlap are for the caller to see, as values that aren't finite.
        with self.lock, np.errstate(all="ignore"):
            try:
                return function(given)
            except Exception as error:
                self._fail(f"{self.label} failed: {type(error).__name__}: {error}", x, where, error)

    def _refuse(self, what: str, x: Points, where: str) -> NoReturn:
        self._fail(f"{self.label}: {what}", x, where, None)

    def _fail(self, what: str, x: Points, where: str, cause: Exception | None) -> NoReturn:
        if len(x) == 1:
            place = np.array2string(x[0].ravel(), precision=6, threshold=6, separator=", ")
            where = f"{where}, x = {place}".replace("\n", "")
        message = f"{what} [{where}]."
        _failures[:] = [(x.copy(), message)]
        raise HostError(message) from cause

    def _rows(self, x: Points) -> tuple[tuple[int, ...], Points]:
        batch = x.shape[: x.ndim - len(self.shape)]
        return batch, x.reshape(-1, *self.shape).astype(np.float64)


def _one(displacement: np.ndarray) -> float:
    different = np.unique(displacement)
    if different.size != 1:
        raise HostError(f"HostEnergy: `displacement` must be one number, got {different.size}.")
    return float(different[0])


def _places(rows: np.ndarray) -> str:
    if len(rows) == 1:
        return f"event {rows[0]}"
    return f"events {rows[0]} to {rows[-1]}"
