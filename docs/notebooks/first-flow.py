# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A first flow
#
# Twenty samples of a ring, two flows trained on them, and their likelihood beside the best possible one. About two minutes on two
# cores.

# %%
# %matplotlib inline
import os

import jax
import jax.numpy as jnp
from matplotlib.figure import Figure

import hiflow as hf
from hiflow import plotting

QUICK = bool(os.environ.get("HIFLOW_QUICK"))  # A few steps, to see whether it runs.
STEPS = 3 if QUICK else 4_000
k_train, k_test, k_net, k_fit, k_draw = jax.random.split(jax.random.key(0), 5)

energy = hf.energies.Ring(radius=2.0, width=0.25)
train = hf.data.sample(energy, key=k_train, size=20, progress=False).points
test = hf.data.sample(energy, key=k_test, size=10 if QUICK else 500, progress=False).points
floor = hf.metrics.Floor.of(energy)
print(f"{len(train)} samples to train on; no model has an NLL below {floor}")

# %% [markdown]
# ## Two ways from noise to data
#
# Straight lines onto each sample; and onto each sample's Laplace law, which spreads it along the ring.

# %%
paths = {
    "OT-FM": hf.paths.OptimalTransport(),
    "HI-FM": hf.paths.Langevin(energy, curvature=hf.spectral.Absolute(shift=1.0)),
}
x0 = jax.random.normal(k_draw, (8, 2))
figure = Figure(figsize=(9, 4.4), layout="constrained")
for ax, (name, path) in zip(figure.subplots(1, 2), paths.items(), strict=True):
    plotting.conditional_flow(path, train[:3], x0, energy=energy, half_width=3.2, ax=ax)
    ax.set_title(name)
figure

# %% [markdown]
# ## Train, and score

# %%
flows = {}
for name, path in paths.items():
    flows[name] = hf.fit("mlp", path, train, prior="normal", steps=STEPS, key=k_fit)
    print(name, hf.metrics.negative_log_likelihood(flows[name], test))

# %%
plotting.densities_in_the_plane(flows, train, energy=energy, resolution=8 if QUICK else 90)

# %% [markdown]
# ## Look inside
#
# Samples on their way, and the velocity in the middle of it.

# %%
figure = Figure(figsize=(10, 4.4), layout="constrained")
left, right = figure.subplots(1, 2)
plotting.trajectories(flows["HI-FM"], key=k_draw, size=5 if QUICK else 60, energy=energy, ax=left)
plotting.vector_field(flows["HI-FM"], 0.5, energy=energy, ax=right)
figure

# %% [markdown]
# The flow goes both ways, and prints in a few lines.

# %%
flow = flows["HI-FM"]
x = flow.sample(k_draw, 5)
print(jnp.abs(flow.push(flow.pull(x)) - x).max())
flow
