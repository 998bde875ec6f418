r"""Annealed importance sampling: a flow's samples carried to the energy's law, with their weights.

From the flow's density $q$ at $\beta = 0$ to $e^{-V}$ at $\beta = 1$ along
$\pi_\beta \propto q^{1-\beta} e^{-\beta V}$: at every $\beta$ the weights take up what $\pi_\beta$ has
more than the one before, then samples move by Hamiltonian trajectories with Metropolis's test, which
leave $\pi_\beta$ as it is (Neal, Stat. Comput. 11, 125, 2001). Where the weights have become too
unequal, samples are drawn anew by them (sequential Monte Carlo; Del Moral et al., J. R. Stat. Soc.
B 68, 411, 2006).

The moves are of all samples at once, since a flow's densities are: kernels of one chain, such as
BlackJAX's, would solve its ODE for one at a time.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, Literal, Protocol, cast, get_args, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import _border
from hiflow._border import border
from hiflow._kinds import shown, wanted
from hiflow.energies import AbstractEnergy
from hiflow.energies import registry as _energies
from hiflow.metrics._annealing_moves import Law, Slopes, moved
from hiflow.metrics._tail import pareto_k, trusted_up_to
from hiflow.metrics._weighing import HasSamples, checked_flow, importance_sample
from hiflow.metrics._weighted import Weighted

Temperatures = int | Sequence[float] | Literal["adaptive"]
# Of the effective size, what the next temperature leaves where it is chosen; and how many there may be.
_LEFT, _MOST = 0.9, 1_000


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
    - `pareto_ks`: the shape of the weights' tail at each, as `Weighted.pareto_k`.
    - `acceptance`: of the moves at each; NaN without moves.
    - `drawn_anew`: how often.

    **Example:**

    ```pycon
    >>> found = hf.metrics.anneal(flow, ring, key=key, size=50, temperatures=2,
    ...                           method="Heun", steps=4)
    >>> len(found.ess), len(found.acceptance)  # one for each temperature
    (2, 2)
    >>> found.doubt is None or isinstance(found.doubt, str)
    True
    ```
    """

    samples: Weighted
    inverse_temperatures: tuple[float, ...]
    ess: tuple[float, ...]
    pareto_ks: tuple[float, ...]
    acceptance: tuple[float, ...]
    drawn_anew: int

    @property
    def families(self) -> int:
        """How many of the flow's samples have descendants of weight."""
        kept = np.asarray(self.samples.chains)[self.samples.weights > 0]
        return len(np.unique(kept))

    @property
    def doubt(self) -> str | None:
        r"""Why the weights can't be trusted, in a sentence, or `None`. They are looked at at every
        $\beta$, before samples are drawn anew, since these hide what was there before."""
        bound, worst = trusted_up_to(len(self.samples.energies)), int(np.argmax(self.pareto_ks))
        if (k := self.pareto_ks[worst]) <= bound:
            return None
        return (
            f"The weights can't be trusted: at β = {self.inverse_temperatures[worst]:.3g} Pareto k "
            f"{k:.2f} is above {bound:.2f}, so that the few largest decide. Take more temperatures "
            '("adaptive"), more moves, or more samples.'
        )

    def __str__(self) -> str:
        free, error = self.samples.free_energy
        return (
            f"annealed over {len(self.ess)} temperatures: ESS {self.samples.ess:.1%}, F {free:.3f} ± "
            f"{error:.3f} kT; drawn anew {self.drawn_anew} times, {self.families} of "
            f"{len(self.samples.energies)} samples of the flow have descendants; acceptance "
            f"{np.mean(self.acceptance):.2f}, Pareto k at most {max(self.pareto_ks):.2f}"
        )


def _as_temperatures(value: object, what: str) -> Any:
    value = np.asarray(value).tolist() if isinstance(value, np.ndarray | Array) else value
    if isinstance(value, str) and value == "adaptive":
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        found = [each for each in value if isinstance(each, int | float)]
        rises = all(low < high for low, high in itertools.pairwise([0.0, *found]))
        if len(found) == len(value) and rises and found and found[-1] == 1:
            return [float(each) for each in found]
        value = shown(value)
    elif wanted(int, value) is None and cast(int, value) >= 1:
        return int(cast(int, value))
    raise ValueError(
        f"{what} must be a whole number, at least 1, of values of β; or these, rising from above 0 to "
        f'1, as [0.1, 0.4, 1.0]; or "adaptive"; got {value}.'
    )


def _as_slopes(value: object, what: str) -> Any:
    if value not in get_args(Slopes):
        raise ValueError(f'{what} must be "both" or "energy", got {shown(value)}.')
    return value


