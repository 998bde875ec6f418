"""Several of a kind that differ in their arrays: what all share once, and the rest stacked."""

from collections.abc import Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from hiflow.couplings import AbstractCoupling
from hiflow.training._draws import Batches, Draw, draw, draw_together

T = TypeVar("T")


def stacked(trees: Sequence[T]) -> T:
    """Leaf by leaf, in a new first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def one_of_stack(tree: T, index: int) -> T:
    """The trees that were stacked, one by one."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def refuse_unlike(trees: Sequence[Any], what: str) -> None:
    """Raise `ValueError` for trees that differ in more than the numbers of their arrays."""
    forms = [_form(tree) for tree in trees]
    for i, form in enumerate(forms):
        if not eqx.tree_equal(form, forms[0]):
            here, first = (eqx.tree_pformat(each).splitlines() for each in (form, forms[0]))
            pairs = [(a.strip(), b.strip()) for a, b in zip(here, first, strict=False) if a != b]
            words = f": {pairs[0][0]!r} against {pairs[0][1]!r}" if pairs else ""
            raise ValueError(
                f"fit_many: {what} of flow {i} differs from that of flow 0 in more than numbers{words}. "
                "One compiled step trains all flows: make them alike, or call hiflow.fit by turns."
            )


def _form(tree: Any) -> Any:
    def one(leaf: Any) -> Any:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) if eqx.is_array(leaf) else leaf

    return jax.tree.map(one, tree)


def parted(trees: Sequence[T], what: str) -> tuple[T, T]:
    """The arrays that all trees share, with whatever isn't an array; and the others, stacked. Either has
    `None` where the other has something.

    **Raises:** `ValueError` for trees that differ in more than the numbers of their arrays.
    """
    refuse_unlike(trees, what)
    if len(trees) == 1:
        own, shared = eqx.partition(trees[0], eqx.is_array)
        return shared, stacked([own])
    arrays = [eqx.filter(tree, eqx.is_array) for tree in trees]
    same = jax.tree.map(lambda first, *others: all(x is first for x in others), *arrays)
    differs = jax.tree.map(lambda x: not x, same)
    own = stacked([eqx.filter(tree, differs) for tree in arrays])
    _, rest = eqx.partition(trees[0], eqx.is_array)
    return eqx.combine(eqx.filter(arrays[0], same), rest), own


class Crowd(eqx.Module):
    """What several runs draw from. Their draws come together, stacked in the second axis."""

    shared: Batches
    own: Batches
    runs: int = eqx.field(static=True)

    @classmethod
    def of(cls, batches: Sequence[Batches]) -> "Crowd":
        """Of the batches of each run."""
        return cls(*parted(batches, "what is drawn from"), runs=len(batches))

    @property
    def coupling(self) -> AbstractCoupling:
        """Of the first run: what isn't an array is the same for all."""
        return self.shared.coupling

    @property
    def size(self) -> int:
        """How many points the step of one run takes."""
        return self.shared.size

    def drawn(self, first: Array, until: Array, room: int) -> Draw:
        """What the steps from `first` to before `until` draw."""
        if not self.coupling.exchanges and not self.coupling.in_background:
            return draw_together(self.shared, self.own, first, until, room)
        each = [self._draw_of(i, first, until, room) for i in range(self.runs)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=1), *each)

    def _draw_of(self, index: int, first: Array, until: Array, room: int) -> Any:
        return draw(eqx.combine(one_of_stack(self.own, index), self.shared), first, until, room)
