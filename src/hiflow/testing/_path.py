"""The laws of a path."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from hiflow.groups import AbstractGroup, linear_part
from hiflow.paths import AbstractGaussianPath, AbstractPath, ConditionalLaw, SupportsNoise
from hiflow.paths._noise import has_end_law, is_for, is_normal
from hiflow.priors import AbstractPrior, SupportsCovariance, has_density
from hiflow.priors._density import refuse_without_density
from hiflow.testing._any_path import (
    distance_at_start,
    equivariance,
    laws_of_any_path,
    moments_at_start,
)
from hiflow.testing._compiled import compiled
from hiflow.testing._gaussian_path import gaussian_violations, report_gaussian_laws
from hiflow.testing._own_noise import drawn, own_noise_violations, report_own_noise
from hiflow.testing._points import free_directions, relaxed_points
from hiflow.testing._report import Findings, Report, seed
from hiflow.testing._shaped_prior import report_shaped, shaped_violations


def check_path(
    path: AbstractPath,
    *,
    prior: AbstractPrior,
    key: PRNGKeyArray | None = None,
    points: object = None,
    times: Sequence[float] = (0.1, 0.5, 0.8),
    end_scale: float = 0.02,
) -> Findings:
    r"""Check a path: it starts at the prior, its velocity is the time derivative of its flow, it
    stays in the image of the group's projection and moves with the group. For a Gaussian path also
    that the end law, density, velocity, divergence and score belong to the flow and to each other.

    From a Gaussian prior of any other covariance these are checked of its
    [`ConditionalLaw`][hiflow.paths.ConditionalLaw].

    Where the end law can have noise of its own, its draws are checked too: both ends, and, if `noise` is
    `"own"`, that the density and velocity are those of the draws. For a prior that isn't normal such
    a path is checked by its draws alone, as every Gaussian path is for a prior without a density.

    The group is the energy's if the path has an energy, else the prior's.

    **Arguments:**

    - `prior`: the prior that the path starts from; a Gaussian path's `prior_scale` must fit it.
    - `points`: data points to put anchors at, `(n, *event)`; by default normal draws that were
      relaxed downhill in the path's energy, or the prior's samples brought to unit scale if it
      has none.
    - `times`: where to check inside (0, 1).
    - `end_scale`: how close a Gaussian path without a time transform has to come to its end law, in
      standard deviations of the prior. With a transform the end is exact up to its cutoff.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws;
    `ValueError` for an end law that takes a prior sample's noise that can't be its own.

    **Example:**

    ```pycon
    >>> path = hf.paths.Langevin(ring)
    >>> found = hf.testing.check_path(path, prior=hf.priors.Normal(2), key=key)
    >>> found.laws[-1].violation <= found.laws[-1].tolerance
    True
    ```
    """
    key = seed(key)
    k_points, k_prior, k_group = jax.random.split(key, 3)
    k_draws = jax.random.split(jax.random.fold_in(key, 3), 2000)
    report = Report("check_path", path, key, prior)
    points = _points(path, prior, k_points) if points is None else jnp.asarray(points)
    inside = jnp.asarray(times, points.dtype)
    anchors, turned, turns, radius, x0 = _inputs(
        path, prior, points, jax.random.split(k_group, 3), jax.random.split(k_prior, 2000)
    )
    law = _shaped_law(path, prior)
    gaussian = law is None and isinstance(path, AbstractGaussianPath) and is_for(path, prior)
    gaussian = gaussian and has_density(prior)
    if not isinstance(path, AbstractGaussianPath):
        refuse_without_density(prior, "check_path")
    found = _measure(path, prior, anchors, turned, turns, x0, inside, end_scale, gaussian, k_draws)
    if law is not None:
        found |= _of_shaped_prior(law, anchors, x0, inside, end_scale, k_draws)
    # A spectral path can be no more equivariant than its Hessian's largest eigenvalue rounds.
    slack = report.rounding * radius / 100 + (1e-8 if report.rounding < 1e-9 else 2e-3)
    _report_laws(report, path, found, list(times), slack, gaussian)
    return report.finish()


def _report_laws(
    report: Report,
    path: AbstractPath,
    found: dict[str, Array],
    times: list[float],
    slack: Array,
    gaussian: bool,
) -> None:
    at, t = ("point", "t", "sample"), {"t": times}
    report.law(
        "finite", "x_t and its velocity are finite on [0, 1)", found["infinite"], 0, *at,
        t=[0, 0.999],
    )  # fmt: skip
    report.law(
        "flow_and_velocity", "it gives the flow and its time derivative", found["target"],
        report.rounding, *at, **t,
    )  # fmt: skip
    report.law(
        "projection", "x_t lies in the image of group.project", found["outside"], report.rounding,
        *at, **t,
    )  # fmt: skip
    report.law(
        "equivariance", "the anchor at g x1 takes g x0 to g x_t, translations left out",
        found["equivariance"], slack[:, None, None], "element", *at, **t,
    )  # fmt: skip
    if "own law" in found:
        report_own_noise(report, found, times)
    if isinstance(path, AbstractGaussianPath) and gaussian:
        report_gaussian_laws(report, path, found, times)
    elif "shaped samples" in found:
        report_shaped(report, found, times)
    elif isinstance(path, AbstractGaussianPath):
        report.law(
            "start",
            "at t = 0 the flow is at x0",
            found["start"],
            report.rounding,
            "point",
            "sample",
        )
    else:
        report.law(
            "start", "x_t at t = 0 has the prior's moments (in standard errors)", found["start"],
            7, "point",
        )  # fmt: skip


def _shaped_law(path: AbstractPath, prior: AbstractPrior) -> ConditionalLaw | None:
    """The law to check, from a prior whose covariance isn't a multiple of the identity's."""
    if not isinstance(path, AbstractGaussianPath) or not isinstance(prior, SupportsCovariance):
        return None
    return None if is_normal(prior, path.prior_scale) else ConditionalLaw(path, prior)


@compiled
def _of_shaped_prior(
    law: ConditionalLaw,
    anchors: PyTree,
    x0: Array,
    times: Array,
    end_scale: float,
    k_draws: Array,
) -> dict[str, Array]:
    draws = anchors
    if law.own_noise:
        assert isinstance(law.path, SupportsNoise), "no other path has noise of its own"
        draws = drawn(law.path, anchors, k_draws)
    basis = free_directions(law.prior.group, x0[0])
    return shaped_violations(law, anchors, draws, x0, times, basis, end_scale)


def _points(path: AbstractPath, prior: AbstractPrior, key: PRNGKeyArray) -> Array:
    energy = getattr(path, "energy", None)
    if energy is not None:
        return relaxed_points(energy, key, 3)
    x = jax.vmap(prior.sample)(jax.random.split(key, 3))
    return x / jnp.sqrt(jnp.mean(x**2))


def _group(path: AbstractPath, prior: AbstractPrior) -> AbstractGroup:
    return getattr(getattr(path, "energy", None), "group", prior.group)


@compiled
def _inputs(
    path: AbstractPath, prior: AbstractPrior, points: Array, k_group: Array, k_prior: Array
) -> tuple[PyTree, PyTree, list[PyTree], Array, Array]:
    """Anchors at the points and at the points turned by every element; the elements; the spectral
    radius at every point; samples of the prior."""
    group = _group(path, prior)
    points = jax.vmap(prior.group.project)(points)
    turns = [group.sample(k, prior.event_shape) for k in k_group]
    turned = [jax.vmap(lambda x, g=g: linear_part(group, g, x))(points) for g in turns]
    every = jax.vmap(path.anchor)(jnp.concatenate([points, *turned]))
    n = points.shape[0]
    radius = jnp.zeros(n)
    energy, hessian = getattr(path, "energy", None), getattr(path, "hessian", None)
    if energy is not None and hessian is not None:
        spectra = jax.vmap(lambda x: hessian.spectrum(energy, x).eigenvalues)(points)
        radius = jnp.max(jnp.abs(spectra), axis=1)
    return (
        jax.tree.map(lambda leaf: leaf[:n], every),
        jax.tree.map(lambda leaf: leaf[n:].reshape(len(turns), n, *leaf.shape[1:]), every),
        turns,
        radius,
        jax.vmap(prior.sample)(k_prior).astype(points.dtype),
    )


@compiled
def _measure(
    path: AbstractPath,
    prior: AbstractPrior,
    anchors: PyTree,
    turned: PyTree,
    turns: list[PyTree],
    x0: Array,
    times: Array,
    end_scale: float,
    gaussian: bool,
    k_draws: Array,
) -> dict[str, Array]:
    """The violations, each with axes (point, t, sample) as far as it depends on them."""
    group, few = _group(path, prior), x0[:4]
    found = laws_of_any_path(path, group, anchors, few, times)
    found["equivariance"] = equivariance(path, group, anchors, turned, turns, few, times)
    if (
        isinstance(path, AbstractGaussianPath)
        and isinstance(path, SupportsNoise)
        and has_end_law(path)
    ):
        draws = drawn(path, anchors, k_draws)
        first = laws_of_any_path(
            path, group, jax.tree.map(lambda leaf: leaf[:, 0], draws), few, times
        )
        found = {name: jnp.maximum(value, first.get(name, 0)) for name, value in found.items()}
        basis = free_directions(prior.group, x0[0])
        same = gaussian and path.noise == "own"
        found |= own_noise_violations(path, anchors, draws, x0, times, basis, same)
    if isinstance(path, AbstractGaussianPath) and gaussian:
        return found | gaussian_violations(path, prior, anchors, x0, times, end_scale)
    if isinstance(path, AbstractGaussianPath):
        return found | {"start": distance_at_start(path, anchors, few)}
    return found | {"start": moments_at_start(path, prior, anchors, x0)}
