"""Whose packages may be named by files that are acted on."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

NAME = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)
# `None` where Python code itself names things, and no file does.
trusted: ContextVar[tuple[str, ...] | None] = ContextVar("trusted", default=None)


@contextmanager
def trusting(*packages: str) -> Iterator[None]:
    """While a file is acted on: the names in it are looked up in these packages too, and nowhere else.

    **Raises:** `ValueError` for what isn't the name of a package.
    """
    token = trusted.set((*(trusted.get() or ()), *as_packages(packages)))
    try:
        yield
    finally:
        trusted.reset(token)


def as_packages(trust: Sequence[str]) -> tuple[str, ...]:
    """Names of packages, checked."""
    packages = (trust,) if isinstance(trust, str) else tuple(trust)
    for package in packages:
        if not isinstance(package, str) or NAME.fullmatch(f"{package}:x") is None:
            raise ValueError(
                f"`trust` must hold names of packages, as ('my_package',), got {package!r}."
            )
    return packages
