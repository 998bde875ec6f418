"""The laws of a Gaussian path: all that has to agree with the flow alone."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from hiflow.paths import AbstractGaussianPath, AbstractSpectralPath
from hiflow.priors import AbstractPrior
from hiflow.testing._points import everywhere, free_directions
from hiflow.testing._report import Report, largest
from hiflow.times import AbstractTimeTransform


def gaussian_violations(
    path: AbstractGaussianPath,
    prior: AbstractPrior,
    anchors: PyTree,
    x0: Array,
    times: Array,
    end_scale: float,
) -> dict[str, Array]:
    """The violations at every anchor. `x0` are samples of the prior."""
    basis = free_directions(prior.group, x0[0])
    if path.approximate_start:
        start = _nearness_of_start(path, anchors, x0[0], basis)
    else:
        start = _start(path, prior, anchors, x0[:16])
    end = _end(path, anchors, x0[0], basis, end_scale)
    samples = _samples(path, anchors, x0, times, basis)
    stability = _stability(path, anchors, x0[:4]) if isinstance(path, AbstractSpectralPath) else {}
    return (
        {"start": start, "samples": samples}
        | end
        | stability
        | everywhere(
            lambda anchor, t, x: _identities(path, prior, anchor, basis, x, t),
            anchors,
            times,
            x0[:4],
        )
    )


def report_gaussian_laws(
    report: Report, path: AbstractGaussianPath, found: dict[str, Array], times: list[float]
) -> None:
    """Hold the violations against their tolerances."""
    if path.approximate_start:
        report.law(
            "start", "at t = 0 mean and spread are within 0.1 standard deviations of the prior's",
            found["start"], 0.1, "point",
        )  # fmt: skip
    else:
        report.law(
            "start", "at t = 0 the density is the prior's", found["start"], report.rounding,
            "point", "t", "sample", t=[0],
        )  # fmt: skip
    left = found["left"] + report.rounding
    report.law(
        "end mean", "at t = 1 the mean is the anchor's centre", found["end mean"], left, "point"
    )
    report.law(
        "end covariance", "at t = 1 the covariance is the anchor's `variance`, 0 without one",
        found["end covariance"], left, "point",
    )  # fmt: skip
    for law, meaning in [
        ("contraction", "the distance to the centre never grows in any direction of the basis"),
        ("Lyapunov", "y·Ay/2, y = x_t - centre, falls strictly and is at least a_min |y|²/2"),
    ]:
        if law in found:
            report.law(law, meaning, found[law], report.rounding, "point", "distance", "sample")
    report.law(
        "samples", "the flow's samples have the density's mean and covariance (in standard errors)",
        found["samples"], 7, "point", "t", t=times,
    )  # fmt: skip
    for law, meaning in [
        ("density", "log p_t(flow(x0)) = log p_0(x0) - log |det d flow/d x0| on free directions"),
        ("velocity", "velocity(flow(x0)) = d/dt flow(x0)"),
        ("continuity", "d/dt log p + u·∇log p + ∇·u = 0"),
        ("divergence", "divergence is the trace of the velocity's Jacobian on free directions"),
        ("score", "score = ∇log p"),
    ]:
        report.law(law, meaning, found[law], 10 * report.rounding, "point", "t", "sample", t=times)


def _start(path: AbstractGaussianPath, prior: AbstractPrior, anchors: PyTree, x0: Array) -> Array:
    def difference(anchor: PyTree, t: Array, x: Array) -> Array:
        expected = prior.log_prob(x)
        return jnp.abs(path.log_prob(x, anchor, t) - expected) / (1 + jnp.abs(expected))

    return everywhere(difference, anchors, jnp.zeros(1, x0.dtype), x0)


def _nearness_of_start(
    path: AbstractGaussianPath, anchors: PyTree, x: Array, basis: Array
) -> Array:
    def one(anchor: PyTree) -> Array:
        zero = jnp.zeros((), x.dtype)
        J = _jacobian(path, anchor, jnp.zeros_like(x), zero, basis)
        spread = jnp.sqrt(jnp.linalg.eigvalsh(jnp.matmul(J, J.T, precision="highest")))
        return jnp.maximum(largest(path.mean(anchor, zero)) / path.prior_scale, largest(spread - 1))

    return jax.vmap(one)(anchors)


def _end(
    path: AbstractGaussianPath, anchors: PyTree, x: Array, basis: Array, end_scale: float
) -> dict[str, Array]:
    """Violations at t = 1, and how much of the start may be left there."""

    def one(anchor: PyTree) -> dict[str, Array]:
        end, frame = jnp.ones((), x.dtype), path.frame(anchor)
        mean = path.flow(jnp.zeros_like(x), anchor, end)
        J = path.prior_scale * _jacobian(path, anchor, jnp.zeros_like(x), end, basis)
        covariance = jnp.matmul(J, J.T, precision="highest")
        expected = jnp.zeros_like(covariance)
        variance = frame.variance
        if variance is not None:
            spread = jax.vmap(lambda b: frame.modes.apply(variance, b), 1, 1)(basis)
            expected = jnp.matmul(basis.T, spread, precision="highest")
        left = jnp.asarray(end_scale, x.dtype)
        time: AbstractTimeTransform | None = getattr(path, "time", None)
        if time is not None:
            # A mode of rate a keeps cutoff^a; isotropic frames count rates in units of `rate`.
            left = 2 * jnp.max(time.decay(end, frame.speeds * getattr(path, "rate", 1.0)))
        shift = largest(mean - frame.centre) / (path.prior_scale + largest(frame.centre))
        excess = largest(covariance - expected) / (largest(expected) + path.prior_scale**2)
        return {"end mean": shift, "end covariance": excess, "left": left}

    return jax.vmap(one)(anchors)


_DISTANCES = (1.0, 1e3)


def _stability(path: AbstractSpectralPath, anchors: PyTree, x0: Array) -> dict[str, Array]:
    """How far the flow is from contracting, from starts near and far: (point, distance, sample).

    Of a path with an end law it is the mean that contracts; the spread goes to the law's.
    """
    times = jnp.linspace(0, 1, 17).astype(x0.dtype)

    def one(anchor: PyTree, far: Array, x: Array) -> dict[str, Array]:
        frame = path.frame(anchor)

        def offset(t: Array) -> Array:
            if frame.variance is None:
                return (path.flow(far * x, anchor, t) - frame.centre).ravel()
            return far * (path.mean(anchor, t) - frame.centre).ravel()

        # float32 knows x_t to a rounding of the centre, so far starts are compared relatively.
        y = jax.vmap(offset)(times)
        size = 1 + largest(y)
        along = jax.vmap(frame.modes.components)(y)
        value = jax.vmap(lambda z: jnp.sum(z * frame.modes.apply(frame.speeds, z)) / 2)(y)
        floor = jnp.min(frame.speeds) * jnp.sum(y**2, axis=1) / 2
        over = 10 * jnp.finfo(x0.dtype).eps * size**2 * jnp.max(frame.speeds)
        stays = (value[1:] >= value[:-1]) & (value[:-1] > over * 1e3)
        return {
            "contraction": largest(jnp.maximum(jnp.abs(along[1:]) - jnp.abs(along[:-1]), 0)) / size,
            "Lyapunov": jnp.where(stays.any(), jnp.inf, 0)
            + largest(jnp.maximum(floor - value, 0)) / (value[0] + size**2),
        }

    return jax.vmap(
        lambda a: jax.vmap(lambda d: jax.vmap(lambda x: one(a, d, x))(x0))(
            jnp.asarray(_DISTANCES, x0.dtype)
        )
    )(anchors)


def _identities(
    path: AbstractGaussianPath,
    prior: AbstractPrior,
    anchor: PyTree,
    basis: Array,
    x0: Array,
    t: Array,
) -> dict[str, Array]:
    """Violations, each relative to what rounding of `x_t` could do to its terms."""
    x, x_dot = jax.jvp(lambda s: path.flow(x0, anchor, s), (t,), (jnp.ones_like(t),))
    flat, shape = x.ravel(), x.shape
    u, score = path.velocity(x, anchor, t), path.score(x, anchor, t)
    log_p, log_p_dot = jax.jvp(lambda s: path.log_prob(x, anchor, s), (t,), (jnp.ones_like(t),))
    slope = jax.grad(lambda y: path.log_prob(y, anchor, t))(x)
    J_u = jax.jacfwd(lambda y: path.velocity(y.reshape(shape), anchor, t).ravel())(flat)
    J_s = jax.jacfwd(lambda y: path.score(y.reshape(shape), anchor, t).ravel())(flat)
    trace = jnp.sum(basis * jnp.matmul(J_u, basis, precision="highest"))
    expansion = jnp.linalg.slogdet(_jacobian(path, anchor, x0, t, basis))[1]
    expected = prior.log_prob(x0) - expansion
    drift = jnp.sum(u * slope)
    norm = lambda y: jnp.sqrt(jnp.sum(y**2))  # noqa: E731
    reach = norm(x) + norm(path.mean(anchor, t))
    terms = jnp.abs(log_p_dot) + jnp.abs(drift) + jnp.abs(trace)
    steep = norm(J_u) * norm(score) + norm(u) * norm(J_s)
    return {
        "density": jnp.abs(log_p - expected) / (1 + jnp.abs(expected) + norm(score) * reach),
        "velocity": largest(u - x_dot) / (1 + largest(x_dot) + norm(J_u) * reach),
        "continuity": jnp.abs(log_p_dot + drift + trace) / (1 + terms + steep * reach),
        "divergence": jnp.abs(path.divergence(anchor, t) - trace) / (1 + norm(J_u)),
        "score": largest(score - slope) / (1 + largest(slope) + norm(J_s) * reach),
    }


def _jacobian(
    path: AbstractGaussianPath, anchor: PyTree, x0: Array, t: Array, basis: Array
) -> Array:
    """Of the flow in `x0`, on the free directions."""
    J = jax.jacfwd(lambda y: path.flow(y.reshape(x0.shape), anchor, t).ravel())(x0.ravel())
    return jnp.matmul(basis.T, jnp.matmul(J, basis, precision="highest"), precision="highest")


def _samples(
    path: AbstractGaussianPath, anchors: PyTree, x0: Array, times: Array, basis: Array
) -> Array:
    """Mean and covariance of the flow's samples, whitened by the density's."""

    def one(anchor: PyTree, t: Array) -> Array:
        mean = path.mean(anchor, t)
        x = jax.vmap(lambda x: path.flow(x, anchor, t))(x0)
        y = jnp.matmul((x - mean).reshape(x.shape[0], -1), basis, precision="highest")
        J = _jacobian(path, anchor, x0[0], t, basis) * path.prior_scale
        score = lambda z: path.score(z.reshape(mean.shape), anchor, t).ravel()  # noqa: E731
        slope = jnp.matmul(jax.jacfwd(score)(mean.ravel()), basis, precision="highest")
        precision = -jnp.matmul(basis.T, slope, precision="highest")
        # With J Jᵀ the inverse of the precision, Jᵀ times the precision whitens.
        z = jnp.matmul(y, jnp.matmul(precision, J, precision="highest"), precision="highest")
        count = jnp.sqrt(1.0 * x.shape[0])
        covariance = jnp.matmul(z.T, z, precision="highest") / count**2
        off = largest(covariance - jnp.eye(z.shape[1], dtype=z.dtype))
        return jnp.maximum(largest(z.mean(0)), off / jnp.sqrt(2.0)) * count

    return jax.vmap(lambda anchor: jax.vmap(lambda t: one(anchor, t))(times))(anchors)
