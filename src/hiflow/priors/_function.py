"""Any JAX sampler as the start of a flow."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import groups
from hiflow._checks import as_shape, check_event, check_scalar
from hiflow.energies import as_function
from hiflow.groups import AbstractGroup, Trivial
from hiflow.priors._base import AbstractPrior, registry
from hiflow.priors._density import no_density


def _as_sampler(value: object) -> Callable[..., Any]:
    return as_function(value, "FunctionPrior: `sampler`")


def _as_density(value: object) -> Callable[..., Any] | None:
    return None if value is None else as_function(value, "FunctionPrior: `log_density`")


@registry.register("function")
class FunctionPrior(AbstractPrior):
    r"""The law of $f(k)$ for a random key $k$: a sampler, and its density if you have it.

    Without `log_density` a flow that starts from it samples, pushes, pulls and tells trajectories, and
    refuses `log_prob`.

    **Arguments:**

    - `sampler`: from a key to one event, traceable by JAX; an Equinox module keeps its arrays as leaves.
      A configuration file names it as `"module:function"`, if it is acted on with `trust` in that
      module.
    - `shape`: the event shape.
    - `log_density`: from one event to a float scalar, in nats and normalised; you vouch for it, and
      [`check_prior`][hiflow.testing.check_prior] looks.
    - `group`: a symmetry of the law; you vouch for it.

    **Raises:** `ValueError` if the sampler doesn't give one float event of this shape, or the density no
    float scalar.

    **Example:**

    ```pycon
    >>> box = hf.priors.FunctionPrior(lambda key: jax.random.uniform(key, (2,)), shape=(2,))
    >>> box.has_density
    False
    >>> known = hf.priors.FunctionPrior(
    ...     lambda key: jax.random.laplace(key, (2,)), (2,),
    ...     log_density=lambda x: jnp.sum(jax.scipy.stats.laplace.logpdf(x)),
    ... )
    >>> known.log_prob(jnp.zeros(2))
    Array(-1.3862944, dtype=float32)
    ```
    """

    sampler: Callable[..., Any] = eqx.field(converter=_as_sampler)
    shape: tuple[int, ...] = eqx.field(static=True, converter=as_shape)
    log_density: Callable[..., Any] | None = eqx.field(converter=_as_density, default=None)
    group: AbstractGroup = eqx.field(converter=groups.registry.make, default=Trivial())

    def __check_init__(self):
        drawn = eqx.filter_eval_shape(self.sampler, jax.random.key(0))
        if getattr(drawn, "shape", None) != self.shape or not jnp.issubdtype(
            drawn.dtype, jnp.floating
        ):
            raise ValueError(
                f"FunctionPrior: `sampler` must give one float event of shape {self.shape} for a key, "
                f"got {drawn}. The batch is added by jax.vmap."
            )
        if self.log_density is not None:
            check_scalar(self.log_density, drawn, "FunctionPrior: `log_density`")

    @classmethod
    def example(cls) -> "FunctionPrior":
        """A small instance, as `hiflow check function` takes without arguments."""
        return cls(lambda key: jax.random.uniform(key, (2,)), (2,))  # pyright: ignore[reportCallIssue]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one event."""
        return self.shape

    @property
    def has_density(self) -> bool:
        """Whether it was given one."""
        return self.log_density is not None

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        return self.sampler(key)

    def log_prob(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        """**Raises:** `ValueError` without a `log_density`."""
        if self.log_density is None:
            raise no_density(self, "log_prob")
        check_event(x, self.event_shape, owner="FunctionPrior.log_prob")
        return self.log_density(x)
