"""The sentence that says what an NLL refers to: unit, measure, convention, floor and error."""

import jax.numpy as jnp

from hiflow.data import PixelTransform
from hiflow.energies import AbstractEnergy, units_of
from hiflow.groups._periods import periods_of
from hiflow.metrics import Floor

DISTANCE = (
    "W₂: of samples from test points, and of other test points from them, for flows whose prior has no "
    "density, in the points' unit (mean over seeds)."
)


def caption(
    energy: AbstractEnergy | None,
    seeds: int,
    pixels: PixelTransform | None = None,
    told: bool = False,
) -> str:
    """What the NLLs of `seeds` seeds refer to.

    **Arguments:**

    - `pixels`: how the points came of pixels, if they are images.
    - `told`: whether some arm is told a condition: the floor is that of points alone.
    """
    where = "Lebesgue measure"
    convention = getattr(energy, "convention", None)
    if energy is not None and energy.group.null_modes(jnp.zeros(energy.event_shape)).shape[1]:
        where += " on the centred subspace"
    if energy is not None and periods_of(energy.group, energy.event_shape) is not None:
        where += " over one period of every periodic coordinate"
    if pixels is not None:
        where += (
            f" of z = (logit(α + (1 − 2α)u) − shift)/scale, with u = (pixel + noise)/{pixels.levels}, "
            f"α = {float(pixels.alpha):g}, shift {float(pixels.shift):g}, scale {float(pixels.scale):g}"
        )
    parts = [f"NLL in nats, with respect to {where}"]
    if pixels is not None:
        parts.append("bits/dim of the pixels, an upper bound (uniform dequantisation)")
    if convention:
        parts.append(f"energy convention {convention}")
    if (units := units_of(energy)) is not None:
        parts.append(str(units))
    if not told and (floor := Floor.of(energy)) is not None:
        parts.append(f"floor {floor}")
    over = (
        f"{seeds} seeds and the test points together" if seeds > 1 else "the test points (one seed)"
    )
    parts.append(f"±: 68.3 % confidence, over {over}")
    return "; ".join(parts) + "."
