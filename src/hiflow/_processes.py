"""Several processes of one program: who leads, how they wait for each other, and how they end."""

import itertools
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar, cast

import jax
import numpy as np
from jax.experimental import multihost_utils

T = TypeVar("T")
# A leader may have hours of work that the others wait for; whoever dies meanwhile is noticed anyway.
_PATIENCE_SECONDS = 12 * 3600
_LONGEST = 4000
_LOST = ("Gloo", "NCCL", "RCCL", "coordination service", "Connection", "Barrier")
_numbers = itertools.count()
_seen = 0


def join(
    coordinator: str | None, processes: int | None, process: int | None, heartbeat: int
) -> None:
    """Become one of several processes, before JAX has touched a device. Without the first three
    arguments they are found in the environment that SLURM and Open MPI give.

    **Arguments:**

    - `coordinator`: `host:port` of process 0.
    - `heartbeat`: after how many seconds without a sign of life a process counts as dead.

    **Raises:** `ValueError` for some of the three alone, or where nothing is found; `ConnectionError` if
    the others can't be reached.
    """
    given = {"--coordinator": coordinator, "--processes": processes, "--process": process}
    missing = [name for name, value in given.items() if value is None]
    if 0 < len(missing) < 3:
        raise ValueError(f"--distributed: {', '.join(missing)} must be given too, or none of them.")
    if not missing and not 0 <= process < processes:  # pyright: ignore[reportOperatorIssue]
        raise ValueError(
            f"--process must be from 0 to one less than --processes, {processes}; got {process}."
        )
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            heartbeat_timeout_seconds=heartbeat,
            shutdown_timeout_seconds=heartbeat,
        )
    except ValueError as error:
        raise ValueError(
            f"--distributed: no SLURM or MPI job is around this process ({error}). Pass --coordinator "
            "HOST:PORT of process 0, --processes and --process."
        ) from error
    except RuntimeError as error:
        raise ConnectionError(f"--distributed: {error}") from error


def several() -> bool:
    """Whether this is one of several processes."""
    return jax.process_count() > 1


def leads() -> bool:
    """Whether this is the process that writes files."""
    return jax.process_index() == 0


def exchange(text: str) -> list[str]:
    """Every process's text, in their order. All wait for all.

    **Raises:** `ConnectionError` if a process has died.
    """
    if not several():
        return [text]
    # Imported here because it takes two seconds that one process alone doesn't need to spend.
    import orbax.checkpoint as ocp

    raw = text.encode()[:_LONGEST]
    line = np.frombuffer(raw.ljust(_LONGEST, b"\0"), np.uint8)
    with noticing_loss():
        # The barrier has patience; what is gathered after it is quick.
        ocp.multihost.sync_global_processes(
            f"hiflow-{next(_numbers)}",
            timeout=_PATIENCE_SECONDS,
            processes=set(range(jax.process_count())),
        )
        rows = np.asarray(multihost_utils.process_allgather(line)).reshape(-1, _LONGEST)
    return [row.tobytes().rstrip(b"\0").decode(errors="replace") for row in rows]


def by_leader(action: Callable[[], T]) -> T | None:
    """What `action` gives to the leader, while the others wait; they get `None`.

    **Raises:** what it raises, and `ValueError` with the same words in the others.
    """
    if not several():
        return action()
    made, error = None, None
    if leads():
        try:
            made = action()
        except Exception as caught:
            error = caught
    said = exchange("" if error is None else f"{type(error).__name__}: {error}")[0]
    if error is not None:
        raise error
    if said:
        raise ValueError(f"process 0 stopped by {said}")
    return made


def leader_first(action: Callable[[], T]) -> T:
    """What `action` gives, where the leader leaves something on disk that the others then find."""
    made = by_leader(action)
    return cast(T, made) if leads() else action()


def check_same(digests: Mapping[str, str]) -> None:
    """Raise `ValueError` unless all processes have the same of everything."""
    found = [json.loads(text) for text in exchange(json.dumps(digests))]
    for process, theirs in enumerate(found):
        for name in digests:
            if theirs.get(name) != found[0].get(name):
                raise ValueError(
                    f"fit: `{name}` of process {process} isn't that of process 0. Every process has to "
                    "be given the same, whole; each then works on its part."
                )


def asked_to_end(step: int) -> bool:
    """Whether one of the processes got SIGTERM, after so many steps of training; true for all of them
    after the same step."""
    global _seen
    if not several():
        return False
    # JAX chooses the number after the last that any process asked for, so that none may be left out.
    # Orbax asks for the steps that it saves.
    passed = (_seen + 1, *range(_seen + 2 if _seen < step else 1, step + 1))
    _seen = step
    return any(multihost_utils.reached_preemption_sync_point(each) for each in passed)


@contextmanager
def noticing_loss() -> Iterator[None]:
    """Turns what communication raises if a process has died into a `ConnectionError`."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if not several() or not any(word in str(error) for word in _LOST):
            raise
        raise ConnectionError(
            f"process {jax.process_index()} of {jax.process_count()} has lost another one, which died "
            f"or can't be reached ({str(error).strip().splitlines()[0][:200]})"
        ) from error


@contextmanager
def ending_together() -> Iterator[None]:
    """Ends this process at once where an error leaves it, so that the others notice."""
    try:
        yield
    except BaseException as error:
        code = error.code if isinstance(error, SystemExit) else 1
        if not several() or code in (0, None):
            raise
        if not isinstance(error, SystemExit | KeyboardInterrupt):
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        # The interpreter's own way out would first wait for the others to end.
        os._exit(code if isinstance(code, int) else 1)
