"""Would the particle network gain from looking at near particles only? How many are near, times, error.

    taskset -c 0 python benchmarks/neighbours.py counts      # three minutes
    taskset -c 0 python benchmarks/neighbours.py times       # five minutes, on an idle machine
    taskset -c 0 python benchmarks/neighbours.py error       # twenty minutes

A network with a cutoff is exact on its K nearest neighbours if no more than K are ever inside. `counts`
says how many are inside, in lengths, on the way from a prior as wide as the data to Lennard-Jones
clusters, and at the prior how often they are more than K. `times` compares a forward pass, a gradient
and a velocity with its divergence on all pairs with those on K neighbours: `Near`, which lives only
here. `error` says what a cutoff does to the field and the NLL of an LJ13 flow that was trained without,
and what NLL flows reach that are trained with one. Everything is kept in neighbours.json.
"""

import argparse
import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _near import Near
from _timing import machine
from interleaved import seconds

import hiflow as hf
from hiflow._distances import pair_distances
from hiflow.testing import relaxed_points

KEY = jax.random.key(0)
CUTOFFS, TIMES = (1.5, 2.0, 2.5), (0.0, 0.25, 0.5, 0.75, 1.0)
SIZES, ROOM = (13, 22, 55, 147), (16, 32, 48, 64)
RESULTS = Path(__file__).parent / "neighbours.json"


def counts():
    """The most neighbours inside, and how many of 10,000 draws of the prior have more than K."""
    rows = []
    for particles in SIZES:
        energy = hf.energies.LennardJones(particles=particles)
        x1 = relaxed_points(energy, KEY, 8, steps=300)
        width = jnp.sqrt(jnp.mean(x1**2))
        prior = hf.priors.CentredNormal(particles, 3, scale=width)
        x0 = jax.vmap(prior.sample)(jax.random.split(KEY, len(x1)))
        pairing = hf.couplings.SymmetryAligned(energy.group)
        x0 = jax.jit(lambda a, b, pair=pairing: pair(a, b, KEY)[0])(x0, x1)
        for t in TIMES:
            found = most_inside((1 - t) * x0 + t * x1)
            rows.append({"particles": particles, "t": t, "most": found})
        many = [
            neighbours_inside(jax.vmap(prior.sample)(keys)).max(axis=1)
            for keys in jax.random.split(KEY, (20, 500))
        ]
        many = np.concatenate(many)
        rows.append(
            {
                "particles": particles,
                "draws of the prior": len(many),
                "most": {c: int(n) for c, n in zip(CUTOFFS, many.max(0), strict=True)},
                "share above": {
                    f"{c}, K = {k}": float((many[:, i] > k).mean())
                    for i, c in enumerate(CUTOFFS)
                    for k in ROOM
                    if k < particles - 1
                },
            }
        )
        print(*rows[-6:], sep="\n", flush=True)
    return rows


def neighbours_inside(x):
    """Of every configuration and particle, how many others are nearer than each cutoff."""
    particles = x.shape[1]
    i, j = np.triu_indices(particles, 1)
    distances = np.asarray(jax.vmap(pair_distances)(x))
    found = np.zeros((len(x), particles, len(CUTOFFS)), int)
    for k, cutoff in enumerate(CUTOFFS):
        row, pair = np.nonzero(distances < cutoff)
        np.add.at(found[..., k], (row, i[pair]), 1)
        np.add.at(found[..., k], (row, j[pair]), 1)
    return found


def most_inside(x):
    found = neighbours_inside(x).max(axis=(0, 1))
    return {c: int(n) for c, n in zip(CUTOFFS, found, strict=True)}


