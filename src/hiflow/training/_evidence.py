"""What is seen of data and an energy before any training: spacing, curvature, virials, end laws."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hiflow._programs import compiled
from hiflow._statistics import spread_rows
from hiflow.data import check_virial
from hiflow.energies import AbstractEnergy, SupportsHessian
from hiflow.energies._substituted import underneath
from hiflow.groups import AbstractGroup, SupportsAlignment, Translation, Trivial
from hiflow.paths import AbstractGaussianPath, AbstractPath, AbstractSpectralPath, make_anchors
from hiflow.training._components import Components
from hiflow.training._preflight import Ready

# Points that are looked at, and dimensions up to which whole Hessians are.
_LOOKED_AT, _WIDEST = 256, 1_000
# The share that a broad Gaussian has in what left-out points are scored by: a network's blur.
_BROAD = 0.01
# The distance of a point to a copy of it that was turned there, in rounding errors of the largest.
_ROUNDING = 16


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What is seen of data and energy before any training.

    **Arguments:**

    - `size`, `dimensions`: how many points, and directions that the prior's group leaves free.
    - `spacing`: the median distance to the nearest other point, over the root of `dimensions`.
    - `negative`: the share of negative eigenvalues of the Hessians at the data; `None` without Hessians,
      for the reason `no_hessian`.
    - `virial`, `virial_error`: of the data, per dimension: 1 for samples of the energy.
    """

    size: int
    dimensions: int
    spacing: float
    negative: float | None = None
    no_hessian: str = ""
    virial: float | None = None
    virial_error: float | None = None

    def __str__(self) -> str:
        words = f"{self.size:,} points in {self.dimensions} dimensions, {self.spacing:.3g} apart"
        if self.negative is None:
            return f"{words}; {self.no_hessian}"
        return f"{words}; {self.negative:.0%} of the Hessians' eigenvalues are negative there"


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What paths are looked at in: a run's parts and points, in the coordinates that it trains in.

    **Arguments:**

    - `judges`: other points than those that are trained on, if there are any to judge by.
    """

    ready: Ready
    points: Float[Array, "n *event"]
    key: Array
    judges: Float[Array, "m *event"] | None = None

    @property
    def some(self) -> Float[Array, "m *event"]:
        """Those that are looked at."""
        return self.points[spread_rows(len(self.points), _LOOKED_AT)]

    @property
    def energy(self) -> AbstractEnergy:
        """Only asked for where there is one."""
        assert self.ready.energy is not None
        return self.ready.energy

    @property
    def plain(self) -> bool:
        """Whether the network has no symmetry that moves points in the space that is left free."""
        return isinstance(self.ready.network.group, Trivial | Translation)

    def made(self, table: Any) -> AbstractPath:
        """The path of a table."""
        ready = self.ready
        return Components(self.points.shape[1:], self.key).path(table, ready.prior, ready.energy)


def exact_hessian(energy: AbstractEnergy) -> str:
    """The provider of an energy's whole Hessian, in closed form where it has one. One in other
    coordinates says so of any, and tables name what the energy itself has."""
    return "analytic" if isinstance(underneath(energy), SupportsHessian) else "dense"


def seen(around: Surroundings) -> Evidence:
    """The evidence of data and energy."""
    x, ready = around.some, around.ready
    free = x[0].size - ready.prior.group.null_modes(x[0]).shape[1]
    spacing = float(_spacing(ready.network.group, x)) / free**0.5
    found = Evidence(len(around.points), free, spacing)
    if ready.energy is None:
        return dataclasses.replace(found, no_hessian="no energy is given")
    if free > _WIDEST:
        words = f"Hessians of more than {_WIDEST:,} dimensions aren't looked at"
        return dataclasses.replace(found, no_hessian=words)
    try:
        path = around.made({"name": "langevin", "hessian": exact_hessian(around.energy)})
        assert isinstance(path, AbstractSpectralPath)
        eigenvalues = np.asarray(_eigenvalues(path, x))
    except Exception as error:  # An energy may be anyone's, and what it raises too.
        words = f"the energy has no Hessian: {first_line(error)}"
        return dataclasses.replace(found, no_hessian=words)
    if not np.isfinite(eigenvalues).all():
        return dataclasses.replace(
            found, no_hessian="the energy's Hessians at the data aren't finite"
        )
    scale = np.abs(eigenvalues).max(axis=-1, keepdims=True)
    negative = float((eigenvalues < -1e-5 * scale).mean())
    virial, error = virial_per_dimension(around.energy, x)
    return dataclasses.replace(found, negative=negative, virial=virial, virial_error=error)


def virial_per_dimension(
    energy: AbstractEnergy, x: Float[Array, "n *event"]
) -> tuple[float, float | None]:
    """With its standard error; a single point has none."""
    report = check_virial(energy, x if len(x) > 1 else jnp.concatenate([x, x]))
    return report.mean / report.expected, report.standard_error / report.expected


def left_out(
    path: AbstractPath,
    x: Float[Array, "n *event"],
    judges: Float[Array, "m *event"] | None = None,
) -> float:
    r"""$-\log$ of the mean end law of all points $x$, with a broad Gaussian's share, in the mean over
    the `judges`; without these of all other points, in the mean over $x$. What a network that learns its
    targets would give to points that it hasn't seen.

    Infinite for a path that ends in the points.
    """
    if not isinstance(path, AbstractGaussianPath) or len(x) < 2:
        return float("inf")
    anchors = make_anchors(path, x)
    nll = _left_out(path, anchors, x) if judges is None else _judged(path, anchors, x, judges)
    return float(nll) if np.isfinite(nll) else float("inf")


def nll_of_others(
    path: AbstractGaussianPath, anchors: Any, x: Float[Array, "n *event"], scored: int
) -> Float[Array, ""]:
    r"""$-\log$ of the mean end law of all other points, in the mean over `scored` points, with a broad
    Gaussian's share."""
    rows = spread_rows(len(x), scored)
    return _nll_of_laws(path, anchors, x, x[rows], rows[:, None] == np.arange(len(x)))


