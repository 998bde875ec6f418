"""The network for particles: equivariant under rotations, reflections, translations and exchange."""

from collections.abc import Sequence
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow._border import border
from hiflow._border import key as one_key
from hiflow._checks import check_event
from hiflow._distances import pair_distances
from hiflow.groups import AbstractGroup, Permutation, Product, Rotation, Translation
from hiflow.networks._base import AbstractVelocityField, check_sizes, registry
from hiflow.networks._conditioned import arguments_of, clock, clock_size, make_conditions
from hiflow.networks._conditions import AbstractConditions
from hiflow.networks._egnn_divergence import shift_and_divergence
from hiflow.networks._egnn_handedness import Handedness
from hiflow.networks._egnn_layer import Layer
from hiflow.networks._egnn_pairs import Pairs
from hiflow.networks._low_products import full_products
from hiflow.networks._species import Bonds, bonds_of, check_species, kinds_of, species_or_none


@registry.register("egnn")
class EGNN(AbstractVelocityField):
    r"""An E(n)-equivariant graph network on all pairs of particles, identical or labelled.

    $v(t, x) = P\bigl[\ell \sum_l \delta^{(l)} + c(t)\, x\bigr]$, where $P$ projects onto centred
    configurations. Layer $l$ shifts the particles along their pair directions, by amounts
    $\delta^{(l)}$ that depend on distances and features. It sees the particles where the layers
    before would take them by $t = 1$, at $X^{(l)} = x/\ell + (1 - t) \sum_{k<l} \delta^{(k)}$: later
    layers judge distances that earlier ones have denoised. (The factor $1 - t$ is only where the
    learned pace starts.) $c(t)$ is the rate at which the best Gaussian fit of the data expands,
    with a learned standard deviation, plus a learned smooth function of $t$; with untrained
    weights, $v = c(t)\, x$. Rotating, reflecting or permuting $x$ does the same to $v$; translating
    $x$ leaves $v$ alone. The field is smooth everywhere, also where particles coincide.

    With `species`, features start from a learned vector per label, and messages depend on both labels
    and on whether the two are bonded: only particles with equal labels stay interchangeable. Without
    `reflections`, the features also hear of every particle's handedness, a triple product of its pair
    vectors that changes its sign in a mirror. `group` says which symmetry is left.

    After Satorras, Hoogeboom and Welling, *E(n) Equivariant Graph Neural Networks* (2021,
    arXiv:2102.09844). Three details are ours: messages have one hidden layer and are summed before
    channels are mixed, distances enter through bumps, and the length of each channel's summed
    pair vector goes back into the features. They buy an exact divergence at about a third of the
    cost of one forward evaluation per coordinate (`benchmarks/egnn.py`).

    **Arguments:**

    - `particles`: their number N, at least 2.
    - `dim`: dimension of space; events have the shape `(particles, dim)`.
    - `width`: channels of features and messages.
    - `depth`: number of layers L.
    - `length`: the unit of length $\ell$, in the units of $x$: pair distances between 0.3 and 3
      lengths are resolved best. About the nearest distance in the data; 1 for Lennard-Jones in units
      of the minimum's distance.
    - `species`: a label per particle, numbers or words; those with equal labels may be exchanged.
      `range(particles)` tells all apart, `None` none. By name in `fit` and experiments: the energy's.
    - `bonds`: pairs of particles' indices that are marked as bonded. Every exchange that `species`
      allow must keep them.
    - `reflections`: whether a mirror image moves as the mirror image does; `False` for chiral
      molecules, in 2 and 3 dimensions. By name in `fit` and experiments: as the energy has it.
    - `classes`, `condition_size`: of the conditions, if there are any: how many labels, or the length of
      a vector. They are told beside the time everywhere, and none of them may turn or move.
    - `key`: for the initial weights.

    **Raises:** `ValueError` if a size is below its least, if `species` or `bonds` don't fit the
    particles or each other, or if an event has another shape.

    **Example:**

    ```pycon
    >>> water = hf.networks.EGNN(3, 3, species=["O", "H", "H"], bonds=[(0, 1), (0, 2)],
    ...                          width=8, key=key)
    >>> x = jax.random.normal(key, (3, 3))
    >>> u = water(jnp.asarray(0.5), x)
    >>> turn = hf.groups.Rotation(3).sample(key, (3, 3))
    >>> bool(jnp.allclose(water(jnp.asarray(0.5), x @ turn.T), u @ turn.T, atol=1e-4))
    True
    ```
    """

    event_shape: tuple[int, int] = eqx.field(static=True)
    group: AbstractGroup
    length: float = eqx.field(static=True)
    node: eqx.nn.Linear
    layers: tuple[Layer, ...]
    log_scale: Float[Array, ""]
    expansion_clock: eqx.nn.Linear
    pace_clock: eqx.nn.Linear
    kind: Float[Array, "kinds width"] | None
    conditions: AbstractConditions | None

    @border("EGNN", species=species_or_none, bonds=bonds_of, key=one_key)
    def __init__(
        self,
        particles: int,
        dim: int,
        width: int = 32,
        depth: int = 3,
        length: float = 1.0,
        species: Sequence[int | float | str] | None = None,
        bonds: Sequence[Sequence[int]] = (),
        reflections: bool = True,
        classes: int | None = None,
        condition_size: int | None = None,
        *,
        key: PRNGKeyArray,
    ):
        if particles < 2:
            raise ValueError(f"EGNN: `particles` must be at least 2, got {particles}.")
        check_sizes("EGNN", dim=dim, width=width, depth=depth)
        if not length > 0:
            raise ValueError(f"EGNN: `length` must be positive, got {length}.")
        if not reflections and dim not in (2, 3):
            raise ValueError(f"EGNN: `reflections` can only be False in 2 or 3 `dim`, got {dim}.")
        species = None if species is None else tuple(species)
        marked = cast(Bonds, tuple(bonds))  # As the border makes them.
        check_species("EGNN", particles, species, marked)
        k_node, k_expansion, k_pace, *k_layers = jax.random.split(key, 3 + depth)
        self.event_shape = (particles, dim)
        self.group = Product(
            (Permutation(species), Rotation(dim, reflections=reflections), Translation())
        )
        self.length = float(length)
        self.conditions = make_conditions("EGNN", classes, condition_size, key)
        features = clock_size(self.conditions)
        self.node = eqx.nn.Linear(features, width, key=k_node)
        kinds = kinds_of(species, particles)
        alike = not marked and max(kinds) == 0
        self.layers = tuple(
            Layer(
                width,
                None if alike else Pairs(kinds, marked, width, key=jax.random.fold_in(k, 1)),
                None if reflections else Handedness(width, dim, key=jax.random.fold_in(k, 2)),
                features,
                key=k,
            )
            for k in k_layers
        )
        self.log_scale = jnp.zeros(())
        self.expansion_clock = _zeros(eqx.nn.Linear(features, "scalar", key=k_expansion))
        self.pace_clock = _zeros(eqx.nn.Linear(features, "scalar", key=k_pace))
        shape = (max(kinds) + 1, width)
        self.kind = None if alike else jax.random.normal(jax.random.fold_in(key, 1), shape)

    def constructor_arguments(self) -> dict[str, Any]:
        """What it was made with, except for `key`."""
        particles, dim = self.event_shape
        permutation, rotation, _ = cast(Product, self.group).groups
        assert isinstance(permutation, Permutation)
        assert isinstance(rotation, Rotation)
        pairs = self.layers[0].pairs
        return {
            "particles": particles,
            "dim": dim,
            "width": self.node.out_features,
            "depth": len(self.layers),
            "length": self.length,
            "species": permutation.species,
            "bonds": () if pairs is None else pairs.bonds,
            "reflections": rotation.reflections,
            **arguments_of(self.conditions),
        }

    def __call__(
        self, t: Float[Array, ""], x: Float[Array, "particles dim"], condition: PyTree = None
    ) -> Float[Array, "particles dim"]:
        check_event(x, self.event_shape, owner="EGNN")
        # TensorFloat-32 products would break equivariance at the third digit.
        with full_products():
            now = clock(t, self.conditions, condition)
            start, shift = x / self.length, jnp.zeros_like(x)
            h = self.features(now)
            for layer in self.layers:
                moved, h = layer(now, start + self.pace(t, condition) * shift, h)
                shift = shift + moved
        v = self.length * shift + self.expansion(t, condition) * x
        return v - v.mean(0)

    def velocity_and_divergence(
        self, t: Float[Array, ""], x: Float[Array, "particles dim"], condition: PyTree = None
    ) -> tuple[Float[Array, "particles dim"], Float[Array, ""]]:
        r"""$v(t, x)$ and the exact $\nabla\cdot v(t, x)$, the latter on the space of centred $x$
        (which is the same as on all $x$, since translating $x$ changes nothing)."""
        check_event(x, self.event_shape, owner="EGNN")
        with jax.default_matmul_precision("highest"):
            now, pace = clock(t, self.conditions, condition), self.pace(t, condition)
            shift, divergence = shift_and_divergence(
                self.layers, now, pace, x / self.length, self.features(now)
            )
        expansion = self.expansion(t, condition)
        v = self.length * shift + expansion * x
        return v - v.mean(0), divergence + expansion * (x.size - x.shape[1])

    def features(self, clock: Float[Array, " features"]) -> Float[Array, "particles width"]:
        """What the first layer's features are: the time's, and who the particle is."""
        h = jnp.tile(self.node(clock), (self.event_shape[0], 1))
        pairs = self.layers[0].pairs
        return h if self.kind is None or pairs is None else h + self.kind[np.asarray(pairs.kinds)]

    def complaint(self, points: Float[Array, "n particles dim"]) -> str | None:
        """That most pair distances are out of the range that the bumps resolve, and what to do."""
        distances = jax.vmap(pair_distances)(points)
        inside = (distances > 0.3 * self.length) & (distances < 3 * self.length)
        share = float(jnp.mean(inside))
        if share > 0.6:
            return None
        return (
            f"EGNN resolves pair distances from 0.3 to 3 times its `length` of {self.length:g}, and of "
            f"the data's only {share:.0%} lie there. Pass "
            f"length={float(jnp.quantile(distances, 0.1)):.2g}, about their shortest."
        )

    def expansion(self, t: Float[Array, ""], condition: PyTree = None) -> Float[Array, ""]:
        r"""$c(t) = \frac{t s^2 - (1 - t)}{(1 - t)^2 + t^2 s^2} + \text{learned}(t)$, with the
        data's standard deviation $s$ learned: exact for Gaussian data under optimal-transport paths
        from a standard normal prior."""
        variance = jnp.exp(2 * self.log_scale)
        gaussian = (t * variance - (1 - t)) / ((1 - t) ** 2 + t**2 * variance)
        return gaussian + self.expansion_clock(clock(t, self.conditions, condition))

    def pace(self, t: Float[Array, ""], condition: PyTree = None) -> Float[Array, ""]:
        r"""$1 - t + \text{learned}(t)$: with it, layers see the particles where the shifts so far
        would take them by $t = 1$."""
        return 1 - t + self.pace_clock(clock(t, self.conditions, condition))


def _zeros(linear: eqx.nn.Linear) -> eqx.nn.Linear:
    return jax.tree.map(jnp.zeros_like, linear)
