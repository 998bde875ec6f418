"""OpenMM's algebraic expressions, evaluated in JAX."""

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jax.scipy.special import erf, erfc

Values = Mapping[str, Any]

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(jnp, name) for name in ("sqrt", "exp", "log", "floor", "ceil", "abs")},
    **{name: getattr(jnp, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "asin": jnp.arcsin, "acos": jnp.arccos, "atan": jnp.arctan, "atan2": jnp.arctan2,
    "min": jnp.minimum, "max": jnp.maximum, "erf": erf, "erfc": erfc,
    "sec": lambda x: 1 / jnp.cos(x),
    "csc": lambda x: 1 / jnp.sin(x),
    "cot": lambda x: 1 / jnp.tan(x),
    "square": lambda x: x**2,
    "cube": lambda x: x**3,
    "recip": lambda x: 1 / x,
    "step": lambda x: jnp.where(jnp.less(x, 0), 0.0, 1.0),
    "delta": lambda x: jnp.where(jnp.equal(x, 0), 1.0, 0.0),
    "select": lambda x, y, z: jnp.where(jnp.equal(x, 0), z, y),
}  # fmt: skip
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    # Of whole powers the base may be negative.
    ast.Pow: lambda a, b: a ** (int(b) if isinstance(b, float) and b.is_integer() else b),
}
_TOKEN = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[A-Za-z_][\w.]*")


class NotTranslated(ValueError):  # noqa: N818  a reason, for the words of a warning
    """What an expression or a force has that isn't known here."""


def evaluate(text: str, values: Values, tables: Values | None = None) -> Any:
    """`energy; name = part; …` with these values of its variables; a part sees those behind it. `tables`
    are looked up at whole numbers, as `name(i, j)`.

    **Raises:** `NotTranslated` for a name or a sign that isn't known.
    """
    scope = dict(values)
    first, *parts = [part for part in text.split(";") if part.strip()]
    for part in reversed(parts):
        name, _, definition = part.partition("=")
        scope[name.strip()] = _value(_parsed(definition), scope, tables or {})
    return _value(_parsed(first), scope, tables or {})


def _parsed(text: str) -> ast.expr:
    # A letter before every name: `or` and `lambda` are names there.
    text = _TOKEN.sub(lambda found: _named(found.group()), text).replace("^", "**")
    try:
        return ast.parse(" ".join(text.split()), mode="eval").body
    except SyntaxError as error:
        raise NotTranslated(f"the expression {text!r}") from error


def _named(token: str) -> str:
    return f"v{token}" if token[0].isalpha() or token[0] == "_" else token


def _value(node: ast.expr, scope: Values, tables: Values) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)  # JAX takes no whole number beyond 32 bits.
        case ast.Name(id=name) if name[1:] in scope:
            return scope[name[1:]]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner, scope, tables)
        case ast.BinOp(
            left=left,
            op=ast.Div(),
            right=ast.BinOp(left=base, op=ast.Pow(), right=ast.Constant(int(n))),
        ):
            # The derivative of 1/y at y = r¹² divides by r²⁴, which is 0 in single precision.
            return _value(left, scope, tables) * _value(base, scope, tables) ** -n
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, scope, tables), _value(right, scope, tables))
        case ast.Call(func=ast.Name(id=name), args=inner, keywords=[]):
            arguments = [_value(one, scope, tables) for one in inner]
            if name[1:] in tables:
                return tables[name[1:]][tuple(jnp.rint(one).astype(int) for one in arguments)]
            if name[1:] in _FUNCTIONS:
                return _FUNCTIONS[name[1:]](*arguments)
    raise NotTranslated(f"with {ast.unparse(node).lstrip('v')!r}")