def _nll_of_laws(
    path: AbstractGaussianPath,
    anchors: Any,
    x: Float[Array, "n *event"],
    y: Float[Array, "m *event"],
    own: Bool[Array | np.ndarray, "m n"],
) -> Float[Array, ""]:
    """That of `y` by the laws of `x` that aren't its `own`."""
    one, centre = jnp.ones(()), jnp.mean(x, axis=0)
    laws = jax.vmap(lambda y: jax.vmap(lambda a: path.log_prob(y, a, one))(anchors))(y)
    others = jnp.where(own, -jnp.inf, laws)
    narrow = jax.nn.logsumexp(others, axis=1) - jnp.log(jnp.sum(~own, axis=1))
    free = path.frame(jax.tree.map(lambda leaf: leaf[0], anchors)).modes.size
    variance = jnp.mean(_squares(x - centre)) / free
    broad = -_squares(y - centre) / (2 * variance) - free / 2 * jnp.log(2 * jnp.pi * variance)
    return -jnp.mean(jnp.logaddexp(jnp.log(1 - _BROAD) + narrow, jnp.log(_BROAD) + broad))


def _squares(x: Float[Array, "n *event"]) -> Float[Array, " n"]:
    return jnp.sum(x.reshape(len(x), -1) ** 2, axis=1)


def first_line(error: Exception) -> str:
    """Of what an error says, cut to a table's width."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:120]


@compiled()
def _eigenvalues(path: AbstractSpectralPath, x: Float[Array, "n *event"]) -> Array:
    return jax.lax.map(lambda y: path.hessian.spectrum(path.energy, y).eigenvalues, x)


@compiled()
def _left_out(path: AbstractGaussianPath, anchors: Any, x: Float[Array, "n *event"]) -> Array:
    return nll_of_others(path, anchors, x, x.shape[0])


@compiled()
def _judged(
    path: AbstractGaussianPath,
    anchors: Any,
    x: Float[Array, "n *event"],
    judges: Float[Array, "m *event"],
) -> Array:
    own = jnp.zeros((len(judges), len(x)), bool)
    return _nll_of_laws(path, anchors, x, judges, own)


@compiled()
def _spacing(group: AbstractGroup, x: Float[Array, "n *event"]) -> Array:
    """The median distance to the nearest point that is no copy, brought as near as the group can; of
    points that are all alike, 1."""

    def square(p: Array, y: Array) -> Array:
        moved = group.act(group.align(p, y), p) if isinstance(group, SupportsAlignment) else p
        return jnp.sum((moved - y) ** 2)

    squares = jax.lax.map(lambda y: jax.vmap(lambda p: square(p, y))(x), x)
    rounding = (_ROUNDING * jnp.finfo(x.dtype).eps) ** 2 * jnp.max(_squares(x))
    copies = squares <= (rounding if isinstance(group, SupportsAlignment) else 0)
    found = jnp.sqrt(jnp.median(jnp.min(jnp.where(copies, jnp.inf, squares), axis=1)))
    return jnp.where(jnp.isfinite(found), found, 1.0)
