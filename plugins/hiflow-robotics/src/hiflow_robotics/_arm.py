"""The potential of a serial arm over its joint angles: reach a goal, clear obstacles, keep limits."""

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hiflow as hf
from hiflow.registry import SupportsPresets
from hiflow_robotics._fields import as_array, as_flags, check_finite, check_positive, is_known
from hiflow_robotics._torus import Torus

# Cables and screws allow a few.
_MOST_TURNS = 8
_COLUMNS = ("a", "alpha", "d", "theta")
_PRESETS: dict[str, dict[str, Any]] = {
    "planar-3": {
        "links": [{"a": 1.0}, {"a": 0.8}, {"a": 0.5}],
        "goal": [1.2, 0.9, 0.0],
        "obstacles": [[0.9, -0.4, 0.0, 0.3]],
    },
    # Metres and radians, from Universal Robots, "DH parameters for calculations of kinematics and
    # dynamics", table UR5.
    "ur5": {
        "links": [
            {"d": 0.089159, "alpha": np.pi / 2},
            {"a": -0.425},
            {"a": -0.39225},
            {"d": 0.10915, "alpha": np.pi / 2},
            {"d": 0.09465, "alpha": -np.pi / 2},
            {"d": 0.0823},
        ],
        "goal": [-0.4, -0.3, 0.4],
        "obstacles": [[-0.3, 0.2, 0.2, 0.1]],
        "limits": [[-2 * np.pi, 2 * np.pi]] * 6,
    },
    # KUKA LBR iiwa 7 R800, metres and degrees from KUKA's data sheet.
    "iiwa-7": {
        "links": [
            {"d": 0.34, "alpha": -np.pi / 2},
            {"alpha": np.pi / 2},
            {"d": 0.4, "alpha": np.pi / 2},
            {"alpha": -np.pi / 2},
            {"d": 0.4, "alpha": -np.pi / 2},
            {"alpha": np.pi / 2},
            {"d": 0.126},
        ],
        "surface": [0.0, 0.0, 1.0, 0.3],
        "limits": np.radians([170, 120, 170, 120, 170, 120, 175])[:, None] * np.array([-1, 1]),
        "reach": 0.02,
    },
}


def _as_links(value: Any) -> Float[Array, "joints 4"]:
    """A row per joint from tables with `a`, `alpha`, `d`, `theta`, 0 where one is left out."""
    rows = []
    for row in value:
        if isinstance(row, Mapping):
            unknown = sorted(set(row) - set(_COLUMNS))
            if unknown:
                raise ValueError(
                    f"SerialArm: `links` has the unknown column {unknown[0]!r}; a link has "
                    f"{', '.join(_COLUMNS)}."
                )
            row = [row.get(column, 0.0) for column in _COLUMNS]
        rows.append(row)
    links = as_array(rows)
    if links.ndim != 2 or links.shape[1] != 4:
        raise ValueError(
            f"SerialArm: `links` must be tables with {', '.join(_COLUMNS)}, or rows of four numbers, "
            f"one per joint; got shape {links.shape}."
        )
    return links


def _as_surface(value: Any) -> Float[Array, "4"] | None:
    """A unit normal and an offset."""
    if value is None:
        return None
    surface = as_array(value)
    if surface.shape != (4,) or not float(jnp.linalg.norm(surface[:3])) > 0:
        raise ValueError(
            "SerialArm: `surface` must be a normal and an offset, nx, ny, nz, offset, got "
            f"{np.asarray(surface).tolist()}."
        )
    return surface / jnp.linalg.norm(surface[:3])


def _as_rows(value: Any) -> Float[Array, "m k"]:
    return as_array(value if np.size(value) else np.zeros((0, 4)))


