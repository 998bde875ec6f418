"""Forks of a process that has computed: refused, because they would hang."""

import os

_computing: list[int] = []


def refuse_fork() -> None:
    """Called before anything is computed.

    **Raises:** `RuntimeError` in a process that was forked from one that had called this: JAX's threads
    aren't in it, and what waits for them never ends.
    """
    if not _computing:
        _computing.append(os.getpid())
    elif _computing[0] != os.getpid():
        raise RuntimeError(
            "this process was forked from one that had computed with JAX, whose threads don't survive a "
            "fork: it would wait for them without end. Start workers by "
            "multiprocessing.get_context('spawn'); flows, networks and energies can be pickled."
        )
