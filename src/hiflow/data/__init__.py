"""Data: samples and images from files, reference samplers for energies, and the virial check."""

from hiflow._disk import cache_folder
from hiflow.data._atoms import are_atoms, to_atoms, write_atoms
from hiflow.data._cache import clear_cache
from hiflow.data._idx import load_idx
from hiflow.data._images import PixelTransform, images, labels, levels
from hiflow.data._load import load
from hiflow.data._report import SamplingReport
from hiflow.data._sampler import SamplingWarning, sample
from hiflow.data._samples import Samples
from hiflow.data._source import Source, SupportsRows, as_source
from hiflow.data._suspicions import SuspiciousDataWarning, shared_points, warn_if_suspicious
from hiflow.data._trajectory import Trajectory, needs_topology
from hiflow.data._virial import VirialReport, check_virial, warn_if_inconsistent

__all__ = [
    "PixelTransform",
    "Samples",
    "SamplingReport",
    "SamplingWarning",
    "Source",
    "SupportsRows",
    "SuspiciousDataWarning",
    "Trajectory",
    "VirialReport",
    "are_atoms",
    "as_source",
    "cache_folder",
    "check_virial",
    "clear_cache",
    "images",
    "labels",
    "levels",
    "load",
    "load_idx",
    "needs_topology",
    "sample",
    "shared_points",
    "to_atoms",
    "warn_if_inconsistent",
    "warn_if_suspicious",
    "write_atoms",
]
