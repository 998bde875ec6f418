"""The posterior of Lotka and Volterra's equations for lynx and hares: `lynx.toml` names its energy."""

import jax
import jax.numpy as jnp
import numpy as np

# Pelts in thousands that the Hudson's Bay Company took in from 1900 to 1920 (Howard, "Modeling basics",
# 2009); model and priors are those of Carpenter, "Predator-prey population dynamics: the Lotka-Volterra
# model in Stan", 2018.
HARES = (30, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22, 25.4, 27.1, 40.3, 57, 76.6, 52.3, 19.5,
         11.2, 7.6, 14.6, 16.2, 24.7)  # fmt: skip
LYNXES = (4, 6.1, 9.8, 35.2, 59.4, 41.7, 19, 13, 8.3, 9.1, 7.4, 8, 12.3, 19.5, 45.7, 51.1,
          29.7, 15.8, 9.7, 10.1, 8.6)  # fmt: skip
PELTS = np.log(np.column_stack([HARES, LYNXES])).astype(np.float32)
# Where w = 0 is, and how far a unit of w goes, in logarithms: about the posterior's mean and spread.
CENTRE = np.log([0.55, 0.028, 0.80, 0.024, 34.0, 5.9, 0.25, 0.25]).astype(np.float32)
SPREAD = 0.12
STEPS = 12  # of the solver in a year


def energy(w):
    """$-\\log p(w | y)$ up to a constant: $c + 0.12\\,w$ are the logarithms of four rates, of two
    populations in 1900 and of the errors of both pelts' logarithms."""
    logs = CENTRE + SPREAD * w
    rates, sigma = jnp.exp(logs[:4]), jnp.exp(logs[6:])
    errors = (PELTS - populations(rates, logs[4:6])) / sigma
    misfit = jnp.sum(errors**2) / 2 + len(PELTS) * jnp.sum(logs[6:])
    # Densities of the rates themselves, normal; those of their logarithms have the Jacobian besides.
    around, width = jnp.array([1.0, 0.05, 1.0, 0.05]), jnp.array([0.5, 0.05, 0.5, 0.05])
    prior = jnp.sum(((rates - around) / width) ** 2) / 2 - jnp.sum(logs[:4])
    beginnings = jnp.sum((logs[4:6] - jnp.log(10.0)) ** 2) / 2
    return misfit + prior + beginnings + jnp.sum((logs[6:] + 1.0) ** 2) / 2


def populations(rates, log_first):
    """The logarithms of both populations in every year, `(21, 2)`."""
    birth, hunt, death, growth = rates

    def change(log_z):
        hares, lynxes = jnp.exp(log_z)
        return jnp.stack([birth - hunt * lynxes, growth * hares - death])

    # Runge and Kutta's four stages: diffrax's solves, differentiated forward and backward as Hessians
    # need it, take many times as long.
    def step(z, _):
        h = 1 / STEPS
        a = change(z)
        b = change(z + h / 2 * a)
        c = change(z + h / 2 * b)
        z = z + h / 6 * (a + 2 * b + 2 * c + change(z + h * c))
        return z, z

    _, after = jax.lax.scan(step, log_first, None, STEPS * (len(PELTS) - 1))
    return jnp.concatenate([log_first[None], after[STEPS - 1 :: STEPS]])
