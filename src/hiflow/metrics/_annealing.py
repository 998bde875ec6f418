r"""Annealed importance sampling: a flow's samples carried to the energy's law, with their weights.

From the flow's density $q$ at $\beta = 0$ to $e^{-V}$ at $\beta = 1$ along
$\pi_\beta \propto q^{1-\beta} e^{-\beta V}$: at every $\beta$ the weights take up what $\pi_\beta$ has
more than the one before, then samples move by Langevin steps with Metropolis's test, which leave
$\pi_\beta$ as it is (Neal, Stat. Comput. 11, 125, 2001). Where the weights have become too unequal,
samples are drawn anew by them (sequential Monte Carlo; Del Moral et al., J. R. Stat. Soc. B 68, 411,
2006).

The moves are of all samples at once, since a flow's densities are: kernels of one chain, such as
BlackJAX's, would solve its ODE for one at a time.
"""

import dataclasses
from typing import Any, NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import _border
from hiflow._border import border
from hiflow.energies import AbstractEnergy
from hiflow.energies import registry as _energies
from hiflow.metrics._weighted import HasSamples, Weighted, importance_sample

# Of Langevin moves the best in many dimensions (Roberts, Rosenthal, J. R. Stat. Soc. B 60, 255, 1998).
_ACCEPTED = 0.574
# How fast the step's logarithm follows the acceptance.
_GAIN = 0.5


@runtime_checkable
class HasSamplesAndDensity(HasSamples, Protocol):
    """What a model needs to be annealed; a [`Flow`][hiflow.Flow] has it.

    **Example:**

    ```pycon
    >>> isinstance(flow, hf.metrics.HasSamplesAndDensity)
    True
    ```
    """

    def log_prob(self, x: Float[Array, "n *event"], /, **settings: Any) -> Array:
        """Log densities of points, differentiable in them."""
        ...


@dataclasses.dataclass(frozen=True)
class Annealed:
    r"""What annealing gave.

    **Arguments:**

    - `samples`: weighted for the energy. Their `chains` are the flow's samples that they descend from,
      so that errors count what drawing anew repeats; their `log_prob` is what gives the weights,
      $-V - \log w$, and no density.
    - `inverse_temperatures`: the $\beta$ after 0.
    - `ess`: Kish's share of the weights at each, before samples are drawn anew.
    - `acceptance`: of the moves at each; NaN without moves.
    - `drawn_anew`: how often.

    **Example:**

    ```pycon
    >>> found = hf.metrics.anneal(flow, ring, key=key, size=50, temperatures=2,
    ...                           method="Heun", steps=4)
    >>> len(found.ess), len(found.acceptance)  # one for each temperature
    (2, 2)
    ```
    """

    samples: Weighted
    inverse_temperatures: tuple[float, ...]
    ess: tuple[float, ...]
    acceptance: tuple[float, ...]
    drawn_anew: int

    def __str__(self) -> str:
        free, error = self.samples.free_energy
        families = len(np.unique(np.asarray(self.samples.chains)))
        return (
            f"annealed over {len(self.ess)} temperatures: ESS {self.samples.ess:.1%}, F {free:.3f} ± "
            f"{error:.3f} kT; drawn anew {self.drawn_anew} times, {families} of "
            f"{len(self.samples.energies)} samples of the flow have descendants; acceptance "
            f"{np.mean(self.acceptance):.2f}"
        )


