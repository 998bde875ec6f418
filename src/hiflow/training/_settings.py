"""The settings of a training run: each said once, with its check."""

import dataclasses
import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import optax

from hiflow import couplings, targets, time_samplers
from hiflow._checks import (
    Refused,
    check_settings,
    flag,
    nearest,
    number,
    one_of,
    setting,
    whole,
)
from hiflow._disk import fingerprint
from hiflow.couplings import AbstractCoupling
from hiflow.networks._low_products import COMPUTE
from hiflow.paths import ANCHOR_DTYPES
from hiflow.registry import Named, Registry
from hiflow.targets import AbstractTarget
from hiflow.time_samplers import AbstractTimeSampler
from hiflow.training._finish import finishing
from hiflow.training._schedules import LearningRate, learning_rate

T = TypeVar("T")


def _named(registry: Registry[T], value: object) -> Named[T]:
    if isinstance(value, registry.base):
        return value
    if isinstance(value, str) or (isinstance(value, Mapping) and "name" in value):
        registry.get(registry.table_of(value)["name"])
        return value
    raise Refused(f"must be an {registry.base.__name__}, its name, or a table with a `name`")


def _coupling(value: object) -> Named[AbstractCoupling]:
    return _named(couplings.registry, value)


def _time_sampler(value: object) -> AbstractTimeSampler:
    return time_samplers.registry.make(_named(time_samplers.registry, value))


def _target(value: object) -> AbstractTarget:
    return targets.registry.make(_named(targets.registry, value))


def _optimiser(value: object) -> str | optax.GradientTransformation:
    if isinstance(value, optax.GradientTransformation):
        return value
    if _takes_a_rate(value):
        name = getattr(value, "__name__", "adam")
        raise Refused(f"must be made with a learning rate: call it, as optax.{name}(1e-3)")
    known = [name for name, item in vars(optax).items() if _takes_a_rate(item)]
    if not isinstance(value, str) or value not in known:
        raise Refused(
            f"must be the name of one of Optax's optimisers{nearest(str(value), known)[:-1]}"
        )
    return value


def _takes_a_rate(item: object) -> bool:
    return inspect.isfunction(item) and "learning_rate" in inspect.signature(item).parameters


def _standardise(value: object) -> bool | str:
    if isinstance(value, bool) or value in ("scalar", "features"):
        return value
    raise Refused("must be true, false, 'scalar' or 'features'")


def _steps(value: object) -> int | tuple[int, ...]:
    every = whole(1)
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return tuple(every(step) for step in value)
    return every(value)


def _folder(value: object) -> str | None:
    if value is not None and not isinstance(value, str | os.PathLike):
        raise Refused("must be the path of a folder")
    return None if value is None else os.fspath(value)


def _patience(value: object) -> int | None:
    return None if value is None else whole(1)(value)


def _open_flag(value: object) -> bool | None:
    return None if value is None else flag(value)


def _budget(value: object) -> int | str:
    try:
        return "auto" if isinstance(value, str) and value == "auto" else whole(1)(value)
    except Refused:
        raise Refused('must be a whole number of bytes, at least 1, or "auto"') from None


