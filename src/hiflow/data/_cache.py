"""Reference samples on disk: made once per energy, key and settings."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from hiflow._disk import cache_folder, read_arrays, write_arrays
from hiflow.data._report import report_from_json, report_to_json
from hiflow.data._samples import Samples


def clear_cache() -> None:
    """Delete all cached samples.

    **Example:**

    ```pycon
    >>> first = hf.data.sample(ring, key=key, size=200, progress=False)  # kept on disk
    >>> hf.data.clear_cache()
    >>> anew = hf.data.sample(ring, key=key, size=200, progress=False)
    ```
    """
    shutil.rmtree(cache_folder() / "samples", ignore_errors=True)


def read(name: str) -> Samples | None:
    """The cached samples, or `None`. A file that can't be read is reported and ignored."""
    path = _path(name)
    if not path.exists():
        return None
    try:
        stored = read_arrays(path)
        report = report_from_json(json.loads(str(stored["report"])))
        points = stored["points"]
        if len(points) != report.samples or not np.isfinite(points).all():
            raise ValueError("its points don't fit its report")
        return Samples(points, stored.get("chains"), report)
    except Exception as error:  # whatever is wrong with the file, the samples can be made anew
        warnings.warn(
            f"the cached samples {path.name} can't be read ({type(error).__name__}: {error}); they "
            "are made anew.",
            stacklevel=3,
        )
        return None


def write(name: str, samples: Samples) -> None:
    """Store samples so that a reader sees the whole file or none. A full or read-only disk is
    reported and otherwise ignored."""
    path = _path(name)
    assert samples.report is not None
    report = np.array(json.dumps(report_to_json(samples.report)))
    arrays: dict[str, Any] = {"points": np.asarray(samples.points), "report": report}
    if samples.chains is not None:
        arrays["chains"] = samples.chains
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, arrays)
    except OSError as error:
        warnings.warn(f"the samples couldn't be cached: {error}", stacklevel=3)


def _path(name: str) -> Path:
    return cache_folder() / "samples" / f"{name}.npz"
