"""The record of one arm's training: its history on disk, and a line per validation on the console."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from rich.console import Console

from hiflow import data
from hiflow._disk import write_text
from hiflow.experiments._run_folder import Row, readable_rows
from hiflow.metrics import standard_error


@dataclasses.dataclass(frozen=True)
class Record:
    """The history of one arm and seed, on disk and on the console.

    **Arguments:**

    - `place`: the arm's folder.
    - `test`: the test points.
    - `pixels`: how they came of pixels, if they are images: then bits per dimension are recorded too.
    """

    place: Path
    test: data.Samples
    pixels: data.PixelTransform | None
    console: Console

    @property
    def rows(self) -> list[Row]:
        """What was recorded so far and can be read."""
        return readable_rows(self.place / "history.jsonl")[0]

    def ends(self, step: int) -> bool:
        """Whether the last row is that of this step, with the scores of all test points."""
        rows = self.rows
        scores = rows[-1].get("log_prob") if rows and rows[-1]["step"] == step else None
        return isinstance(scores, list) and len(scores) == len(self.test)

    def __call__(self, row: Row) -> None:
        """Add a row."""
        if self.pixels is not None:
            row = row | bits_per_dim(self.pixels, row["log_prob"], self.test.points)
        if self.test.chains is not None:
            row = row | {"chains": np.unique(self.test.chains, return_inverse=True)[1].tolist()}
        # A resumed run repeats the rows after its checkpoint: the later one counts.
        rows = [*(old for old in self.rows if old["step"] < row["step"]), row]
        text = "".join(json.dumps(entry) + "\n" for entry in rows)
        write_text(self.place / "history.jsonl", text)
        probes = f" (probes {row['probe_se']:.3f})" if row["probe_se"] > 0 else ""
        bits = f"  {row['bits']:.3f} ± {row['bits_se']:.3f} bits/dim" if "bits" in row else ""
        self.console.print(
            f"  step {row['step']:>6,}  loss {row['loss']:.4f}  NLL {row['nll']:.3f} ± "
            f"{row['nll_se']:.3f}{probes} nats{bits}  NFE {row['nfe']:.1f}  ({row['seconds']:.0f} s of "
            "training)"
        )


def bits_per_dim(
    pixels: data.PixelTransform, log_prob: Sequence[float], points: Array
) -> dict[str, float]:
    """The same likelihoods as bits per dimension of the pixels, mean and standard error."""
    bits = jax.vmap(pixels.bits_per_dim)(jnp.asarray(log_prob), points)
    return {"bits": float(bits.mean()), "bits_se": standard_error(bits)}
