r"""The floor of any model's NLL on Lennard-Jones particles: the entropy, by thermodynamic integration.

    python experiments/lj55/floor.py lj55

The pair energy $U$ is switched on in the trap: $V_s = s^{12} U + \frac{k}{2} \sum_i \|x_i - \bar x\|^2$
for $s$ from 0, a Gaussian whose normaliser is known, to 1. With $s^{12}$ the integrand
$\partial_s V_s = 12 s^{11} U$ starts as $s^2$, though $U$ has the pole $d^{-12}$. The entropy is

$$S = \langle V_1 \rangle + \log Z_0 - \int_0^1 12 s^{11} \langle U \rangle_s \, ds,$$

in nats, Lebesgue measure on the centred subspace. Every chain goes through all stages and gives an $S$
of its own; the error is over chains. Half of them go up from the Gaussian, half down from the shells
of an icosahedron (13 and 55 particles): where they disagree, the stages are too short. The virial,
whose mean is known, is a control variate. Writes the stages to `--stages`, passing over those that
are there, and `floor.json`, or `floor-NAME.json` of another preset than `lj55`.
"""

import argparse
import json
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import hiflow as hf
from hiflow._disk import write_arrays, write_json

HERE = Path(__file__).parent
POWER = 12
"""That of $d$ in the pair energy's pole."""


class Chains(NamedTuple):
    """Positions, `(3, particles, chains)`: with the chains last, all is elementwise over them."""

    x: jax.Array
    log_step: jax.Array


def main() -> None:
    """Both directions, and what they give."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset", help="lj13, lj13-eps1 or lj55")
    parser.add_argument("--stages", type=Path, default=Path("runs/floor"), help="a folder")
    parser.add_argument("--intervals", type=int, default=48, help="of s; a multiple of 4")
    parser.add_argument("--chains", type=int, default=128, help="each way")
    parser.add_argument("--burn-in", type=int, default=60, help="updates at every stage")
    parser.add_argument("--updates", type=int, default=200, help="that count, at every stage")
    parser.add_argument("--leapfrog", type=int, default=25, help="steps of an update")
    parser.add_argument("--shorter", type=float, default=10.0, help="every fifth step, up to so much; "
                        "raise it where a virial tells of chains that are stuck")  # fmt: skip
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args()
    energy = hf.energies.LennardJones.preset(given.preset)
    settings = {key: value for key, value in vars(given).items() if key not in ("stages", "out")}
    place = begun(given.stages / given.preset, settings)
    ways = {way: stages(energy, way, given, place / way) for way in ("up", "down")}
    name = "floor.json" if given.preset == "lj55" else f"floor-{given.preset}.json"
    numbers = {"settings": settings, **result(energy, ways, given.intervals)}
    write_json(given.out / name, numbers, indent=1)
    print({key: value for key, value in numbers.items() if key != "stages"})


def begun(place: Path, settings: dict) -> Path:
    """The folder, refused if its stages are of other settings."""
    file = place / "settings.json"
    if file.is_file() and (found := json.loads(file.read_text())) != settings:
        raise SystemExit(f"{place}: its stages are of {found}. Give another folder as `--stages`.")
    place.mkdir(parents=True, exist_ok=True)
    write_json(file, settings)
    return place


def stages(energy, way: str, given, place: Path) -> list[dict[str, np.ndarray]]:
    """In the order of $s$, every update's energies and virial, `(updates, chains)` each."""
    key = jax.random.key(("up", "down").index(way))
    order = range(1, given.intervals + 1)
    place.mkdir(exist_ok=True)
    chains = Chains(start(energy, way, key, given.chains), jnp.float32(-4.0))
    rows = {}
    for stage in order if way == "up" else order[::-1]:
        file = place / f"{stage:03}.npz"
        if not file.is_file():
            # At the last s the energy is in the entropy as it is, and the icosahedra have to melt.
            effort = 4 if stage == given.intervals else 1
            strength = (stage / given.intervals) ** POWER
            k_burn, k_draw = split(key, stage)
            at = partial(run, energy, strength, leapfrog=given.leapfrog, shorter=given.shorter)
            chains, _ = at(k_burn, chains, updates=effort * given.burn_in, adapting=True)
            chains, found = at(k_draw, chains, updates=effort * given.updates, adapting=False)
            write_arrays(file, jax.device_get({**chains._asdict(), **found}))
        with np.load(file) as stored:
            saved = {name: each.astype(np.float64) for name, each in stored.items()}
        chains = Chains(
            jnp.asarray(saved.pop("x"), jnp.float32), jnp.float32(saved.pop("log_step"))
        )
        rows[stage] = saved
        told = {name: float(f"{values.mean():.6g}") for name, values in saved.items()}
        print(way, stage, told, flush=True)
    return [rows[stage] for stage in order]


