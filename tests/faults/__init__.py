"""Small deliberate faults in the library, one file per wing, each with the test that has to catch it."""

from faults._mutation import Mutation as Mutation
from faults.components import FAULTS as COMPONENTS
from faults.data import FAULTS as DATA
from faults.disk import FAULTS as DISK
from faults.energies import FAULTS as ENERGIES
from faults.experiments import FAULTS as EXPERIMENTS
from faults.flow import FAULTS as FLOW
from faults.groups import FAULTS as GROUPS
from faults.hessians import FAULTS as HESSIANS
from faults.house import FAULTS as HOUSE
from faults.kit import FAULTS as KIT
from faults.networks import FAULTS as NETWORKS
from faults.paths import FAULTS as PATHS
from faults.targets import FAULTS as TARGETS
from faults.training import FAULTS as TRAINING

MUTATIONS: list[Mutation] = [
    *COMPONENTS,
    *PATHS,
    *ENERGIES,
    *HESSIANS,
    *GROUPS,
    *NETWORKS,
    *FLOW,
    *TARGETS,
    *TRAINING,
    *HOUSE,
    *DATA,
    *DISK,
    *EXPERIMENTS,
    *KIT,
]
