"""How often every error that hiflow prints covers the truth: 68.3 % is meant.

Run `python benchmarks/coverage.py [--repetitions N]`. Every case draws data whose truth is known, gives
them to the code that tables, pages and messages use, and counts how often value ± error holds the truth.
Prints a table in Markdown. The last column is the standard error of the share itself.
"""

import argparse
import dataclasses
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

import hiflow as hf
from hiflow._statistics import Pooled, mean_over, part_of
from hiflow.experiments._comparison import sample_row
from hiflow.metrics import Weighted, negative_log_likelihood
from hiflow.solver import SolverStats

Draw = Callable[[np.random.Generator], tuple[float, float]]
"""Of one repetition: how far the value is from the truth, and the error that is printed with it."""


@dataclasses.dataclass(frozen=True)
class Known:
    """A model of known density, a normal one whose width is wrong, scored as a flow is."""

    scale: float

    def log_prob_and_stats(self, x, **settings):
        log_prob = -0.5 * jnp.sum((x / self.scale) ** 2 + jnp.log(2 * jnp.pi * self.scale**2), -1)
        none = jnp.zeros(x.shape[0])
        return log_prob, SolverStats(none, none, none, none)

    def nll(self, dimension: int) -> float:
        """The truth for points from N(0, I)."""
        return 0.5 * dimension * (1 / self.scale**2 + np.log(2 * np.pi * self.scale**2))


def one_flow(points: int) -> Draw:
    """The NLL of one flow, as `fit`, `evaluate` and the history print it."""
    model = Known(0.7)

    def draw(generator):
        found = negative_log_likelihood(
            model, jnp.asarray(generator.normal(size=(points, 3)), float)
        )
        return found.nll - model.nll(3), found.nll_se

    return draw


def one_flow_of_chains(chains: int) -> Draw:
    """The same over points from Markov chains of unequal length."""
    model = Known(0.7)

    def draw(generator):
        labels = np.repeat(np.arange(chains), generator.integers(5, 30, chains))
        common = generator.normal(size=(chains, 3))[labels]
        x = np.sqrt(0.8) * common + np.sqrt(0.2) * generator.normal(size=common.shape)
        found = negative_log_likelihood(model, jnp.asarray(x), chains=labels)
        return found.nll - model.nll(3), found.nll_se

    return draw


def seeds(number: int, spreads: tuple[float, float, float], *, shared: bool, points: int) -> Draw:
    """NLLs and differences of several seeds: spreads of the seeds, of the points, of what is left."""

    def draw(generator):
        shapes = [(number, 1), (1 if shared else number, points), (number, points)]
        a, b, c = (
            s * generator.normal(size=shape) for s, shape in zip(spreads, shapes, strict=True)
        )
        return mean_over(list(a + b + c), [0] * number if shared else list(range(number)))

    return draw


def controlled(number: int, *, shared: bool) -> Draw:
    """NLLs with the energy as control variate: its mean over 2,000 points of 40 chains is added."""

    def draw(generator):
        labels = np.repeat(np.arange(40), 50)
        sets = 1 if shared else number
        common = generator.normal(size=(sets, 40))[:, labels]
        many = common + generator.normal(size=(sets, 2_000))
        left = 0.2 * generator.normal(size=(sets, 128)) + 0.1 * generator.normal(size=(number, 128))
        left = left + 0.02 * generator.normal(size=(number, 1)) * (number > 1)
        known = [part_of(many[0], labels)] if shared or number == 1 else []
        tests = [0] * number if shared else list(range(number))
        return mean_over(list(left + many.mean(1, keepdims=True)), tests, also=known)

    return draw


def controlled_of_a_file(number: int) -> Draw:
    """The same of seeds that hold out 100 of a file's 400 points: the mean is over the others."""

    def draw(generator):
        pool = generator.normal(size=400)
        rows = [generator.permutation(400) for _ in range(number)]
        held, levels = [r[:100] for r in rows], [Pooled(pool[r[100:]], r[100:]) for r in rows]
        values = [
            0.2 * pool[row] + 0.1 * generator.normal(size=100) + level.values.mean()
            for row, level in zip(held, levels, strict=True)
        ]
        return mean_over(values, list(range(number)), None, (), held, levels)

    return draw


