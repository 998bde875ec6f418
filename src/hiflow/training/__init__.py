"""Training: a network, a path and data in, a flow out."""

from hiflow.training._fit import fit as fit
