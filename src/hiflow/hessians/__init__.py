"""Hessian providers: how the curvature of an energy at a point is got."""

from hiflow.hessians._base import AbstractHessian as AbstractHessian
from hiflow.hessians._base import SupportsPoints as SupportsPoints
from hiflow.hessians._base import free_basis as free_basis
from hiflow.hessians._base import registry as registry
from hiflow.hessians._block_diagonal import BlockDiagonal as BlockDiagonal
from hiflow.hessians._dense import Analytic as Analytic
from hiflow.hessians._dense import Dense as Dense
from hiflow.hessians._diagonal import Diagonal as Diagonal
from hiflow.hessians._diagonal import EstimatedDiagonal as EstimatedDiagonal
from hiflow.hessians._gauss_newton import GaussNewton as GaussNewton
from hiflow.hessians._lanczos import Lanczos as Lanczos
from hiflow.hessians._low_rank import LowRank as LowRank
from hiflow.hessians._neighbours import Neighbours as Neighbours
from hiflow.hessians._quenched import Quenched as Quenched
from hiflow.hessians._shared_basis import SharedBasis as SharedBasis
from hiflow.hessians._shared_basis import shared_vectors as shared_vectors
from hiflow.hessians._symmetry_projected import SymmetryProjected as SymmetryProjected
