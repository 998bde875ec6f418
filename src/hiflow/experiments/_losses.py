"""Which loss every arm minimised, in words, where it isn't the usual one."""

from hiflow import targets
from hiflow.experiments._arm import settings_of
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._problems import Problems
from hiflow.time_samplers import AbstractTimeSampler, SupportsObjective, loss_of
from hiflow.training import Training


def losses(comparison: Comparison) -> list[str]:
    """A line for every loss and target but the plain one over uniform times, with the arms it is of."""
    found: dict[str, list[str]] = {}
    for member in comparison.members:
        tables = [table for table in member.experiment.arms if table["label"] == member.label]
        training = settings_of(member.experiment, tables[0], Problems())[0] if tables else None
        if training is None:
            continue
        words = _words(training)
        if words and member.label not in found.setdefault(words, []):
            found[words].append(member.label)
    return [f"- {', '.join(labels)}: {words}" for words, labels in found.items()]


def _words(training: Training) -> str:
    target, sampler = training.target, training.time_sampler
    assert isinstance(target, targets.AbstractTarget), "made by the settings' own check"
    assert isinstance(sampler, AbstractTimeSampler), "made by the settings' own check"
    plain = isinstance(target, targets.Plain)
    parts = [] if plain else [f"target {targets.registry.name_of(target)!r}"]
    if isinstance(sampler, SupportsObjective):
        parts.append(f"the loss is {loss_of(sampler)}")
    return "; ".join(parts)
