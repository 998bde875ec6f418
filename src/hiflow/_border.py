"""What a user passes, put right or refused in one line before anything is computed with it."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from hiflow._arguments import described
from hiflow._checks import native, number, refuse_masked, refuse_not_finite
from hiflow._kinds import accepted, shown
from hiflow.registry import Registry

P = ParamSpec("P")
R = TypeVar("R")
# From an argument's value and how to call it in an error to the value that is used.
Converter = Callable[[Any, str], Any]


def border(owner: str, **converters: Converter) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that puts the named arguments through their converters. It stands outside of every
    run-time type check, so that its words are what a user reads."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        # Chains and conditions that aren't named otherwise are those of the first points.
        whose = next((name for name, convert in converters.items() if convert is points), None)

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{owner}: {error}. It needs {_needed(signature)}.") from None
            for name, convert in converters.items():
                if name in bound.arguments:
                    given = bound.arguments[name]
                    bound.arguments[name] = convert(given, f"{owner}: `{name}`")
                    if name == whose:
                        _bring(given, bound, signature)
            try:
                return function(*bound.args, **bound.kwargs)
            except (ValueError, FloatingPointError) as error:
                _say_whose(error, owner)
                raise

        return called

    return decorate


def _say_whose(error: Exception, owner: str) -> None:
    """What `fit` refuses is told in the name of the function that was called."""
    first, *rest = error.args or ("",)
    if isinstance(first, str) and first.startswith("fit: "):
        error.args = (owner + first.removeprefix("fit"), *rest)


def _bring(samples: Any, bound: inspect.BoundArguments, signature: inspect.Signature) -> None:
    """What samples have beside their points, for arguments of these names that were left out."""
    for name in ("chains", "condition"):
        brought, left_out = getattr(samples, name, None), bound.arguments.get(name) is None
        if brought is not None and left_out and name in signature.parameters:
            bound.arguments[name] = brought


def _needed(signature: inspect.Signature) -> str:
    """The arguments without a default, in their order."""
    named = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and name != "self"
    ]
    *first, last = [f"`{name}`" for name in named] or ["no argument"]
    return f"{', '.join(first)} and {last}" if first else last


def key(value: Any, what: str) -> Array:
    """One PRNG key, new or raw.

    **Raises:** `ValueError` for a seed, several keys or anything else.
    """
    if isinstance(value, bool | int | np.integer):
        raise ValueError(
            f"{what} must be a PRNG key, got {value!r}. Write jax.random.key({value})."
        )
    if isinstance(value, jax.Array | np.ndarray):
        typed = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        if typed and value.shape == ():
            return value  # pyright: ignore[reportReturnType]
        if not typed and value.dtype == np.uint32 and value.shape in ((2,), (4,)):
            return jnp.asarray(value)
        if typed or (value.dtype == np.uint32 and value.ndim > 1):
            raise ValueError(
                f"{what} must be one PRNG key, got an array of shape {value.shape} of them. Take one of "
                "them, or use jax.vmap."
            )
    raise ValueError(f"{what} must be a PRNG key, got {_told(value)}. Write jax.random.key(0).")


def key_or_none(value: Any, what: str) -> Array | None:
    """The same where a key may be left out."""
    return None if value is None else key(value, what)


def size(value: Any, what: str, least: int = 1) -> int:
    """A whole number of at least 1."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"{what} must be a whole number, at least {least}, got {_told(value)}.")
    return int(value)


def count(value: Any, what: str) -> int:
    """A whole number of at least 0."""
    return size(value, what, 0)


def points(value: Any, what: str) -> Array:
    """An array of floats: one or more events, none of them NaN or infinite. Samples are their points,
    and bring their conditions and chains where these are left out; numbers of double precision become
    JAX's default type.

    **Raises:** `ValueError` for anything else.
    """
    array = floats(value, what)
    if array.size == 0:
        raise ValueError(f"{what} holds no points: its shape is {array.shape}.")
    if not isinstance(array, Tracer):
        with (
            jax.ensure_compile_time_eval()
        ):  # Where a caller compiles, constants are known now too.
            if not bool(jnp.isfinite(array).all()):
                rows = array[None] if array.ndim < 2 else array
                refuse_not_finite(rows, what, kind="rows", cure="Remove them first.")
    return array


def times(value: Any, what: str) -> Array:
    """Times in [0, 1], none before its predecessor.

    **Raises:** `ValueError` for anything else.
    """
    array = times_or_one(value, what)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"{what} must be a list of times, got shape {array.shape}. Write e.g. jnp.linspace(0, 1, 5)."
        )
    if not isinstance(array, Tracer) and np.any(np.diff(np.asarray(array)) < 0):
        raise ValueError(f"{what} must not go back: sort them, e.g. by jnp.sort.")
    return array


