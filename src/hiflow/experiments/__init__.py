"""Experiments: TOML files, the run folders that they are trained into, and what came of them."""

from typing import TYPE_CHECKING

from hiflow._lazy import attach

if TYPE_CHECKING:
    from hiflow.experiments._arm import Arm as Arm
    from hiflow.experiments._arm import make_arm as make_arm
    from hiflow.experiments._compare import compare as compare
    from hiflow.experiments._comparison import Comparison as Comparison
    from hiflow.experiments._data import event_shape as event_shape
    from hiflow.experiments._data import make_data as make_data
    from hiflow.experiments._data import make_samples as make_samples
    from hiflow.experiments._data import make_validation as make_validation
    from hiflow.experiments._drawn import write_drawn as write_drawn
    from hiflow.experiments._evaluate import evaluate_file as evaluate_file
    from hiflow.experiments._failures import Failure as Failure
    from hiflow.experiments._failures import settings_of as settings_of
    from hiflow.experiments._failures import summary as summary
    from hiflow.experiments._finished import finished as finished
    from hiflow.experiments._finished import remember as remember
    from hiflow.experiments._fitted import FittedEnergies as FittedEnergies
    from hiflow.experiments._fitted import make_energy as make_energy
    from hiflow.experiments._image_data import pixel_transform as pixel_transform
    from hiflow.experiments._member import Member as Member
    from hiflow.experiments._member import test_points as test_points
    from hiflow.experiments._packaged import packaged_experiments as packaged_experiments
    from hiflow.experiments._plan import plan as plan
    from hiflow.experiments._plan import show_plan as show_plan
    from hiflow.experiments._record import Record as Record
    from hiflow.experiments._report import draw as draw
    from hiflow.experiments._report import write as write
    from hiflow.experiments._report import write_report as write_report
    from hiflow.experiments._run_folder import RunFolder as RunFolder
    from hiflow.experiments._run_folder import check_drawn_file as check_drawn_file
    from hiflow.experiments._run_folder import flow_files as flow_files
    from hiflow.experiments._schema import schema as schema
    from hiflow.experiments._show import show as show
    from hiflow.experiments._starter import STARTER as STARTER
    from hiflow.experiments._toml import ConfigError as ConfigError
    from hiflow.experiments._toml import Experiment as Experiment
    from hiflow.experiments._toml import read as read
    from hiflow.experiments._train import train as train
else:
    _NAMES = {
        "Arm": "_arm",
        "make_arm": "_arm",
        "compare": "_compare",
        "Comparison": "_comparison",
        "event_shape": "_data",
        "make_data": "_data",
        "make_samples": "_data",
        "make_validation": "_data",
        "pixel_transform": "_image_data",
        "write_drawn": "_drawn",
        "evaluate_file": "_evaluate",
        "Failure": "_failures",
        "settings_of": "_failures",
        "summary": "_failures",
        "finished": "_finished",
        "remember": "_finished",
        "FittedEnergies": "_fitted",
        "make_energy": "_fitted",
        "Member": "_member",
        "test_points": "_member",
        "schema": "_schema",
        "STARTER": "_starter",
        "show": "_show",
        "draw": "_report",
        "write": "_report",
        "packaged_experiments": "_packaged",
        "write_report": "_report",
        "plan": "_plan",
        "show_plan": "_plan",
        "Record": "_record",
        "RunFolder": "_run_folder",
        "check_drawn_file": "_run_folder",
        "flow_files": "_run_folder",
        "ConfigError": "_toml",
        "Experiment": "_toml",
        "read": "_toml",
        "train": "_train",
    }
    __getattr__, __dir__, __all__ = attach(__name__, _NAMES)
