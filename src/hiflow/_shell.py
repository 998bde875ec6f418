"""What the commands of the shell share: console, errors in one line, options and what completes them."""

import io
import platform
import shlex
import signal
import sys
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from hiflow import _compilation, experiments
from hiflow._interrupts import Terminated, interrupts
from hiflow._words import nearest
from hiflow.registry import listing

console = Console()


def say_version(asked: bool) -> None:
    """Print hiflow's version, and those that a report of a fault needs beside it, and stop."""
    if asked:
        packages = (f"{package} {version(package)}" for package in ("jax", "jaxlib"))
        console.print(
            f"hiflow {version('hiflow-jax')} ({', '.join(packages)}, Python "
            f"{platform.python_version()})",
            highlight=False,
        )
        raise typer.Exit


def experiment_names() -> list[str]:
    """The packaged experiments, those of plug-ins included, sorted."""
    return list(experiments.packaged_experiments())


def family_names() -> list[str]:
    """The families, sorted."""
    return list(listing())


def component_names() -> list[str]:
    """The components of all families, sorted."""
    return sorted({name for names in listing().values() for name in names})


Cached = Annotated[
    bool,
    typer.Option("--cache/--no-cache", help="Keep compiled code, and use what was kept before."),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(help="A package of your own that files may name; repeatable. It is run."),
]
Family = typer.Option(help="The family, if several know the name.", autocompletion=family_names)


def keep_compiled(cache: bool) -> None:
    """What JAX is told before it is imported: a command that compiles keeps the code."""
    if cache:
        _compilation.keep()
    else:
        _compilation.keep_nothing()


def listed(chosen: str | None) -> dict[str, dict[str, str]]:
    """The components of all families or of one, each with where it comes from. **Raises:** `ValueError`
    for an unknown family."""
    known = listing()
    if chosen is not None and chosen not in known:
        raise ValueError(f"no family {chosen!r}; there are {', '.join(known)}.")
    return {family: names for family, names in known.items() if chosen in (None, family)}


def family_of(name: str, listed: dict[str, dict[str, str]]) -> str:
    """The one family that knows the name. **Raises:** `ValueError` if none does, or several do."""
    known = [family for family, names in listed.items() if name in names]
    if len(known) == 1:
        return known[0]
    if known:
        what = f"is in {', '.join(known)}: choose by --family"
        raise ValueError(f"{name!r} {what}; `hiflow list` shows all components.")
    names = [every for names in listed.values() for every in names]
    raise ValueError(
        f"{name!r} is unknown{nearest(name, names)} `hiflow list` shows all components."
    )


def setting_of(text: str) -> tuple[str, object]:
    """The name and value of `key=value`. **Raises:** `ValueError` for anything else."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r}: write a setting as key=value, e.g. kappa=2.0.")
    return key.strip(), value_of(value)


def value_of(text: str) -> Any:
    """A TOML value; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


class plain_errors:  # noqa: N801  a context manager, used like a function
    """What a user did wrong is said in one line, without a traceback; warnings likewise."""

    def __enter__(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            # A terminal that doesn't know a sign shows another: no result is lost for it.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
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


def again(
    file: str,
    root: Path,
    seed: int | None,
    seeds: int | None,
    trust: Sequence[str] | None,
    settings: Sequence[str] | None = None,
) -> str:
    """The command that goes on with a run."""
    given = [("--out", root), ("--seed", seed), ("--seeds", seeds)]
    given += [("--set", setting) for setting in settings or ()]
    given += [("--trust", package) for package in trust or ()]
    words = [str(word) for pair in given if pair[1] is not None for word in pair]
    return shlex.join(["hiflow", "train", file, *words, "--resume"])


@contextmanager
def saying_how_to_go_on(command: str) -> Iterator[None]:
    """Where Ctrl-C or SIGTERM ends what is done inside, a line says by which command to go on; the exit
    status is 130 or 143. A second one ends the process at once."""
    try:
        with interrupts(second_kills=True):
            yield
    except (KeyboardInterrupt, Terminated) as error:
        ended = isinstance(error, Terminated)
        what = "terminated" if ended else "interrupted"
        Console(stderr=True).print(
            f"{what}: what was trained is saved; go on by: {command}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        sys.exit(128 + (signal.SIGTERM if ended else signal.SIGINT))
