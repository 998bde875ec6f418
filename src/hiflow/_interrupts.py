"""Ctrl-C and SIGTERM: at once where nothing would be lost, else when the state is saved."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Only where nobody else has decided what they do.
_DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Terminated(SystemExit):
    """SIGTERM asked the process to end; with exit status 143 if nobody catches it."""

    def __init__(self, words: str = ""):
        super().__init__(128 + signal.SIGTERM)
        self.words = words


class Interrupts:
    """What Ctrl-C and SIGTERM do: they raise `KeyboardInterrupt` and `Terminated`, but while `holding`
    they are only noted in `asked`."""

    def __init__(self) -> None:
        self.asked: int | None = None
        self.holding = False

    def came(self, number: int, _frame: FrameType | None = None) -> None:
        """Raise, or note what is to be raised. The second one isn't held back."""
        again, self.asked = self.asked is not None, number
        if again or not self.holding:
            self.stop("")

    def stop(self, words: str) -> None:
        """Raise what was asked for."""
        if self.asked == signal.SIGTERM:
            raise Terminated(words)
        raise KeyboardInterrupt(words)

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Inside, nothing would be lost: what comes, or has come, raises at once."""
        before, self.holding = self.holding, False
        try:
            if self.asked is not None:
                self.stop("")
            yield
        finally:
            self.holding = before


_current: list[Interrupts] = []


@contextmanager
def interrupts(*, second_kills: bool = False) -> Iterator[Interrupts]:
    """Those of the process, from here on handled as [`Interrupts`][hiflow._interrupts.Interrupts]
    says; before and after, and in threads other than the main one, as Python does.

    **Arguments:**

    - `second_kills`: a second signal ends the process at once, even while compiled code runs.
    """
    if _current:
        yield _current[-1]
        return
    found = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield found
        return
    taken = {n: default for n, default in _DEFAULTS.items() if signal.getsignal(n) == default}
    _current.append(found)
    for number in taken:
        signal.signal(number, found.came)
    try:
        with _watched(set(taken)) if second_kills else _unwatched():
            yield found
    finally:
        for number, default in taken.items():
            signal.signal(number, default)
        _current.remove(found)


@contextmanager
def _unwatched() -> Iterator[None]:
    yield


@contextmanager
def _watched(numbers: set[int]) -> Iterator[None]:
    """A thread that ends the process at the second of these signals: Python's own handlers wait until
    compiled code gives way."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        seen = 0
        with reader:
            while came := reader.recv(1):
                seen += came[0] in numbers
                if seen > 1:
                    os._exit(128 + came[0])

    watching = threading.Thread(target=watch, name="signals", daemon=True)
    watching.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        writer.close()
        watching.join()
