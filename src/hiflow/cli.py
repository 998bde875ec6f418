"""The command line: `hiflow init | train | compare | evaluate | sample | plot | report | list | check`.

JAX is imported once a command has something to compute: help, lists and what a user got wrong come
at once.
"""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hiflow import _beginnings, _checking, _pictures, experiments
from hiflow._disk import trusting
from hiflow._shell import (
    Cached,
    Trust,
    again,
    console,
    experiment_names,
    keep_compiled,
    plain_errors,
    say_version,
    saying_how_to_go_on,
    setting_of,
)

if TYPE_CHECKING:
    from hiflow.experiments import Comparison, Experiment

app = typer.Typer(
    help="Hessian-Informed Flow Matching: train, evaluate and sample flows from TOML files.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _hiflow(
    version: Annotated[
        bool,
        typer.Option("--version", callback=say_version, is_eager=True, help="Say it, and exit."),
    ] = False,
) -> None: ...


@app.command()
def train(
    file: Annotated[
        str,
        typer.Argument(
            help="A TOML file, or a packaged experiment's name.", autocompletion=experiment_names
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/<name>.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Train this seed alone.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Train seeds 0 … N−1.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with an existing run folder.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another value, as training.steps=500; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run, how large and for how long.")
    ] = False,
    distributed: Annotated[
        bool, typer.Option("--distributed", help="Be one of several processes, as SLURM says or:")
    ] = False,
    coordinator: Annotated[str | None, typer.Option(help="HOST:PORT of process 0.")] = None,
    processes: Annotated[int | None, typer.Option(help="How many processes there are.")] = None,
    process: Annotated[int | None, typer.Option(help="Which one this is, from 0.")] = None,
    heartbeat: Annotated[
        int, typer.Option(min=1, help="Seconds of silence after which a process counts as dead.")
    ] = 20,
    cache: Cached = True,
    trust: Trust = None,
) -> None:
    """Train every arm of an experiment, score it, and compare the arms."""
    with plain_errors(), trusting(*trust or ()), ExitStack() as ending:
        if seed is not None and seeds is not None:
            raise ValueError("--seed and --seeds exclude each other.")
        what = experiments.read(file, [setting_of(each) for each in settings or ()])
        root = out or Path("runs") / what.name
        chosen = [seed] if seed is not None else list(range(seeds)) if seeds else None
        if dry_run:
            keep_compiled(cache)
            experiments.show_plan(what, seeds=chosen, console=console)
            return
        ending.enter_context(saying_how_to_go_on(again(file, root, seed, seeds, trust, settings)))
        place = (coordinator, processes, process)
        if distributed or place != (None, None, None):
            keep_compiled(cache)
            _train_together(what, root, chosen, resume, (*place, heartbeat))
            return
        experiments.RunFolder(root).refuse(what, resume=resume)
        if resume and (kept := experiments.finished(what, root, seeds=chosen)) is not None:
            experiments.show(kept, console)
            console.print("nothing to do: every arm is trained, and nothing has changed since")
        else:
            keep_compiled(cache)
            found = experiments.train(what, root, seeds=chosen, resume=resume, console=console)
            experiments.remember(root, _report(found, root))
            if found.failures:
                console.print(f"run folder: {root}", markup=False, soft_wrap=True)
                Console(stderr=True).print(
                    experiments.summary(found.failures), style="red", markup=False, soft_wrap=True
                )
                sys.exit(1)
        console.print(f"run folder: {root}", markup=False, soft_wrap=True)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of one energy.")],
    out: Annotated[Path, typer.Option(help="Folder of the page and figures.")] = Path("comparison"),
    against: Annotated[str | None, typer.Option(help="Reference arm; default the first.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Compare this arm; repeatable.")] = None,
    sweep: Annotated[
        int,
        typer.Option(min=0, help="Solve this many test points at several tolerances and steps."),
    ] = 0,
    samples: Annotated[
        int, typer.Option(min=0, help="Draw and reweight this many samples per flow.")
    ] = 0,
    cache: Cached = True,
    trust: Trust = None,
) -> None:
    """Set the arms of run folders side by side: paired likelihoods, their cost, samples."""
    with plain_errors(), trusting(*trust or ()):
        for run in runs:
            experiments.RunFolder(run).flows()
        keep_compiled(cache)
        found = experiments.compare(
            runs, against=against, only=only or (), sweep=sweep, samples=samples, console=console
        )
        _report(found, out)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder, or one flow's file.")],
    data: Annotated[Path, typer.Option(help="Test points: .npy, .npz or a trajectory of atoms.")],
    array: Annotated[
        str | None, typer.Option(help="Which array of an .npz file, if it holds several.")
    ] = None,
    condition_array: Annotated[
        str | None,
        typer.Option(help="Which array holds the points' conditions; default the run's."),
    ] = None,
    condition_file: Annotated[
        Path | None, typer.Option(help="Where conditions are: .csv, .npz or .npy.")
    ] = None,
    topology: Annotated[
        Path | None, typer.Option(help="A .pdb of the atoms, for .dcd, .xtc, .trr and .nc.")
    ] = None,
    independent: Annotated[
        bool | None,
        typer.Option(
            "--independent/--chain", help="Frames are geometries, or one chain; default the run's."
        ),
    ] = None,
    rtol: Annotated[float | None, typer.Option(help="Solver's relative tolerance.")] = None,
    atol: Annotated[float | None, typer.Option(help="Solver's absolute tolerance.")] = None,
    cache: Cached = True,
    trust: Trust = None,
) -> None:
    """The NLL of a run's flows on your own test points."""
    with plain_errors(), trusting(*trust or ()):
        experiments.flow_files(run)
        if not data.is_file():
            raise ValueError(f"--data: no such file: {data}.")
        keep_compiled(cache)
        settings = {"rtol": rtol, "atol": atol}
        given = {name: value for name, value in settings.items() if value is not None}
        where = {
            "condition": condition_array, "condition_file": condition_file, "topology": topology,
            "independent": independent,
        }  # fmt: skip
        experiments.show(experiments.evaluate_file(run, data, given, array, **where), console)


