"""The JSON Schema of an experiment's file, made of the registries and the settings' own fields."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hiflow import energies, priors
from hiflow._kinds import annotations
from hiflow.experiments._auto_settings import NAME, AutoSettings
from hiflow.experiments._check import kinds_of_data
from hiflow.experiments._filed_prior import KEYS
from hiflow.experiments._learned import NAME as LEARNED
from hiflow.experiments._learned import LearnedSettings
from hiflow.experiments._structure import MEMBERS, TOP
from hiflow.registry import Registry, RegistryError, families
from hiflow.solver import Solver
from hiflow.training import Training

Schema = dict[str, Any]
_PLAIN: dict[object, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
}
# What a file doesn't say.
_GIVEN = ("key", "points", "data", "validation", "progress")
_FOLDS: Schema = {"folds": {"type": "integer"}}
_FAMILIES = {"energy": "energies", "prior": "priors", "network": "networks", "path": "paths"}


def schema() -> Schema:
    """As a dict of plain values: tables and their keys, every component of this installation by name
    with its arguments, every setting with its default. It asks no more than `hiflow train` does: what
    a schema can't say, such as which components fit together, is left open."""
    registries = families()
    settings = {
        "training": _table(_fields(Training)),
        "evaluation": _table({**_fields(Solver), "solver": {}}),
        "data": _table({name: _of(kind) for name, kind in kinds_of_data().items()}),
    }
    tables: Schema = {name: {"$ref": f"#/$defs/{family}"} for name, family in _FAMILIES.items()}
    tables |= {name: {"$ref": f"#/$defs/{name}"} for name in settings}
    path = tables["path"]
    tables["path"] = {"anyOf": [{"const": NAME}, _auto(), _learned(path), path]}
    members = {
        kind: {
            "type": "array",
            "items": _table({name: tables.get(name) or _of(known[name]) for name in known}, need),
        }
        for (kind, known), need in zip(MEMBERS.items(), (["label", "path"], ["label"]), strict=True)
    }
    top = {name: tables.get(name) or _of(kind) for name, kind in TOP.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An experiment of hiflow",
        **_table(top | members, ["arm"]),
        "$defs": settings | {name: _family(registry) for name, registry in registries.items()},
    }


def _family(registry: Registry[Any]) -> Schema:
    """A component's name, or its table."""
    tables = [
        {
            "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
            "then": _table({"name": {}, "preset": {"type": "string"}, **_arguments_of(made)}),
        }
        for name, made in _loadable(registry)
    ]
    names = {"enum": [name for name, _ in _loadable(registry)]}
    named = {"type": "object", "properties": {"name": names}, "required": ["name"], "allOf": tables}
    # Energies that were saved are read from their files.
    filed = _table({"name": names, "file": {"type": "string"}}, ["file"])
    return {"anyOf": [names, named, *([filed] if registry is energies.registry else [])]}


def _auto() -> Schema:
    """The table of a path that is to be chosen."""
    return _table({"name": {"const": NAME}, **_fields(AutoSettings), **_FOLDS}, ["name"])


def _learned(path: Schema) -> Schema:
    """The table of a path whose numbers are to be learned."""
    said = {"name": {"const": LEARNED}, "path": path, "learn": {"type": "object"}}
    return _table({**said, **_fields(LearnedSettings), **_FOLDS}, list(said))


def _loadable(registry: Registry[Any]) -> Iterator[tuple[str, Any]]:
    for name in registry.names():
        try:
            yield name, registry.get(name)
        except RegistryError:  # `hiflow list --load` says which plug-ins are broken.
            continue


def _arguments_of(component: Any) -> Schema:
    """Of its constructor, or of the fit to data that a file means by its name or by `fit = "data"`."""
    if issubclass(component, priors.EmpiricalPrior):
        return {name: _of(kind) for name, kind in KEYS.items()} | {"points": {"type": "array"}}
    if issubclass(component, energies.SupportsFitting):
        return _arguments(component.fit)
    if issubclass(component, priors.SupportsFitting):
        fit = {"fit": {"const": "data"}, **_arguments(component.fit)}
        return {**fit, **_arguments(component)}
    return _arguments(component)


def _arguments(made: Callable[..., Any]) -> Schema:
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(made).parameters.items()
        if name not in _GIVEN
    }
    return {
        name: _with_default(_of(kind), parameters[name].default)
        for name, kind in annotations(made).items()
        if name in parameters
    }


def _fields(settings: Any) -> Schema:
    return {
        field.name: _with_default(_of(field.type), field.default)
        for field in dataclasses.fields(settings)
    }


def _table(properties: Schema, required: Sequence[str] = ()) -> Schema:
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return made | ({"required": list(required)} if required else {})


def _with_default(found: Schema, default: object) -> Schema:
    return {**found, "default": default} if isinstance(default, bool | int | float | str) else found


def _of(annotation: object) -> Schema:
    """What an annotation allows; anything where it says what TOML doesn't know."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    for name, registry in families().items():
        if annotation is registry.base:
            return {"$ref": f"#/$defs/{name}"}
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return {"enum": list(inside)}
    if origin in (typing.Union, types.UnionType):
        return _any_of([part for part in inside if part is not type(None)])
    if origin in (list, tuple, Sequence):
        parts = [_of(part) for part in inside if part is not ...]
        return {"type": "array", "items": _either(parts)}
    if getattr(annotation, "dim_str", None) == "":
        return {"type": "number"}
    return {"type": "object"} if origin is Mapping or annotation is Mapping else {}


def _any_of(parts: Sequence[object]) -> Schema:
    component = [part for part in parts if any(part is r.base for r in families().values())]
    return _of(component[0]) if component else _either([_of(part) for part in parts])


def _either(found: Sequence[Schema]) -> Schema:
    different = [each for index, each in enumerate(found) if each not in found[:index]]
    if {} in different or not different:
        return {}
    return different[0] if len(different) == 1 else {"anyOf": different}
