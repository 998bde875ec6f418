"""A coupling that sees jittered copies of the data points."""

from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from hiflow import groups
from hiflow._checks import as_scalar, check_positive, converter
from hiflow.couplings._base import AbstractCoupling, SupportsPreparation, registry
from hiflow.registry import Named


@runtime_checkable
class SupportsJitter(Protocol):
    r"""A coupling that pairs prior samples with copies $x_1' = x_1 + \rho\xi$ alone, and tells $\xi$.

    **Example:**

    ```pycon
    >>> noisy = hf.couplings.Jittered(hf.couplings.Independent(), width=0.1)
    >>> isinstance(noisy, hf.couplings.SupportsJitter)
    True
    ```
    """

    width: Float[Array, ""]

    def with_jitter(
        self, x0: Float[Array, "batch *event"], x1: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        r"""The paired prior samples, and $\xi \sim N(0, P)$ of every data point."""
        ...


@registry.register("jittered")
class Jittered(AbstractCoupling):
    r"""Another coupling that sees $x_1' = x_1 + \rho\xi$, $\xi \sim N(0, P)$, instead of $x_1$.

    Given $x_1'$ the prior sample says nothing more of $x_1$, and the law of $x_1$ is smooth: what
    [`ForceControlled`][hiflow.targets.ForceControlled] needs of pairs that aren't independent.

    **Arguments:**

    - `inner`: the coupling, its name or table.
    - `width`: $\rho$, in the data's unit. Little spoils few pairs, and lets little noise be taken out.
    - `group`: the symmetry for an `inner` that is only named; from a configuration that of the energy.

    **Raises:** `ValueError` for a `width` that isn't positive, or an `inner` that looks at all data
    before training, or draws prior samples of its own.

    **Example:**

    ```pycon
    >>> noisy = hf.couplings.Jittered("symmetry-aligned", width=0.1, group="rotation")
    >>> x0, x1 = jax.random.normal(key, (2, 8, 4, 3))
    >>> paired, xi = noisy.with_jitter(x0, x1, key)
    >>> paired.shape, xi.shape  # the prior samples, and the noise of the copies
    ((8, 4, 3), (8, 4, 3))
    ```
    """

    inner: AbstractCoupling
    width: Float[Array, ""]

    in_background: ClassVar[bool] = True

    def __init__(
        self,
        inner: Named[AbstractCoupling] = "symmetry-aligned",
        width: ArrayLike = 0.1,
        group: Named[groups.AbstractGroup] | None = None,
    ):
        known = {} if group is None else {"group": groups.registry.make(group)}
        self.inner = registry.make(inner, **known)
        self.width = converter("width", as_scalar)(width)

    def __check_init__(self):
        check_positive(self, "width")
        if isinstance(self.inner, SupportsPreparation | SupportsJitter) or self.inner.redraws:
            raise ValueError(
                f"Jittered: `inner` ({type(self.inner).__name__}) must pair a batch by itself, and "
                "neither draw prior samples nor jitter. Use 'symmetry-aligned' or 'minibatch-ot'."
            )

    @property
    def group(self) -> Any:
        """The group that the inner coupling moves samples by, if it does."""
        return getattr(self.inner, "group", None)

    def __call__(
        self, x0: Float[Array, "batch *event"], x1: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        return self.with_jitter(x0, x1, key)[0], x1

    def with_jitter(
        self, x0: Float[Array, "batch *event"], x1: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        r"""The paired prior samples, and $\xi$ of every data point."""
        k_pair, k_noise = jax.random.split(key)
        xi = jax.random.normal(k_noise, x1.shape, x1.dtype)
        if self.group is not None:
            xi = jax.vmap(self.group.project)(xi)
        paired, _ = self.inner(x0, x1 + self.width * xi, k_pair)
        return paired, xi
