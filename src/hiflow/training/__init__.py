"""Training: a network, a path and data in, a flow out."""

from hiflow.training._finish import finish as finish
from hiflow.training._fit import fit as fit
from hiflow.training._history import History as History
from hiflow.training._moments import Callback as Callback
from hiflow.training._moments import Moment as Moment
from hiflow.training._moments import Stop as Stop
from hiflow.training._preflight import ScaleWarning as ScaleWarning
from hiflow.training._settings import Training as Training
