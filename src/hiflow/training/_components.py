"""Components of instances, names and tables, each with what the others tell of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxtyping import PRNGKeyArray

from hiflow import energies, networks, paths, priors
from hiflow.energies import AbstractEnergy
from hiflow.networks import AbstractVelocityField
from hiflow.paths import AbstractPath
from hiflow.priors import AbstractPrior
from hiflow.registry import Named
from hiflow.training._distinctions import distinctions

_CONDITIONS = {"classes", "condition_size"}


@dataclasses.dataclass(frozen=True)
class Components:
    """Makes the parts of a flow for events of one shape: with that shape, the prior's symmetry and
    scale, the energy and what it tells apart, and the conditions that are `asked` of the network,
    wherever their classes take them."""

    event_shape: tuple[int, ...]
    key: PRNGKeyArray
    asked: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def _events(self) -> dict[str, Any]:
        known: dict[str, Any] = {"shape": self.event_shape}
        if len(self.event_shape) == 2:
            known |= {"particles": self.event_shape[0], "dim": self.event_shape[1]}
        return known

    def prior(self, prior: Named[AbstractPrior]) -> AbstractPrior:
        return priors.registry.make(prior, **self._events)

    def network(
        self,
        network: Named[AbstractVelocityField],
        prior: AbstractPrior,
        energy: AbstractEnergy | None = None,
    ) -> AbstractVelocityField:
        known = {**self._events, "projects_on": prior.group, "key": self.key}
        known |= distinctions(energy)
        # A table that says one of the two has said what its conditions are.
        if not (isinstance(network, Mapping) and _CONDITIONS & set(network)):
            known |= self.asked
        return networks.registry.make(network, **known)

    def path(
        self, path: Named[AbstractPath], prior: AbstractPrior, energy: AbstractEnergy | None
    ) -> AbstractPath:
        scale = getattr(prior, "scale", None)
        known = {"group": prior.group, "prior_scale": scale, "energy": energy}
        given = {name: value for name, value in known.items() if value is not None}
        return paths.registry.make(path, **given)


def make_components(
    network: Named[AbstractVelocityField],
    path: Named[AbstractPath],
    prior: Named[AbstractPrior],
    energy: Named[AbstractEnergy] | None,
    event_shape: tuple[int, ...],
    key: PRNGKeyArray,
    asked: Mapping[str, Any] | None = None,
) -> tuple[AbstractVelocityField, AbstractPath, AbstractPrior, AbstractEnergy | None]:
    """The components themselves, where names or tables were given."""
    made = Components(event_shape, key, asked or {})
    known = None if energy is None else energies.registry.make(energy)
    start = made.prior(prior)
    field = made.network(network, start, told_energy(path, known))
    return field, made.path(path, start, known), start, known


def told_energy(path: Named[AbstractPath], known: AbstractEnergy | None) -> AbstractEnergy | None:
    """The energy whose distinctions a network that is only named is built for."""
    return getattr(path, "energy", None) if known is None else known
