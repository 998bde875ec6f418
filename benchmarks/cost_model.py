"""The cost model: formulas held against XLA's count of the same programs, and carried further.

    python benchmarks/cost_model.py      # two minutes; writes benchmarks/cost_model.md

XLA counts the operations of a program before it is optimised, and the bytes of the compiled program's
traffic and temporary arrays. It counts a loop's body once and a call of LAPACK not at all, so loops are
left out and decompositions are timed alone.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from _timing import interleaved, machine, pin


class Part(NamedTuple):
    """A program of a batch, and what the formulas say of one sample of it."""

    name: str
    formula: float
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    batch: int
    kept: float | None = None
    """Bytes that it keeps for its backward pass."""
    traffic: float | None = None
    """Bytes that it reads and writes."""


def parts(scale: int = 1, particles: tuple[int, ...] = (13,)) -> Iterator[Part]:
    """All parts that XLA can count, in batches so many times larger than the least."""
    yield from _dense_network(16 * scale)
    for count in particles:
        # About as many pairs in every batch.
        yield from _particle_network(count, max(2, round(4 * scale * (13 / count) ** 2)))
    yield from _image_network(2 * scale)
    yield from _paths(16 * scale)
    yield _optimiser()


def counted(part: Part) -> float:
    """XLA's operations per sample."""
    import jax

    analysis = jax.jit(part.function).lower(*part.arguments).cost_analysis()
    assert analysis is not None
    return analysis["flops"] / part.batch


def _dense_network(batch: int) -> Iterator[Part]:
    import _cost as c
    import jax

    import hiflow as hf

    mlp = {"dim": 39, "width": 128, "depth": 3}
    network = hf.networks.MLP(39, 128, 3, key=jax.random.key(0))
    forward, gradient, divergence = _programs(network)
    x, t = _inputs((39,), batch)
    given, kept = (network, t, x), c.mlp_activations(**mlp)
    yield Part("MLP 128×3, D = 39: forward", c.mlp_forward(**mlp), forward, given, batch)
    yield Part("MLP: gradient", c.mlp_gradient(**mlp), gradient, given, batch, kept)
    yield Part("MLP: exact divergence", c.mlp_divergence(**mlp), divergence, given, batch)


def _particle_network(particles: int, batch: int) -> Iterator[Part]:
    import _cost as c
    import jax

    import hiflow as hf

    egnn = {"particles": particles, "dim": 3, "width": 32, "depth": 3}
    network = hf.networks.EGNN(particles, dim=3, width=32, depth=3, key=jax.random.key(0))
    forward, gradient, divergence = _programs(network)
    x, t = _inputs((particles, 3), batch)
    name, given = f"EGNN 32×3, N = {particles}", (network, t, x)
    kept, traffic = c.egnn_activations(particles, 32, 3), c.egnn_traffic(particles, 32, 3)
    exact = c.egnn_divergence(**egnn)
    yield Part(f"{name}: forward", c.egnn_forward(**egnn), forward, given, batch)
    yield Part(f"{name}: gradient", c.egnn_gradient(**egnn), gradient, given, batch, kept, traffic)
    moved = c.DIVERGENCE_TRAFFIC * exact
    yield Part(f"{name}: exact divergence", exact, divergence, given, batch, traffic=moved)


def _image_network(batch: int) -> Iterator[Part]:
    import _cost as c
    import jax

    import hiflow as hf

    unet = {"side": 28, "channels": 1, **c.UNETS["tiny"]}
    network = hf.networks.UNet((28, 28), key=jax.random.key(0))
    forward, gradient, _ = _programs(network)
    x, t = _inputs((28, 28), batch)
    name, given = "U-Net tiny, 28×28", (network, t, x)
    kept, traffic = c.unet_activations(**unet), c.unet_traffic(**unet)
    yield Part(f"{name}: forward", c.unet_forward(**unet), forward, given, batch)
    yield Part(f"{name}: gradient", c.unet_gradient(**unet), gradient, given, batch, kept, traffic)


def _inputs(shape: tuple[int, ...], batch: int) -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp

    return jax.random.normal(jax.random.key(1), (batch, *shape)), jnp.linspace(0.0, 1.0, batch)


