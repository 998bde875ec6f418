"""Training: a network, a path and data in, a flow out."""

from hiflow.training._fit import fit as fit
from hiflow.training._preflight import ScaleWarning as ScaleWarning
from hiflow.training._settings import Training as Training
