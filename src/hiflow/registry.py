"""One registry per family: names to classes, built-ins lazily, third parties by entry points."""

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points, version
from typing import Any, Generic, TypeVar

from packaging.requirements import Requirement

T = TypeVar("T")
_DISTRIBUTION = "hiflow-jax"
_families: dict[str, "Registry[Any]"] = {}


class RegistryError(LookupError):
    """A component that can't be found, loaded or registered; the message says what to do."""


class Registry(Generic[T]):
    """The components of one family, by name.

    Nothing is imported before it is asked for: built-ins are given as `"module:Class"`, and a
    third party's package advertises its own in the entry-point group `hiflow.<family>`. A plug-in
    that fails to import is named in the error of the look-up that needed it, and hides nothing else.

    **Arguments:**

    - `family`: the plural name of the family, also the entry-point group's suffix.
    - `base`: the family's abstract class; whatever is registered must be a concrete subclass.
    - `builtins`: name to `"module:Class"`.
    """

    def __init__(self, family: str, base: type[T], builtins: Mapping[str, str]):
        _families[family] = self
        self.family = family
        self.base = base
        self._builtins = dict(builtins)
        self._registered: dict[str, type[T]] = {}

    @property
    def group(self) -> str:
        """The entry-point group that plug-ins use."""
        return f"hiflow.{self.family}"

    def names(self) -> list[str]:
        """All known names, sorted. Loads nothing."""
        return sorted({*self._builtins, *self._registered, *self._plugins()})

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Class decorator that registers under `name` for this process.

        **Raises:** `RegistryError` if the name is taken by another class or the class is not a
        concrete subclass of the family's base class.
        """

        def decorate(cls: type[T]) -> type[T]:
            taken = self._registered.get(name)
            redefinition = taken is not None and taken.__qualname__ == cls.__qualname__
            if name in self._builtins or name in self._plugins() or (taken and not redefinition):
                raise RegistryError(
                    f"{self.family}: the name {name!r} is already taken; register {cls.__name__} "
                    "under another name."
                )
            self._registered[name] = self._checked(cls, name, cls.__module__)
            return cls

        return decorate

    def origin(self, name: str) -> str:
        """Where `name` comes from: `"hiflow"`, `"this process"` or the plug-in's distribution; all of
        them if several claim it."""
        if name in self._builtins:
            return "hiflow"
        if name in self._registered:
            return "this process"
        return _packages(self._claims(name))

    def get(self, name: str) -> type[T]:
        """The class registered under `name`.

        **Raises:** `RegistryError` if the name is unknown (the nearest names are suggested), if two
        plug-ins claim it, or if the plug-in that provides it can't be imported or gives a wrong class.
        """
        if name in self._registered:
            return self._registered[name]
        if name in self._builtins:
            module, _, attribute = self._builtins[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        entry = self._find_plugin(name)
        source = f"plug-in {entry.value!r} of {_packages([entry])}"
        self._check_version(entry, name)
        try:
            loaded = entry.load()
        except Exception as error:
            raise RegistryError(
                f"{self.family}: {name!r} is provided by {source}, which failed to import: "
                f"{type(error).__name__}: {error}. Repair or uninstall it; the rest of hiflow works."
            ) from error
        return self._checked(loaded, name, source)

    def make(self, value: Any, **context: Any) -> T:
        """An instance from an instance, a name, or a table `{"name": ..., keyword: ...}`.

        `context` holds values that the caller knows (a key, the number of particles): each is passed
        on if the class takes an argument of that name and the table doesn't give it. A table with
        `preset` calls the class's `preset` constructor.

        **Raises:** `RegistryError` for an unknown name, an argument that the class doesn't take, or a
        value of another kind.
        """
        if isinstance(value, self.base):
            return value
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping) or "name" not in value:
            raise RegistryError(
                f"{self.family}: expected an instance of {self.base.__name__}, a name, or a table "
                f"with a `name`; got {value!r}. Names: {', '.join(self.names())}."
            )
        arguments = {key: item for key, item in value.items() if key != "name"}
        cls = self.get(value["name"])
        build: Callable[..., T] = cls
        if "preset" in arguments and hasattr(cls, "preset"):
            build = cls.preset  # pyright: ignore[reportAttributeAccessIssue]
            arguments = {
                "name" if key == "preset" else key: item for key, item in arguments.items()
            }
        accepted = inspect.signature(build).parameters
        for argument in arguments:
            if argument not in accepted:
                raise RegistryError(
                    f"{self.family}: {value['name']!r} takes no argument {argument!r}"
                    f"{_nearest(argument, accepted)} It takes: {', '.join(accepted)}."
                )
        known = {
            key: item for key, item in context.items() if key in accepted and key not in arguments
        }
        return build(**arguments, **known)

    def name_of(self, component: T) -> str:
        """The name under which the component's class is registered, else the class's own name."""
        cls = type(component)
        for name, value in self._builtins.items():
            if value.rpartition(":")[2] == cls.__qualname__ and cls.__module__.startswith(
                "hiflow."
            ):
                return name
        for name, registered in self._registered.items():
            if registered is cls:
                return name
        for name, entries in self._plugins().items():
            if any(_names(entry, cls) for entry in entries):
                return name
        return cls.__name__

    def _check_version(self, entry: EntryPoint, name: str) -> None:
        """Raise unless the plug-in's own requirement admits this hiflow. Installers check it too, but
        hiflow may be upgraded later, or the plug-in installed without its dependencies."""
        requirements = [] if entry.dist is None else entry.dist.requires or []
        for requirement in map(Requirement, requirements):
            if requirement.name != _DISTRIBUTION or requirement.marker is not None:
                continue
            if not requirement.specifier.contains(version(_DISTRIBUTION), prereleases=True):
                raise RegistryError(
                    f"{self.family}: {name!r} is provided by {_packages([entry])}, which was made "
                    f"for {requirement}, and this is {version(_DISTRIBUTION)}. Upgrade or uninstall "
                    "it; the rest of hiflow works."
                )

    def _plugins(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=self.group):
            found.setdefault(entry.name, []).append(entry)
        return found

    def _claims(self, name: str) -> list[EntryPoint]:
        claims = self._plugins().get(name, [])
        if not claims:
            raise RegistryError(
                f"{self.family}: no component is called {name!r}{_nearest(name, self.names())} "
                f"Known names: {', '.join(self.names())}."
            )
        return claims

    def _find_plugin(self, name: str) -> EntryPoint:
        claims = self._claims(name)
        if len({entry.value for entry in claims}) > 1:
            raise RegistryError(
                f"{self.family}: {name!r} is claimed by {_packages(claims)}. Uninstall one of them, or "
                "pass an instance instead of the name."
            )
        return claims[0]

    def _checked(self, cls: Any, name: str, source: str) -> type[T]:
        if not (isinstance(cls, type) and issubclass(cls, self.base)) or inspect.isabstract(cls):
            raise RegistryError(
                f"{self.family}: {name!r} from {source} must be a concrete subclass of "
                f"{self.base.__module__}.{self.base.__qualname__}, got {cls!r}."
            )
        return cls


def families() -> dict[str, "Registry[Any]"]:
    """All registries, by the name of their family."""
    importlib.import_module("hiflow")
    return dict(_families)


def _names(entry: EntryPoint, cls: type) -> bool:
    """Whether an entry point means a class, which its package may re-export from a private module."""
    same_package = entry.module.partition(".")[0] == cls.__module__.partition(".")[0]
    return same_package and entry.attr == cls.__qualname__


def _packages(claims: list[EntryPoint]) -> str:
    return " and ".join(sorted({e.dist.name if e.dist else e.value for e in claims}))


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=2)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else "."
