"""The precision of a point's neighbours in the data, in place of a Hessian."""

from collections.abc import Iterable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import groups
from hiflow._checks import as_array, as_scalar, as_shape, check_below, check_finite, check_positive
from hiflow.energies import AbstractEnergy
from hiflow.energies._affine import innermost
from hiflow.energies._fitting import as_points
from hiflow.groups import AbstractGroup, SupportsAlignment, Trivial
from hiflow.hessians._base import AbstractHessian, free_basis, registry, restricted, symmetric
from hiflow.registry import Named
from hiflow.spectrum import Spectrum, dense

# The distance to itself of a point that was moved and back, or turned, in rounding errors of its size.
_ROUNDING = 16


@registry.register("neighbours")
class Neighbours(AbstractHessian):
    r"""$\Gamma(x)^{-1}$, with $\Gamma$ the covariance of the neighbours of $x$ in a data set: the
    geometry-aware noise of Carré du champ flow matching (Bamberger et al., arXiv 2510.05930).

    $$\Gamma(x) = \frac{c(x)}{\lambda_1}\sum_j w_j (x_j - m)(x_j - m)^\top, \qquad
      w_j \propto e^{-\|x - x_j\|^2/\epsilon(x)\epsilon_j}, \qquad c(x) = \tfrac19\min_j\|x - x_j\|^2$$

    over the `neighbours` nearest points but $x$ itself, with their mean $m$ and the distances
    $\epsilon$ to the `bandwidth`-th nearest; $\lambda_1$ is the sum's largest eigenvalue, so that three
    standard deviations reach the nearest neighbour. `floor` times the largest variance is added in
    every direction: fewer neighbours than dimensions leave some without any. A point so far from all
    others that one has all the weight is spread alike in every direction.

    It takes the place of an energy's Hessian in a path, to compare with: of the energy it uses the event
    shape and the group alone. Of an [`Affine`][hiflow.energies.Affine] energy, as
    `fit(standardise=...)` makes it, the points are in the inner energy's coordinates. Neighbours are
    brought to $x$ by the group's `align`, so that $\Gamma(gx) = g\Gamma(x)g^\top$; where particles may
    be exchanged as well as turned, `align` is a local optimum and this holds for most points only.
    CDC-FM is
    `Displacement(Langevin(energy, hessian=Neighbours.fit(points, group=energy.group),
    curvature=Power(1.0, 1e-6), beta=1/gamma))`; an experiment's file says
    `hessian = {name = "neighbours"}`, and each arm's own training points are filled in.

    Usually made by `fit`.

    **Arguments:**

    - `points`: $x_j$, `(n, *event)`.
    - `scales`: $\epsilon_j$, `(n,)`.
    - `neighbours`, `bandwidth`: as above; `bandwidth` is at most `neighbours`.
    - `floor`: in (0, 1].

    **Raises:** `ValueError` for fewer points than `neighbours` + 1, scales that aren't positive, a
    setting out of range, or (where it is used) an energy of another event shape or with a group that
    can't align.

    **Example:**

    ```pycon
    >>> near = hf.hessians.Neighbours.fit(points, neighbours=8)
    >>> path = hf.paths.Langevin(ring, hessian=near, curvature=hf.spectral.Power(1.0, 1e-6))
    >>> near.spectrum(ring, points[0]).eigenvalues.shape
    (2,)
    ```
    """

    approximate: ClassVar[bool] = True

    points: Float[Array, "n *event"] = eqx.field(converter=as_array)
    scales: Float[Array, " n"] = eqx.field(converter=as_array)
    neighbours: int = eqx.field(static=True, default=8)
    bandwidth: int = eqx.field(static=True, default=4)
    floor: Float[Array, ""] = eqx.field(converter=as_scalar, default=1e-3)

    def __check_init__(self):
        _check_settings(self.neighbours, self.bandwidth)
        _check_enough("Neighbours", self.points.shape[0], self.neighbours)
        if self.scales.shape != self.points.shape[:1]:
            raise ValueError(
                f"Neighbours: `scales` must have one entry for each of the {self.points.shape[0]} "
                f"`points`, got shape {self.scales.shape}. Neighbours.fit makes them."
            )
        check_finite(self, "points")
        check_positive(self, "scales", "floor")
        check_below(self, "floor", 1.0, or_equal=True)

    @classmethod
    def fit(
        cls,
        points: object,
        *,
        group: Named[AbstractGroup] = "trivial",
        neighbours: int = 8,
        bandwidth: int = 4,
        floor: float = 1e-3,
        key: PRNGKeyArray | None = None,
    ) -> "Neighbours":
        """Of these points, with their own scales.

        **Arguments:**

        - `points`: `(n, *event)`.
        - `group`: whose `align` brings points near to each other; the energy's.
        - `key`: not used; every `fit` takes one.

        **Raises:** `ValueError` for NaN, fewer points than `neighbours` + 1, points that are
        duplicates, a group that can't align, or a setting out of range.
        """
        owner = "Neighbours.fit"
        _check_settings(neighbours, bandwidth)
        points = as_points(points, owner=owner, least=2, cure="A point needs neighbours.")
        _check_enough(owner, points.shape[0], neighbours)
        symmetry = _aligning(groups.registry.make(group), owner)
        scales = _scales(symmetry, points, bandwidth)
        if not bool(jnp.isfinite(scales).all()):
            raise ValueError(
                f"{owner}: point {int(jnp.argmax(scales))} has fewer than {bandwidth} others beside it "
                "in `points` that aren't duplicates of it. Leave the duplicates out."
            )
        return cls(points, scales, neighbours, bandwidth, floor)  # pyright: ignore[reportCallIssue]

    @classmethod
    def blank(
        cls,
        shape: int | Iterable[int],
        *,
        neighbours: int = 8,
        bandwidth: int = 4,
        floor: float = 1e-3,
    ) -> "Neighbours":
        """With the settings of `fit` and their checks, of points on a line; has seen no data."""
        _check_settings(neighbours, bandwidth)
        along = np.arange(1.0 + neighbours)
        points = np.multiply.outer(along, np.ones(as_shape(shape)))
        return cls(points, np.ones_like(along), neighbours, bandwidth, floor)  # pyright: ignore[reportCallIssue]

    @classmethod
    def example(cls) -> "Neighbours":
        """A small instance, as `hiflow check neighbours` takes without arguments."""
        points = np.random.default_rng(0).normal(size=(8, 2))
        return cls.fit(
            points, group={"name": "rotation", "dim": 2, "reflections": True}, neighbours=4
        )

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        return symmetric(jnp.linalg.inv(self.covariance(energy, x)))

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        basis = free_basis(energy, x)
        matrix = lx.MatrixLinearOperator(self.covariance(energy, x), lx.symmetric_tag)
        # Of the covariance: the small eigenvalues of an inverse are those with the fewest digits.
        variances, vectors = jnp.linalg.eigh(restricted(matrix, basis))
        return dense(1 / variances, jnp.matmul(basis, vectors, precision="highest"))

    def covariance(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> Float[Array, "dim dim"]:
        r"""$\Gamma(x)$ with its floor, over the flattened event.

        **Raises:** `ValueError` for an energy of another event shape or with a group that can't align.
        """
        if energy.event_shape != self.points.shape[1:]:
            raise ValueError(
                f"Neighbours: its points have the event shape {self.points.shape[1:]}, and the energy's "
                f"({type(energy).__name__}) is {energy.event_shape}. Fit it to points of that energy."
            )
        group, (inner, scale, shift) = _aligning(energy.group, "Neighbours"), innermost(energy)
        x, moved = scale * x + shift, inner is not energy
        squares, nearest, near = _nearest(group, self.points, x, self.neighbours, moved=moved)
        own = jnp.sqrt(squares[self.bandwidth - 1])
        exponents = -squares / (own * self.scales[nearest])
        w = jax.nn.softmax(exponents)
        y = near[nearest].reshape(self.neighbours, -1)
        offset = y - jnp.matmul(w, y, precision="highest")
        spread = jnp.matmul(offset.T * w, offset, precision="highest")
        largest = jnp.linalg.eigvalsh(spread)[-1]
        eye = jnp.eye(x.size, dtype=spread.dtype)
        # Far from all others one neighbour may have all the weight, and no direction is told.
        directed = jnp.where(largest > jnp.finfo(spread.dtype).tiny, spread / largest, eye)
        found = squares[0] / 9 * (directed + self.floor * eye)
        scales = jnp.broadcast_to(scale, x.shape).ravel()
        return found / (scales[:, None] * scales)


def _aligned(group: AbstractGroup, points: Array, x: Array) -> Array:
    """Every point brought as near to `x` as the group can."""
    if isinstance(group, Trivial):
        return points
    symmetry: Any = group
    return jax.vmap(lambda p: symmetry.act(symmetry.align(p, x), p))(points)


def _nearest(
    group: AbstractGroup, points: Array, x: Array, count: int, *, moved: bool = False
) -> tuple[Array, Array, Array]:
    """Squared distances of the nearest points but `x` itself, in order; which they are; and all points
    brought near. A datum is at no distance from itself, or at that of rounding if it was `moved`."""
    near = _aligned(group, points, x)
    squares = jnp.sum((near - x).reshape(near.shape[0], -1) ** 2, axis=1)
    exact = isinstance(group, Trivial) and not moved
    itself = squares <= (0 if exact else (_ROUNDING * jnp.finfo(x.dtype).eps) ** 2 * jnp.sum(x**2))
    found, nearest = jax.lax.top_k(-jnp.where(itself, jnp.inf, squares), count)
    return -found, nearest, near


@eqx.filter_jit
def _scales(group: AbstractGroup, points: Array, bandwidth: int) -> Array:
    """Each point's distance to its `bandwidth`-th nearest."""

    def scale(x: Array) -> Array:
        return jnp.sqrt(_nearest(group, points, x, bandwidth)[0][-1])

    return jax.lax.map(scale, points)


def _aligning(group: AbstractGroup, owner: str) -> AbstractGroup:
    """The group, or `ValueError` if it can't bring one event to another."""
    if not isinstance(group, Trivial | SupportsAlignment):
        raise ValueError(
            f"{owner}: {type(group).__name__} can't align events, so that which points are neighbours "
            "would depend on how they are turned. Give the group a method align(x, y) "
            "(hiflow.groups.SupportsAlignment)."
        )
    return group


def _check_settings(neighbours: int, bandwidth: int) -> None:
    whole = type(neighbours) is int and type(bandwidth) is int
    if not whole or not 1 <= bandwidth <= neighbours or neighbours < 2:
        raise ValueError(
            "Neighbours: `neighbours` must be a whole number of at least 2, and `bandwidth` one from 1 "
            f"to that; got {neighbours!r} and {bandwidth!r}."
        )


def _check_enough(owner: str, points: int, neighbours: int) -> None:
    if points < neighbours + 1:
        raise ValueError(
            f"{owner}: {neighbours} `neighbours` need at least {neighbours + 1} points, got {points}. "
            "Lower `neighbours` (and `bandwidth`), or give more points."
        )