def split(key, stage: int):
    return jax.random.split(jax.random.fold_in(key, stage))


def start(energy, way: str, key, chains: int):
    """Draws at $s = 0$; or shells of an icosahedron, neighbours $r_m$ apart."""
    n = energy.particles
    if way == "up":
        x = jax.random.normal(key, (3, n, chains)) / jnp.sqrt(energy.trap)
        return x - x.mean(1, keepdims=True)
    return jnp.repeat(energy.r_m * jnp.asarray(icosahedron(n)).T[..., None], chains, axis=2)


def icosahedron(particles: int) -> np.ndarray:
    """One particle and one shell of 12, or two shells of 12 and 42; the closest are 1 apart."""
    golden = (1 + 5**0.5) / 2
    signs = [(a, b * golden) for a in (-1, 1) for b in (-1, 1)]
    corners = np.array([np.roll([0, a, b], turn) for turn in range(3) for a, b in signs])
    edges = [a + b for a, b in combinations(corners, 2) if np.linalg.norm(a - b) < 2.1]
    shells = np.concatenate([np.zeros((1, 3)), corners, 2 * corners, edges])
    # Edges are 2 long, the way to a corner is shorter.
    return shells[:particles].astype(np.float32) / np.linalg.norm(corners[0])


@partial(jax.jit, static_argnames=("updates", "leapfrog", "adapting"))
def run(
    energy, strength, key, chains: Chains, *, updates: int, leapfrog: int, shorter, adapting: bool
):
    """Hamiltonian Monte Carlo on strength × U + trap; the chains, and of every update U, the trap's
    energy, the virial and the acceptance."""

    def update(chains: Chains, given):
        i, key = given
        k_momentum, k_step, k_short, k_accept = jax.random.split(key, 4)
        step = jnp.exp(chains.log_step) * jax.random.uniform(k_step, minval=0.8, maxval=1.2)
        # Particles deep in each other, from the stage before, are too stiff for steps that suit all.
        step = step * jnp.where(i % 5 == 4, shorter ** -jax.random.uniform(k_short), 1)
        p = jax.random.normal(k_momentum, chains.x.shape)
        p = p - p.mean(1, keepdims=True)
        before = values_and_gradient(energy, strength, chains.x)

        def leap(_, state):
            x, p, (_, _, gradient) = state
            p = p - step / 2 * gradient
            x = x + step * p
            now = values_and_gradient(energy, strength, x)
            return x, p - step / 2 * now[2], now

        x, q, after = jax.lax.fori_loop(0, leapfrog, leap, (chains.x, p, before))
        more = total(strength, after, q) - total(strength, before, p)
        rate = jnp.exp(-jnp.maximum(jnp.where(jnp.isfinite(more), more, jnp.inf), 0))
        taken = jax.random.uniform(k_accept, rate.shape) < rate
        x = jnp.where(taken, x, chains.x)
        x = x - x.mean(1, keepdims=True)
        u, trap, gradient = jax.tree.map(partial(jnp.where, taken), after, before)
        gain = 0.5 * (1 + i) ** -0.5 if adapting else 0.0
        log_step = chains.log_step + gain * (rate.mean() - 0.8)
        virial = jnp.sum(x * gradient, (0, 1))
        return Chains(x, log_step), {"u": u, "trap": trap, "virial": virial, "rate": rate}

    given = (jnp.arange(updates), jax.random.split(key, updates))
    return jax.lax.scan(update, chains, given)


def total(strength, values, p):
    """The Hamiltonian, kinetic energy included."""
    u, trap, _ = values
    return strength * u + trap + jnp.sum(p**2, (0, 1)) / 2


