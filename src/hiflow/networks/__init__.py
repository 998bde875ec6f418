"""Velocity fields: the trainable networks of a flow."""

from hiflow.networks._base import AbstractVelocityField as AbstractVelocityField
from hiflow.networks._base import SupportsComplaint as SupportsComplaint
from hiflow.networks._base import SupportsDivergence as SupportsDivergence
from hiflow.networks._base import registry as registry
from hiflow.networks._conditioned import SupportsConditions as SupportsConditions
from hiflow.networks._conditioned import asked_of as asked_of
from hiflow.networks._conditioned import conditions_of as conditions_of
from hiflow.networks._conditions import AbstractConditions as AbstractConditions
from hiflow.networks._conditions import Labels as Labels
from hiflow.networks._conditions import Vector as Vector
from hiflow.networks._egnn import EGNN as EGNN
from hiflow.networks._from_vector import FromVector as FromVector
from hiflow.networks._mlp import MLP as MLP
from hiflow.networks._told import Guided as Guided
from hiflow.networks._told import told as told
from hiflow.networks._unet import UNet as UNet
