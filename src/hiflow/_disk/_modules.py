"""Modules in one file: a manifest of classes and fields, and their arrays. No code, no pickle."""

import dataclasses
import importlib
import itertools
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from hiflow._disk._arrays import write_arrays

FORMAT = 2
_SETTINGS_OF_FORMAT_1 = ("rtol", "atol", "steps", "divergence", "chunk_size")


def save(tree: object, path: str | os.PathLike[str]) -> None:
    """Write `tree` (modules, containers, numbers, strings, arrays, importable functions) atomically."""
    arrays: dict[str, np.ndarray] = {}
    manifest = {"hiflow-format": FORMAT, "root": _encode(tree, arrays, "root")}
    text = np.frombuffer(json.dumps(manifest).encode(), np.uint8)
    write_arrays(path, {"manifest": text, **arrays})


def load(path: str | os.PathLike[str]) -> Any:
    """Read what `save` wrote.

    **Raises:** `FileNotFoundError`, `ValueError` for a truncated or foreign file, `ImportError` for a
    component whose package isn't installed.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file.")
    try:
        # Opened here, because np.load leaves a file that it can't read open.
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        manifest = json.loads(arrays.pop("manifest").tobytes())
        version = manifest["hiflow-format"]
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError) as error:
        raise ValueError(
            f"{path}: truncated, corrupt, or not written by hiflow ({error}). Restore it from a copy, "
            "or from the run's checkpoint with `hiflow train --resume`."
        ) from error
    if version not in (1, FORMAT):
        raise ValueError(
            f"{path}: has format {version}, and this version of hiflow reads formats 1 to {FORMAT}."
        )
    root = _of_format_1(manifest["root"]) if version == 1 else manifest["root"]
    return _decode(root, arrays, str(path))


def _encode(value: object, arrays: dict[str, np.ndarray], where: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, jax.Array | np.ndarray):
        name = f"array{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array": name, "numpy": isinstance(value, np.ndarray)}
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        items = [_encode(item, arrays, f"{where}[{i}]") for i, item in enumerate(value)]
        return {type(value).__name__: items}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {k: _encode(item, arrays, f"{where}[{k!r}]") for k, item in value.items()}}
    if isinstance(value, eqx.Module) and type(value).__qualname__.isidentifier():
        fields = {
            field.name: _encode(getattr(value, field.name), arrays, f"{where}.{field.name}")
            for field in dataclasses.fields(value)
            if hasattr(value, field.name)
        }
        return {"module": _importable(type(value), where), "fields": fields}
    return {"object": _importable(value, where)}


def _importable(value: object, where: str) -> str:
    name = getattr(value, "__qualname__", "")
    home = getattr(value, "__module__", None) or ""
    # The public place first: files outlive the private ones.
    public = ".".join(itertools.takewhile(lambda part: part[0] != "_", home.split(".")[:-1]))
    for module in ("jax.nn", "jax.numpy", public, home):
        if module and getattr(importlib.import_module(module), name or " ", None) is value:
            if module == "__main__":
                break
            return f"{module}:{name}"
    raise TypeError(
        f"{where} = {value!r} can't be stored: only classes and functions that can be imported by name "
        "can. Move it from a script, notebook or lambda into a module."
    )


def _decode(code: Any, arrays: dict[str, np.ndarray], path: str) -> Any:
    if not isinstance(code, dict):
        return code
    if "array" in code:
        array = arrays[code["array"]]
        return array if code["numpy"] else jnp.asarray(array)
    if "list" in code:
        return [_decode(item, arrays, path) for item in code["list"]]
    if "tuple" in code:
        return tuple(_decode(item, arrays, path) for item in code["tuple"])
    if "dict" in code:
        return {key: _decode(item, arrays, path) for key, item in code["dict"].items()}
    target = _import(code.get("module") or code["object"], path)
    if "object" in code:
        return target
    if not (isinstance(target, type) and issubclass(target, eqx.Module)):
        raise ValueError(f"{path}: {code['module']} is not an Equinox module.")
    # Not through __init__: the fields are already what converters and checks made of the arguments.
    module = object.__new__(target)
    for name, item in code["fields"].items():
        object.__setattr__(module, name, _decode(item, arrays, path))
    return module


def _of_format_1(code: Any) -> Any:
    """What format 1 wrote, in today's words: classes have moved, and a flow's settings were its own."""
    if isinstance(code, list):
        return [_of_format_1(item) for item in code]
    if not isinstance(code, dict):
        return code
    code = {key: _of_format_1(item) for key, item in code.items()}
    module = code.get("module")
    if isinstance(module, str):
        code["module"] = module.replace("hiflow.divergence:", "hiflow.divergences:")
    if module == "hiflow.flow:Flow":
        fields = code["fields"]
        settings = {name: fields.pop(name) for name in _SETTINGS_OF_FORMAT_1}
        settings["method"] = fields["solver"]
        fields["solver"] = {"module": "hiflow.solver:Solver", "fields": settings}
    if module == "hiflow.networks._mlp:MLP":
        code["fields"]["projects_on"] = code["fields"].pop("group")
    return code


def _import(target: str, path: str) -> Any:
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"{path}: needs {target}, which can't be imported ({error}). Install the package that "
            "provides it, in a version that still has it."
        ) from error
