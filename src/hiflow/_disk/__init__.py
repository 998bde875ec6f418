"""All that touches the disk: the one atomic writer, the one fingerprint, and modules in a file."""

from typing import TYPE_CHECKING

from hiflow._lazy import attach

if TYPE_CHECKING:
    from hiflow._disk._archive import array_or_archive as array_or_archive
    from hiflow._disk._archive import inflated as inflated
    from hiflow._disk._archive import read_arrays as read_arrays
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
    from hiflow._disk._modules import is_whole as is_whole
    from hiflow._disk._modules import load as load
    from hiflow._disk._modules import save as save
    from hiflow._disk._names import function_of_configuration as function_of_configuration
    from hiflow._disk._open import check_new_file as check_new_file
    from hiflow._disk._open import open_file as open_file
    from hiflow._disk._pickling import let_functions_be_pickled as let_functions_be_pickled
    from hiflow._disk._text import DamagedFile as DamagedFile
    from hiflow._disk._text import kept as kept
    from hiflow._disk._text import parse_json as parse_json
    from hiflow._disk._text import read_json as read_json
    from hiflow._disk._text import read_text as read_text
    from hiflow._disk._trust import trusting as trusting
else:
    _NAMES = {
        "array_or_archive": "_archive",
        "inflated": "_archive",
        "read_arrays": "_archive",
        "check_new_file": "_open",
        "open_file": "_open",
        "is_whole": "_modules",
        "function_of_configuration": "_names",
        "let_functions_be_pickled": "_pickling",
        "DamagedFile": "_text",
        "kept": "_text",
        "parse_json": "_text",
        "read_json": "_text",
        "read_text": "_text",
        "trusting": "_trust",
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
