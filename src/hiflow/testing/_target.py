"""The laws of a target."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow.couplings import AbstractCoupling, Independent, SupportsJitter
from hiflow.energies import AbstractEnergy, GaussianMixture, SupportsSampling
from hiflow.energies._gaussian import precision_matrix
from hiflow.paths import AbstractIsotropicPath, AbstractPath, OptimalTransport, choose_noise
from hiflow.paths._noise import draw_anchors
from hiflow.priors import AbstractPrior, Normal
from hiflow.targets import AbstractTarget, Pair, Parts, SupportsPrediction, SupportsPreparation
from hiflow.testing._compiled import compiled
from hiflow.testing._report import Findings, Report, largest, seed


def check_target(
    target: AbstractTarget,
    *,
    energy: AbstractEnergy | None = None,
    path: AbstractPath | None = None,
    prior: AbstractPrior | None = None,
    coupling: AbstractCoupling | None = None,
    key: PRNGKeyArray | None = None,
    times: Sequence[float] = (0.1, 0.5, 0.8, 0.95),
    points: int = 2_000,
) -> Findings:
    r"""Check that a target asks for the marginal velocity: that its point is the path's, that
    $E[(\text{target} - u_t)\,f(x_t)] = 0$ for functions $f$ of the point, that, where the marginal
    velocity is known in closed form, it is the target's mean too, and that the variance which the
    target says it takes out is taken out.

    The closed form is known for a [`GaussianMixture`][hiflow.energies.GaussianMixture], an isotropic
    path and independent pairs, which is what is checked with by default.

    **Arguments:**

    - `energy`: one whose samples can be drawn.
    - `path`, `prior`, `coupling`: optimal transport from a normal prior, independent pairs, by default.
    - `points`: how many samples are drawn.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws;
    `ValueError` for parts that the target refuses, or an energy without samples.

    **Example:**

    ```pycon
    >>> found = hf.testing.check_target(hf.targets.Plain(), key=key, points=500)
    >>> found.laws[-1].violation <= found.laws[-1].tolerance
    True
    ```
    """
    key = seed(key)
    energy = GaussianMixture.example() if energy is None else energy
    if not isinstance(energy, SupportsSampling):
        raise ValueError(
            f"check_target: `energy` ({type(energy).__name__}) must have a method `sample`: the laws "
            "are about exact samples."
        )
    if prior is None:
        prior = Normal(energy.event_shape)  # pyright: ignore[reportCallIssue]
    path = OptimalTransport(group=prior.group) if path is None else path  # pyright: ignore[reportCallIssue]
    parts = Parts(path, prior, Independent() if coupling is None else coupling, energy)
    report = Report("check_target", target, key, *parts)
    x1 = jax.vmap(energy.sample)(jax.random.split(key, points))
    if isinstance(target, SupportsPreparation):
        target.check(parts)
        path = target.path_for(parts)
    anchors = compiled(lambda: jax.vmap(path.anchor)(x1))()
    if isinstance(target, SupportsPreparation):
        target = target.prepare(parts, path, anchors)
    own = choose_noise(parts.path, prior, parts.coupling).own
    found = _measure(target, parts, path, anchors, x1, own, jnp.asarray(times), key)
    _report_laws(report, found, list(times))
    return report.finish()


def _report_laws(report: Report, found: dict[str, Array], times: list[float]) -> None:
    at = {"t": times}
    report.law("finite", "point and target are finite on [0, 1)", found["infinite"], 0, "t",
               t=[0, 0.999])  # fmt: skip
    report.law(
        "point", "the point is the path's x_t", found["point"], report.rounding, "t", "sample", **at
    )
    report.law(
        "unbiased", "E[(target − u_t) f(x_t)] is 0 (in standard errors)", found["unbiased"], 6, "t",
        "function", **at,
    )  # fmt: skip
    if "minimiser" in found:
        report.law(
            "minimiser", "E[(target − v_t) f(x_t)] is 0 with v_t the marginal velocity in closed form "
            "(in standard errors)", found["minimiser"], 6, "t", "function", **at,
        )  # fmt: skip
    if "predicted" in found:
        report.law(
            "predicted", "the variance that the target says it takes out is taken out (in standard "
            "errors)", found["predicted"], 6, "t", **at,
        )  # fmt: skip


@compiled
def _measure(
    target: AbstractTarget,
    parts: Parts,
    path: AbstractPath,
    anchors: PyTree,
    x1: Array,
    own: bool,
    times: Array,
    key: PRNGKeyArray,
) -> dict[str, Array]:
    n = x1.shape[0]
    k_prior, k_pair, k_draw = jax.random.split(jax.random.fold_in(key, 1), 3)
    x0 = jax.vmap(parts.prior.sample)(jax.random.split(k_prior, n)).astype(x1.dtype)
    jitter = None
    if isinstance(parts.coupling, SupportsJitter):
        x0, jitter = parts.coupling.with_jitter(x0, x1, k_pair)
    else:
        x0, _ = parts.coupling(x0, x1, k_pair)
    if own:
        anchors = draw_anchors(path, anchors, jax.random.split(k_draw, n))
    index = jnp.arange(n)

    def at(t: Array) -> dict[str, Array]:
        t = jnp.broadcast_to(t, (n,)).astype(x1.dtype)
        pairs = (x0, anchors, t, index, index.astype(jnp.uint32), jitter)
        x, y = jax.vmap(lambda *pair: target(path, Pair(*pair)))(*pairs)
        x_t, u = jax.vmap(path.flow_and_velocity)(x0, anchors, t)
        size = tuple(range(1, x.ndim))
        found = {
            "point": jnp.max(jnp.abs(x - x_t), axis=size) / (1 + largest(x_t)),
            "infinite": jnp.where(jnp.isfinite(x).all() & jnp.isfinite(y).all(), 0, jnp.inf),
            "unbiased": _correlation(y - u, y - u, x_t),
        }
        if _is_known(parts):
            v = jax.vmap(lambda x: _marginal(parts, x, t[0]))(x_t)
            # A target that averages over the points errs in common: as much as the plain one, at most.
            found["minimiser"] = _correlation(y - v, u - v, x_t)
        if isinstance(target, SupportsPrediction):
            drop = jnp.sum((u**2 - y**2).reshape(n, -1), axis=1) / _free(parts, x1)
            removed = target.removed(path, t[0])
            error = jnp.std(drop) / jnp.sqrt(1.0 * n) + 0.01 * jnp.abs(removed) + 1e-6
            found["predicted"] = jnp.abs(drop.mean() - removed) / error
        return found

    found = jax.lax.map(at, times.astype(x1.dtype))
    ends = jax.lax.map(at, jnp.asarray([0.0, 0.999], x1.dtype))
    return found | {"infinite": ends["infinite"]}


def _correlation(
    error: Float[Array, "n *event"], scale: Float[Array, "n *event"], x: Float[Array, "n *event"]
) -> Float[Array, " functions"]:
    """Of an error with functions of the point, in standard errors of something with the same spread or
    more; the largest over the event's coordinates."""
    n = x.shape[0]
    error, scale, x = (y.reshape(n, -1) for y in (error, scale, x))
    z = (x - x.mean(0)) / (jnp.std(x, axis=0) + 1e-6)
    f = jnp.concatenate([jnp.ones((n, 1)), z, jnp.sin(2 * z), z**2 - 1, z * jnp.roll(z, 1, 1)], 1)
    f = jnp.clip(f, -4, 4)
    mean = jnp.einsum("ni,nj->ij", error, f, precision="highest") / n
    spread = jnp.einsum("ni,nj->ij", scale**2, f**2, precision="highest") / n
    noise = 1e-5 * (1 + jnp.sqrt(jnp.mean(scale**2)))
    return jnp.max(jnp.abs(mean) / (jnp.sqrt(spread / n) + noise), axis=0)


