"""Serial robot arms for hiflow: potentials over joint angles, and the torus of joints that wrap."""

from hiflow_robotics._arm import SerialArm as SerialArm
from hiflow_robotics._network import PeriodicMLP as PeriodicMLP
from hiflow_robotics._prior import JointUniform as JointUniform
from hiflow_robotics._torus import Torus as Torus
