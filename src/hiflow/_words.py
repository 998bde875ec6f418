"""Words of error messages."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: what was meant, if that can be guessed."""
    close = difflib.get_close_matches(str(word), list(known), n=2)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else "."
