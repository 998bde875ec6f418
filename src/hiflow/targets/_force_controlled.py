"""The conditional velocity with the force as a control variate."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from hiflow._checks import as_array, check_finite, check_positive
from hiflow._kinds import shown, wanted
from hiflow.couplings import Independent, SupportsJitter
from hiflow.data import Source, VirialReport
from hiflow.energies import SupportsFitting
from hiflow.groups._periods import periods_of
from hiflow.paths import AbstractPath, SupportsNoise, SupportsNoiseLevel
from hiflow.paths._noise import is_normal
from hiflow.targets._base import AbstractTarget, Pair, Parts, registry
from hiflow.targets._forces import WithForces
from hiflow.targets._mean_hessian import MeanHessian, estimated, given

_WORDS = ("group", "scalar")


def _as_mean_hessian(value: object) -> Any:
    if isinstance(value, str) and value in _WORDS:
        return value
    if wanted(Float[Array, "..."], value) is None:
        return as_array(value)
    raise ValueError(
        "ForceControlled: `mean_hessian` must be 'group', 'scalar', a positive number or a matrix; got "
        f"{shown(value)}."
    )


@registry.register("force")
class ForceControlled(AbstractTarget):
    r"""The conditional velocity with most of its noise at late times taken out by the force, for
    samples of $p_1 \propto e^{-V}$.

    Let $x_t = \beta x_1 + \sigma\varepsilon + r$ with $\varepsilon \sim N(0, P)$ independent of
    $(x_1, r)$ and $r$ of $x_1$. Then $c = -\nabla V(x_1) + \tfrac\beta\sigma\varepsilon$ has
    $E[c\,|\,x_t] = 0$ (target score matching, De Bortoli et al. 2024, arXiv:2402.08667), and

    $$u + A c, \qquad A = \Big(\dot\beta - \dot\sigma\frac\beta\sigma\Big)
      \Big(\bar H + \frac{\beta^2}{\sigma^2}P\Big)^{-1}, \qquad \bar H = E[\nabla^2V],$$

    has the mean of $u$ given $x_t$ with the least variance that a matrix $A(t)$ can give, for any
    energy. It takes $(\dot\beta\sigma - \dot\sigma\beta)^2/(\sigma^2\bar h + \beta^2)$ from the variance
    per dimension; for optimal transport that is $1/(t^2 + \bar h(1-t)^2)$.

    A coupling that aligns $x_0$ to a copy $x_1' = x_1 + \rho\xi$
    ([`Jittered`][hiflow.couplings.Jittered]), with a path that has noise of its own
    ([`Bridge`][hiflow.paths.Bridge]), has
    $c = -\nabla V(x_1) + \xi/\rho + \tfrac\beta\sigma\varepsilon$ and $\bar H + (\beta^2/\sigma^2 +
    1/\rho^2)P$. There only the bridge's own noise is taken out: that of $x_0$ can't be.

    The gradient at every data point is computed once, before training, and kept in its anchor. `fit`
    refuses what the target would be biased with: energies that were fitted to the data or whose
    coordinates have a period, end laws and other paths whose noise depends on the data point, pairs that
    aren't independent, and data that fail the virial check.

    **Arguments:**

    - `mean_hessian`: $\bar H$. `"group"`: estimated by $E[\nabla V\nabla V^\top]$ over the training
      points, as a number where the energy's group makes it one (identical particles in space), as a
      matrix of $N \times N$ ($\otimes I$) where particles are told apart, else over all coordinates.
      `"scalar"`: the number. Or your own: a number, `(particles, particles)` or `(dim, dim)`. A wrong
      one costs variance, and adds no bias.

    **Raises:** `ValueError` for another word, a number that isn't positive, or what isn't finite.

    **Example:**

    ```pycon
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key, steps=10,
    ...               energy=ring, target="force", time_sampler="late", progress=False)
    ```
    """

    mean_hessian: Float[Array, "..."] | str = eqx.field(converter=_as_mean_hessian, default="group")
    found: MeanHessian | None = None
    jitter: Float[Array, ""] | None = None
    """The width of the copies that prior samples are paired with."""

    def __check_init__(self):
        if isinstance(self.mean_hessian, str):
            return
        check_finite(self, "mean_hessian")
        if self.mean_hessian.ndim == 0:
            check_positive(self, "mean_hessian")

    def check(self, parts: Parts) -> None:
        """Raise `ValueError` where the control would be biased."""
        fault = _fault(parts)
        if fault is not None:
            raise ValueError(
                f"fit: target 'force' would be biased, or have no force: {fault} Use the target "
                "'plain'."
            )
        if not isinstance(self.mean_hessian, str):
            assert parts.energy is not None
            given(np.asarray(self.mean_hessian), parts.energy.group, parts.prior.event_shape)

    def check_data(self, points: Array | Source, virial: VirialReport | None) -> None:
        """Raise `ValueError` for data that aren't samples of the energy."""
        if virial is not None and not virial.z <= 4:
            raise ValueError(
                "fit: target 'force' would be biased: the data don't follow the energy. E[x·∇V] is "
                f"{virial.mean:.2f} ± {virial.standard_error:.2f} over them, and must be "
                f"{virial.expected}. Look at units and conventions (hiflow.data.check_virial), or use "
                "the target 'plain'."
            )

    def path_for(self, parts: Parts) -> WithForces:
        """The path with gradients in its anchors."""
        assert parts.energy is not None, "`check` refuses to go without"
        return WithForces(parts.path, parts.energy)

    def prepare(self, parts: Parts, path: AbstractPath, anchors: PyTree) -> "ForceControlled":
        """With the mean Hessian of the gradients in the anchors."""
        assert parts.energy is not None, "`check` refuses to go without"
        group = parts.energy.group
        if isinstance(self.mean_hessian, str):
            scalar = self.mean_hessian == "scalar"
            found = estimated(anchors.gradient, group, scalar=scalar)
        else:
            found = given(np.asarray(self.mean_hessian), group, parts.prior.event_shape)
        coupling = parts.coupling
        jitter = coupling.width if isinstance(coupling, SupportsJitter) else None
        return ForceControlled(self.mean_hessian, found, jitter)

    def __call__(
        self, path: AbstractPath, pair: Pair
    ) -> tuple[Float[Array, "*event"], Float[Array, "*event"]]:
        if self.found is None or not isinstance(path, WithForces):
            raise ValueError(
                "ForceControlled: it hasn't been made ready. `fit` does that; elsewhere use path = "
                "target.path_for(parts) and target.prepare(parts, path, anchors)."
            )
        x, u = path.flow_and_velocity(pair.x0, pair.anchor, pair.t)
        (beta, sigma), (beta_dot, sigma_dot) = _with_derivatives(path.level, pair.t)
        epsilon = path.level.standard_noise(pair.x0, pair.anchor.inner)
        # Multiplied by σ² above and below: nothing is divided by a noise that ends at 0.
        c = beta * epsilon - sigma * pair.anchor.gradient
        level = beta**2
        if self.jitter is not None:
            assert pair.jitter is not None, "the coupling tells it"
            c = c + sigma * path.energy.group.project(pair.jitter) / self.jitter
            level = level + (sigma / self.jitter) ** 2
        gain = beta_dot * sigma - sigma_dot * beta
        return x, u + gain * self.found.solve(sigma**2, level, c)

    def removed(self, path: AbstractPath, t: Float[Array, ""]) -> Float[Array, ""]:
        r"""The variance per free direction that the control takes out at time $t$, if $\bar H$ is
        right."""
        if self.found is None or not isinstance(path, WithForces):
            raise ValueError("ForceControlled.removed: make the target ready first, as for a call.")
        (beta, sigma), (beta_dot, sigma_dot) = _with_derivatives(path.level, t)
        spread = sigma**2 * self.found.values + beta**2
        if self.jitter is not None:
            spread = spread + (sigma / self.jitter) ** 2
        # Where both vanish, at the start of a bridge, so does what is taken out.
        spread = jnp.maximum(spread, jnp.finfo(spread.dtype).tiny)
        return jnp.mean((beta_dot * sigma - sigma_dot * beta) ** 2 / spread)