def values_and_gradient(energy, strength, x):
    """Of chains `(3, n, chains)` the pair energy, the trap's, and the gradient of strength × U + trap.

    As `energy` has them, from all ordered pairs at once: one pass, ten times faster here.
    """
    n = x.shape[1]
    core = energy.core**2
    itself = jnp.eye(n, dtype=bool)[..., None]
    r = x[:, :, None] - x[:, None, :]
    s = jnp.where(itself, core, jnp.sum(r**2, 0))
    outside = jnp.maximum(s, core)
    slope = jnp.where(itself, 0, energy.pair_derivatives(outside)[0])
    pairs = jnp.where(itself, 0, energy.pair(outside)) + slope * (s - outside)
    centred = x - x.mean(1, keepdims=True)
    gradient = 2 * strength * jnp.sum(slope * r, 2) + energy.trap * centred
    return pairs.sum((0, 1)) / 2, energy.trap / 2 * jnp.sum(centred**2, (0, 1)), gradient


def result(energy, ways: dict[str, list[dict[str, np.ndarray]]], intervals: int) -> dict:
    """The entropy each way and of both, with errors over chains, and what it was made of."""
    s = np.arange(1, intervals + 1) / intervals
    free = energy.dim * (energy.particles - 1)
    log_z0 = free / 2 * np.log(2 * np.pi / float(energy.trap))
    rows, integrands = [], {way: [np.zeros(found[0]["u"].shape[1])] for way, found in ways.items()}
    here = {}
    for i, at in enumerate(s):
        here = {way: each[i] for way, each in ways.items()}
        u = controlled(here, free, lambda found: found["u"])
        rows.append({"s": at, "u": compared(u), **of_stage(here)})
        for way, values in u.items():
            integrands[way].append(POWER * at ** (POWER - 1) * values)
    mean_energy = controlled(here, free, lambda found: found["u"] + found["trap"])
    parts = {}
    for way in ways:
        fine, coarse = (simpson(np.stack(integrands[way][::every])) for every in (1, 2))
        # Simpson's rule errs 16 times as much on the halved grid; what is left is less than this.
        correction = (fine - coarse) / 15
        log_z = log_z0 - fine - correction
        parts["log_z", way], parts["quadrature", way] = log_z, correction
        parts["energy", way] = mean_energy[way]
        parts["entropy", way] = mean_energy[way] + log_z
    names = ("entropy", "log_z", "energy", "quadrature")
    summary = {name: compared({way: parts[name, way] for way in ways}) for name in names}
    return {"free": free, "log_z0": log_z0, **summary, "stages": rows}


def controlled(here, free: int, what) -> dict[str, np.ndarray]:
    """Every chain's mean of a quantity, with the virial as control variate."""
    virials = np.concatenate([found["virial"].ravel() for found in here.values()])
    values = np.concatenate([what(found).ravel() for found in here.values()])
    slope = np.cov(values, virials)[0, 1] / virials.var(ddof=1)
    return {
        way: (what(found) - slope * (found["virial"] - free)).mean(0) for way, found in here.items()
    }


def of_stage(here) -> dict:
    """The trap's energy and the virial as they are, and the acceptance."""
    means = {
        name: compared({way: found[name].mean(0) for way, found in here.items()})
        for name in ("trap", "virial")
    }
    return {
        **means,
        "acceptance": {way: float(found["rate"].mean()) for way, found in here.items()},
    }


def compared(chains: dict[str, np.ndarray]) -> dict:
    """Mean and error over chains, each way and of both, and how many errors the ways are apart."""
    ways = {way: mean_and_error(values) for way, values in chains.items()}
    (up, up_error), (down, down_error) = ways.values()
    apart = (up - down) / np.hypot(up_error, down_error)
    both = mean_and_error(np.concatenate(list(chains.values())))
    return {"both": both, **ways, "apart": float(apart)}


def simpson(values: np.ndarray) -> np.ndarray:
    """Integrals over [0, 1] of columns on an even number of equal intervals."""
    weights = np.ones(len(values))
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    return np.tensordot(weights, values, 1) / (3 * (len(values) - 1))


def mean_and_error(values: np.ndarray) -> list[float]:
    return [float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)]


if __name__ == "__main__":
    main()
