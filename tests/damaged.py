"""Files of every kind that hiflow reads, damaged as disks, transfers and editors damage them; and what
reading them does."""

import dataclasses
import gzip
import json
import os
import shutil
import struct
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import hiflow as hf
from hiflow import experiments
from hiflow.data import _cache
from hiflow.experiments._member import members_of
from hiflow.experiments._run_folder import RunFolder
from hiflow.training._claims import Claim

TOML = """
seeds = [0]
[data]
file = "points.npy"
[[arm]]
label = "OT-FM"
path = {name = "optimal-transport"}  # the isotropic path, α = 1 − t
"""
RUN = {"name": "tiny", "arms": ["OT-FM"], "seeds": [0]}
DATA = {"size": 9, "test": 2, "test_points": "ab12", "test_origins": ["a", "b"]}
SCORES = {"nll": 1.0, "nll_se": 0.1, "probe_se": 0.0, "nfe": 6.0, "log_prob": [-1.0, -2.0]}


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file: where an honest one is, and what reads it."""

    name: str
    file: Path
    read: Callable[[], Any]
    same: Callable[[Any], bool] = lambda _: True
    """Whether what was read is what was written, where a checksum promises it."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one damaged file did."""

    kind: str
    damage: str
    outcome: str
    """`refused`, `made anew`, `read`, or what is wrong."""
    message: str
    seconds: float


