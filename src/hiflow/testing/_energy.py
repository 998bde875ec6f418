"""The laws of an energy."""

from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from hiflow.energies import (
    AbstractEnergy,
    SupportsHessian,
    SupportsMoves,
    SupportsResiduals,
    SupportsSampling,
)
from hiflow.energies._substituted import underneath
from hiflow.testing._compiled import compiled
from hiflow.testing._moves import identities, violations_of_moves
from hiflow.testing._points import relaxed_points
from hiflow.testing._report import Findings, Report, largest, rounding, seed


def check_energy(
    energy: AbstractEnergy,
    *,
    key: PRNGKeyArray | None = None,
    points: object = None,
    samples: int = 4000,
) -> Findings:
    r"""Check that an energy is finite with a finite gradient and Hessian, invariant under its
    group, and that its own `hessian`, `sample` and `move`, where it has them, belong to it.

    **Arguments:**

    - `points`: where to check, `(n, *event)`; by default normal draws that were relaxed downhill.
    - `samples`: how many of the energy's own samples test $E[\nabla V] = 0$ and
      $E[x\cdot\nabla V] = D$; a tenth of them test the same after its moves.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws.

    **Example:**

    ```pycon
    >>> found = hf.testing.check_energy(ring, key=key)
    >>> [law.name for law in found.laws][:2]
    ['finite', 'invariance']
    ```
    """
    key = seed(key)
    k_points, k_group, k_samples = jax.random.split(key, 3)
    points = relaxed_points(energy, k_points, 6) if points is None else jnp.asarray(points)
    report = Report("check_energy", energy, key)
    found = _measure(energy, points, jax.random.split(k_group, 4))
    tolerance = report.rounding
    report.law("finite", "value, gradient and Hessian are finite", found["infinite"], 0, "point")
    report.law("invariance", "V(gx) = V(x)", found["invariance"], tolerance, "point", "element")
    report.law(
        "projection", "the gradient lies in the image of group.project", found["outside"],
        tolerance, "point",
    )  # fmt: skip
    report.law(
        "orbit", "the gradient is orthogonal to the group's tangents", found["orbit"], tolerance,
        "point",
    )  # fmt: skip
    if isinstance(energy, SupportsHessian):
        report.law(
            "hessian", "hessian(x) is the second derivative of V", found["hessian"], 10 * tolerance,
            "point",
        )  # fmt: skip
    if isinstance(underneath(energy), SupportsResiduals):
        report.law(
            "residuals", "half the residuals' squared norm is V up to a constant",
            found["residuals"], 10 * tolerance, "point",
        )  # fmt: skip
    if isinstance(energy, SupportsSampling):
        scores = _moments(energy, jax.random.split(k_samples, samples))
        report.law(
            "samples",
            "samples have E[dV/dx] = 0 and E[x dV/dx] = D (in standard errors)",
            scores,
            6,
        )
    if isinstance(energy, SupportsMoves):
        scores = violations_of_moves(energy, jax.random.fold_in(key, 3), max(samples // 10, 2))
        report.law(
            "moves",
            "moved samples have E[dV/dx] = 0 and E[x dV/dx] = D (in standard errors)",
            scores,
            6,
        )
    return report.finish()


@compiled
def _measure(energy: AbstractEnergy, points: Array, keys: Array) -> dict[str, Array]:
    def at(x: Array) -> dict[str, Array]:
        value, gradient = jax.value_and_grad(energy)(x)
        automatic = jax.hessian(lambda y: energy(y.reshape(x.shape)))(x.ravel())
        length = largest(gradient)
        scale = 1 + jnp.abs(value) + jnp.sum(jnp.abs(gradient)) * largest(x)

        def moved(key: Array) -> Array:
            g = energy.group.sample(key, energy.event_shape)
            # A long way off a translation would cost digits, whatever the energy.
            reach = 1 + largest(energy.group.act(g, jnp.zeros_like(x)))
            return jnp.abs(energy(energy.group.act(g, x)) - value) / (scale + reach * length)

        finite = jnp.isfinite(value) & jnp.isfinite(gradient).all() & jnp.isfinite(automatic).all()
        found = {
            "infinite": jnp.where(finite, 0, jnp.inf),
            "invariance": jax.vmap(moved)(keys),
            "outside": largest(gradient - energy.group.project(gradient)) / (1 + length),
            "orbit": _along_orbit(energy, x, gradient),
        }
        if isinstance(energy, SupportsHessian):
            own = energy.hessian(x)
            found["hessian"] = largest(own - automatic) / (1 + largest(automatic))
        if isinstance(underneath(energy), SupportsResiduals):
            residuals = cast(SupportsResiduals, energy).residuals
            slope = jax.grad(lambda y: jnp.sum(residuals(y) ** 2) / 2)(x)
            found["residuals"] = largest(slope - gradient) / (1 + length)
        return found

    return jax.vmap(at)(points)


def _along_orbit(energy: AbstractEnergy, x: Array, gradient: Array) -> Array:
    tangents = energy.group.tangents(x)
    slopes = jnp.matmul(tangents.T, gradient.ravel(), precision="highest")
    sizes = jnp.matmul(jnp.abs(tangents.T), jnp.abs(gradient.ravel()), precision="highest")
    return largest(slopes / (1 + sizes))


@compiled
def _moments(energy: Any, keys: Array) -> Array:
    values = jax.vmap(lambda key: identities(energy, energy.sample(key)))(keys)
    error = jnp.std(values, axis=0) / jnp.sqrt(1.0 * keys.shape[0])
    return jnp.abs(values.mean(0)) / (error + rounding())
