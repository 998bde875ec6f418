"""What doesn't go with a prior that is known by its draws alone."""

from hiflow.paths import AbstractPath
from hiflow.priors import AbstractPrior, has_density
from hiflow.training._settings import Training


def check_draws_alone(prior: AbstractPrior, path: AbstractPath, training: Training) -> None:
    """Raise `ValueError` where a prior without a density meets settings or a path that need one."""
    if has_density(prior):
        return
    name = type(prior).__name__
    if training.selects:
        raise ValueError(
            f"fit: {training.selecting} judges by the NLL of held-out points, and `prior` ({name}) is "
            "known by its draws alone, so that there is none. Leave it out; `validation` then tells how "
            "far samples are from it."
        )
    if getattr(path, "approximate_start", False):
        raise ValueError(
            f"fit: `path` ({type(path).__name__}) only comes close to its start, a normal law, and "
            f"`prior` ({name}) is known by its draws alone. Take a path that starts at x₀ itself, such "
            "as 'optimal-transport' or 'bridge'."
        )
