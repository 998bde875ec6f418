"""The best weights by validation, and when a run has waited long enough for better ones."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from hiflow.training._settings import Training


class Best(eqx.Module):
    """The weights of the lowest validation NLL so far; part of a checkpoint."""

    weights: PyTree
    nll: Float[Array, ""]
    step: Int[Array, ""]
    """0 before the first validation."""
    waited: Int[Array, ""]
    """How many validations in a row were no better."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """What the settings say of validation's part in a run."""

    settings: Training

    def start(self, weights: PyTree) -> Best | None:
        """Before any validation; `None` if validation has no part in it."""
        if not self.settings.selects:
            return None
        none = jnp.zeros((), jnp.int32)
        # In buffers of its own: the step donates the state's.
        return Best(jax.tree.map(jnp.copy, weights), jnp.asarray(jnp.inf), none, none)

    def judged(self, best: Best, weights: PyTree, nll: float, step: int) -> Best:
        """After a validation of these weights. What isn't finite is never better."""
        value = jnp.asarray(nll if math.isfinite(nll) else jnp.inf)
        if int(best.step) > 0 and not value < best.nll:
            return eqx.tree_at(lambda b: b.waited, best, best.waited + 1)
        step_, none = jnp.asarray(step, jnp.int32), jnp.zeros((), jnp.int32)
        return Best(jax.tree.map(jnp.copy, weights), value, step_, none)

    def is_over(self, best: Best | None) -> bool:
        """Whether the settings' patience is at an end."""
        patience = self.settings.patience
        return best is not None and patience is not None and int(best.waited) >= patience

    def weights(self, best: Best | None, last: PyTree) -> PyTree:
        """Those that the run returns."""
        if best is None or self.settings.keep == "last" or int(best.step) == 0:
            return last
        return best.weights
