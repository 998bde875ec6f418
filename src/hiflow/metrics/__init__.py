"""Figures of merit: likelihoods, importance weights and what they say of free energies, distances from a
reference."""

from hiflow._distances import pair_distances as pair_distances
from hiflow._statistics import standard_error as standard_error
from hiflow.metrics._annealing import Annealed as Annealed
from hiflow.metrics._annealing import HasSamplesAndDensity as HasSamplesAndDensity
from hiflow.metrics._annealing import anneal as anneal
from hiflow.metrics._free_energy import Surface as Surface
from hiflow.metrics._free_energy import free_energy_between as free_energy_between
from hiflow.metrics._free_energy import free_energy_of_heating as free_energy_of_heating
from hiflow.metrics._free_energy import free_energy_surface as free_energy_surface
from hiflow.metrics._free_energy import ramachandran as ramachandran
from hiflow.metrics._held_out import SampleDistance as SampleDistance
from hiflow.metrics._held_out import held_out_score as held_out_score
from hiflow.metrics._likelihood import NLL as NLL
from hiflow.metrics._likelihood import Floor as Floor
from hiflow.metrics._likelihood import HasDensity as HasDensity
from hiflow.metrics._likelihood import negative_log_likelihood as negative_log_likelihood
from hiflow.metrics._units import FreeEnergy as FreeEnergy
from hiflow.metrics._wasserstein import Distance as Distance
from hiflow.metrics._wasserstein import energy_wasserstein as energy_wasserstein
from hiflow.metrics._wasserstein import torus_wasserstein as torus_wasserstein
from hiflow.metrics._wasserstein import wasserstein as wasserstein
from hiflow.metrics._weighing import HasSamples as HasSamples
from hiflow.metrics._weighing import equally_weighted as equally_weighted
from hiflow.metrics._weighing import importance_sample as importance_sample
from hiflow.metrics._weighing import weigh as weigh
from hiflow.metrics._weighted import Weighted as Weighted
from hiflow.metrics._weighted import of_every as of_every
