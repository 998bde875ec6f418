"""The environment of the peers: made once, in a folder of the user's cache."""

import hashlib
import os
import subprocess
import venv
from pathlib import Path

from _peers.workers import ROOT

# hiflow's own version range of JAX decides; everything else is the newest that fits.
PEERS = ("torchcfm", "flow_matching", "torchdyn", "POT", "ott-jax[neural]", "jaxfm")
VERSIONS = (
    "jax", "equinox", "diffrax", "optax", "numpy", "scipy", "torch", "torchcfm", "flow_matching",
    "torchdyn", "POT", "ott-jax", "flax", "jaxfm",
)  # fmt: skip


def cache() -> Path:
    """The folder in which the environment, trained weights and compiled code are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "hiflow" / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def python_of(folder: Path, torch: str) -> Path:
    """The interpreter of the environment in a folder, made and filled if need be.

    **Raises:** `CalledProcessError` if a package can't be installed.
    """
    wanted = (torch, *PEERS, "-e", str(ROOT))
    stamp, python = folder / "complete", folder / "bin" / "python"
    digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == digest):
        print(f"installing {', '.join(wanted[:-2])} and hiflow into {folder}", flush=True)
        if not python.exists():
            venv.create(folder, with_pip=True, symlinks=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
        stamp.write_text(digest)
    return python
