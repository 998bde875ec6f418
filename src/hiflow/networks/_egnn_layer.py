"""One layer of the particle network: messages along all pairs, then features and shifts."""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.networks._egnn_handedness import Handedness
from hiflow.networks._egnn_pairs import Pairs
from hiflow.networks._time import TIME_FEATURES

RADIAL_FEATURES = 16
RADIAL_RANGE = (0.3, 2.6)
RADIAL_WIDTH = 0.15
CORE = 0.1


class Layer(eqx.Module):
    r"""Messages, new features and a shift, for particles at $X$ with features $h$ at time $t$ (and under
    its condition, which the clock tells too):

    $m_{ij} = \sigma(W_a h_i + W_b h_j + W_d\,\rho(|X_i - X_j|) + b(t))$,
    $s_i = \frac{1}{N-1} \sum_{j \ne i} m_{ij}$,
    $p_i = \frac{1}{\sqrt{N-1}} \sum_j \frac{X_i - X_j}{\sqrt{1 + |X_i - X_j|^2}}\, m_{ij}$,
    $h_i' = h_i + W_u\,\sigma(W_m [h_i, s_i, \sqrt{1 + |p_i|^2}] + b'(t))$,
    $\delta_i = p_i \cdot W_g h_i'$.

    The sums come before every matrix product over channels, so an edge costs no width² products.
    $p_i$ holds one vector per channel; their lengths tell the features about angles. With `pairs`,
    $W_d\,\rho$ depends on who $i$ and $j$ are; with `handedness`, the features' update also sees by
    $+\,w\,q_i$ the [handedness][hiflow.networks._egnn_handedness.Handedness] of $p_i$.
    """

    receive: eqx.nn.Linear
    send: eqx.nn.Linear
    radial: eqx.nn.Linear
    edge_clock: eqx.nn.Linear
    mix: eqx.nn.Linear
    node_clock: eqx.nn.Linear
    update: eqx.nn.Linear
    gate: eqx.nn.Linear
    pairs: Pairs | None
    handedness: Handedness | None

    def __init__(
        self,
        width: int,
        pairs: Pairs | None = None,
        handedness: Handedness | None = None,
        features: int = TIME_FEATURES,
        *,
        key: PRNGKeyArray,
    ):
        keys = jax.random.split(key, 8)
        self.receive = eqx.nn.Linear(width, width, use_bias=False, key=keys[0])
        self.send = eqx.nn.Linear(width, width, use_bias=False, key=keys[1])
        self.radial = eqx.nn.Linear(RADIAL_FEATURES, width, use_bias=False, key=keys[2])
        self.edge_clock = eqx.nn.Linear(features, width, key=keys[3])
        self.mix = eqx.nn.Linear(3 * width, width, use_bias=False, key=keys[4])
        self.node_clock = eqx.nn.Linear(features, width, key=keys[5])
        self.update = eqx.nn.Linear(width, width, key=keys[6])
        self.gate = jax.tree.map(jnp.zeros_like, eqx.nn.Linear(width, width, key=keys[7]))
        self.pairs, self.handedness = pairs, handedness

    def __call__(
        self,
        clock: Float[Array, " features"],
        x: Float[Array, "particles dim"],
        h: Float[Array, "particles width"],
    ) -> tuple[Float[Array, "particles dim"], Float[Array, "particles width"]]:
        space = geometry(x)
        total, vector, length = gather(space, activation(self.edges(clock, space, h)))
        y = self.nodes(clock, h, total, length)
        if self.handedness is not None:
            y = y + self.handedness(vector)[:, None] * self.handedness.weight
        h = h + over(self.update, activation(y))
        return (vector * over(self.gate, h)[:, None]).sum(-1), h

    def edges(
        self,
        clock: Float[Array, " features"],
        space: "Geometry",
        h: Float[Array, "particles width"],
    ) -> Float[Array, "particles particles width"]:
        """The messages before their activation."""
        z = over(self.receive, h)[:, None] + over(self.send, h)[None]
        heard = over(self.radial, space.radial)
        if self.pairs is not None:
            heard = self.pairs(heard)
        return z + self.edge_clock(clock) + heard

    def nodes(
        self,
        clock: Float[Array, " features"],
        h: Float[Array, "particles width"],
        total: Float[Array, "particles width"],
        length: Float[Array, "particles width"],
    ) -> Float[Array, "particles width"]:
        """The features' update before its activation, but for what handedness adds."""
        y = over(self.mix, jnp.concatenate([h, total, length], axis=-1))
        return y + self.node_clock(clock)


class Geometry(NamedTuple):
    """What a layer sees of the positions."""

    offset: Float[Array, "i j dim"]  # X_i − X_j
    shrink: Float[Array, "i j"]  # 1/√(1 + d²)
    step: Float[Array, "i j dim"]  # (X_i − X_j)/√(1 + d²), bounded by 1
    radial: Float[Array, "i j features"]
    others: Float[Array, "i j"]  # 1 where i ≠ j, else 0


def geometry(x: Float[Array, "particles dim"]) -> Geometry:
    offset = x[:, None] - x[None]
    squared = (offset**2).sum(-1)
    shrink = jax.lax.rsqrt(1 + squared)
    others = 1 - jnp.eye(x.shape[0], dtype=x.dtype)
    step = offset * shrink[..., None]
    return Geometry(offset, shrink, step, radial_features(squared), others)


def radial_features(squared: Float[Array, "*pairs"]) -> Float[Array, "*pairs features"]:
    r"""Bumps $\rho_k(d) = 1/(1 + (\tilde d - c_k)^2/w^2)$ along the distance, of which
    $\tilde d = \sqrt{d^2 + 0.1^2}$ is a smooth stand-in where particles coincide. Rational ones: an
    exponential costs four times as much on CPUs."""
    d = jnp.sqrt(squared + CORE**2)
    centres = jnp.linspace(*RADIAL_RANGE, RADIAL_FEATURES, dtype=squared.dtype)
    return 1 / (1 + ((d[..., None] - centres) / RADIAL_WIDTH) ** 2)


def gather(
    space: Geometry, messages: Float[Array, "i j width"]
) -> tuple[Float[Array, "i width"], Float[Array, "i dim width"], Float[Array, "i width"]]:
    r"""$s_i$, $p_i$ and $\sqrt{1 + |p_i|^2}$."""
    # Without the barrier XLA recomputes the messages for every component (5 times the forward time).
    messages = jax.lax.optimization_barrier(messages)
    step = jax.lax.optimization_barrier(space.step)
    count, dim = space.step.shape[1:]
    total = (space.others[..., None] * messages).sum(1) / (count - 1)
    vector = jnp.stack([(step[..., c, None] * messages).sum(1) for c in range(dim)], axis=1)
    vector = vector / math.sqrt(count - 1)
    return total, vector, jnp.sqrt(1 + (vector**2).sum(1))


def activation(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""$\sigma(z) = \frac{z}{2}\bigl(1 + z/\sqrt{1 + z^2}\bigr)$: SiLU's shape, without an
    exponential."""
    return 0.5 * z * (1 + z * jax.lax.rsqrt(1 + z**2))


def over(linear: eqx.nn.Linear, x: Float[Array, "*batch k"]) -> Float[Array, "*batch w"]:
    """The linear map on the last axis."""
    y = x @ linear.weight.T
    return y if linear.bias is None else y + linear.bias
