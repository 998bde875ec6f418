"""All that touches the disk: the one atomic writer, the one fingerprint, and modules in a file."""

from typing import TYPE_CHECKING

from hiflow._lazy import attach

if TYPE_CHECKING:
    from hiflow._disk._arrays import write_arrays as write_arrays
    from hiflow._disk._atomic import write_json as write_json
    from hiflow._disk._atomic import write_text as write_text
    from hiflow._disk._atomic import written as written
    from hiflow._disk._fingerprint import Fingerprint as Fingerprint
    from hiflow._disk._fingerprint import fingerprint as fingerprint
    from hiflow._disk._fingerprint import structure as structure
    from hiflow._disk._folder import cache_folder as cache_folder
    from hiflow._disk._lock import in_use as in_use
    from hiflow._disk._lock import locked as locked
    from hiflow._disk._modules import load as load
    from hiflow._disk._modules import save as save
else:
    _NAMES = {
        "write_arrays": "_arrays",
        "write_json": "_atomic",
        "write_text": "_atomic",
        "written": "_atomic",
        "Fingerprint": "_fingerprint",
        "fingerprint": "_fingerprint",
        "structure": "_fingerprint",
        "cache_folder": "_folder",
        "in_use": "_lock",
        "locked": "_lock",
        "load": "_modules",
        "save": "_modules",
    }
    __getattr__, __dir__, __all__ = attach(__name__, _NAMES)
