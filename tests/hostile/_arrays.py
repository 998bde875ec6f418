"""Files with arrays and fields that their classes don't have."""

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from hostile._names import set_to
from hostile._parts import Change, Parts


def arrays() -> dict[str, Change]:
    found: dict[str, Change] = {}

    def scale(value: object) -> Change:
        return lambda parts: parts.put(parts.root["prior"]["fields"], "scale", np.asarray(value))

    for value in (0.0, -1.0, np.nan, np.inf):
        found[f"prior scale {value}"] = scale(np.float32(value))
    for value in (np.ones(2, np.float32), np.int32(1), np.bool_(True), np.ones((1, 1), np.float32)):
        found[f"prior scale {value.dtype}{value.shape}"] = scale(value)
    for value in (0.0, -1.0, np.nan, np.inf):
        found[f"tolerance {value}"] = lambda parts, v=value: parts.put(
            parts.root["solver"]["fields"], "rtol", np.asarray(v, np.float32)
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


def fields() -> dict[str, Change]:
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
                found[f"{where} with {name}"] = set_to(where, name, to=3)
    for where, other in [("prior", "network"), ("network", "prior"), ("solver", "prior")]:
        found[f"{where} is a {other}"] = lambda parts, w=where, o=other: parts.root.update(
            {w: copy.deepcopy(parts.root[o])}
        )
    for where in ("prior", "network", "solver"):
        found[f"{where} is a list"] = set_to(where, to={"list": []})
    found["no flow"] = lambda parts: parts.manifest.update(root=parts.root["prior"])
    found["other settings of another size"] = lambda parts: parts.layer.update(out_features=7)
    found["fewer layers"] = lambda parts: parts.root["network"]["fields"]["layers"]["tuple"].pop(1)
    found["no layers"] = set_to("network", "layers", to={"tuple": []})
    for keys in ({"list": [], "tuple": []}, {"module": "x"}, {"array": "array0"}, {}, {"x": 1}):
        found[f"a value {json.dumps(keys)}"] = set_to("solver", "steps", to=keys)
    return found


def of_particles() -> dict[str, Change]:
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
