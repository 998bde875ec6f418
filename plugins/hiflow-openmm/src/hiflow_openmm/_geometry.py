"""Dihedral angles and chirality: what a chemist looks at."""

from collections.abc import Mapping, Sequence
from typing import Any

import hiflow as hf
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hiflow_openmm._energy import OpenMMEnergy
from hiflow_openmm._graph import neighbours


def torsions(energy: OpenMMEnergy, points: Any) -> Mapping[str, Float[Array, " n"]]:
    r"""The backbone's dihedrals $\phi$ and $\psi$ of `(n, atoms, 3)` points, in $(-\pi, \pi]$, as
    `"phi"` and `"psi"`; numbered from 1, `"phi1"`, …, where there are several.

    **Raises:** `ValueError` if the atoms have no names of a peptide.
    """
    found = backbone(energy)
    return {name: dihedral(points, atoms) for name, atoms in found.items()}


def backbone(energy: OpenMMEnergy) -> dict[str, tuple[int, int, int, int]]:
    """The atoms of the dihedrals of `torsions`, by their names."""
    names = [name.split("-")[-1] for name in energy.molecule.names]
    near = neighbours(len(energy.masses), energy.bonds)
    kinds: dict[str, list[tuple[int, int, int, int]]] = {"phi": [], "psi": []}
    for ca, name in enumerate(names):
        around = {names[i]: i for i in near[ca]}
        if name != "CA" or "N" not in around or "C" not in around:
            continue
        n, c = around["N"], around["C"]
        kinds["phi"] += [(i, n, ca, c) for i in near[n] if names[i] == "C"]
        kinds["psi"] += [(n, ca, c, i) for i in near[c] if names[i] == "N"]
    if not any(kinds.values()):
        raise ValueError(
            "torsions: no atom is called CA with an N and a C beside it. Give the energy a PDB file "
            "or a topology with the names of a peptide, or use `dihedral`."
        )
    return {
        kind if len(rows) == 1 else f"{kind}{k}": row
        for kind, rows in kinds.items()
        for k, row in enumerate(rows, 1)
    }


def dihedral(points: Any, atoms: Sequence[int]) -> Float[Array, "*n"]:
    """The angle about the middle two of four atoms, in radians, of `(*n, atoms, 3)` points:
    [`hiflow.coordinates.torsions`][], for one of them."""
    return hf.coordinates.torsions(jnp.asarray(points), [list(atoms)])[..., 0]


def same_chirality(energy: OpenMMEnergy, points: Any) -> Bool[Array, "*n"]:
    """Whether every stereocentre of `(*n, atoms, 3)` points is as in `energy.positions`: false for the
    mirror image, of which the energy is the same.

    A stereocentre is an atom with four neighbours of which at most one is an end; where there is none,
    every point passes.
    """
    centres = np.asarray(stereocentres(energy)).reshape(-1, 4)
    x = jnp.asarray(points)

    def volumes(x: Array) -> Array:
        centre = x[..., centres[:, 0], :]
        a, b, c = (x[..., centres[:, k], :] - centre for k in (1, 2, 3))
        return jnp.sum(a * jnp.cross(b, c), axis=-1)

    return jnp.all(volumes(x) * volumes(energy.positions) > 0, axis=-1)


def stereocentres(energy: OpenMMEnergy) -> list[tuple[int, int, int, int]]:
    """Each with three of its neighbours."""
    near = neighbours(len(energy.masses), energy.bonds)
    found = []
    for atom, around in enumerate(near):
        inner = [i for i in around if len(near[i]) > 1]
        if len(around) == 4 and len(inner) >= 3:
            found.append((atom, *inner[:3]))
    return found
