"""A velocity field that a whole turn of a wrapping joint leaves alone."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

import hiflow as hf
from hiflow_robotics._fields import as_flags
from hiflow_robotics._torus import Torus


class PeriodicMLP(hf.networks.AbstractVelocityField):
    """A multi-layer perceptron of sines and cosines of the wrapping joints, of the other angles, and
    of time.

    **Arguments:**

    - `wraps`: a truth value per joint.
    - `width`, `depth`: of the hidden layers.
    - `harmonics`: how many multiples of a wrapping angle it sees.
    - `key`: of the initial weights.

    **Raises:** `ValueError` if `wraps` isn't a sequence, a size is below 1, or an event has another
    number of joints.
    """

    mlp: eqx.nn.MLP
    wraps: tuple[bool, ...] = eqx.field(static=True)
    harmonics: int = eqx.field(static=True)

    def __init__(
        self, wraps: Any, width: int = 64, depth: int = 3, harmonics: int = 2, *, key: PRNGKeyArray
    ):
        for name, value in [("width", width), ("depth", depth), ("harmonics", harmonics)]:
            if value < 1:
                raise ValueError(f"PeriodicMLP: `{name}` must be at least 1, got {value}.")
        self.wraps = as_flags(wraps)
        self.harmonics = harmonics
        turning = sum(self.wraps)
        size = 2 * harmonics * turning + len(self.wraps) - turning + 3
        # The default final activation is a lambda, and a flow that holds one can't be saved.
        self.mlp = eqx.nn.MLP(
            size, len(self.wraps), width, depth, jax.nn.silu, jax.nn.identity, key=key
        )

    def constructor_arguments(self) -> dict[str, Any]:
        """What it was made with, except for `key`."""
        settings = {"width": self.mlp.width_size, "depth": self.mlp.depth}
        return {"wraps": self.wraps, "harmonics": self.harmonics, **settings}

    @classmethod
    def example(cls) -> "PeriodicMLP":
        """A small one for three joints, the last of which doesn't wrap."""
        return cls((True, True, False), width=8, depth=1, key=jax.random.key(0))

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(joints,)`."""
        return (len(self.wraps),)

    @property
    def group(self) -> Torus:
        """Whole turns of the wrapping joints."""
        return Torus(self.wraps)

    def __call__(self, t: Float[Array, ""], x: Float[Array, " joints"]) -> Float[Array, " joints"]:
        # Indices beyond an event's end would read its last joint.
        if x.shape != self.event_shape:
            raise ValueError(
                f"PeriodicMLP: `wraps` is for {len(self.wraps)} joints, got an event of shape {x.shape}."
            )
        turning = x[jnp.array([i for i, wraps in enumerate(self.wraps) if wraps], int)]
        others = x[jnp.array([i for i, wraps in enumerate(self.wraps) if not wraps], int)]
        angles = jnp.outer(1.0 + jnp.arange(self.harmonics), turning).ravel()
        clock = jnp.stack([t, jnp.sin(jnp.pi * t), jnp.cos(jnp.pi * t)])
        features = jnp.concatenate(
            [jnp.sin(angles), jnp.cos(angles), others, clock.astype(x.dtype)]
        )
        return self.mlp(features)