@border(
    "anneal",
    energy=_border.made_of(_energies),
    key=_border.key,
    size=_border.size,
    temperatures=_border.size,
    moves=_border.count,
)
def anneal(
    flow: HasSamplesAndDensity,
    energy: AbstractEnergy,
    *,
    key: PRNGKeyArray,
    size: int,
    temperatures: int = 10,
    moves: int = 2,
    step: float = 0.1,
    redraw: float = 0.5,
    **settings: Any,
) -> Annealed:
    r"""`size` samples of the flow, annealed to the energy.

    Every move at $\beta < 1$ takes the flow's density and its gradient once, every one at $\beta = 1$
    the energy's alone: `temperatures=1` is importance sampling with a few Langevin steps after it. The
    mean weight estimates $Z$ without bias up to the step's adaptation; the density has to be exact, as
    for [`importance_sample`][hiflow.metrics.importance_sample].

    **Arguments:**

    - `temperatures`: how many values of $\beta$ after 0, evenly up to 1.
    - `moves`: at each of them.
    - `step`: the first move's length, in the coordinates' unit; it follows the acceptance.
    - `redraw`: samples are drawn anew where `ess` is below this share, but at $\beta = 1$.
    - `settings`: the solver's, as every method of [`Flow`][hiflow.Flow] takes them.

    **Raises:** `ValueError` if the flow's events aren't the energy's, or for a wrong setting.

    **Example:**

    ```pycon
    >>> found = hf.metrics.anneal(flow, ring, key=key, size=50, temperatures=2,
    ...                           method="Heun", steps=4)
    >>> found.samples.x.shape, found.inverse_temperatures
    ((50, 2), (0.5, 1.0))
    ```
    """
    _check(step, redraw)
    key_draw, key_move, key_anew = jax.random.split(key, 3)
    start = importance_sample(flow, energy, key=key_draw, size=size, **settings)
    now = _value(flow, energy, start.x, settings)
    log_weights, ancestors = np.zeros(size), np.arange(size)
    log_step, betas = jnp.log(step), np.arange(1, temperatures + 1) / temperatures
    ess, acceptance, drawn_anew = [], [], 0
    for k, beta in enumerate(betas):
        log_weights = log_weights + np.asarray(now.log_ratio, np.float64) / temperatures
        weighted = Weighted(now.x, np.zeros(size), -log_weights)
        ess.append(weighted.ess)
        if ess[-1] < redraw and k < temperatures - 1:
            index = _systematic(jax.random.fold_in(key_anew, k), weighted.weights)
            now, ancestors = jax.tree.map(lambda leaf, i=index: leaf[i], now), ancestors[index]
            log_weights = np.full(size, -weighted.free_energy[0])
            drawn_anew += 1
        rates = []
        for move in range(moves):
            one = jax.random.fold_in(jax.random.fold_in(key_move, k), move)
            now, log_step, rate = _moved(flow, energy, settings, now, one, float(beta), log_step)
            rates.append(float(rate))
        acceptance.append(float(np.mean(rates)) if rates else float("nan"))
    energies = np.asarray(now.energy)
    finite = np.isfinite(log_weights)
    log_prob = -np.where(finite, energies, 0) - np.where(finite, log_weights, 0)
    samples = dataclasses.replace(
        start,
        x=now.x,
        energies=energies,
        log_prob=log_prob,
        chains=ancestors,
        drawn_anew=True,
    )
    return Annealed(samples, tuple(betas.tolist()), tuple(ess), tuple(acceptance), drawn_anew)


class _State(NamedTuple):
    x: Float[Array, "n *event"]
    energy: Float[Array, " n"]
    log_prob: Float[Array, " n"]
    energy_gradient: Float[Array, "n *event"]
    log_prob_gradient: Float[Array, "n *event"]

    @property
    def log_ratio(self) -> Float[Array, " n"]:
        """What a weight gains from 0 to 1."""
        return -self.energy - self.log_prob

    def log_density(self, beta: Array) -> Float[Array, " n"]:
        r"""$\log \pi_\beta$, not normalised; without the flow's part at 1, where it isn't known."""
        return jnp.where(beta < 1, (1 - beta) * self.log_prob, 0) - beta * self.energy

    def slope(self, beta: Array) -> Float[Array, "n *event"]:
        """Its gradient, 0 where it isn't finite: such points move by chance."""
        whole = (
            jnp.where(beta < 1, (1 - beta) * self.log_prob_gradient, 0)
            - beta * self.energy_gradient
        )
        return jnp.where(jnp.isfinite(whole), whole, 0)


