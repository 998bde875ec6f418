"""Progress in a notebook that has no ipywidgets: a line of text that is written anew.

Rich draws bars in notebooks by ipywidgets, and without them it warns and shows nothing.
"""

import importlib.util
import time
from typing import Any

_EVERY = 0.5  # Seconds.


def without_widgets() -> bool:
    """Whether this is a notebook in which rich can't draw bars."""
    if importlib.util.find_spec("IPython") is None:
        return False
    from rich import get_console

    return get_console().is_jupyter and importlib.util.find_spec("ipywidgets") is None


class Line:
    """A line below the cell."""

    def __init__(self):
        from IPython.display import display

        self._shown, self._last = _Text(), float("-inf")
        self._handle: Any = display(self._shown, display_id=True)

    def show(self, text: str, *, at_once: bool = False) -> None:
        """What it says now; twice a second at most, but for what is to be seen `at_once`."""
        self._shown.text = text
        now = time.perf_counter()
        if self._handle is not None and (at_once or now - self._last >= _EVERY):
            self._handle.update(self._shown)
            self._last = now


class _Text:
    """Shown by its `repr` without quotes."""

    text = ""

    def __repr__(self) -> str:
        return self.text
