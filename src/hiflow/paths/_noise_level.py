"""Paths whose noise is the same for every data point, and say how it enters."""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float, PyTree


@runtime_checkable
class SupportsNoiseLevel(Protocol):
    r"""A path $x_t = \beta(t)\,x_1 + \sigma(t)\,\varepsilon + r$ with numbers $\beta$ and $\sigma$ that
    don't depend on the data point $x_1$, noise $\varepsilon \sim N(0, P)$ independent of $x_1$ and $r$,
    and a rest $r$ that is independent of $x_1$, or depends on it through what the coupling saw alone.

    **Example:**

    ```pycon
    >>> path = hf.paths.OptimalTransport()
    >>> isinstance(path, hf.paths.SupportsNoiseLevel)
    True
    >>> path.noise_level(jnp.asarray(0.25))  # of x1, and of the noise
    (Array(0.25, dtype=float32), Array(0.75, dtype=float32))
    ```
    """

    def noise_level(self, t: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        r"""$\beta(t)$ and $\sigma(t)$."""
        ...

    def standard_noise(self, x0: Float[Array, "*event"], anchor: PyTree) -> Float[Array, "*event"]:
        r"""$\varepsilon$, of the prior sample or of what the path drew."""
        ...
