"""The laws of a prior."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from hiflow.groups._periods import periods_of
from hiflow.priors import AbstractPrior, has_density
from hiflow.testing._compiled import compiled
from hiflow.testing._drawn_prior import check_draws
from hiflow.testing._points import free_directions
from hiflow.testing._report import Findings, Report, largest, rounding, seed


def check_prior(
    prior: AbstractPrior, *, key: PRNGKeyArray | None = None, samples: int = 4000
) -> Findings:
    r"""Check that a prior's samples lie where its group projects to and belong to its density, and
    that the density is normalised there and invariant.

    Samples and density are compared by Stein's identities $E[s] = 0$, $E[x s^\top] = -P$ for the
    score $s = \nabla\log p$; the normaliser is estimated by importance sampling from a Laplace
    approximation, which is exact for a Gaussian. Of a prior that is known by its draws alone these are
    checked: finite, in the image of the projection, and with moments that the group doesn't change.

    **Arguments:**

    - `samples`: how many samples to draw.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws.

    **Example:**

    ```pycon
    >>> found = hf.testing.check_prior(hf.priors.CentredNormal(4, 3), key=key)
    >>> found.laws[-1].violation <= found.laws[-1].tolerance
    True
    ```
    """
    key = seed(key)
    k_samples, k_group, k_normaliser = jax.random.split(key, 3)
    report = Report("check_prior", prior, key)
    x = jax.vmap(prior.sample)(jax.random.split(k_samples, samples))
    same = x.shape[1:] == prior.event_shape
    report.law("shape", "a sample has the event shape", 0.0 if same else jnp.inf, 0)
    if not same:
        return report.finish()
    if not has_density(prior):
        return check_draws(report, prior, x, k_group)
    found = _measure(prior, x, jax.random.split(k_group, 8))
    report.law("finite", "samples and log densities are finite", found["infinite"], 0, "sample")
    report.law(
        "projection",
        "samples lie in the image of group.project",
        found["outside"],
        report.rounding,
        "sample",
    )
    report.law(
        "samples", "samples have the density's moments (in standard errors)", found["stein"], 7
    )
    report.law(
        "invariance",
        "log p(gx) = log p(x)",
        found["invariance"],
        report.rounding,
        "sample",
        "element",
    )
    log_z, error = _log_normaliser(prior, x, k_normaliser)
    report.law(
        "normalised", "the density integrates to 1 over the free directions (log of the integral)",
        jnp.abs(log_z), 6 * error + 10 * report.rounding * x[0].size,
    )  # fmt: skip
    return report.finish()


@compiled
def _measure(prior: AbstractPrior, x: Array, keys: Array) -> dict[str, Array]:
    group, basis = prior.group, free_directions(prior.group, x[0])
    log_p, score = jax.vmap(jax.value_and_grad(prior.log_prob))(x)
    y, s = (jnp.matmul(z.reshape(x.shape[0], -1), basis, precision="highest") for z in (x, score))
    f, f_slope = _test_functions(y, _periods(prior, y.shape[1]))
    count = jnp.sqrt(1.0 * x.shape[0])

    def standard_errors(mean: Array, square: Array, expected: ArrayLike) -> Array:
        spread = jnp.sqrt(jnp.maximum(square - mean**2, 0)) / count
        return largest((mean - expected) / (spread + rounding()))

    first = standard_errors(s.mean(0), (s**2).mean(0), 0)
    both = f[:, :, None] * s[:, None, :] + jnp.eye(y.shape[1]) * f_slope[:, :, None]
    second = standard_errors(both.mean(0), (both**2).mean(0), 0)

    def moved(one: Array, value: Array) -> Array:
        def by(key: Array) -> Array:
            g = group.sample(key, prior.event_shape)
            return jnp.abs(prior.log_prob(group.act(g, one)) - value) / (1 + jnp.abs(value))

        return jax.vmap(by)(keys)

    finite = jnp.isfinite(log_p) & jnp.isfinite(y).all(1)
    return {
        "infinite": jnp.where(finite, 0, jnp.inf),
        "outside": jax.vmap(lambda z: largest(z - group.project(z)) / (1 + largest(z)))(x),
        "stein": jnp.stack([first, second]),
        "invariance": jax.vmap(moved)(x[:32], log_p[:32]),
    }


def _periods(prior: AbstractPrior, free: int) -> Array:
    """Of the coordinates in the basis of free directions; the coordinates themselves if any is
    periodic."""
    periods = periods_of(prior.group, prior.event_shape)
    return jnp.full(free, jnp.inf) if periods is None else periods.ravel()


def _test_functions(y: Array, periods: Array) -> tuple[Array, Array]:
    """For Stein's identities: y, or a wave where y is periodic, with the derivative."""
    periodic = jnp.isfinite(periods)
    w = 2 * jnp.pi / jnp.where(periodic, periods, 1)
    return (
        jnp.where(periodic, jnp.sin(w * y) + jnp.cos(w * y), y),
        jnp.where(periodic, w * (jnp.cos(w * y) - jnp.sin(w * y)), 1),
    )


@compiled
def _log_normaliser(prior: AbstractPrior, x: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
    """The log of the density's integral and its standard error."""
    basis = free_directions(prior.group, x[0])
    centre = jnp.mean(x, axis=0).ravel()
    centre = jnp.where(jnp.isfinite(centre), centre, 0)

    def log_p(y: Array) -> Array:
        return prior.log_prob(
            (centre + jnp.matmul(basis, y, precision="highest")).reshape(x.shape[1:])
        )

    free = basis.shape[1]
    start = jnp.zeros(free, x.dtype)
    periods = _periods(prior, free)
    # Periodic coordinates are drawn evenly from one period, and the others from the Laplace law.
    even = jnp.isfinite(periods)
    apart = even[:, None] | even[None, :]
    precision = jnp.where(apart, jnp.eye(free), -jax.hessian(log_p)(start))
    spread = jnp.matmul(x.reshape(x.shape[0], -1) - centre, basis, precision="highest")
    covariance = 1.2 * jnp.cov(spread.T).reshape(free, free)
    covariance = jnp.where(apart, jnp.eye(free), covariance)
    definite = jnp.linalg.eigvalsh(precision)[0] > 1e-6
    precision = jnp.where(definite, precision, jnp.linalg.inv(covariance))
    mode = jnp.where(definite, jnp.linalg.solve(precision, jax.grad(log_p)(start)), 0)
    mode = jnp.where(even, 0, mode)
    factor = jnp.linalg.cholesky(precision)
    noise = jax.random.normal(key, (*x.shape[:1], free), x.dtype)
    draws = jax.scipy.linalg.solve_triangular(factor.T, noise.T, lower=False).T
    uniform = jax.random.uniform(jax.random.fold_in(key, 1), draws.shape, x.dtype, -0.5, 0.5)
    draws = jnp.where(even, jnp.where(even, periods, 1) * uniform, draws)
    per_mode = jnp.log(jnp.diagonal(factor)) - (noise**2 + jnp.log(2 * jnp.pi)) / 2
    log_q = jnp.sum(jnp.where(even, -jnp.log(jnp.where(even, periods, 1)), per_mode), axis=1)
    log_w = jax.vmap(log_p)(mode + draws) - log_q
    top = jnp.max(log_w)
    w = jnp.exp(log_w - top)
    return top + jnp.log(w.mean()), jnp.std(w) / w.mean() / jnp.sqrt(1.0 * w.size)
