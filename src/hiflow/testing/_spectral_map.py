"""The laws of a spectral map."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from hiflow.spectral import AbstractSpectralMap, Shuffled
from hiflow.testing._report import Findings, Report

_SPECTRA = {
    "convex": [0.0, 0.1, 1.0, 1.0, 30.0, 7000.0],
    "flat": [0.0, 0.0, 0.0],
    "saddle": [-380.0, -3.0, -0.2, 0.0, 2.0, 5.0, 5.0, 250.0, 7000.0],
    "overlap": [-2e3, 1e-6, 1e3, 4e6],
}


def check_spectral_map(
    map: AbstractSpectralMap, *, eigenvalues: object = None, ordered: bool = True
) -> Findings:
    """Check that a map gives positive values that respect its bound and move with eigenvalues.

    A NaN is a map's way to refuse an eigenvalue; it is allowed for negative ones only.

    **Arguments:**

    - `eigenvalues`: one spectrum to check instead of the built-in ones: convex, flat, saddle-like
      and overlapping particles.
    - `ordered`: `False` for a control whose values don't follow their eigenvalues, as `Shuffled`'s.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws.

    **Example:**

    ```pycon
    >>> found = hf.testing.check_spectral_map(hf.spectral.Saturating())
    >>> found.laws[-1].meaning
    'permuted eigenvalues give permuted values'
    ```
    """
    report = Report("check_spectral_map", map)
    bound = jnp.asarray(map.lower_bound)
    report.law("bound shape", "lower_bound is a scalar", abs(bound.ndim), 0)
    spectra = _SPECTRA if eigenvalues is None else {"given": eigenvalues}
    found: dict[str, list[Array]] = {}
    for spectrum in spectra.values():
        for law, violation in _measure(map, jnp.asarray(spectrum, jnp.result_type(float))).items():
            found.setdefault(law, []).append(violation)
    columns = {law: jnp.stack(values) for law, values in found.items()}
    names, tolerance = list(spectra), report.rounding
    where = {"axes": ("spectrum",), "spectrum": names}
    for law, meaning, allowed in [
        ("shape", "one value per eigenvalue", 0),
        ("finite", "values are finite (NaN is allowed for negative eigenvalues)", 0),
        ("positive", "values are above 0", 0),
        ("bound", "no value is below lower_bound", tolerance),
        ("order", "permuted eigenvalues give permuted values", tolerance),
    ]:
        if law == "order" and (not ordered or _has_shuffled(map)):
            continue
        report.law(law, meaning, columns[law], allowed, *where["axes"], spectrum=names)
    return report.finish()


def _measure(map: AbstractSpectralMap, eigenvalues: Array) -> dict[str, Array]:
    values = map(eigenvalues)
    if values.shape != eigenvalues.shape:
        wrong = jnp.asarray(jnp.inf)
        return {"shape": wrong, "finite": wrong, "positive": wrong, "bound": wrong, "order": wrong}
    # A map that normalises by the whole spectrum spreads one refusal to every value.
    refused = jnp.isnan(values) & (eigenvalues < 0).any()
    kept = jnp.where(refused, 1.0, values)
    below = jnp.where(refused, 0.0, map.lower_bound - values)
    scale = jnp.max(jnp.abs(kept), initial=1e-30)
    back = jnp.roll(jnp.flip(map(jnp.flip(jnp.roll(eigenvalues, 1)))), -1)
    order = jnp.where(refused, 0.0, jnp.abs(back - values))
    return {
        "shape": jnp.zeros(()),
        "finite": jnp.where(jnp.isfinite(kept).all(), 0, jnp.inf),
        "positive": jnp.max(jnp.where(kept > 0, 0, jnp.maximum(-kept, 1e-300 + 1e-30))),
        "bound": jnp.max(jnp.maximum(below, 0)) / (1 + jnp.abs(map.lower_bound)),
        "order": jnp.max(order) / scale,
    }


def _has_shuffled(map: AbstractSpectralMap) -> bool:
    def is_shuffled(node: object) -> bool:
        return isinstance(node, Shuffled)

    return any(is_shuffled(leaf) for leaf in jax.tree.leaves(map, is_leaf=is_shuffled))
