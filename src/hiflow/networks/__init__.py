"""Velocity fields: the trainable networks of a flow."""

from hiflow.networks._base import AbstractVelocityField as AbstractVelocityField
from hiflow.networks._base import SupportsComplaint as SupportsComplaint
from hiflow.networks._base import SupportsDivergence as SupportsDivergence
from hiflow.networks._base import registry as registry
from hiflow.networks._egnn import EGNN as EGNN
from hiflow.networks._from_vector import FromVector as FromVector
from hiflow.networks._mlp import MLP as MLP
from hiflow.networks._unet import UNet as UNet
