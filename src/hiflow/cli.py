"""The command line: `hiflow train | compare | evaluate | sample | list | check`."""

import sys
import tomllib
import warnings
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hiflow._checks import nearest
from hiflow._disk import write_arrays
from hiflow.registry import Registry
from hiflow.registry import families as registries

app = typer.Typer(
    help="Hessian-Informed Flow Matching: train, evaluate and sample flows from TOML files.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()


@app.command()
def train(
    file: Annotated[str, typer.Argument(help="A TOML file, or a packaged experiment's name.")],
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/<name>.")] = None,
    seed: Annotated[int | None, typer.Option(help="Train this seed alone.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Train seeds 0 … N−1.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with an existing run folder.")] = False,
    distributed: Annotated[
        bool, typer.Option("--distributed", help="Be one of several processes, as SLURM says or:")
    ] = False,
    coordinator: Annotated[str | None, typer.Option(help="HOST:PORT of process 0.")] = None,
    processes: Annotated[int | None, typer.Option(help="How many processes there are.")] = None,
    process: Annotated[int | None, typer.Option(help="Which one this is, from 0.")] = None,
) -> None:
    """Train every arm of an experiment, score it, and compare the arms."""
    from hiflow import _processes, experiments

    with _processes.ending_together(), _plain_errors():
        if distributed or (coordinator, processes, process) != (None, None, None):
            _processes.join(coordinator, processes, process)
        if seed is not None and seeds is not None:
            raise ValueError("--seed and --seeds exclude each other.")
        what = experiments.read(file)
        root = out or Path("runs") / what.name
        chosen = [seed] if seed is not None else list(range(seeds)) if seeds else None
        found = experiments.train(what, root, seeds=chosen, resume=resume, console=console)
        _processes.by_leader(lambda: _report(found, root))
        console.print(f"run folder: {root}")


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of one energy.")],
    out: Annotated[Path, typer.Option(help="Folder of the page and figures.")] = Path("comparison"),
    against: Annotated[str | None, typer.Option(help="Reference arm; default the first.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Compare this arm; repeatable.")] = None,
    sweep: Annotated[
        int, typer.Option(help="Solve this many test points at several tolerances and steps.")
    ] = 0,
    samples: Annotated[int, typer.Option(help="Draw and reweight this many samples per flow.")] = 0,
) -> None:
    """Set the arms of run folders side by side: paired likelihoods, their cost, samples."""
    from hiflow import experiments

    with _plain_errors():
        found = experiments.compare(
            runs, against=against, only=only or (), sweep=sweep, samples=samples, console=console
        )
        _report(found, out)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder, or one flow's file.")],
    data: Annotated[Path, typer.Option(help=".npy or .npz of test points.")],
    rtol: Annotated[float | None, typer.Option(help="Solver's relative tolerance.")] = None,
    atol: Annotated[float | None, typer.Option(help="Solver's absolute tolerance.")] = None,
) -> None:
    """The NLL of a run's flows on your own test points."""
    from hiflow import experiments

    with _plain_errors():
        settings = {"rtol": rtol, "atol": atol}
        given = {name: value for name, value in settings.items() if value is not None}
        experiments.show(experiments.evaluate_file(run, data, given), console)


