"""Packages whose parts are imported when they are first used: what needs none of them starts at once."""

import importlib
import sys
from collections.abc import Callable, Mapping


def attach(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """The `__getattr__`, `__dir__` and `__all__` of a package.

    **Arguments:**

    - `package`: its name.
    - `names`: the public names, each to the module that it is imported from, relative to the package;
      one of the package's own modules has an empty string.
    """

    def get(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = names[name]
        if home:
            value = getattr(importlib.import_module(f"{package}.{home}"), name)
        else:
            value = importlib.import_module(f"{package}.{name}")
        setattr(sys.modules[package], name, value)
        return value

    def everything() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names})

    return get, everything, sorted(names)
