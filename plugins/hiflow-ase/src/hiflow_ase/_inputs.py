"""Molecules and calculators from what a user writes: objects, names and files."""

import difflib
import os
from collections.abc import Iterable, Mapping
from typing import Any

import ase.io
from ase import Atoms
from ase.build.molecule import extra, molecule
from ase.calculators.calculator import BaseCalculator, get_calculator_class
from ase.calculators.calculator import names as calculator_names
from ase.collections import g2
from hiflow.energies import as_function

# ASE's own calculators keep any keyword, known or not; these have no others than their defaults.
_STRICT = ("emt", "lj", "morse")


def as_atoms(value: Any, frame: int | None = None) -> Atoms:
    """A copy of the molecule, without a calculator; of a file, this frame. **Raises:** `ValueError`."""
    atoms = value.copy() if isinstance(value, Atoms) else _molecule_or_file(value, frame)
    if len(atoms) == 0:
        raise ValueError(f"AseEnergy: `atoms` {value!r} holds no atoms. Give a molecule.")
    if atoms.pbc.any():
        raise ValueError(
            f"AseEnergy: `atoms` has periodic boundaries, got pbc={atoms.pbc.tolist()}. Positions are "
            "taken as those of an isolated molecule: set atoms.pbc = False if it is one."
        )
    if atoms.constraints:
        kinds = ", ".join(type(constraint).__name__ for constraint in atoms.constraints)
        raise ValueError(
            f"AseEnergy: `atoms` has constraints, got {kinds}. All atoms move: call "
            "atoms.set_constraint() to remove them."
        )
    atoms.calc = None
    return atoms


def as_calculator(value: Any, options: Mapping[str, Any] | None) -> tuple[Any, str]:
    """The calculator, and what to call it in errors. **Raises:** `ValueError`."""
    if isinstance(value, str):
        return _named(value, _as_options(options)), f"calculator {value!r}"
    if isinstance(value, type) or not hasattr(value, "get_forces"):
        raise ValueError(
            f"AseEnergy: `calculator` must be an ASE calculator or its name, got {value!r}. Write, "
            'for example, calculator="emt" or calculator=EMT().'
        )
    if options:
        raise ValueError(
            f"AseEnergy: `calculator_options` are for a calculator that is given by name, got "
            f"{dict(options)!r} beside {type(value).__name__}. Pass them to {type(value).__name__}."
        )
    return value, f"calculator {type(value).__name__}"


def _molecule_or_file(value: Any, frame: int | None) -> Atoms:
    if not isinstance(value, str | os.PathLike):
        frames = isinstance(value, list | tuple) and any(isinstance(one, Atoms) for one in value)
        got = f"{len(value)} of them" if frames else repr(value)
        cure = "Pass one, atoms=frames[0]." if frames else 'Write, for example, atoms="H2O".'
        raise ValueError(
            f"AseEnergy: `atoms` must be an ase.Atoms, a molecule's name or a file, got {got}. {cure}"
        )
    molecules = [*g2.names, *extra]
    value = os.fspath(value)
    if value in molecules:
        return molecule(value)
    # ASE's own way of choosing one, "file.xyz@0", says it as well.
    chosen = "@" in os.path.basename(value)
    try:
        found = ase.io.read(value) if chosen else ase.io.read(value, index=":")
    except FileNotFoundError as error:
        raise ValueError(
            f"AseEnergy: `atoms` {value!r} is neither a molecule that ase.build.molecule knows "
            f"nor a file{_nearest(value, molecules)} Give a name such as 'CH3CH2OH', or the "
            "path of a file that ase.io.read takes."
        ) from error
    except Exception as error:
        raise ValueError(
            f"AseEnergy: `atoms` {value!r} can't be read: {type(error).__name__}: {error}. Give "
            "a file that ase.io.read takes, or an ase.Atoms."
        ) from error
    return found if isinstance(found, Atoms) else _one_of(found, frame, value)


def _one_of(frames: list[Atoms], frame: int | None, value: str) -> Atoms:
    if frame is None and len(frames) == 1:
        return frames[0]
    orders = {tuple(atoms.numbers.tolist()) for atoms in frames}
    if frame is None:
        more = " Their atoms aren't in the same order." if len(orders) > 1 else ""
        raise ValueError(
            f"AseEnergy: `atoms` {value!r} holds {len(frames)} frames, and a molecule is one.{more} "
            f"Choose it by `frame`, from 0 to {len(frames) - 1}."
        )
    if not (isinstance(frame, int) and -len(frames) <= frame < len(frames)):
        raise ValueError(
            f"AseEnergy: `frame` must be one of the {len(frames)} in {value!r}, from 0 to "
            f"{len(frames) - 1}, got {frame!r}."
        )
    return frames[frame]


def _as_options(options: Any) -> dict[str, Any]:
    if options is not None and not isinstance(options, Mapping):
        raise ValueError(
            f"AseEnergy: `calculator_options` must be a table of keywords, got {options!r}. Write, "
            "for example, {sigma = 1.0} in TOML."
        )
    return dict(options or {})


def _named(name: str, options: dict[str, Any]) -> Any:
    cls = _class(name)
    try:
        known = cls.default_parameters
        unknown = [key for key in options if key not in known] if name in _STRICT else []
        if not unknown:
            return cls(**options)
    except Exception as error:
        raise ValueError(
            f"AseEnergy: the `calculator` {name!r} can't be made with the `calculator_options` "
            f"{options!r}: {type(error).__name__}: {error}. Is the program installed that it needs?"
        ) from error
    raise ValueError(
        f"AseEnergy: the `calculator` {name!r} takes no option {unknown[0]!r}"
        f"{_nearest(unknown[0], known)} In `calculator_options` it takes: {', '.join(known)}."
    )


def _class(name: str) -> Any:
    """The calculator's class: one of ASE's own names, or `module:Class` of another package."""
    elsewhere = ":" in name
    if not elsewhere and name not in calculator_names:
        raise ValueError(
            f"AseEnergy: ASE has no `calculator` {name!r}{_nearest(name, calculator_names)} It has: "
            f"{', '.join(calculator_names)}. Write others as module:Class, for example "
            '"tblite.ase:TBLite", or pass an instance.'
        )
    if elsewhere:
        return _of_another_package(name)
    try:
        return get_calculator_class(name)
    except Exception as error:
        raise ValueError(
            f"AseEnergy: the `calculator` {name!r} can't be imported: {type(error).__name__}: {error}. "
            "Is the package installed that has it?"
        ) from error


def _of_another_package(name: str) -> Any:
    """While a configuration is acted on, its package needs a user's trust."""
    cls = as_function(name, "AseEnergy: `calculator`")
    if not (isinstance(cls, type) and issubclass(cls, BaseCalculator)):
        raise ValueError(
            f"AseEnergy: `calculator` {name!r} must be a class of ASE's interface, a "
            f"{BaseCalculator.__module__}.{BaseCalculator.__name__}; got {cls!r}."
        )
    return cls


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=2)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else "."
