"""What callbacks are shown of a run, and how they end it."""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from hiflow._kinds import shown
from hiflow.flow import Flow
from hiflow.training._history import History, Row


class Stop(Exception):  # noqa: N818  raised by a callback that has seen enough: nothing went wrong
    """Raised by a callback, it ends the run after this step: the flow is returned as at any other end,
    and the reason is in the history. After a resume the same callback is called again.

    **Arguments:**

    - `reason`: what the last row's `ended` says.

    **Example:**

    ```pycon
    >>> class Enough:
    ...     def see(self, moment):
    ...         if moment.row["step"] >= 20:
    ...             raise hf.callbacks.Stop("twenty steps will do")
    ...
    >>> history = hf.History()
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key, steps=40,
    ...               log_every=10, callbacks=[Enough()], history=history, progress=False)
    >>> history.rows[-1]["step"], history.rows[-1]["ended"]
    (20, 'twenty steps will do')
    ```
    """

    def __init__(self, reason: str = "a callback"):
        super().__init__(reason)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class Moment:
    """A run as it stands at a step.

    **Arguments:**

    - `row`: step, seconds and loss, and after a validation the fields of its NLL.
    - `history`: all rows up to this one.
    - `validated`: whether the row is of a validation, or of the end.
    - `make`: makes the flow.

    **Example:**

    ```pycon
    >>> class Watch:
    ...     def see(self, moment):  # every `log_every` steps and after validations
    ...         x = moment.flow.sample(key, 2)
    ...         print(moment.row["step"], x.shape, moment.validated)
    ...
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key,
    ...               steps=40, log_every=20, callbacks=[Watch()], progress=False)
    20 (2, 2) False
    40 (2, 2) True
    ```
    """

    row: Row
    history: History
    validated: bool
    make: Callable[[], Flow]

    @cached_property
    def flow(self) -> Flow:
        """With the weights that a validation at this step judges."""
        return self.make()


@runtime_checkable
class Callback(Protocol):
    """An object with a method that is shown a run every `log_every` steps and after every validation. A
    plain function of a row is a callback too: it is called after validations alone.

    **Example:**

    ```pycon
    >>> class Best:
    ...     nll = float("inf")
    ...     def see(self, moment):
    ...         if moment.validated and moment.row["nll"] < self.nll:
    ...             self.nll = moment.row["nll"]
    ...             moment.flow.save("best.flow")
    ...
    >>> flow = hf.fit("mlp", "optimal-transport", points[:150], validation=points[150:],
    ...               prior="normal", key=key, steps=40, validate_at=20, callbacks=[Best()],
    ...               progress=False)
    ```
    """

    def see(self, moment: Moment) -> None:
        """Look at the run. **Raises:** [`Stop`][hiflow.callbacks.Stop] to end it."""
        ...


AnyCallback = Callback | Callable[[Row], object]


def checked_callbacks(value: Any, what: str) -> Sequence[AnyCallback]:
    """Raise `ValueError` for what can't be called."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(
            f"{what} must be a list of callbacks, got {shown(value)}. Write [callback]."
        )
    for each in value:
        if isinstance(each, type) or not (isinstance(each, Callback) or callable(each)):
            raise ValueError(
                f"{what} must be functions of a row, or objects with a method `see` "
                f"(hiflow.callbacks); got {shown(each)}."
            )
        if not _takes_one(each.see if isinstance(each, Callback) else each):
            raise ValueError(
                f"{what} are called with one argument, a function with the row and a method `see` with "
                f"the moment; {shown(each)} doesn't take one. Write e.g. see(self, moment)."
            )
    return value


def _takes_one(function: object) -> bool:
    """Whether it can be called with one argument, if that can be told."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # Of compiled code that tells nothing.
        return True
    return True


def show(callbacks: Sequence[AnyCallback], moment: Moment) -> str | None:
    """Show all callbacks a moment; why the run is to end, if one of them says so."""
    reason = None
    for callback in callbacks:
        try:
            if isinstance(callback, Callback):
                callback.see(moment)
            elif moment.validated:
                callback(moment.row)
        except Stop as stop:
            reason = reason or stop.reason
    return reason
