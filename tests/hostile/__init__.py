"""Flow files that somebody made to run code, fill the memory, or pass for another density; and what
loading them does."""

from collections.abc import Iterator
from pathlib import Path

from hostile._arrays import arrays, fields, of_particles
from hostile._containers import archives, texts
from hostile._examine import Finding as Finding
from hostile._examine import examine as examine
from hostile._names import named, settings
from hostile._parts import Parts, archive
from hostile._parts import honest_files as honest_files


def hostile(honest: Path, particles: Path, inflated: int = 2**28) -> Iterator[tuple[str, bytes]]:
    """The files, as names and contents; one would inflate to so many bytes."""
    for name, change in {**named(), **settings(), **arrays(), **fields()}.items():
        for older in (False, True):
            parts = Parts(honest)
            change(parts)
            if older:  # A file of format 2, which has no checksum.
                del parts.manifest["sha256"]
                parts.manifest["hiflow-format"] = 2
            yield name + " (format 2)" * older, archive(list(parts.members().items()))
    for name, change in of_particles().items():
        parts = Parts(particles)
        change(parts)
        yield name, archive(list(parts.members().items()))
    yield from texts(Parts(honest))
    yield from archives(Parts(honest), inflated)
