"""What a sampler reports about the samples that it made."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from hiflow.data._virial import VirialReport, check_virial, mean_over_chains
from hiflow.energies import AbstractEnergy, units_of

# Of the start: with more of it left, the modes' shares are those of the start.
_REMEMBERED = 0.3


@dataclasses.dataclass(frozen=True)
class SamplingReport:
    """How well a set of samples follows its energy. Energies are in kT.

    - `energy`: the preset's name, or the energy's class.
    - `method`: `"exact"`, `"hmc"`, or `"tempered"` for HMC with parallel tempering.
    - `samples`, `chains`: their numbers.
    - `effective_samples`: how many independent ones would give the same error of the mean energy.
    - `r_hat`: the largest rank-normalised split R-hat over the energy and features that the energy's
      group leaves unchanged; 1 for exact draws. It is near 1 where chains have seen the same
      distribution, and above 1 for chains that are short, however good their draws.
    - `effective_size`: the smallest effective size over the same features.
    - `memory`: how much of a difference between chains at the start is left in the samples, in [0, 1].
    - `slowest`: the feature of the largest R-hat.
    - `inverse_temperatures`: of the replicas; `swapped`: the share of exchanges that were accepted.
    - `free_dimensions`: the dimensions without the group's null modes.
    - `acceptance`, `step_size`: of the Hamiltonian Monte Carlo after burn-in.
    - `mean_energy`, `energy_error`, `energy_sd`: with the standard error over chains.
    - `histogram`: counts and bin edges of the energies.
    - `virial`: see [`check_virial`][hiflow.data.check_virial].
    - `seconds`: wall time, compilation included.
    - `units`: what one kT and one unit of length are, of the energy of a real system.

    **Example:**

    ```pycon
    >>> samples = hf.data.sample(ring, key=key, size=200, progress=False)
    >>> report = samples.report
    >>> report.free_dimensions, report.converged  # print(report) says it in words
    (2, True)
    >>> abs(report.mean_energy - 0.5) < 5 * report.energy_error
    True
    ```
    """

    energy: str
    method: str
    samples: int
    chains: int
    effective_samples: float
    free_dimensions: int
    acceptance: float
    step_size: float
    mean_energy: float
    energy_error: float
    energy_sd: float
    histogram: tuple[tuple[int, ...], tuple[float, ...]]
    virial: VirialReport
    seconds: float
    r_hat: float = 1.0
    effective_size: float = float("inf")
    memory: float = 0.0
    slowest: str = ""
    inverse_temperatures: tuple[float, ...] = (1.0,)
    swapped: float | None = None
    units: str = ""

    @property
    def converged(self) -> bool:
        """Whether the chains have forgotten where they started.

        Short chains have an R-hat above 1 however long their burn-in was: what is remembered of the
        start decides. With few chains R-hat is known less well.
        """
        return not (self.r_hat > 1.1 + 2 / self.chains and self.memory > _REMEMBERED)

    def __str__(self) -> str:
        how = "exact draws"
        if self.method != "exact":
            how = (
                f"HMC, {self.chains} chains, acceptance {self.acceptance:.2f} at step "
                f"{self.step_size:.3g}"
            )
        if self.swapped is not None:
            how += f"; {len(self.inverse_temperatures)} temperatures, exchanges {self.swapped:.2f}"
        agreement = []
        if self.method != "exact":
            agreement = [
                f"  chains  R-hat {self.r_hat:.3f}, effective size {self.effective_size:.0f} "
                f"({self.slowest}); {self.memory:.0%} of the start remembered"
            ]
        return "\n".join(
            [
                f"{self.samples} samples of {self.energy} ({how}; {self.seconds:.1f} s)",
                f"  energy  {self.mean_energy:.3f} ± {self.energy_error:.3f} kT, standard "
                f"deviation {self.energy_sd:.2f}; {self.effective_samples:.0f} effective samples",
                f"  virial  {self.virial.mean:.3f} ± {self.virial.standard_error:.3f}, must be "
                f"{self.virial.expected}",
                *agreement,
                *([f"  units   {self.units}"] if self.units else []),
            ]
        )


def make_report(
    energy: AbstractEnergy, points: jax.Array, chains: np.ndarray | None, **facts: Any
) -> SamplingReport:
    """Statistics of the points, with the `facts` that the sampler knows."""
    batched: Callable[[jax.Array], jax.Array] = jax.jit(jax.vmap(energy))
    values = np.asarray(batched(points), np.float64)
    mean, error = mean_over_chains(values, chains)
    sd = float(values.std(ddof=1))
    virial = check_virial(energy, points, chains)
    counts, edges = np.histogram(values, bins=50)
    return SamplingReport(
        energy=getattr(energy, "convention", None) or type(energy).__name__,
        samples=len(points),
        chains=len(points) if chains is None else len(np.unique(chains)),
        effective_samples=min((sd / max(error, 1e-30)) ** 2, float(len(points))),
        free_dimensions=virial.expected,
        mean_energy=mean,
        energy_error=error,
        energy_sd=sd,
        histogram=(tuple(counts.tolist()), tuple(edges.tolist())),
        virial=virial,
        units=str(units_of(energy) or ""),
        **facts,
    )


def report_to_json(report: SamplingReport) -> dict[str, Any]:
    """A table of plain values."""
    return dataclasses.asdict(report) | {"virial": list(report.virial)}


def report_from_json(table: dict[str, Any]) -> SamplingReport:
    """The report that `report_to_json` wrote."""
    counts, edges = table["histogram"]
    return SamplingReport(
        **{
            **table,
            "virial": VirialReport(*table["virial"]),
            "histogram": (tuple(counts), tuple(edges)),
            "inverse_temperatures": tuple(table["inverse_temperatures"]),
        }
    )
