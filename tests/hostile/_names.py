"""Files that name what they may not, and wrong settings."""

import copy
from typing import Any

from hostile._parts import Change, Parts

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


def named() -> dict[str, Change]:
    found: dict[str, Change] = {}
    for name in NAMES:
        found[f"activation {name!r}"] = set_to("network", "activation", to={"object": name})
    for name in NAMES:
        if name.partition(":")[0] in ("os", "evil_module", "equinox", "hiflow.networks", "timeit"):
            node = {"module": name, "fields": {}}
            found[f"network {name!r}"] = set_to("network", to=node)
            found[f"group {name!r}"] = set_to("prior", "group", to=node)
            found[f"method {name!r}"] = set_to("solver", "method", to=node)
    timeit = {"tuple": ["open('it-ran', 'w')"]}
    partial = {"func": {"object": "timeit:timeit"}, "args": timeit, "keywords": {"dict": {}}}
    for module in ("equinox:Partial", "equinox._module._prebuilt:Partial", "jax.tree_util:Partial"):
        node = {"module": module, "fields": partial}
        found[f"a call of timeit in {module}"] = set_to("network", "activation", to=node)
    function = {"function": "evil_module:run", "shape": {"tuple": [2]}}
    energy = {
        "module": "hiflow.energies:FunctionEnergy",
        "fields": {**function, "group": "trivial"},
    }
    found["an energy of a function by its name"] = set_to("prior", to=energy)
    found["a group by its name"] = set_to("prior", "group", to="trivial")
    found["a method by its name"] = set_to("solver", "method", to="Tsit5")
    found["a layer with a function"] = set_to(
        "network", "layers", to={"tuple": [{"module": "equinox.nn:Lambda", "fields": {"fn": "x"}}]}
    )
    return found


def settings() -> dict[str, Change]:
    found: dict[str, Change] = {}
    for value in (0, -1, None, True, "Tsit5", {"list": []}, {"float": "nan"}, 0.5, {"tuple": [1]}):
        for setting in ("rtol", "chunk_size", "divergence", "method"):
            found[f"{setting} = {value}"] = set_to("solver", setting, to=value)
    for value in (0, -3, True, 1.5, "many", 10**300):
        found[f"steps = {value}"] = set_to("solver", "steps", to=value)
    shapes = ([], [3], [2, 1], [10**12], [2**40, 2**40], [0], [-2], [True, True], [2.0], ["2"], 2)
    for shape in shapes:
        to = {"tuple": shape} if isinstance(shape, list) else shape
        found[f"event shape {shape}"] = set_to("network", "event_shape", to=to)
        found[f"prior's shape {shape}"] = set_to("prior", "shape", to=to)

        def both(parts: Parts, to: Any = to) -> None:
            set_to("network", "event_shape", to=to)(parts)
            set_to("prior", "shape", to=to)(parts)

        found[f"both shapes {shape}"] = both
    for name, value in [("in_features", 1), ("out_features", 10**9), ("use_bias", False)]:
        found[f"a layer with {name} = {value}"] = lambda parts, n=name, v=value: parts.layer.update(
            {n: v}
        )
    return found


def set_to(*keys: str, to: Any) -> Change:
    """A change of what is under the keys, from the flow's fields on."""

    def change(parts: Parts) -> None:
        place = parts.root
        for key in keys[:-1]:
            place = place[key]["fields"]
        place[keys[-1]] = copy.deepcopy(to)

    return change
