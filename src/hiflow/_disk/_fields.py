"""Whether a component that was put together from its fields is one that its constructor could make."""

import collections.abc
import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
from jaxtyping import PyTree


def vouches(cls: type[eqx.Module]) -> bool:
    """Whether a class's own check of shapes covers the modules inside it."""
    return hasattr(cls, "constructor_arguments") or cls is eqx.nn.MLP


def check_module(module: eqx.Module, *, alone: bool = True) -> None:
    """Raise unless every field is of the declared type, shape and kind of number, the converters leave
    it as it is, the class's own checks pass, and its arrays have the shapes that its constructor gives.

    The last is known of layers of `equinox.nn`, and of classes with a method `constructor_arguments`,
    which gives what the constructor was called with, except for `key`.

    **Arguments:**

    - `alone`: whether nothing around the module checks the shapes in it.

    **Raises:** `ValueError`, or what the class's checks raise.
    """
    cls = type(module)
    hints = _hints(cls)
    # Dimensions of one name are of one size, in all fields.
    with jaxtyping.jaxtyped("context"):
        for field in dataclasses.fields(module):
            value = getattr(module, field.name)
            if not _fits(value, hints.get(field.name, Any)):
                raise ValueError(
                    f"{cls.__name__}: `{field.name}` must be {_words(hints[field.name])}, got "
                    f"{_described(value)}."
                )
    for field in dataclasses.fields(module):
        converter = field.metadata.get("converter")
        value = getattr(module, field.name)
        if converter is not None and not same(converter(value), value):
            raise ValueError(f"{cls.__name__}: `{field.name}` can't be {_described(value)}.")
    for base in cls.__mro__:
        check = vars(base).get("__check_init__")
        if check is not None:
            check(module)
    _check_depth(module)
    if alone:
        _check_shapes(module)


def same(one: PyTree, other: PyTree) -> bool:
    """Whether two trees are of the same classes, with the same values in the same types."""
    leaves, structure = jax.tree.flatten(one)
    others, other_structure = jax.tree.flatten(other)
    if structure != other_structure:
        return False
    return all(map(_same_leaf, leaves, others))


def _same_leaf(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if not eqx.is_array_like(one):
        return one is other or one == other
    one, other = np.asarray(one), np.asarray(other)
    return (one.dtype, one.shape) == (other.dtype, other.shape) and one.tobytes() == other.tobytes()


def _check_shapes(module: eqx.Module) -> None:
    cls = type(module)
    arguments = _arguments(module)
    if arguments is None:
        return
    key = {"key": jax.random.key(0)} if "key" in inspect.signature(cls).parameters else {}
    blank = eqx.filter_eval_shape(cls, **arguments, **key)
    leaves, structure = jax.tree_util.tree_flatten_with_path(blank)
    others, other_structure = jax.tree.flatten(module)
    if structure != other_structure:
        raise ValueError(f"{cls.__name__}: its parts or settings are none of its constructor's.")
    for (path, leaf), other in zip(leaves, others, strict=True):
        if not _alike(leaf, other):
            stacked = cls.__module__.partition(".")[0] == "equinox"
            cure = (
                "A class that stacks layers says what it was made with by `constructor_arguments`."
            )
            raise ValueError(
                f"{cls.__name__}: `{jax.tree_util.keystr(path).lstrip('.')}` must be "
                f"{_described(leaf)}, got {_described(other)}. {cure if stacked else ''}".rstrip()
            )


def _arguments(module: eqx.Module) -> Mapping[str, Any] | None:
    """What the constructor was called with, if that is known."""
    cls = type(module)
    own = getattr(cls, "constructor_arguments", None)
    if own is not None:
        return own(module)
    if cls.__module__.partition(".")[0] != "equinox":
        return None
    names = {field.name for field in dataclasses.fields(module)}
    parameters = inspect.signature(cls).parameters.values()
    if any(p.default is p.empty and p.name not in (*names, "key", "kwargs") for p in parameters):
        return None
    given = {p.name: getattr(module, p.name) for p in parameters if p.name in names}
    return {name: value for name, value in given.items() if not eqx.is_array(value)}


def _check_depth(module: Any) -> None:
    """A layer may not claim more layers than it has: a blank of it would take that long to make."""
    if (
        isinstance(module, eqx.nn.MLP)
        and not module.scan
        and module.depth != len(module.layers) - 1
    ):
        raise ValueError(f"MLP: `depth` is {module.depth}, with {len(module.layers)} layers.")


def _alike(blank: Any, value: Any) -> bool:
    if not hasattr(blank, "shape"):
        return _same_leaf(blank, value)
    if getattr(value, "shape", None) != blank.shape:
        return False
    # In any precision: a flow may have been cast.
    floating = jnp.issubdtype(blank.dtype, jnp.floating)
    return jnp.issubdtype(value.dtype, jnp.floating) if floating else value.dtype == blank.dtype


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except Exception:  # Of a class that names types which aren't imported when it runs.
        fields = dataclasses.fields(typing.cast(Any, cls))
        return {field.name: field.type for field in fields if not isinstance(field.type, str)}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a declared type; of types that we can't tell, every value is."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is typing.Literal:
        return any(type(value) is type(each) and value == each for each in inner)
    if origin in (typing.Annotated, typing.Final):
        return _fits(value, inner[0])
    if origin is tuple or hint is tuple:
        return isinstance(value, tuple) and _fit_items(value, inner)
    if origin in (dict, collections.abc.Mapping):
        return isinstance(value, dict) and all(_fits(each, inner[1]) for each in value.values())
    if origin in (list, collections.abc.Sequence, collections.abc.Iterable):
        return isinstance(value, list | tuple) and all(_fits(each, inner[0]) for each in value)
    if origin is type:
        return isinstance(value, type)
    if hint is None or hint is type(None):
        return value is None
    if hint in (int, float):
        allowed = int if hint is int else int | float
        return isinstance(value, allowed) and not isinstance(value, bool)
    kind = hint if origin is None else origin
    if not isinstance(kind, type):
        return True
    try:
        return isinstance(value, kind)
    except TypeError:  # A protocol that can't be asked at run time.
        return True


def _fit_items(value: tuple[Any, ...], inner: tuple[Any, ...]) -> bool:
    if not inner:
        return True
    if len(inner) == 2 and inner[1] is Ellipsis:
        return all(_fits(each, inner[0]) for each in value)
    return len(value) == len(inner) and all(map(_fits, value, inner))


def _words(hint: Any) -> str:
    return getattr(hint, "__name__", None) or str(hint)


def _described(value: Any) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of {value.dtype}{list(value.shape)}"
    return f"{type(value).__name__} {str(value)[:80]!r}"
