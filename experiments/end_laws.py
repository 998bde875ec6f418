r"""How biased an end law is, before anything is trained: its energy and virial at thermal samples.

    python experiments/end_laws.py experiments/lj13/lj13.toml
    python experiments/end_laws.py experiments/dw4/dw4.toml

Averaged over thermal samples an unbiased end law has the samples' own mean energy and virial, whatever
its spread. Prints a table over the Hessian (at the sample, or at the minimum), the shift h of the
curvature |λ| + h and the step s of `Relaxed`: look for a virial like the data's at a large displacement.
"""

import sys

import jax
import jax.numpy as jnp

import hiflow as hf
from hiflow import experiments

POINTS = 2_000


def main(file):
    """Print the table."""
    experiment = experiments.read(file)
    energy = experiments.make_energy(experiment)
    if energy is None:
        raise SystemExit(f"{file}: has no [energy] whose end laws could be looked at.")
    prior = hf.priors.CentredNormal(*energy.event_shape)
    points, _ = experiments.make_data(experiment, energy, 0, progress=False)
    points = points[:POINTS]
    print("| Hessian | h | s | mean V | virial | displacement |\n|---|---|---|---|---|---|")
    row("none: the data", "", "", energy, points, points)
    for name in ("analytic", "quenched"):
        hessian = hf.hessians.registry.make(name)
        spectra = jax.lax.map(lambda x: hessian.spectrum(energy, x), points, batch_size=256)  # noqa: B023
        for h in (1.0, 30.0, 100.0, 300.0):
            for s in (0.1, 0.3, 1.0):
                path = hf.paths.Relaxed(energy, hessian, {"name": "absolute", "shift": h}, step=s)
                anchors = jax.jit(jax.vmap(path.anchor_from))(spectra, points)
                ends = hf.paths.end_law_samples(path, anchors, prior, key=jax.random.key(0))
                row(name, f"{h:g}", f"{s:g}", energy, points, ends)


def row(name, h, s, energy, points, ends):
    """One line of the table."""
    mean = float(jnp.mean(jax.vmap(energy)(ends)))
    virial = hf.data.check_virial(energy, ends)
    moved = float(jnp.mean(jnp.sqrt(jnp.sum((ends - points) ** 2, axis=(1, 2)))))
    cells = [
        name,
        h,
        s,
        f"{mean:.2f}",
        f"{virial.mean:.1f} ± {virial.standard_error:.1f}",
        f"{moved:.2f}",
    ]
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
