"""Flow files that somebody made to run code, fill the memory, or pass for another density; and what
loading them does."""

import copy
import dataclasses
import io
import json
import os
import struct
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

import hiflow as hf
from hiflow._disk._modules import _digest

MARK = "it-ran"
# What a file may not name: as a function, as a class, as anything that holds one.
NAMES = (
    *("timeit:timeit", "os:system", "os:abort", "builtins:eval", "builtins:exec", "subprocess:run"),
    *("pickle:loads", "importlib:import_module", "code:interact", "runpy:run_path", "os.path:join"),
    *("numpy:load", "jax.numpy:load", "jax.numpy:save", "jax.numpy:vectorize", "jax:pure_callback"),
    *("jax.experimental:io_callback", "equinox:Partial", "equinox._module:Partial", "jax.nn:jnp"),
    *("equinox.nn:jax", "equinox.internal:Static", "functools:partial", "diffrax:jax"),
    *("diffrax:diffeqsolve", "optax:adam", "hiflow:load", "hiflow:fit", "hiflow:testing"),
    *(
        "hiflow:plotting",
        "hiflow:__getattr__",
        "hiflow.flow:os",
        "hiflow.flow:_disk",
        "hiflow.cli:app",
    ),
    *("hiflow.experiments:train", "hiflow.energies:load", "hiflow._disk:load", "hiflow.flow:load"),
    *("hiflow.networks:AbstractVelocityField", "hiflow.networks:registry", "hiflow.nowhere:Thing"),
    *("hiflow.flow:Flow.__init__", "hiflow.flow:Flow.save", "evil_module:run", "evil_module:Thing"),
    *("evil_package.inner:Thing", ".evil_module:Thing", "..:x", ":", "", "a:b:c", "__main__:Thing"),
    *("sys:modules", "evil\u0456:x", "os\x00:system", "hiflow.networks:__class__", "hiflow:Flow\n"),
)
EVIL = f"""import pathlib
pathlib.Path({MARK!r}).touch()
import equinox as eqx
def run(*args, **kwargs):
    pathlib.Path({MARK!r}).touch()
class Thing(eqx.Module):
    def __call__(self, *args):
        run()
"""


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one file did."""

    name: str
    outcome: str
    """`refused`, `same density`, or what is wrong."""
    message: str
    seconds: float
    grown: int
    """By how many bytes the process's memory had grown at its peak."""


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


def hostile(honest: Path, particles: Path) -> Iterator[tuple[str, bytes]]:
    """The files, as names and contents."""
    for name, change in {**_named(), **_settings(), **_arrays(), **_fields()}.items():
        for older in (False, True):
            parts = Parts(honest)
            change(parts)
            if older:  # A file of format 2, which has no checksum.
                del parts.manifest["sha256"]
                parts.manifest["hiflow-format"] = 2
            yield name + " (format 2)" * older, archive(list(parts.members().items()))
    for name, change in _of_particles().items():
        parts = Parts(particles)
        change(parts)
        yield name, archive(list(parts.members().items()))
    yield from _texts(Parts(honest))
    yield from _archives(Parts(honest))


Change = Callable[[Parts], None]


def _set(*keys: str, to: Any) -> Change:
    """A change of what is under the keys, from the flow's fields on."""

    def change(parts: Parts) -> None:
        place = parts.root
        for key in keys[:-1]:
            place = place[key]["fields"]
        place[keys[-1]] = copy.deepcopy(to)

    return change


