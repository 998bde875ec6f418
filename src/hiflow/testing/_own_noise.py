"""The laws of an end law with noise of its own: ends, marginals and target over its draws."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hiflow.paths import AbstractGaussianPath, SupportsNoise
from hiflow.spectrum import Modes
from hiflow.testing._report import Report, largest
from hiflow.times import AbstractTimeTransform


def drawn(path: SupportsNoise, anchors: PyTree, keys: Key[Array, " draws"]) -> PyTree:
    """Draws of every anchor, with axes (point, draw)."""
    return jax.vmap(lambda one: jax.vmap(lambda key: path.draw(one, key=key))(keys))(anchors)


def own_noise_violations(
    path: AbstractGaussianPath,
    anchors: PyTree,
    draws: PyTree,
    x0: Array,
    times: Array,
    basis: Array,
    gaussian: bool,
) -> dict[str, Array]:
    """The violations at every anchor. `x0` are samples of the prior, one for every draw; `gaussian`
    says whether the path's density is that of its draws."""

    def one(anchor: PyTree, draws: PyTree) -> dict[str, Array]:
        found = _ends(path, anchor, draws, x0, basis)
        if not gaussian:
            return found
        of_times = jax.vmap(lambda t: _against_density(path, anchor, draws, x0, t, basis))(times)
        return found | of_times

    return jax.vmap(one)(anchors, draws)


def report_own_noise(report: Report, found: dict[str, Array], times: list[float]) -> None:
    """Hold the violations against their tolerances."""
    report.law(
        "own start", "at t = 0 a draw's flow is at x0", found["own start"], report.rounding,
        "point", "draw",
    )  # fmt: skip
    report.law(
        "own end", "at t = 1 a draw's flow doesn't depend on x0", found["own end"],
        found["own left"][:, None] + report.rounding, "point", "draw",
    )  # fmt: skip
    report.law(
        "own law", "at t = 1 draws have the anchor's centre and `variance` (in standard errors)",
        found["own law"], 7, "point",
    )  # fmt: skip
    for law, meaning in [
        ("own marginals", "draws have the density's mean and covariance (in standard errors)"),
        ("own velocity", "a draw's velocity is `velocity` in the mean at x_t (in standard errors)"),
    ]:
        if law in found:
            report.law(law, meaning, found[law], 7, "point", "t", t=times)


def _ends(
    path: AbstractGaussianPath, anchor: PyTree, draws: PyTree, x0: Array, basis: Array
) -> dict[str, Array]:
    """At t = 0 and t = 1 of one anchor's draws."""
    start, end = jnp.zeros((), x0.dtype), jnp.ones((), x0.dtype)
    frame = path.frame(anchor)

    def at(t: Array, x: Array) -> Array:
        return jax.vmap(lambda x, drawn: path.flow(x, drawn, t))(x, draws)

    ends, other = at(end, x0), jnp.roll(x0, 1, axis=0)
    size = lambda y: jnp.linalg.norm(y.reshape(y.shape[0], -1), axis=1)  # noqa: E731
    assert frame.variance is not None, "only an end law is drawn from"
    narrow = 1 / jnp.sqrt(frame.variance)
    time: AbstractTimeTransform | None = getattr(path, "time", None)
    left = 0.0 if time is None else 2 * jnp.max(time.decay(end, frame.speeds))
    return {
        "own start": size(at(start, x0) - x0) / (1 + size(x0) + largest(frame.centre)),
        "own end": size(ends - at(end, other)) / (1 + size(x0) + size(other) + size(ends)),
        "own law": _unlikely(frame.modes, narrow, ends - frame.centre, basis),
        "own left": jnp.asarray(left, x0.dtype),
    }


def _against_density(
    path: AbstractGaussianPath, anchor: PyTree, draws: PyTree, x0: Array, t: Array, basis: Array
) -> dict[str, Array]:
    """Samples and targets of one anchor's draws at one time against the path's density there."""
    frame, mean = path.frame(anchor), path.mean(anchor, t)
    _, sigma = path.schedule(t, frame)
    x, u = jax.vmap(lambda x, drawn: path.flow_and_velocity(x, drawn, t))(x0, draws)
    surprise = u - jax.vmap(lambda x: path.velocity(x, anchor, t))(x)
    r = jnp.matmul(surprise.reshape(x.shape[0], -1), basis, precision="highest")
    z = _whitened(frame.modes, 1 / sigma, x - mean, basis)
    z = jnp.concatenate([jnp.ones_like(z[:, :1]), z], axis=1)
    count = jnp.sqrt(1.0 * x.shape[0])
    error = jnp.sqrt(jnp.mean(r**2, axis=0)) / count
    noise = 1e3 * jnp.finfo(x.dtype).eps * (1 + largest(u))
    along = jnp.abs(jnp.matmul(r.T, z, precision="highest")) / count**2
    return {
        "own marginals": _unlikely(frame.modes, 1 / sigma, x - mean, basis),
        "own velocity": jnp.max(along / (error + noise)[:, None]),
    }


def _whitened(modes: Modes, values: Array, y: Array, basis: Array) -> Float[Array, "draws free"]:
    white = jax.vmap(lambda one: modes.apply(values, one.ravel()))(y)
    return jnp.matmul(white, basis, precision="highest")


def _unlikely(modes: Modes, values: Array, y: Array, basis: Array) -> Array:
    """How far mean and covariance of `y`, whitened by `values`, are from 0 and 1, in standard errors."""
    z = _whitened(modes, values, y, basis)
    count = jnp.sqrt(1.0 * z.shape[0])
    covariance = jnp.matmul(z.T, z, precision="highest") / count**2
    off = largest(covariance - jnp.eye(z.shape[1], dtype=z.dtype))
    return jnp.maximum(largest(z.mean(0)), off / jnp.sqrt(2.0)) * count
