"""What a file may name: classes of hiflow and its plug-ins, layers of equinox.nn, methods of diffrax,
and a few functions. Everything else needs a user's trust."""

import importlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from hiflow._disk._trust import NAME, trusted

# Where hiflow's components live. The others (the command line, figures, the conformance kit) hold none,
# and importing them has a cost.
_HOMES = (
    *(
        "couplings",
        "data",
        "divergences",
        "energies",
        "flow",
        "groups",
        "hessians",
        "networks",
        "paths",
    ),
    *("priors", "solver", "spectral", "targets", "time_samplers", "times"),
)
_FUNCTIONS = {
    "jax.nn": (
        *("celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh"),
        *("identity", "leaky_relu", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu"),
        *("sigmoid", "silu", "soft_sign", "softmax", "softplus", "sparse_plus", "sparse_sigmoid"),
        *("squareplus", "standardize", "swish", "tanh"),
    ),
    # What pools take.
    "jax.lax": ("add", "max", "min"),
    "jax.numpy": (
        *("abs", "arcsinh", "arctan", "bfloat16", "cos", "exp", "expm1", "float16", "float32"),
        *(
            "float64",
            "log1p",
            "max",
            "mean",
            "negative",
            "sin",
            "sinc",
            "sinh",
            "sqrt",
            "square",
            "tanh",
        ),
    ),
}
_MODULES = {"jax.nn": jax.nn, "jax.numpy": jnp, "jax.lax": jax.lax}


def named_class(name: str, trust: Sequence[str] = ()) -> type[eqx.Module]:
    """The class of modules that a file names as `"package:Class"`.

    **Raises:** `ValueError` if it may not name it, or there is no such class of modules.
    """
    module, attribute = _parts(name)
    trust = (*trust, *(trusted.get() or ()))
    found = _known_class(module, attribute, trust)
    if found is None:
        found = getattr(_trusted_module(module, name, trust), attribute, None)
        _check_home(found, name, trust)
    if not (inspect.isclass(found) and issubclass(found, eqx.Module)) or inspect.isabstract(found):
        raise ValueError(
            f"names {name}, which is no class of components in the versions that are installed here. "
            "Install the version of its package that the file was written with."
        )
    return found


def named_function(name: str, trust: Sequence[str] = ()) -> Any:
    """The function that a file names as `"package:function"`, or a class that it names as a value.

    **Raises:** `ValueError` as [`named_class`][hiflow._disk.named_class].
    """
    module, attribute = _parts(name)
    if attribute in _FUNCTIONS.get(module, ()):
        return getattr(_MODULES[module], attribute)
    trust = (*trust, *(trusted.get() or ()))
    if _known_class(module, attribute, trust) is not None:
        return named_class(name, trust)
    found = getattr(_trusted_module(module, name, trust), attribute, None)
    if not callable(found):
        raise ValueError(f"names {name}, which isn't there or no function.")
    _check_home(found, name, trust)
    return found


def function_of_configuration(name: str) -> Any:
    """The function that a setting names: any, where Python code itself gives the name; while a file is
    acted on, one of the packages that it may name.

    **Raises:** `ValueError`, `ImportError`, `AttributeError`.
    """
    module, attribute = _parts(name)
    if trusted.get() is not None:
        return named_function(name)
    return getattr(importlib.import_module(module), attribute)


def public_functions() -> Iterator[tuple[str, Any]]:
    """Every function that a file may name, as `"package:function"`."""
    for module, names in _FUNCTIONS.items():
        for name in names:
            yield f"{module}:{name}", getattr(_MODULES[module], name)


def _parts(name: str) -> tuple[str, str]:
    match = NAME.fullmatch(name)
    if match is None or "__" in name:
        raise ValueError(f"names {name[:200]!r}; expected 'package.module:name'.")
    return match[1], match[2]


def _known_class(module: str, attribute: str, trust: Sequence[str]) -> Any:
    """What a file may name without anybody's trust, or `None` if the name is of another place."""
    package, _, rest = module.partition(".")
    if module == "equinox.nn" or module.startswith("equinox.nn."):
        return vars(eqx.nn).get(attribute, "missing")
    if package == "diffrax":
        import diffrax  # Here, because it takes long where nothing is solved.

        found = vars(diffrax).get(attribute)
        methods = inspect.isclass(found) and issubclass(found, diffrax.AbstractSolver)
        return found if methods else "missing"
    if package == "hiflow":
        if rest.partition(".")[0] not in ("", *_HOMES) or attribute.islower():
            return "missing"
        found = _attribute(module, attribute)
        ours = getattr(found, "__module__", "").partition(".")[0] == "hiflow"
        return found if ours else "missing"
    if package in plugin_packages() and package not in {each.partition(".")[0] for each in trust}:
        found = _attribute(module, attribute, outside=_here())
        ours = getattr(found, "__module__", "").partition(".")[0] in ("hiflow", package)
        return found if ours else "missing"
    return None


def plugin_packages() -> set[str]:
    """The top-level packages of hiflow's installed plug-ins."""
    groups = [group for group in entry_points().groups if group.startswith("hiflow.")]
    return {
        # `entry.module` would fail for a value that isn't well formed.
        entry.value.partition(":")[0].partition(".")[0].strip()
        for group in groups
        for entry in entry_points(group=group)
        if not _of_working_directory(entry)
    }


def _of_working_directory(entry: EntryPoint) -> bool:
    """Whether what declares the plug-in lies beside the files that somebody sent."""
    if entry.dist is None:
        return True
    return Path(str(entry.dist.locate_file(""))).resolve() == Path.cwd()


def _here() -> list[str]:
    return ["", str(Path.cwd())]


def _attribute(module: str, attribute: str, outside: Sequence[str] = ()) -> Any:
    if module not in sys.modules:
        before = list(sys.path)
        sys.path[:] = [place for place in before if place not in outside]
        try:
            importlib.import_module(module)
        except ImportError:
            return "missing"
        finally:
            sys.path[:] = before
    return getattr(sys.modules[module], attribute, "missing")


def _trusted_module(module: str, name: str, trust: Sequence[str]) -> ModuleType:
    if not _within(module, trust):
        package = module.partition(".")[0]
        raise ValueError(
            f"names {name}, which is of neither hiflow, an installed plug-in of it, equinox.nn nor "
            f"diffrax. To use it is to run the code of {package!r}. If you trust both, allow it by "
            f"trust=({package!r},), in the command line by --trust {package}; a plug-in has to be "
            "installed."
        )
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"needs {name}, which can't be imported ({error}). Install the package that provides it, "
            "in a version that still has it."
        ) from error


def _check_home(found: Any, name: str, trust: Sequence[str]) -> None:
    """A trusted package vouches for what it defines, not for what it has imported."""
    home = getattr(found, "__module__", None) or ""
    if found is not None and not _within(home, trust):
        raise ValueError(f"names {name}, which {home or 'another package'} defines.")


def _within(module: str, packages: Sequence[str]) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in packages)
