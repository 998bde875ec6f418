"""Where hiflow keeps what can be made again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where reference samples, image sets and compiled code are kept: the environment variable
    `HIFLOW_CACHE`, or the user's cache folder.

    **Example:**

    ```pycon
    >>> import os
    >>> os.environ["HIFLOW_CACHE"] = "my-cache"  # or in the shell
    >>> hf.data.cache_folder().name
    'my-cache'
    ```
    """
    if chosen := os.environ.get("HIFLOW_CACHE"):
        return Path(chosen)
    import platformdirs

    return platformdirs.user_cache_path("hiflow")
