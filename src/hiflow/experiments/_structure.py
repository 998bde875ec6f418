"""Which tables and keys a file has, and of which kind their values are.

It is imported without JAX, as `read` is.
"""

from collections.abc import Mapping
from typing import Any

from hiflow._kinds import shown, wanted
from hiflow._words import nearest
from hiflow.experiments._problems import Problems
from hiflow.experiments._slug import slug

_COMPONENT = str | Mapping[str, Any]
_TABLE = Mapping[str, Any]
_SETTINGS = {"prior": _COMPONENT, "network": _COMPONENT, "training": _TABLE}
TOP = {
    "seeds": list[int],
    "energy": _COMPONENT,
    "data": _TABLE,
    **_SETTINGS,
    "evaluation": _TABLE,
}
MEMBERS = {
    "arm": {
        "label": str,
        "family": str,
        "path": _COMPONENT,
        "tune": _TABLE,
        "condition": bool,
        **_SETTINGS,
    },
    "variant": {"label": str, "size": int, "condition": bool, **_SETTINGS},
}


def check_structure(tables: Mapping[str, Any], problems: Problems) -> None:
    """Note unknown and missing tables and keys, and values of another kind."""
    _check_keys(tables, TOP, "", problems, others=MEMBERS)
    _check_seeds(tables.get("seeds", [0]), problems)
    if not tables.get("arm"):
        problems.add("has no [[arm]]; add one with a `label` and a `path`.")
    for kind, known in MEMBERS.items():
        members = tables.get(kind, [])
        if not isinstance(members, list) or not all(isinstance(each, Mapping) for each in members):
            problems.add(f"`{kind}` must be tables, each under [[{kind}]]; got {shown(members)}.")
            continue
        _check_labels(kind, members, problems)
        for place, member in enumerate(members, start=1):
            label = member.get("label")
            where = heading(kind, label) if label is not None else f"[[{kind}]] number {place}"
            _check_keys(member, known, where, problems)
    for arm in _tables(tables.get("arm")):
        if "path" not in arm:
            problems.add(f"{heading('arm', arm.get('label'))}: needs a `path`.")
    for variant in _tables(tables.get("variant")):
        size = variant.get("size", 1)
        if wanted(int, size) is None and size < 1:
            place = heading("variant", variant.get("label"))
            problems.add(f"{place}: `size` must be at least 1; got {size}.")


def heading(kind: str, label: object) -> str:
    """The table of an arm or a variant, as it is found in the file."""
    return f'[[{kind}]] "{label}"'


def _tables(members: object) -> list[Mapping[str, Any]]:
    members = members if isinstance(members, list) else []
    return [each for each in members if isinstance(each, Mapping)]


def _check_keys(
    table: Mapping[str, Any],
    known: Mapping[str, Any],
    where: str,
    problems: Problems,
    others: Mapping[str, Any] | None = None,
) -> None:
    names = [*known, *(others or {})]
    for name, value in table.items():
        lead = f"{where}: " if where else ""
        if name not in names:
            problems.add(
                f"{lead}unknown name {name!r}{nearest(name, names)} Known: {', '.join(names)}."
            )
        elif name in known and (words := wanted(known[name], value)) is not None:
            problems.add(f"{lead}`{name}` must be {words}; got {shown(value)}.")


def _check_seeds(seeds: object, problems: Problems) -> None:
    if wanted(list[int], seeds) is not None or not isinstance(seeds, list):
        return
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        problems.add(
            f"`seeds` must be at least one whole number from 0 on, each once; got {shown(seeds)}."
        )


def _check_labels(kind: str, members: list[Mapping[str, Any]], problems: Problems) -> None:
    labels = [member.get("label") for member in members]
    slugs = [slug(str(label)) for label in labels]
    if None in labels or len(set(slugs)) < len(labels) or "" in slugs:
        problems.add(f"every [[{kind}]] needs a `label` of its own, got {shown(labels)}.")
