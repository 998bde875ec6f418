# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A molecule
#
# Water, by a calculator of ASE: its vibrations, and what they make of a conditional flow. Needs the plug-in (`pip install
# hiflow-ase`). Half a minute.

# %%
# %matplotlib inline
import os

import jax
import jax.numpy as jnp
import numpy as np
from ase.build import molecule
from matplotlib.figure import Figure

import hiflow as hf
from hiflow import plotting
from hiflow_ase import AseEnergy, frequencies, relax

QUICK = bool(os.environ.get("HIFLOW_QUICK"))
key = jax.random.key(0)

energy = AseEnergy(molecule("H2O"), calculator="emt", temperature=300.0)
minimum = relax(energy, energy.atoms.positions)
print(energy.units)
print(np.round(frequencies(energy, minimum)[6:]), "cm⁻¹")

# %% [markdown]
# The Hessian at the minimum, in kT/Å²: two stretches, one bend, and rotations that cost nothing.

# %%
x1 = energy.group.project(jnp.asarray(minimum))[None]
plotting.spectrum(energy, x1, hessian="analytic").figure

# %% [markdown]
# ## A conditional flow, isotropic and Hessian-informed
#
# Noise relaxes onto the molecule; drawn are the two O–H distances.

# %%
prior = hf.priors.CentredNormal(particles=3, dim=3)
x0 = jax.vmap(prior.sample)(jax.random.split(key, 3 if QUICK else 12))
paths = {
    "isotropic": hf.paths.OptimalTransport(group=energy.group),
    "Hessian-informed": hf.paths.Linearised(energy, hessian="analytic"),
}
times = jnp.linspace(0, 1, 5 if QUICK else 60)
figure = Figure(figsize=(9, 4.2), layout="constrained")
for ax, (name, path) in zip(figure.subplots(1, 2, sharey=True), paths.items(), strict=True):
    anchor = path.anchor(x1[0])

    def way(start, path=path, anchor=anchor):
        return jax.vmap(lambda t: path.flow(start, anchor, t))(times)

    lengths = hf.coordinates.bond_lengths(jax.vmap(way)(x0), [(0, 1), (0, 2)])
    for each in np.asarray(lengths):
        ax.plot(*each.T, color=plotting.COLOURS[0], linewidth=1)
        ax.plot(*each[0], "o", color="white", markeredgecolor=plotting.COLOURS[0])
    ax.plot(*np.asarray(lengths)[0, -1], "k*", markersize=12)
    ax.set(title=name, xlabel="O–H distance [Å]", ylabel="other O–H distance [Å]")
    ax.label_outer()
figure

# %% [markdown]
# From here on it is as with any other energy: `hiflow train water-quick` trains a flow on samples of it.
