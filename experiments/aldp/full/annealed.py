"""Free energies from samples of the cells' flows, annealed: `python annealed.py RUNS`.

A density is fitted to a flow's samples without densities, in internal coordinates: Gaussians with full
covariances, one of φ > 0 and several of the rest, and uniform torsions of methyl groups. Samples of it
are annealed to the energy by trajectories that take forces alone. Each population is on disk before the
next is begun. Writes annealed.json and annealed.md beside itself.
"""

import argparse
import json
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from cell_files import replace, samples
from internal import METHYLS, PHI, PHI_0, PSI, START, Internal, Scaled
from jaxtyping import Array, Bool, Float

import hiflow as hf
from hiflow_openmm import OpenMMEnergy, same_chirality

HERE = Path(__file__).parent
KT = 2.494  # kJ/mol, at 300 K
SHORT = {"ot": "OT-FM", "relaxed": "`Relaxed`", "force": "bridge, force"}
CELLS = ["ot-92800-0", "relaxed-92800-0", "ot-100-0", "relaxed-100-0"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, help="a folder of cells, with their samples")
    parser.add_argument("--cells", nargs="+", default=CELLS)
    parser.add_argument("--size", type=int, default=2_000, help="of a population")
    parser.add_argument("--populations", type=int, default=4)
    parser.add_argument("--moves", type=int, default=3)
    parser.add_argument("--leapfrog-steps", type=int, default=8)
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args()
    energy = OpenMMEnergy.preset("aldp", temperature=300.0, reflections=False)
    internal = Internal(energy.positions)
    file = given.out / "annealed.json"
    rows = json.loads(file.read_text()) if file.exists() else []
    done = {(row["cell"], row["seed"]) for row in rows}
    for seed in range(given.populations):
        for cell in given.cells:
            if (cell, seed) in done:
                continue
            begun = time.process_time()
            start, scaled, share = started(internal, energy, samples(given.runs / cell)["plain"])
            row = {"cell": cell, "seed": seed, "size": given.size, "share_of_samples": share}
            for side, name in ((-1, "left"), (1, "right")):
                row[name] = population(start.only(side), scaled, side, given, seed)
            value = row["right"]["f"] - row["left"]["f"]
            error = float(np.hypot(row["right"]["f_se"], row["left"]["f_se"]))
            row |= {"delta_f": value, "delta_f_se": error}
            row["f"] = float(-np.logaddexp(-row["left"]["f"], -row["right"]["f"]))
            row["seconds"] = time.process_time() - begun
            rows.append(row)
            text = json.dumps(rows, indent=1).encode() + b"\n"
            replace(file, lambda to, text=text: to.write(text))
            (given.out / "annealed.md").write_text(table(rows), encoding="utf-8")
            print({k: v for k, v in row.items() if not isinstance(v, list)}, flush=True)


