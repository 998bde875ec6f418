"""Expectation maximisation of a mixture of probabilistic principal component analysers.

The responsibilities and the scatter matrices that they weigh are summed over minibatches; the update
at the end of every epoch is exact (Tipping and Bishop, Neural Computation 11, 1999, appendix C).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._distances import squared_distances
from hiflow.energies import _factored

Points = Float[Array, "n dim"]
Centres = Float[Array, "m dim"]

_START_POINTS = 10_000
_CANDIDATES = 8
_LLOYD_STEPS = 10
_LARGE = 200
_OVERSAMPLING = 10
_ITERATIONS = 8


class Parameters(eqx.Module):
    """Those of the mixture, over flattened events."""

    means: Centres
    vectors: Float[Array, "m dim k"]
    variances: Float[Array, "m k"]
    noises: Float[Array, " m"]
    weights: Float[Array, " m"]


class Sums(eqx.Module):
    """Of the responsibilities over all points: their number, offsets from the mean, and scatter."""

    mass: Float[Array, " m"]
    shift: Centres
    scatter: Float[Array, "m dim dim"]


def maximise_likelihood(
    points: Points,
    key: PRNGKeyArray,
    *,
    components: int,
    rank: int,
    floor: float,
    epochs: int,
    batch_size: int,
) -> tuple[Array, Array, Array, Array, Array]:
    """Means, vectors, variances, noises and weights."""
    key_start, key_epochs = jax.random.split(key)
    found = _start(points, key_start, components, rank, floor)
    for key_epoch in jax.random.split(key_epochs, epochs):
        found = _epoch(points, found, key_epoch, floor, batch_size)
    return found.means, found.vectors, found.variances, found.noises, found.weights


@eqx.filter_jit
def _epoch(
    points: Points, old: Parameters, key: PRNGKeyArray, floor: float, batch_size: int
) -> Parameters:
    sums = _expectation(points, old, batch_size)
    return _maximisation(points, old, sums, key, floor)


def _expectation(points: Points, old: Parameters, batch_size: int) -> Sums:
    n, dim = points.shape
    m = old.means.shape[0]

    def add(i: Array, sums: Sums) -> Sums:
        # The last batch overlaps the one before; what was counted there counts for nothing here.
        start = jnp.minimum(i * batch_size, n - batch_size)
        x = jax.lax.dynamic_slice_in_dim(points, start, batch_size)
        new = start + jnp.arange(batch_size) >= i * batch_size
        r = jnp.where(new[:, None], _responsibilities(x, old), 0)
        return jax.tree.map(jnp.add, sums, _sums(x, old.means, r))

    empty = Sums(
        jnp.zeros(m, points.dtype),
        jnp.zeros((m, dim), points.dtype),
        jnp.zeros((m, dim, dim), points.dtype),
    )
    return jax.lax.fori_loop(0, -(-n // batch_size), add, empty)


def _responsibilities(x: Float[Array, "batch dim"], old: Parameters) -> Float[Array, "batch m"]:
    def of_component(mean: Array, log_weight: Array, *parts: Array) -> Array:
        return jax.vmap(lambda z: _factored.log_joint(z, log_weight, *parts))(x - mean)

    parts = (jnp.log(old.weights), old.vectors, old.variances, old.noises)
    return jax.nn.softmax(jax.vmap(of_component)(old.means, *parts), axis=0).T


def _sums(x: Float[Array, "batch dim"], means: Centres, r: Float[Array, "batch m"]) -> Sums:
    def one(of_component: tuple[Array, Array]) -> tuple[Array, Array]:
        mean, weight = of_component
        z = x - mean
        weighted = weight[:, None] * z
        return weighted.sum(0), jnp.matmul(weighted.T, z, precision="highest")

    shift, scatter = jax.lax.map(one, (means, r.T))
    return Sums(r.sum(0), shift, scatter)


def _maximisation(
    points: Points, old: Parameters, sums: Sums, key: PRNGKeyArray, floor: float
) -> Parameters:
    m, _, rank = old.vectors.shape
    shift = sums.shift / jnp.maximum(sums.mass, 1e-30)[:, None]
    scatter = sums.scatter - jax.vmap(jnp.outer)(sums.shift, shift)
    pooled = scatter.sum(0) / sums.mass.sum()
    # Pseudo-points of the pooled law, or few points would have a singular covariance.
    prior = rank + 1

    def principal(of_component: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        own, mass = of_component
        covariance = (own + prior * pooled) / (mass + prior)
        return _principal((covariance + covariance.T) / 2, rank, floor)

    vectors, variances, noises = jax.lax.map(principal, (scatter, sums.mass))
    elsewhere = points[jax.random.choice(key, points.shape[0], (m,), replace=False)]
    lost = sums.mass < 1
    means = jnp.where(lost[:, None], elsewhere, old.means + shift)
    mass = jnp.maximum(sums.mass, 1)
    return Parameters(means, vectors, variances, noises, mass / mass.sum())


def _principal(
    covariance: Float[Array, "dim dim"], rank: int, floor: float
) -> tuple[Array, Array, Array]:
    """Vectors, variances and noise of largest likelihood."""
    dim = covariance.shape[0]
    kept, vectors = _largest_eigenpairs(covariance, rank)
    others = jnp.trace(covariance) - kept.sum()
    noise = others / (dim - rank) if dim > rank else kept.min()
    return vectors, jnp.maximum(kept, floor), jnp.maximum(noise, floor)


def _largest_eigenpairs(covariance: Float[Array, "dim dim"], rank: int) -> tuple[Array, Array]:
    """Of a large matrix by subspace iteration from a random start (Halko, Martinsson and Tropp, 2011):
    few of many eigenvectors in a small part of the time."""
    dim, columns = covariance.shape[0], rank + _OVERSAMPLING
    if dim > max(_LARGE, 4 * columns):

        def multiply(_: object, Q: Array) -> Array:
            return jnp.linalg.qr(jnp.matmul(covariance, Q, precision="highest"))[0]

        random = jax.random.normal(jax.random.key(0), (dim, columns), covariance.dtype)
        Q = jax.lax.fori_loop(0, _ITERATIONS, multiply, random)
        inside = jnp.matmul(
            Q.T, jnp.matmul(covariance, Q, precision="highest"), precision="highest"
        )
        eigenvalues, vectors = jnp.linalg.eigh((inside + inside.T) / 2)
        vectors = jnp.matmul(Q, vectors, precision="highest")
    else:
        eigenvalues, vectors = jnp.linalg.eigh(covariance)
    return eigenvalues[-rank:], vectors[:, -rank:]


@eqx.filter_jit
def _start(
    points: Points, key: PRNGKeyArray, components: int, rank: int, floor: float
) -> Parameters:
    """Round components of one width about the centres of k-means."""
    key_choice, key_centres = jax.random.split(key)
    n, dim = points.shape
    few = min(n, _START_POINTS)
    x = points[jax.random.choice(key_choice, n, (few,), replace=False)]
    origin = x.mean(0)
    centres, counts, spread = _k_means(x - origin, key_centres, components)
    noise = jnp.maximum(spread / dim, floor)
    eye = jnp.broadcast_to(jnp.eye(dim, rank, dtype=x.dtype), (components, dim, rank))
    ones = jnp.ones((components, rank), x.dtype)
    mass = jnp.maximum(counts, 1)
    return Parameters(centres + origin, eye, noise * ones, noise * ones[:, 0], mass / mass.sum())


def _k_means(
    x: Points, key: PRNGKeyArray, components: int
) -> tuple[Centres, Float[Array, " m"], Float[Array, ""]]:
    """Centres, how many points each has, and the mean squared distance to the nearest."""

    def lloyd(_: object, centres: Array) -> Array:
        member = _members(x, centres)
        counts = member.sum(0)[:, None]
        means = jnp.matmul(member.T, x, precision="highest") / jnp.maximum(counts, 1)
        return jnp.where(counts > 0, means, centres)

    centres = jax.lax.fori_loop(0, _LLOYD_STEPS, lloyd, _seeds(x, key, components))
    spread = jnp.mean(jnp.min(squared_distances(x, centres), axis=1))
    return centres, _members(x, centres).sum(0), spread


def _seeds(x: Points, key: PRNGKeyArray, components: int) -> Centres:
    """Greedy k-means++ (Arthur and Vassilvitskii, 2007): of a few candidates, drawn in proportion to
    their squared distance from the nearest seed, the one that leaves the least."""
    keys = jax.random.split(key, components)
    first = x[jax.random.randint(keys[0], (), 0, x.shape[0])]
    seeds = jnp.zeros((components, x.shape[1]), x.dtype).at[0].set(first)

    def add(j: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        seeds, nearest = carry
        candidates = x[jax.random.categorical(keys[j], jnp.log(nearest), shape=(_CANDIDATES,))]
        reached = jnp.minimum(nearest[:, None], squared_distances(x, candidates))
        best = jnp.argmin(reached.sum(0))
        return seeds.at[j].set(candidates[best]), reached[:, best]

    nearest = squared_distances(x, first[None])[:, 0]
    return jax.lax.fori_loop(1, components, add, (seeds, nearest))[0]


def _members(x: Points, centres: Centres) -> Float[Array, "n m"]:
    nearest = jnp.argmin(squared_distances(x, centres), axis=1)
    return jax.nn.one_hot(nearest, centres.shape[0], dtype=x.dtype)
