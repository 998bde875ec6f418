"""Data as the start of a flow: draws from an array."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import groups
from hiflow._checks import as_array, is_concrete, refuse_not_finite
from hiflow.groups import AbstractGroup, Trivial
from hiflow.priors._base import AbstractPrior, registry
from hiflow.priors._density import no_density


@registry.register("empirical")
class EmpiricalPrior(AbstractPrior):
    r"""$\frac1n \sum_i \delta_{x_i}$: every draw is one of the points, each as likely as the others. The
    start of a flow from data to data.

    It has no density, and neither has a flow that starts from it: [`Flow`][hiflow.Flow] samples, pushes,
    pulls and tells trajectories, and refuses `log_prob`. A saved flow has the points in it.

    **Arguments:**

    - `points`: `(n, *event)`, finite. A configuration names a `file` of them instead, which
      [`hiflow.data.load`][hiflow.data.load] reads.
    - `group`: a symmetry to give it: every draw is then moved by a random element of the group. Under
      translations, the points are centred.

    **Raises:** `ValueError` for points of another shape, none, or some that aren't finite, and for
    points that leave the image of `group.project`.

    **Example:**

    ```pycon
    >>> moons = hf.energies.GaussianMixture.preset("two-moons")
    >>> start = hf.priors.EmpiricalPrior(jax.vmap(moons.sample)(jax.random.split(key, 100)))
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior=start, key=key, steps=10,
    ...               coupling="minibatch-ot", progress=False)
    >>> flow.push(start.points[:3]).shape  # moons to ring; there is no density
    (3, 2)
    ```
    """

    points: Float[Array, "n *event"] = eqx.field(converter=as_array)
    group: AbstractGroup = eqx.field(converter=groups.registry.make, default=Trivial())

    def __check_init__(self):
        if self.points.ndim < 2 or self.points.size == 0:
            raise ValueError(
                "EmpiricalPrior: `points` must have shape (n, *event) with n ≥ 1, got "
                f"{self.points.shape}. Numbers alone are points of one coordinate: points[:, None]."
            )
        if not is_concrete(self.points):
            return
        refuse_not_finite(
            self.points, "EmpiricalPrior: `points`", kind="points", cure="Remove them."
        )
        off = jnp.abs(self.points - jax.vmap(self.group.project)(self.points)).max()
        if off > 1e-3 * (1 + jnp.abs(self.points).max()):
            raise ValueError(
                f"EmpiricalPrior: `points` leave the image of {self.group}.project by up to {off:.3g}. "
                "Centre them first: jax.vmap(group.project)(points)."
            )

    @classmethod
    def example(cls) -> "EmpiricalPrior":
        """A small instance, as `hiflow check empirical` takes without arguments."""
        angles = jnp.linspace(0.0, 2 * jnp.pi, 8, endpoint=False)
        return cls(jnp.stack([jnp.cos(angles), 2 * jnp.sin(angles)], axis=1))  # pyright: ignore[reportCallIssue]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one point."""
        return self.points.shape[1:]

    @property
    def has_density(self) -> bool:
        """No."""
        return False

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        k_index, k_group = jax.random.split(key)
        x = self.points[jax.random.randint(k_index, (), 0, self.points.shape[0])]
        if isinstance(self.group, Trivial):
            return x
        return self.group.project(self.group.act(self.group.sample(k_group, self.event_shape), x))

    def log_prob(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        """Refused: points have no density."""
        raise no_density(self, "log_prob")
