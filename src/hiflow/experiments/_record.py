"""The record of one arm's training: its history on disk, and a line per validation on the console."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from hiflow import data
from hiflow._statistics import mean_of
from hiflow.experiments._run_folder import Row, readable_rows
from hiflow.training import History, Moment

_HISTORY = "history.jsonl"
_NOT_OF_VALIDATION = ("log_prob", "nfe", "nfe_max", "probe_se")
_OF_VALIDATION = {"nll": "validation_nll", "nll_se": "validation_se"}


@dataclasses.dataclass(frozen=True)
class Record:
    """The history of one arm and seed, on disk and on the console.

    **Arguments:**

    - `place`: the arm's folder.
    - `test`: the test points.
    - `pixels`: how they came of pixels, if they are images: then bits per dimension are recorded too.

    **Example:**

    ```pycon
    >>> from pathlib import Path
    >>> from rich.console import Console
    >>> from hiflow import experiments
    >>> Path("arm").mkdir(exist_ok=True)
    >>> test = hf.data.Samples(points[150:])
    >>> record = experiments.Record(Path("arm"), test, None, Console(quiet=True))
    >>> flow = hf.fit("mlp", "optimal-transport", points[:150], prior="normal", key=key, steps=4,
    ...               validation=test, callbacks=[record], progress=False)
    >>> len(record.rows)
    1
    ```
    """

    place: Path
    test: data.Samples
    pixels: data.PixelTransform | None
    console: Console

    @property
    def rows(self) -> list[Row]:
        """What was recorded so far and can be read."""
        return readable_rows(self.place / _HISTORY)[0]

    def ends(self, step: int) -> bool:
        """Whether the last row is that of this step, or of one where the run was ended earlier, with the
        scores of all test points."""
        last = self.rows[-1:]
        if not last or (last[0]["step"] != step and last[0].get("ended") in (None, "steps")):
            return False
        if "distance" in last[0]:
            return True
        scores = last[0].get("log_prob")
        return isinstance(scores, list) and len(scores) == len(self.test)

    def see(self, moment: Moment) -> None:
        """Add the row of a validation, and the losses before it."""
        if not moment.validated:
            return
        losses = [row for row in moment.history.rows if not {"nll", "distance"} & set(row)]
        if "best_step" not in moment.row:
            self.score(moment.row, losses)
            return
        row = of_validation(moment.row)
        self._keep(row, losses)
        self.console.print(
            f"  step {row['step']:>6,}  loss {row['loss']:.4f}  validation NLL "
            f"{row['validation_nll']:.3f} ± {row['validation_se']:.3f} nats, best "
            f"{row['best_nll']:.3f} of step {row['best_step']:,}  ({row['seconds']:.0f} s of training)"
        )

    def score(self, row: Row, losses: Sequence[Row] = ()) -> None:
        """Add a row with the NLL of the test points, or the distance of samples from them."""
        if "distance" in row:
            self._keep(row, losses)
            self.console.print(
                f"  step {row['step']:>6,}  loss {row['loss']:.4f}  W₂ of samples {row['distance']:.3f} "
                f"({row['distance_floor']:.3f} within the test points)  NFE {row['nfe']:.1f}  "
                f"({row['seconds']:.0f} s of training)"
            )
            return
        if self.pixels is not None:
            row = row | bits_per_dim(self.pixels, row["log_prob"], self.test)
        if self.test.chains is not None:
            row = row | {"chains": np.unique(self.test.chains, return_inverse=True)[1].tolist()}
        self._keep(row, losses)
        probes = f" (probes {row['probe_se']:.3f})" if row["probe_se"] > 0 else ""
        bits = f"  {row['bits']:.3f} ± {row['bits_se']:.3f} bits/dim" if "bits" in row else ""
        taken = f", weights of step {row['taken']:,}" if "taken" in row else ""
        self.console.print(
            f"  step {row['step']:>6,}  loss {row['loss']:.4f}  NLL {row['nll']:.3f} ± "
            f"{row['nll_se']:.3f}{probes} nats{bits}  NFE {row['nfe']:.1f}  ({row['seconds']:.0f} s of "
            f"training{taken})"
        )

    def _keep(self, row: Row, losses: Sequence[Row]) -> None:
        # A resumed run repeats the rows after its checkpoint: the later one counts.
        known = {each["step"]: each for each in (*losses, *self.rows) if each["step"] < row["step"]}
        History([*(known[step] for step in sorted(known)), row]).write(self.place / _HISTORY)


def of_validation(row: Row) -> Row:
    """A row of `fit` whose points chose the weights: named as what it is, and without its points."""
    left = {name: value for name, value in row.items() if name not in _NOT_OF_VALIDATION}
    return {_OF_VALIDATION.get(name, name): value for name, value in left.items()}


def bits_per_dim(
    pixels: data.PixelTransform, log_prob: Sequence[float], test: data.Samples
) -> dict[str, float]:
    """The same likelihoods as bits per dimension of the pixels, with the error of their mean."""
    bits = jax.vmap(pixels.bits_per_dim)(jnp.asarray(log_prob), test.points)
    mean = mean_of(bits, test.chains)
    return {"bits": mean.value, "bits_se": mean.error}
