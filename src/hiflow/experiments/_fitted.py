"""Energies and Hessian providers of an experiment: of a fixed form, from a file, or made of its own
training points."""

import copy
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
from jaxtyping import Array, Float
from rich.console import Console

from hiflow import energies, groups, hessians, priors
from hiflow._arguments import Fault, faults_in
from hiflow._disk import fingerprint, is_whole, write_json
from hiflow._kinds import shown, wanted
from hiflow.experiments._toml import ConfigError, Experiment, Table
from hiflow.groups._periods import periods_of


def is_fitted(table: object) -> bool:
    """Whether a table names an energy that is to be fitted to data."""
    if isinstance(table, str):
        table = {"name": table}
    if not isinstance(table, Mapping) or "file" in table:
        return False
    if not isinstance(table.get("name"), str):
        return False
    return issubclass(energies.registry.get(table["name"]), energies.SupportsFitting)


def make_energy(experiment: Experiment) -> energies.AbstractEnergy | None:
    """The energy that the experiment's data have, if it has one. One that is fitted to the data is none:
    [`make_arm`][hiflow.experiments.make_arm] gives it to the paths.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> energy = experiments.make_energy(experiments.read("ring-quick"))
    >>> type(energy).__name__
    'Ring'
    ```
    """
    table = experiment.tables.get("energy")
    if table is None or is_fitted(table):
        return None
    return FittedEnergies(()).make(table)


class FittedEnergies:
    """Makes energies of tables. Without points it makes blanks of the same kind, so that an experiment
    is checked before data are drawn.

    What was fitted is kept in `folder` with its held-out score and read from there the next time.

    **Arguments:**

    - `points`, `test`: what to fit to, and what to judge the fit by.
    - `seed`: of the fits.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> fitted = experiments.FittedEnergies((2,), points)
    >>> type(fitted.make({"name": "fitted-gaussian", "rank": 1})).__name__
    'FittedGaussian'
    ```
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        points: Float[Array, "n *event"] | None = None,
        test: Float[Array, "m *event"] | None = None,
        *,
        seed: int = 0,
        folder: Path | None = None,
        console: Console | None = None,
    ):
        self.shape, self.points, self.test = shape, points, test
        self.seed, self.folder, self.console = seed, folder, console
        self.group: groups.AbstractGroup = groups.Trivial()
        self._made: dict[str, energies.AbstractEnergy] = {}

    def around(self, prior: priors.AbstractPrior) -> "FittedEnergies":
        """The same with the periods of an arm's prior, if it has some."""
        other = copy.copy(self)
        if periods_of(prior.group, self.shape) is not None:
            other.group = prior.group
        return other

    def make(self, table: Any, size: int | None = None) -> energies.AbstractEnergy:
        """The energy that a table asks for: from its `file`, fitted to the first `size` points, or of a
        fixed form."""
        if isinstance(table, Mapping) and "file" in table:
            return _from_file(table)
        if not is_fitted(table):
            return energies.registry.make(table)
        table = {"name": table} if isinstance(table, str) else dict(table)
        around = {} if isinstance(self.group, groups.Trivial) else {"group": self.group}
        name = f"{table['name']}-{fingerprint(table=table, size=size, **around).digest[:8]}"
        if name not in self._made:
            self._made[name] = self._fit(name, table, size)
        return self._made[name]

    def inside(
        self, table: Any, size: int | None, energy: energies.AbstractEnergy | None = None
    ) -> Any:
        """A path's table with the energies in it made, and the Hessian providers that are made of data.

        **Arguments:**

        - `energy`: the experiment's, whose symmetry the points have.
        """
        if not isinstance(table, Mapping):
            return table
        made = {key: self.make(value, size) for key, value in table.items() if key == "energy"}
        energy = made.get("energy", energy)
        for key, value in table.items():
            if key == "hessian":
                made[key] = self._hessian(value, size, energy)
            elif key != "energy":
                made[key] = self.inside(value, size, energy)
        return made

    def _hessian(self, table: Any, size: int | None, energy: energies.AbstractEnergy | None) -> Any:
        name = table.get("name") if isinstance(table, Mapping) else table
        cls = hessians.registry.get(name) if isinstance(name, str) else None
        if not (cls and issubclass(cls, hessians.SupportsPoints)):
            return self.inside(table, size, energy)
        given = table if isinstance(table, Mapping) else {}
        settings = {key: value for key, value in given.items() if key != "name"}
        _refuse(f"hessian {name!r}", _faults(cls.fit, settings, ("points", "group", "key")))
        if self.points is None:
            return cls.blank(self.shape, **settings)
        group = self.group if energy is None else energy.group
        return cls.fit(self.points[:size], group=group, key=self._key, **settings)

    def _fit(self, name: str, table: Table, size: int | None) -> energies.AbstractEnergy:
        settings = {key: value for key, value in table.items() if key != "name"}
        cls: Any = energies.registry.get(table["name"])
        _refuse(f"energy {table['name']!r}", _faults(cls.fit, settings, ("points", "key")))
        kind = cls
        if not isinstance(self.group, groups.Trivial):
            kind, settings = energies.Wrapped, {**settings, "family": cls, "group": self.group}
        if self.points is None:
            return kind.blank(self.shape, **settings)
        place = None if self.folder is None else self.folder / f"{name}.hiflow"
        # One that is damaged is fitted again: the same points and key give the same energy.
        if place is not None and is_whole(place):
            packages = {each.__module__.partition(".")[0] for each in (cls, type(self.group))}
            return energies.load(place, trust=tuple(packages))
        energy = kind.fit(self.points[:size], key=self._key, **settings)
        self._judge(energy, place, table, size)
        return energy

    @property
    def _key(self) -> Array:
        return jax.random.fold_in(jax.random.key(self.seed), 2)

    def _judge(self, energy: Any, place: Path | None, table: Table, size: int | None) -> None:
        assert self.points is not None
        found = energy.held_out(self.points[:size] if self.test is None else self.test)
        if self.console is not None:
            self.console.print(
                f"energy {table['name']}: {found.what} {found.value:.3f} ± {found.se:.3f} on test "
                "points",
                markup=False,
            )
        if place is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            described = {"energy": table, "size": size, "what": found.what}
            described |= {"value": found.value, "se": found.se}
            write_json(place.with_suffix(".json"), described)
            energies.save(energy, place)


def _faults(fit: Callable[..., object], settings: Table, given: Iterable[str]) -> list[Fault]:
    """What is wrong with a fit's settings; some of its arguments are given by the experiment."""
    hidden = [name for name in given if name in settings]
    words = "must be left out: the experiment gives it."
    return [*(Fault((name,), words) for name in hidden), *faults_in(fit, settings)]


def _refuse(what: str, faults: list[Fault]) -> None:
    if faults:
        error = ValueError(f"{what}: {faults[0]}")
        vars(error)["faults"] = faults
        raise error


def _from_file(table: Mapping[str, Any]) -> energies.AbstractEnergy:
    others = [name for name in table if name not in ("name", "file")]
    if others:
        raise ConfigError(
            f"`energy` must be the `file` alone, which holds the rest: leave out {', '.join(others)}."
        )
    if (words := wanted(str, table["file"])) is not None:
        raise ConfigError(f"`energy`: `file` must be {words}; got {shown(table['file'])}.")
    energy = energies.load(table["file"])
    expected = energies.registry.get(table["name"]) if "name" in table else type(energy)
    if not isinstance(energy, expected):
        raise ConfigError(
            f"`energy` must be the {table['name']!r} that the table names: {table['file']} holds a "
            f"{type(energy).__name__}."
        )
    return energy
