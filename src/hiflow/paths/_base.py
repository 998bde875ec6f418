"""What a path is: per data point, a flow that carries the prior to it; and the Gaussian family."""

import abc
from typing import TYPE_CHECKING, ClassVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hiflow._summaries import Component
from hiflow.registry import Registry
from hiflow.spectrum import Modes


class AbstractPath(Component):
    r"""A conditional probability path: for every data point $x_1$ a flow $x_0 \mapsto x_t$ from the
    prior at $t = 0$ to (a law around) $x_1$ at $t = 1$.

    A subclass gives two methods. `anchor` does the expensive work of a data point, once, before
    training; `flow` is cheap and runs in every training step. Laws: `hiflow.testing.check_path`.

    **Example:**

    ```pycon
    >>> class Curved(hf.paths.AbstractPath):
    ...     def anchor(self, x1):
    ...         return x1
    ...     def flow(self, x0, anchor, t):
    ...         return x0 + t**2 * (anchor - x0)
    ...
    >>> x1, t = jnp.array([2.0, 0.0]), jnp.asarray(0.5)
    >>> Curved().flow_and_velocity(jnp.zeros(2), x1, t)  # the velocity is its derivative
    (Array([0.5, 0. ], dtype=float32), Array([2., 0.], dtype=float32))
    >>> flow = hf.fit("mlp", Curved(), points, prior="normal", key=key, steps=10,
    ...               progress=False)
    ```
    """

    @abc.abstractmethod
    def anchor(self, x1: Float[Array, "*event"]) -> PyTree:
        """All that `flow` needs to know of one data point, as a PyTree of arrays."""

    @abc.abstractmethod
    def flow(
        self, x0: Float[Array, "*event"], anchor: PyTree, t: Float[Array, ""]
    ) -> Float[Array, "*event"]:
        """$x_t$, where the conditional flow has carried `x0`, for one sample and time."""

    def flow_and_velocity(
        self, x0: Float[Array, "*event"], anchor: PyTree, t: Float[Array, ""]
    ) -> tuple[Float[Array, "*event"], Float[Array, "*event"]]:
        r"""$x_t$ and $\dot x_t = u_t(x_t|x_1)$, the regression target, without a division."""
        return jax.jvp(lambda time: self.flow(x0, anchor, time), (t,), (jnp.ones_like(t),))


registry = Registry("paths", AbstractPath)


class SpectralAnchor(Component):
    """A data point with what a Gaussian path needs of the Hessian there.

    **Arguments:**

    - `centre`: where the path ends in the mean; the data point unless the path moves it.
    - `modes`: the basis in which the path is diagonal.
    - `speeds`: how fast each mode relaxes, the values of a path's `rates`.
    - `variance`: each mode's variance at the end of an infinite relaxation; `None` if it is 0.
    - `components`: $Q^\top$ times the centre, so that no training step computes it; `None` to compute
      it when needed.

    **Example:**

    ```pycon
    >>> anchor = hf.paths.Langevin(ring).anchor(jnp.array([2.0, 0.0]))
    >>> anchor.centre, anchor.speeds
    (Array([2., 0.], dtype=float32), Array([1., 1.], dtype=float32))
    >>> anchor.variance.round(3)
    Array([1.   , 0.006], dtype=float32)
    >>> anchor.modes.vectors.shape
    (2, 2)
    ```
    """

    centre: Float[Array, "*event"]
    modes: Modes
    speeds: Float[Array, " modes"]
    variance: Float[Array, " modes"] | None = None
    components: Float[Array, " k"] | None = None


