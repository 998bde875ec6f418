"""Symmetry groups: what an energy, a prior or a path is invariant or equivariant under."""

from hiflow.groups._base import AbstractDiscreteGroup as AbstractDiscreteGroup
from hiflow.groups._base import AbstractGroup as AbstractGroup
from hiflow.groups._base import AbstractSymmetric as AbstractSymmetric
from hiflow.groups._base import SupportsAlignment as SupportsAlignment
from hiflow.groups._base import SupportsPeriods as SupportsPeriods
from hiflow.groups._base import linear_part as linear_part
from hiflow.groups._base import registry as registry
from hiflow.groups._finite import AbstractFiniteGroup as AbstractFiniteGroup
from hiflow.groups._image import Cyclic as Cyclic
from hiflow.groups._image import Dihedral as Dihedral
from hiflow.groups._periods import reference_measure as reference_measure
from hiflow.groups._permutation import Permutation as Permutation
from hiflow.groups._product import Product as Product
from hiflow.groups._representation import LinearRepresentation as LinearRepresentation
from hiflow.groups._rotation import Rotation as Rotation
from hiflow.groups._translation import Translation as Translation
from hiflow.groups._trivial import Trivial as Trivial
