"""Mixed precision: a network's matrix products and convolutions in bfloat16, all else as it is."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.extend.core import (
    ClosedJaxpr,
    Jaxpr,
    JaxprEqn,
    Literal,
    jaxpr_as_fun,
    primitives,
)
from jaxtyping import Array, Float, PyTree

from hiflow.networks._base import AbstractVelocityField

_PRODUCTS = (primitives.dot_general_p, primitives.conv_general_dilated_p)
# Steps whose own programs are looked into. Others (a rule for derivatives, a kernel) are their authors'.
_ENTERED = {"jit", "pjit", "scan", "while", "cond", "checkpoint", "remat2", "closed_call"}
_CONFIG, _ASKED = "jax_default_matmul_precision", "bfloat16"
COMPUTE = ("auto", "float32", "bfloat16")

Field = Callable[..., Float[Array, "*event"]]


@runtime_checkable
class SupportsCompute(Protocol):
    """A field that rounds by itself, as the U-Net does."""

    def with_compute(self, compute: str) -> AbstractVelocityField:
        """The same weights, computing in `"float32"` or `"bfloat16"`."""
        ...


def computing_in(network: AbstractVelocityField, compute: str) -> Field:
    """The field with its products in `"float32"` or `"bfloat16"`, or for `"auto"` as it is.

    Weights, times, events, sums and activations keep their precision, and so does what comes out: a
    product's factors are rounded to bfloat16, and its result (which devices add up in float32) too,
    also where it is differentiated. Products that ask for more than JAX's default precision keep it.
    """
    if compute == "auto":
        return network
    if isinstance(network, SupportsCompute):
        return network.with_compute(compute)
    return network if compute == "float32" else with_low_products(network)


def refuse_without_effect(network: AbstractVelocityField, compute: str) -> None:
    """Raise `ValueError` if bfloat16 is asked of a network that would compute as it does without."""
    if compute != _ASKED or isinstance(network, SupportsCompute):
        return
    t = jax.ShapeDtypeStruct((), jnp.result_type(float))
    x = jax.ShapeDtypeStruct(tuple(network.event_shape), t.dtype)
    with jax.default_matmul_precision(_ASKED):
        program = jax.make_jaxpr(network)(t, x)
    if not _has_products(program.jaxpr):
        raise ValueError(
            f"fit: compute='bfloat16' is for matrix products and convolutions, and `network` "
            f"({type(network).__name__}) has none of JAX's default precision. Leave `compute` out, or "
            "leave the `precision` of its products to JAX."
        )


@contextlib.contextmanager
def full_products() -> Iterator[None]:
    """Products in float32 proper on every device, unless training asks for bfloat16."""
    if getattr(jax.config, _CONFIG) == _ASKED:
        yield
    else:
        with jax.default_matmul_precision("highest"):
            yield


def with_low_products(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its products in bfloat16."""

    def rounding(*arguments: PyTree) -> PyTree:
        # By this name products of JAX's default precision are told from those that ask for more.
        with jax.default_matmul_precision(_ASKED):
            traced, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
            found = _evaluated(traced.jaxpr, traced.consts, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shape), found)

    return rounding


def _evaluated(jaxpr: Jaxpr, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """What a program computes, step by step, its products rounded."""
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, constants, strict=True))
    known.update(zip(jaxpr.invars, arguments, strict=True))

    def value(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        given = [value(atom) for atom in equation.invars]
        found = (
            _rounded(equation, given) if _is_product(equation) else _made(jaxpr, equation, given)
        )
        known.update(zip(equation.outvars, found, strict=True))
    return [value(atom) for atom in jaxpr.outvars]


def _rounded(product: JaxprEqn, factors: list[Any]) -> list[Any]:
    low = [jnp.asarray(factor).astype(jnp.bfloat16) for factor in factors]
    settings = product.params | {"preferred_element_type": jnp.dtype(jnp.bfloat16)}
    return [product.primitive.bind(*low, **settings).astype(_aval(product.outvars[0]).dtype)]


def _made(jaxpr: Jaxpr, equation: JaxprEqn, given: list[Any]) -> list[Any]:
    """What a step of a program gives, with the products of programs within it rounded."""
    if _within(equation):
        settings = {name: _rewritten(value) for name, value in equation.params.items()}
        equation = equation.replace(params=settings)
    # As a program of one step: how a step is made is JAX's own business.
    pairs = zip(equation.invars, given, strict=True)
    named = {atom: value for atom, value in pairs if not isinstance(atom, Literal)}
    program = jaxpr.replace(
        constvars=[],
        invars=list(named),
        outvars=equation.outvars,
        eqns=[equation],
        effects=equation.effects,
    )
    return jaxpr_as_fun(ClosedJaxpr(program, ()))(*named.values())


def _rewritten(value: Any) -> Any:
    """A program within a step, such as the body of a loop, with rounded products; else what is given."""
    if isinstance(value, tuple | list):
        return type(value)(map(_rewritten, value)) if _programs(value) else value
    if isinstance(value, ClosedJaxpr):
        inner, constants = value.jaxpr, value.consts
        avals = [_aval(variable) for variable in inner.invars]
        shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
        return jax.make_jaxpr(lambda *given: _evaluated(inner, constants, given))(*shapes)
    if isinstance(value, Jaxpr):
        return _rewritten(ClosedJaxpr(value, ())).jaxpr
    return value


def _is_product(equation: JaxprEqn) -> bool:
    """Whether a step is a product of floats whose precision is left to JAX."""
    if equation.primitive not in _PRODUCTS:
        return False
    default, precision = jax.lax.Precision.DEFAULT, equation.params["precision"]
    of_floats = all(jnp.issubdtype(_aval(atom).dtype, jnp.floating) for atom in equation.invars)
    return of_floats and precision in (None, default, (default, default))


def _has_products(jaxpr: Jaxpr) -> bool:
    return any(_is_product(equation) or _within(equation) for equation in jaxpr.eqns)


def _within(equation: JaxprEqn) -> bool:
    """Whether a step's own programs have products."""
    entered = equation.primitive.name in _ENTERED
    return entered and any(map(_has_products, _programs(list(equation.params.values()))))


def _programs(value: Any) -> list[Jaxpr]:
    if isinstance(value, tuple | list):
        return [program for each in value for program in _programs(each)]
    if isinstance(value, ClosedJaxpr):
        return [value.jaxpr]
    return [value] if isinstance(value, Jaxpr) else []


def _aval(atom: Any) -> Any:
    """Shape and type of what a program names."""
    return atom.aval
