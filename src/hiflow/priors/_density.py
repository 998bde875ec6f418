"""Priors that are known by their draws alone: which they are, and what is refused without a density."""

from functools import partial
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.groups import AbstractGroup
from hiflow.groups._periods import within_a_period
from hiflow.priors._base import AbstractPrior


@runtime_checkable
class SupportsDrawsAlone(Protocol):
    """A prior that may have no density: then `log_prob` raises, and whoever needs it asks before.

    **Example:**

    ```pycon
    >>> isinstance(hf.priors.EmpiricalPrior(points), hf.priors.SupportsDrawsAlone)
    True
    >>> isinstance(hf.priors.Normal(2), hf.priors.SupportsDrawsAlone)
    False
    ```
    """

    @property
    def has_density(self) -> bool:
        """Whether `log_prob` says something."""
        ...


def has_density(prior: AbstractPrior) -> bool:
    """Whether a prior's `log_prob` can be had: of every prior that doesn't say otherwise
    ([`SupportsDrawsAlone`][hiflow.priors.SupportsDrawsAlone]).

    **Example:**

    ```pycon
    >>> hf.priors.has_density(hf.priors.Normal(2))
    True
    >>> hf.priors.has_density(hf.priors.EmpiricalPrior(points))
    False
    ```
    """
    return not isinstance(prior, SupportsDrawsAlone) or prior.has_density


def refuse_without_density(prior: AbstractPrior, what: str) -> None:
    """Raise `ValueError` if the prior has no density, beginning with `what` wanted it."""
    if not has_density(prior):
        raise no_density(prior, what)


def no_density(prior: AbstractPrior, what: str) -> ValueError:
    """What is raised where a density is wanted and there is none."""
    return ValueError(
        f"{what}: `prior` ({type(prior).__name__}) is known by its draws alone, so that no point has a "
        "density. Samples, `push`, `pull` and `trajectory` work; to judge a flow, compare its samples "
        "(hiflow.metrics.wasserstein). For a density start from a prior that has one, such as Normal."
    )


@eqx.filter_jit
def change_of_moments(
    prior: AbstractPrior, group: AbstractGroup, key: PRNGKeyArray, number: int = 1000
) -> Float[Array, ""]:
    """By how many standard errors the means of coordinates, of their squares and of neighbours' products
    change when other draws are moved by a group: what is left of invariance without a density. Of
    coordinates with a period within one."""
    k_x, k_y, k_g = jax.random.split(key, 3)
    x, y = (jax.vmap(prior.sample)(jax.random.split(k, number)) for k in (k_x, k_y))

    def moved(one: Array, k: PRNGKeyArray) -> Array:
        g = group.sample(k, prior.event_shape)
        return prior.group.project(group.act(g, one))

    mean, error = [], []
    for each in (x, jax.vmap(moved)(y, jax.random.split(k_g, number))):
        flat = jax.vmap(partial(within_a_period, group))(each).reshape(number, -1)
        f = jnp.concatenate([flat, flat**2, flat * jnp.roll(flat, 1, axis=1)], axis=1)
        mean.append(f.mean(0))
        error.append(f.var(0) / number)
    size = 1 + jnp.abs(mean[0])
    rounding = 1e3 * jnp.finfo(x.dtype).eps * size
    return jnp.max(jnp.abs(mean[1] - mean[0]) / (jnp.sqrt(error[0] + error[1]) + rounding))
