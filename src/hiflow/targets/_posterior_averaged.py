"""The marginal velocity of the training points in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from hiflow.couplings import Independent
from hiflow.data import Source, VirialReport
from hiflow.paths import AbstractGaussianPath, AbstractPath, SupportsNoise
from hiflow.paths._noise import has_end_law, is_normal
from hiflow.targets._base import AbstractTarget, Pair, Parts, registry


@registry.register("posterior-averaged")
class PosteriorAveraged(AbstractTarget):
    r"""The marginal velocity of $n$ training points instead of one point's,

    $$v_t(x_t) = \sum_i w_i\,u_t(x_t|x_i), \qquad w_i \propto p_t(x_t|x_i),$$

    so that the target has no noise at all. For Gaussian paths with independent pairs from the path's
    normal prior, end laws included. It costs $n$ conditional densities and velocities per target, of
    $O(D)$ for an isotropic path and $O(D^2)$ for a dense spectral one; the memory is that of a chunk of
    points times the batch. The minimiser is the one of the plain target: the velocity that leads back to
    the training points, or to their end laws. What the noise did against learning points by heart has
    to come from elsewhere.

    With `among` $= k$ the sum runs over the sample's own point and $k - 1$ drawn ones, anew for every
    target and with replacement. That is unbiased for every $k$: given $x_t$ and which points these are,
    the weights are the odds of which of them $x_t$ came from. (The nearest $k$ would leave out the
    weight of the others, most of it at early times.)

    **Arguments:**

    - `among`: $k$; `None` for all points.
    - `chunk_size`: how many points are worked on at a time.
    - `budget`: the most points that a target may be averaged over.

    **Raises:** `ValueError` for a number that isn't whole and positive.

    **Example:**

    ```pycon
    >>> flow = hf.fit("mlp", hf.paths.Relaxed(ring), points[:20], prior="normal", key=key,
    ...               steps=10, target=hf.targets.PosteriorAveraged(), progress=False)
    ```
    """

    among: int | None = eqx.field(static=True, default=None)
    chunk_size: int = eqx.field(static=True, default=256)
    budget: int = eqx.field(static=True, default=4_096)
    anchors: PyTree = None
    own_noise: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        for name in ("among", "chunk_size", "budget"):
            value = getattr(self, name)
            if name == "among" and value is None:
                continue
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or value < 1:
                raise ValueError(
                    f"PosteriorAveraged: `{name}` must be whole and at least 1, got {value!r}."
                )

    @classmethod
    def example(cls) -> "PosteriorAveraged":
        """A small instance, as `hiflow check posterior-averaged` takes."""
        return cls(among=64, chunk_size=32)

    def check(self, parts: Parts) -> None:
        """Raise `ValueError` where the conditional densities aren't known."""
        fault = _fault(parts)
        if fault is not None:
            raise ValueError(f"fit: target 'posterior-averaged' {fault} Use the target 'plain'.")

    def check_data(self, points: Array | Source, virial: VirialReport | None) -> None:
        """Raise `ValueError` for too many points, or points that aren't in memory."""
        if isinstance(points, Source):
            raise ValueError(
                "fit: target 'posterior-averaged' needs all anchors in memory, and `data` is a source "
                "that is read as it is needed. Pass an array, or use the target 'plain'."
            )
        if self._number(len(points)) > self.budget:
            raise ValueError(
                f"fit: target 'posterior-averaged' would average over {len(points):,} points in every "
                f"target, above its `budget` of {self.budget:,}. Say among=256, which is unbiased too, "
                "or a larger budget."
            )

    def path_for(self, parts: Parts) -> AbstractPath:
        """The path as it is."""
        return parts.path

    def prepare(self, parts: Parts, path: AbstractPath, anchors: PyTree) -> "PosteriorAveraged":
        """With the anchors of all points."""
        if any(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(anchors)):
            raise ValueError(
                "fit: target 'posterior-averaged' needs all anchors in memory, and they are on disk. "
                "Leave out `anchor_dir`, or make them smaller: a larger `anchor_budget`, a Hessian of "
                "low rank."
            )
        own = isinstance(parts.path, SupportsNoise) and parts.path.noise == "own"
        own = own and has_end_law(parts.path)
        return PosteriorAveraged(self.among, self.chunk_size, self.budget, anchors, own)

    def __call__(
        self, path: AbstractPath, pair: Pair
    ) -> tuple[Float[Array, "*event"], Float[Array, "*event"]]:
        if self.anchors is None or not isinstance(path, AbstractGaussianPath):
            raise ValueError(
                "PosteriorAveraged: it hasn't been made ready. `fit` does that; elsewhere call "
                "target.prepare(parts, path, anchors)."
            )
        x, u = path.flow_and_velocity(pair.x0, pair.anchor, pair.t)
        own = _rows(self.anchors, pair.index)
        if self.own_noise:
            u = path.velocity(x, own, pair.t)
        level = path.log_prob(x, own, pair.t)
        index, good = self._others(pair)

        # Relative to the sample's own point, whose weight is 1: nothing cancels where it is alone.
        def add(
            carry: tuple[Array, Array, Array], chunk: tuple[Array, Array]
        ) -> tuple[tuple[Array, Array, Array], None]:
            peak, total, drift = carry
            rows = _rows(self.anchors, chunk[0])
            log_w = jax.vmap(lambda row: path.log_prob(x, row, pair.t))(rows) - level
            # Scales that are rounded to 0 leave a point alone: no other has a density there.
            log_w = jnp.where(chunk[1] & jnp.isfinite(log_w), log_w, -jnp.inf)
            off = jax.vmap(lambda row: path.velocity(x, row, pair.t))(rows) - u
            none = (chunk[0] == pair.index) | (log_w == -jnp.inf)
            off = jnp.where(none.reshape(-1, *[1] * u.ndim), 0, off)
            higher = jnp.maximum(peak, jnp.max(log_w))
            w, before = jnp.exp(log_w - higher), jnp.exp(peak - higher)
            drift = before * drift + jnp.tensordot(w, off, axes=1, precision="highest")
            return (higher, before * total + jnp.sum(w), drift), None

        start = jnp.zeros_like(level), jnp.ones_like(level), jnp.zeros_like(u)
        (_, total, drift), _ = jax.lax.scan(add, start, (index, good))
        return x, u + drift / total

    def _number(self, n: int) -> int:
        return n if self.among is None else min(self.among, n)

    def _others(self, pair: Pair) -> tuple[Int[Array, "chunks size"], Bool[Array, "chunks size"]]:
        """Chunks of the points besides the sample's own, and which of their entries count."""
        n = jax.tree.leaves(self.anchors)[0].shape[0]
        if self._number(n) == n:
            index = jnp.arange(n)
            good = index != pair.index
        else:
            assert self.among is not None
            key = jax.random.fold_in(jax.random.key(pair.seed), 1)
            # The own point may come again, and counts as often: the places are alike.
            index = jax.random.randint(key, (self.among - 1,), 0, n)
            good = jnp.ones(index.shape, bool)
        size = min(self.chunk_size, max(index.shape[0], 1))
        room = -index.shape[0] % size
        index, good = (jnp.pad(each, (0, room)) for each in (index, good))
        return index.reshape(-1, size), good.reshape(-1, size)


def _rows(anchors: PyTree, index: Int[Array, "*shape"]) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[index], anchors)


def _fault(parts: Parts) -> str | None:
    """Why the average isn't known in closed form."""
    path, prior, coupling, _ = parts
    if not isinstance(path, AbstractGaussianPath):
        return f"needs a Gaussian path: `path` ({type(path).__name__}) has no density p_t(x|x₁)."
    if not isinstance(coupling, Independent):
        return (
            f"needs independent pairs: with `coupling` ({type(coupling).__name__}) p_t(x|x₁) isn't the "
            "path's density."
        )
    if not is_normal(prior, path.prior_scale):
        return (
            f"needs the path's normal prior, of mean 0 and scale {path.prior_scale:.4g}: from `prior` "
            f"({type(prior).__name__}) p_t(x|x₁) is another density."
        )
    return None
