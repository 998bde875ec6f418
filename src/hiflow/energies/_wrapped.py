"""Energies that are fitted to coordinates with a period."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import groups
from hiflow._checks import as_array, check_finite
from hiflow.energies._base import AbstractEnergy, SupportsFitting, registry
from hiflow.energies._fitting import HeldOut, as_points
from hiflow.energies._substituted import AbstractSubstituted
from hiflow.groups import AbstractGroup
from hiflow.groups._periods import periods_of, within_a_period
from hiflow.registry import Named


class Wrapped(AbstractSubstituted):
    r"""$V(m + [x - m])$, with $[\cdot]$ the difference within half a period of every coordinate that has
    one: an energy that was fitted to angles, the same whatever their turn.

    $m$ is half a period from the middle of the widest gap that the points leave, so that the circle is
    cut where the fewest are. Where points lie all the way around, the energy jumps at the cut.

    Usually made by `fit`. In an experiment's file energies that are fitted are made so, if the prior has
    periods.

    **Arguments:**

    - `inner`: $V$.
    - `group`: with periods ([`SupportsPeriods`][hiflow.groups.SupportsPeriods]); an instance, a name
      or a table.
    - `middle`: $m$, of the event's shape; it counts for coordinates with a period.

    **Raises:** `ValueError` for a group without periods, or a `middle` that isn't finite or of another
    shape.

    **Example:**

    ```pycon
    >>> class Turns(hf.groups.AbstractDiscreteGroup):  # as Torus of hiflow-robotics
    ...     def sample(self, key, event_shape):
    ...         return jax.random.randint(key, event_shape, -2, 3)
    ...     def act(self, g, x):
    ...         return x + 2 * jnp.pi * g
    ...     def inverse(self, g):
    ...         return -g
    ...     def compose(self, g, h):
    ...         return g + h
    ...     def periods(self, event_shape):
    ...         return jnp.full(event_shape, 2 * jnp.pi)
    ...
    >>> angles = jnp.array([[3.1], [-3.1], [3.0], [-3.0]])  # about π
    >>> fitted = hf.energies.Wrapped.fit(angles, family="fitted-gaussian", group=Turns(), rank=1)
    >>> type(fitted.inner).__name__
    'FittedGaussian'
    >>> bool(jnp.isclose(fitted(angles[0]), fitted(angles[0] - 2 * jnp.pi), rtol=1e-4))
    True
    ```
    """

    inner: AbstractEnergy
    group: AbstractGroup = eqx.field(converter=groups.registry.make)
    middle: Float[Array, "*event"] = eqx.field(converter=as_array)

    def __check_init__(self):
        _check_group(self.group, self.inner.event_shape)
        check_finite(self, "middle")
        if self.middle.shape != tuple(self.inner.event_shape):
            raise ValueError(
                f"Wrapped: `middle` must be of the event's shape {tuple(self.inner.event_shape)}, got "
                f"shape {self.middle.shape}."
            )

    @classmethod
    def fit(
        cls,
        points: object,
        *,
        family: str | type[AbstractEnergy],
        group: Named[AbstractGroup],
        key: PRNGKeyArray | None = None,
        **settings: Any,
    ) -> "Wrapped":
        """One of a family that is fitted, to points within the period that is cut where they are fewest.

        **Arguments:**

        - `points`: `(n, *event)`, in any turn.
        - `family`: a class with `fit`, or its name.
        - `key`, `settings`: of its `fit`.

        **Raises:** `ValueError` for a family that isn't fitted or a group without periods, and as the
        family's `fit` does.
        """
        chosen, group = _family(family), groups.registry.make(group)
        points = as_points(points, owner="Wrapped.fit", least=1, cure="There is nothing to fit to.")
        middle = _middle(points, _check_group(group, points.shape[1:]))
        inside = _within(group, points, middle)
        given = settings if key is None else {**settings, "key": key}
        return cls(chosen.fit(inside, **given), group, middle)  # pyright: ignore[reportCallIssue]

    @classmethod
    def blank(
        cls,
        shape: int | Iterable[int],
        *,
        family: str | type[AbstractEnergy],
        group: Named[AbstractGroup],
        **settings: Any,
    ) -> "Wrapped":
        """As `fit`, of one that has seen no data."""
        inner = _family(family).blank(shape, **settings)
        return cls(inner, group, jnp.zeros(inner.event_shape))  # pyright: ignore[reportCallIssue]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The inner energy's."""
        return self.inner.event_shape

    @property
    def _scale(self) -> Float[Array, ""]:
        return jnp.asarray(1.0)  # of a weak type

    def held_out(self, points: object) -> HeldOut:
        """The inner energy's figure, of points in any turn."""
        inner: Any = self.inner
        points = as_points(points, owner="Wrapped.held_out", least=1, cure="There are none.")
        return inner.held_out(_within(self.group, points, self.middle))

    def _inside(self, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        return self.middle + within_a_period(self.group, x - self.middle)


def _family(family: str | type[AbstractEnergy]) -> Any:
    chosen = registry.get(family) if isinstance(family, str) else family
    if not (isinstance(chosen, type) and issubclass(chosen, SupportsFitting)) or chosen is Wrapped:
        raise ValueError(
            f"Wrapped: `family` must be a kind of energy that is fitted, got {family!r}. Take "
            "'fitted-gaussian', 'fitted-mixture', 'kernel-density' or 'energy-network'."
        )
    return chosen


def _check_group(group: AbstractGroup, event_shape: tuple[int, ...]) -> Float[Array, "*event"]:
    """The periods, or `ValueError` for a group without."""
    if (periods := periods_of(group, event_shape)) is None:
        raise ValueError(
            f"Wrapped: `group` must have periods, and {type(group).__name__} has none. Fit the family "
            "itself."
        )
    return periods


def _middle(
    points: Float[Array, "n *event"], periods: Float[Array, "*event"]
) -> Float[Array, "*event"]:
    """Of what the points leave of each circle beside their widest gap."""
    turning = np.isfinite(np.asarray(periods)).ravel()
    x, length = np.asarray(points, np.float64).reshape(len(points), -1), np.ravel(periods)
    middle = np.zeros(len(turning))
    for i in np.flatnonzero(turning):
        places = np.sort(x[:, i] % length[i])
        gaps = np.diff(places, append=places[0] + length[i])
        widest = int(np.argmax(gaps))
        opposite = places[widest] + gaps[widest] / 2 + length[i] / 2
        # In the turn of most points, so that most stay as they are.
        middle[i] = opposite + length[i] * np.round((np.median(x[:, i]) - opposite) / length[i])
    return jnp.asarray(middle.reshape(periods.shape), points.dtype)


def _within(
    group: AbstractGroup, points: Float[Array, "n *event"], middle: Float[Array, "*event"]
) -> Float[Array, "n *event"]:
    return middle + jax.vmap(partial(within_a_period, group))(points - middle)