def _named() -> dict[str, Change]:
    found: dict[str, Change] = {}
    for name in NAMES:
        found[f"activation {name!r}"] = _set("network", "activation", to={"object": name})
    for name in NAMES:
        if name.partition(":")[0] in ("os", "evil_module", "equinox", "hiflow.networks", "timeit"):
            node = {"module": name, "fields": {}}
            found[f"network {name!r}"] = _set("network", to=node)
            found[f"group {name!r}"] = _set("prior", "group", to=node)
            found[f"method {name!r}"] = _set("solver", "method", to=node)
    timeit = {"tuple": ["open('it-ran', 'w')"]}
    partial = {"func": {"object": "timeit:timeit"}, "args": timeit, "keywords": {"dict": {}}}
    for module in ("equinox:Partial", "equinox._module._prebuilt:Partial", "jax.tree_util:Partial"):
        node = {"module": module, "fields": partial}
        found[f"a call of timeit in {module}"] = _set("network", "activation", to=node)
    function = {"function": "evil_module:run", "shape": {"tuple": [2]}}
    energy = {
        "module": "hiflow.energies:FunctionEnergy",
        "fields": {**function, "group": "trivial"},
    }
    found["an energy of a function by its name"] = _set("prior", to=energy)
    found["a group by its name"] = _set("prior", "group", to="trivial")
    found["a method by its name"] = _set("solver", "method", to="Tsit5")
    found["a layer with a function"] = _set(
        "network", "layers", to={"tuple": [{"module": "equinox.nn:Lambda", "fields": {"fn": "x"}}]}
    )
    return found


def _settings() -> dict[str, Change]:
    found: dict[str, Change] = {}
    for value in (0, -1, None, True, "Tsit5", {"list": []}, {"float": "nan"}, 0.5, {"tuple": [1]}):
        for setting in ("rtol", "chunk_size", "divergence", "method"):
            found[f"{setting} = {value}"] = _set("solver", setting, to=value)
    for value in (0, -3, True, 1.5, "many", 10**300):
        found[f"steps = {value}"] = _set("solver", "steps", to=value)
    shapes = ([], [3], [2, 1], [10**12], [2**40, 2**40], [0], [-2], [True, True], [2.0], ["2"], 2)
    for shape in shapes:
        to = {"tuple": shape} if isinstance(shape, list) else shape
        found[f"event shape {shape}"] = _set("network", "event_shape", to=to)
        found[f"prior's shape {shape}"] = _set("prior", "shape", to=to)

        def both(parts: Parts, to: Any = to) -> None:
            _set("network", "event_shape", to=to)(parts)
            _set("prior", "shape", to=to)(parts)

        found[f"both shapes {shape}"] = both
    for name, value in [("in_features", 1), ("out_features", 10**9), ("use_bias", False)]:
        found[f"a layer with {name} = {value}"] = lambda parts, n=name, v=value: parts.layer.update(
            {n: v}
        )
    return found


def _arrays() -> dict[str, Change]:
    found: dict[str, Change] = {}

    def scale(value: object) -> Change:
        return lambda parts: parts.put(parts.root["prior"]["fields"], "scale", np.asarray(value))

    for value in (0.0, -1.0, np.nan, np.inf):
        found[f"prior scale {value}"] = scale(np.float32(value))
    for value in (np.ones(2, np.float32), np.int32(1), np.bool_(True), np.ones((1, 1), np.float32)):
        found[f"prior scale {value.dtype}{value.shape}"] = scale(value)
    for value in (0.0, -1.0, np.nan, np.inf):
        found[f"tolerance {value}"] = lambda parts, v=value: parts.put(
            parts.root["solver"]["fields"], "rtol", np.float32(v)
        )
    kinds: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        **{kind: lambda w, k=kind: w.astype(k) for kind in ("int8", "int32", "bool", "complex64")},
        "other bytes": lambda w: w.astype(">f4"),
        "text": lambda w: w.astype("U8"),
        "one number": lambda w: w.ravel()[0],
        "one row": lambda w: w[:1],
        "one entry": lambda w: w.ravel()[:1],
        "another axis": lambda w: w[None],
        "transposed": lambda w: w.T[..., None] if w.ndim == 1 else w.T,
        "nothing": lambda w: w[:0],
        "not a number": lambda w: np.full_like(w, np.nan),
        "twice as long": lambda w: np.concatenate([w, w]),
    }
    for kind, change in kinds.items():
        for name in ("weight", "bias"):
            found[f"{name}: {kind}"] = lambda parts, n=name, c=change: parts.put(
                parts.layer, n, c(parts.arrays[parts.layer[n]["array"]])
            )
    found["an array that is used twice"] = lambda parts: parts.layer.update(
        bias=parts.root["network"]["fields"]["layers"]["tuple"][1]["fields"]["bias"]
    )
    found["an array that nobody uses"] = lambda parts: parts.arrays.update(more=np.zeros(3))
    for name in ("/etc/passwd", "../../x", "missing"):
        found[f"an array {name}"] = lambda parts, n=name: parts.layer["bias"].update(array=n)
    for name in ("object", "int4", "float8_e5m2", "bfloat16", "complex64", 3):
        found[f"a weight of {name}"] = lambda parts, n=name: parts.layer["weight"].update(dtype=n)
    found["an array of NumPy's for one of JAX's"] = lambda parts: parts.layer["weight"].update(
        numpy=True
    )
    return found


