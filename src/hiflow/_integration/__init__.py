"""Integrals along the solutions of a differential equation, for many starts side by side."""

from hiflow._integration._lanes import in_chunks as in_chunks
from hiflow._integration._problem import Field as Field
from hiflow._integration._problem import Interval as Interval
from hiflow._integration._problem import Report as Report
from hiflow._integration._solve import solve_adaptively as solve_adaptively
from hiflow._integration._solve import solve_in_steps as solve_in_steps
from hiflow._integration._width import width_for as width_for
