"""Chemical elements by their symbols, and what an order of atoms is called."""

import itertools
from collections.abc import Sequence

SYMBOLS = [
    "X",
    "H",
    "He",
    "Li",
    "Be",
    "B",
    "C",
    "N",
    "O",
    "F",
    "Ne",
    "Na",
    "Mg",
    "Al",
    "Si",
    "P",
    "S",
    "Cl",
    "Ar",
    "K",
    "Ca",
    "Sc",
    "Ti",
    "V",
    "Cr",
    "Mn",
    "Fe",
    "Co",
    "Ni",
    "Cu",
    "Zn",
    "Ga",
    "Ge",
    "As",
    "Se",
    "Br",
    "Kr",
    "Rb",
    "Sr",
    "Y",
    "Zr",
    "Nb",
    "Mo",
    "Tc",
    "Ru",
    "Rh",
    "Pd",
    "Ag",
    "Cd",
    "In",
    "Sn",
    "Sb",
    "Te",
    "I",
    "Xe",
    "Cs",
    "Ba",
    "La",
    "Ce",
    "Pr",
    "Nd",
    "Pm",
    "Sm",
    "Eu",
    "Gd",
    "Tb",
    "Dy",
    "Ho",
    "Er",
    "Tm",
    "Yb",
    "Lu",
    "Hf",
    "Ta",
    "W",
    "Re",
    "Os",
    "Ir",
    "Pt",
    "Au",
    "Hg",
    "Tl",
    "Pb",
    "Bi",
    "Po",
    "At",
    "Rn",
    "Fr",
    "Ra",
    "Ac",
    "Th",
    "Pa",
    "U",
    "Np",
    "Pu",
    "Am",
    "Cm",
    "Bk",
    "Cf",
    "Es",
    "Fm",
    "Md",
    "No",
    "Lr",
    "Rf",
    "Db",
    "Sg",
    "Bh",
    "Hs",
    "Mt",
    "Ds",
    "Rg",
    "Cn",
    "Nh",
    "Fl",
    "Mc",
    "Lv",
    "Ts",
    "Og",
]
"""By atomic number."""


def in_words(species: Sequence[int]) -> str:
    """`C H3 O H` for 6, 1, 1, 1, 8, 1: runs of one element, in their order."""
    runs = [(SYMBOLS[number], len(list(run))) for number, run in itertools.groupby(species)]
    return " ".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in runs)


def refuse_other_species(
    species: Sequence[int], wanted: Sequence[int], subject: str, other: str | None = None
) -> None:
    """Raise `ValueError` unless the atoms are of these elements, in this order: the energy's, or those
    of an `other` file."""
    if tuple(species) == tuple(wanted):
        return
    wants = "the energy wants" if other is None else f"{other!r} has"
    lists = f"it has {in_words(species)}, and {wants} {in_words(wanted)}"
    if sorted(species) == sorted(wanted):
        raise ValueError(
            f"{subject}: its atoms are in another order: {lists}. Every frame would be another "
            "molecule: bring the file's atoms, or those of the other, into one order."
        )
    raise ValueError(
        f"{subject}: its atoms are other ones: {lists}. Strip solvent and ions from the file, add what "
        "is missing, or give what is of that system."
    )
