"""What fits of energies to data share: the checks of points and settings, and the held-out figure."""

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from hiflow._checks import as_array, converter, number, refuse_not_finite
from hiflow._kinds import accepted
from hiflow._statistics import standard_error

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """A figure of merit on points that an energy was not fitted to; less is better.

    **Arguments:**

    - `what`: what is measured, and in what.
    - `value`, `se`: the mean over the points and its standard error.

    **Example:**

    ```pycon
    >>> density = hf.energies.KernelDensity.fit(points[:100], bandwidth=0.2)
    >>> found = density.held_out(points[100:])
    >>> found.value > 0, found.se < 0.2
    (True, True)
    ```
    """

    what: str
    value: float
    se: float


def as_points(points: object, *, owner: str, least: int, cure: str) -> Float[Array, "n *event"]:
    """To an array of at least `least` finite events, or a `ValueError`."""
    array = converter("points", as_array)(points)
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"{owner}: `points` must have shape (n, *event), got {array.shape}. Give points of one "
            "coordinate the shape (n, 1)."
        )
    if array.shape[0] < least:
        raise ValueError(
            f"{owner}: `points` must be at least {least}, got {array.shape[0]}. {cure}"
        )
    refuse_not_finite(array, f"{owner}: `points`", kind="points", cure="Leave them out.")
    return array


def mean_variance(points: Float[Array, "n *event"], *, owner: str) -> float:
    """The variance of the points, averaged over coordinates; `ValueError` if there is none."""
    found = float(jnp.mean((points - points.mean(0)) ** 2))
    if not found > 0:
        raise ValueError(f"{owner}: `points` are all the same. Give points that differ.")
    return found


def check_at_least_one(owner: str, **counts: object) -> None:
    """Raise `ValueError` unless every setting is a whole number of 1 or more."""
    for name, count in counts.items():
        if not isinstance(count, int | np.integer) or count < 1:
            raise ValueError(
                f"{owner}: `{name}` must be a whole number of at least 1, got {count}."
            )


def check_setting_positive(owner: str, **settings: object) -> None:
    """Raise `ValueError` unless every setting is a positive number."""
    for name, value in settings.items():
        accepted(number("positive and finite", lambda x: x > 0), value, f"{owner}: `{name}`")


def check_rank(owner: str, rank: object, dim: int) -> None:
    """Raise `ValueError` unless there can be so many orthonormal directions."""
    if not isinstance(rank, int | np.integer) or not 1 <= rank <= dim:
        raise ValueError(
            f"{owner}: `rank` must be a whole number from 1 to the {dim} coordinates of an event, got "
            f"{rank}."
        )


def held_out_nll(energy: Callable[[Array], Array], points: object) -> HeldOut:
    """The mean of a normalised energy over held-out points."""
    owner = f"{type(energy).__name__}.held_out"
    held_out = as_points(points, owner=owner, least=2, cure="A standard error needs two.")
    return mean_of("NLL, nats", over(held_out, energy))


def mean_of(what: str, values: Float[Array, " n"]) -> HeldOut:
    """Mean and standard error of one value per point."""
    values64 = np.asarray(values, np.float64)
    return HeldOut(what, float(values64.mean()), standard_error(values64))


@eqx.filter_jit
def over(points: PyTree, function: Callable[..., T]) -> T:
    """The function of every point, or of every tuple from several arrays, in batches that bound the
    memory."""
    return jax.lax.map(function, points, batch_size=512)
