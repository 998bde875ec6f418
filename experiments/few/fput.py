"""Fermi, Pasta, Ulam and Tsingou's chain of springs, as an energy: what `fput.toml` names."""

import jax.numpy as jnp

# Pettini and Landolfi's threshold of strong chaos is at about this energy a mass (1990).
TEMPERATURE = 0.1


def energy(q):
    r"""$\frac{1}{T} \sum_i \left(\tfrac12 r_i^2 + \tfrac14 r_i^4\right)$ of the springs'
    stretches $r_i = q_{i+1} - q_i$ between two walls: the β chain with k = β = 1."""
    stretches = jnp.diff(jnp.pad(q, 1))
    return jnp.sum(stretches**2 / 2 + stretches**4 / 4) / TEMPERATURE