class AbstractGaussianPath(AbstractPath):
    r"""A path that is Gaussian given $x_1$, with mean and scale diagonal in one orthonormal basis $Q$:

    $$x_t = c - Q\,\alpha_t\,Q^\top c + Q\,\sigma_t\,Q^\top \varepsilon, \qquad
      \varepsilon = x_0/s_0 \sim N(0, P)$$

    for a prior $N(0, s_0^2 P)$ with `prior_scale` $s_0$. A subclass gives `frame` (the centre $c$, the
    basis $Q$ and the numbers per mode, from an anchor) and `schedule` ($\alpha_t$ and
    $\sigma_t$ per mode); flow, velocity, density, score and divergence follow here, once.

    **Example:**

    ```pycon
    >>> class Quadratic(hf.paths.AbstractGaussianPath):
    ...     prior_scale = jnp.asarray(1.0)
    ...     def anchor(self, x1):
    ...         return x1
    ...     def frame(self, anchor):
    ...         one = jnp.ones(1)
    ...         return hf.paths.SpectralAnchor(anchor, hf.spectrum.Modes(size=anchor.size), one)
    ...     def schedule(self, t, frame):
    ...         return (1 - t) ** 2 * frame.speeds, (1 - t) ** 2 * frame.speeds
    ...
    >>> Quadratic().score(jnp.zeros(2), jnp.array([2.0, 0.0]), jnp.asarray(0.5))
    Array([24., -0.], dtype=float32)
    ```
    """

    if TYPE_CHECKING:  # An annotation would read as the constructor's first argument.
        prior_scale = cast(Float[Array, ""], ...)
    else:
        prior_scale: eqx.AbstractVar[Float[Array, ""]]

    approximate_start: ClassVar[bool] = False
    """Whether $t = 0$ only comes close to the prior, as for variance-exploding diffusion."""

    @abc.abstractmethod
    def frame(self, anchor: PyTree) -> SpectralAnchor:
        """Centre, basis and numbers per mode."""

    @abc.abstractmethod
    def schedule(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        r"""$\alpha_t$, what is left of the way to the centre, and $\sigma_t$, per mode."""

    def flow(
        self, x0: Float[Array, "*event"], anchor: PyTree, t: Float[Array, ""]
    ) -> Float[Array, "*event"]:
        """$x_t$ for a prior sample `x0`."""
        frame = self.frame(anchor)
        alpha, sigma = self.schedule(t, frame)
        moved = frame.modes.combine(
            -alpha,
            frame.centre.ravel(),
            sigma / self.prior_scale,
            x0.ravel(),
            frame.components,
        )
        return frame.centre + moved.reshape(x0.shape)

    def mean(self, anchor: PyTree, t: Float[Array, ""]) -> Float[Array, "*event"]:
        """$m_t$, the mean of $p_t(· | x_1)$."""
        frame = self.frame(anchor)
        alpha, _ = self.schedule(t, frame)
        return frame.centre - self._apply(frame, alpha, frame.centre)

    def velocity(
        self, x: Float[Array, "*event"], anchor: PyTree, t: Float[Array, ""]
    ) -> Float[Array, "*event"]:
        r"""$u_t(x|x_1) = \dot m_t + \dot\sigma_t\sigma_t^{-1}(x - m_t)$, the conditional velocity at
        any point. Not defined where $\sigma_t = 0$: at $t = 1$ of a deterministic path."""
        frame = self.frame(anchor)
        (_, sigma), (alpha_dot, sigma_dot) = self._with_derivatives(t, frame)
        drift = self._apply(frame, sigma_dot / sigma, x - self.mean(anchor, t))
        return drift - self._apply(frame, alpha_dot, frame.centre)

    def divergence(self, anchor: PyTree, t: Float[Array, ""]) -> Float[Array, ""]:
        r"""$\nabla\cdot u_t(x|x_1)$, the same at every $x$, over the free directions."""
        frame = self.frame(anchor)
        (_, sigma), (_, sigma_dot) = self._with_derivatives(t, frame)
        return frame.modes.total(sigma_dot / sigma)

    def log_prob(
        self, x: Float[Array, "*event"], anchor: PyTree, t: Float[Array, ""]
    ) -> Float[Array, ""]:
        r"""$\log p_t(x | x_1)$ in nats, with respect to Lebesgue measure on the free directions."""
        frame = self.frame(anchor)
        _, sigma = self.schedule(t, frame)
        whitened = self._apply(frame, 1 / sigma, x - self.mean(anchor, t))
        normaliser = frame.modes.total(jnp.log(sigma)) + frame.modes.size / 2 * jnp.log(2 * jnp.pi)
        return -jnp.sum(whitened**2) / 2 - normaliser

    def score(
        self, x: Float[Array, "*event"], anchor: PyTree, t: Float[Array, ""]
    ) -> Float[Array, "*event"]:
        r"""$\nabla \log p_t(x | x_1)$."""
        frame = self.frame(anchor)
        _, sigma = self.schedule(t, frame)
        return -self._apply(frame, 1 / sigma**2, x - self.mean(anchor, t))

    def _apply(
        self, frame: SpectralAnchor, values: Float[Array, " modes"], y: Float[Array, "*event"]
    ) -> Float[Array, "*event"]:
        return frame.modes.apply(values, y.ravel()).reshape(y.shape)

    def _with_derivatives(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        return jax.jvp(lambda time: self.schedule(time, frame), (t,), (jnp.ones_like(t),))
