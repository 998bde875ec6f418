"""`prior = {name = "…", fit = "data"}`: a prior that is fitted to the points that an arm trains on."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, Float

from hiflow import priors
from hiflow._arguments import Fault, faults_in
from hiflow._kinds import shown


def fitted_prior(
    table: Any, shape: tuple[int, ...], points: Float[Array, "n *event"] | None
) -> Any:
    """The fitted prior where a table asks for one by `fit = "data"`, its other keys being those of the
    class's `fit`; any other table as it is. Without points it is a blank of the same kind.

    **Raises:** `ValueError` for another `fit`, or a class that has none.
    """
    if not (isinstance(table, Mapping) and "fit" in table and isinstance(table.get("name"), str)):
        return table
    name = table["name"]
    cls = priors.registry.get(name)
    if not issubclass(cls, priors.SupportsFitting):
        raise ValueError(f"`fit` must be left out: {name!r} isn't fitted to data.{_fittable()}")
    if table["fit"] != "data":
        raise ValueError(
            f'`fit` must be "data", for the points that an arm trains on; got {shown(table["fit"])}.'
        )
    settings = {key: value for key, value in table.items() if key not in ("name", "fit")}
    if "data" in settings:
        found = [Fault(("data",), "must be left out: the experiment gives it.")]
    else:
        found = list(faults_in(cls.fit, settings))
    if found:
        error = ValueError(f"prior {name!r}: {found[0]}")
        vars(error)["faults"] = found
        raise error
    if points is None:
        return cls.blank(shape, **settings)
    return cls.fit(points, **settings)


def _fittable() -> str:
    own = [
        name
        for name in priors.registry.names()
        if priors.registry.origin(name) == "hiflow"
        and issubclass(priors.registry.get(name), priors.SupportsFitting)
    ]
    return f" Those that are: {', '.join(own)}."
