"""Couplings: how prior samples are paired with data points."""

from hiflow._distances import squared_distances as squared_distances
from hiflow.couplings._base import AbstractCoupling as AbstractCoupling
from hiflow.couplings._base import SupportsKinds as SupportsKinds
from hiflow.couplings._base import SupportsPreparation as SupportsPreparation
from hiflow.couplings._base import registry as registry
from hiflow.couplings._independent import Independent as Independent
from hiflow.couplings._jittered import Jittered as Jittered
from hiflow.couplings._jittered import SupportsJitter as SupportsJitter
from hiflow.couplings._minibatch_ot import MinibatchOT as MinibatchOT
from hiflow.couplings._precomputed import Precomputed as Precomputed
from hiflow.couplings._symmetric import EquivariantOT as EquivariantOT
from hiflow.couplings._symmetric import SymmetryAligned as SymmetryAligned
from hiflow.groups._assignment import assignment as assignment
