"""Compiled programs that are let go with the functions that they were compiled for."""

import contextlib
import functools
import threading
import types
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import equinox as eqx
import jax

from hiflow._forks import refuse_fork

F = TypeVar("F", bound=Callable[..., Any])
_measures: ContextVar[dict[str, int | None] | None] = ContextVar("measures", default=None)


def compiled(*, donate: tuple[int, ...] = ()) -> Callable[[F], F]:
    """A decorator that compiles a function of positional arguments, once for all that share everything
    but their arrays, as `equinox.filter_jit` does; its results are arrays.

    Unlike there, a program goes when a function among what it was compiled for does: JAX keeps 4,096 of
    them, some ten megabytes each, of an energy that is written anew for every run.

    **Arguments:**

    - `donate`: which arguments' arrays may be overwritten.
    """

    def decorate(function: F) -> F:
        programs: dict[Hashable, _Program] = {}

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            refuse_fork()
            arrays, static = eqx.partition(arguments, eqx.is_array)
            leaves, structure = jax.tree.flatten(static)
            program = programs.get((structure, *map(_known, leaves)))
            if program is None:
                program = _Program(function, donate)
                _keep(programs, program, structure, leaves)
            return program(arrays, static)

        return cast(F, call)

    return decorate


@contextlib.contextmanager
def measured() -> Iterator[dict[str, int | None]]:
    """The bytes that programs which are called within the block need on each device, by their functions'
    names: arguments, results and what lies between, the most of those of one name. `None` where the
    backend doesn't say."""
    found: dict[str, int | None] = {}
    token = _measures.set(found)
    try:
        yield found
    finally:
        _measures.reset(token)


def bytes_of(program: jax.stages.Compiled) -> int | None:
    """The bytes that a program needs on each device; `None` where the backend doesn't say."""
    try:
        says: Any = program.memory_analysis()
    except jax.errors.JaxRuntimeError:  # Of a backend that has no such thing.
        return None
    if says is None:
        return None
    taken = says.argument_size_in_bytes + says.output_size_in_bytes + says.temp_size_in_bytes
    return taken - says.alias_size_in_bytes  # Results in the place of arguments.


class _Program:
    """A function compiled for what isn't an array among its arguments. It doesn't hold that: it is given
    at every call, and needed while JAX traces."""

    def __init__(self, function: Callable[..., Any], donate: tuple[int, ...]):
        given = self._given = threading.local()

        def run(*arrays: Any) -> Any:
            return function(*eqx.combine(arrays, given.static))

        run.__name__ = self._name = function.__name__
        self._run = jax.jit(run, donate_argnums=donate)

    def __call__(self, arrays: tuple[Any, ...], static: Any) -> Any:
        before = getattr(self._given, "static", None)
        self._given.static = static
        try:
            if (measures := _measures.get()) is not None:
                self._measure(arrays, measures)
            return self._run(*arrays)
        finally:
            self._given.static = before

    def _measure(self, arrays: tuple[Any, ...], measures: dict[str, int | None]) -> None:
        # JAX compiles it once for this and for the call.
        name, taken = self._name, bytes_of(self._run.lower(*arrays).compile())
        before = measures.get(name)
        measures[name] = taken if before is None or taken is None else max(before, taken)


def _keep(
    programs: dict[Hashable, _Program], program: _Program, structure: Any, leaves: list[Any]
) -> None:
    """Keep a program until one of the functions is gone."""
    key: list[Hashable] = []

    def let_go(_: object) -> None:
        programs.pop(key[0], None)

    key.append((structure, *(_known(leaf, let_go) for leaf in leaves)))
    programs[key[0]] = program


def _known(leaf: Any, let_go: Callable[[Any], None] | None = None) -> Hashable:
    """What tells a leaf from others without keeping a function alive."""
    match leaf:
        case types.MethodType():
            return _known(leaf.__self__, let_go), leaf.__func__
        case types.FunctionType() | functools.partial():
            return weakref.ref(leaf, let_go)
        case _:
            return type(leaf), leaf  # 1 and True are equal.
