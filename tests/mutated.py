"""Packaged experiments changed at random, as a tired user or a careless script would write them."""

import copy
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

Keys = tuple[str | int, ...]
_WRONG: tuple[object, ...] = (
    *(-1, 0, 1, 10**6, 10**12, 10**30, -(10**9), 0.5, -0.5, 1e-300, 1e300),
    *(math.nan, math.inf, -math.inf, True, False),
    *("", "two", "1", "é∇", "a" * 300, "mlp", "dense", "lj13", "normal", "\x00"),
    *([], {}, [1, 2], ["a"], [[]], [math.nan], [True], {"name": ""}, {"name": 3}),
    *({"name": "dense"}, {"name": "mlp", "width": -1}, {"nme": "normal"}, [{"name": "absolute"}]),
)
_STRANGERS = ("dense", "lanczos", "absolute", "log", "normal", "mlp", "egnn", "ring", "langevin")
_PRESETS = ("lj13", "lj12", "dw4", "", 3, ["lj13"], {"name": "lj13"}, True)


def places(table: Any, path: Keys = ()) -> Iterator[Keys]:
    """Every key of nested tables and lists."""
    items = table.items() if isinstance(table, dict) else enumerate(table)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def holder(tables: Any, path: Keys) -> Any:
    """The table or list that the last key is of."""
    for key in path[:-1]:
        tables = tables[key]
    return tables


def _value(rng: random.Random, tables: Any, path: Keys) -> None:
    holder(tables, path)[path[-1]] = copy.deepcopy(rng.choice(_WRONG))


def _number(rng: random.Random, tables: Any, path: Keys) -> None:
    """A number where there is one, or where the last part of the name asks for one."""
    holder(tables, path)[path[-1]] = copy.deepcopy(rng.choice(_WRONG[:16]))


def _misspelt_key(rng: random.Random, tables: Any, path: Keys) -> None:
    table, key = holder(tables, path), path[-1]
    if isinstance(key, str):
        at = rng.randrange(len(key))
        table[key[:at] + key[at + 1 :]] = table.pop(key)


def _misspelt_name(rng: random.Random, tables: Any, path: Keys) -> None:
    table, key = holder(tables, path), path[-1]
    if isinstance(table[key], str) and table[key]:
        at = rng.randrange(len(table[key]))
        table[key] = table[key][:at] + rng.choice("xyz-") + table[key][at + 1 :]


def _removed(rng: random.Random, tables: Any, path: Keys) -> None:
    del holder(tables, path)[path[-1]]


def _repeated(rng: random.Random, tables: Any, path: Keys) -> None:
    """A table twice in its list, or a value as a list of itself."""
    table, key = holder(tables, path), path[-1]
    if isinstance(table, list):
        table.append(copy.deepcopy(table[int(key)]))
    else:
        table[key] = [copy.deepcopy(table[key])] * 2


def _stranger(rng: random.Random, tables: Any, path: Keys) -> None:
    table, key = holder(tables, path), path[-1]
    name = rng.choice(_STRANGERS)
    table[key] = {**table[key], "name": name} if isinstance(table[key], dict) else name


def _preset(rng: random.Random, tables: Any, path: Keys) -> None:
    value = holder(tables, path)[path[-1]]
    if isinstance(value, dict):
        value["preset"] = copy.deepcopy(rng.choice(_PRESETS))


def _unknown(rng: random.Random, tables: Any, path: Keys) -> None:
    value = holder(tables, path)[path[-1]]
    if isinstance(value, dict):
        value[rng.choice(["extra", "key", "nme", "", "é", "self", "energy", "file", "steps"])] = (
            copy.deepcopy(rng.choice(_WRONG))
        )


def _wrapped(rng: random.Random, tables: Any, path: Keys) -> None:
    table, key = holder(tables, path), path[-1]
    table[key] = rng.choice([{"name": table[key]}, {"value": table[key]}, [table[key]]])


def _flattened(rng: random.Random, tables: Any, path: Keys) -> None:
    """A scalar where a table was, a table where a list was."""
    table, key = holder(tables, path), path[-1]
    value = table[key]
    if isinstance(value, list) and value:
        table[key] = value[0]
    elif isinstance(value, dict) and value:
        table[key] = rng.choice(list(value.values()))


MUTATIONS: tuple[Callable[[random.Random, Any, Keys], None], ...] = (
    *(_value, _value, _number, _number, _misspelt_key, _misspelt_name, _removed, _repeated),
    *(_stranger, _preset, _unknown, _wrapped, _flattened),
)


def mutated(tables: dict[str, Any], rng: random.Random) -> tuple[dict[str, Any], str]:
    """A changed copy of an experiment's tables, and what was changed."""
    tables = copy.deepcopy(tables)
    told = []
    wanted = rng.choice([1, 1, 1, 2, 3])
    while len(told) < wanted and (found := list(places(tables))):
        path, change, before = rng.choice(found), rng.choice(MUTATIONS), repr(tables)
        change(rng, tables, path)
        if repr(tables) != before:
            told.append(
                f"{change.__name__[1:]} {'.'.join(map(str, path))} -> {_after(tables, path)}"
            )
    return tables, "; ".join(told)


def _after(tables: Any, path: Keys) -> str:
    try:
        return repr(holder(tables, path)[path[-1]])[:60]
    except (KeyError, IndexError):
        return "nothing"