@eqx.filter_jit
def _value(flow: Any, energy: AbstractEnergy, x: Float[Array, "n *event"], settings: Any) -> _State:
    value, gradient = jax.vmap(jax.value_and_grad(energy))(x)

    def summed(x: Array) -> tuple[Array, Array]:
        log_prob = flow.log_prob(x, **settings)
        return jnp.sum(log_prob), log_prob

    slope, log_prob = jax.grad(summed, has_aux=True)(x)
    return _State(x, value, log_prob, gradient, slope)


def _moved(
    flow: Any,
    energy: AbstractEnergy,
    settings: Any,
    now: _State,
    key: PRNGKeyArray,
    beta: float,
    log_step: Float[Array, ""],
) -> tuple[_State, Float[Array, ""], Float[Array, ""]]:
    """One Langevin move of every sample with Metropolis's test; the step after it, the acceptance."""
    key_noise, key_test = jax.random.split(key)
    at = jnp.asarray(beta)
    x, noise = _proposed(energy, now, key_noise, at, log_step)
    then = _value(flow, energy, x, settings) if beta < 1 else _at_one(energy, x, now)
    return _tested(now, then, noise, key_test, at, log_step)


@eqx.filter_jit
def _proposed(
    energy: AbstractEnergy,
    now: _State,
    key: PRNGKeyArray,
    beta: Float[Array, ""],
    log_step: Float[Array, ""],
) -> tuple[Float[Array, "n *event"], Float[Array, "n *event"]]:
    step = jnp.exp(log_step)
    noise = jax.random.normal(key, now.x.shape, now.x.dtype)
    noise = jax.vmap(energy.group.project)(noise)
    return now.x + step**2 / 2 * now.slope(beta) + step * noise, noise


@eqx.filter_jit
def _at_one(energy: AbstractEnergy, x: Float[Array, "n *event"], now: _State) -> _State:
    """The state at other points for the energy alone: of the flow's density nothing is known there."""
    value, gradient = jax.vmap(jax.value_and_grad(energy))(x)
    return _State(x, value, now.log_prob, gradient, now.log_prob_gradient)


@eqx.filter_jit
def _tested(
    now: _State,
    then: _State,
    noise: Float[Array, "n *event"],
    key: PRNGKeyArray,
    beta: Float[Array, ""],
    log_step: Float[Array, ""],
) -> tuple[_State, Float[Array, ""], Float[Array, ""]]:
    step = jnp.exp(log_step)
    back = (now.x - then.x - step**2 / 2 * then.slope(beta)) / step
    change = then.log_density(beta) - now.log_density(beta)
    change += (_squares(noise) - _squares(back)) / 2
    probability = jnp.where(jnp.isnan(change), 0, jnp.exp(jnp.minimum(change, 0)))
    accepted = jax.random.uniform(key, change.shape) < probability

    def chosen(new: Array, old: Array) -> Array:
        return jnp.where(accepted.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    rate = jnp.mean(probability)
    return jax.tree.map(chosen, then, now), log_step + _GAIN * (rate - _ACCEPTED), rate


def _squares(x: Float[Array, "n *event"]) -> Float[Array, " n"]:
    return jnp.sum(x.reshape(x.shape[0], -1) ** 2, axis=1)


def _systematic(key: PRNGKeyArray, weights: np.ndarray) -> np.ndarray:
    """Indices by weight, with the least chance in how often each occurs."""
    n = len(weights)
    levels = (np.arange(n) + float(jax.random.uniform(key))) / n
    return np.minimum(np.searchsorted(np.cumsum(weights), levels, side="right"), n - 1)


def _check(step: float, redraw: float) -> None:
    if not step > 0:
        raise ValueError(f"anneal: `step` must be positive, got {step}.")
    if not 0 <= redraw <= 1:
        raise ValueError(f"anneal: `redraw` must be in [0, 1], got {redraw}.")
