"""Reference samples of an energy: exact draws where it has them, else many short HMC chains."""

import dataclasses
import time
import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from hiflow import _border
from hiflow._border import border
from hiflow._checks import as_array, converter, refuse_not_finite
from hiflow._disk import fingerprint
from hiflow.data import _cache
from hiflow.data._hmc import Draws, HMCSettings, run_chains
from hiflow.data._report import SamplingReport, make_report
from hiflow.data._samples import Samples
from hiflow.data._tempering import inverse_temperatures, run_tempered
from hiflow.data._virial import free_dimensions
from hiflow.energies import AbstractEnergy, SupportsSampling
from hiflow.energies import registry as _energies
from hiflow.groups._periods import within_a_period


@border("sample", energy=_border.made_of(_energies), key=_border.key, size=_border.size)
def sample(
    energy: AbstractEnergy,
    *,
    key: PRNGKeyArray,
    size: int,
    chains: int = 500,
    burn_in: int = 300,
    thin: int = 20,
    leapfrog_steps: int = 20,
    target_acceptance: float = 0.8,
    first_step: float = 0.05,
    start: object = None,
    tempering: object = None,
    cache: bool = True,
    progress: bool = True,
) -> Samples:
    r"""Samples of $e^{-V}$, with a report on how far they can be trusted.

    An energy with a method `sample` is drawn from exactly. For any other, `chains` independent
    Hamiltonian Monte Carlo chains run side by side on the device: from a relaxed random
    configuration, with a common step size that is adapted to `target_acceptance` during the burn-in
    and then frozen. Along the null modes of the energy's group (translations) the energy is flat,
    so they separate from the chain and are projected out of every sample; coordinates with a period
    ([`SupportsPeriods`][hiflow.groups.SupportsPeriods]) are brought into the one about 0.

    An energy with a method `move` ([`SupportsMoves`][hiflow.energies.SupportsMoves]) moves every chain
    after every update as well, and its chains start where its `start` says. With `tempering` the replica
    at inverse temperature 1 moves: its law alone is the one that moves leave as it is.

    The defaults fit 13 to 55 Lennard-Jones particles and smaller systems. A barrier of many kT is
    crossed by no such chain: every mode keeps the share of the chains that started in it. The report
    says how far the chains agree, with a warning where they remember their start; `tempering` takes
    them over barriers. Neither sees a mode that no chain comes to.

    **Arguments:**

    - `energy`: the energy, in kT.
    - `key`: a PRNG key.
    - `size`: the number of samples.
    - `chains`: the number of chains; each gives `size / chains` samples.
    - `burn_in`: updates that are discarded, at least 10 × `thin` for the step size to settle.
    - `thin`: updates from one sample of a chain to its next.
    - `leapfrog_steps`: gradients per update.
    - `target_acceptance`: what the step size is adapted to, in (0, 1).
    - `first_step`: the step size that the burn-in begins with. Take it smaller, some $1/\sqrt{\lambda}$
      of the stiffest curvature $\lambda$, where a calculation fails far from all that is sensible.
    - `start`: `(chains, *event)` points to start from as they are, instead of relaxed random ones or
      the energy's own.
    - `tempering`: the smallest inverse temperature of a ladder of replicas that every chain exchanges
      points with (parallel tempering), in (0, 1), or all of the ladder, from 1 down. Where $\beta$ times
      the highest barrier is 1 to 2 kT, it is crossed. Costs as many times as there are temperatures.
    - `cache`: keep the samples on disk, and use those that the same energy, key and settings gave
      before (see [`cache_folder`][hiflow.data.cache_folder]). Functions can't be identified, so a
      `FunctionEnergy` isn't cached.
    - `progress`: show a progress bar and print the report.

    **Returns:** [`Samples`][hiflow.data.Samples] with `report` set, and `chains` from HMC.

    **Raises:** `ValueError` for a setting out of range, a `start` of another shape, or an energy
    that isn't finite, or whose gradient isn't, where the chains start. Warns if the virial is more than
    four standard errors off, and by a [`SamplingWarning`][hiflow.data.SamplingWarning] if the chains
    haven't forgotten where they started.

    **Example:**

    ```pycon
    >>> well = hf.energies.DoubleWell()
    >>> samples = hf.data.sample(well, key=key, size=400, chains=100, progress=False)
    >>> samples.shape, samples.report.method
    ((400, 2), 'hmc')
    >>> 0.5 < samples.report.acceptance < 1
    True
    ```
    """
    settings = HMCSettings(
        chains=min(chains, size),
        burn_in=burn_in,
        thin=thin,
        leapfrog_steps=leapfrog_steps,
        target_acceptance=target_acceptance,
        first_step=first_step,
    )
    start = _checked(energy, settings, size, start)
    betas = None
    if tempering is not None:
        betas = inverse_temperatures(tempering, free_dimensions(energy))
    name = None
    if cache:
        name = fingerprint(
            energy=energy,
            key=key,
            size=size,
            start=start,
            settings=_identity(settings),
            tempering=betas,
            report=[field.name for field in dataclasses.fields(SamplingReport)],
            dtype=str(jnp.result_type(float)),
        ).lasting
    samples = _cache.read(name) if name else None
    cached = samples is not None
    if samples is None:
        samples = _make(energy, key, size, settings, betas, start, progress)
        if name:
            _cache.write(name, samples)
    report = samples.report
    assert report is not None
    if progress:
        from rich.console import Console

        Console().print(
            f"{report}{' [from the cache]' if cached else ''}", markup=False, soft_wrap=True
        )
    if not report.virial.z <= 4:
        warnings.warn(
            f"sample: the virial of {report.energy} is {report.virial.mean:.2f} ± "
            f"{report.virial.standard_error:.2f} and must be {report.virial.expected}: the chains "
            "haven't converged. Raise `burn_in`, or give `start` points closer to equilibrium.",
            stacklevel=2,
        )
    if not report.converged:
        warnings.warn(
            f"sample: the chains of {report.energy} remember {report.memory:.0%} of where they started "
            f"(R-hat {report.r_hat:.2f} in {report.slowest}, effective size "
            f"{report.effective_size:.0f} of {report.samples}): modes have the shares of the start, not "
            "the density's. Give `tempering`, such as 0.1 for a barrier of 10 to 20 kT, raise "
            "`burn_in`, or give `start` points with the modes' true shares.",
            SamplingWarning,
            stacklevel=2,
        )
    return samples


