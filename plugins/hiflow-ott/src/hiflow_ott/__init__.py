"""Entropic and low-rank optimal-transport couplings for hiflow, by ott-jax."""

from hiflow_ott._couplings import LowRankSinkhorn as LowRankSinkhorn
from hiflow_ott._couplings import Sinkhorn as Sinkhorn
