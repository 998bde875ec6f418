"""The choice of a path, and what it was made by."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from hiflow.hessians import AbstractHessian
from hiflow.paths import AbstractPath


@dataclasses.dataclass(frozen=True)
class Tried:
    """A candidate's row.

    **Arguments:**

    - `label`: what it is. `virial`: per dimension, of samples of its end law; 1 for an unbiased one.
    - `excluded`: why it wasn't trained, or not to the end.
    - `nll`: number of steps to the mean NLL of the points that were left out, in nats.

    **Example:**

    ```pycon
    >>> row = hf.training.Tried("Langevin", virial=1.4, excluded="biased", nll={})
    >>> row.label, row.excluded
    ('Langevin', 'biased')
    ```
    """

    label: str
    virial: float | None
    excluded: str | None
    nll: Mapping[int, float]


@dataclasses.dataclass(frozen=True)
class Choice:
    """A path, chosen by [`choose_path`][hiflow.choose_path] or [`learn_path`][hiflow.learn_path];
    printed, it says why.

    **Arguments:**

    - `path`: for [`fit`][hiflow.fit]. `steps`: how long to train it.
    - `label`: its row in the table. `table`: the path as a file would say it.
    - `tried`: a row for every candidate.
    - `evidence`: what was seen before any training, in words. `reason`: why this one.

    **Example:**

    ```pycon
    >>> two = {"OT": hf.paths.OptimalTransport(), "HI": hf.paths.Relaxed(ring)}
    >>> choice = hf.choose_path(
    ...     "mlp", points[:8], prior="normal", energy=ring, key=key, paths=two, folds=2, steps=8,
    ...     solver_settings={"method": "Heun", "steps": 4}, progress=False,
    ... )
    >>> [row.label for row in choice.tried]  # print(choice) shows their NLLs, and why
    ['OT', 'HI']
    >>> choice.label in two and choice.steps <= 8
    True
    ```
    """

    path: AbstractPath
    steps: int
    label: str
    table: Any
    tried: tuple[Tried, ...]
    evidence: str
    reason: str

    @property
    def hessian(self) -> AbstractHessian | None:
        """The path's Hessian provider, if it has one."""
        found = getattr(self.path, "hessian", None)
        return found if isinstance(found, AbstractHessian) else None

    def show(self) -> None:
        """Print it."""
        from rich.console import Console

        Console().print(str(self), markup=False, highlight=False, soft_wrap=True)

    def __str__(self) -> str:
        return "\n".join([self.evidence, *self._lines(), f"{self.label}: {self.reason}"])

    def _lines(self) -> list[str]:
        """A line for the titles and for every candidate: those that were trained, then the others."""
        budgets = sorted({steps for row in self.tried for steps in row.nll})
        ends = any(row.virial is not None for row in self.tried if row.nll)
        titles = [*(["virial"] if ends else []), *(f"NLL, {steps:,} steps" for steps in budgets)]
        cells = [["candidate", *titles]]
        for row in self.tried:
            if row.nll:
                virial = ["" if row.virial is None else f"{row.virial:.2f}"] if ends else []
                scores = [f"{row.nll[steps]:.3f}" if steps in row.nll else "" for steps in budgets]
                cells.append([row.label, *virial, *scores])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = []
        for first, *rest in cells:
            numbers = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
            lines.append("  ".join(["", first.ljust(widths[0]), *numbers]).rstrip())
        return [*lines, *(f"  {row.label}: {row.excluded}" for row in self.tried if row.excluded)]

    def __repr__(self) -> str:
        return f"Choice({self.label!r}, steps={self.steps:,})"