def times():
    """Milliseconds a point and ratios to all pairs, the median and quartiles of five rounds."""
    rows = []
    for particles in SIZES:
        batch = max(2, 13 * 13 * 64 // particles**2)
        network = hf.networks.EGNN(particles, 3, key=KEY)
        x = 1.5 * jax.random.normal(KEY, (batch, particles, 3))
        t = jnp.linspace(0.0, 1.0, batch)
        fields = {"all pairs": network}
        fields |= {f"K = {k}": Near(network, k, 2.0) for k in ROOM if k < particles - 1}
        programs = {f"forward, {name}": forward(field) for name, field in fields.items()}
        programs |= {f"gradient, {name}": gradient(field) for name, field in fields.items()}
        programs |= {f"divergence, {name}": divergence(field) for name, field in fields.items()}
        for name, field in fields.items():
            if isinstance(field, Near) and field.neighbours == 32:
                again = Near(network, field.neighbours, field.cutoff, gathered=True)
                programs[f"divergence, {name}, gathered"] = divergence(again)
        runs = {name: lambda f=f, t=t, x=x: f(t, x) for name, f in programs.items()}
        found = seconds(runs, 5)
        for name, taken in found.items():
            what = name.partition(",")[0]
            ratio = np.quantile(taken / found[f"{what}, all pairs"], (0.25, 0.5, 0.75)).round(2)
            each = round(1e3 * float(np.median(taken)) / batch, 3)
            rows.append({"particles": particles, "what": name, "ms": each, "ratio": ratio.tolist()})
            print(rows[-1], flush=True)
    return rows


def forward(field):
    return eqx.filter_jit(eqx.Partial(lambda f, t, x: jax.vmap(f)(t, x), field))


def gradient(field):
    def loss(field, t, x):
        return ((jax.vmap(field)(t, x) - x) ** 2).mean()

    return eqx.filter_jit(eqx.Partial(eqx.filter_grad(loss), field))


def divergence(field):
    return forward(field.velocity_and_divergence)


def error():
    """LJ13, 2,000 steps: the dense flow seen through cutoffs, and flows trained with them."""
    energy = hf.energies.LennardJones.preset("lj13")
    x = hf.data.sample(energy, key=KEY, size=5_000, progress=False).points
    x = jnp.asarray(x, jnp.float32)
    train, test = x[:4_800:8], x[4_800:4_864]
    prior = hf.priors.CentredNormal(13, 3)
    pairing = hf.couplings.SymmetryAligned(energy.group)
    t = jnp.linspace(0.02, 0.98, len(test))
    x0 = pairing(jax.vmap(prior.sample)(jax.random.split(KEY, len(test))), test, KEY)[0]
    between = (1 - t)[:, None, None] * x0 + t[:, None, None] * test

    def nll(network):
        flow = hf.Flow(prior, network)
        return -np.asarray(flow.log_prob(test, steps=16, chunk_size=32))

    def fitted(network):
        return hf.fit(
            network, "optimal-transport", train, prior=prior, coupling=pairing, steps=2_000,
            batch_size=64, key=jax.random.key(2), progress=False,
        ).network  # fmt: skip

    start = hf.networks.EGNN(13, 3, 32, 3, key=jax.random.key(1))
    dense = fitted(start)
    assert isinstance(dense, hf.networks.EGNN)
    v, own = jax.vmap(dense)(t, between), nll(dense)
    rows = [{"cutoff": None, "nll": mean(own)}]
    print(rows[-1], flush=True)
    for cutoff in (1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0):
        near = Near(dense, 12, cutoff)
        apart = jax.vmap(near)(t, between) - v
        row = {"cutoff": cutoff, "field": float(jnp.sqrt((apart**2).mean() / (v**2).mean()))}
        rows.append(row | {"nll minus dense": mean(nll(near) - own)})
        print(rows[-1], flush=True)
    for cutoff in (1.5, 2.0, 3.0):
        again = nll(fitted(Near(start, 12, cutoff)))
        rows.append({"trained with": cutoff, "nll minus dense": mean(again - own)})
        print(rows[-1], flush=True)
    return rows


def mean(values):
    """And its standard error."""
    return [round(float(values.mean()), 3), round(float(values.std() / len(values) ** 0.5), 3)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("counts", "times", "error"))
    part = parser.parse_args().part
    found = {"counts": counts, "times": times, "error": error}[part]()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept |= {part: found, f"machine of {part}": machine()}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
