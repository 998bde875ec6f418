"""Whether chains forget where they started: rank-normalised split R-hat and effective sizes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow._programs import compiled
from hiflow.energies import AbstractEnergy
from hiflow.groups import AbstractGroup
from hiflow.groups._periods import periods_of

# Of the features beside the energy: more are replaced by their leading principal components.
_MOST = 8
# Draws further apart than this correlation tells nothing of.
_CORRELATED = 0.1
# Points that features are tried for invariance on.
_TRIED = 4


class Mixing(NamedTuple):
    """How far the chains agree, in their slowest feature.

    - `r_hat`: the largest rank-normalised split R-hat (Vehtari et al., Bayesian Analysis 16, 667, 2021)
      over the features: near 1 where every chain sees the same distribution.
    - `effective_share`: the smallest effective size over the features, as a share of the draws.
    - `memory`: how much of a difference between chains at the start is left after the burn-in, in
      [0, 1], extrapolated from the correlation of draws that are further and further apart.
    - `feature`: in words, the one of the largest R-hat.
    """

    r_hat: float
    effective_share: float
    memory: float
    feature: str


def mixing(
    energy: AbstractEnergy, trace: Float[Array, "draws chains *event"], burn_in: float
) -> Mixing:
    """R-hat, effective size and memory of the chains, over the energy and features of the points that
    the energy's group leaves unchanged: one particle's position says nothing where all may be exchanged.

    **Arguments:**

    - `trace`: at least 4 draws of at least 2 chains, equally far apart.
    - `burn_in`: in units of that distance.
    """
    # Imported late: it takes longer than all else that a flow needs to start.
    from arviz_stats.base import array_stats
    from scipy.special import ndtri
    from scipy.stats import rankdata

    draws, chains = trace.shape[:2]
    values, names = _features(energy, trace.reshape(-1, *trace.shape[2:]))
    varies = np.ptp(values, axis=0) > 0
    if not varies.any():
        return Mixing(float("inf"), 0.0, 1.0, "everything: no chain moves")
    names = [name for name, kept in zip(names, varies, strict=True) if kept]
    ranks = rankdata(values[:, varies], axis=0)
    table = ndtri((ranks - 0.375) / (len(ranks) + 0.25)).reshape(draws, chains, -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # A chain that stands still has no spread of its own: R-hat is infinite, as it should be.
        r_hat = np.ravel(array_stats.rhat(table, chain_axis=1, draw_axis=0))
        bulk = np.nan_to_num(np.ravel(array_stats.ess(table, chain_axis=1, draw_axis=0)))
        r_hat = np.where(r_hat < 1e6, r_hat, np.inf)  # NaN too
    # In short chains the autocorrelation is cut off; the spread of the chains' means isn't.
    over_chains = (
        table.var(axis=(0, 1)) / (np.mean(table, axis=0).var(axis=0) + 1e-30) * (chains - 1)
    )
    effective = np.minimum(bulk, over_chains) / (draws * chains)
    worst = int(np.argmax(r_hat))
    memory = _memory(table[..., worst], burn_in)
    share = min(float(effective.min()), 1.0)
    return Mixing(float(r_hat[worst]), share, memory, names[worst])


def _memory(values: Float[np.ndarray, "draws chains"], burn_in: float) -> float:
    """What the slowest part of the correlation over chains comes down to after the burn-in."""
    centred = values - values.mean(axis=1, keepdims=True)
    near, far = max(1, len(values) // 4), len(values) // 2
    at = [float(np.mean(centred[lag:] * centred[:-lag])) for lag in (near, far)]
    if at[0] < _CORRELATED * float(np.mean(centred**2)):
        return 0.0
    # What is lost at once is the motion within a mode; the ratio of two lags is without it.
    ratio = np.clip(at[1] / at[0], 0, 1)
    return float(ratio ** (burn_in / max(far - near, 1)))


def _features(
    energy: AbstractEnergy, x: Float[Array, "n *event"]
) -> tuple[Float[np.ndarray, "n k"], list[str]]:
    """Values of the energy and of the finest family of features that is invariant, and their names."""
    first = np.asarray(_energies(energy, x), np.float64)[:, None]
    for name, found in _families(energy.group, x).items():
        if _invariant(energy.group, x, name):
            columns, names = _leading(np.asarray(found, np.float64), name)
            return np.concatenate([first, columns], axis=1), ["the energy", *names]
    return first, ["the energy"]


def _families(group: AbstractGroup, x: Float[Array, "n *event"]) -> dict[str, Float[Array, "n k"]]:
    """Features of every point, the most telling family first."""
    found = {"coordinate": x.reshape(x.shape[0], -1)}
    if (periods := periods_of(group, x.shape[1:])) is not None:
        flat, turning = x.reshape(len(x), -1), np.isfinite(np.ravel(periods))
        turns = 2 * jnp.pi * flat[:, turning] / jnp.ravel(periods)[turning]
        columns = [jnp.sin(turns), jnp.cos(turns), flat[:, ~turning]]
        found["angle's sine or cosine"] = jnp.concatenate(columns, axis=1)
    if x.ndim == 3 and x.shape[1] > 1:
        i, j = np.triu_indices(x.shape[1], 1)
        squares = jnp.sum((x[:, i] - x[:, j]) ** 2, axis=-1)
        # Logarithms: the near pairs, which tell isomers apart, count as much as the far ones.
        distances = jnp.log(jnp.maximum(squares, 1e-30)) / 2
        found["pair distance"] = distances
        found["sorted pair distance"] = jnp.sort(distances, axis=1)
    found["distance from the origin"] = jnp.sqrt(
        jnp.sum(x.reshape(x.shape[0], -1) ** 2, axis=1, keepdims=True)
    )
    return found


def _invariant(group: AbstractGroup, x: Float[Array, "n *event"], family: str) -> bool:
    """Whether a family of features is the same on points and on the points moved by the group."""
    some = x[:_TRIED]
    before = _families(group, some)[family]
    for seed in range(3):
        g = group.sample(jax.random.key(seed), x.shape[1:])
        moved = jax.vmap(lambda y, g=g: group.act(g, y))(some)
        after = _families(group, moved)[family]
        if jnp.abs(after - before).max() > 1e-3 * (1 + jnp.abs(before).max()):
            return False
    return True


def _leading(
    values: Float[np.ndarray, "n k"], name: str
) -> tuple[Float[np.ndarray, "n m"], list[str]]:
    """The features themselves, or the principal components of many."""
    number = values.shape[1]
    if number <= _MOST:
        return values, [name if number == 1 else f"{name} {i}" for i in range(number)]
    centred = values - values.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    names = [f"principal component {i} of every {name}" for i in range(_MOST)]
    return centred @ vectors[:, ::-1][:, :_MOST], names


@compiled()
def _energies(energy: AbstractEnergy, x: Float[Array, "n *event"]) -> Float[Array, " n"]:
    return jax.lax.map(energy, x, batch_size=min(x.shape[0], 1024))