def _free(parts: Parts, x1: Array) -> int:
    return x1[0].size - parts.prior.group.null_modes(x1[0]).shape[1]


def _is_known(parts: Parts) -> bool:
    """Whether the marginal velocity is known in closed form."""
    path, prior, coupling, energy = parts
    known = isinstance(energy, GaussianMixture) and isinstance(path, AbstractIsotropicPath)
    return known and isinstance(coupling, Independent) and isinstance(prior, Normal)


def _marginal(parts: Parts, x: Float[Array, "*event"], t: Array) -> Float[Array, "*event"]:
    r"""$v_t(x) = \sum_k r_k\,[\dot\beta m_k + (\dot\beta\beta\Lambda_k^{-1} + \dot\sigma\sigma)
    (\beta^2\Lambda_k^{-1} + \sigma^2)^{-1}(x - \beta m_k)]$, with $r_k$ the odds of component $k$."""
    path, energy = parts.path, parts.energy
    assert isinstance(path, AbstractIsotropicPath)
    assert isinstance(energy, GaussianMixture)
    (beta, sigma), (beta_dot, sigma_dot) = jax.jvp(path.noise_level, (t,), (jnp.ones_like(t),))
    one = jnp.eye(x.size, dtype=x.dtype)
    each = energy.precisions
    each = jnp.broadcast_to(each, energy.means.shape[:1]) if each.ndim == 0 else each
    C = jax.vmap(lambda P: jnp.linalg.inv(precision_matrix(P, x.size)))(each)
    S = beta**2 * C + sigma**2 * one
    z = x.ravel() - beta * energy.means.reshape(len(C), -1)
    white = jnp.linalg.solve(S, z[..., None])[..., 0]
    log_r = jnp.log(energy.weights) - jnp.sum(z * white, 1) / 2 - jnp.linalg.slogdet(S)[1] / 2
    drift = jnp.einsum("kij,kj->ki", beta_dot * beta * C + sigma_dot * sigma * one, white)
    u = beta_dot * energy.means.reshape(len(C), -1) + drift
    return jnp.tensordot(jax.nn.softmax(log_r), u, axes=1).reshape(x.shape)