class SerialArm(hf.energies.AbstractEnergy, SupportsPresets):
    r"""$V(x) = \tfrac12 \|r(x)\|^2$ over joint angles $x$ in radians, in units of kT.

    The residuals $r$, all smooth: the end effector's distance from the goal over `reach`, and from a
    surface likewise; for points of every link and every obstacle how deep the point is inside (a
    softplus over `softness`) over `clearance`; how far a limited joint is past its limits, likewise,
    over `limit_scale`. So $V$ suits [`GaussNewton`][hiflow.hessians.GaussNewton]: one Jacobian,
    positive semi-definite.

    **Arguments:**

    - `links`: Denavit–Hartenberg rows `a`, `alpha`, `d`, `theta` (metres, radians), one per joint;
      joint $i$ adds its angle to `theta`.
    - `goal`: the end effector's target, `(3,)`, metres; `None` for an arm that keeps to a `surface`.
    - `obstacles`: spheres as rows `x, y, z, radius`, metres.
    - `limits`: rows `lower, upper` per joint in radians, or `None`.
    - `wraps`: a truth value per joint: whether it turns all the way round, in which case its limits
      don't count. By default all joints wrap if there are no `limits`, and none if there are.
    - `surface`: a plane that the end effector is held to, as `nx, ny, nz, offset`: points with
      $n \cdot p$ equal to the offset, in metres for a normal of length 1, to which both are scaled.
    - `reach`, `clearance`, `softness`: metres; `limit_scale`: radians. Each is the distance that costs
      ½ kT, but `softness`, over which a contact sets in.
    - `points_per_link`: where a link is checked for contact, evenly from its far end.

    **Raises:** `ValueError` for wrong shapes or columns, numbers that aren't finite, limits that are
    unordered or in degrees, radii below 0, scales that aren't positive, or an arm with neither goal nor
    surface. Warns of a goal that is out of reach.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = _PRESETS
    """`"planar-3"`, three links in a plane; `"ur5"`; `"iiwa-7"`, seven joints that keep the end effector
    within 2 cm of a plane."""

    links: Float[Array, "joints 4"] = eqx.field(converter=_as_links)
    goal: Float[Array, "3"] | None = eqx.field(
        converter=lambda value: None if value is None else as_array(value), default=None
    )
    obstacles: Float[Array, "m 4"] = eqx.field(converter=_as_rows, default=())
    limits: Float[Array, "joints 2"] | None = eqx.field(
        converter=lambda value: None if value is None else as_array(value), default=None
    )
    wraps: tuple[bool, ...] | None = eqx.field(
        static=True,
        converter=lambda value: None if value is None else as_flags(value),
        default=None,
    )
    reach: Float[Array, ""] = eqx.field(converter=as_array, default=0.05)
    clearance: Float[Array, ""] = eqx.field(converter=as_array, default=0.05)
    softness: Float[Array, ""] = eqx.field(converter=as_array, default=0.05)
    limit_scale: Float[Array, ""] = eqx.field(converter=as_array, default=0.1)
    points_per_link: int = eqx.field(static=True, default=3)
    surface: Float[Array, "4"] | None = eqx.field(converter=_as_surface, default=None)

    def __check_init__(self):
        for name in ("reach", "clearance", "softness", "limit_scale"):
            check_positive("SerialArm", **{name: getattr(self, name)})
        check_finite("SerialArm", links=self.links, goal=self.goal, obstacles=self.obstacles)
        if self.points_per_link < 1:
            raise ValueError(
                f"SerialArm: `points_per_link` must be at least 1, got {self.points_per_link}: no "
                "contact would be seen."
            )
        joints = self.links.shape[0]
        if self.goal is None and self.surface is None:
            raise ValueError("SerialArm: needs a `goal` or a `surface`.")
        if self.goal is not None and self.goal.shape != (3,):
            raise ValueError(f"SerialArm: `goal` must be three numbers, got {self.goal.shape}.")
        if self.obstacles.ndim != 2 or self.obstacles.shape[1] != 4:
            raise ValueError(
                "SerialArm: `obstacles` must be rows x, y, z, radius, got shape "
                f"{self.obstacles.shape}."
            )
        if is_known(self.obstacles) and (self.obstacles[:, 3] < 0).any():
            raise ValueError(
                f"SerialArm: radii of `obstacles` must not be negative, got "
                f"{np.asarray(self.obstacles[:, 3]).tolist()}."
            )
        if self.wraps is not None and len(self.wraps) != joints:
            raise ValueError(
                f"SerialArm: `wraps` must name {joints} joints, got {len(self.wraps)} values."
            )
        if self.limits is not None and self.limits.shape != (joints, 2):
            raise ValueError(
                f"SerialArm: `limits` must be {joints} rows lower, upper, got {self.limits.shape}."
            )
        if self.limits is not None and not (self.limits[:, 0] < self.limits[:, 1]).all():
            raise ValueError("SerialArm: every lower limit must be below its upper limit.")
        _refuse_degrees(self.limits)
        _warn_if_out_of_reach(self.links, self.goal)

    @classmethod
    def example(cls) -> "SerialArm":
        """The planar arm."""
        return cls.preset("planar-3")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(joints,)`."""
        return (self.links.shape[0],)

    @property
    def turning(self) -> tuple[bool, ...]:
        """Which joints turn all the way round."""
        return self.wraps or as_flags([self.limits is None] * self.links.shape[0])

    @property
    def group(self) -> hf.groups.AbstractGroup:
        """Whole turns of the joints that wrap; trivial if none does."""
        return Torus(self.turning) if any(self.turning) else hf.groups.Trivial()

    def __call__(self, x: Float[Array, " joints"]) -> Float[Array, ""]:
        return jnp.sum(self.residuals(x) ** 2) / 2

    def residuals(self, x: Float[Array, " joints"]) -> Float[Array, " m"]:
        """Goal, surface, contacts and limits, in units of their scales."""
        if x.shape != self.event_shape:
            raise ValueError(
                f"SerialArm: has {self.links.shape[0]} joints, got an event of shape {x.shape}."
            )
        origins = self.forward(x)
        parts = [self._contacts(origins)]
        if self.goal is not None:
            parts.insert(0, (origins[-1] - self.goal) / self.reach)
        if self.surface is not None:
            parts.append(self.height(x)[None] / self.reach)
        if self.limits is not None:
            past = jnp.concatenate([self.limits[:, 0] - x, x - self.limits[:, 1]])
            limited = jnp.array([not turns for turns in self.turning] * 2)
            parts.append(jnp.where(limited, jax.nn.softplus(past / self.limit_scale), 0.0))
        return jnp.concatenate(parts)

    def height(self, x: Float[Array, " joints"]) -> Float[Array, ""]:
        """How far the end effector is from the surface, in metres, positive on the normal's side.

        **Raises:** `ValueError` for an arm without one.
        """
        if self.surface is None:
            raise ValueError("SerialArm.height: this arm has no `surface`.")
        return jnp.dot(self.surface[:3], self.forward(x)[-1]) - self.surface[3]

    def forward(self, x: Float[Array, " joints"]) -> Float[Array, "frames 3"]:
        """The origins of all frames in metres, the base's first and the end effector's last."""

        def step(frame: Array, row: Array) -> tuple[Array, Array]:
            frame = jnp.matmul(frame, _transform(row), precision="highest")
            return frame, frame[:3, 3]

        rows = self.links.at[:, 3].add(x)
        _, origins = jax.lax.scan(step, jnp.eye(4, dtype=rows.dtype), rows)
        return jnp.concatenate([jnp.zeros((1, 3), rows.dtype), origins])

    def _contacts(self, origins: Float[Array, "frames 3"]) -> Float[Array, " m"]:
        along = jnp.linspace(0, 1, self.points_per_link + 1)[1:, None, None]
        points = (1 - along) * origins[:-1] + along * origins[1:]
        offsets = points.reshape(-1, 1, 3) - self.obstacles[:, :3]
        # Rounded at an obstacle's centre, where a distance has no derivative.
        distances = jnp.sqrt(jnp.sum(offsets**2, axis=-1) + 1e-8)
        inside = (self.obstacles[:, 3] - distances) / self.softness
        return (jax.nn.softplus(inside) * self.softness / self.clearance).ravel()


