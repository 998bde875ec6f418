"""The divergence estimated with probes that are drawn once."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.divergences._base import AbstractDivergence, registry
from hiflow.divergences._products import quadratic_forms
from hiflow.networks import AbstractVelocityField


@registry.register("hutchinson")
class Hutchinson(AbstractDivergence):
    r"""$\frac1k\sum_i \varepsilon_i^\top (\partial v/\partial x)\,\varepsilon_i$ with $k$ `probes` of
    random signs (Hutchinson 1989; Grathwohl et al. 2019, arXiv:1810.01367). Unbiased for the log
    density, not for the density. Each probe's integral is kept apart through the solve, so two or more
    give the log density's error too (`probe_variance` of [`SolverStats`][hiflow.SolverStats]).

    **Example:**

    ```pycon
    >>> two = hf.divergences.Hutchinson(probes=2)
    >>> log_p, stats = flow.log_prob_and_stats(points, divergence=two, key=key)
    >>> bool((stats.probe_variance >= 0).all())
    True
    ```
    """

    probes: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.probes < 1:
            raise ValueError(f"Hutchinson: `probes` must be at least 1, got {self.probes}.")

    def draw(
        self, key: PRNGKeyArray | None, x: Float[Array, "*event"]
    ) -> Float[Array, "probes *event"]:
        if key is None:
            raise ValueError("Hutchinson needs `key=`: its probes are random.")
        return jax.random.rademacher(key, (self.probes, *x.shape), x.dtype)

    def __call__(
        self,
        field: AbstractVelocityField,
        t: Float[Array, ""],
        x: Float[Array, "*event"],
        drawn: Float[Array, "..."] | None,
    ) -> tuple[Float[Array, "*event"], Float[Array, " probes"]]:
        assert drawn is not None
        return quadratic_forms(field, t, x, drawn)
