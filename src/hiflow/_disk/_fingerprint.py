"""What tells one tree of components, settings and arrays from another, now and in a later process."""

import dataclasses
import functools
import hashlib
import inspect
import types
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

_PACKAGES = ("hiflow-jax", "jax", "blackjax")
# Their classes change with the packages' versions alone.
_FOREIGN = ("builtins", "abc", "typing", "equinox", "jax", "optax", "diffrax", "lineax")


class Fingerprint(NamedTuple):
    """A hash of values, and how far it can be trusted.

    **Arguments:**

    - `digest`: equal for equal values.
    - `by_source`: whether all code in them was identified by the file that defines it, as a cache that
      outlives the process needs; functions and classes that were typed into a session are told
      apart by their compiled code alone.
    - `unknown`: the types of objects of which only the type counts.
    """

    digest: str
    by_source: bool
    unknown: tuple[str, ...]

    @property
    def lasting(self) -> str | None:
        """The digest, if it may name what is kept for other processes; `None` if code or objects were
        identified by less than their source."""
        return self.digest if self.by_source and not self.unknown else None


def fingerprint(**parts: object) -> Fingerprint:
    """The fingerprint of named values: plain ones, arrays with shape and type, PRNG keys, containers,
    modules and dataclasses with their fields and their classes' source, functions with their code, and
    the versions of the packages that give numbers their meaning."""
    describing = _Describing()
    digest = hashlib.sha256()
    packages = {name: _version(name) for name in _PACKAGES}
    for text in describing.value({**parts, "versions": packages, "format": 2}):
        digest.update(text)
    return Fingerprint(digest.hexdigest()[:32], describing.by_source, tuple(describing.unknown))


def structure(tree: PyTree) -> PyTree:
    """The tree with its arrays of numbers replaced by their shapes and types, for a fingerprint that
    doesn't depend on their values."""
    return jax.tree.map(
        lambda leaf: ("array", leaf.shape, str(leaf.dtype)) if eqx.is_inexact_array(leaf) else leaf,
        tree,
    )


class _Describing:
    """Bytes that tell apart any two values that may act differently."""

    def __init__(self) -> None:
        self.by_source = True
        self.unknown: list[str] = []
        self._inside: list[int] = []

    def value(self, value: object) -> Iterator[bytes]:
        if id(value) in self._inside:
            yield b"recursion"
            return
        self._inside.append(id(value))
        yield type(value).__qualname__.encode() + b"("
        yield from self._contents(value)
        yield b")"
        self._inside.pop()

    def _contents(self, value: object) -> Iterator[bytes]:
        match value:
            case None | bool() | int() | float() | complex() | str() | bytes() | range() | slice():
                yield repr(value).encode()
            case np.dtype() | types.EllipsisType():
                yield repr(value).encode()
            case jax.Array() if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
                yield str(jax.random.key_impl(value)).encode()
                yield from self.value(np.asarray(jax.random.key_data(value)))
            case jax.Array() | np.ndarray() | np.generic():
                array = np.asarray(value)
                yield f"{array.dtype}{array.shape}".encode() + array.tobytes()
            case Mapping():
                for key, item in sorted(value.items(), key=lambda pair: str(pair[0])):
                    yield from self.value(str(key))
                    yield from self.value(item)
            case tuple() | list():
                for item in value:
                    yield from self.value(item)
            case set() | frozenset():
                yield from self.value(sorted(map(repr, value)))
            case type():
                yield from self._class(value)
            case types.ModuleType() | types.BuiltinFunctionType():
                yield value.__name__.encode()
            case types.FunctionType():
                yield from self._function(value)
            case types.MethodType():
                yield from self.value((value.__self__, value.__func__))
            case types.CodeType():
                yield from self._code(value)
            case functools.partial():
                yield from self.value((value.func, value.args, value.keywords))
            case _ if dataclasses.is_dataclass(value):
                yield from self._class(type(value))
                for field in dataclasses.fields(value):
                    yield field.name.encode()
                    yield from self.value(getattr(value, field.name, None))
            case _ if (wrapped := getattr(value, "__wrapped__", None)) is not None:
                yield from self.value(wrapped)
            case _:
                yield from self._named(value)

    def _class(self, cls: type) -> Iterator[bytes]:
        """The files that define the class and its bases: an energy that was edited isn't the energy of
        the cache."""
        for base in cls.__mro__:
            yield f"{base.__module__}.{base.__qualname__}".encode()
            if base.__module__.partition(".")[0] in _FOREIGN:
                continue
            file = _source_file(base)
            if file is not None:
                yield file.read_bytes()
                continue
            self.by_source = False
            for name, member in sorted(vars(base).items()):
                # What Python and Equinox add themselves is no part of what was typed.
                if isinstance(member, types.FunctionType) or not name.startswith(("__", "_abc_")):
                    yield name.encode()
                    yield from self.value(_typed(member))

    def _function(self, function: types.FunctionType) -> Iterator[bytes]:
        yield f"{function.__module__}.{function.__qualname__}".encode()
        file = _source_file(function)
        foreign = function.__module__.partition(".")[0] in _FOREIGN
        if file is not None and "<" not in function.__qualname__:
            yield b"" if foreign else file.read_bytes()
            return
        self.by_source = False
        cells = [_held(cell) for cell in function.__closure__ or ()]
        yield from self.value((function.__defaults__, function.__kwdefaults__, cells))
        if foreign:
            return
        yield from self.value(function.__code__)
        read = {name: function.__globals__.get(name) for name in _names(function.__code__)}
        yield from self.value({name: item for name, item in read.items() if item is not None})

    def _code(self, code: types.CodeType) -> Iterator[bytes]:
        yield code.co_code
        yield from self.value((code.co_names, code.co_varnames, code.co_freevars))
        yield from self.value(code.co_consts)

    def _named(self, value: object) -> Iterator[bytes]:
        """What is known by the name that it can be imported by, or not at all."""
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
        module = getattr(value, "__module__", None)
        if isinstance(name, str) and isinstance(module, str) and "<" not in name:
            yield f"{module}.{name}".encode()
        else:
            self.unknown.append(f"{type(value).__module__}.{type(value).__qualname__}")


def _source_file(thing: type | types.FunctionType) -> Path | None:
    """The file that defines a class or function, unless it was typed into a session or a script."""
    if thing.__module__ == "__main__":
        return None
    try:
        file = inspect.getsourcefile(thing)
    except TypeError:
        return None
    return Path(file) if file is not None and Path(file).is_file() else None


def _typed(member: object) -> object:
    """What stands in a class's body behind a property or a static method."""
    match member:
        case property():
            return member.fget, member.fset
        case staticmethod() | classmethod():
            return member.__func__
        case functools.cached_property():
            return member.func
    return member


def _names(code: types.CodeType) -> set[str]:
    """The global names that the code and the functions inside it may read."""
    nested = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*map(_names, nested))


def _held(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # Not filled yet: a function that refers to itself.
        return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