class Start(eqx.Module):
    """A density of the scaled internal coordinates, with the methods of a flow."""

    log_weights: Float[Array, " m"]
    means: Float[Array, "m dim"]
    roots: Float[Array, "m dim dim"]
    """Cholesky factors of the covariances."""
    whitening: Float[Array, "m dim dim"]
    """Their inverses."""
    turning: Float[Array, " methyls"]
    """The scales of the methyl groups' torsions, which are uniform on the circle."""

    right: Bool[Array, " m"]
    """Which of the Gaussians is that of φ > 0."""

    def only(self, side: int) -> "Start":
        """With the Gaussians of one side."""
        kept = jnp.where(self.right == (side > 0), self.log_weights, -jnp.inf)
        return eqx.tree_at(lambda s: s.log_weights, self, jax.nn.log_softmax(kept))

    @property
    def prior(self) -> hf.priors.Normal:
        return hf.priors.Normal(self.means.shape[1] + len(METHYLS))

    def sample_and_log_prob(self, key, size, **_):
        key_which, key_noise, key_turn = jax.random.split(key, 3)
        j = jax.random.categorical(key_which, self.log_weights, shape=(size,))
        noise = jax.random.normal(key_noise, (size, self.means.shape[1]))
        rest = self.means[j] + jnp.einsum("nij,nj->ni", self.roots[j], noise)
        angle = jax.random.uniform(key_turn, (size, len(METHYLS)), minval=-np.pi, maxval=np.pi)
        y = jnp.zeros((size, rest.shape[1] + len(METHYLS)))
        y = y.at[:, others()].set(rest).at[:, methyls()].set(angle / self.turning)
        return y, self.log_prob(y)

    def log_prob(self, x, **_):
        return jax.vmap(self._one)(x)

    def _one(self, y: Float[Array, " 60"]) -> Float[Array, ""]:
        offset = y[others()] - self.means
        white = jnp.einsum("mij,mj->mi", self.whitening, offset)
        size = jnp.sum(jnp.log(jnp.diagonal(self.roots, axis1=1, axis2=2)), axis=1)
        joint = self.log_weights - jnp.sum(white**2, axis=1) / 2 - size
        joint -= offset.shape[1] / 2 * np.log(2 * np.pi)
        turn = jnp.sum(jnp.log(self.turning)) - len(METHYLS) * np.log(2 * np.pi)
        return jax.nn.logsumexp(joint) + turn


def methyls() -> np.ndarray:
    return START + np.asarray(METHYLS)


def others() -> np.ndarray:
    return np.setdiff1d(np.arange(60), methyls())


def started(internal: Internal, energy: OpenMMEnergy, x: np.ndarray, clusters: int = 6):
    """The start, the energy of its coordinates, and the share of samples that it was fitted to: of the
    right handedness, within the walls, and not wildly off."""
    z = internal.of(jnp.asarray(x))
    value = jax.vmap(energy)(jnp.asarray(x))
    kept = same_chirality(energy, jnp.asarray(x)) & internal.inside(z)
    kept = np.asarray(kept & (value < jnp.median(value) + 60))
    z = np.asarray(z, np.float64)[kept]
    mean, scale = z.mean(axis=0), z.std(axis=0)
    mean[methyls()] = 0
    y = (z - mean) / scale
    torsions = z[:, [START + PHI, START + PSI]]
    label = np.where(torsions[:, 0] > PHI_0, clusters, grouped(torsions, clusters))
    used = [k for k in range(clusters + 1) if np.sum(label == k) > 20]
    parts = [y[label == k][:, others()] for k in used]
    total = sum(map(len, parts))
    roots = [np.linalg.cholesky(shrunk(part)) for part in parts]
    start = Start(
        jnp.log(jnp.asarray([len(part) / total for part in parts], jnp.float32)),
        jnp.asarray(np.array([part.mean(axis=0) for part in parts]), jnp.float32),
        jnp.asarray(np.array(roots), jnp.float32),
        jnp.asarray(np.linalg.inv(roots), jnp.float32),
        jnp.asarray(scale[methyls()], jnp.float32),
        jnp.asarray([k == clusters for k in used]),
    )
    mean, scale = (jnp.asarray(each, jnp.float32) for each in (mean, scale))
    return start, Scaled(energy, internal, mean, scale, jnp.ones(())), float(kept.mean())


def shrunk(part: Float[np.ndarray, "n dim"]) -> np.ndarray:
    """A covariance, the nearer to its diagonal the fewer the points."""
    found, weight = np.cov(part.T), len(part) / (len(part) + 57)
    return weight * found + (1 - weight) * np.diag(np.diag(found))


