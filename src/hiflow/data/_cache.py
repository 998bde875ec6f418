"""Reference samples on disk: made once per energy, key and settings."""

import dataclasses
import hashlib
import inspect
import json
import os
import shutil
import tempfile
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import platformdirs

from hiflow.data._report import report_from_json, report_to_json
from hiflow.data._samples import Samples


def cache_folder() -> Path:
    """Where reference samples are kept: the environment variable `HIFLOW_CACHE`, or the user's
    cache folder."""
    return Path(os.environ.get("HIFLOW_CACHE") or platformdirs.user_cache_dir("hiflow"))


def clear_cache() -> None:
    """Delete all cached samples."""
    shutil.rmtree(cache_folder() / "samples", ignore_errors=True)


def fingerprint(**parts: Any) -> str | None:
    """A hash of everything that the samples depend on: component classes with their source, their
    leaves and static fields, keys, settings and versions. `None` if a part can't be identified by
    its value, such as a function or a class that was typed into a session."""
    digest = hashlib.sha256()
    try:
        packages = {name: _version(name) for name in ("hiflow-jax", "jax", "blackjax")}
        for text in _describe({**parts, "versions": packages, "format": 1}):
            digest.update(text)
    except _UnidentifiableError:
        return None
    return digest.hexdigest()[:32]


def read(name: str) -> Samples | None:
    """The cached samples, or `None`. A file that can't be read is reported and ignored."""
    path = _path(name)
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            chains = stored["chains"] if "chains" in stored.files else None
            report = report_from_json(json.loads(str(stored["report"])))
            points = stored["points"]
            if len(points) != report.samples or not np.isfinite(points).all():
                raise ValueError("its points don't fit its report")
            return Samples(points, chains, report)
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
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        warnings.warn(f"the samples couldn't be cached: {error}", stacklevel=3)


class _UnidentifiableError(Exception):
    pass


def _path(name: str) -> Path:
    return cache_folder() / "samples" / f"{name}.npz"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _describe(value: Any):
    """Bytes that tell apart any two values that may give different samples."""
    yield type(value).__qualname__.encode() + b"("
    if value is None or isinstance(value, bool | int | float | str):
        yield repr(value).encode()
    elif isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        yield str(jax.random.key_impl(value)).encode()
        yield from _describe(np.asarray(jax.random.key_data(value)))
    elif isinstance(value, jax.Array | np.ndarray):
        array = np.asarray(value)
        yield f"{array.dtype}{array.shape}".encode() + array.tobytes()
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _describe(item)
    elif isinstance(value, dict):
        for key, item in sorted(value.items()):
            yield from _describe(str(key))
            yield from _describe(item)
    elif isinstance(value, eqx.Module):
        yield _source(type(value))
        for field in dataclasses.fields(value):
            yield field.name.encode()
            yield from _describe(getattr(value, field.name))
    else:
        raise _UnidentifiableError
    yield b")"


def _source(cls: type) -> bytes:
    """The file that defines the class: an energy that was edited isn't the energy of the cache."""
    file = None if cls.__module__ == "__main__" else inspect.getsourcefile(cls)
    if file is None or not os.path.exists(file):
        raise _UnidentifiableError
    return f"{cls.__module__}.{cls.__qualname__}".encode() + Path(file).read_bytes()
