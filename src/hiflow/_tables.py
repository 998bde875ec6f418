"""An experiment's tables as read from TOML, and the checks of their names."""

import dataclasses
import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any


class ConfigError(ValueError):
    """A TOML file that can't be read as an experiment; the message names the place and the cure."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One TOML file: what the arms share, and the arms."""

    name: str
    text: str
    tables: Mapping[str, Any]

    @property
    def seeds(self) -> list[int]:
        """The seeds that the file asks for."""
        return list(self.tables.get("seeds", [0]))

    @property
    def arms(self) -> list[dict[str, Any]]:
        """The arms' tables in order, in every variant: `arm` and `variant` are the parts of `label`.

        A variant's `training` is added to that of the arm, its `prior` and `network` replace the arm's.
        """
        arms = [{"arm": arm["label"], "variant": "", **arm} for arm in self.tables["arm"]]
        variants = self.tables.get("variant")
        return [_varied(a, v) for v in variants for a in arms] if variants else arms


def check_names(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise `ConfigError` for a name that isn't known, with the nearest that is."""
    known = list(known)
    for name in table:
        if name not in known:
            raise ConfigError(
                f"{where}: unknown name {name!r}{nearest(name, known)} Known: {', '.join(known)}."
            )


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else "."


def parameters(function: Any) -> list[str]:
    """The names that a function takes."""
    return list(inspect.signature(function).parameters)


def defaults(function: Any) -> dict[str, Any]:
    """The default values of the arguments that have one."""
    found = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in found if each.default is not each.empty}


def keywords(function: Any) -> list[str]:
    """The names that a function takes by name alone."""
    found = inspect.signature(function).parameters.values()
    return [each.name for each in found if each.kind is each.KEYWORD_ONLY]


def _varied(arm: dict[str, Any], variant: Mapping[str, Any]) -> dict[str, Any]:
    training = {**arm.get("training", {}), **variant.get("training", {})}
    label = f"{arm['label']}, {variant['label']}"
    return {**arm, **variant, "label": label, "variant": variant["label"], "training": training}