def kinds(folder: Path) -> list[Kind]:
    """Honest files of every kind, in a folder."""
    key = jax.random.key(0)
    flow = hf.Flow(hf.priors.Normal(2), hf.networks.MLP(2, 8, 2, key=key))
    energy = hf.energies.FittedGaussian.fit(jax.random.normal(key, (20, 2)), rank=1)
    root = folder / "run"
    place = root / "seed-0" / "ot-fm"
    place.mkdir(parents=True)
    flow.save(place / "flow.hiflow")
    hf.energies.save(energy, folder / "energy.hiflow")
    rows = [{"step": step, "seconds": 1.0, "loss": 1.0, **SCORES} for step in (3, 6)]
    texts = {
        root / "config.toml": TOML,
        root / "run.json": json.dumps(RUN, indent=2),
        root / "seed-0" / "data.json": json.dumps(DATA),
        place / "history.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        folder / "mark" / "run.json": json.dumps({"data": "12ab", "network": "34cd"}),
    }
    for file, text in texts.items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    points = np.asarray(jax.random.normal(key, (20, 2)))
    np.save(folder / "points.npy", points)
    hf.data.Samples(points, np.arange(20) // 5).save(folder / "points.npz")
    pixels = np.arange(5 * 4 * 4, dtype=np.uint8)
    idx = b"\x00\x00\x08\x03" + struct.pack(">3I", 5, 4, 4) + pixels.tobytes()
    (folder / "images").write_bytes(idx)
    (folder / "images.gz").write_bytes(gzip.compress(idx))
    os.environ["HIFLOW_CACHE"] = str(folder / "cache")
    _write_cache(folder)
    path = hf.paths.Langevin(energy=energy, hessian="analytic")
    drawn = jnp.asarray(points)
    store = hf.paths.store_anchors(path, drawn, folder / "anchors")
    leaf = sorted(store.folder.glob("*.npy"))[0]

    def anchors() -> None:
        hf.paths.store_anchors(path, drawn, folder / "anchors")

    def members() -> list[Any]:
        return members_of(RunFolder(root))

    return [
        Kind("flow", place / "flow.hiflow", lambda: hf.load(place / "flow.hiflow"), _is(flow)),
        Kind(
            "energy",
            folder / "energy.hiflow",
            lambda: hf.energies.load(folder / "energy.hiflow"),
            _is(energy),
        ),
        Kind("configuration", root / "config.toml", lambda: experiments.read(root / "config.toml")),
        Kind("run", root / "run.json", lambda: (RunFolder(root).flows(), members())),
        Kind("data of a run", root / "seed-0" / "data.json", members),
        Kind("history", place / "history.jsonl", members),
        Kind("mark of checkpoints", folder / "mark" / "run.json", lambda: _mark(folder / "mark")),
        Kind("points.npy", folder / "points.npy", lambda: hf.data.load(folder / "points.npy")),
        Kind("points.npz", folder / "points.npz", lambda: hf.data.load(folder / "points.npz")),
        Kind("images", folder / "images", lambda: hf.data.load_idx(folder / "images")),
        Kind("images.gz", folder / "images.gz", lambda: hf.data.load_idx(folder / "images.gz")),
        Kind("cache", folder / "cache" / "samples" / "x.npz", lambda: _cache.read("x")),
        Kind("manifest of anchors", store.folder / "manifest.json", anchors),
        Kind("anchors", leaf, anchors),
    ]


def _is(tree: Any) -> Callable[[Any], bool]:
    return lambda found: bool(eqx.tree_equal(found, tree))


def _mark(root: Path) -> None:
    claim = Claim(root, {"data": "12ab", "network": "34cd"}, 9, resume=True)
    if not (root / "run.json").exists():
        claim.write()
        (root / "steps" / "9").mkdir(parents=True)


def _write_cache(folder: Path) -> None:
    key = jax.random.key(0)
    hf.data.sample(
        hf.energies.DoubleWell(), key=key, size=8, chains=4, burn_in=10, thin=1, progress=False
    )
    made = next((folder / "cache" / "samples").glob("*.npz"))
    made.rename(made.with_name("x.npz"))


def damages(
    content: bytes, generator: np.random.Generator, number: int
) -> Iterator[tuple[str, bytes]]:
    """So many damaged versions of a file's content."""
    ways = (_cut, _flipped, _zeroed, _swapped, _overwritten, _longer)
    yield "empty", b""
    yield "one byte", content[:1]
    yield "twice", content * 2
    yield "zeros", bytes(len(content))
    yield "noise", generator.bytes(len(content))
    for i in range(number - 5):
        way = ways[i % len(ways)]
        yield way.__name__[1:], way(content, generator)


def _cut(content: bytes, generator: np.random.Generator) -> bytes:
    return content[: generator.integers(len(content))]


def _flipped(content: bytes, generator: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for at in generator.integers(len(content), size=generator.integers(1, 5)):
        changed[at] ^= 1 << generator.integers(8)
    return bytes(changed)


def _zeroed(content: bytes, generator: np.random.Generator) -> bytes:
    start, stop = sorted(generator.integers(len(content) + 1, size=2))
    return content[:start] + bytes(stop - start) + content[stop:]


def _swapped(content: bytes, generator: np.random.Generator) -> bytes:
    a, b, c = sorted(generator.integers(len(content) + 1, size=3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _overwritten(content: bytes, generator: np.random.Generator) -> bytes:
    start = int(generator.integers(len(content)))
    noise = generator.bytes(int(generator.integers(1, 20)))
    return content[:start] + noise + content[start + len(noise) :]


def _longer(content: bytes, generator: np.random.Generator) -> bytes:
    return content + generator.bytes(int(generator.integers(1, 50)))


def examine_all(kind: Kind, generator: np.random.Generator, number: int) -> Iterator[Finding]:
    """What reading does with damaged versions of a file, which is whole again afterwards."""
    content = kind.file.read_bytes()
    for damage, changed in damages(content, generator, number):
        kind.file.write_bytes(changed)
        yield _examine(kind, damage)
    for damage, put in _OTHER_THINGS.items():
        kind.file.unlink()
        put(kind.file)
        yield _examine(kind, damage)
        shutil.rmtree(kind.file) if kind.file.is_dir() else kind.file.unlink(missing_ok=True)
        kind.file.write_bytes(content)


def _locked(file: Path) -> None:
    file.touch(0o000)


_OTHER_THINGS: dict[str, Callable[[Path], object]] = {
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a link to nowhere": lambda file: file.symlink_to("nowhere"),
    "a link to itself": lambda file: file.symlink_to(file.name),
    "not to be read": _locked,
}


def _examine(kind: Kind, damage: str) -> Finding:
    begun = time.perf_counter()
    message = ""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            outcome = "read" if kind.same(kind.read()) else "another content"
        except (ValueError, OSError) as error:
            message = str(error)
            named = any(
                str(part) in message for part in (kind.file, kind.file.parent, kind.file.name)
            )
            outcome = "refused" if named else f"not named: {message[:80]}"
        except BaseException as error:
            outcome, message = type(error).__name__, str(error)
    if warned and outcome == "read":
        outcome, message = "made anew", str(warned[0].message)
    return Finding(kind.name, damage, outcome, message, time.perf_counter() - begun)
