"""A Griffe extension: constructors of Equinox modules from their fields, and jaxtyping's shapes."""

from typing import Any

import griffe

DTYPES = ("Float", "Int", "Bool", "PRNGKeyArray")


class EquinoxFields(griffe.Extension):
    """Gives every concrete module without an `__init__` the one that Equinox generates, and keeps
    the shape in `Float[Array, "n *event"]` a string: Griffe reads it as a product of two names."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        fields = [
            member
            for member in cls.members.values()
            if isinstance(member, griffe.Attribute)
            and member.annotation is not None
            and "instance-attribute" in member.labels
        ]
        if not fields or not cls.bases or cls.name.startswith("Abstract"):
            return
        if "__init__" in cls.members or any(
            str(base) in ("Protocol", "NamedTuple") for base in cls.bases
        ):
            return
        parameters = griffe.Parameters(
            griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword),
            *(_parameter(field) for field in fields),
        )
        init = griffe.Function("__init__", parameters=parameters, returns="None", parent=cls)
        cls.set_member("__init__", init)

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        _keep_shapes(func.returns)
        for parameter in func.parameters:
            _keep_shapes(parameter.annotation)

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:
        _keep_shapes(attr.annotation)


def _parameter(field: griffe.Attribute) -> griffe.Parameter:
    return griffe.Parameter(
        field.name,
        annotation=field.annotation,
        default=_default(field.value),
        kind=griffe.ParameterKind.positional_or_keyword,
    )


def _default(value: Any) -> Any:
    """The default inside `eqx.field(...)`, or the value itself."""
    if not isinstance(value, griffe.ExprCall):
        return value
    for argument in value.arguments:
        if isinstance(argument, griffe.ExprKeyword) and argument.name == "default":
            return argument.value
        if isinstance(argument, griffe.ExprKeyword) and argument.name == "default_factory":
            return f"{argument.value}()"
    return None if str(value.function) == "eqx.field" else value


def _keep_shapes(annotation: Any) -> None:
    if not isinstance(annotation, griffe.Expr):
        return
    for expression in annotation.iterate(flat=False):
        if expression is not annotation:
            _keep_shapes(expression)
    if not isinstance(annotation, griffe.ExprSubscript) or str(annotation.left) not in DTYPES:
        return
    if isinstance(annotation.slice, griffe.ExprTuple) and len(annotation.slice.elements) == 2:
        array, shape = annotation.slice.elements
        if isinstance(shape, griffe.Expr):
            annotation.slice.elements = [array, '"' + str(shape).replace(" * ", " *") + '"']