def weighted(scale: float, what: str, sets: int = 1) -> Draw:
    """Samples of N(0, s²) weighted to N(0, 1)."""
    other = hf.energies.Gaussian(jnp.full(1, 0.1), 1.0)
    energy = hf.energies.Gaussian(jnp.zeros(1), 1.0)
    free = 0.0  # both normalise alike

    def one(generator):
        x = scale * generator.normal(size=(1_000, 1))
        log_prob = -0.5 * (x[:, 0] / scale) ** 2 - np.log(scale * np.sqrt(2 * np.pi))
        energies = 0.5 * x[:, 0] ** 2 + level
        return Weighted(jnp.asarray(x), energies, log_prob)

    level = float(energy(jnp.zeros(1)))
    log_z = 0.5 * np.log(2 * np.pi) - level

    def draw(generator):
        found = [one(generator) for _ in range(sets)]
        if sets > 1:
            row = sample_row("", found)
            return row["free_energy"] + log_z, row["free_energy_se"]
        if what == "F":
            value, error = found[0].free_energy
            return value + log_z, error
        if what == "⟨V⟩":
            value, error = found[0].mean(found[0].energies)
            return value - 0.5 - level, error
        value, error = found[0].free_energy_difference(other)
        return value - free, error

    return draw


def virial(chains: int | None) -> Draw:
    """The virial of samples, independent or of a few chains."""
    energy = hf.energies.Gaussian(jnp.zeros(2), 1.0)

    def draw(generator):
        labels = None if chains is None else np.repeat(np.arange(chains), 20)
        size = 200 if labels is None else len(labels)
        x = generator.normal(size=(size, 2))
        if labels is not None:
            common = generator.normal(size=(chains, 2))[labels]
            x = np.sqrt(0.7) * common + np.sqrt(0.3) * x
        found = hf.data.check_virial(energy, jnp.asarray(x), labels)
        return found.mean - found.expected, found.standard_error

    return draw


def probes(number: int) -> Draw:
    """The part of an NLL's error that Hutchinson's probes bring: a linear field, two fixed points."""
    matrix = jnp.asarray(np.random.default_rng(0).normal(size=(6, 6)) / 4)
    prior = hf.priors.Normal(6)
    flow = hf.Flow(prior, _Linear(matrix), steps=8)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(32, 6)))
    exact = negative_log_likelihood(flow, x).nll

    def draw(generator):
        divergence = hf.divergences.Hutchinson(number)
        key = jax.random.key(int(generator.integers(2**31)))
        found = negative_log_likelihood(flow, x, divergence=divergence, key=key)
        return found.nll - exact, found.probe_se

    return draw


class _Linear(hf.networks.AbstractVelocityField):
    matrix: jax.Array

    @property
    def event_shape(self):
        return (self.matrix.shape[0],)

    @property
    def group(self):
        return hf.groups.Trivial()

    def __call__(self, t, x):
        return self.matrix @ x


SPREADS = {
    "points' luck": (0.0, 1.0, 0.3),
    "seeds' and points'": (0.1, 1.0, 0.3),
    "seeds' luck": (1.0, 1.0, 0.3),
    "neither in common": (0.05, 0.1, 1.0),
}


def cases() -> Iterator[tuple[str, str, Draw]]:
    """What is printed, the setting, and one repetition of it."""
    for points in (30, 256):
        yield "NLL of one flow", f"{points} points", one_flow(points)
    for chains in (3, 5, 20):
        yield "NLL of one flow", f"points of {chains} chains", one_flow_of_chains(chains)
    for number in (2, 3, 5, 10):
        for name, spreads in SPREADS.items():
            what = "NLL, difference, curve: same points"
            yield what, f"{number} seeds, {name}", seeds(number, spreads, shared=True, points=128)
        what = "NLL, difference, curve: own points"
        yield what, f"{number} seeds", seeds(number, (0.05, 0, 1.0), shared=False, points=128)
    for number in (1, 2, 3, 10):
        yield "controlled NLL, same points", f"{number} seeds", controlled(number, shared=True)
        yield "controlled NLL, own points", f"{number} seeds", controlled(number, shared=False)
    for number in (2, 3, 10):
        yield "controlled NLL, points of one file", f"{number} seeds", controlled_of_a_file(number)
    for scale in (1.1, 2.0, 5.0):
        for what in ("F", "⟨V⟩", "ΔF"):
            yield f"reweighted {what}", f"proposal {scale} times as wide", weighted(scale, what)
    yield "reweighted F, pooled", "3 seeds", weighted(2.0, "F", 3)
    yield "virial", "200 independent points", virial(None)
    for chains in (4, 20):
        yield "virial", f"{chains} chains", virial(chains)
    for number in (2, 8):
        yield "± probes", f"{number} probes", probes(number)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1_000)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    arguments = parser.parse_args()
    print("| what | setting | covered, % | ± |\n|---|---|---|---|")
    for what, setting, draw in cases():
        if arguments.only not in f"{what} {setting}":
            continue
        generator = np.random.default_rng(0)
        found = [draw(generator) for _ in range(arguments.repetitions)]
        share = np.mean([abs(off) < error for off, error in found])
        spread = np.sqrt(share * (1 - share) / len(found))
        print(f"| {what} | {setting} | {100 * share:.1f} | {100 * spread:.1f} |", flush=True)


if __name__ == "__main__":
    main()
