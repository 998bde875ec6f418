"""hiflow's side of every row, through its public functions alone."""

import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import hiflow as hf
from _peers import problem
from _peers.problem import Sizes

_keys = iter(jax.random.split(jax.random.key(0), 10_000))


def mlp(weights: problem.Weights, **shape: Any) -> Any:
    """The common network in hiflow."""
    size: Any = shape.pop("shape", problem.DIM)
    network = hf.networks.MLP(size, problem.WIDTH, problem.DEPTH, key=jax.random.key(0), **shape)
    arrays = [jnp.asarray(a) for pair in weights for a in pair]
    return eqx.tree_at(lambda n: [a for m in n.layers for a in (m.weight, m.bias)], network, arrays)


def parameters(network: Any) -> int:
    """How many it has."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array)))


def training(
    network: Any, path: Any, points: Any, prior: Any, sizes: Sizes, **settings: Any
) -> Any:
    """`fit`, of which its own account of the seconds spent in steps is taken: what is compiled, and
    what is done once before the first step, is left out."""
    rows: list[dict[str, Any]] = []

    def run() -> dict[str, float]:
        # A key of its own, or the pairs of the last run would be found.
        hf.fit(
            network, path, points, prior=prior, key=next(_keys), steps=sizes["steps"],
            batch_size=sizes["batch"], callbacks=[rows.append], progress=False, **settings,
        )  # fmt: skip
        return {"seconds": rows[-1]["seconds"] / sizes["steps"]}

    return run


def step(sizes: Sizes, **settings: Any) -> Any:
    """Optimal-transport flow matching with an MLP."""
    network, prior = mlp(problem.initial_weights()), hf.priors.Normal((problem.DIM,))
    path = hf.paths.OptimalTransport()
    run = training(network, path, problem.points(), prior, sizes, **settings)
    facts = {"parameters": parameters(network), "velocity": problem.probe(sizes, _batched(network))}
    return run, facts


def ot_step(sizes: Sizes) -> Any:
    """The same with minibatch optimal transport."""
    return step(sizes, coupling="minibatch-ot")


def _batched(network: Any) -> Any:
    return lambda t, x: jax.vmap(network, (None, 0))(jnp.asarray(t), jnp.asarray(x))


def _clusters_step(path: Any, network: Any, sizes: Sizes) -> Any:
    prior = hf.priors.CentredNormal(particles=13, dim=3)
    run = training(network, path, _lennard_jones().points, prior, sizes)
    return run, {"parameters": parameters(network)}


def _centred_mlp() -> Any:
    group = hf.priors.CentredNormal(particles=13, dim=3).group
    return mlp(problem.initial_weights(), shape=(13, 3), projects_on=group)


def isotropic_step(sizes: Sizes) -> Any:
    """As `step`, for 13 particles."""
    return _clusters_step(hf.paths.OptimalTransport(), _centred_mlp(), sizes)


def linearised_step(sizes: Sizes) -> Any:
    """The spectral path without an end law, a dense basis at every point."""
    return _clusters_step(_spectral(hf.paths.Linearised, rates="saturating"), _centred_mlp(), sizes)


def langevin_step(sizes: Sizes) -> Any:
    """The spectral path with a Laplace law at its end, a dense basis at every point."""
    return _clusters_step(_spectral(hf.paths.Langevin), _centred_mlp(), sizes)


def _lennard_jones() -> Any:
    """Samples, which hiflow's own cache keeps."""
    energy = hf.energies.LennardJones.preset("lj13")
    return hf.data.sample(energy, key=jax.random.key(8), size=2_048, chains=128, progress=False)


def _spectral(path: Any, **settings: Any) -> Any:
    energy = hf.energies.LennardJones.preset("lj13")
    return path(energy=energy, hessian="analytic", **settings)


def egnn_step(sizes: Sizes) -> Any:
    """Optimal-transport flow matching with the particle network."""
    network = hf.networks.EGNN(particles=13, dim=3, key=jax.random.key(0))
    return _clusters_step(hf.paths.OptimalTransport(), network, sizes)


def ot(sizes: Sizes) -> Any:
    """The coupling of one batch."""
    x0, x1 = problem.clusters(13, sizes["batch"], 4), problem.clusters(13, sizes["batch"], 5)
    coupling = hf.couplings.MinibatchOT()
    return _coupled(coupling, x0, x1)


def align(sizes: Sizes) -> Any:
    """Every pair brought near to each other by rotations, reflections and exchange."""
    particles = sizes["particles"]
    x0, x1 = (problem.clusters(particles, sizes["pairs"], seed) for seed in (6, 7))
    group = hf.groups.Product(("permutation", {"name": "rotation", "reflections": True}))
    return _coupled(hf.couplings.SymmetryAligned(group), x0, x1)


