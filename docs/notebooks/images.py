# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Images
#
# Digits of 8×8 pixels, an energy that is fitted to them, and what a flow samples. Needs scikit-learn (`pip install
# 'hiflow-jax[images]'`). A few minutes on two cores.

# %%
# %matplotlib inline
import os

import jax
import jax.numpy as jnp

import hiflow as hf
from hiflow import plotting

QUICK = bool(os.environ.get("HIFLOW_QUICK"))
STEPS = 2 if QUICK else 3_000
key = jax.random.key(0)

train, test = hf.data.images("digits")
print(train.shape, train.min(), train.max())

# %% [markdown]
# Pixels are whole numbers, and a density wants real ones: noise fills the levels, and a logit takes them to the line. The
# transform knows its log-determinant, so likelihoods become bits per pixel.

# %%
pixels = hf.data.PixelTransform(levels=17, alpha=1e-3, shift=-1.0, scale=2.5)
k_train, k_test = jax.random.split(key)
z_train = pixels.forward(pixels.dequantise(train, key=k_train))
z_test = pixels.forward(pixels.dequantise(test, key=k_test))

# %% [markdown]
# Nobody knows the energy of digits, so one is fitted: a Gaussian with 16 directions of its own. Its Hessian says which
# changes of an image are common.

# %%
energy = hf.energies.FittedGaussian.fit(z_train, rank=16)
path = hf.paths.Relaxed(
    energy, hessian="shared-basis", curvature=hf.spectral.Absolute(shift=0.01), step=0.3
)
network = hf.networks.MLP((8, 8), width=8 if QUICK else 256, depth=2, key=key)
flow = hf.fit(network, path, z_train, prior="normal", steps=STEPS, key=key)

# %%
count, steps = (4, 2) if QUICK else (100, 16)
probes = hf.divergences.Hutchinson(probes=1)
nll = hf.metrics.negative_log_likelihood(flow, z_test[:count], divergence=probes, steps=steps)
bits = jax.vmap(pixels.bits_per_dim)(jnp.asarray(nll.log_prob), z_test[:count])
print(f"{nll.nll:.1f} ± {nll.nll_se:.1f} nats, {bits.mean():.2f} bits per pixel")

# %%
drawn = pixels.to_pixels(flow.sample(key, 12, steps=steps))
plotting.image_grids({"data": jnp.asarray(train[:12]), "flow": drawn}, 17)
