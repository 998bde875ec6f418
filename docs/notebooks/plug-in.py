# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A component of your own
#
# A spectral map of four lines: registered, checked, drawn, used by name. As a package of its own,
# [it is a plug-in](../extend/plugin.md).

# %%
# %matplotlib inline
import os

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import hiflow as hf
from hiflow import plotting

QUICK = bool(os.environ.get("HIFLOW_QUICK"))
key = jax.random.key(0)


@hf.spectral.registry.register("my-logarithm")
class Logarithm(hf.spectral.AbstractSpectralMap):
    r"""$1 + \log(1 + |\lambda|/h)$: stiff modes are faster, but hardly."""

    scale: Float[Array, ""] = eqx.field(
        converter=lambda value: jnp.asarray(value, float), default=10.0
    )

    @property
    def lower_bound(self) -> Float[Array, ""]:
        """No rate is below 1."""
        return jnp.ones(())

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        return 1 + jnp.log1p(jnp.abs(eigenvalues) / self.scale)


# %% [markdown]
# ## Check it
#
# The laws of the family, with the largest violation of each. A broken one raises, and says where.

# %%
found = hf.testing.check_spectral_map(Logarithm(), ordered=False)
{law.name: law.violation for law in found.laws}

# %% [markdown]
# ## See what it does

# %%
energy = hf.energies.LennardJones.preset("lj13")
points = hf.testing.relaxed_points(energy, key, 4 if QUICK else 30)
maps = {"mine": Logarithm(), "saturating": hf.spectral.Saturating()}
plotting.mapped_spectrum(maps, energy, points, hessian="analytic").figure

# %% [markdown]
# ## Use it by name
#
# As a TOML file would: `rates = {name = "my-logarithm", scale = 5.0}`.

# %%
path = hf.paths.Linearised("ring", rates={"name": "my-logarithm", "scale": 5.0})
data = 2.0 * jax.random.normal(key, (50, 2))
flow = hf.fit("mlp", path, data, prior="normal", steps=2 if QUICK else 500, key=key, progress=False)
flow
