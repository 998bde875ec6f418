"""Paths worth a trial on some data and an energy, and why others aren't."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow._programs import compiled
from hiflow.couplings import Independent
from hiflow.energies import AbstractEnergy
from hiflow.paths import end_law_samples, make_anchors
from hiflow.training._evidence import (
    Evidence,
    Surroundings,
    exact_hessian,
    first_line,
    left_out,
    virial_per_dimension,
)

# With so many points no end law gained anything on the systems that were measured.
PLENTY = 1_000
# Share of negative eigenvalues from which the Hessian at the minimum is another than at the sample.
_NEGATIVE = 0.01
# In kT per dimension, how far an end law may lie above the data where its width can't be scored.
_HEAT = 1.0
# Standard errors from which a virial tells that an end law is biased.
_ERRORS = 4.0
# Widths of isotropic end laws that judges tell apart, in units of the distance of points.
_SHARES = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A path that may be tried.

    **Arguments:**

    - `label`: its row in the table. `path`: a table, as a file would have it, or an instance.
    - `virial`: per dimension, of samples of its end law; 1 for one that is unbiased.
    - `excluded`: why it isn't trained; `None` if it is.
    """

    label: str
    path: Any
    virial: float | None = None
    excluded: str | None = None


def candidates(around: Surroundings, found: Evidence) -> Iterator[Candidate]:
    """All that were thought of, the simplest first."""
    yield Candidate("optimal transport", {"name": "optimal-transport"})
    plenty = found.size >= PLENTY
    if not plenty:
        yield from _isotropic(around, found)
    if found.negative is None:
        return
    exact = exact_hessian(around.energy)
    # A network with the symmetry built in can't turn a point: rotations are no soft modes for it.
    quenched = {"name": "quenched", "inner": exact} if around.plain else "quenched"
    relaxed = list(_relaxed(around, found, exact, "at the sample"))
    at_sample = relaxed[0]
    if found.negative >= _NEGATIVE:
        relaxed += _relaxed(around, found, quenched, "at the minimum")
    yield from (_unbiased(each, found) for each in relaxed) if plenty else relaxed
    yield _langevin(around, found, at_sample)
    hessian = quenched if found.negative >= _NEGATIVE else exact
    few = f"it ends in the points, and there are {found.size:,} of them"
    saturating = {"name": "linearised", "hessian": hessian, "rates": "saturating"}
    yield Candidate("Saturating", saturating, excluded=None if plenty else few)


def _isotropic(around: Surroundings, found: Evidence) -> Iterator[Candidate]:
    """End laws a third as wide as the points are apart, as wide, and three times so; with judges, as
    wide as is likeliest by these, and half as wide: a network blurs, too."""
    scale = getattr(around.ready.prior, "scale", None)
    single = isinstance(scale, jax.Array) and scale.ndim == 0
    straight = single and isinstance(around.ready.coupling, Independent)
    if not straight and found.negative is None:
        return  # It needs noise of its own, which paths of an energy have.

    def path(width: float) -> Any:
        if straight:
            sigma = width / float(jnp.asarray(scale))
            return {"name": "optimal-transport", "sigma_min": _rounded(sigma)}
        return {"name": "langevin", "curvature": "constant", "beta": _rounded(1 / width**2)}

    shares = (0.3, 1.0, 3.0)
    if around.plain and around.judges is not None:
        scores = {share: _score(around, path(share * found.spacing)) for share in _SHARES}
        likeliest = min(_SHARES, key=lambda share: scores[share])
        shares = (likeliest / 2, likeliest)
    for share in shares:
        width = share * found.spacing
        yield Candidate(f"isotropic, width {width:.3g}", path(width))


def _relaxed(
    around: Surroundings, found: Evidence, hessian: Any, where: str
) -> Iterator[Candidate]:
    """With the shift and step under which judges are likeliest by the end laws, or else points that are
    left out by the others'. For an equivariant network, of whose turned copies these know nothing, the
    widest that doesn't lie far above the data, and with judges the next two."""
    made: list[tuple[float, Candidate]] = []
    wanted = 1 if around.judges is None else 3
    for factor in _factors(around):
        for step in (1.0, 0.5):
            h = _rounded(factor / found.spacing**2)
            curvature = {"name": "absolute", "shift": h}
            path = {"name": "relaxed", "hessian": hessian, "curvature": curvature, "step": step}
            each = Candidate(f"Relaxed {where}, h = {h:g}, s = {step:g}", path)
            each = _judged(around, each, found)
            usable = each.excluded is None
            score = _score(around, path) if usable and around.plain else float("inf")
            made.append((score, each))
            if usable and not around.plain:
                break
    usable = [each for _, each in made if each.excluded is None]
    if around.plain or not usable:
        yield min(made, key=lambda pair: pair[0])[1]
    else:
        yield from usable[:wanted]


def _factors(around: Surroundings) -> tuple[float, ...]:
    """Shifts that are tried, in units of one over the squared distance of points."""
    if not around.plain:
        few = (1.0, 4.0, 16.0)
        return few if around.judges is None else (0.06, 0.25, *few)
    return (0.25, 1.0, 4.0) if around.judges is None else (0.03, 0.12, 0.5, 2.0, 8.0)


def _score(around: Surroundings, path: Any) -> float:
    return left_out(around.made(path), around.some, around.judges)


def _langevin(around: Surroundings, found: Evidence, relaxed: Candidate) -> Candidate:
    """With the curvature that was found for `Relaxed`."""
    table = {name: relaxed.path[name] for name in ("hessian", "curvature")}
    h = table["curvature"]["shift"]
    made = _judged(around, Candidate(f"Langevin, h = {h:g}", {"name": "langevin", **table}), found)
    if made.excluded is None and found.size >= PLENTY:
        twice = "it counts the thermal noise of the points twice, and they are many"
        return dataclasses.replace(made, excluded=twice)
    return made


def _judged(around: Surroundings, candidate: Candidate, found: Evidence) -> Candidate:
    """With the virial of its end law; excluded if the law can't be had, or lies far above the data."""
    x, energy = around.some, around.energy
    try:
        path = around.made(candidate.path)
        ends = end_law_samples(path, make_anchors(path, x), around.ready.prior, key=around.key)
        virial, _ = virial_per_dimension(energy, ends)
        heat = float(_mean_energy(energy, ends) - _mean_energy(energy, x)) / found.dimensions
    except (ValueError, FloatingPointError, RuntimeError) as error:
        return dataclasses.replace(candidate, excluded=f"it fails: {first_line(error)}")
    far = not around.plain and not heat <= _HEAT
    words = f"its end law lies {heat:.2g} kT per dimension above the data"
    return dataclasses.replace(candidate, virial=virial, excluded=words if far else None)


def _unbiased(candidate: Candidate, found: Evidence) -> Candidate:
    """Excluded if its virial isn't the data's: with plenty of data nothing makes up for a bias."""
    if candidate.excluded is not None or candidate.virial is None:
        return candidate
    assert found.virial is not None
    assert found.virial_error is not None
    off = abs(candidate.virial - found.virial)
    # Of two means over as many points; the end law's may be spread more.
    biased = not off <= _ERRORS * 2**0.5 * found.virial_error
    words = f"its virial is {off:.2g} off the data's, per dimension"
    return dataclasses.replace(candidate, excluded=words if biased else None)


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


@compiled()
def _mean_energy(energy: AbstractEnergy, x: Float[Array, "n *event"]) -> Array:
    return jnp.mean(jax.lax.map(energy, x))
