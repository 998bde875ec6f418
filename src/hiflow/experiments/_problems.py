"""All that is wrong with a file, said at once: problems are gathered, then raised as one error.

It is imported without JAX, as `read` is.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from hiflow._arguments import Fault, faults_of

T = TypeVar("T")


class ConfigError(ValueError):
    """A TOML file that can't be read as an experiment, with all that is wrong: the table and key of
    every problem, the value and the cure.

    **Arguments:**

    - `problems`: one or several, each a line.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> experiments.read("ring-quick", [("trainig.steps", 500)])
    Traceback (most recent call last):
        ...
    hiflow.experiments._problems.ConfigError: ring-quick: unknown name 'trainig'; ...
    ```
    """

    def __init__(self, *problems: str, source: str = ""):
        self.problems = problems
        self.source = source
        lead = f"{source}: " if source else ""
        if len(problems) == 1:
            super().__init__(lead + problems[0])
        else:
            lines = "".join(f"\n  - {problem}" for problem in problems)
            super().__init__(f"{lead}{len(problems)} problems:{lines}")


class Problems:
    """What was found wrong so far, each once."""

    def __init__(self):
        self._found: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, problem: str) -> None:
        """Note one that names its place itself."""
        self._found[problem] = None

    def note(self, where: str, error: Exception) -> None:
        """Note all that an error says, of the table or key `where`."""
        if isinstance(error, ConfigError):
            for problem in error.problems:
                self.add(problem)
            return
        self.note_all(where, faults_of(error))

    def note_all(self, where: str, faults: Iterable[Fault]) -> None:
        """Note the faults of the table or key `where`."""
        for fault in faults:
            self.add(worded(where, fault))

    def take(self, others: "Problems") -> None:
        """Note those of others too."""
        self._found.update(others._found)

    def tried(self, where: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T | None:
        """What the function gives, or `None` and a note of what is wrong."""
        try:
            return function(*args, **kwargs)
        # A component may be anyone's: whatever it raises is told with the table that it came of.
        except Exception as error:
            self.note(where, error)
            return None

    def refuse(self, source: str = "") -> None:
        """**Raises:** `ConfigError` with all of them, if there are any."""
        if self._found:
            raise ConfigError(*self._found, source=source)


def worded(where: str, fault: Fault) -> str:
    """A fault with its place in the file: the table, then the keys."""
    return f"{where}: {fault}" if where else str(fault)