def times_or_one(value: Any, what: str) -> Array:
    """Times in [0, 1], or one: numbers of any kind.

    **Raises:** `ValueError` for anything else.
    """
    given = value if isinstance(value, jax.Array) else _numbers(value)
    if given is None or given.dtype.kind not in "iuf":
        raise ValueError(f"{what} must be numbers in [0, 1], got {_told(value)}.")
    array = jnp.asarray(given, jnp.result_type(float) if given.dtype.kind != "f" else None)
    if not isinstance(array, Tracer):
        known = np.asarray(array)
        if not np.all((known >= 0) & (known <= 1)):
            raise ValueError(f"{what} must lie in [0, 1], got {known.min():g} to {known.max():g}.")
    return array


def _numbers(value: Any) -> np.ndarray | None:
    """As NumPy reads it; `None` for ragged lists."""
    try:
        return np.asarray(value)
    except ValueError:
        return None


def floats(value: Any, what: str) -> Array:
    """An array of floats.

    **Raises:** `ValueError` for whole numbers, words, ragged lists and what is no array.
    """
    cure = "Pass an array of floats, e.g. jnp.asarray(points, float)."
    if isinstance(value, list | tuple) and value and hasattr(value[0], "positions"):
        cure = "Pass their positions, np.stack([frame.positions for frame in frames])."
    if isinstance(value, str | bytes | dict | set | type) or callable(value) or value is None:
        raise ValueError(f"{what} must be an array of floats, got {_told(value)}. {cure}")
    refuse_masked(value, what)
    try:
        array = value if isinstance(value, jax.Array) else jnp.asarray(_plain(value))
    except (TypeError, ValueError):
        raise ValueError(f"{what} must be an array of floats, got {_told(value)}. {cure}") from None
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"{what} must be of a float type, got {array.dtype}. {cure}")
    return array


def _plain(value: Any) -> Any:
    """What NumPy makes of lists, tables of other libraries and samples."""
    return value.__jax_array__() if hasattr(value, "__jax_array__") else native(np.asarray(value))


def having(kind: type, words: str) -> Converter:
    """What is of a class, or has the members of a protocol: `words` say what that is."""

    def convert(value: Any, what: str) -> Any:
        if isinstance(value, kind) and not isinstance(value, type):
            return value
        raise ValueError(f"{what} must be {words}; got {_told(value)}.")

    return convert


def positive(value: Any, what: str) -> float:
    """A number above 0, not infinite."""
    return accepted(number("a positive number", lambda x: x > 0), value, what)


def instance_of(registry: Registry[Any]) -> Converter:
    """An instance of a family's: a name needs what only `fit` knows, such as the event's shape."""

    def convert(value: Any, what: str) -> Any:
        if isinstance(value, registry.base):
            return value
        raise ValueError(
            f"{what} must be an instance of {registry.base.__name__}, got {described(value)}."
            f"{registry.advice(value)}"
        )

    return convert


def made_of(registry: Registry[Any]) -> Converter:
    """An instance of a family's, its name or a table."""
    return lambda value, what: registry.make(value)


def named(registry: Registry[Any]) -> Converter:
    """An instance of a family's, a name or a table, which are made later."""

    def convert(value: Any, what: str) -> Any:
        if value is not None and not isinstance(value, registry.base | str | Mapping):
            registry.make(value)
        return value

    return convert


def condition(value: Any, what: str) -> Any:
    """An array of whole numbers or floats, a row for each sample or one for all; or a dict of such
    arrays. Numbers of double precision become JAX's default type. `None` stays.

    **Raises:** `ValueError` for anything else.
    """
    if value is None or isinstance(value, jax.Array):
        return value
    if isinstance(value, Mapping):
        return {name: condition(each, f"{what}[{name!r}]") for name, each in value.items()}
    array = _numbers(value)
    if array is None or array.dtype.kind not in "iuf":
        raise ValueError(
            f"{what} must be labels (whole numbers) or vectors of floats, got {_told(value)}. Number "
            "classes from 0: np.unique(labels, return_inverse=True)[1]."
        )
    refuse_masked(value, what)
    made = jnp.asarray(native(array))
    if array.dtype.kind in "iu" and not np.array_equal(array.astype(made.dtype), array):
        raise ValueError(f"{what} must be labels that {made.dtype} holds, got {_told(value)}.")
    return made


def data(value: Any, what: str) -> Any:
    """Points, or what their rows are read from: lists become arrays."""
    lists = isinstance(value, list | tuple | np.ndarray) and not isinstance(value, np.memmap)
    wrong = isinstance(value, str | bytes | dict | set | type) or value is None
    return floats(value, what) if lists or wrong else value


def data_or_none(value: Any, what: str) -> Any:
    """Points, all of them in memory, or none."""
    if isinstance(value, np.memmap):
        return floats(value, what)
    return None if value is None else data(value, what)


def _told(value: Any) -> str:
    """A value in a message: small ones as they are, others by their kind."""
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    if isinstance(value, str | bytes | int | float | list | tuple | dict | None):
        return shown(value)
    if isinstance(value, jax.Array | np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    return f"{'an' if type(value).__name__[0] in 'AEIOUaeiou' else 'a'} {type(value).__name__}"
