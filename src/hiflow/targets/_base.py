"""What a target is: the velocity that the network is asked for at a point of a conditional path."""

import abc
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array, Float, Int, PyTree, UInt32

from hiflow._summaries import Component
from hiflow.couplings import AbstractCoupling
from hiflow.data import Source, VirialReport
from hiflow.energies import AbstractEnergy
from hiflow.paths import AbstractPath
from hiflow.priors import AbstractPrior
from hiflow.registry import Registry


class Pair(Component):
    """A prior sample, the anchor of its data point, and a time.

    **Arguments:**

    - `x0`: the prior sample, as the coupling left it.
    - `anchor`: of the data point; where the path has noise of its own, with its draw.
    - `t`: the time.
    - `index`: which data point it is.
    - `seed`: for what a target draws.
    - `jitter`: the noise $\\xi$ of the copy that `x0` was paired with, if the coupling made one
      ([`SupportsJitter`][hiflow.couplings.SupportsJitter]).

    **Example:**

    ```pycon
    >>> path, t = hf.paths.OptimalTransport(), jnp.asarray(0.5)
    >>> pair = hf.targets.Pair(jnp.zeros(2), path.anchor(jnp.ones(2)), t,
    ...                        index=jnp.asarray(0), seed=jnp.uint32(0))
    >>> hf.targets.Plain()(path, pair)  # x_t, and the velocity asked for there
    (Array([0.5, 0.5], dtype=float32), Array([1., 1.], dtype=float32))
    ```
    """

    x0: Float[Array, "*event"]
    anchor: PyTree
    t: Float[Array, ""]
    index: Int[Array, ""]
    seed: UInt32[Array, ""]
    jitter: Float[Array, "*event"] | None = None


class AbstractTarget(Component):
    r"""A point $x_t$ and the velocity asked of the network there, which need not be the conditional
    one: any target with the same mean given $x_t$ has the same minimiser, the marginal velocity.

    Law (`hiflow.testing.check_target`): $E[\text{target} - u_t(x_t|x_1)\,|\,x_t] = 0$.

    A target that needs a look at the other parts, the data or the anchors is
    [`SupportsPreparation`][hiflow.targets.SupportsPreparation].

    **Example:**

    ```pycon
    >>> class Controlled(hf.targets.AbstractTarget):
    ...     def __call__(self, path, pair):
    ...         x, u = path.flow_and_velocity(pair.x0, pair.anchor, pair.t)
    ...         t, x1 = pair.t, pair.anchor
    ...         noise = t * pair.x0 - (1 - t) * x1  # its mean given x_t is 0 for normal x1
    ...         return x, u + noise / (t**2 + (1 - t) ** 2)
    ...
    >>> normal = hf.energies.Gaussian(jnp.zeros(2))
    >>> found = hf.testing.check_target(Controlled(), energy=normal)
    ```
    """

    @abc.abstractmethod
    def __call__(
        self, path: AbstractPath, pair: Pair
    ) -> tuple[Float[Array, "*event"], Float[Array, "*event"]]:
        """$x_t$ and the target there, for one sample. It runs in every training step: it should do no
        Hessian work and call no energy."""


registry = Registry("targets", AbstractTarget)


class Parts(NamedTuple):
    """What a target is used with. The energy is that which the data are samples of, if there is one.

    **Example:**

    ```pycon
    >>> parts = hf.targets.Parts(hf.paths.OptimalTransport(), hf.priors.Normal(2),
    ...                          hf.couplings.Independent(), energy=ring)
    >>> hf.targets.ForceControlled().check(parts)  # nothing to complain of
    ```
    """

    path: AbstractPath
    prior: AbstractPrior
    coupling: AbstractCoupling
    energy: AbstractEnergy | None


@runtime_checkable
class SupportsPrediction(Protocol):
    """A target that knows how much less noise it has than the plain one.

    **Example:**

    ```pycon
    >>> isinstance(hf.targets.ForceControlled(), hf.targets.SupportsPrediction)
    True
    ```
    """

    def removed(self, path: AbstractPath, t: Float[Array, ""]) -> Float[Array, ""]:
        """The variance per free direction that is taken out at time $t$."""
        ...


@runtime_checkable
class SupportsPreparation(Protocol):
    """A target that is made ready before training.

    **Example:**

    ```pycon
    >>> isinstance(hf.targets.ForceControlled(), hf.targets.SupportsPreparation)
    True
    >>> isinstance(hf.targets.Plain(), hf.targets.SupportsPreparation)
    False
    ```
    """

    def check(self, parts: Parts) -> None:
        """Raise `ValueError` where the target would be wrong, before any work is spent."""
        ...

    def check_data(self, points: Array | Source, virial: VirialReport | None) -> None:
        """Raise `ValueError` for data that the target would be wrong with. `virial` is what the data
        and the energy say of each other; `None` for too few points, or without an energy."""
        ...

    def path_for(self, parts: Parts) -> AbstractPath:
        """The path whose anchors hold what the target needs of a data point."""
        ...

    def prepare(self, parts: Parts, path: AbstractPath, anchors: PyTree) -> AbstractTarget:
        """The target that `fit` trains with. `path` is that of `path_for`, or another with the same
        law, and `anchors` are those of all points: arrays in memory, or memory-mapped ones."""
        ...
