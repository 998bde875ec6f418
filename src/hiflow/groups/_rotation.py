"""Rotations, proper or with reflections, of every point of an event about the origin."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.groups._base import AbstractGroup, registry


@registry.register("rotation")
class Rotation(AbstractGroup[Array]):
    r"""$x_i \mapsto g x_i$ along the last axis of an event `(..., dim)`; an element is a matrix.

    Haar-distributed over SO(dim), or over O(dim) with `reflections`. It removes no directions:
    rotations are null modes of a Hessian only at a stationary point.

    **Arguments:**

    - `dim`: size of the event's last axis.
    - `reflections`: whether matrices of determinant −1 belong to the group.

    **Raises:** `ValueError` if `dim` isn't a positive integer, or an event's last axis isn't `dim`.

    **Example:**

    ```pycon
    >>> turn = hf.groups.Rotation(dim=2)
    >>> g = turn.sample(key, (2,))
    >>> x = turn.act(g, jnp.array([3.0, 4.0]))
    >>> jnp.linalg.norm(x)
    Array(5., dtype=float32)
    >>> turn.act(turn.inverse(g), x).round(3)
    Array([3.0000002, 4.       ], dtype=float32)
    ```
    """

    dim: int = eqx.field(static=True, default=3)
    reflections: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if self.dim < 1:
            raise ValueError(f"Rotation: `dim` must be a positive integer, got {self.dim}.")

    def sample(self, key: PRNGKeyArray, event_shape: tuple[int, ...]) -> Float[Array, "dim dim"]:
        self._check(event_shape)
        g = jax.random.orthogonal(key, self.dim)
        if self.reflections:
            return g
        return g.at[:, 0].multiply(jnp.sign(jnp.linalg.det(g)))

    def act(self, g: Float[Array, "dim dim"], x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        self._check(x.shape)
        return jnp.matmul(x, g.T, precision="highest")

    def inverse(self, g: Float[Array, "dim dim"]) -> Float[Array, "dim dim"]:
        return g.T

    def compose(
        self, g: Float[Array, "dim dim"], h: Float[Array, "dim dim"]
    ) -> Float[Array, "dim dim"]:
        return jnp.matmul(g, h, precision="highest")

    def align(
        self, x: Float[Array, "*event"], y: Float[Array, "*event"]
    ) -> Float[Array, "dim dim"]:
        r"""The rotation with the least $\|gx - y\|$ (Kabsch, Acta Cryst. A32, 922, 1976)."""
        self._check(x.shape)
        a, b = (z.reshape(-1, self.dim) for z in (x, y))
        U, _, Vt = jnp.linalg.svd(jnp.matmul(b.T, a, precision="highest"))
        if not self.reflections:
            # A reflection gives the least distance where this is -1; turn its weakest axis back.
            mirrored = jnp.linalg.det(U) * jnp.linalg.det(Vt) < 0
            U = jnp.where(mirrored & (jnp.arange(self.dim) == self.dim - 1), -U, U)
        return jnp.matmul(U, Vt, precision="highest")

    def project(self, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        return x

    def null_modes(self, x: Float[Array, "*event"]) -> Float[Array, "flat null"]:
        return jnp.zeros((x.size, 0), x.dtype)

    def tangents(self, x: Float[Array, "*event"]) -> Float[Array, "flat generators"]:
        self._check(x.shape)
        planes = [(i, j) for i in range(self.dim) for j in range(i)]
        turned = [
            jnp.zeros_like(x).at[..., i].set(x[..., j]).at[..., j].set(-x[..., i]).ravel()
            for i, j in planes
        ]
        return jnp.stack(turned, axis=1) if turned else jnp.zeros((x.size, 0), x.dtype)

    def _check(self, event_shape: tuple[int, ...]):
        if event_shape[-1:] != (self.dim,):
            raise ValueError(
                f"Rotation({self.dim}) acts on events whose last axis has size {self.dim}, got the "
                f"shape {event_shape}. Give Rotation the `dim` of the points."
            )
