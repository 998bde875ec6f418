"""Any JAX function of one event as an energy."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow import groups
from hiflow._checks import as_shape, check_event, check_scalar
from hiflow._disk import function_of_configuration
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.groups import AbstractGroup, Trivial


def as_function(value: object, argument: str) -> Callable[..., Any]:
    """A callable, or `"module:function"` as a configuration file writes it: while a file is acted on, of
    a package that it may name (`trust`). For energies of your own that take functions or classes.

    **Raises:** `ValueError` that begins with `argument`.

    **Example:**

    ```pycon
    >>> square = hf.energies.as_function(jnp.square, "function")
    >>> float(square(3.0))
    9.0
    >>> hf.energies.as_function(3.0, "function")
    Traceback (most recent call last):
        ...
    ValueError: function must be a callable or a string 'module:function', got 3.0.
    ```
    """
    if callable(value):
        return value
    if not isinstance(value, str) or not all(value.partition(":")):
        raise ValueError(
            f"{argument} must be a callable or a string 'module:function', got {value!r}."
        )
    try:
        return function_of_configuration(value)
    except ValueError as error:
        raise ValueError(f"{argument} {error}") from error
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{argument} {value!r} can't be imported: {error}. Is its module on the Python path?"
        ) from error


def _as_function(value: object) -> Callable[..., Any]:
    return as_function(value, "FunctionEnergy: `function`")


@registry.register("function")
class FunctionEnergy(AbstractEnergy):
    """$V(x) = f(x)$ in units of kT, with no closed-form Hessian.

    **Arguments:**

    - `function`: from one event to a scalar, traceable by JAX; an Equinox module keeps its arrays
      as leaves. A configuration file names it as `"module:function"`, if it is acted on with `trust` in
      that module.
    - `shape`: the event shape.
    - `group`: the group that the function is invariant under; you vouch for it.

    **Raises:** `ValueError` if the function doesn't map an event of this shape to one float.

    **Example:**

    ```pycon
    >>> quartic = hf.energies.FunctionEnergy(lambda x: jnp.sum(x**4), shape=(2,))
    >>> x = jnp.array([1.0, 2.0])
    >>> quartic(x), jax.grad(quartic)(x)
    (Array(17., dtype=float32), Array([ 4., 32.], dtype=float32))
    >>> hf.hessians.Dense().spectrum(quartic, x).eigenvalues
    Array([12., 48.], dtype=float32)
    ```
    """

    function: Callable[..., Any] = eqx.field(converter=_as_function)
    shape: tuple[int, ...] = eqx.field(static=True, converter=as_shape)
    group: AbstractGroup = eqx.field(converter=groups.registry.make, default=Trivial())

    def __check_init__(self):
        event = jax.ShapeDtypeStruct(self.shape, jnp.result_type(float))
        check_scalar(self.function, event, "FunctionEnergy: `function`")

    @classmethod
    def example(cls) -> "FunctionEnergy":
        """A small instance, as `hiflow check function` takes without arguments."""
        return cls(lambda x: jnp.sum(x**4), (2,))  # pyright: ignore[reportCallIssue]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one event."""
        return self.shape

    def __call__(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="FunctionEnergy")
        return self.function(x)