@app.command()
def sample(
    run: Annotated[Path, typer.Argument(help="A run folder, or one flow's file.")],
    size: Annotated[
        int, typer.Option("--size", "--n", min=1, help="Number of samples per flow.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    condition: Annotated[
        str | None, typer.Option(help="A class by its name, or the numbers of a vector, as 0.5,1.")
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            help="Where to write: .npz; .extxyz, .xyz or .pdb for atoms of a known order."
        ),
    ] = Path("samples.npz"),
    cache: Cached = True,
    trust: Trust = None,
) -> None:
    """Draw samples with their log densities from a run's flows into one file."""
    with plain_errors(), trusting(*trust or ()):
        experiments.check_drawn_file(out)
        experiments.flow_files(run)
        keep_compiled(cache)
        experiments.write_drawn(run, out, size, seed=seed, condition=condition, console=console)


app.command()(_pictures.plot)
app.command()(_pictures.report)
app.command()(_beginnings.init)
app.command()(_beginnings.schema)


app.command(name="list")(_checking.list_components)
app.command()(_checking.check)


def _train_together(
    what: "Experiment",
    root: Path,
    seeds: list[int] | None,
    resume: bool,
    place: tuple[str | None, int | None, int | None, int],
) -> None:
    """Train as one of several processes, of which the first alone writes and prints."""
    from hiflow import _processes

    with _processes.ending_together(), plain_errors():
        _processes.join(*place)
        found = experiments.train(what, root, seeds=seeds, resume=resume, console=console)
        _processes.by_leader(lambda: experiments.remember(root, _report(found, root)))
        console.print(f"run folder: {root}", markup=False, soft_wrap=True)


def _report(found: "Comparison", out: Path) -> list[Path]:
    """Print a comparison, and write its page, numbers and figures; the files."""
    experiments.show(found, console)
    files = experiments.write(found, out, console=console)
    for path in files:
        console.print(f"written: {path}", markup=False, soft_wrap=True)
    return files


if __name__ == "__main__":
    app()