def _coupled(coupling: Any, x0: np.ndarray, x1: np.ndarray) -> Any:
    pair = jax.jit(lambda a, b, key: coupling(a, b, key)[0])
    a, b, key = jnp.asarray(x0), jnp.asarray(x1), jax.random.key(0)
    cost = float(np.sum((np.asarray(pair(a, b, key)) - x1) ** 2))
    return (lambda: jax.block_until_ready(pair(a, b, key)) is None), {"cost": cost}


def sample(sizes: Sizes, **settings: Any) -> Any:
    """From given prior samples, to a tolerance of 1e-4."""
    weights, start, end = problem.trained(sizes)
    flow = hf.Flow(hf.priors.Normal((problem.DIM,)), mlp(weights), rtol=1e-4, atol=1e-4, **settings)
    x0 = jnp.asarray(start)
    facts = {"parameters": problem.count(weights), "error": problem.error(end, flow.push(x0))}
    return (lambda: jax.block_until_ready(flow.push(x0)) is None), facts


def sample_dopri5(sizes: Sizes) -> Any:
    """The same by the method of Dormand and Prince."""
    return sample(sizes, method="Dopri5")


def likelihood(sizes: Sizes, **settings: Any) -> Any:
    """50 midpoint steps and the exact divergence."""
    weights, _, _ = problem.trained(sizes)
    flow = hf.Flow(
        hf.priors.Normal((problem.DIM,)), mlp(weights), method="Midpoint", steps=sizes["steps"],
        **settings,
    )  # fmt: skip
    x = jnp.asarray(problem.points(sizes["points"]))

    def run() -> Any:
        return jax.block_until_ready(flow.log_prob(x, key=jax.random.key(0)))

    facts = {"parameters": problem.count(weights), "log_prob": float(run().mean())}
    return (lambda: run() is None), facts


def hutchinson(sizes: Sizes) -> Any:
    """The same with one probe per point."""
    run, facts = likelihood(sizes, divergence="hutchinson")
    return run, facts | {"noisy_log_prob": facts.pop("log_prob")}


def lanes_mlp(sizes: Sizes) -> Any:
    """An adaptive likelihood, in seconds per evaluation that a sample needs."""
    return _per_evaluation(_centred_flow(sizes, "mlp"), {"rtol": 1e-4, "atol": 1e-4})


def lanes_mlp_fixed(sizes: Sizes) -> Any:
    """The same with equal steps, where every sample needs all that is executed."""
    return _per_evaluation(_centred_flow(sizes, "mlp"), {"steps": 12})


def lanes_egnn(sizes: Sizes) -> Any:
    """As `lanes_mlp` with the particle network."""
    return _per_evaluation(_centred_flow(sizes, "egnn"), {"rtol": 1e-4, "atol": 1e-4})


def lanes_egnn_fixed(sizes: Sizes) -> Any:
    """As `lanes_mlp_fixed` with the particle network."""
    return _per_evaluation(_centred_flow(sizes, "egnn"), {"steps": 12})


def _per_evaluation(made: tuple[Any, Any], settings: dict[str, Any]) -> Any:
    flow, x = made

    def run() -> dict[str, float]:
        begun = time.perf_counter()
        _, stats = jax.block_until_ready(flow.log_prob_and_stats(x, **settings))
        return {"seconds": (time.perf_counter() - begun) / float(stats.nfe.sum())}

    return run, {}


def _centred_flow(sizes: Sizes, kind: str) -> tuple[Any, Any]:
    """A flow that was trained a little on Lennard-Jones particles, and some of those."""
    prior, size = hf.priors.CentredNormal(particles=13, dim=3), sizes["points"]
    data = _lennard_jones()
    file = Path(sizes["folder"]) / f"lanes-{kind}-{sizes['train']}.flow"
    if not file.exists():
        egnn = hf.networks.EGNN(particles=13, dim=3, key=jax.random.key(0))
        flow = hf.fit(
            egnn if kind == "egnn" else _centred_mlp(), hf.paths.OptimalTransport(), data.points,
            prior=prior, key=jax.random.key(9), steps=sizes["train"], batch_size=128, progress=False,
        )  # fmt: skip
        flow.save(file)
    return hf.load(file), data.points[:size]


def train(sizes: Sizes) -> Any:
    """The trained weights that rows of sampling and likelihood use, made once."""
    folder = Path(sizes["folder"])
    if not (folder / "trained.npz").exists():
        network, prior = mlp(problem.initial_weights()), hf.priors.Normal((problem.DIM,))
        flow = hf.fit(
            network, hf.paths.OptimalTransport(), problem.points(), prior=prior,
            key=jax.random.key(7), steps=1_000, batch_size=256, progress=False,
        )  # fmt: skip
        layers: Any = flow.network
        weights = [(np.asarray(m.weight), np.asarray(m.bias)) for m in layers.layers]
        problem.save_trained(folder, weights, 1_024)
    return (lambda: None), {}


VARIANTS = {
    name: make
    for name, make in list(globals().items())
    if callable(make) and getattr(make, "__module__", None) == __name__ and not name.startswith("_")
}
