"""Learning rates that aren't one number: Optax's schedules, as they are or by name."""

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import numpy as np
import optax

from hiflow._checks import Refused, nearest
from hiflow._kinds import shown

# A larger one isn't meant: 1e300, for one, is infinite in single precision.
_LARGEST_RATE = 1e3


@dataclasses.dataclass(frozen=True)
class NamedSchedule:
    """One of Optax's schedules with its arguments, as a table gives them. Two that are alike are equal,
    so that runs with them share one compiled step.

    **Arguments:**

    - `name`: of the function in Optax that makes it.
    - `arguments`: in JSON.
    """

    name: str
    arguments: str

    def __call__(self, step: Any) -> Any:
        """The rate at a step."""
        return self.made()(step)

    def made(self) -> optax.Schedule:
        """Optax's own."""
        return getattr(optax, self.name)(**_keyed(json.loads(self.arguments)))


LearningRate = float | optax.Schedule


def learning_rate(value: object) -> LearningRate:
    """A number, a schedule, or a schedule from its table.

    **Raises:** `Refused` for anything else.
    """
    if isinstance(value, Mapping):
        value = _named(value)
    if not callable(value):
        return _number(value)
    try:
        first = np.asarray(value(0), np.float64)
        jax.eval_shape(value, jax.ShapeDtypeStruct((), int))  # pyright: ignore[reportArgumentType]
    except jax.errors.ConcretizationTypeError:
        raise Refused(
            "must be a schedule that can be compiled: an `if` of the step's can't. Use jnp.where, or "
            "optax.piecewise_constant_schedule"
        ) from None
    except Exception as error:  # Whatever arguments that aren't meant make of it.
        raise Refused(
            f"must be a schedule of Optax, which gives a rate for a step ({error})"
        ) from None
    if first.shape != () or not np.isfinite(first) or not 0 <= first <= _LARGEST_RATE:
        raise Refused(
            f"must give a rate from 0 to {_LARGEST_RATE:g} at every step, and gives {shown(first)} at 0"
        )
    return cast(optax.Schedule, value)


def known() -> dict[str, Callable[..., optax.Schedule]]:
    """The schedules that Optax has, by name."""
    return {
        name: item
        for name, item in vars(optax).items()
        if inspect.isfunction(item)
        and (name.endswith("_schedule") or name == "exponential_decay")
        and name != "scale_by_schedule"
    }


def _named(table: Mapping[str, Any]) -> NamedSchedule:
    name, schedules = table.get("name"), known()
    if not isinstance(name, str) or name not in schedules:
        words = nearest(name, schedules)[:-1] if isinstance(name, str) else ""
        raise Refused(
            f"must have the `name` of one of Optax's schedules{words}: there are "
            f"{', '.join(sorted(schedules))}"
        )
    arguments = {key: value for key, value in table.items() if key != "name"}
    takes = inspect.signature(schedules[name])
    for key in arguments:
        if key not in takes.parameters:
            raise Refused(
                f"names {name}, which takes no {key!r}{nearest(key, takes.parameters)[:-1]}: it takes "
                f"{', '.join(takes.parameters)}"
            )
    lacking = [
        key
        for key, parameter in takes.parameters.items()
        if parameter.default is inspect.Parameter.empty and key not in arguments
    ]
    if lacking:
        raise Refused(f"names {name}, which needs {', '.join(lacking)} too")
    try:
        text = json.dumps(arguments, sort_keys=True)
    except TypeError:
        raise Refused("must be a table of plain values") from None
    return NamedSchedule(name, text)


def _keyed(arguments: dict[str, Any]) -> dict[str, Any]:
    """With steps that are keys, such as those of `boundaries_and_scales`, as numbers."""
    return {
        name: {int(key): item for key, item in value.items()} if isinstance(value, dict) else value
        for name, value in arguments.items()
    }


def _number(value: object) -> float:
    array = np.asarray(value)
    words = f"must be a positive number, at most {_LARGEST_RATE:g}, or a schedule of Optax"
    if array.ndim > 0 or not np.issubdtype(array.dtype, np.number):
        raise Refused(words)
    if not 0 < (found := float(array)) <= _LARGEST_RATE:
        raise Refused(words)
    return found
