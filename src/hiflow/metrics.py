"""What a trained flow is worth: its likelihood, how low that can get and what computing it took, and
samples made the energy's by importance weights."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from hiflow import _border
from hiflow._border import border
from hiflow._distances import pair_distances as pair_distances
from hiflow._kinds import shown
from hiflow._programs import compiled
from hiflow._statistics import mean_of
from hiflow._statistics import standard_error as standard_error
from hiflow.energies import AbstractEnergy, SupportsEntropy
from hiflow.energies import registry as _energies
from hiflow.priors import AbstractPrior
from hiflow.solver import SolverStats


@runtime_checkable
class HasDensity(Protocol):
    """What a model needs for these metrics; a [`Flow`][hiflow.Flow] has it."""

    def log_prob_and_stats(
        self, x: Float[Array, "n *event"], **settings: Any
    ) -> tuple[Array, SolverStats]:
        """Log densities, and the solver's statistics."""
        ...


@runtime_checkable
class HasSamples(Protocol):
    """What a model needs to be reweighted; a [`Flow`][hiflow.Flow] has it."""

    @property
    def prior(self) -> AbstractPrior:
        """Gives the `event_shape`."""
        ...

    def sample_and_log_prob(
        self, key: PRNGKeyArray, size: int, /, **settings: Any
    ) -> tuple[Array, Array]:
        """Samples and their log densities."""
        ...


def _with_density(value: Any, what: str) -> HasDensity:
    if isinstance(value, HasDensity) and not isinstance(value, type):
        return value
    raise ValueError(
        f"{what} must be a Flow, or have a method log_prob_and_stats; got {shown(value)}."
    )


@dataclasses.dataclass(frozen=True)
class NLL:
    """A negative log-likelihood in nats.

    **Arguments:**

    - `nll`, `nll_se`: mean over the points, and half the width of its 68.3 % confidence interval: the
      standard error, over chains where these are given.
    - `nfe`, `nfe_max`: velocity evaluations per point that computing it took, mean and largest.
    - `log_prob`: the log density of every point, for paired comparisons.
    - `probe_se`: the part of the error that comes from estimating the divergence with probes:
      0 if it is exact, NaN for a single probe. `nll_se` includes it.
    """

    nll: float
    nll_se: float
    nfe: float
    nfe_max: int
    log_prob: list[float]
    probe_se: float = 0.0


@border("negative_log_likelihood", flow=_with_density, points=_border.points)
def negative_log_likelihood(
    flow: HasDensity,
    points: Float[Array, "n *event"],
    *,
    chains: Shaped[Array | np.ndarray, " n"] | None = None,
    **settings: Any,
) -> NLL:
    """The flow's NLL on `points`; `settings` go to `log_prob_and_stats`.

    A Hutchinson estimate draws its probes from a fixed key unless `settings` hold another, so that two
    flows, or one at two steps, are compared with the same probes.

    **Arguments:**

    - `chains`: which Markov chain each point comes from, if they aren't independent: the error is then
      over chains.
    """
    log_prob, stats = flow.log_prob_and_stats(points, **{"key": jax.random.key(0), **settings})
    mean = mean_of(-log_prob, chains)
    return NLL(
        nll=mean.value,
        nll_se=mean.error,
        nfe=float(jnp.mean(stats.nfe)),
        nfe_max=int(jnp.max(stats.nfe)),
        log_prob=np.asarray(log_prob).tolist(),
        probe_se=float(jnp.sqrt(jnp.sum(stats.probe_variance)) / log_prob.shape[0]),
    )


class Floor(NamedTuple):
    """Bounds of the lowest NLL that any model has on an energy's samples, in nats: their entropy."""

    low: float
    high: float

    @classmethod
    def of(cls, energy: AbstractEnergy | None) -> "Floor | None":
        """The energy's floor, where it is known."""
        bounds = energy.entropy() if isinstance(energy, SupportsEntropy) else None
        return None if bounds is None else cls(*bounds)

    @property
    def exact(self) -> bool:
        """Whether the bounds agree in the digits that an NLL is given with."""
        return self.high - self.low < 5e-3

    def __str__(self) -> str:
        return f"{self.low:.3f}" if self.exact else f"{self.low:.1f} to {self.high:.1f}"


