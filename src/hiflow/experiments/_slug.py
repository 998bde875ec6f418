"""Labels as names of folders."""

import os


def slug(label: str) -> str:
    """A label as a folder's name."""
    return "".join(map(_in_a_name, label.lower())).strip("-")


def _in_a_name(character: str) -> str:
    if not character.isalnum():
        return "-"
    try:
        os.fsencode(character)
    except UnicodeEncodeError:  # Where the locale knows ASCII alone.
        return f"u{ord(character):x}"
    return character
