"""Divergences of velocity fields: exact, or estimated with probes that are drawn once."""

from hiflow.divergences._base import AbstractDivergence as AbstractDivergence
from hiflow.divergences._base import registry as registry
from hiflow.divergences._exact import Exact as Exact
from hiflow.divergences._hutchinson import Hutchinson as Hutchinson
from hiflow.divergences._low_rank import HutchPlusPlus as HutchPlusPlus
from hiflow.divergences._low_rank import XTrace as XTrace
