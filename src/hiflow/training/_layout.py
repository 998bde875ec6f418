"""Where the arrays of a training run are on several devices."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PyTree

from hiflow._devices import AXIS, everywhere, local, padded

T = TypeVar("T")
# Spreading fewer numbers would cost more in messages than it saves.
_FEWEST = 4096
# Anchors of less are better had on every device.
_LARGE = 2**30


@dataclasses.dataclass(frozen=True)
class Layout:
    """What is split over the devices of a mesh, and what every device has whole; without a mesh
    everything stays where it is.

    **Arguments:**

    - `mesh`: with the one axis of [`as_mesh`][hiflow._devices.as_mesh].
    - `shard_parameters`: split the weights, their average and the optimiser's memory too.
    - `shard_anchors`: split the anchors of all points, instead of a copy on every device.
    """

    mesh: Mesh | None = None
    shard_parameters: bool = False
    shard_anchors: bool = False

    # Inside a compiled step:

    def whole(self, parameters: T) -> T:
        """Gathered on every device, to compute with."""
        if self.mesh is None or not self.shard_parameters:
            return parameters
        return jax.lax.with_sharding_constraint(parameters, everywhere(self.mesh))

    def kept(self, tree: T) -> T:
        """Of parameters' shapes, as they are kept from step to step."""
        if self.mesh is None:
            return tree
        mesh = self.mesh
        return jax.tree.map(
            lambda leaf: jax.lax.with_sharding_constraint(leaf, self._of(leaf, mesh)), tree
        )

    def value_and_gradient(
        self, mean: Callable[[T, PyTree], Array], parameters: T, batch: PyTree
    ) -> tuple[Array, T]:
        """Of a mean over a batch, with respect to whole parameters. Devices that hold them whole
        exchange one message: a compiler's one for every leaf makes two processes wait a dozen times."""
        if self.mesh is None or self.shard_parameters:
            return jax.value_and_grad(mean)(parameters, batch)

        def averaged(parameters: T, share: PyTree) -> tuple[Array, T]:
            flat, unravel = ravel_pytree(jax.value_and_grad(mean)(parameters, share))
            return unravel(jax.lax.pmean(flat, AXIS))

        whole, split = PartitionSpec(), PartitionSpec(AXIS)
        spread = jax.shard_map(
            averaged, mesh=self.mesh, in_specs=(whole, split), out_specs=whole, check_vma=False
        )
        return spread(parameters, batch)

    def rows(self, anchors: PyTree, index: Int[Array, " batch"]) -> PyTree:
        """The anchors of a batch."""
        if self.mesh is None or not self.shard_anchors:
            return jax.tree.map(lambda leaf: leaf[index], anchors)
        fetch = jax.shard_map(
            _fetch,
            mesh=self.mesh,
            in_specs=(PartitionSpec(AXIS), PartitionSpec(AXIS)),
            out_specs=PartitionSpec(AXIS),
            check_vma=False,
        )
        return fetch(anchors, index)

    # Before, between and after:

    def put(self, tree: T) -> T:
        """A copy on every device of all but parameters that are split."""
        return self._put(tree, self._of)

    def put_whole(self, tree: T) -> T:
        """A copy on every device."""
        return self._put(tree, lambda _, mesh: everywhere(mesh))

    def for_anchors(self, anchors: PyTree, shard: bool | None) -> "Layout":
        """The layout for these anchors; `None` shards them where they are large."""
        if shard is None:
            shard = sum(leaf.nbytes for leaf in jax.tree.leaves(anchors)) > _LARGE
        return dataclasses.replace(self, shard_anchors=shard)

    def put_anchors(self, anchors: PyTree) -> PyTree:
        """Of all points, each device with its share or with all."""
        if self.mesh is None or not self.shard_anchors:
            return self.put_whole(anchors)
        return self._put(padded(anchors, self.mesh.size), lambda _, mesh: _rows(mesh, 0))

    def put_draws(self, drawn: T) -> T:
        """Draws of several steps: every device with its part of every batch."""
        return self._put(drawn, lambda _, mesh: _rows(mesh, 1))

    def read_rows(self, read: Callable[[np.ndarray], PyTree], index: np.ndarray) -> PyTree:
        """What `read` gives for draws of several steps; each process reads the part of its devices."""
        assert self.mesh is not None
        sharding = _rows(self.mesh, 1)
        places = sharding.addressable_devices_indices_map(index.shape)
        parts = [jax.device_put(read(index[place]), device) for device, place in places.items()]

        def whole(*leaves: Array) -> Array:
            shape = (*index.shape, *leaves[0].shape[2:])
            return jax.make_array_from_single_device_arrays(shape, sharding, list(leaves))

        return jax.block_until_ready(jax.tree.map(whole, *parts))

    def ordinary(self, tree: T) -> T:
        """What was put, as ordinary arrays of this process."""
        if self.mesh is None:
            return tree
        arrays, rest = eqx.partition(tree, eqx.is_array)
        gathered = jax.jit(lambda x: x, out_shardings=everywhere(self.mesh))(arrays)
        return eqx.combine(local(gathered), rest)

    def _put(self, tree: T, sharding: Callable[[Any, Mesh], NamedSharding]) -> T:
        if (mesh := self.mesh) is None:
            return tree
        arrays, rest = eqx.partition(tree, eqx.is_array)
        placed = jax.tree.map(lambda leaf: _put(leaf, sharding(leaf, mesh)), arrays)
        return eqx.combine(placed, rest)

    def _of(self, leaf: Any, mesh: Mesh) -> NamedSharding:
        """Along the longest axis that divides evenly, if that is worth it."""
        fitting = [axis for axis, size in enumerate(leaf.shape) if size % mesh.size == 0]
        if not self.shard_parameters or leaf.size < _FEWEST or not fitting:
            return everywhere(mesh)
        return _rows(mesh, max(fitting, key=lambda axis: leaf.shape[axis]))


def _rows(mesh: Mesh, axis: int) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS))


def _put(leaf: Any, sharding: NamedSharding) -> Array:
    if getattr(leaf, "sharding", None) == sharding:
        return leaf
    if sharding.is_fully_addressable or jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.device_put(leaf, sharding)
    # Every process has the same, and gives its devices their part.
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])


def _fetch(rows: PyTree, index: Int[Array, " share"]) -> PyTree:
    """This device's rows of a batch, of what all devices have."""
    wanted = jax.lax.all_gather(index, AXIS, tiled=True)
    place = wanted - jax.lax.axis_index(AXIS) * jax.tree.leaves(rows)[0].shape[0]

    def one(leaf: Array) -> Array:
        here = (place >= 0) & (place < leaf.shape[0])
        found = leaf[jnp.clip(place, 0, leaf.shape[0] - 1)]
        mine = jnp.where(here.reshape(-1, *[1] * (leaf.ndim - 1)), found, 0)
        # Only one device has other numbers than 0.
        return jax.lax.psum_scatter(mine, AXIS, tiled=True)

    return jax.tree.map(one, rows)
