"""Data of any scale and origin for a prior of another: flows are trained in standardised coordinates and
used in the data's own."""

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from hiflow._checks import as_array, check_finite, check_positive
from hiflow._summaries import Component
from hiflow.energies import AbstractEnergy, Affine
from hiflow.groups import AbstractGroup
from hiflow.groups._periods import periods_of
from hiflow.priors import AbstractPrior, has_density

T = TypeVar("T")

# In units of the prior's width: further out or wider, a flow that is trained from the prior wastes its
# training on the way.
_FAR = 10.0
_NARROW = 0.02


class Standardised(Component):
    r"""Coordinates $z = S^{-1}(x - b)$ in which data are as wide as the prior, and about the origin.

    **Arguments:**

    - `scale`: $S$, one number, or one per coordinate, of the event's shape.
    - `shift`: $b$, a number or of the event's shape.

    **Raises:** `ValueError` for a scale that isn't positive or a shift that isn't finite.

    **Example:**

    ```pycon
    >>> far = 100.0 + 5.0 * points
    >>> units = hf.Standardised.of(far, group=hf.groups.Trivial(), how="scalar")
    >>> z = jax.vmap(units)(far)
    >>> z.mean().round(3), z.std().round(2)
    (Array(0., dtype=float32), Array(1., dtype=float32))
    >>> trained = hf.fit("mlp", "optimal-transport", far, prior="normal", key=key,
    ...                  standardise=True, steps=2, progress=False)
    >>> trained.units.shift.round()  # samples and densities are in the data's own units
    Array([100., 101.], dtype=float32)
    ```
    """

    scale: Float[Array, "..."] = eqx.field(converter=as_array, default=1.0)
    shift: Float[Array, "..."] = eqx.field(converter=as_array, default=0.0)

    def __check_init__(self):
        check_positive(self, "scale")
        check_finite(self, "shift")

    @classmethod
    def of(
        cls,
        points: Float[Array, "n *event"],
        *,
        group: AbstractGroup,
        how: bool | str = True,
        width: float = 1.0,
    ) -> "Standardised":
        """The coordinates in which the points have standard deviation `width`.

        The scale and the shift must commute with the group's action, or what is invariant wouldn't stay
        so: they are per coordinate if the group allows it, else one number.

        **Arguments:**

        - `how`: `"scalar"` for one scale, `"features"` for one per coordinate, which the group must
          allow; `True` for the finer that it does.

        **Raises:** `ValueError` if all points are the same, the group has periods, which no scaling
        keeps, or it doesn't allow `how`.
        """
        refuse_periods(group, points.shape[1:])
        points = jax.vmap(group.project)(points)
        shift = _shift(points, group)
        centred = np.asarray(jax.vmap(group.project)(points - shift), np.float64)
        free = centred[0].size - group.null_modes(points[0]).shape[1]
        overall = np.sqrt(np.sum(centred**2) / (len(centred) * free))
        if not overall > 0:
            raise ValueError("standardise: all points are the same, so they have no scale.")
        if how != "scalar":
            each = np.sqrt(np.mean(centred**2, axis=0))
            # A coordinate that hardly varies keeps the others' scale: noise isn't to be blown up.
            each = jnp.asarray(np.where(each > 1e-3 * overall, each, overall))
            if _commutes(group, each, shift, points):
                return cls(each / width, shift)
            if how == "features":
                raise ValueError(
                    f"standardise: 'features' scales coordinates differently, which {group} doesn't "
                    "allow. Say 'scalar'."
                )
        return cls(jnp.asarray(overall / width), shift)

    def __call__(self, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        """$z$, for one event."""
        return (x - self.shift) / self.scale

    def inverse(self, z: Float[Array, "*event"]) -> Float[Array, "*event"]:
        """$x$."""
        return self.scale * z + self.shift

    def log_det(self, x: Float[Array, "*event"], group: AbstractGroup) -> Float[Array, ""]:
        r"""$\log|\det dz/dx|$ in the directions that the group leaves free: what takes a log density of
        $z$ to one of $x$."""
        null = group.null_modes(x).shape[1]
        return null * jnp.mean(jnp.log(self.scale)) - jnp.sum(
            jnp.broadcast_to(jnp.log(self.scale), x.shape)
        )

    def energy(self, energy: AbstractEnergy) -> AbstractEnergy:
        """The energy of $z$, with its gradient and Hessian."""
        return Affine(energy, self.scale, self.shift)

    def of_energies(self, tree: T) -> T:
        """A path, or anything else that holds energies, for $z$."""

        def changed(leaf: PyTree) -> PyTree:
            return self.energy(leaf) if isinstance(leaf, AbstractEnergy) else leaf

        return jax.tree.map(changed, tree, is_leaf=lambda leaf: isinstance(leaf, AbstractEnergy))


def refuse_periods(group: AbstractGroup, event_shape: tuple[int, ...]) -> None:
    """Raise `ValueError` for coordinates that come back to themselves."""
    if periods_of(group, event_shape) is not None:
        raise ValueError(
            "standardise: coordinates with a period can't be scaled; leave `standardise` out."
        )


def scale_complaint(points: Float[Array, "n *event"], prior: AbstractPrior) -> str | None:
    """In words, if the points are far from the prior or of another width altogether. A prior that is
    known by its draws alone is a source where someone wants it."""
    if not has_density(prior):
        return None
    drawn = jax.vmap(prior.sample)(jax.random.split(jax.random.key(0), 256))
    start, data = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (drawn, points))
    width = np.sqrt(np.mean(start.var(axis=0))) + 1e-30
    off = np.abs(data.mean(axis=0) - start.mean(axis=0)).max() / width
    spread = data.std(axis=0) / width
    if off > _FAR or spread.max() > _FAR:
        return (
            f"they lie up to {off:.3g} from the prior's middle and spread by up to {spread.max():.3g}, "
            "in units of its width"
        )
    if len(data) > 1 and 0 < np.sqrt(np.mean(spread**2)) < _NARROW:
        return f"they spread by {np.sqrt(np.mean(spread**2)):.3g} of the prior's width"
    return None


def _shift(points: Float[Array, "n *event"], group: AbstractGroup) -> Float[Array, "*event"]:
    """The data's mean, if the group leaves it where it is; else one number for all coordinates, or 0."""
    mean = jnp.asarray(np.asarray(points, np.float64).mean(axis=0), points.dtype)
    one = jnp.ones((), points.dtype)
    for shift in (mean, jnp.full_like(mean, mean.mean())):
        if _commutes(group, one, shift, points):
            return shift
    return jnp.zeros_like(mean)


def _commutes(
    group: AbstractGroup, scale: Array, shift: Array, points: Float[Array, "n *event"]
) -> bool:
    """Whether scaling and shifting $z$ after the group's action is the same as before it."""
    z = jax.random.normal(jax.random.key(0), points.shape[1:], points.dtype)
    size = jnp.abs(scale).max() + jnp.abs(shift).max()
    for seed in range(4):
        g = group.sample(jax.random.key(seed), points.shape[1:])
        before = group.act(g, scale * z + shift)
        after = scale * group.act(g, z) + shift
        if jnp.abs(group.project(before - after)).max() > 1e-3 * size:
            return False
    # What the projection would take out of a shift is no part of the coordinates.
    return bool(jnp.abs(shift - group.project(shift)).max() <= 1e-3 * size)