@app.command()
def sample(
    run: Annotated[Path, typer.Argument(help="A run folder, or one flow's file.")],
    size: Annotated[int, typer.Option("--size", "--n", help="Number of samples per flow.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    out: Annotated[
        Path, typer.Option(help="Where to write: samples and log densities, .npz.")
    ] = Path("samples.npz"),
) -> None:
    """Draw samples with their log densities from a run's flows into one .npz file."""
    from hiflow import experiments, load

    with _plain_errors():
        if out.exists():
            raise ValueError(f"{out} exists; choose another file by --out.")
        arrays: dict[str, np.ndarray] = {}
        for (label, k), path in experiments.flow_files(run).items():
            x, log_prob = load(path).sample_and_log_prob(jax.random.key(seed), size)
            name = f"{label}-{k}"
            arrays |= {f"{name}/samples": np.asarray(x), f"{name}/log_prob": np.asarray(log_prob)}
            console.print(f"{label}, seed {k}: {size} samples")
        write_arrays(out, arrays)
        console.print(f"written: {out}")


@app.command(name="list")
def list_components(
    family: Annotated[str | None, typer.Argument(help="One family; default all.")] = None,
    load: Annotated[bool, typer.Option("--load", help="Load each, and say which fail.")] = False,
) -> None:
    """The components that this installation knows, plug-ins included, and the packaged experiments."""
    from hiflow import experiments

    with _plain_errors():
        table = Table("family", "name", "from", *(["loads"] if load else []))
        for name, registry in _families(family).items():
            for component in registry.names():
                state = [_state(registry, component)] if load else []
                table.add_row(name, component, registry.origin(component), *state)
        console.print(table)
        if family is None:
            console.print("experiments: " + ", ".join(sorted(experiments.packaged_experiments())))


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A component's name, as `hiflow list` shows it.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(help="The component's arguments as key=value, values as in TOML."),
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="The family, if several know the name.")
    ] = None,
    energy: Annotated[
        str | None, typer.Option(help="For Hessian providers: name or table.")
    ] = None,
    prior: Annotated[str | None, typer.Option(help="For paths and couplings.")] = None,
    event_shape: Annotated[str | None, typer.Option(help="For groups, as [4, 3].")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random inputs.")] = 0,
    single: Annotated[bool, typer.Option("--single", help="Single precision.")] = False,
) -> None:
    """Check that a component obeys the laws of its family; print each with its largest violation."""
    from hiflow import testing

    with _plain_errors(), jax.enable_x64(not single):
        options = dict(_setting(setting) for setting in settings or [])
        registry = _registry_of(name, _families(family))
        component = testing.example(registry, name, **options)
        given = {"energy": energy, "prior": prior, "event_shape": event_shape}
        surroundings = {k: _value(v) for k, v in given.items() if v is not None}
        try:
            found = testing.check(component, key=jax.random.key(seed), **surroundings)
        except testing.BrokenLawsError as error:
            found = error.findings
        _print_laws(found, f"{name} ({registry.family}, from {registry.origin(name)})")
        if any(law.broken_at is not None for law in found.laws):
            sys.exit(1)


def _report(found: Any, out: Path) -> None:
    """Print a comparison, and write its page, numbers and figures."""
    from hiflow import experiments

    experiments.show(found, console)
    for path in experiments.write(found, out, console=console):
        console.print(f"written: {path}")


def _families(chosen: str | None) -> dict[str, Registry]:
    """All registries, or that of one family."""
    families = registries()
    if chosen is not None and chosen not in families:
        raise ValueError(f"no family {chosen!r}; there are {', '.join(families)}.")
    return {name: registry for name, registry in families.items() if chosen in (None, name)}


def _registry_of(name: str, families: dict[str, Registry]) -> Registry:
    """The one registry that knows the name."""
    known = [registry for registry in families.values() if name in registry.names()]
    if len(known) == 1:
        return known[0]
    if known:
        what = f"is in {', '.join(registry.family for registry in known)}: choose by --family"
        raise ValueError(f"{name!r} {what}; `hiflow list` shows all components.")
    names = [every for registry in families.values() for every in registry.names()]
    raise ValueError(
        f"{name!r} is unknown{nearest(name, names)} `hiflow list` shows all components."
    )


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
    from hiflow import RegistryError

    try:
        registry.get(name)
    except RegistryError as error:
        return f"[red]no[/]: {escape(str(error))}"
    return "yes"


def _setting(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r}: write a setting as key=value, e.g. kappa=2.0.")
    return key.strip(), _value(value)


def _value(text: str) -> Any:
    """A TOML value; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


class _plain_errors:  # noqa: N801  a context manager, used like a function
    """What a user did wrong is said in one line, without a traceback; warnings likewise."""

    def __enter__(self) -> None:
        self._saved = warnings.showwarning
        warnings.showwarning = lambda message, *_args, **_kwargs: console.print(
            f"warning: {message}", style="yellow", markup=False
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        warnings.showwarning = self._saved
        if isinstance(error, ValueError | LookupError | OSError | ImportError | TypeError):
            Console(stderr=True).print(
                f"error: {error}", style="red", markup=False, highlight=False
            )
            sys.exit(2)


if __name__ == "__main__":
    app()
