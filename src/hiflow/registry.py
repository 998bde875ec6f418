"""One registry per family: names to classes, by a decorator here and by entry points elsewhere."""

import functools
import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from typing import Any, Generic, TypeVar

from hiflow import _index
from hiflow._arguments import Fault, described, faults_in, known_families, locate
from hiflow._index import packages
from hiflow._presets import SupportsPresets as SupportsPresets
from hiflow._words import nearest

T = TypeVar("T")
C = TypeVar("C", bound=type)
# What takes a component takes an instance, a name, or a table `{"name": ..., keyword: ...}`.
Named = T | str | Mapping[str, object]
_families: dict[str, "Registry[Any]"] = known_families


class RegistryError(LookupError):
    """A component that can't be found, loaded or registered; the message says what to do.

    **Example:**

    ```pycon
    >>> hf.spectral.registry.make("satuating")
    Traceback (most recent call last):
        ...
    hiflow.registry.RegistryError: spectral: no component is called 'satuating'; ...
    ```
    """

    faults: list[Fault] | None = None


class Registry(Generic[T]):
    """The components of one family, by name.

    A class registers itself by the decorator `register`; a third party's package advertises its own in
    the entry-point group `hiflow.<family>`, and is imported when first asked for. A plug-in that fails
    to import is named in the error of the look-up that needed it, and hides nothing else.

    **Arguments:**

    - `family`: the plural name of the family, also the entry-point group's suffix.
    - `base`: the family's abstract class; whatever is registered must be a concrete subclass.
    - `advice`: a sentence for whoever gives something of another kind, or nothing.

    **Example:**

    ```pycon
    >>> hf.spectral.registry.make("absolute") == hf.spectral.Absolute()  # or a table
    Array(True, dtype=bool)
    ```
    """

    def __init__(self, family: str, base: type[T], advice: Callable[[object], str] | None = None):
        _families[family] = self
        self.advice: Callable[[object], str] = advice or (lambda value: "")
        self.family = family
        self.base = base
        self._registered: dict[str, type[T]] = {}
        self._renamed: dict[str, str] = {}

    @property
    def group(self) -> str:
        """The entry-point group that plug-ins use."""
        return f"hiflow.{self.family}"

    def names(self) -> list[str]:
        """All known names, sorted, without those that were renamed. Loads no plug-in."""
        return sorted({*self._registered, *self._plugins()})

    def register(self, name: str, *, formerly: str | None = None) -> Callable[[C], C]:
        """Class decorator that registers under `name` for this process.

        **Arguments:**

        - `formerly`: the class's name of an earlier version. It still works, with a
          `DeprecationWarning` that gives the new one.

        **Raises:** `RegistryError` if the name is taken by another class or the class is not a
        concrete subclass of the family's base class.
        """

        def decorate(cls: C) -> C:
            taken = self._registered.get(name)
            redefinition = taken is not None and _path(taken) == _path(cls)
            # What comes with hiflow keeps its names, whatever is installed beside it.
            claimed = not _built_in(cls) and (name in self._plugins() or name in self._renamed)
            if claimed or (taken and not redefinition):
                raise RegistryError(
                    f"{self.family}: the name {name!r} is already taken; register {cls.__name__} "
                    "under another name."
                )
            self._registered[name] = self._checked(cls, name, cls.__module__)
            if formerly is not None:
                self._renamed[formerly] = name
            return cls

        return decorate

    def origin(self, name: str) -> str:
        """Where `name` comes from: `"hiflow"`, `"this process"` or the plug-in's distribution; all of
        them if several claim it."""
        if name in self._registered:
            return "hiflow" if _built_in(self._registered[name]) else "this process"
        return packages(self._claims(name))

    def get(self, name: str) -> type[T]:
        """The class registered under `name`. One that was renamed warns of its new name.

        **Raises:** `RegistryError` if the name is unknown (the nearest names are suggested), if two
        plug-ins claim it, or if the plug-in that provides it can't be imported or gives a wrong class.
        """
        if name in self._renamed:
            new = self._renamed[name]
            message = f"{self.family}: {name!r} is now called {new!r}; the old name will go."
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            name = new
        if name in self._registered:
            return self._registered[name]
        entry = self._find_plugin(name)
        source = f"plug-in {entry.value!r} of {packages([entry])}"
        if (wrong := _index.outgrown(entry)) is not None:
            raise RegistryError(f"{self.family}: {name!r} is provided by {wrong}")
        try:
            loaded = entry.load()
        except Exception as error:
            raise RegistryError(
                f"{self.family}: {name!r} is provided by {source}, which failed to import: "
                f"{type(error).__name__}: {error}. Repair or uninstall it; the rest of hiflow works."
            ) from error
        return self._checked(loaded, name, source)

    def make(self, value: Named[T], **context: object) -> T:
        """An instance from an instance, a name, or a table `{"name": ..., keyword: ...}`.

        `context` holds values that the caller knows (a key, the number of particles): each is passed
        on if the class takes an argument of that name and neither the table nor its preset gives it. A
        table with `preset` starts from that of a class that [has
        presets][hiflow.registry.SupportsPresets].

        **Raises:** `RegistryError` for an unknown name, an argument that the class doesn't take or
        one that it misses, or a value of another kind; `ValueError` for an unknown preset.
        """
        if isinstance(value, self.base):
            return value
        arguments: dict[str, Any] = {}
        try:
            build, arguments = self._builder(value, context)
            return build(**arguments)
        except Exception as error:
            locate(error, value, arguments)
            raise

    def faults(self, value: object) -> Iterator[Fault]:
        """What is wrong with a name or table, as far as that is seen without building the component."""
        if isinstance(value, self.base):
            return
        try:
            name, cls, arguments = self._found(value)
            if "preset" in arguments and issubclass(cls, SupportsPresets):
                cls.preset_arguments(arguments.pop("preset"))
        except RegistryError as error:
            yield Fault((), str(error))
            return
        for fault in faults_in(cls, arguments):
            yield fault if fault.where else Fault((), f"{self.family}: {name!r} {fault.words}")

    def _worded(self, name: str, fault: Fault) -> str:
        return f"{self.family}: {name!r}: {fault}" if fault.where else str(fault)

    def _builder(
        self, value: Named[T], context: Mapping[str, object]
    ) -> tuple[Callable[..., T], dict[str, Any]]:
        """What makes the component, and with which arguments."""
        found = list(self.faults(value))
        name, cls, arguments = self._found(value)
        if found:
            error = RegistryError(self._worded(name, found[0]))
            error.faults = found
            raise error
        build: Callable[..., T] = cls
        accepted = inspect.signature(cls).parameters
        preset: Mapping[str, object] = {}
        if "preset" in arguments and issubclass(cls, SupportsPresets):
            chosen = arguments.pop("preset")
            preset, build = cls.preset_arguments(chosen), functools.partial(cls.preset, chosen)
        given = {**preset, **arguments}
        known = {k: v for k, v in context.items() if k in accepted and k not in given}
        missing = [k for k in _required(accepted) if k not in given and k not in known]
        if missing:
            raise RegistryError(
                f"{self.family}: {name!r} needs {', '.join(map(repr, missing))}. Give a table, as "
                f"{{name = {name!r}, {missing[0]} = ...}}, or an instance."
            )
        return build, {**arguments, **known}

    def _found(self, value: object) -> tuple[str, type[T], dict[str, Any]]:
        """The name, class and arguments that a name or table asks for."""
        arguments = self.table_of(value)
        name = arguments.pop("name")
        return name, self.get(name), arguments

    def name_of(self, component: T) -> str:
        """The name under which the component's class is registered, else the class's own name."""
        cls = type(component)
        for name, registered in self._registered.items():
            if registered is cls:
                return name
        for name, entries in self._plugins().items():
            if any(_names(entry, cls) for entry in entries):
                return name
        return cls.__name__

    def table_of(self, value: object) -> dict[str, Any]:
        """A name or a table as a table. **Raises:** `RegistryError` if it has no name."""
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, Mapping) and isinstance(value.get("name"), str):
            return dict(value)
        raise RegistryError(
            f"{self.family}: expected an instance of {self.base.__name__}, a name, or a table "
            f"with a `name`; got {described(value)}.{self.advice(value)} Names: "
            f"{', '.join(self.names())}."
        )

    def _plugins(self) -> dict[str, list[EntryPoint]]:
        return _index.plugins(self.family)

    def _claims(self, name: str) -> list[EntryPoint]:
        claims = self._plugins().get(name, [])
        if not claims:
            others = [family for family, known in _index.origins().items() if name in known]
            elsewhere = f" (that is one of {', '.join(others)})" if others else ""
            raise RegistryError(
                f"{self.family}: no component is called {name!r}{elsewhere}"
                f"{nearest(name, self.names())} Known names: {', '.join(self.names())}."
            )
        return claims

    def _find_plugin(self, name: str) -> EntryPoint:
        claims = self._claims(name)
        if len({entry.value for entry in claims}) > 1:
            raise RegistryError(
                f"{self.family}: {name!r} is claimed by {packages(claims)}. Uninstall one of them, or "
                "pass an instance instead of the name."
            )
        return claims[0]

    def _checked(self, cls: object, name: str, source: str) -> type[T]:
        if not (isinstance(cls, type) and issubclass(cls, self.base)) or inspect.isabstract(cls):
            raise RegistryError(
                f"{self.family}: {name!r} from {source} must be a concrete subclass of "
                f"{self.base.__module__}.{self.base.__qualname__}, got {cls!r}."
            )
        return cls


def listing() -> dict[str, dict[str, str]]:
    """Every family's names, each with its [origin][hiflow.registry.Registry.origin]; all sorted. Imports
    nothing: of a family that isn't imported yet its source says the names."""
    found = _index.origins()
    for family, registry in _families.items():
        found[family] = {name: registry.origin(name) for name in registry.names()}
    return dict(sorted(found.items()))


def families() -> dict[str, "Registry[Any]"]:
    """All registries, by the name of their family, sorted. Imports hiflow's own."""
    for room in _index.rooms():
        importlib.import_module(room)
    return dict(sorted(_families.items()))


def _names(entry: EntryPoint, cls: type) -> bool:
    """Whether an entry point means a class, which its package may re-export from a private module."""
    same_package = entry.module.partition(".")[0] == cls.__module__.partition(".")[0]
    return same_package and entry.attr == cls.__qualname__


def _built_in(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "hiflow"


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _required(parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    return [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
