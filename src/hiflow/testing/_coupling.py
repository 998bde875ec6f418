"""The laws of a coupling."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from hiflow.couplings import AbstractCoupling, SupportsPreparation
from hiflow.priors import AbstractPrior, Normal
from hiflow.priors._density import refuse_without_density
from hiflow.testing._compiled import compiled
from hiflow.testing._report import Findings, Report, largest, seed


def check_coupling(
    coupling: AbstractCoupling,
    *,
    prior: AbstractPrior | None = None,
    key: PRNGKeyArray | None = None,
    points: object = None,
    batch: int = 16,
    draws: int = 200,
) -> Findings:
    """Check that a coupling keeps the data in place and the prior's marginal, exactly or on orbits:
    `x0` is reordered, moved by the prior's symmetry, or redrawn, and used evenly.

    Samples are recognised by their log density, which no symmetry of the prior changes. A coupling
    that must be prepared is prepared with the same prior and points.

    **Arguments:**

    - `prior`: where `x0` comes from; a standard normal in the plane by default.
    - `points`: the data, `(n, *event)`; by default the prior's samples, moved and stretched.
    - `batch`: size of the batch, if `points` isn't given.
    - `draws`: how many keys the even use is averaged over.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws.

    **Example:**

    ```pycon
    >>> found = hf.testing.check_coupling(hf.couplings.MinibatchOT(), key=key)
    >>> found.laws[-1].violation <= found.laws[-1].tolerance
    True
    ```
    """
    key = seed(key)
    k_x0, k_x1, k_draw, k_prepare = jax.random.split(key, 4)
    if prior is None:
        prior = Normal((2,))  # pyright: ignore[reportCallIssue]
    refuse_without_density(prior, "check_coupling")
    report = Report("check_coupling", coupling, key, prior)
    if points is None:
        x1 = jax.vmap(prior.sample)(jax.random.split(k_x1, batch))
        points = jax.vmap(prior.group.project)(
            0.5 * x1 + jnp.linspace(-1, 1, x1[0].size).reshape(x1[0].shape)
        )
    x1 = jnp.asarray(points)
    if isinstance(coupling, SupportsPreparation):
        coupling = coupling.prepare(prior, x1, k_prepare)
    x0 = jax.vmap(prior.sample)(jax.random.split(k_x0, x1.shape[0]))
    y0, y1 = compiled(lambda: coupling(x0, x1, k_draw))()
    same = y0.shape == x0.shape and y1.shape == x1.shape
    report.law("shape", "the batch keeps its shape", 0.0 if same else jnp.inf, 0)
    report.law("data", "x1 keeps its order and values", _distance(y1, x1), 0)
    if not same:
        return report.finish()
    found = _measure(coupling, prior, x0, x1, k_draw, draws)
    _report_pairs(report, coupling, prior, found, (x0, y0))
    return report.finish()


def _report_pairs(
    report: Report,
    coupling: AbstractCoupling,
    prior: AbstractPrior,
    found: dict[str, Array],
    moved: tuple[Array, Array],
) -> None:
    x0, y0 = moved
    if coupling.redraws:
        report.law(
            "redrawn", "x0 is redrawn from the prior: its log densities have the prior's law "
            "(Kolmogorov–Smirnov, in units of 1/√n)", found["redrawn"], 2,
        )  # fmt: skip
    else:
        report.law(
            "prior", "x0 is reordered or moved by the prior's symmetry: its log densities stay",
            found["foreign"], report.rounding, "row",
        )  # fmt: skip
        report.law(
            "even use", "every prior sample is used as often as the others (in standard errors)",
            found["uneven"], 6, "sample",
        )  # fmt: skip
    report.law(
        "projection", "x0 stays in the image of prior.group.project",
        _distance(jax.vmap(prior.group.project)(y0), y0), report.rounding * (1 + float(largest(x0))),
    )  # fmt: skip
    report.law(
        "key", "the same key gives the same pairs", _distance(found["again"], y0),
        report.rounding * (1 + float(largest(x0))),
    )  # fmt: skip


@compiled
def _measure(
    coupling: AbstractCoupling,
    prior: AbstractPrior,
    x0: Array,
    x1: Array,
    key: PRNGKeyArray,
    draws: int,
) -> dict[str, Array]:
    n, keys = x0.shape[0], jnp.concatenate([key[None], jax.random.split(key, draws - 1)])
    log_p = jax.vmap(prior.log_prob)
    before = log_p(x0)

    def one(_: None, key: Array) -> tuple[None, tuple[Array, ...]]:
        y0 = coupling(x0, x1, key)[0]
        after = log_p(y0)
        gaps = jnp.abs(after[:, None] - before[None, :])
        used = jnp.zeros(n, x0.dtype).at[jnp.argmin(gaps, axis=1)].add(1)
        return None, (used, jnp.min(gaps, axis=1) / (1 + jnp.abs(after)), after, y0)

    _, (used, gaps, after, y0) = jax.lax.scan(one, None, keys)
    # Where every draw gives the same pairs there is no spread to excuse an uneven use.
    error = jnp.std(used, axis=0) / jnp.sqrt(1.0 * keys.shape[0])
    uneven = jnp.abs(used.mean(0) - 1) / (error + 1e-3)
    fresh = log_p(jax.vmap(prior.sample)(jax.random.split(keys[0], 4 * n)))
    return {
        "again": y0[0],
        "foreign": gaps.max(0),
        "uneven": uneven,
        "redrawn": _kolmogorov_smirnov(fresh, after.ravel()),
    }


def _kolmogorov_smirnov(a: Array, b: Array) -> Array:
    """The largest distance of the samples' distribution functions, times √(nm/(n + m)) for n and m
    different values."""
    a, b = jnp.sort(a), jnp.sort(b)
    every = jnp.concatenate([a, b])
    shares = [jnp.searchsorted(x, every, side="right") / x.size for x in (a, b)]
    n, m = (1 + jnp.sum(x[1:] > x[:-1]) for x in (a, b))
    return jnp.max(jnp.abs(shares[0] - shares[1])) * jnp.sqrt(n * m / (n + m))


def _distance(x: Array, y: Array) -> ArrayLike:
    return largest(x - y) if x.shape == y.shape else jnp.inf