@dataclasses.dataclass(frozen=True)
class Weighted:
    r"""Samples $x_i \sim q$ with log weights $\log w_i = -V(x_i) - \log q(x_i)$, in nats.

    Expectations under $e^{-V}/Z$ are weighted means; the weights' own mean estimates $Z$. Errors are
    those of the delta method and mean something only where `ess` is well above 0.

    **Arguments:**

    - `x`: `(n, *event)`.
    - `energies`: $V(x_i)$, in kT.
    - `log_prob`: $\log q(x_i)$.
    - `chains`: `(n,)`, the Markov chain that each sample comes from; `None` if they are independent, as
      those of a flow. Errors are then over chains.
    """

    x: Float[Array, "n *event"]
    energies: np.ndarray
    log_prob: np.ndarray
    chains: np.ndarray | None = None

    @property
    def log_weights(self) -> np.ndarray:
        r"""$\log w_i$, not normalised; $-\infty$ where the energy is infinite."""
        # In double precision: energies of 1e5 with a rounding of 1e-2 would be harmless, sums aren't.
        return -np.asarray(self.energies, np.float64) - np.asarray(self.log_prob, np.float64)

    @property
    def weights(self) -> np.ndarray:
        """The weights, normalised to sum to 1."""
        shifted = np.exp(self.log_weights - self.log_weights.max())
        return shifted / shifted.sum()

    @property
    def ess(self) -> float:
        r"""Kish's effective sample size as a share of the samples, in $(0, 1]$:
        $(\sum_i w_i)^2 / (n \sum_i w_i^2)$."""
        return float(1 / (len(self.weights) * np.sum(self.weights**2)))

    @property
    def free_energy(self) -> tuple[float, float]:
        r"""$F = -\log Z = -\log \frac1n \sum_i w_i$ in kT, with its standard error. $Z$ is over the
        directions that the symmetry leaves free."""
        n, top = len(self.log_weights), self.log_weights.max()
        value = -(top + np.log(np.mean(np.exp(self.log_weights - top))))
        if self.chains is None:
            return float(value), float(np.sqrt((1 / self.ess - 1) / n))
        return float(value), self._error(self.weights - 1 / n)

    def mean(self, observable: ArrayLike | Callable[[Array], Array]) -> tuple[float, float]:
        """The weighted mean of an observable, and its standard error.

        **Arguments:**

        - `observable`: its value at every sample, `(n,)`, or a function of one event.
        """
        weights = self.weights
        # Where the energy is infinite the weight is 0, whatever the observable is there.
        values = np.where(weights > 0, self._values(observable), 0)
        mean = np.sum(weights * values)
        return float(mean), self._error(weights * (values - mean))

    def free_energy_difference(self, other: AbstractEnergy) -> tuple[float, float]:
        r"""$F_\text{other} - F = -\log \langle e^{-(V_\text{other} - V)} \rangle$ in kT, with its
        standard error (Zwanzig, J. Chem. Phys. 22, 1420, 1954)."""
        values = self._values(other)
        nothing = np.full_like(values, np.inf)
        change = np.subtract(values, self.energies, out=nothing, where=self.weights > 0)
        low = change.min()
        mean, error = self.mean(np.exp(low - change))
        return float(low - np.log(mean)), error / mean

    def histogram(
        self, observable: ArrayLike | Callable[[Array], Array], bins: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The densities of an observable as sampled and as reweighted, in the bins with these edges.

        An observable may have several values per sample (`(n, k)`), as distances of pairs.
        """
        values = self._values(observable).reshape(len(self.energies), -1)
        every = np.repeat(self.weights, values.shape[1])
        plain, _ = np.histogram(values.ravel(), bins, density=True)
        weighted, _ = np.histogram(values.ravel(), bins, weights=every, density=True)
        return plain, weighted

    def _error(self, deviations: np.ndarray) -> float:
        """The error of a sum of deviations: those of one chain are added before they are squared."""
        if self.chains is not None:
            index = np.unique(self.chains, return_inverse=True)[1]
            deviations = np.bincount(index, weights=deviations)
        return float(np.sqrt(np.sum(deviations**2)))

    def _values(self, observable: ArrayLike | Callable[[Array], Array]) -> np.ndarray:
        if isinstance(observable, Callable):
            observable = of_every(observable, self.x)
        values = np.asarray(observable, np.float64)
        if values.shape[:1] != (len(self.energies),):
            raise ValueError(
                f"`observable` must have a value for each of the {len(self.energies)} samples, got "
                f"shape {values.shape}."
            )
        return values


@border("importance_sample", energy=_border.made_of(_energies), key=_border.key, size=_border.size)
def importance_sample(
    flow: HasSamples, energy: AbstractEnergy, *, key: PRNGKeyArray, size: int, **settings: Any
) -> Weighted:
    """`size` samples of the flow with the weights that make them samples of the energy.

    The density has to be exact: with Hutchinson's divergence the weights carry its noise.

    **Arguments:**

    - `settings`: the solver's, as every method of [`Flow`][hiflow.Flow] takes them.

    **Raises:** `ValueError` if the flow's events aren't the energy's.
    """
    event_shape = flow.prior.event_shape
    if event_shape != energy.event_shape:
        raise ValueError(
            f"importance_sample: `flow` is for events of shape {event_shape} and `energy` "
            f"({type(energy).__name__}) for {energy.event_shape}."
        )
    x, log_prob = flow.sample_and_log_prob(key, size, **settings)
    return weigh(x, log_prob, energy)


def weigh(
    x: Float[Array, "n *event"], log_prob: Float[Array, " n"], energy: AbstractEnergy
) -> Weighted:
    """Samples whose log density is known, with the weights that make them samples of the energy."""
    return Weighted(x, np.asarray(of_every(energy, x)), np.asarray(log_prob))


@compiled()
def of_every(function: Callable[[Array], Array], x: Float[Array, "n *event"]) -> Array:
    """A function of one event at all `n` of them; compiled once for all energies of one class."""
    return jax.vmap(function)(x)
