"""Numbers of a component's table that are searched: where in it they stand, and between which bounds."""

import dataclasses
import math
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax

from hiflow._kinds import shown

Table = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Range:
    """A number's place, as the keys that lead to it, and its bounds. One whose `low` is above 0 is
    searched evenly in its logarithm."""

    place: tuple[str, ...]
    low: float
    high: float

    def __str__(self) -> str:
        return ".".join(self.place)

    def at(self, share: Any) -> Any:
        """The number at a share of the range, from 0 at `low` to 1 at `high`; also of an array."""
        if self.low > 0:
            return self.low * (self.high / self.low) ** share
        return self.low + (self.high - self.low) * share

    def share(self, number: float) -> float:
        """The share that a number is at; of one outside, that of the nearest inside."""
        inside = min(max(number, self.low), self.high)
        if self.low > 0:
            return math.log(inside / self.low) / math.log(self.high / self.low)
        return (inside - self.low) / (self.high - self.low)

    def rounded(self, share: float) -> float:
        """As a file would say it: to four digits."""
        return min(max(float(f"{self.at(share):.4g}"), self.low), self.high)


def ranges_of(learn: object, table: Mapping[str, Any]) -> tuple[Range, ...]:
    """The ranges that a table of `[low, high]` says, laid out as the component's own `table`.

    **Raises:** `ValueError` for none at all, for bounds that aren't two numbers, the lower first, and
    for a number inside a component that `table` doesn't name.
    """
    found = tuple(_ranges(learn, ()))
    if not found:
        raise ValueError(
            "`learn` must say what is learned, as in learn = {curvature = {floor = [0.1, 100.0]}}; got "
            f"{shown(learn)}."
        )
    for each in found:
        inside: Any = table
        for depth, name in enumerate(each.place[:-1], 1):
            inside = inside.get(name)
            if not isinstance(inside, str | Mapping):
                around = ".".join(each.place[:depth])
                raise ValueError(
                    f"`learn`: {each} is a number of `{around}`, which `path` must then name, as in "
                    f"{{{name} = 'affine-power'}}; got {shown(inside)}."
                )
            inside = {"name": inside} if isinstance(inside, str) else inside
    return found


def with_numbers(table: Mapping[str, Any], places: Sequence[Range], values: Sequence[Any]) -> Table:
    """The table with these numbers in their places."""
    made = dict(table)
    for each, value in zip(places, values, strict=True):
        inside = made
        for name in each.place[:-1]:
            inner = inside[name]
            inside[name] = {"name": inner} if isinstance(inner, str) else dict(inner)
            inside = inside[name]
        inside[each.place[-1]] = value
    return made


def number_at(table: Any, each: Range) -> float | None:
    """What the table says in a place; `None` where it leaves the number to its default."""
    for name in each.place:
        table = table.get(name) if isinstance(table, Mapping) else None
    return float(table) if _is_number(table) else None


def check_ends(
    make: Callable[[Table], object], table: Mapping[str, Any], ranges: Sequence[Range]
) -> None:
    """Raise `ValueError` unless a component can be made with every number at both of its bounds."""
    middle = [each.rounded(0.5) for each in ranges]
    for k, each in enumerate(ranges):
        for bound in (each.low, each.high):
            numbers = [*middle[:k], bound, *middle[k + 1 :]]
            try:
                make(with_numbers(table, ranges, numbers))
            except (ValueError, LookupError, TypeError) as error:
                raise ValueError(f"`learn`: {each} can't be {bound:g}. {error}") from error


def _ranges(learn: object, place: tuple[str, ...]) -> Iterator[Range]:
    if isinstance(learn, Mapping):
        for name, inside in learn.items():
            yield from _ranges(inside, (*place, str(name)))
        return
    bounds = list(learn) if isinstance(learn, list | tuple) else []
    if not place or len(bounds) != 2 or not all(map(_is_number, bounds)) or bounds[0] >= bounds[1]:
        name = ".".join(("learn", *place))
        raise ValueError(
            f"`{name}` must be two finite numbers, the lower bound and the upper; got {shown(learn)}."
        )
    yield Range(place, float(bounds[0]), float(bounds[1]))


def _is_number(value: Any) -> bool:
    array = isinstance(value, jax.Array) and value.ndim == 0
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return (array or real) and math.isfinite(float(value))
