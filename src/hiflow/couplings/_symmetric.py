"""Couplings up to symmetry: prior samples are moved by the group to be near their data points."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from hiflow import groups
from hiflow.couplings._base import AbstractCoupling, kept_apart, registry
from hiflow.groups._assignment import assignment
from hiflow.registry import Named


def _as_group(value: Named[groups.AbstractGroup]) -> groups.AbstractGroup:
    group = groups.registry.make(value)
    factors = group.groups if isinstance(group, groups.Product) else (group,)
    for factor in factors:
        if not isinstance(factor, groups.SupportsAlignment):
            raise ValueError(
                f"coupling: `group` has the factor {type(factor).__name__}, which can't align events. "
                "Give it a method align(x, y), or leave the factor out."
            )
    return group


@registry.register("symmetry-aligned")
class SymmetryAligned(AbstractCoupling):
    r"""Every prior sample is moved by the element of a group that brings it nearest to its data point.

    For particles: Kabsch's rotation and the best permutation, alternated to a fixed point. Paths get
    shorter and the network needn't learn turns that it can't see anyway. The marginal at $t = 0$ is
    the prior's *on orbits* only: `fit` requires a network that is equivariant under the group.

    **Arguments:**

    - `group`: the symmetry, as an instance, a name or a table; from a configuration that of the energy.
    - `starts`: how many random elements to start from, of which the nearest end is taken. Alternation
      finds a local optimum.

    **Raises:** `ValueError` if a factor of the group can't align events, or `starts` is below 1.

    **Example:**

    ```pycon
    >>> group = hf.groups.Product((hf.groups.Permutation(), hf.groups.Rotation(3)))
    >>> x0, x1 = jax.random.normal(key, (2, 8, 4, 3))
    >>> paired, _ = hf.couplings.SymmetryAligned(group)(x0, x1, key)
    >>> bool(((paired - x1) ** 2).sum() < ((x0 - x1) ** 2).sum())
    True
    ```
    """

    group: groups.AbstractGroup = eqx.field(converter=_as_group)
    starts: int = eqx.field(static=True, default=1)

    in_background: ClassVar[bool] = True
    exchanges: ClassVar[bool] = False

    def __check_init__(self):
        if self.starts < 1:
            raise ValueError(f"SymmetryAligned: `starts` must be at least 1, got {self.starts}.")

    def __call__(
        self, x0: Float[Array, "batch *event"], x1: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        keys = jax.random.split(key, (x0.shape[0], self.starts))
        return jax.vmap(self._nearest)(x0, x1, keys), x1

    def _nearest(self, x: Array, y: Array, keys: Key[Array, " starts"]) -> Array:
        begun = jnp.stack([x, *(self._turned(key, x) for key in keys[1:])])
        ends = jax.vmap(lambda start: aligned(self.group, start, y))(begun)
        distances = jnp.sum((ends - y).reshape(self.starts, -1) ** 2, axis=1)
        return ends[jnp.argmin(distances)]

    def _turned(self, key: PRNGKeyArray, x: Array) -> Array:
        return self.group.project(self.group.act(self.group.sample(key, x.shape), x))


@registry.register("equivariant-ot")
class EquivariantOT(AbstractCoupling):
    r"""Optimal transport of a batch where a pair costs its least squared distance under a group,
    $\min_g \|gx_0 - x_1\|^2$; every sample is then moved by that element.

    Klein, Krämer and Noé 2023 (arXiv:2306.15030). All pairs are aligned, $n^2$ of them, which is by far
    the largest cost: for it a product of groups is gone through once per pair, and with `block` the
    batch is paired in blocks of that size. The marginal at $t = 0$
    is the prior's on orbits, as for [`SymmetryAligned`][hiflow.couplings.SymmetryAligned].

    **Arguments:**

    - `group`: as for `SymmetryAligned`.
    - `block`: size of the blocks; `None` for the whole batch. A batch that it doesn't divide ends in a
      smaller block.

    **Raises:** `ValueError` if a factor of the group can't align events, or `block` is below 1.

    **Example:**

    ```pycon
    >>> group = hf.groups.Product((hf.groups.Permutation(), hf.groups.Rotation(3)))
    >>> x0, x1 = jax.random.normal(key, (2, 8, 4, 3))
    >>> aligned, _ = hf.couplings.SymmetryAligned(group)(x0, x1, key)
    >>> paired, _ = hf.couplings.EquivariantOT(group)(x0, x1, key)
    >>> bool(((paired - x1) ** 2).sum() <= ((aligned - x1) ** 2).sum())
    True
    ```
    """

    group: groups.AbstractGroup = eqx.field(converter=_as_group)
    block: int | None = eqx.field(static=True, default=None)

    in_background: ClassVar[bool] = True

    def __check_init__(self):
        if self.block is not None and self.block < 1:
            raise ValueError(f"EquivariantOT: `block` must be at least 1, got {self.block}.")

    def __call__(
        self, x0: Float[Array, "batch *event"], x1: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        return self._paired(x0, x1, None), x1

    def within(
        self,
        x0: Float[Array, "batch *event"],
        x1: Float[Array, "batch *event"],
        key: PRNGKeyArray,
        kinds: Int[Array, " batch"],
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        """The same within kinds."""
        return self._paired(x0, x1, kinds), x1

    def _paired(self, x0: Array, x1: Array, kinds: Array | None) -> Array:
        n, size = x0.shape[0], self.block or x0.shape[0]
        whole = n - n % size
        batch = (x0, x1, kinds)
        blocks = jax.tree.map(lambda x: x[:whole].reshape(-1, size, *x.shape[1:]), batch)
        paired = jax.lax.map(lambda pair: self._pair(*pair), blocks).reshape(-1, *x0.shape[1:])
        if whole < n:
            rest = jax.tree.map(lambda x: x[whole:], batch)
            paired = jnp.concatenate([paired, self._pair(*rest)])
        return paired

    def _pair(self, x0: Array, x1: Array, kinds: Array | None) -> Array:
        roughly = self.group
        if isinstance(roughly, groups.Product):
            roughly = groups.Product(roughly.groups, rounds=1)

        def row(y: Array) -> Array:
            moved = jax.vmap(lambda x: aligned(roughly, x, y))(x0)
            return jnp.sum((moved - y).reshape(x0.shape[0], -1) ** 2, axis=1)

        chosen = x0[assignment(kept_apart(jax.lax.map(row, x1), kinds))]
        return jax.vmap(lambda x, y: aligned(self.group, x, y))(chosen, x1)


def aligned(
    group: Any, x: Float[Array, "*event"], y: Float[Array, "*event"]
) -> Float[Array, "*event"]:
    """`x` moved near to `y`, in the subspace that the group leaves free."""
    return group.project(group.act(group.align(x, y), x))
