"""`prior = {name = "empirical", file = "…"}`: a prior of the points in a file."""

from collections.abc import Mapping
from typing import Any

import jax

from hiflow import data, groups, priors
from hiflow._kinds import shown, wanted
from hiflow._words import nearest
from hiflow.energies import AbstractEnergy

KEYS = {"file": str | list[str], "array": str, "topology": str, "frames": list[int], "group": Any}
"""What a table may say beside the name."""


def filed_prior(table: Any, shape: tuple[int, ...], energy: AbstractEnergy | None) -> Any:
    """The prior of a file's points where a table asks for one; any other table as it is.

    `array`, `topology` and `frames` are those of [`hiflow.data.load`][hiflow.data.load], and points of
    an energy that has units come in its unit of length. Points are projected by the `group`, as training
    points are by the energy's.

    **Raises:** `ValueError` for another key or kind, and for points of another shape.
    """
    if table == "empirical":
        table = {"name": table}
    if not isinstance(table, Mapping) or table.get("name") != "empirical" or "points" in table:
        return table
    known = ["name", *KEYS]
    for name, value in table.items():
        if name not in known:
            raise ValueError(
                f"prior 'empirical': unknown name {name!r}{nearest(name, known)} Known: "
                f"{', '.join(known)}."
            )
        if name != "name" and (words := wanted(KEYS[name], value)) is not None:
            raise ValueError(f"prior 'empirical': `{name}` must be {words}; got {shown(value)}.")
    if "file" not in table:
        raise ValueError("prior 'empirical': needs a `file` of points, or `points` themselves.")
    given = {name: table[name] for name in ("topology", "frames") if name in table}
    found = data.load(
        table["file"], event_shape=shape, key_name=table.get("array"), energy=energy, **given
    )
    group = groups.registry.make(table.get("group", "trivial"))
    return priors.EmpiricalPrior(jax.vmap(group.project)(found.points), group=group)
