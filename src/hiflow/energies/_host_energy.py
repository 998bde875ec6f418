"""The door for energies outside JAX: NumPy, PyTorch, a simulation package, a remote code."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow import groups
from hiflow._checks import as_shape, check_event, check_positive
from hiflow.energies import _host_derivatives as derivatives
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.energies._events import as_event
from hiflow.energies._function import as_function
from hiflow.energies._host_calls import HostCalls
from hiflow.energies._units import Units
from hiflow.groups import AbstractGroup, Trivial

_MIB = 1 << 20
# Steps that `choose_displacement` tries, as multiples of the given one.
_STEPS = 10.0 ** np.arange(-3, 2.5, 0.5)


class DifferenceError(NamedTuple):
    r"""What is known of the error of a Hessian from differences of forces, in kT per squared length.

    **Arguments:**

    - `displacement`: the step $h$.
    - `truncation`: $\max|H_h - H_{2h}| / 3$, the error of order $h^2$ if nothing is lost to rounding.
    - `noise`: $\max|R - R^\top| / 2$ of the differences $R$ before they are symmetrised: what rounding
      and unconverged forces do, divided by $h$.
    - `relative`: the larger of the two over the largest entry of the Hessian.

    **Example:**

    ```pycon
    >>> def springs(x):
    ...     return 50 * np.sum(x**2), -100 * x
    ...
    >>> energy = hf.energies.HostEnergy(springs, (4, 3))
    >>> energy.difference_error(np.ones((4, 3))).relative < 1e-6
    True
    ```
    """

    displacement: float
    truncation: float
    noise: float
    relative: float


@final
@registry.register("host")
class HostEnergy(AbstractEnergy):
    r"""$V(x) = E(x) / kT$ with the energy $E$ and its forces from a function outside JAX, which is
    called on the host with arrays of NumPy in float64 and never traced.

    It works under `jax.jit`, `jax.vmap`, `jax.grad` and `jax.hessian`, with float32 and float64 events.
    First derivatives are the forces. Second derivatives are the given `hessian`, or central differences
    of forces, with $h$ the `displacement`,

    $$H_{ij} \approx -\frac{F_j(x + h e_i) - F_j(x - h e_i)}{2h}, \qquad
    \text{error} \approx \frac{h^2}{6} \left|\nabla^4 V\right| + \frac{\delta}{h},$$

    symmetrised, where $\delta$ is the error of a force: rounding, or what a self-consistent calculation
    leaves. `difference_error(x)` estimates both terms, `choose_displacement(x)` gives the energy with
    the step of the least. Third derivatives raise `ValueError`.

    How often the function is asked for a point: once for a value, a gradient or both; $2D$ times for
    `hessian(x)`, and for `jax.hessian` compiled; twice for a Hessian–vector product. Never twice for a
    point, or a product, that is still in the cache, nor where `x` isn't finite: there the value is NaN.
    Under `vmap` all the points of a batch come at once to the function if `batch` is `True`, one after
    the other if it is `False`. Only one call runs at a time.

    **Arguments:**

    - `energy_and_forces`: from an event to a pair: the energy, a number, and the forces
      $-\nabla E$, of the event's shape. Energies of `+inf` are allowed, for points that are forbidden;
      forces are ignored there. It must not call JAX. A configuration file names it as
      `"module:function"`, as it does for [`FunctionEnergy`][hiflow.energies.FunctionEnergy].
    - `shape`: the event shape.
    - `group`: the group that the energy is invariant under; you vouch for it.
    - `hessian`: from an event to $\nabla^2 E$, `(dim, dim)` over the flattened event.
    - `batch`: `True` if `energy_and_forces` takes events `(n, *shape)` and gives energies `(n,)` and
      forces `(n, *shape)`; a number, if it takes so many at most.
    - `displacement`: the step $h$ of differences, in the unit of positions; for events of particles
      none of them moves further. It is stored in single precision, to which the checks of
      `hiflow.testing` then hold the energy: finite differences are no better.
    - `units`: the temperature and the unit of length of a real system, which reports then say: `Units`,
      or a table `{temperature = 300.0, length = "Å"}`.
    - `unit`: of the function's energies, `"eV"`, `"kJ/mol"` or `"kcal/mol"` (forces are per unit of
      length of `units`); `None` if they are in kT.
    - `cache`: MiB of results that are kept for points that come again; 0 for none.
    - `identity`: a name for what the function computes, its version and settings included. With one,
      samples and anchors may be cached on disk; without, they aren't, since code on the host can't
      be told by its value.
    - `label`: what errors call the function; by default its name.

    **Raises:** `ValueError` for arguments that don't fit. At run time `RuntimeError`, within a compiled
    program as JAX's subclass of it, with the function's name, the event and the original message: if
    the function fails, or gives another shape or NaN.

    **Example:**

    ```pycon
    >>> def springs(x):  # any calculation on the host, with NumPy in float64
    ...     return 50 * np.sum(x**2), -100 * x  # energy, forces
    ...
    >>> energy = hf.energies.HostEnergy(springs, (4, 3), group="rotation")
    >>> x = jnp.ones((4, 3))
    >>> energy(x)
    Array(600., dtype=float32)
    >>> jax.grad(energy)(x)[0], energy.hessian(x)[0, 0].round(1)
    (Array([100., 100., 100.], dtype=float32), Array(100., dtype=float32))
    ```
    """

    host: HostCalls = eqx.field(static=True)
    group: AbstractGroup
    displacement: Float[Array, ""]
    units: Units | None

    def __init__(
        self,
        energy_and_forces: Callable[..., Any] | str,
        shape: Any,
        group: Any = None,
        hessian: Any = None,
        batch: Any = False,
        displacement: Any = 1e-3,
        units: Units | Mapping[str, Any] | None = None,
        unit: Any = None,
        cache: Any = 128,
        identity: str | None = None,
        label: str | None = None,
    ):
        function = as_function(energy_and_forces, "HostEnergy: `energy_and_forces`")
        if hessian is not None:
            hessian = as_function(hessian, "HostEnergy: `hessian`")
        if not isinstance(batch, bool | int) or batch < 0:
            raise ValueError(
                f"HostEnergy: `batch` must be True, False or the largest number of events, got "
                f"{batch!r}."
            )
        if not cache >= 0:
            raise ValueError(f"HostEnergy: `cache` must be MiB, at least 0, got {cache!r}.")
        self.units = _as_units(units)
        name = getattr(function, "__qualname__", type(function).__qualname__)
        self.host = HostCalls(
            function, hessian, as_shape(shape), batch, _one_kT(self.units, unit),
            label or f"HostEnergy: `energy_and_forces` {name}", int(cache * _MIB), identity,
        )  # fmt: skip
        self.group = Trivial() if group is None else groups.registry.make(group)
        self.displacement = jnp.asarray(displacement, jnp.float32)
        check_positive(self, "displacement")

    @classmethod
    def example(cls) -> "HostEnergy":
        """Two coupled quartic wells in NumPy, as `hiflow check host` takes without arguments."""
        return cls(_quartic, (2,))

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one event."""
        return self.host.shape

    def __call__(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        return derivatives.energy(self.host, self.displacement, as_event(self, x))

    def hessian(self, x: Float[Array, "*event"]) -> Float[Array, "dim dim"]:
        r"""$\nabla^2 V(x)$ over the flattened event: the given one, or central differences of forces."""
        return derivatives.hessian(self.host, self.displacement, as_event(self, x))

    def difference_error(
        self, x: Float[Array | np.ndarray, "*event"], displacement: float | None = None
    ) -> DifferenceError:
        """How far differences of forces are from the Hessian at `x`, estimated from two steps, in
        float64: $4D$ points are asked for. For a concrete `x` only.

        **Arguments:**

        - `displacement`: the step; by default the energy's.
        """
        h = float(self.displacement) if displacement is None else float(displacement)
        point = self._point(x)
        rows, wide = self.host.differences(point, h), self.host.differences(point, 2 * h)
        found, twice = (rows + rows.T) / 2, (wide + wide.T) / 2
        truncation = float(np.abs(found - twice).max() / 3)
        noise = float(np.abs(rows - rows.T).max() / 2)
        size = float(np.abs(found).max())
        return DifferenceError(h, truncation, noise, max(truncation, noise) / size if size else 0.0)

    def choose_displacement(self, x: Float[Array | np.ndarray, "*event"]) -> "HostEnergy":
        """The same energy with the step of the least estimated error at `x`, among eleven from a
        thousandth of the present one to a hundredfold: $44D$ points are asked for."""
        steps = float(self.displacement) * _STEPS
        errors = [self.difference_error(x, step) for step in steps]
        best = min(errors, key=lambda error: max(error.truncation, error.noise))
        step = jnp.asarray(best.displacement, jnp.float32)
        return eqx.tree_at(lambda energy: energy.displacement, self, step)

    def force_error(self, x: Float[Array | np.ndarray, "*event"]) -> float:
        """By how much the forces miss the energy's slope at `x` along a random direction, relative to
        their size, by a central difference of the energy: about 2 if their sign is wrong. Three
        points are asked for."""
        point, h = self._point(x), float(self.displacement)
        direction = np.random.default_rng(0).normal(size=point.shape)
        step = h * direction / np.linalg.norm(direction)
        (_, up, down), (gradient, _, _) = self.host.value_and_gradient(
            np.stack([point, point + step, point - step])
        )
        slope, expected = (up - down) / 2, np.sum(gradient * step)
        return float(abs(slope - expected) / max(abs(expected), np.finfo(float).tiny))

    def _point(self, x: Any) -> np.ndarray:
        check_event(x, self.event_shape, owner="HostEnergy")
        return np.asarray(x, np.float64)


def _as_units(value: Units | Mapping[str, Any] | None) -> Units | None:
    """**Raises:** `ValueError` for a table of anything else."""
    if value is None or isinstance(value, Units):
        return value
    if not isinstance(value, Mapping) or not {"temperature"} <= set(value) <= {
        "temperature",
        "length",
    }:
        raise ValueError(
            "HostEnergy: `units` must be a table of `temperature` and, if it isn't Å, `length`, got "
            f'{value!r}. Write {{temperature = 300.0, length = "nm"}}.'
        )
    return Units(**value)


def _one_kT(units: Units | None, unit: Any) -> float:
    """In the function's unit."""
    if unit is None:
        return 1.0
    if units is None:
        raise ValueError(
            f"HostEnergy: energies in {unit} have no meaning in kT without a temperature. Give `units`, "
            "as in units=hf.energies.Units(300.0)."
        )
    if unit not in ("kJ/mol", "kcal/mol", "eV"):
        raise ValueError(f"HostEnergy: `unit` must be 'kJ/mol', 'kcal/mol' or 'eV', got {unit!r}.")
    return units.kT(unit)


def _quartic(x: np.ndarray) -> tuple[float, np.ndarray]:
    coupling = x[0] * x[1] / 2
    forces = -4 * x**3 - x[::-1] / 2
    return float(np.sum(x**4) + coupling), forces
