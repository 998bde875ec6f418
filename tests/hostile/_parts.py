"""Honest files, taken apart and put together otherwise."""

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import hiflow as hf
from hiflow._disk._modules import _digest

MARK = "it-ran"

EVIL = f"""import pathlib
pathlib.Path({MARK!r}).touch()
import equinox as eqx
def run(*args, **kwargs):
    pathlib.Path({MARK!r}).touch()
class Thing(eqx.Module):
    def __call__(self, *args):
        run()
"""


class Parts:
    """An honest file taken apart, to be put together otherwise."""

    def __init__(self, path: Path):
        with np.load(path) as stored:
            self.arrays = {name: stored[name] for name in stored.files if name != "manifest"}
            self.manifest: dict[str, Any] = json.loads(stored["manifest"].tobytes())

    @property
    def root(self) -> Any:
        return self.manifest["root"]["fields"]

    @property
    def layer(self) -> Any:
        return self.root["network"]["fields"]["layers"]["tuple"][0]["fields"]

    def put(self, where: Any, name: str, array: np.ndarray) -> None:
        self.arrays[where[name]["array"]] = array

    def members(self) -> dict[str, bytes]:
        """With the checksum that the changed content has: somebody who makes a file can make that."""
        if "sha256" in self.manifest:
            self.manifest["sha256"] = _digest(self.manifest["root"], self.arrays)
        text = np.frombuffer(json.dumps(self.manifest).encode(), np.uint8)
        return {f"{k}.npy": npy(v) for k, v in {"manifest": text, **self.arrays}.items()}


Change = Callable[[Parts], None]


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def archive(members: list[tuple[str, bytes]], kind: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", kind) as zipped:
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, content in members:
            zipped.writestr(zipfile.ZipInfo(name), content, kind)
    return file.getvalue()


def honest_files(folder: Path) -> tuple[Path, Path]:
    """A flow of points of the plane, and one of particles."""
    key = jax.random.key(0)
    plane = hf.Flow(hf.priors.Normal(2), hf.networks.MLP(2, 8, 2, key=key), steps=None, rtol=1e-3)
    particles = hf.Flow(hf.priors.CentredNormal(4, 2), hf.networks.EGNN(4, 2, 8, 2, key=key))
    plane.save(folder / "plane.hiflow")
    particles.save(folder / "particles.hiflow")
    (folder / "evil_module.py").write_text(EVIL, encoding="utf-8")
    (folder / "evil_package").mkdir(exist_ok=True)
    (folder / "evil_package" / "__init__.py").write_text(EVIL, encoding="utf-8")
    (folder / "evil_package" / "inner.py").write_text(EVIL, encoding="utf-8")
    # And it calls itself a plug-in, where Python looks for what is installed.
    declared = folder / "evil-1.0.dist-info"
    declared.mkdir(exist_ok=True)
    (declared / "METADATA").write_text("Name: evil\nVersion: 1.0\n", encoding="utf-8")
    group = "[hiflow.networks]\nevil = evil_module:Thing\ninner = evil_package.inner:Thing\n"
    (declared / "entry_points.txt").write_text(group, encoding="utf-8")
    return folder / "plane.hiflow", folder / "particles.hiflow"
