"""What the bonds say: neighbours, and what turns about a bond."""

import numpy as np

from hiflow_openmm._terms import Torsions

Pairs = tuple[tuple[int, int], ...]

# In kT: a bond that the force field holds this firmly is a double bond's, such as an amide's.
_STIFF = 25.0


def single_bonds(number: int, bonds: Pairs, terms: tuple[object, ...]) -> Pairs:
    """The bonds that may be turned, each with the atom first whose side is the larger: they are in no
    ring and have further atoms on both sides. Those whose torsional barrier, by these terms, exceeds
    25 kT are left out: turning an amide would mix cis into trans, which thermal motion doesn't."""
    near = neighbours(number, bonds)
    held = _barriers(terms)
    found = []
    for j, k in bonds:
        if len(near[j]) < 2 or len(near[k]) < 2 or held.get((j, k), 0.0) > _STIFF:
            continue
        behind = side(near, j, k)
        if j not in behind:
            found.append((j, k) if 2 * len(behind) <= number else (k, j))
    return tuple(found)


def neighbours(number: int, bonds: Pairs) -> list[list[int]]:
    """The atoms that each of `number` atoms is bonded to."""
    near: list[list[int]] = [[] for _ in range(number)]
    for i, j in bonds:
        near[i].append(j)
        near[j].append(i)
    return near


def _barriers(terms: tuple[object, ...]) -> dict[tuple[int, int], float]:
    """About each bond, the height of its torsions' barriers if they all add up."""
    found: dict[tuple[int, int], float] = {}
    for term in terms:
        if isinstance(term, Torsions):
            heights = 2 * np.hypot(np.asarray(term.cosine), np.asarray(term.sine)).sum(0)
            for (_, j, k, _), height in zip(term.atoms, heights, strict=True):
                bond = (min(j, k), max(j, k))
                found[bond] = found.get(bond, 0.0) + float(height)
    return found


def side(near: list[list[int]], j: int, k: int) -> set[int]:
    """The atoms that can be reached from `k` without its bond to `j`; `j` is among them in a ring."""
    seen, front = {k}, [k]
    while front:
        atom = front.pop()
        for i in near[atom]:
            if i not in seen and (atom, i) != (k, j):
                seen.add(i)
                front.append(i)
    return seen