def _fields() -> dict[str, Change]:
    found: dict[str, Change] = {}
    for where, names in {
        "prior": ("shape", "scale", "group"),
        "network": ("layers", "activation", "projects_on"),
        "solver": ("rtol", "steps", "divergence"),
    }.items():
        for name in names:
            found[f"{where} without {name}"] = lambda parts, w=where, n=name: parts.root[w][
                "fields"
            ].pop(n)
        for name in ("__call__", "log_prob", "event_shape", "__class__", "velocity_and_divergence"):
            if (where, name) != ("network", "event_shape"):
                found[f"{where} with {name}"] = _set(where, name, to=3)
    for where, other in [("prior", "network"), ("network", "prior"), ("solver", "prior")]:
        found[f"{where} is a {other}"] = lambda parts, w=where, o=other: parts.root.update(
            {w: copy.deepcopy(parts.root[o])}
        )
    for where in ("prior", "network", "solver"):
        found[f"{where} is a list"] = _set(where, to={"list": []})
    found["no flow"] = lambda parts: parts.manifest.update(root=parts.root["prior"])
    found["other settings of another size"] = lambda parts: parts.layer.update(out_features=7)
    found["fewer layers"] = lambda parts: parts.root["network"]["fields"]["layers"]["tuple"].pop(1)
    found["no layers"] = _set("network", "layers", to={"tuple": []})
    for keys in ({"list": [], "tuple": []}, {"module": "x"}, {"array": "array0"}, {}, {"x": 1}):
        found[f"a value {json.dumps(keys)}"] = _set("solver", "steps", to=keys)
    return found


def _of_particles() -> dict[str, Change]:
    def edge_clock(parts: Parts) -> Any:
        return parts.root["network"]["fields"]["layers"]["tuple"][0]["fields"]["edge_clock"][
            "fields"
        ]

    def narrowed(parts: Parts) -> None:
        layer = edge_clock(parts)
        layer["out_features"] = 1
        for name in ("weight", "bias"):
            parts.put(layer, name, parts.arrays[layer[name]["array"]][:1])

    def longer(parts: Parts) -> None:
        parts.root["network"]["fields"]["length"] = -1.0

    return {"a layer whose one channel serves all": narrowed, "a negative length": longer}


def _texts(parts: Parts) -> Iterator[tuple[str, bytes]]:
    members = parts.members()
    text = json.dumps(parts.manifest)

    def with_steps(value: str) -> bytes:
        return with_text(text.replace('"steps": null', f'"steps": {value}').encode())

    def with_text(content: bytes) -> bytes:
        manifest = npy(np.frombuffer(content, np.uint8))
        return archive(list({**members, "manifest.npy": manifest}.items()))

    for depth in (3_000, 100_000):
        yield f"nested {depth} deep", with_steps("[" * depth + "]" * depth)
        yield f"{depth} lists", with_steps('{"list": [' * depth + "]}" * depth)
    yield "millions of parts", with_steps("[" + "[]," * 3_000_000 + "[]]")
    for value in ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5_000, "1" + "0" * 300_000):
        yield f"a manifest with {value[:10]}", with_steps(value)
    yield "a name twice", with_steps('null, "steps": 3')
    others = (text.encode("utf-16"), b"\xff" + text.encode())
    for content in (b"", b"null", b"[]", b"{}", b"\x00" * 50, *others):
        yield f"a manifest {content[:10]!r}", with_text(content)
    for version in (-1, 0, 4, 1.5, True, "3", None, [3]):
        manifest = {**parts.manifest, "hiflow-format": version}
        yield f"format {version}", with_text(json.dumps(manifest).encode())
    yield "another checksum", with_text(json.dumps({**parts.manifest, "sha256": "0" * 64}).encode())
    # Who takes the checksum away calls the file an older one.
    old = {key: value for key, value in parts.manifest.items() if key != "sha256"}
    old["root"] = copy.deepcopy(old["root"])
    old["root"]["fields"]["solver"]["fields"]["chunk_size"] = 0
    yield "an older format", with_text(json.dumps({**old, "hiflow-format": 2}).encode())


