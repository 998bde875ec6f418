"""The command line's `plot` and `report`: what is to be looked at."""

from pathlib import Path
from typing import Annotated

import typer

from hiflow import experiments
from hiflow._disk import trusting, written
from hiflow._shell import Cached, Trust, console, keep_compiled, plain_errors
from hiflow._words import nearest

PAPER = ("figure-1", "figure-2")


def plot(
    what: Annotated[
        str,
        typer.Argument(
            help="A run folder; or figure-1, conditional flows, isotropic beside Hessian-informed; or "
            "figure-2, the eigen-subspaces of an invariant energy's Hessian."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="A file (.png, .svg or .pdf) for figure-1 and figure-2, by default a .png here; for a "
            "run a folder, by default RUN/figures."
        ),
    ] = None,
    cache: Cached = True,
    trust: Trust = None,
) -> None:
    """Draw the figures of a run, or one of the two that show what the method does."""
    with plain_errors(), trusting(*trust or ()):
        if what not in PAPER:
            if not Path(what).exists():
                raise ValueError(
                    f"{what}: no such run folder, and none of {', '.join(PAPER)}{nearest(what, PAPER)}"
                )
            folder = experiments.RunFolder(what)
            folder.flows()
            keep_compiled(cache)
            for file in experiments.draw(folder.root, out or folder.root / "figures", console):
                console.print(f"written: {file}", markup=False, soft_wrap=True)
            return
        file = out or Path(f"{what}.png")
        if file.suffix not in (".png", ".svg", ".pdf"):
            raise ValueError(f"--out: {file} must end in .png, .svg or .pdf.")
        if not file.absolute().parent.is_dir():
            raise ValueError(f"--out: no such folder: {file.absolute().parent}.")
        keep_compiled(cache)
        from hiflow import plotting

        figure = plotting.figure_1() if what == PAPER[0] else plotting.figure_2()
        with written(file) as stream:
            figure.savefig(stream, format=file.suffix[1:], dpi=150)
        console.print(f"written: {file}", markup=False, soft_wrap=True)


def report(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[Path | None, typer.Option(help="The page; default RUN/report.html.")] = None,
    samples: Annotated[
        int, typer.Option(min=0, help="Draw and weigh this many samples per flow; 0 for none.")
    ] = 256,
    cache: Cached = True,
    trust: Trust = None,
) -> None:
    """Write one page of HTML on a run, to look at and to hand on: it needs no network."""
    with plain_errors(), trusting(*trust or ()):
        experiments.RunFolder(run).flows()
        if out is not None and (out.suffix != ".html" or not out.absolute().parent.is_dir()):
            raise ValueError(f"--out: {out} must be an .html file in a folder that exists.")
        keep_compiled(cache)
        file = experiments.write_report(run, out, samples=samples, console=console)
        console.print(f"written: {file}", markup=False, soft_wrap=True)
