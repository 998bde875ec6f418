"""The spectral paths that have a name, by their end laws."""

from jaxtyping import ArrayLike

from hiflow.energies import AbstractEnergy
from hiflow.hessians import AbstractHessian
from hiflow.paths._base import registry
from hiflow.paths._end_laws import Laplace, Point, Relaxation
from hiflow.paths._noise import Noise
from hiflow.paths._spectral import AbstractSpectralPath
from hiflow.registry import Named
from hiflow.spectral import AbstractSpectralMap
from hiflow.times import AbstractTimeTransform


@registry.register("linearised")
class Linearised(AbstractSpectralPath):
    r"""Deterministic linearised dynamics: every mode of the Hessian relaxes onto $x_1$ at its own rate.

    $x_t = x_1 + \Phi_t(x_0 - x_1)$ with $\Phi_t = Q e^{-a\tau(t)} Q^\top$ and rates $a = r(\lambda)$.
    With `rates=Constant()` and `LogTime` it is optimal-transport flow matching. The gradient at
    $x_1$ is dropped: $x_1$ is treated as an equilibrium (Hartman–Grobman).

    **Arguments:**

    - `energy`, `hessian`, `rates`, `time`: components, their names or tables.
    - `prior_scale`: $s_0$ of the prior $N(0, s_0^2 P)$.

    **Raises:** `ValueError` if a rate may be ½ or less and `time` has no cutoff: the regression target
    would have infinite variance.

    **Example:**

    ```pycon
    >>> path = hf.paths.Linearised(ring, rates=hf.spectral.Saturating(kappa=1.0))
    >>> anchor = path.anchor(jnp.array([2.0, 0.0]))  # the Hessian work, once per data point
    >>> anchor.speeds.round(2)  # along the ring, and across it
    Array([1.  , 1.61], dtype=float32)
    >>> x, u = path.flow_and_velocity(jnp.array([0.5, -1.0]), anchor, jnp.asarray(0.5))
    >>> x.round(2)
    Array([ 1.51, -0.5 ], dtype=float32)
    ```
    """

    def __init__(
        self,
        energy: Named[AbstractEnergy],
        hessian: Named[AbstractHessian] = "dense",
        rates: Named[AbstractSpectralMap] = "saturating",
        time: Named[AbstractTimeTransform] = "log",
        prior_scale: ArrayLike = 1.0,
    ):
        self.energy, self.hessian, self.rates, self.time = energy, hessian, rates, time
        self.end_law, self.prior_scale, self.noise = Point(), prior_scale, "auto"


@registry.register("langevin")
class Langevin(AbstractSpectralPath):
    r"""Linearised Langevin dynamics: ends in the Laplace law $N(x_1, C)$, $C = K^{-1}/\beta$.

    $dx = -MK(x - x_1)\,d\tau + \sqrt{2M/\beta}\,dW$ with curvature $K = c(H)$. The mobility $M$ enters
    through the rates $A = MK$, free of the end law: `rates=Constant()` is Newton's mobility
    $M = K^{-1}$ (all modes relax together), `rates` equal to `curvature` is the physical $M = I$.
    With noise from the prior sample $\alpha_t = e^{-A\tau}$ and $\sigma_t^2 = C + \alpha_t^2(s_0^2 - C)$
    mode by mode.

    The end law spreads each data point along the soft directions of the energy, so for thermal
    samples it counts the thermal noise twice: [`Relaxed`][hiflow.paths.Relaxed] does not.

    **Arguments:**

    - `energy`, `hessian`, `rates`, `time`, `prior_scale`, `noise`: as
      [`Spectral`][hiflow.paths.Spectral]'s.
    - `curvature`, `beta`: as [`Laplace`][hiflow.paths.Laplace]'s.

    **Raises:** `ValueError` for a non-positive `beta`, and for rates as in `Linearised`.

    **Example:**

    ```pycon
    >>> path = hf.paths.Langevin(ring, curvature=hf.spectral.Absolute(shift=1.0), beta=1.0)
    >>> anchor = path.anchor(jnp.array([2.0, 0.0]))
    >>> (anchor.variance**0.5).round(2)  # the end law's widths, along and across
    Array([1.  , 0.08], dtype=float32)
    >>> flow = hf.fit("mlp", path, points[:20], prior="normal", key=key, steps=40,
    ...               progress=False)
    ```
    """

    def __init__(
        self,
        energy: Named[AbstractEnergy],
        hessian: Named[AbstractHessian] = "dense",
        curvature: Named[AbstractSpectralMap] = "absolute",
        rates: Named[AbstractSpectralMap] = "constant",
        time: Named[AbstractTimeTransform] = "log",
        beta: ArrayLike = 1.0,
        prior_scale: ArrayLike = 1.0,
        noise: Noise = "auto",
    ):
        self.energy, self.hessian, self.rates, self.time = energy, hessian, rates, time
        self.end_law = Laplace(curvature, beta)
        self.prior_scale, self.noise = prior_scale, noise


@registry.register("relaxed")
class Relaxed(AbstractSpectralPath):
    r"""One exact step of the linearised Ornstein–Uhlenbeck dynamics from $x_1$ as end law, with the
    gradient kept: $N(x_1 - sC\nabla V(x_1),\; s(2-s)\,C)$, $C = K^{-1}$.

    For thermal samples (kT = 1) of a Gaussian target with $K = H$ the end law, averaged over the data,
    is the target itself for every `step` $s \in (0, 1]$: the spread adds no bias, unlike `Langevin`'s.

    **Arguments:**

    - `energy`, `hessian`, `rates`, `time`, `prior_scale`, `noise`: as
      [`Spectral`][hiflow.paths.Spectral]'s.
    - `curvature`, `step`: as [`Relaxation`][hiflow.paths.Relaxation]'s.

    **Raises:** `ValueError` for a `step` outside (0, 1], and for rates as in `Linearised`.

    **Example:**

    ```pycon
    >>> path = hf.paths.Relaxed(ring, curvature=hf.spectral.Absolute(shift=1.0), step=0.5)
    >>> anchor = path.anchor(jnp.array([2.1, 0.0]))
    >>> anchor.centre.round(2)  # half of the way down the gradient, to |x| = 2
    Array([2.05, 0.  ], dtype=float32)
    >>> flow = hf.fit("mlp", path, points[:20], prior="normal", key=key, steps=40,
    ...               progress=False)
    ```
    """

    def __init__(
        self,
        energy: Named[AbstractEnergy],
        hessian: Named[AbstractHessian] = "dense",
        curvature: Named[AbstractSpectralMap] = "absolute",
        rates: Named[AbstractSpectralMap] = "constant",
        time: Named[AbstractTimeTransform] = "log",
        step: ArrayLike = 0.5,
        prior_scale: ArrayLike = 1.0,
        noise: Noise = "auto",
    ):
        self.energy, self.hessian, self.rates, self.time = energy, hessian, rates, time
        self.end_law = Relaxation(curvature, step)
        self.prior_scale, self.noise = prior_scale, noise
