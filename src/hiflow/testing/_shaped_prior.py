"""The laws of a Gaussian path from a Gaussian prior that isn't the same in all directions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from hiflow.paths import AbstractGaussianPath, ConditionalLaw
from hiflow.testing._points import everywhere
from hiflow.testing._report import Report, largest
from hiflow.times import AbstractTimeTransform


def shaped_violations(
    law: ConditionalLaw,
    anchors: PyTree,
    draws: PyTree,
    x0: Array,
    times: Array,
    basis: Array,
    end_scale: float,
) -> dict[str, Array]:
    """The violations at every anchor. `x0` are samples of the prior; `draws` the anchors to flow to,
    one for every sample, where the end law has noise of its own, else the anchors themselves."""
    path, prior = law.path, law.prior

    def moved(drawn: PyTree, t: Array) -> tuple[Array, Array]:
        axes = (0, 0 if law.own_noise else None)
        return jax.vmap(lambda x, d: path.flow_and_velocity(x, d, t), axes)(x0, drawn)

    def of_samples(anchor: PyTree, drawn: PyTree) -> dict[str, Array]:
        return jax.vmap(lambda t: _against_law(law, anchor, t, *moved(drawn, t), basis))(times)

    def start(anchor: PyTree, t: Array, x: Array) -> Array:
        expected = prior.log_prob(x)
        return jnp.abs(law.log_prob(x, anchor, t) - expected) / (1 + jnp.abs(expected))

    found = jax.vmap(of_samples)(anchors, draws)
    found |= everywhere(
        lambda anchor, t, x: _identities(law, anchor, t, path.flow(x, anchor, t), basis),
        anchors,
        times,
        x0[:4],
    )
    if not path.approximate_start:
        found["shaped start"] = everywhere(start, anchors, jnp.zeros(1, x0.dtype), x0[:16])[:, 0]
    if not law.own_noise:
        found |= jax.vmap(lambda anchor: _end(path, anchor, x0[:16], end_scale))(anchors)
    return found


def report_shaped(report: Report, found: dict[str, Array], times: list[float]) -> None:
    """Hold the violations against their tolerances."""
    if "shaped start" in found:
        report.law(
            "shaped start", "at t = 0 the density is the prior's", found["shaped start"],
            10 * report.rounding, "point", "sample",
        )  # fmt: skip
    if "shaped end" in found:
        report.law(
            "shaped end", "at t = 1 the flow is at the anchor's centre", found["shaped end"],
            found["shaped left"][:, None] + report.rounding, "point", "sample",
        )  # fmt: skip
    for law, meaning, axes, tolerance in [
        ("shaped samples", "the flow's samples have the law's mean and covariance (in standard errors)",
         ("point", "t"), 7),
        ("shaped target", "the flow's velocity is `velocity` in the mean at x_t (in standard errors)",
         ("point", "t"), 7),
        ("shaped continuity", "d/dt log p + u·∇log p + ∇·u = 0", ("point", "t", "sample"),
         10 * report.rounding),
        ("shaped divergence", "divergence is the trace of the velocity's Jacobian",
         ("point", "t", "sample"), 10 * report.rounding),
        ("shaped score", "score = ∇log p", ("point", "t", "sample"), 10 * report.rounding),
    ]:  # fmt: skip
        report.law(law, meaning, found[law], tolerance, *axes, t=times)


def _against_law(
    law: ConditionalLaw, anchor: PyTree, t: Array, x: Array, x_dot: Array, basis: Array
) -> dict[str, Array]:
    """Samples of the flow, and their velocities, at one time against the law there."""
    sigma = jnp.matmul(basis.T, law.covariance(anchor, t) @ basis, precision="highest")
    variances, axes = jnp.linalg.eigh(sigma)
    y = jnp.matmul((x - law.mean(anchor, t)).reshape(x.shape[0], -1), basis, precision="highest")
    z = jnp.matmul(y, axes, precision="highest") / jnp.sqrt(variances)
    count = jnp.sqrt(1.0 * x.shape[0])
    covariance = jnp.matmul(z.T, z, precision="highest") / count**2
    off = largest(covariance - jnp.eye(z.shape[1], dtype=z.dtype)) / jnp.sqrt(2.0)
    u = jax.vmap(lambda one: law.velocity(one, anchor, t))(x)
    r = jnp.matmul((x_dot - u).reshape(x.shape[0], -1), basis, precision="highest")
    along = jnp.matmul(
        r.T, jnp.concatenate([jnp.ones_like(z[:, :1]), z], axis=1), precision="highest"
    )
    error = jnp.sqrt(jnp.mean(r**2, axis=0)) / count
    noise = 1e3 * jnp.finfo(x.dtype).eps * (1 + largest(u))
    return {
        "shaped samples": jnp.maximum(largest(z.mean(0)), off) * count,
        "shaped target": jnp.max(jnp.abs(along) / count**2 / (error + noise)[:, None]),
    }


def _identities(
    law: ConditionalLaw, anchor: PyTree, t: Array, x: Array, basis: Array
) -> dict[str, Array]:
    u, score = law.velocity(x, anchor, t), law.score(x, anchor, t)
    log_p_dot = jax.jvp(lambda s: law.log_prob(x, anchor, s), (t,), (jnp.ones_like(t),))[1]
    slope = jax.grad(lambda y: law.log_prob(y, anchor, t))(x)
    flat = lambda y: law.velocity(y.reshape(x.shape), anchor, t).ravel()  # noqa: E731
    J = jax.jacfwd(flat)(x.ravel())
    trace = jnp.sum(basis * jnp.matmul(J, basis, precision="highest"))
    divergence = law.divergence(anchor, t)
    drift = jnp.sum(u * score)
    terms = 1 + jnp.abs(log_p_dot) + jnp.abs(drift) + jnp.abs(trace)
    norm = lambda y: jnp.sqrt(jnp.sum(y**2))  # noqa: E731
    return {
        "shaped continuity": jnp.abs(log_p_dot + drift + divergence)
        / (terms + norm(J) * norm(score) * (norm(x) + norm(law.mean(anchor, t)))),
        "shaped divergence": jnp.abs(divergence - trace) / (1 + norm(J)),
        "shaped score": largest(score - slope) / (1 + largest(slope)),
    }


def _end(
    path: AbstractGaussianPath, anchor: PyTree, x0: Array, end_scale: float
) -> dict[str, Array]:
    one, frame = jnp.ones((), x0.dtype), path.frame(anchor)
    ends = jax.vmap(lambda x: path.flow(x, anchor, one))(x0)
    size = jnp.max(jnp.abs(x0.reshape(x0.shape[0], -1)), axis=1) + largest(frame.centre)
    off = jnp.max(jnp.abs(ends - frame.centre).reshape(x0.shape[0], -1), axis=1)
    left = jnp.asarray(end_scale, x0.dtype)
    time: AbstractTimeTransform | None = getattr(path, "time", None)
    if time is not None:
        # A mode of rate a keeps cutoff^a; isotropic frames count rates in units of `rate`.
        left = 2 * jnp.max(time.decay(one, frame.speeds * getattr(path, "rate", 1.0)))
    return {"shaped end": off / size, "shaped left": left}
