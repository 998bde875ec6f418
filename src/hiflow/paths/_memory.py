"""How much memory anchors may take, and how much there is."""

from pathlib import Path

import jax

# Of what is free: training, and whatever else runs, needs some too.
_SHARE = 0.5


def free_bytes() -> int:
    """The memory that is free where anchors would be: of the device if it has its own, else of the host
    or of the container that this process is in."""
    device = jax.config.values.get("jax_default_device") or jax.local_devices()[0]
    stats = device.memory_stats() if isinstance(device, jax.Device) else None
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    # Needed once in a run, and not by the import of the library.
    import psutil

    return min(psutil.virtual_memory().available, _left_in_container())


def budget_bytes(budget: int | str) -> int:
    """A budget in bytes: itself, or for `"auto"` half of what is free.

    **Example:**

    ```pycon
    >>> hf.paths.budget_bytes(2**30)
    1073741824
    >>> hf.paths.budget_bytes("auto") > 2**20  # half of what is free
    True
    ```
    """
    return int(_SHARE * free_bytes()) if isinstance(budget, str) else budget


def _left_in_container(folder: Path = Path("/sys/fs/cgroup")) -> int:
    """What the container's limit leaves, a very large number without one (Linux, version 2)."""
    try:
        limit, used = (
            (folder / f"memory.{name}").read_text().strip() for name in ("max", "current")
        )
        return 2**62 if limit == "max" else max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return 2**62
