"""Components whose published settings have names."""

from collections.abc import Mapping
from typing import ClassVar, TypeVar

from hiflow._arguments import Fault
from hiflow._kinds import shown
from hiflow._words import nearest

S = TypeVar("S", bound="SupportsPresets")


class SupportsPresets:
    """A component whose published settings have names; a class inherits it beside its family's.

    It gives `presets`, names to keyword arguments, and gets `preset`; in a table it is
    `{"name": ..., "preset": ...}`, with any other argument beside.

    **Example:**

    ```pycon
    >>> sorted(hf.energies.LennardJones.presets)
    ['lj13', 'lj13-eps1', 'lj55']
    >>> hf.energies.LennardJones.preset("lj13", trap=2.0).trap
    Array(2., dtype=float32)
    >>> table = {"name": "lennard-jones", "preset": "lj13", "trap": 2.0}  # as in a file
    >>> same = hf.energies.registry.make(table)
    ```
    """

    presets: ClassVar[Mapping[str, Mapping[str, object]]]

    @classmethod
    def preset(cls: type[S], name: str, **overrides: object) -> S:
        """The component with the settings of that name, except for `overrides`.

        **Raises:** `ValueError` for an unknown name; the nearest is suggested.
        """
        return cls(**{**cls.preset_arguments(name), **overrides})

    @classmethod
    def preset_arguments(cls, name: str) -> Mapping[str, object]:
        """The keyword arguments of the preset. **Raises:** `ValueError` for an unknown name."""
        if not isinstance(name, str) or name not in cls.presets:
            known = ", ".join(cls.presets)
            guess = nearest(str(name), cls.presets)
            error = ValueError(
                f"{cls.__name__}.preset: `name` must be one of {known}, got {shown(name)}{guess} For "
                f"other settings call {cls.__name__}(...) itself."
            )
            words = f"must be one of {known}; got {shown(name)}{guess}"
            vars(error)["faults"] = [Fault(("preset",), words)]
            raise error
        return cls.presets[name]
