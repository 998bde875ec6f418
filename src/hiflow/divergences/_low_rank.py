"""Estimates that take a Jacobian's large directions exactly and probe only the rest, by traceax."""

import equinox as eqx
import jax
import lineax
import traceax
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.divergences._base import AbstractDivergence, registry
from hiflow.networks import AbstractVelocityField


@registry.register("hutch++")
class HutchPlusPlus(AbstractDivergence):
    r"""Hutch++ (Meyer et al. 2021, arXiv:2010.09649): a third of the `products` with the Jacobian finds
    its large directions $Q$, a third takes the trace there, a third probes what is left. Its error
    falls as 1/products where the Jacobian has few large directions; Hutchinson's with the root.

    The estimate is made `repeats` times with independent draws, whose spread gives the log density's
    error (`probe_variance` of [`SolverStats`][hiflow.SolverStats]). Needs `key`.

    **Arguments:**

    - `products`: with the Jacobian, for each estimate; at least 3.
    - `repeats`: estimates.

    **Example:**

    ```pycon
    >>> estimate = hf.divergences.HutchPlusPlus(products=3)
    >>> flow.log_prob(points, divergence=estimate, key=key).shape
    (200,)
    ```
    """

    products: int = eqx.field(static=True, default=9)
    repeats: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        _check(self.products, self.repeats, 3, "HutchPlusPlus")

    def draw(self, key: PRNGKeyArray | None, x: Float[Array, "*event"]) -> PRNGKeyArray | Array:
        return _keys(key, self.repeats, "HutchPlusPlus")

    def __call__(
        self,
        field: AbstractVelocityField,
        t: Float[Array, ""],
        x: Float[Array, "*event"],
        drawn: Array | None,
    ) -> tuple[Float[Array, "*event"], Float[Array, " repeats"]]:
        estimator = traceax.HutchPlusPlusEstimator(traceax.RademacherSampler(x.dtype))
        return _estimates(estimator, self.products, field, t, x, drawn)


@registry.register("xtrace")
class XTrace(AbstractDivergence):
    r"""XTrace (Epperly, Tropp and Webber 2024, arXiv:2301.07825): every probe is judged by the large
    directions that the others found, so none is spent on one purpose alone. Where few directions are
    large its variance is below Hutch++'s for the same products. A Jacobian whose rank is below half the
    `products` has none: the solve then doesn't arrive.

    **Arguments:**

    - `products`: with the Jacobian, for each estimate; at least 4 and at most twice the dimension.
    - `repeats`: estimates with independent draws, as in
      [`HutchPlusPlus`][hiflow.divergences.HutchPlusPlus].

    **Example:**

    ```pycon
    >>> estimate = hf.divergences.XTrace(products=4)
    >>> flow.log_prob(points, divergence=estimate, key=key).shape
    (200,)
    ```
    """

    products: int = eqx.field(static=True, default=6)
    repeats: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        _check(self.products, self.repeats, 4, "XTrace")

    def draw(self, key: PRNGKeyArray | None, x: Float[Array, "*event"]) -> PRNGKeyArray | Array:
        if self.products > 2 * x.size:
            raise ValueError(
                f"XTrace: `products` must be at most twice the dimension, {2 * x.size}, got "
                f"{self.products}; Exact() needs {x.size}."
            )
        return _keys(key, self.repeats, "XTrace")

    def __call__(
        self,
        field: AbstractVelocityField,
        t: Float[Array, ""],
        x: Float[Array, "*event"],
        drawn: Array | None,
    ) -> tuple[Float[Array, "*event"], Float[Array, " repeats"]]:
        estimator = traceax.XTraceEstimator(traceax.SphereSampler(x.dtype))
        return _estimates(estimator, self.products, field, t, x, drawn)


def _keys(key: PRNGKeyArray | None, number: int, owner: str) -> Array:
    if key is None:
        raise ValueError(f"{owner} needs `key=`: its probes are random.")
    return jax.random.split(key, number)


def _estimates(estimator, products, field, t, x, keys):
    velocity, push = jax.linearize(lambda y: field(t, y.reshape(x.shape)).ravel(), x.ravel())
    operator = lineax.FunctionLinearOperator(push, jax.eval_shape(lambda: x.ravel()))
    found = jax.vmap(lambda key: estimator.estimate(key, operator, products)[0])(keys)
    return velocity.reshape(x.shape), found


def _check(products: int, repeats: int, least: int, owner: str) -> None:
    for name, value, bound in [("products", products, least), ("repeats", repeats, 1)]:
        if value < bound:
            raise ValueError(f"{owner}: `{name}` must be at least {bound}, got {value}.")
