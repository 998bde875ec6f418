"""Samples of a flow, or of the energy itself, made the energy's by importance weights."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import _border
from hiflow._border import border
from hiflow._checks import check_scalar
from hiflow.data import Samples
from hiflow.energies import AbstractEnergy, species_of, units_of
from hiflow.energies import registry as _energies
from hiflow.metrics._weighted import Weighted, of_every
from hiflow.priors import AbstractPrior


@runtime_checkable
class HasSamples(Protocol):
    """What a model needs to be reweighted; a [`Flow`][hiflow.Flow] has it.

    **Example:**

    ```pycon
    >>> isinstance(flow, hf.metrics.HasSamples)
    True
    ```
    """

    @property
    def prior(self) -> AbstractPrior:
        """Gives the `event_shape`."""
        ...

    def sample_and_log_prob(
        self, key: PRNGKeyArray, size: int, /, **settings: Any
    ) -> tuple[Array, Array]:
        """Samples and their log densities."""
        ...


def checked_flow(kind: type, methods: str) -> _border.Converter:
    """A flow, or another model of these methods."""
    return _border.having(kind, f"a Flow, or have {methods}")


@border(
    "importance_sample",
    flow=checked_flow(HasSamples, "a `prior` and a method sample_and_log_prob"),
    energy=_border.made_of(_energies),
    key=_border.key,
    size=_border.size,
)
def importance_sample(
    flow: HasSamples, energy: AbstractEnergy, *, key: PRNGKeyArray, size: int, **settings: Any
) -> Weighted:
    """`size` samples of the flow with the weights that make them samples of the energy.

    The density has to be exact: with Hutchinson's divergence the weights carry its noise.

    **Arguments:**

    - `settings`: the solver's, as every method of [`Flow`][hiflow.Flow] takes them.

    **Raises:** `ValueError` if the flow's events aren't the energy's, or the energy isn't a number of
    every one.

    **Example:**

    ```pycon
    >>> weighted = hf.metrics.importance_sample(flow, ring, key=key, size=500)
    >>> 0 < weighted.ess < 1  # the share of samples that the weights leave
    True
    >>> mean, error = weighted.mean(ring)  # of the energy, in kT; exactly 0.5
    >>> abs(mean - 0.5) < 0.3
    True
    ```
    """
    event_shape = flow.prior.event_shape
    if event_shape != energy.event_shape:
        raise ValueError(
            f"importance_sample: `flow` is for events of shape {event_shape} and `energy` "
            f"({type(energy).__name__}) for {energy.event_shape}."
        )
    _check_energy(energy, event_shape, jnp.result_type(float), "importance_sample")
    x, log_prob = flow.sample_and_log_prob(key, size, **settings)
    return weigh(x, log_prob, energy)


@border("weigh", x=_border.floats, energy=_border.made_of(_energies))
def weigh(
    x: Float[Array, "n *event"], log_prob: Float[Array, " n"], energy: AbstractEnergy
) -> Weighted:
    """Samples whose log density is known, with the weights that make them samples of the energy.

    **Raises:** `ValueError` if the energy isn't a number of every sample, or `log_prob` isn't one.

    **Example:**

    ```pycon
    >>> x, log_p = flow.sample_and_log_prob(key, 200)
    >>> weighted = hf.metrics.weigh(x, log_p, ring)
    >>> weighted.weights.shape, float(weighted.weights.sum().round(3))
    ((200,), 1.0)
    ```
    """
    _check_energy(energy, x.shape[1:], x.dtype, "weigh")
    return Weighted(
        x, np.asarray(of_every(energy, x)), np.asarray(log_prob),
        units=units_of(energy), species=species_of(energy),
    )  # fmt: skip


@border("equally_weighted", energy=_border.made_of(_energies))
def equally_weighted(
    samples: Float[Array, "n *event"] | Samples, energy: AbstractEnergy
) -> Weighted:
    """Samples of the energy itself, as those of a long simulation: with the same estimators, and their
    chains in the errors. Their weights don't tell the free energy itself, only differences of it.

    **Example:**

    ```pycon
    >>> reference = hf.metrics.equally_weighted(points, ring)
    >>> radius, error = reference.mean(jnp.linalg.norm)
    >>> round(radius, 2)
    2.0
    ```
    """
    chains = samples.chains if isinstance(samples, Samples) else None
    x = _border.floats(samples, "equally_weighted: `samples`")
    _check_energy(energy, x.shape[1:], x.dtype, "equally_weighted")
    found = weigh(x, -of_every(energy, x), energy)
    return dataclasses.replace(found, chains=chains)


def _check_energy(energy: AbstractEnergy, shape: tuple[int, ...], dtype: Any, owner: str) -> None:
    """Raise `ValueError` unless an energy is a number of every event."""
    check_scalar(energy, jax.ShapeDtypeStruct(shape, dtype), f"{owner}: `energy`")
