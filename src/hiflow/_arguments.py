"""What is wrong with the arguments that a table gives, before anything is built of them."""

import inspect
import itertools
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hiflow._kinds import annotations, shown, wanted
from hiflow._words import nearest

# The registries, by family: which argument takes a component is said by its annotation.
known_families: dict[str, Any] = {}


class Fault(NamedTuple):
    """What is wrong, and the keys that lead to it from the table that was given."""

    where: tuple[str, ...]
    words: str

    def under(self, *keys: str) -> "Fault":
        """The same as seen from the table around."""
        return Fault((*keys, *self.where), self.words)

    def __str__(self) -> str:
        if not self.where:
            return self.words
        return (
            f"`{'.'.join(self.where)}`{'' if self.words.startswith('must ') else ':'} {self.words}"
        )


def faults_in(
    function: Callable[..., object],
    arguments: Mapping[str, object],
) -> Iterator[Fault]:
    """The arguments that the function doesn't take, or not of that kind; also those of the components
    among them."""
    kinds = annotations(function)
    for name, value in arguments.items():
        if name not in kinds:
            words = (
                f"takes no argument {name!r}{nearest(name, kinds)} It takes: {', '.join(kinds)}."
            )
            yield Fault((), words)
            continue
        found = _inside(kinds[name], value)
        if found is not None:
            yield from (fault.under(name) for fault in found)
        elif (words := wanted(kinds[name], value)) is not None:
            yield Fault((name,), f"must be {words}; got {shown(value)}.")


def locate(error: Exception, table: object, arguments: Mapping[str, Any]) -> None:
    """Note on an error which table it is of, as seen from here if that is one of the arguments."""
    found = faults_of(error)
    inner = getattr(error, "table", None)
    for name, value in arguments.items():
        parts: Sequence[Any] = value if isinstance(value, list | tuple) else (value,)
        if inner is not None and any(part is inner for part in parts):
            found = [fault.under(name) for fault in found]
            break
    vars(error).update(faults=found, table=table)


def faults_of(error: Exception) -> list[Fault]:
    """What was noted on an error, or what it says itself."""
    return getattr(error, "faults", None) or [Fault((), said(error))]


def said(error: Exception) -> str:
    """What an error says, in one line."""
    if isinstance(error, ValueError | LookupError | OSError | ImportError):
        return " ".join(str(error).split())
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _inside(annotation: object, value: object) -> Iterator[Fault] | None:
    """The faults of a value where a component belongs; `None` where none does."""
    parts = typing.get_args(annotation)
    if value is None and type(None) in parts:
        return iter(())
    for part in (annotation, *parts):
        for registry in known_families.values():
            if part is registry.base:
                if typing.get_origin(annotation) is not tuple:
                    return registry.faults(value)
                if isinstance(value, list | tuple):
                    return itertools.chain.from_iterable(map(registry.faults, value))
    return None


def described(value: object) -> str:
    """What was given where a component belongs."""
    if isinstance(value, Mapping):
        lack = "which has none" if "name" not in value else "whose name isn't a string"
        return f"{shown(value)}, {lack}"
    for family, registry in known_families.items():
        if isinstance(value, registry.base):
            return f"{type(value).__name__}, which is one of {family} (are two arguments swapped?)"
        if inspect.isclass(value) and issubclass(value, registry.base):
            return f"the class {value.__name__} itself; make an instance, {value.__name__}(...)"
    return shown(value)
