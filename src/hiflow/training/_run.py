"""One training run: its parts, and what is done after which step."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray, PyTree, Shaped

from hiflow.data import Source
from hiflow.flow import Flow
from hiflow.solver import Solver
from hiflow.standardisation import Standardised
from hiflow.training._conditions import Given
from hiflow.training._history import History
from hiflow.training._layout import Layout
from hiflow.training._moments import AnyCallback
from hiflow.training._preflight import Ready
from hiflow.training._selection import Selection
from hiflow.training._settings import Training
from hiflow.training._step import State


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run: its parts, ready and checked."""

    ready: Ready
    units: Standardised | None
    points: Array | Source
    """In these units, if there are any; the held-out ones are in the data's."""
    held_out: Array | None
    chains: Shaped[Array | np.ndarray, " m"] | None
    """Of the held-out points, where they come from Markov chains."""
    given: Given
    key: PRNGKeyArray
    solver: Solver
    callbacks: Sequence[AnyCallback]
    history: History
    progress: bool
    mesh: Mesh | None
    together: bool
    """Whether the mesh is of several processes."""

    @property
    def settings(self) -> Training:
        return self.ready.training

    @property
    def layout(self) -> Layout:
        return Layout(self.mesh, self.settings.shard_parameters)

    @property
    def selection(self) -> Selection:
        return Selection(self.settings)

    def extended(self, ends: tuple[int, ...]) -> "Run":
        """The same where it was to end earlier before."""
        return dataclasses.replace(self, ready=self.ready.extended(ends))

    def validates(self, step: int) -> bool:
        """Whether the flow is judged, or at its end, after this step."""
        return step in self._validation_steps

    def logs(self, step: int) -> bool:
        """Whether the loss alone is noted after this step."""
        return step in self._log_steps and not self.validates(step)

    def saves(self, step: int) -> bool:
        """Whether the state is kept after this step."""
        return step in self._saved_steps or self.validates(step)

    def judged(self, state: State) -> PyTree:
        """The weights that a flow has."""
        return state.average if self.settings.ema > 0 else state.parameters

    def flow(self, weights: PyTree, static: PyTree) -> Flow:
        """The flow of these weights."""
        weights = self.layout.ordinary(jax.tree.map(jnp.copy, weights))
        network = eqx.combine(weights, static)
        return Flow(self.ready.prior, network, self.solver, units=self.units)

    @cached_property
    def _validation_steps(self) -> frozenset[int]:
        steps, at = self.settings.steps, self.settings.validate_at
        if self.held_out is None:
            return frozenset({steps})
        if isinstance(at, int):
            at = range(at, steps, at)
        return frozenset({steps, *(step for step in at if 0 < step < steps)})

    @cached_property
    def _log_steps(self) -> range:
        every = self.settings.log_every
        return range(every, self.settings.steps, every)

    @cached_property
    def _saved_steps(self) -> frozenset[int]:
        steps, every = self.settings.steps, self.settings.checkpoint_every
        return frozenset({*range(every, steps, every), steps})

    @cached_property
    def stops(self) -> list[int]:
        """The steps at which something is looked at or saved, in order."""
        return sorted({*self._validation_steps, *self._saved_steps, *self._log_steps})
