"""Whether a network tells apart what the energy tells apart, and how one that is only named comes to."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from hiflow._programs import compiled
from hiflow.energies import AbstractEnergy, SupportsFitting
from hiflow.groups import AbstractGroup, Permutation, Product, Rotation, Trivial
from hiflow.networks import AbstractVelocityField
from hiflow.priors import AbstractPrior
from hiflow.training._symmetries import sample_and_moved

# Prior samples whose energies are compared. They may be calculations on the host.
_LOOKED_AT = 4


def distinctions(energy: AbstractEnergy | None) -> dict[str, Any]:
    """The arguments of a network that say what the energy's group tells apart, as far as it does.

    A group of rotations or translations without permutations exchanges no particles.
    """
    found = [] if energy is None else _factors(energy.group)
    if energy is None or len(energy.event_shape) != 2 or not found:
        return {}
    particles, dim = energy.event_shape
    exchanges = [factor for factor in found if isinstance(factor, Permutation)]
    known: dict[str, Any] = {
        "species": exchanges[0].species if exchanges else tuple(range(particles))
    }
    for factor in found:
        if isinstance(factor, Rotation) and dim in (2, 3):
            known["reflections"] = factor.reflections
    return known


def check_distinctions(
    network: AbstractVelocityField, prior: AbstractPrior, energy: AbstractEnergy
) -> None:
    """Raise `ValueError` if the network moves alike what the energy tells apart: no flow of such a
    network has the energy's density.

    By what their groups are; where the energy's says nothing of a symmetry of the network's, by the
    energies of prior samples. An energy that was fitted to data may have less symmetry than they have.
    """
    if isinstance(energy, SupportsFitting):
        return
    for factor in _factors(network.group):
        words = _told_apart(factor, energy)
        if words is None:
            words = _found_apart(factor, prior, energy)
        if words:
            raise ValueError(
                f"fit: `network` ({type(network).__name__}) doesn't tell apart what `energy` "
                f"({type(energy).__name__}) does: {words} A network that is only named takes both from "
                "the energy's group."
            )


def _factors(group: AbstractGroup) -> list[AbstractGroup]:
    if isinstance(group, Product):
        return [factor for each in group.groups for factor in _factors(each)]
    return [] if isinstance(group, Trivial) else [group]


def _told_apart(factor: AbstractGroup, energy: AbstractEnergy) -> str | None:
    """How the energy's group tells apart what a factor of the network's doesn't, "" if it doesn't, and
    `None` if it doesn't say."""
    if isinstance(factor, Permutation) and _is_identity(factor.kinds(energy.event_shape)):
        return ""
    same = [other for other in _factors(energy.group) if type(other) is type(factor)]
    if not same:
        return None
    (other,) = same
    if isinstance(factor, Permutation) and isinstance(other, Permutation):
        kinds, others = (group.kinds(energy.event_shape) for group in (factor, other))
        merged = np.argwhere((kinds[:, None] == kinds) & (others[:, None] != others))
        if not merged.size:
            return ""
        assert other.species is not None
        i, j = merged[0].tolist()
        species = list(other.species)
        return (
            f"exchanging particles {i} and {j}, which are {species[i]!r} and {species[j]!r}. Pass "
            f"species={species} to EGNN."
        )
    if isinstance(factor, Rotation) and isinstance(other, Rotation):
        mirrored = factor.reflections and not other.reflections and factor.dim > 1
        return "mirror images. Pass reflections=False to EGNN." if mirrored else ""
    return "" if factor == other else None


def _is_identity(kinds: np.ndarray) -> bool:
    return len(np.unique(kinds)) == len(kinds)


def _found_apart(factor: AbstractGroup, prior: AbstractPrior, energy: AbstractEnergy) -> str:
    """The same of an energy whose group doesn't say: by its values, where they are finite."""
    keys = jax.random.split(jax.random.key(0), _LOOKED_AT)
    before, after = (np.asarray(part) for part in _energies(energy, prior, factor, keys))
    finite = np.isfinite(before) & np.isfinite(after)
    change = np.where(finite, np.abs(np.where(finite, after, 0) - np.where(finite, before, 0)), 0)
    apart = change > 1e-3 * (1 + np.abs(np.where(finite, before, 0)))
    if not apart.any():
        return ""
    cures = {
        Permutation: "Pass `species` to EGNN, one label per particle: equal ones may be exchanged.",
        Rotation: "Pass reflections=False to EGNN if it is mirror images; otherwise use MLP.",
    }
    cure = cures.get(type(factor), "Use MLP, which tells all events apart.")
    return f"{factor} changes it by {change[apart].max():.3g} at samples of the prior. {cure}"


# As in `_symmetries`, once for all arms.
@compiled()
def _energies(
    energy: AbstractEnergy, prior: AbstractPrior, factor: AbstractGroup, keys: Array
) -> tuple[Array, Array]:
    """The energies of prior samples and of the same ones moved by a group."""

    x, y = jax.vmap(lambda key: sample_and_moved(prior, factor, key))(keys)
    return jax.vmap(energy)(x), jax.vmap(energy)(y)
