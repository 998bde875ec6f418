"""The optimiser of a run, with its schedule of learning rates."""

import dataclasses

import optax

from hiflow.training._schedules import LearningRate


@dataclasses.dataclass(frozen=True)
class Scheduled:
    """An Optax optimiser by name, behind clipping and a warm-up-cosine schedule, or one of its own.

    Hashable, so that runs which differ in their seed or data alone share one compiled step.

    **Arguments:**

    - `earlier`: where the run was to end before it was extended; the schedule begins again after each.
    """

    name: str
    learning_rate: LearningRate
    warmup: int
    clip: float
    steps: int
    earlier: tuple[int, ...] = ()

    def transformation(self) -> optax.GradientTransformation:
        """The optimiser."""
        optimiser = getattr(optax, self.name)(self.schedule())
        return optax.chain(optax.clip_by_global_norm(self.clip), optimiser)

    def schedule(self) -> optax.Schedule:
        """The learning rate by step."""
        if callable(self.learning_rate):
            return self.learning_rate
        starts, ends = (0, *self.earlier), (*self.earlier, self.steps)
        stretches = [self._over(end - start) for start, end in zip(starts, ends, strict=True)]
        return optax.join_schedules(stretches, list(self.earlier))

    def _over(self, steps: int) -> optax.Schedule:
        assert not callable(self.learning_rate)
        peak, warmup = self.learning_rate, min(self.warmup, steps // 2)
        return optax.warmup_cosine_decay_schedule(0.0, peak, warmup, steps, 0.01 * peak)


Optimiser = Scheduled | optax.GradientTransformation


def transformation_of(optimiser: Optimiser) -> optax.GradientTransformation:
    """The Optax optimiser."""
    return optimiser.transformation() if isinstance(optimiser, Scheduled) else optimiser
