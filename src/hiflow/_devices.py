"""Several devices: which are used, and work on many rows shared among them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

T = TypeVar("T")
AXIS = "devices"
_chosen: ContextVar[Mesh | None] = ContextVar("mesh", default=None)


def as_mesh(mesh: Mesh | None) -> Mesh | None:
    """The devices of a mesh along one axis; without a mesh all there are, of all processes. `None` where
    that is the one device that JAX uses anyway."""
    if mesh is not None:
        return _line(mesh.devices.ravel())
    return _several(jax.devices())


@contextmanager
def spread_over(mesh: Mesh | None) -> Iterator[None]:
    """Inside, [`on_every_device`][hiflow._devices.on_every_device] uses these devices; `None` is this
    process's own."""
    before = _chosen.set(mesh)
    try:
        yield
    finally:
        _chosen.reset(before)


def on_every_device(function: Callable[[Any, Any], T], kept: Any, rows: PyTree) -> T:
    """`function(kept, rows)` where every device has its share of the rows, and all have `kept`.

    A share is worked on without a word to the others, so a solver's loop ends on each when its own rows
    are done. Does as the function itself with one device, with fewer rows than devices, and for arrays
    that were put on a device by their owner.

    **Arguments:**

    - `rows`: arrays with the same leading axis. The result's leaves must have it too.
    """
    mesh = _chosen.get() or _several(jax.local_devices())
    number = jax.tree.leaves(rows)[0].shape[0]
    if mesh is None or number < mesh.size or _settled_elsewhere((kept, rows), mesh):
        return function(kept, rows)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((kept, rows))):
        # Who traces may want the gradient, which a loop inside shard_map doesn't have: XLA splits it.
        return _first(number, function(kept, _split(padded(rows, mesh.size), mesh)))
    return local(_shared(function, mesh, kept, rows))


@eqx.filter_jit
def _shared(function: Callable[[Any, Any], T], mesh: Mesh, kept: Any, rows: PyTree) -> T:
    number = jax.tree.leaves(rows)[0].shape[0]
    arrays, static = eqx.partition(kept, eqx.is_array)
    # The solvers' loops begin with constants that every device has, and end with its own numbers.
    share = jax.shard_map(
        lambda arrays, rows: function(eqx.combine(arrays, static), rows),
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec(AXIS)),
        out_specs=PartitionSpec(AXIS),
        check_vma=False,
    )
    results = _first(number, share(arrays, padded(rows, mesh.size)))
    return jax.lax.with_sharding_constraint(results, everywhere(mesh))


def everywhere(mesh: Mesh) -> NamedSharding:
    """A whole copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def padded(rows: T, devices: int, axis: int = 0) -> T:
    """The last row repeated until every device gets as many."""

    def one(leaf: Any) -> Any:
        size = leaf.shape[axis]
        if size % devices == 0:
            return leaf
        index = np.minimum(np.arange(-(-size // devices) * devices), size - 1)
        return jnp.take(leaf, index, axis=axis)

    return jax.tree.map(one, rows)


def local(tree: T) -> T:
    """Arrays that every device has a whole copy of, as ordinary arrays of this process."""

    def one(leaf: Any) -> Any:
        if not eqx.is_array(leaf) or isinstance(leaf, Tracer):
            return leaf
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(
                one(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf)
            )
        return jnp.asarray(np.asarray(leaf.addressable_data(0)))

    return jax.tree.map(one, tree)


def _first(number: int, rows: T) -> T:
    return jax.tree.map(lambda leaf: leaf[:number], rows)


def _split(rows: T, mesh: Mesh) -> T:
    return jax.lax.with_sharding_constraint(rows, NamedSharding(mesh, PartitionSpec(AXIS)))


def _line(devices: Any) -> Mesh:
    return Mesh(np.asarray(devices), (AXIS,))


def _several(devices: Sequence[Any]) -> Mesh | None:
    # Who chose a default device wants that one.
    if len(devices) == 1 or jax.config.values["jax_default_device"] is not None:
        return None
    return _line(devices)


def _settled_elsewhere(tree: PyTree, mesh: Mesh) -> bool:
    devices = set(mesh.devices.flat)
    return any(
        isinstance(leaf, jax.Array)
        and not isinstance(leaf, Tracer)
        and leaf.committed
        and leaf.devices() != devices
        for leaf in jax.tree.leaves(tree)
    )