def _with_derivatives(
    path: SupportsNoiseLevel, t: Float[Array, ""]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    return jax.jvp(path.noise_level, (t,), (jnp.ones_like(t),))


def _fault(parts: Parts) -> str | None:
    """Why the control can't be used."""
    path, prior, coupling, energy = parts
    name = type(path).__name__
    if energy is None:
        return "there is no `energy`; give `fit` the one that the data are samples of."
    if isinstance(energy, SupportsFitting):
        return (
            f"`energy` ({type(energy).__name__}) is of the kind that is fitted to data, whose samples "
            "don't follow it exactly."
        )
    if periods_of(energy.group, energy.event_shape) is not None:
        return (
            f"`energy` ({type(energy).__name__}) has coordinates with a period, which paths cut open, "
            "and where they are cut the density isn't 0."
        )
    if not isinstance(path, SupportsNoiseLevel):
        return (
            f"the noise of `path` ({name}) depends on the data point, as that of end laws and of "
            "spectral paths does. Take an isotropic path, such as 'optimal-transport', or 'bridge'."
        )
    own = isinstance(path, SupportsNoise) and path.noise == "own"
    if not isinstance(coupling, Independent) and not (own and isinstance(coupling, SupportsJitter)):
        return (
            f"`coupling` ({type(coupling).__name__}) chooses the prior sample by the data point. Take "
            "'independent', or the path 'bridge' with {name = 'jittered', inner = ...} around that "
            "coupling."
        )
    scale = getattr(path, "prior_scale", jnp.ones(()))
    if not own and not is_normal(prior, scale):
        return (
            f"`prior` ({type(prior).__name__}) isn't normal with mean 0 and scale {scale:.4g}. Take a "
            "normal one, or the path 'bridge', which has noise of its own."
        )
    return None
