# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Your own energy, and its Hessian
#
# A valley that bends, as a function of one point; what its Hessian says there; and whether that pays. About a minute on two cores.

# %%
# %matplotlib inline
import os

import jax

import hiflow as hf
from hiflow import plotting

QUICK = bool(os.environ.get("HIFLOW_QUICK"))
STEPS = 3 if QUICK else 2_000
k_data, k_test, k_fit, k_draw = jax.random.split(jax.random.key(0), 4)


def valley(x):
    """In kT: soft along the bend, stiff across it."""
    return 0.5 * (x[0] / 1.2) ** 2 + 0.5 * ((x[1] - 0.5 * x[0] ** 2 + 1.0) / 0.2) ** 2


energy = hf.energies.FunctionEnergy(valley, shape=(2,))

# %% [markdown]
# ## Is it what it says it is?
#
# The kit checks the laws of every energy: finite, differentiable twice, invariant under the group that it names.

# %%
found = hf.testing.check_energy(energy, key=k_data, samples=100)
{law.name: law.violation for law in found.laws}

# %% [markdown]
# ## What the Hessian says

# %%
data = hf.data.sample(energy, key=k_data, size=60 if QUICK else 200, progress=False).points
train = data[:20]
plotting.eigenspaces(energy, train, length=0.4, half_width=3.5).figure

# %%
soft = hf.spectral.Absolute(shift=1.0)
maps = {"|λ| + 1": soft, "its mean rate": hf.spectral.MeanRate(soft)}
plotting.mapped_spectrum(maps, energy, data).figure

# %% [markdown]
# ## Does it pay?
#
# Twenty samples; the same end law with and without the Hessian's directions; and straight lines.

# %%
test = hf.data.sample(energy, key=k_test, size=60 if QUICK else 500, progress=False).points
arms = {
    "OT-FM": hf.paths.OptimalTransport(),
    "control": hf.paths.Relaxed(energy, step=0.5, curvature=hf.spectral.MeanRate(soft)),
    "HI-FM": hf.paths.Relaxed(energy, step=0.5, curvature=soft),
}
flows = {}
for name, path in arms.items():
    flows[name] = hf.fit("mlp", path, train, prior="normal", steps=STEPS, key=k_fit, progress=False)
    print(f"{name:8} {hf.metrics.negative_log_likelihood(flows[name], test)}")

# %% [markdown]
# The samples of the last one, made the energy's by weights; `doubt` says whether these can be trusted.

# %%
weighted = hf.metrics.importance_sample(
    flows["HI-FM"], energy, key=k_draw, size=20 if QUICK else 2_000
)
print(weighted, weighted.doubt)
plotting.histogram(weighted, energy, label="energy [kT]").figure
