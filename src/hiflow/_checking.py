"""The command line's `list` and `check`: the components that there are, and the laws that they obey."""

import sys
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from hiflow import experiments
from hiflow._shell import (
    Cached,
    Family,
    component_names,
    console,
    family_names,
    family_of,
    keep_compiled,
    listed,
    plain_errors,
    setting_of,
    value_of,
)
from hiflow.registry import Registry, RegistryError, families


def list_components(
    family: Annotated[
        str | None,
        typer.Argument(help="One family; default all.", autocompletion=family_names),
    ] = None,
    load: Annotated[bool, typer.Option("--load", help="Load each, and say which fail.")] = False,
) -> None:
    """The components that this installation knows, plug-ins included, and the packaged experiments."""
    with plain_errors():
        table = Table("family", "name", "from", *(["loads"] if load else []))
        for name, components in listed(family).items():
            for component, origin in components.items():
                state = [_state(families()[name], component)] if load else []
                table.add_row(name, component, origin, *state)
        console.print(table)
        if family is None:
            named = experiments.packaged_experiments().items()
            shown = (name if where == "hiflow" else f"{name} ({where})" for name, where in named)
            console.print("experiments: " + ", ".join(shown), markup=False)


def check(
    name: Annotated[
        str,
        typer.Argument(
            help="A component's name, as `hiflow list` shows it.", autocompletion=component_names
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Argument(help="The component's arguments as key=value, values as in TOML."),
    ] = None,
    family: Annotated[str | None, Family] = None,
    energy: Annotated[
        str | None, typer.Option(help="For Hessian providers: name or table.")
    ] = None,
    prior: Annotated[str | None, typer.Option(help="For paths and couplings.")] = None,
    event_shape: Annotated[str | None, typer.Option(help="For groups, as [4, 3].")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random inputs.")] = 0,
    single: Annotated[bool, typer.Option("--single", help="Single precision.")] = False,
    cache: Cached = True,
) -> None:
    """Check that a component obeys the laws of its family; print each with its largest violation."""
    with plain_errors():
        options = dict(setting_of(setting) for setting in settings or [])
        given = {"energy": energy, "prior": prior, "event_shape": event_shape}
        surroundings = {k: value_of(v) for k, v in given.items() if v is not None}
        chosen = family_of(name, listed(family))
        keep_compiled(cache)
        import jax

        from hiflow import testing

        registry = families()[chosen]
        with jax.enable_x64(not single):
            component = testing.example(registry, name, **options)
            try:
                found = testing.check(component, key=jax.random.key(seed), **surroundings)
            except testing.BrokenLawsError as error:
                found = error.findings
        _print_laws(found, f"{name} ({registry.family}, from {registry.origin(name)})")
        if any(law.broken_at is not None for law in found.laws):
            sys.exit(1)


def _print_laws(found: Any, title: str) -> None:
    table = Table("law", "", "largest violation", "tolerance", "inputs", title=title)
    for law in found.laws:
        mark = "[green]held[/]" if law.broken_at is None else "[red]broken[/]"
        numbers = (f"{law.violation:.2g}", f"{law.tolerance:.2g}", f"{law.inputs:,}")
        table.add_row(law.name, mark, *numbers)
    console.print(table)
    for law in found.laws:
        if law.broken_at is not None:
            where = f" ({law.broken_at})" if law.broken_at else ""
            console.print(f"[red]{law.name}[/] must mean: {escape(law.meaning)}.{where}")


def _state(registry: Registry, name: str) -> str:
    try:
        registry.get(name)
    except RegistryError as error:
        return f"[red]no[/]: {escape(str(error))}"
    return "yes"