@dataclasses.dataclass(frozen=True)
class Training:
    """How a flow is trained. [`fit`][hiflow.fit] takes these fields as keywords, and an experiment's
    `[training]` table has the same names and defaults.

    **Arguments:**

    - `steps`, `batch_size`: how many updates, each from how many pairs.
    - `learning_rate`, `warmup`: peak of a cosine schedule that ends at 1 % of it, and the steps of
      linear rise before. Or, in place of both, a schedule of Optax: a function of the step, or a table
      of its name and arguments, `{name = "linear_schedule", init_value = 1e-3, end_value = 0.0,
      transition_steps = 1000}`. It goes on by the step's number where a run is extended.
    - `clip`: the gradient's largest global norm.
    - `optimiser`: an Optax optimiser's name, or an Optax transformation, which then replaces the
      schedule and the clipping too.
    - `ema`: decay of the exponential moving average of the weights; 0 keeps the last weights.
    - `compute`: `"bfloat16"` makes the network's matrix products and convolutions in bfloat16 while it
      trains, any network's ([mixed precision](../devices.md#mixed-precision)); weights, optimiser, loss
      and targets stay as they are, and so does the flow, which samples and has densities in float32.
      `"float32"` rounds nothing, and `"auto"` leaves it to the network, of which
      [`UNet`][hiflow.networks.UNet] has a `compute` of its own.
    - `coupling`, `time_sampler`, `target`: components, their names or tables.
    - `augment`: turn every sample and its target velocity by a random element of the energy's group
      (the prior's if there is no energy), for networks that don't have the symmetry built in.
    - `condition_dropout`: the share of samples whose condition is left out, so that the flow is one
      without a condition too, and can be [guided][hiflow.Flow.guided].
    - `standardise`: train in coordinates in which the data are as wide as the prior and about the
      origin: `"features"` scales and shifts every coordinate, `"scalar"` scales all alike, `True` takes
      the finer one that the group allows. `prior` and the path's numbers are then in these coordinates,
      the path's energy is seen through them, and the flow's samples and densities are the data's
      ([`Standardised`][hiflow.Standardised]).
    - `validate_at`: the steps at which the NLL and NFE of the validation points are logged (a number
      means "every so many"), besides the end.
    - `patience`: end the run after so many validations in a row that were no better than the best
      before; `None` never does. `keep`: return the weights of the `"last"` step, or those of the step
      with the `"best"` validation NLL. Either is by the NLL of `fit`'s `validation` points, at
      `validate_at` and the end; an experiment takes the `validation` points of its `[data]`, never the
      test points.
    - `finish`: maximum likelihood after the last step, a table of [`finish`][hiflow.finish]'s settings,
      such as `{steps = 100, learning_rate = 1e-4}`, `estimator = "path"` among them, which takes the
      energy's forces; the flow gets the weights of the lowest NLL of the
      `validation` points. `None` or `False`: none.
    - `log_every`: after how many steps the mean loss since the last row is added to the
      [`History`][hiflow.History] and shown to callbacks.
    - `anchor_dir`: keep the anchors on disk, in a folder there that runs with the same path and data
      share ([`store_anchors`][hiflow.paths.store_anchors]), and read those of coming batches in the
      background. `None` keeps them in memory. The parameters are the same, bit for bit.
    - `anchor_budget`: the most bytes of anchors that are held in memory; where they need more they are
      kept on disk, with a warning, as if by `anchor_dir` in a temporary folder. `"auto"` is half of the
      memory that is free on the device, or on the host or in its container.
    - `anchor_dtype`: `"float32"`, or `"float16"` for eigenvectors of half the size
      ([`make_anchors`][hiflow.paths.make_anchors]); steps compute in the data's precision.
    - `checkpoint_every`: after how many steps the state is saved, if it is saved at all.
    - `shard_parameters`: on several devices, keep a part of the weights, their average and the
      optimiser's memory on each, and gather the weights in every step; else each has all of them.
    - `shard_anchors`: likewise keep a part of the anchors on each, and send those of a batch to where
      they are needed; `None` does so where they take more than a gibibyte.

    **Raises:** `ValueError` for a value of another type or out of range, with the field's name.

    **Example:**

    ```pycon
    >>> settings = hf.Training(steps=40, batch_size=64, coupling="minibatch-ot")
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key,
    ...               training=settings, learning_rate=3e-3, progress=False)
    >>> settings.changed(steps=2_000).steps
    2000
    >>> hf.Training(steps=0)
    Traceback (most recent call last):
        ...
    ValueError: `steps` must be at least 1 and whole; got 0.
    ```
    """

    # Run-time type checkers leave the constructor alone: the fields' own checks are its type checks.
    __no_type_check__: ClassVar[bool] = True

    steps: int = setting(whole(1), 2_000)
    batch_size: int = setting(whole(1), 128)
    learning_rate: LearningRate | Mapping[str, Any] = setting(learning_rate, 1e-3)
    warmup: int = setting(whole(0), 100)
    clip: float = setting(number("a positive number", lambda x: x > 0), 1.0)
    optimiser: str | optax.GradientTransformation = setting(_optimiser, "adam")
    ema: float = setting(number("in [0, 1)", lambda x: 0 <= x < 1), 0.999)
    compute: str = setting(one_of(*COMPUTE), "auto")
    coupling: Named[AbstractCoupling] = setting(_coupling, "independent")
    time_sampler: Named[AbstractTimeSampler] = setting(_time_sampler, "stratified")
    target: Named[AbstractTarget] = setting(_target, "plain")
    augment: bool = setting(flag, False)
    condition_dropout: float = setting(number("in [0, 1)", lambda x: 0 <= x < 1), 0.0)
    standardise: bool | str = setting(_standardise, False)
    validate_at: int | Sequence[int] = setting(_steps, (), trajectory=False)
    patience: int | None = setting(_patience, None)
    keep: str = setting(one_of("last", "best"), "last")
    finish: Mapping[str, Any] | bool | None = setting(finishing, None)
    log_every: int = setting(whole(1), 50, trajectory=False)
    anchor_dir: str | os.PathLike[str] | None = setting(_folder, None, trajectory=False)
    anchor_budget: int | str = setting(_budget, "auto", trajectory=False)
    anchor_dtype: str = setting(one_of(*ANCHOR_DTYPES), "float32")
    checkpoint_every: int = setting(whole(1), 500, trajectory=False)
    shard_parameters: bool = setting(flag, False, trajectory=False)
    shard_anchors: bool | None = setting(_open_flag, None, trajectory=False)

    def __post_init__(self):
        check_settings(self)

    @property
    def selects(self) -> bool:
        """Whether the weights depend on validation."""
        return self.stops_or_keeps or self.finish is not None

    @property
    def stops_or_keeps(self) -> bool:
        """Whether validations on the way decide when training ends, or which weights it returns."""
        return self.patience is not None or self.keep == "best"

    @property
    def selecting(self) -> str:
        """The setting that makes the weights depend on validation, in words."""
        if self.keep == "best":
            return "keep='best'"
        return "`finish`" if self.patience is None else f"`patience` ({self.patience})"

    def changed(self, **settings: Any) -> "Training":
        """The same with other settings.

        **Raises:** `TypeError` for an unknown setting; `ValueError` for a wrong value.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in settings:
            if name not in known:
                raise TypeError(
                    f"unknown setting {name!r}{nearest(name, known)} There are {', '.join(known)}."
                )
        return dataclasses.replace(self, **settings)

    def identity(self) -> dict[str, str]:
        """A fingerprint of every setting that the trained weights depend on, by its name."""
        return {
            field.name: fingerprint(value=getattr(self, field.name)).digest
            for field in dataclasses.fields(self)
            if field.metadata.get("trajectory", True)
        }


def as_training(value: object) -> Training:
    """Settings from themselves, a table of fields, or `None` for the defaults."""
    if isinstance(value, Training):
        return value
    if value is None or isinstance(value, Mapping):
        return Training().changed(**(value or {}))
    raise ValueError(
        f"`training` must be a hiflow.Training or a table of its fields, got {value!r}."
    )
