"""Training: a network, a path and data in, a flow out."""

from hiflow.training._choice import Choice as Choice
from hiflow.training._choice import Tried as Tried
from hiflow.training._choose import choose_path as choose_path
from hiflow.training._data_checks import ScaleWarning as ScaleWarning
from hiflow.training._finish import finish as finish
from hiflow.training._fit import fit as fit
from hiflow.training._fit_many import fit_many as fit_many
from hiflow.training._history import History as History
from hiflow.training._learn import learn_path as learn_path
from hiflow.training._moments import Callback as Callback
from hiflow.training._moments import Moment as Moment
from hiflow.training._moments import Stop as Stop
from hiflow.training._settings import Training as Training