def _refuse_degrees(limits: Float[Array, "joints 2"] | None) -> None:
    if limits is None or not is_known(limits):
        return
    finite = np.asarray(limits)[np.isfinite(limits)]
    most = np.abs(finite).max(initial=0.0)
    if most > _MOST_TURNS * 2 * np.pi:
        raise ValueError(
            f"SerialArm: `limits` are in radians, and {most:.4g} would be {most / (2 * np.pi):.3g} "
            "turns. Of degrees take numpy.radians(limits); of a joint without a limit, infinity."
        )


def _warn_if_out_of_reach(links: Float[Array, "joints 4"], goal: Float[Array, "3"] | None) -> None:
    if goal is None or not is_known(links, goal):
        return
    reach, away = float(np.hypot(links[:, 0], links[:, 2]).sum()), float(np.linalg.norm(goal))
    if away > reach:
        warnings.warn(
            f"SerialArm: `goal` is {away:.3g} m from the base, and the arm's links reach {reach:.3g} m "
            "at most. Are both in metres?",
            stacklevel=2,
        )


def _transform(row: Float[Array, "4"]) -> Float[Array, "4 4"]:
    """From one frame to the next (Denavit and Hartenberg 1955)."""
    a, alpha, d, theta = row
    c, s, ca, sa = jnp.cos(theta), jnp.sin(theta), jnp.cos(alpha), jnp.sin(alpha)
    zero, one = jnp.zeros_like(a), jnp.ones_like(a)
    return jnp.stack(
        [
            jnp.stack([c, -s * ca, s * sa, a * c]),
            jnp.stack([s, c * ca, -c * sa, a * s]),
            jnp.stack([zero, sa, ca, d]),
            jnp.stack([zero, zero, zero, one]),
        ]
    )
