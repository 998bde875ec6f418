"""The conformance kit: for every family a function that checks its laws on your own component.

Each raises `BrokenLawsError`, an `AssertionError` that names every broken law, where it broke and by
how much, and returns the largest violation of each law. Nothing here depends on a test runner.
"""

from hiflow.testing._any import check as check
from hiflow.testing._any import example as example
from hiflow.testing._coupling import check_coupling as check_coupling
from hiflow.testing._divergence import check_divergence as check_divergence
from hiflow.testing._energy import check_energy as check_energy
from hiflow.testing._field import check_velocity_field as check_velocity_field
from hiflow.testing._group import check_group as check_group
from hiflow.testing._hessian import check_hessian as check_hessian
from hiflow.testing._path import check_path as check_path
from hiflow.testing._points import relaxed_points as relaxed_points
from hiflow.testing._prior import check_prior as check_prior
from hiflow.testing._report import BrokenLawsError as BrokenLawsError
from hiflow.testing._report import Findings as Findings
from hiflow.testing._report import Law as Law
from hiflow.testing._spectral_map import check_spectral_map as check_spectral_map
from hiflow.testing._target import check_target as check_target
from hiflow.testing._time_sampler import check_time_sampler as check_time_sampler
from hiflow.testing._time_transform import check_time_transform as check_time_transform
