"""What is integrated, and what is told of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float, Int, PyTree

# Of one sample: the rate of change of the point, and of what is integrated along its way.
Rates = tuple[Array, PyTree]


class Field(NamedTuple):
    """A velocity, and a quantity that is integrated along the solution without acting on it: its
    evaluation is left out wherever the integral doesn't use it.

    **Arguments:**

    - `velocity`: `(t, x, drawn)` to $v(t, x)$.
    - `both`: `(t, x, drawn)` to $v(t, x)$ and the quantity, an array or `()` for none.
    - `draw`: what one sample's whole solve uses, `drawn`, from what it is given: its key for random
      numbers, and whatever else comes with it.
    """

    velocity: Callable[[Any, Any, Any], Array]
    both: Callable[[Any, Any, Any], Rates]
    draw: Callable[[Any, Any], PyTree]


class Report(NamedTuple):
    """What was done for every sample, and whether its end was reached."""

    nfe: Int[Array, " n"]
    accepted: Int[Array, " n"]
    rejected: Int[Array, " n"]
    arrived: Bool[Array, " n"]


class Interval(NamedTuple):
    """Times from `start` to `end`, in either direction."""

    start: float
    end: float

    def at(self, s: Float[Array, ""]) -> Float[Array, ""]:
        """The time that lies the share `s` of the interval behind its start."""
        return self.start + (self.end - self.start) * s