class SamplingWarning(UserWarning):
    """Chains haven't forgotten where they started: their samples aren't the density's.

    **Example:**

    ```pycon
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", hf.data.SamplingWarning)  # rather stop
    ...     samples = hf.data.sample(ring, key=key, size=200, progress=False)
    ...
    ```
    """


def _make(
    energy: AbstractEnergy,
    key: Array,
    size: int,
    settings: HMCSettings,
    betas: tuple[float, ...] | None,
    start: Array | None,
    progress: bool,
) -> Samples:
    began = time.perf_counter()
    if isinstance(energy, SupportsSampling):
        draw = jax.jit(jax.vmap(energy.sample))
        points, chains = draw(jax.random.split(key, size)), None
        facts: dict[str, Any] = {"method": "exact", "acceptance": 1.0, "step_size": float("inf")}
        facts["effective_size"] = float(size)
    else:
        found = _run(energy, key, -(-size // settings.chains), settings, betas, start, progress)
        points = jax.vmap(partial(within_a_period, energy.group))(found.points[:size])
        chains = np.arange(size) % settings.chains
        facts = _facts(found, size) | {"inverse_temperatures": betas or (1.0,)}
    jax.block_until_ready(points)
    seconds = time.perf_counter() - began
    return Samples(points, chains, make_report(energy, points, chains, seconds=seconds, **facts))


def _run(
    energy: AbstractEnergy,
    key: Array,
    draws: int,
    settings: HMCSettings,
    betas: tuple[float, ...] | None,
    start: Array | None,
    progress: bool,
) -> Draws:
    if betas is None:
        return run_chains(energy, key, draws, settings, start, progress)
    return run_tempered(energy, key, draws, settings, betas, start, progress)


def _facts(found: Draws, size: int) -> dict[str, Any]:
    """What the report says of the chains."""
    mixing = found.mixing
    return {
        "method": "hmc" if found.swapped is None else "tempered",
        "acceptance": found.acceptance,
        "step_size": found.step_size,
        "swapped": found.swapped,
        "r_hat": mixing.r_hat,
        "effective_size": mixing.effective_share * size,
        "memory": mixing.memory,
        "slowest": mixing.feature,
    }


def _identity(settings: HMCSettings) -> dict[str, Any]:
    """What tells samples apart; those that were drawn before there was a first step keep their name."""
    told = dataclasses.asdict(settings)
    if told["first_step"] == HMCSettings.first_step:
        del told["first_step"]
    return told


def _checked(
    energy: AbstractEnergy, settings: HMCSettings, size: int, start: object
) -> Array | None:
    if size < 2:
        raise ValueError(f"sample: `size` must be at least 2, got {size}.")
    for name in ("chains", "thin", "leapfrog_steps"):
        if getattr(settings, name) < 1:
            raise ValueError(f"sample: `{name}` must be at least 1, got {getattr(settings, name)}.")
    if settings.burn_in < 10 * settings.thin:
        raise ValueError(
            "sample: `burn_in` must be at least 10 × `thin`, so that the step size can settle; got "
            f"burn_in={settings.burn_in}, thin={settings.thin}."
        )
    if not 0 < settings.target_acceptance < 1:
        raise ValueError(
            "sample: `target_acceptance` must be between 0 and 1, got "
            f"{settings.target_acceptance}. Around 0.8 is best."
        )
    if not (settings.first_step > 0 and np.isfinite(settings.first_step)):
        raise ValueError(
            f"sample: `first_step` must be positive and finite, got {settings.first_step}."
        )
    if start is None:
        return None
    start = converter("start", as_array)(start)
    expected = (settings.chains, *energy.event_shape)
    if start.shape != expected:
        raise ValueError(
            f"sample: `start` must have shape (chains, *event) = {expected}, got {start.shape}."
        )
    refuse_not_finite(start, "sample: `start`", kind="points", cure="Give finite ones.")
    return start
