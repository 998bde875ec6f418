"""What the host was asked before: results by the bytes of their arguments, the oldest given up first."""

import collections
import hashlib

import numpy as np

Results = tuple[np.ndarray, ...]


class Cache:
    """Results of functions of arrays, bounded in bytes."""

    def __init__(self, size: int):
        self.size = size
        self._held: collections.OrderedDict[bytes, Results] = collections.OrderedDict()
        self._bytes = 0

    def get(self, key: bytes) -> Results | None:
        """What was kept under the key, if it still is."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def keep(self, key: bytes, results: Results) -> None:
        """Keep copies, and let go of what was used the longest ago."""
        results = tuple(np.array(result) for result in results)
        if key in self._held or (size := _bytes(results)) > self.size:
            return
        self._held[key] = results
        self._bytes += size
        while self._bytes > self.size:
            self._bytes -= _bytes(self._held.popitem(last=False)[1])


def key_of(what: str, *arrays: np.ndarray) -> bytes:
    """Equal for equal arguments of one function."""
    digest = hashlib.blake2b(what.encode(), digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _bytes(results: Results) -> int:
    # With what Python needs for a key and an array.
    return sum(result.nbytes + 150 for result in results)
