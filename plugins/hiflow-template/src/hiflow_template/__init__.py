"""A starting point for a hiflow plug-in: an energy and a spectral map."""

from hiflow_template._banana import Banana as Banana
from hiflow_template._logarithmic import Logarithmic as Logarithmic
