"""What kind of value an argument takes, by its annotation."""

import dataclasses
import inspect
import math
import numbers
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from hiflow._words import nearest

T = TypeVar("T")

# Python's own integers are longer than those that JAX counts and indexes with.
LARGEST_WHOLE = 2**31 - 1
_OF_ARRAYS = ("jax", "jaxlib", "numpy")


@typing.runtime_checkable
class _HasList(typing.Protocol):
    """An array of NumPy or JAX."""

    def tolist(self) -> object: ...


class Refused(ValueError):  # noqa: N818  what a check raises: the words between a field's name and its value
    """What a setting must be, for the message of whoever knows its name."""


class Kind(typing.NamedTuple):
    """Whether a value will do, and what is wanted of it, to be read after "must be"."""

    fits: Callable[[object], bool]
    words: str


def kind_of(annotation: object) -> Kind | None:
    """The kind that an annotation asks for, or `None` where it leaves that open."""
    if annotation in _KINDS:
        return _KINDS[annotation]
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return _one_of(inside)
    if origin in (typing.Union, types.UnionType):
        return _numeric(inside) or _key(inside) or _any_of(inside)
    if origin in (tuple, list, Sequence, Iterable):
        return _list_of(inside)
    if origin is Callable:
        return Kind(callable, "a function")
    if origin is Mapping:
        return Kind(lambda value: isinstance(value, Mapping), "a table")
    return _of_class(annotation)


def wanted(annotation: object, value: object) -> str | None:
    """What a value must be that isn't of the annotation's kind; `None` for one that is."""
    kind = kind_of(annotation)
    if kind is None or kind.fits(value):
        return None
    if typing.get_origin(annotation) is typing.Literal and isinstance(value, str):
        return kind.words + nearest(value, typing.get_args(annotation))[:-1]
    return kind.words


def shown(value: object) -> str:
    """A value as a message quotes it: in one line that can be read."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def accepted(check: Callable[[Any], T], value: Any, what: str) -> T:
    """What a check makes of a value. **Raises:** `ValueError` where it refuses, with `what` it is of."""
    try:
        return check(value)
    except Refused as error:
        raise ValueError(f"{what} {error}; got {shown(value)}.") from None


def annotations(function: Callable[..., object]) -> dict[str, Any]:
    """What every argument is annotated with. Where a dataclass's converter takes any object, the field
    says what becomes of it."""
    fields = {}
    if inspect.isclass(function) and dataclasses.is_dataclass(function):
        fields = {field.name: field.type for field in dataclasses.fields(function)}
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        said = parameter.annotation
        open_ = said in (object, Any, parameter.empty) or _has_variable(said)
        field = fields.get(name, Any)
        # A function may also be named in words that the converter knows.
        found[name] = said if not open_ else Any if typing.get_origin(field) is Callable else field
    return found


def _has_variable(annotation: object) -> bool:
    return any(isinstance(part, typing.TypeVar) for part in typing.get_args(annotation))


def _is_truth(value: object) -> bool:
    """Python's or NumPy's; said without NumPy, which the shell's help can do without."""
    return isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b"


def _is_whole(value: object) -> bool:
    whole = isinstance(value, numbers.Integral) and not _is_truth(value)
    return whole and abs(int(typing.cast(int, value))) <= LARGEST_WHOLE


def _is_number(value: object) -> bool:
    if isinstance(value, numbers.Real):
        return not _is_truth(value) and _is_finite(value)
    return hasattr(value, "dtype") and getattr(value, "shape", None) == ()


def _is_finite(value: numbers.Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # A whole number beyond the floats.
        return False


def _is_array(value: object) -> bool:
    if hasattr(value, "dtype") or _is_number(value):
        return True
    return isinstance(value, list | tuple) and _is_regular(value)


def _is_regular(values: Sequence[object]) -> bool:
    """Whether nested sequences are an array of numbers."""
    if all(isinstance(value, list | tuple) for value in values):
        rows = typing.cast(Sequence[Sequence[object]], values)
        return len({len(row) for row in rows}) <= 1 and all(map(_is_regular, rows))
    return all(map(_is_number, values))


_KINDS: dict[object, Kind] = {
    bool: Kind(_is_truth, "true or false"),
    int: Kind(_is_whole, "a whole number"),
    float: Kind(_is_number, "a finite number"),
    str: Kind(lambda value: isinstance(value, str) and value != "", "a word"),
    type(None): Kind(lambda value: value is None, "left out"),
}


def _one_of(choices: Sequence[object]) -> Kind:
    return Kind(
        lambda value: any(value is each or value == each for each in choices),
        f"one of {', '.join(map(str, choices))}",
    )


def _numeric(members: Sequence[object]) -> Kind | None:
    """Of what NumPy makes a number of: `ArrayLike`, as a scalar."""
    if complex not in members:
        return None
    number = _KINDS[float]
    if type(None) in members:
        return Kind(lambda value: value is None or number.fits(value), number.words)
    return number


def _key(members: Sequence[object]) -> Kind | None:
    """Of jaxtyping's `PRNGKeyArray`, a union of what keys are held in."""
    if not any(getattr(member, "__name__", "").startswith("Key[") for member in members):
        return None
    return Kind(
        lambda value: hasattr(value, "dtype"),
        "a PRNG key, and left out in a file, where the seed makes it",
    )


def _any_of(members: Sequence[object]) -> Kind | None:
    kinds = [kind_of(member) for member in members]
    known = [kind for kind in kinds if kind is not None]
    if len(known) < len(kinds):
        return None
    words = [kind.words for kind in known if kind.words != "left out"]
    return Kind(lambda value: any(kind.fits(value) for kind in known), " or ".join(words))


def _list_of(members: Sequence[object]) -> Kind | None:
    kinds = [kind_of(member) for member in members if member is not ...]
    known = [kind for kind in kinds if kind is not None]
    if not kinds or len(known) < len(kinds):
        return None

    def fits(value: object) -> bool:
        values = value.tolist() if isinstance(value, _HasList) else value
        return isinstance(values, list | tuple) and all(
            any(kind.fits(each) for kind in known) for each in values
        )

    return Kind(fits, f"a list, every item {' or '.join(kind.words for kind in known)}")


def _of_class(annotation: object) -> Kind | None:
    dims = getattr(annotation, "dim_str", None)
    if dims is not None:
        return _KINDS[float] if dims == "" else Kind(_is_array, "an array of finite numbers")
    if not inspect.isclass(annotation) or annotation in (object, Any):
        return None
    cls: type = annotation
    if cls.__name__.split(".")[-1] in ("Array", "ndarray") and _package(cls) in _OF_ARRAYS:
        return Kind(_is_array, "an array of finite numbers")
    return Kind(lambda value: isinstance(value, cls), f"an instance of {cls.__name__}")


def _package(cls: type) -> str:
    return cls.__module__.split(".")[0]