def _archives(parts: Parts) -> Iterator[tuple[str, bytes]]:
    members = list(parts.members().items())
    name = f"{parts.layer['weight']['array']}.npy"

    def header(shape: str, dtype: str = "<f4", rest: bytes = b"\x00" * 64) -> bytes:
        text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
        text += b" " * (-(len(text) + 11) % 64) + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + rest

    def with_array(content: bytes) -> bytes:
        return archive(list({**dict(members), name: content}.items()))

    for shape in (
        *("(10000000000000,)", "(8, 10**12)", "(-1,)", "(-8, -8)", "(2**70,)", "()", "None"),
        *("('8', '8')", "(True, 8)", "((8,), 8)", "__import__('os').system('touch it-ran')"),
    ):
        yield f"a header {shape}", with_array(header(shape))
    for dtype in ("|O", "|V0", "<U100000000", "O4", "nothing", "<f4, <i4"):
        yield f"a header of {dtype}", with_array(header("(8, 2)", dtype))
    pickled = io.BytesIO()
    np.save(pickled, np.array([{"x": 1}], object), allow_pickle=True)
    yield "a pickle", with_array(pickled.getvalue())
    yield "too long", with_array(dict(members)[name] + b"\x00" * 100_000)
    bomb = npy(np.zeros(3 * 2**28, np.float32))
    packed = archive([*members, ("more.npy", bomb)], zipfile.ZIP_DEFLATED)
    yield "three gigabytes from three megabytes", packed
    yield "compressed", archive(members, zipfile.ZIP_DEFLATED)
    yield "a member twice", archive([*members, members[1]])
    yield "the manifest twice", archive([members[0], *members])
    for other in ("../../evil.npy", "/tmp/evil.npy", "evil_module.py", "C:\\evil.npy", "a/b.npy"):
        yield f"a member {other}", archive([*members, (other, dict(members)[name])])
    whole = archive(members)
    yield "no directory", whole[: whole.rindex(b"PK\x05\x06")]
    yield (
        "many members",
        archive([*members, *((f"x{i}.npy", npy(np.zeros(1))) for i in range(2_000))]),
    )
    at = whole.index(b"PK\x01\x02")
    for field, offset, value in [
        *(("flags", 8, 1), ("method", 10, 99), ("size", 24, 2**31), ("packed size", 20, 2**31)),
        *(("checksum", 16, 1), ("place", 42, 2**31), ("size of all", 24, 2**32 - 1)),
    ]:
        changed = bytearray(whole)
        size = "<H" if field in ("flags", "method") else "<I"
        struct.pack_into(size, changed, at + offset, value)
        yield f"a directory with another {field}", bytes(changed)


def examine(name: str, file: Path, x: jax.Array, expected: jax.Array) -> Finding:
    """Load a file in this process, beside an `evil_module` in the working directory: what it did."""
    modules, before = set(sys.modules), _reset_peak()
    begun = time.perf_counter()
    try:
        flow = hf.load(file)
        outcome, message = "another density", ""
        if np.array_equal(flow.log_prob(x), expected):
            outcome = "same density"
    except (ValueError, OSError, ImportError) as error:
        outcome, message = "refused", str(error)
    except BaseException as error:
        outcome, message = f"{type(error).__name__}", str(error)
    seconds = time.perf_counter() - begun
    grown = _peak() - before
    if os.path.exists(MARK):
        os.unlink(MARK)
        outcome = "ran code"
    new = {each for each in set(sys.modules) - modules if each.partition(".")[0] != "hiflow"}
    if any("evil" in each for each in new):
        outcome = f"imported {sorted(new)[:3]}"
    return Finding(name, outcome, message, seconds, grown)


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
    return folder / "plane.hiflow", folder / "particles.hiflow"


def _reset_peak() -> int:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return _peak()


def _peak() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return 1024 * int(status.split("VmHWM:")[1].split()[0])