def _programs(network: Any) -> tuple[Callable[..., Any], ...]:
    """The forward pass, the gradient of a regression, and the exact divergence, of a batch."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import hiflow as hf

    _, static = eqx.partition(network, eqx.is_inexact_array)

    def forward(network: Any, t: Any, x: Any) -> Any:
        return jax.vmap(eqx.combine(network, static))(t, x)

    def gradient(network: Any, t: Any, x: Any) -> Any:
        return jax.grad(lambda n: jnp.mean((forward(n, t, x) - x) ** 2))(network)

    def divergence(network: Any, t: Any, x: Any) -> Any:
        field, exact = eqx.combine(network, static), hf.Exact()
        return jax.vmap(lambda s, y: exact(field, s, y, exact.draw(None, y)))(t, x)

    return forward, gradient, divergence


def _paths(batch: int) -> Iterator[Part]:
    import _cost as c
    import jax

    import hiflow as hf

    lj13, lj55 = (hf.energies.LennardJones.preset(name) for name in ("lj13", "lj55"))
    stiff = hf.energies.FunctionEnergy(lambda x: (x**4).sum(), shape=(64,))
    cases: list[tuple[str, Any, Any, int]] = [
        ("dense, LJ13", lj13, "analytic", 36),
        ("dense, LJ55", lj55, "analytic", 162),
        ("16 modes of 64", stiff, {"name": "lanczos", "k": 16}, 16),
        ("diagonal, D = 64", stiff, "diagonal", 0),
    ]
    for name, energy, hessian, modes in cases:
        path = hf.paths.Linearised(energy=energy, hessian=hessian, rates="saturating")
        x, t = _inputs(energy.event_shape, batch)
        anchors = jax.jit(jax.vmap(path.anchor))(x)
        yield Part(
            f"path, {name}", c.path_dense(x[0].size, modes),
            lambda y, a, s, p=path: jax.vmap(p.flow_and_velocity)(y, a, s), (x, anchors, t), batch,
        )  # fmt: skip


def _optimiser() -> Part:
    import _cost as c
    import jax
    import jax.numpy as jnp

    from hiflow.training._optimiser import Scheduled

    adam = Scheduled("adam", 1e-3, 100, 1.0, 1_000).transformation()
    weights = jnp.ones(10_000)
    state = adam.init(weights)

    def update(gradient: Any, state: Any, weights: Any, average: Any) -> Any:
        updates, memory = adam.update(gradient, state, weights)
        new = weights + updates
        return new, memory, jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b, average, new)

    return Part(
        "Adam, clipping and average, per parameter", c.optimiser(1), update,
        (weights, state, weights, weights), weights.size,
    )  # fmt: skip


def _measured(rounds: int) -> Iterator[str]:
    """A line per part: the formula, XLA's count, both kinds of bytes, and the time on this machine, the
    least of two passes through all parts, as others may use it too."""
    import jax

    every = list(parts(16, (13, 22, 55, 147)))
    programs = [jax.jit(part.function).lower(*part.arguments).compile() for part in every]
    least = dict.fromkeys((part.name for part in every), math.inf)
    for part, go in [*zip(every, programs, strict=True)] * 2:

        def run(part: Part = part, go: Any = go) -> None:
            jax.block_until_ready(go(*part.arguments))

        least[part.name] = min(least[part.name], *interleaved({"": run}, rounds)[""])
    for part, compiled in zip(every, programs, strict=True):
        seconds = least[part.name] / part.batch
        memory, analysis = compiled.memory_analysis(), compiled.cost_analysis()
        assert memory is not None
        assert analysis is not None
        kept = _against(part.kept, memory.temp_size_in_bytes / part.batch)
        moved = _against(part.traffic, analysis["bytes accessed"] / part.batch)
        yield (
            f"| {part.name} | {part.formula:.4g} | {counted(part) / part.formula:.2f} | {moved} "
            f"| {kept} | {1e6 * seconds:.3g} | {part.formula / seconds / 1e9:.2g} |"
        )


def _against(formula: float | None, found: float) -> str:
    return f"{found:.3g}" if formula is None else f"{found:.3g} ({found / formula:.2f})"


def _decompositions(rounds: int) -> Iterator[str]:
    """Of growing size: milliseconds, and the power of the size between a line and the one before."""
    import jax
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    rng, eigh = np.random.default_rng(0), jax.jit(jax.numpy.linalg.eigh)

    def eigenpairs(size: int) -> Callable[[], object]:
        a = jax.numpy.asarray(rng.normal(size=(size, size)), "float32")
        symmetric = a + a.T
        return lambda: jax.block_until_ready(eigh(symmetric))

    def assignment(size: int) -> Callable[[], object]:
        x, y = rng.normal(size=(2, size, 39))
        cost = ((x[:, None] - y[None]) ** 2).sum(-1)
        return lambda: linear_sum_assignment(cost)

    for name, make, sizes in (
        ("eigendecomposition, D", eigenpairs, (39, 66, 165, 441, 784)),
        ("assignment by SciPy, batch", assignment, (128, 256, 512, 1024)),
    ):
        times = interleaved({str(size): make(size) for size in sizes}, rounds)
        least = {size: min(times[str(size)]) for size in sizes}
        for before, size in zip((0, *sizes), sizes, strict=False):
            slope = math.log(least[size] / least[before], size / before) if before else None
            power = "" if slope is None else f"{slope:.1f}"
            yield f"| {name} = {size} | {1e3 * least[size]:.3g} | {power} |"


def main() -> None:
    """Write the page's tables."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=0, help="the core to stay on")
    parser.add_argument("--output", type=Path, default=here / "cost_model.md")
    options = parser.parse_args()
    pin(options.core)
    import _extrapolation

    found = ["<!-- --8<-- [start:measured] -->"]
    for line in _lines(options.rounds):
        print(line, flush=True)
        found.append(line)
    said = ", ".join(f"{name} {value}" for name, value in machine().items())
    found += ["", f"One core of: {said}.", "<!-- --8<-- [end:measured] -->", ""]
    found += ["<!-- --8<-- [start:larger] -->", *_extrapolation.lines()]
    found += ["<!-- --8<-- [end:larger] -->"]
    options.output.write_text("\n".join(found) + "\n")


def _lines(rounds: int) -> Iterator[str]:
    yield "| part | operations | XLA's, of that | bytes moved | bytes kept | µs | operations/ns |"
    yield "|---|---|---|---|---|---|---|"
    yield from _measured(rounds)
    yield from ("", "| alone | ms | power |", "|---|---|---|")
    yield from _decompositions(rounds)


if __name__ == "__main__":
    main()
