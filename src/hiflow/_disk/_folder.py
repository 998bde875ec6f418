"""Where hiflow keeps what can be made again."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Where reference samples, image sets and compiled code are kept: the environment variable
    `HIFLOW_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("HIFLOW_CACHE") or platformdirs.user_cache_dir("hiflow"))
