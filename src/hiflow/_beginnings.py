"""The command line's `init` and `schema`: what a file is begun with."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from hiflow import experiments
from hiflow._disk import write_text
from hiflow._shell import console, plain_errors


def init(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("experiment.toml"),
) -> None:
    """Write a commented experiment that trains as it stands, to change into one's own."""
    with plain_errors():
        if file.exists():
            raise ValueError(f"{file} exists; name another file.")
        if file.suffix != ".toml":
            raise ValueError(f"{file}: an experiment's file ends in .toml.")
        write_text(file, experiments.STARTER)
        command = f"hiflow train {shlex.quote(str(file))}"
        console.print(f"written: {file}; train it by: {command}", markup=False, soft_wrap=True)


def schema(
    out: Annotated[Path | None, typer.Option(help="A file; by default it is printed.")] = None,
) -> None:
    """The JSON Schema of an experiment's file, for editors: every table, component and setting that this
    installation knows, plug-ins included."""
    with plain_errors():
        text = json.dumps(experiments.schema(), indent=2, ensure_ascii=False)
        if out is None:
            typer.echo(text)
        else:
            write_text(out, text + "\n")
            console.print(f"written: {out}", markup=False, soft_wrap=True)