def grouped(points: Float[np.ndarray, "n 2"], number: int) -> np.ndarray:
    """By k-means, from points that are far from each other; of φ < 0 alone."""
    left = points[points[:, 0] <= PHI_0]
    centres = left[:1]
    for _ in range(number - 1):
        apart = np.linalg.norm(left[:, None] - centres[None], axis=2).min(axis=1)
        centres = np.concatenate([centres, left[np.argmax(apart)][None]])
    for _ in range(30):
        nearest = np.linalg.norm(left[:, None] - centres[None], axis=2).argmin(axis=1)
        centres = np.array(
            [
                left[nearest == k].mean(axis=0) if np.any(nearest == k) else centres[k]
                for k in range(number)
            ]
        )
    return np.linalg.norm(points[:, None] - centres[None], axis=2).argmin(axis=1)


def population(start: Start, scaled: Scaled, side: int, given, seed: int) -> dict:
    """One population's figures, on one side of φ = 0."""
    scaled = eqx.tree_at(lambda s: s.side, scaled, jnp.asarray(float(side)))
    target = hf.energies.FunctionEnergy(scaled, shape=60)
    plain = hf.metrics.importance_sample(
        start, target, key=jax.random.key(100 + seed), size=given.size
    )
    found = hf.metrics.anneal(
        start, target, key=jax.random.key(seed), size=given.size, temperatures="adaptive",
        moves=given.moves, leapfrog_steps=given.leapfrog_steps,
    )  # fmt: skip
    print(found, found.doubt, flush=True)
    free, error = found.samples.free_energy
    return {
        "temperatures": len(found.ess), "drawn_anew": found.drawn_anew, "ess_before": plain.ess,
        "pareto_k_before": plain.pareto_k, "ess": found.samples.ess,
        "pareto_k": max(found.pareto_ks), "families": found.families,
        "acceptance": float(np.mean(found.acceptance)), "f": free, "f_se": error,
        "inverse_temperatures": found.inverse_temperatures, "pareto_ks": found.pareto_ks,
    }  # fmt: skip


def table(rows: list[dict]) -> str:
    """A line per cell, errors over its populations."""
    lines = [
        "| frames | arm | pairs of populations | before: ESS, k̂ | temperatures | ESS | largest k̂ "
        "| families | ΔF in kT | ΔF in kJ/mol | F in kT |",
        "|---:|---|---|---|---:|---:|---:|---:|---|---|---|",
    ]
    for cell in [*dict.fromkeys(row["cell"] for row in rows), "all"]:
        mine = [row for row in rows if cell in (row["cell"], "all")]
        sides = [row[name] for row in mine for name in ("left", "right")]
        arm, frames = cell.split("-")[:2] if "-" in cell else ("", "all")
        value, error = over(mine, "delta_f")
        free, free_error = over(mine, "f")
        ess = [np.mean([side[name] for side in sides]) for name in ("ess_before", "ess")]
        number = [np.mean([side[name] for side in sides]) for name in ("temperatures", "families")]
        worst = [max(side[name] for side in sides) for name in ("pareto_k_before", "pareto_k")]
        cells = [
            frames if frames == "all" else f"{int(frames):,}", SHORT.get(arm, ""),
            f"{len(mine)} × 2 of {mine[0]['size']:,}", f"{100 * ess[0]:.1f} %, {worst[0]:.1f}",
            f"{number[0]:.0f}", f"{100 * ess[1]:.0f} %", f"{worst[1]:.2f}", f"{number[1]:.0f}",
            f"{value:.2f} ± {error:.2f}", f"{KT * value:.2f} ± {KT * error:.2f}",
            f"{free:.2f} ± {free_error:.2f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def over(rows: list[dict], name: str) -> tuple[float, float]:
    """Mean and its error, by the spread of three populations or more, else by their own errors."""
    values = np.array([row[name] for row in rows])
    if len(values) > 2:
        return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    sides = np.array([[row[side]["f_se"] for side in ("left", "right")] for row in rows])
    # Nearly all of Z is of the left.
    each = np.hypot(*sides.T) if name == "delta_f" else sides[:, 0]
    return float(values.mean()), float(np.sqrt(np.sum(each**2)) / len(each))


if __name__ == "__main__":
    main()
