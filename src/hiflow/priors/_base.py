"""What a prior is: a normalised density that is easy to sample, invariant under a group."""

import abc
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.groups import AbstractSymmetric
from hiflow.registry import Registry


class AbstractPrior(AbstractSymmetric):
    r"""$p_0$, the law of the flow at $t = 0$.

    Laws (`hiflow.testing.check_prior`): samples lie in the image of `group.project`, their moments
    match the density, and the density is invariant under `group`. `log_prob` is with respect to
    Lebesgue measure on the image of `group.project`.

    **Example:**

    ```pycon
    >>> class Laplace(hf.priors.AbstractPrior):
    ...     event_shape = (2,)
    ...     group = hf.groups.Trivial()
    ...     def sample(self, key):
    ...         return jax.random.laplace(key, (2,))
    ...     def log_prob(self, x):
    ...         return jnp.sum(jax.scipy.stats.laplace.logpdf(x))
    ...
    >>> found = hf.testing.check_prior(Laplace())  # its laws hold
    ```
    """

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        """One sample."""

    @abc.abstractmethod
    def log_prob(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        """The log density at one event, in nats."""


def advice(value: object) -> str:
    """For whoever gives samples, or what draws them."""
    if callable(value) and not isinstance(value, type):
        return " A sampler is one as hiflow.priors.FunctionPrior(sample, shape)."
    if hasattr(value, "shape"):
        return " Samples are one as hiflow.priors.EmpiricalPrior(samples)."
    return ""


registry = Registry("priors", AbstractPrior, advice)


@runtime_checkable
class SupportsCovariance(Protocol):
    """A prior that is Gaussian, whatever its shape: what a path's density needs to know of it.

    **Example:**

    ```pycon
    >>> prior = hf.priors.GaussianPrior([1.0, 4.0], shape=2)
    >>> isinstance(prior, hf.priors.SupportsCovariance)
    True
    >>> prior.mean, prior.covariance_matrix
    (Array(0., dtype=float32), Array([[1., 0.],
           [0., 4.]], dtype=float32))
    ```
    """

    @property
    def mean(self) -> Float[Array, "..."]:
        """A number, or of the event shape."""
        ...

    @property
    def covariance_matrix(self) -> Float[Array, "dim dim"]:
        """Over the flattened event; singular where `group.project` removes directions."""
        ...


@runtime_checkable
class SupportsFitting(Protocol):
    """A prior that can be fitted to data: what `prior = {name = "...", fit = "data"}` in an experiment's
    file needs.

    **Example:**

    ```pycon
    >>> issubclass(hf.priors.GaussianPrior, hf.priors.SupportsFitting)
    True
    >>> hf.priors.GaussianPrior.blank((2,)).event_shape
    (2,)
    ```
    """

    @classmethod
    def fit(cls, data: Any, **settings: Any) -> AbstractPrior:
        """The prior of these `(n, *event)` points."""
        ...

    @classmethod
    def blank(cls, shape: tuple[int, ...], **settings: Any) -> AbstractPrior:
        """A prior of this event shape that has seen no data, with `fit`'s settings and their checks.
        What takes a prior can be checked with it before there are data."""
        ...