@border(
    "anneal",
    flow=checked_flow(
        HasSamplesAndDensity, "a `prior` and methods sample_and_log_prob and log_prob"
    ),
    energy=_border.made_of(_energies),
    key=_border.key,
    size=_border.size,
    temperatures=_as_temperatures,
    moves=_border.count,
    leapfrog_steps=_border.size,
    slopes=_as_slopes,
)
def anneal(
    flow: HasSamplesAndDensity,
    energy: AbstractEnergy,
    *,
    key: PRNGKeyArray,
    size: int,
    temperatures: Temperatures = 10,
    moves: int = 2,
    leapfrog_steps: int = 1,
    step: float = 0.1,
    slopes: Slopes = "both",
    redraw: float = 0.5,
    **settings: Any,
) -> Annealed:
    r"""`size` samples of the flow, annealed to the energy.

    Every leapfrog step at $\beta < 1$ takes the flow's density and its gradient once, every one at
    $\beta = 1$ the energy's alone: `temperatures=1` is importance sampling with a few moves after it. A
    flow's gradient costs several times its density, which is a solve; with `slopes="energy"` a whole
    trajectory takes the density once. The mean weight estimates $Z$ without bias up to what is adapted
    (the step, temperatures that are chosen); the density has to be exact, as for
    [`importance_sample`][hiflow.metrics.importance_sample].

    **Arguments:**

    - `temperatures`: how many values of $\beta$ after 0, evenly up to 1; the values themselves, rising
      to 1; or `"adaptive"`: each is as far from the one before as leaves nine tenths of the effective
      size (conditional ESS; Zhou, Johansen, Aston, J. Comput. Graph. Stat. 25, 701, 2016).
    - `moves`: at each of them.
    - `leapfrog_steps`: of a move; 1 is a Langevin move.
    - `step`: the first leapfrog step's length, in the coordinates' unit; it follows the acceptance, and
      varies by a fifth.
    - `slopes`: those that trajectories follow, `"both"` or the `"energy"`'s in place of the flow's. The
      result has the same law; the better the flow, the less acceptance it costs.
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
    given = _evenly(temperatures) if isinstance(temperatures, int) else temperatures
    key_draw, key_move, key_anew = jax.random.split(key, 3)
    start = importance_sample(flow, energy, key=key_draw, size=size, **settings)
    law = Law(flow, energy, settings, slopes)
    now, log_step = law.state(start.x), jnp.log(jnp.asarray(step, start.x.dtype))
    log_weights, ancestors = np.zeros(size), np.arange(size)
    betas, ess, ks, acceptance, drawn_anew = [0.0], [], [], [], 0
    while betas[-1] < 1:
        k, log_ratio = len(betas) - 1, np.asarray(now.log_ratio, np.float64)
        chosen = given == "adaptive"
        beta = _next(betas[-1], log_ratio, log_weights) if chosen else float(given[k])
        log_weights = log_weights + (beta - betas[-1]) * log_ratio
        betas.append(beta)
        weighted = Weighted(now.x, np.zeros(size), -log_weights)
        ess.append(weighted.ess)
        ks.append(pareto_k(log_weights))
        if ess[-1] < redraw and beta < 1:
            index = _systematic(jax.random.fold_in(key_anew, k), weighted.weights)
            now, ancestors = jax.tree.map(lambda leaf, i=index: leaf[i], now), ancestors[index]
            log_weights = np.full(size, -weighted.free_energy[0])
            drawn_anew += 1
        rates = []
        for move in range(moves):
            one = jax.random.fold_in(jax.random.fold_in(key_move, k), move)
            at = jnp.asarray(beta, start.x.dtype)
            now, log_step, rate = moved(law, now, one, at, log_step, leapfrog_steps, beta < 1)
            rates.append(float(rate))
        acceptance.append(float(np.mean(rates)) if rates else float("nan"))
    samples = dataclasses.replace(
        _with_weights(start, now.x, np.asarray(now.energy), log_weights),
        chains=ancestors,
        drawn_anew=True,
    )
    return Annealed(samples, tuple(betas[1:]), tuple(ess), tuple(ks), tuple(acceptance), drawn_anew)


def _with_weights(start: Weighted, x: Array, energies: np.ndarray, log_weights: Any) -> Weighted:
    finite = np.isfinite(log_weights)
    log_prob = -np.where(finite, energies, 0) - np.where(finite, log_weights, 0)
    return dataclasses.replace(start, x=x, energies=energies, log_prob=log_prob)


def _next(
    beta: float, log_ratio: Float[np.ndarray, " n"], log_weights: Float[np.ndarray, " n"]
) -> float:
    r"""The next $\beta$: that of a conditional ESS $(\sum_i W_i v_i)^2 / \sum_i W_i v_i^2 = 0.9$, with
    $v_i$ what the weights $W_i$ gain; 1 if it is higher there."""
    # What has no weight afterwards, whatever the next one is, says nothing of how far it may be.
    known = np.isfinite(log_ratio) & np.isfinite(log_weights)
    if not known.any():
        return 1.0
    w = np.exp(log_weights[known] - log_weights[known].max())
    w, gain = w / w.sum(), log_ratio[known]

    def left(further: float) -> float:
        v = np.exp(further * (gain - gain.max()))
        return float((w @ v) ** 2 / (w @ v**2))

    low, high = 0.0, 1 - beta
    if left(high) >= _LEFT:
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if left(middle) >= _LEFT else (low, middle)
    # However unequal the weights are, it comes to an end.
    return min(beta + max(low, 1 / _MOST), 1.0)


def _systematic(key: PRNGKeyArray, weights: np.ndarray) -> np.ndarray:
    """Indices by weight, with the least chance in how often each occurs."""
    n = len(weights)
    levels = (np.arange(n) + float(jax.random.uniform(key))) / n
    return np.minimum(np.searchsorted(np.cumsum(weights), levels, side="right"), n - 1)


def _evenly(number: int) -> list[float]:
    return [k / number for k in range(1, number + 1)]


def _check(step: float, redraw: float) -> None:
    if wanted(float, step) is not None or not step > 0:
        raise ValueError(f"anneal: `step` must be positive, got {step!r}.")
    if wanted(float, redraw) is not None or not 0 <= redraw <= 1:
        raise ValueError(f"anneal: `redraw` must be in [0, 1], got {redraw!r}.")
