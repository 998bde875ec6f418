"""Samples with importance weights, and what they say of an energy's law."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from hiflow import _border
from hiflow._border import border
from hiflow._checks import number
from hiflow._kinds import accepted
from hiflow._programs import compiled
from hiflow._statistics import error_over_chains
from hiflow.data import to_atoms
from hiflow.energies import AbstractEnergy, Units, units_of
from hiflow.metrics._tail import pareto_k, trusted_up_to
from hiflow.metrics._units import FreeEnergy

_SHARE = number("in [0, 1), as 2e-3 for 0.2 %", lambda x: 0 <= x < 1)


def _share(value: Any, what: str) -> float:
    return accepted(_SHARE, value, what)


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
      those of a flow. Errors are then over chains, as halves of 68.3 % intervals (Student's).
    - `drawn_anew`: whether `chains` are the independent draws that the samples descend from, as many as
      there are samples, those without descendants too: see [`anneal`][hiflow.metrics.anneal].
    - `units`: the energy's [`Units`][hiflow.energies.Units], if it describes a real system.
    - `species`: the atomic numbers, if `x` are positions of atoms.

    **Example:**

    ```pycon
    >>> weighted = hf.metrics.importance_sample(flow, ring, key=key, size=500)
    >>> radius, error = weighted.mean(jnp.linalg.norm)  # of any function of one event
    >>> round(radius, 1)
    2.0
    >>> F = weighted.free_energy  # −log Z, in kT
    >>> colder = weighted.at_temperature(0.9)
    >>> weighted.doubt is None or isinstance(weighted.doubt, str)
    True
    ```
    """

    x: Float[Array, "n *event"]
    energies: np.ndarray
    log_prob: np.ndarray
    chains: np.ndarray | None = None
    units: Units | None = None
    drawn_anew: bool = False
    species: tuple[int, ...] | None = None

    def __post_init__(self):
        object.__setattr__(self, "x", _border.floats(self.x, "Weighted: `x`"))
        given = {"energies": self.energies, "log_prob": self.log_prob, "chains": self.chains}
        for name, value in given.items():
            if value is None:
                continue
            array = np.asarray(value)
            if np.iscomplexobj(array):
                raise ValueError(f"Weighted: `{name}` must be real, got {array.dtype}.")
            if array.shape != self.x.shape[:1] or not array.size:
                raise ValueError(
                    f"Weighted: `{name}` must have one entry for each of the samples `x`, of shape "
                    f"{self.x.shape}; got shape {array.shape}."
                )
            object.__setattr__(self, name, array)

    def __repr__(self) -> str:
        """In a line: how many, and what they are worth."""
        chains = "" if self.chains is None else f" of {len(np.unique(self.chains)):,} chains"
        head = f"Weighted({len(self.energies):,} samples{chains} of shape {self.x.shape[1:]}"
        if not np.isfinite(self.log_weights).any():
            return f"{head}, all of weight 0)"
        return f"{head}; ESS {self.ess:.3g}, Pareto k {self.pareto_k:.2f})"

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
    def pareto_k(self) -> float:
        r"""The shape $\hat k$ of the weights' tail, by a generalised Pareto fit to the largest: moments
        of order $1/\hat k$ and more are infinite (Vehtari et al., JMLR 25, 72, 2024; by ArviZ).
        $-\infty$ for equal weights; $\infty$ for too few to tell."""
        return pareto_k(self.log_weights)

    @property
    def doubt(self) -> str | None:
        r"""Why the weights can't be trusted, in a sentence, or `None`. Above $\hat k = 0.7$, or
        $1 - 1/\log_{10} n$ for fewer than 2,154 samples, neither the estimates nor their errors nor
        `ess` mean what they say."""
        bound, k = trusted_up_to(len(self.energies)), self.pareto_k
        if k <= bound:
            return None
        return (
            f"The weights can't be trusted: Pareto k {k:.2f} is above {bound:.2f}, so that the few "
            "largest decide, and larger ones are still to come. Take more samples, or anneal them."
        )

    @property
    def free_energy(self) -> tuple[float, float]:
        r"""$F = -\log Z = -\log \frac1n \sum_i w_i$ in kT, with its standard error. $Z$ is over the
        directions that the symmetry leaves free."""
        top = self.log_weights.max()
        value = -(top + np.log(np.mean(np.exp(self.log_weights - top))))
        return float(value), self._error_of_means(self.weights)

    def mean(self, observable: ArrayLike | Callable[[Array], Array]) -> tuple[float, float]:
        """The weighted mean of an observable, and its standard error.

        **Arguments:**

        - `observable`: its value at every sample, `(n,)`, or a function of one event.

        **Raises:** `ValueError` for other shapes.
        """
        weights, values = self.weights, self._numbers(observable, "mean: `observable`")
        # Where the energy is infinite the weight is 0, whatever the observable is there.
        values = np.where(weights > 0, values, 0)
        mean = np.sum(weights * values)
        return float(mean), self._error(weights * (values - mean))

    def free_energy_difference(self, other: AbstractEnergy) -> FreeEnergy:
        r"""$F_\text{other} - F = -\log \langle e^{-(V_\text{other} - V)} \rangle$ with its
        standard error (Zwanzig, J. Chem. Phys. 22, 1420, 1954): in kT, and in kJ/mol where both energies
        have units of one temperature. Between two temperatures each is in its own kT.

        **Raises:** `ValueError` if `other` takes positions in another unit of length, or isn't a number
        of every sample.
        """
        units, theirs = self.units, units_of(other)
        if units is not None and theirs is not None and theirs.length != units.length:
            raise ValueError(
                f"free_energy_difference: `other` takes positions in {theirs.length}, and the samples "
                f"are in {units.length}. Give an energy of the same unit of length."
            )
        if theirs is not None and theirs != units:
            units = None
        values = self._numbers(other, "free_energy_difference: `other`")
        nothing = np.full_like(values, np.inf)
        change = np.subtract(values, self.energies, out=nothing, where=self.weights > 0)
        low = change.min()
        mean, error = self.mean(np.exp(low - change))
        return FreeEnergy(float(low - np.log(mean)), error / mean, units)

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

    @border("clipped", share=_share)
    def clipped(self, share: float) -> "Weighted":
        """The same samples with the largest weights, this share of them, set to the largest of the
        others: less noise for a bias towards the flow (as in truncated importance sampling; Ionides,
        J. Comput. Graph. Stat. 17, 295, 2008). State the share beside every figure.

        Their `log_prob` is then what gives these weights, and no density.
        """
        log_weights = self.log_weights
        log_weights = np.minimum(log_weights, np.sort(log_weights)[-1 - self._number(share)])
        finite = np.isfinite(log_weights)
        log_prob = -np.where(finite, self.energies, 0) - np.where(finite, log_weights, 0)
        return dataclasses.replace(self, log_prob=log_prob)

    @border("trimmed", share=_share)
    def trimmed(self, share: float) -> "Weighted":
        """All samples but those of the largest weights, this share of them. Tan et al. (ICML 2025) leave
        out the largest 0.2 %: `trimmed(2e-3)`. State it beside every figure: it biases them."""
        kept = np.sort(np.argsort(self.log_weights)[: len(self.log_weights) - self._number(share)])
        return dataclasses.replace(
            self,
            x=self.x[kept],
            energies=self.energies[kept],
            log_prob=self.log_prob[kept],
            chains=None if self.chains is None else self.chains[kept],
        )

    @border("at_temperature", ratio=_border.positive)
    def at_temperature(self, ratio: float) -> "Weighted":
        """The samples weighted for `ratio` times the temperature, their energies in its kT."""
        units = self.units and Units(self.units.temperature * ratio, self.units.length)
        return dataclasses.replace(self, energies=self.energies / ratio, units=units)

    def to_atoms(self, species: Sequence[int] | None = None) -> list[Any]:
        """An `ase.Atoms` of every sample, in Å, for `ase.io.write("x.extxyz", frames)`. Its `info` has
        the normalised `weight`, `log_weight` and `log_prob` in nats, `energy_kT`, and of a real system
        `temperature_K` and `kT_eV`.

        **Arguments:**

        - `species`: the atomic numbers, where the energy doesn't tell them.

        **Raises:** `ValueError` if it isn't known which atoms they are; `ImportError` without ASE.
        """
        info = {
            "weight": self.weights, "log_weight": self.log_weights,
            "log_prob": np.asarray(self.log_prob), "energy_kT": np.asarray(self.energies),
        }  # fmt: skip
        species = self.species if species is None else species
        return to_atoms(np.asarray(self.x), species, self.units, info, "Weighted.to_atoms")

    def values_of(self, observable: ArrayLike | Callable[[Array], Array]) -> np.ndarray:
        """An observable's values at every sample, `(n, ...)`: these, or those of a function of one
        event."""
        if isinstance(observable, Callable):
            observable = of_every(observable, self.x)
        values = np.asarray(observable)
        if values.shape[:1] != (len(self.energies),):
            raise ValueError(
                f"`observable` must have a value for each of the {len(self.energies)} samples, got "
                f"shape {values.shape}."
            )
        return values

    def _number(self, share: float) -> int:
        n = len(self.log_weights)
        # 0.07 of 100 are 7, whatever the product's last digit is.
        found = int(np.ceil(share * n * (1 - 1e-12)))
        if found == n:
            raise ValueError(f"`share` = {share} of {n:,} samples are all of them. Lower it.")
        return found

    def _error(self, deviations: np.ndarray, shares: np.ndarray | None = None) -> float:
        """The error of a sum of deviations: those of one chain are added before they are squared.
        Infinite of one sample, as of one chain."""
        if self.chains is None:
            return float(np.sqrt(np.sum(deviations**2))) if len(deviations) > 1 else float("inf")
        index = np.unique(self.chains, return_inverse=True)[1]
        shares = np.bincount(index, self.weights if shares is None else shares)
        return float(error_over_chains(np.bincount(index, deviations), shares))

    def _error_of_means(self, terms: np.ndarray) -> float:
        """The error of a sum whose terms are all alike but for chance: of their deviations from its even
        share, of draws without descendants too."""
        n = len(terms)
        even = terms.sum() / n
        if self.chains is None or not self.drawn_anew:
            return self._error(terms - even, np.full(n, 1 / n))
        index = np.unique(self.chains, return_inverse=True)[1]
        sums, shares = (np.bincount(index, each) for each in (terms, self.weights))
        nothing = np.zeros(n - len(sums))
        sums, shares = np.append(sums, nothing) - even, np.append(shares, nothing)
        return float(error_over_chains(sums, shares))

    def _numbers(self, observable: ArrayLike | Callable[[Array], Array], what: str) -> np.ndarray:
        """One value for every sample."""
        values = self._values(observable)
        if values.ndim > 1:
            raise ValueError(
                f"{what} must give one number for a sample, got shape {values.shape[1:]}. Ask for each "
                "of them alone."
            )
        return values

    def _values(self, observable: ArrayLike | Callable[[Array], Array]) -> np.ndarray:
        return self.values_of(observable).astype(np.float64)


@compiled()
def of_every(function: Callable[[Array], Array], x: Float[Array, "n *event"]) -> Array:
    """A function of one event at all `n` of them; compiled once for all energies of one class.

    **Example:**

    ```pycon
    >>> radii = hf.metrics.of_every(jnp.linalg.norm, points)
    >>> radii.shape, radii.mean().round(1)
    ((200,), Array(2., dtype=float32))
    ```
    """
    return jax.vmap(function)(x)
