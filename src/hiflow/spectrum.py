"""The spectrum of a Hessian, and spectral functions of it applied to a vector."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hiflow._summaries import Component


class Modes(Component):
    r"""An orthonormal basis $Q$ in which a path is diagonal: applies $Q f Q^\top$ to a vector.

    Five layouts, by which fields are set: *dense* (`vectors` of shape `(dim, k)`, spanning exactly
    the directions that the symmetry leaves free), *low-rank* (`vectors` and `has_rest`: $k$ vectors and
    one value for the whole complement), *blocks* (`vectors` of shape `(blocks, b, b)`, each for `b`
    coordinates of its own), *diagonal* (no vectors, a value per coordinate) and *isotropic* (no vectors,
    one value for all). In a dense basis that spans fewer than `dim` directions the others are
    annihilated: $Q I Q^\top$ is the projector $P$.

    **Arguments:**

    - `vectors`, `has_rest`: as above.
    - `size`: how many directions are free.
    - `index`: which of the bases that the energy's points share this is. An anchor holds it in place of
      the vectors, and `frame` of a path puts them back.

    **Example:**

    ```pycon
    >>> isotropic = hf.spectrum.Modes(size=3)
    >>> isotropic.apply(jnp.array([2.0]), jnp.arange(3.0))
    Array([0., 2., 4.], dtype=float32)
    >>> modes = hf.spectrum.Modes(jnp.eye(3)[:, :1], has_rest=True, size=3)
    >>> modes.apply(jnp.array([10.0, 1.0]), jnp.ones(3)), modes.total(jnp.array([10.0, 1.0]))
    (Array([10.,  1.,  1.], dtype=float32), Array(12., dtype=float32))
    ```
    """

    vectors: Float[Array, "dim k"] | Float[Array, "blocks b b"] | None = None
    has_rest: bool = eqx.field(static=True, default=False)
    size: int = eqx.field(static=True, default=1)
    index: Int[Array, ""] | None = None

    def apply(
        self, values: Float[Array, " modes"], y: Float[Array, " dim"]
    ) -> Float[Array, " dim"]:
        r"""$Q f Q^\top y$ for a value $f$ per mode (the rest's value last)."""
        components = self.components(y)
        if not self.has_rest:
            return self._expand(values * components)
        scaled = (values[:-1] - values[-1]) * components
        return values[-1] * y + self._expand(scaled)

    def components(self, y: Float[Array, " dim"]) -> Float[Array, " k"]:
        r"""$Q^\top y$; `y` itself in a basis without vectors."""
        if self.vectors is None:
            self._refuse_index()
            return y
        if self.vectors.ndim == 3:
            parts = y.reshape(self.vectors.shape[:2])
            return jnp.einsum("nij,ni->nj", self.vectors, parts, precision="highest").ravel()
        return jnp.matmul(self.vectors.T, y, precision="highest")

    def combine(
        self,
        values_y: Float[Array, " modes"],
        y: Float[Array, " dim"],
        values_z: Float[Array, " modes"],
        z: Float[Array, " dim"],
        y_components: Float[Array, " k"] | None = None,
    ) -> Float[Array, " dim"]:
        r"""$Q f Q^\top y + Q g Q^\top z$, multiplying by $Q$ once. Pass $Q^\top y$ if it is known."""
        a = self.components(y) if y_components is None else y_components
        b = self.components(z)
        if not self.has_rest:
            return self._expand(values_y * a + values_z * b)
        scaled = (values_y[:-1] - values_y[-1]) * a + (values_z[:-1] - values_z[-1]) * b
        return values_y[-1] * y + values_z[-1] * z + self._expand(scaled)

    def total(self, values: Float[Array, " modes"]) -> Float[Array, ""]:
        r"""The trace of $Q f Q^\top$ over the `size` free directions."""
        if self.has_rest and self.vectors is not None:
            return jnp.sum(values[:-1]) + (self.size - self.vectors.shape[1]) * values[-1]
        return jnp.sum(values) * (self.size / values.shape[0])

    @property
    def columns(self) -> Float[Array, "dim k"] | None:
        """The vectors as the columns of one matrix, in the order of the values; `None` without any."""
        if self.vectors is None or self.vectors.ndim == 2:
            return self.vectors
        return jax.scipy.linalg.block_diag(*self.vectors)

    def _expand(self, components: Float[Array, " k"]) -> Float[Array, " dim"]:
        r"""$Q$ times these components."""
        if self.vectors is None:
            return components
        if self.vectors.ndim == 3:
            parts = components.reshape(self.vectors.shape[:2])
            return jnp.einsum("nij,nj->ni", self.vectors, parts, precision="highest").ravel()
        return jnp.matmul(self.vectors, components, precision="highest")

    def _refuse_index(self) -> None:
        if self.index is not None:
            raise ValueError(
                "Modes: these hold only the `index` of a basis that all points share. Take the modes of "
                "path.frame(anchor), which puts the vectors in."
            )


class Spectrum(Component):
    """Eigenvalues and orthonormal eigenvectors of a Hessian.

    **Arguments:**

    - `eigenvalues`: the $k$ eigenvalues, and last the one that stands for the rest if
      `modes.has_rest`.
    - `modes`: the eigenvectors ([`Modes`][hiflow.spectrum.Modes]).
    - `orbit`: which modes lie along the orbit of a symmetry and have no curvature for that reason
      alone, as rotations at a stationary point; `None` if none was looked for.

    **Example:**

    ```pycon
    >>> H = jnp.array([[2.0, 0.5], [0.5, 1.0]])
    >>> spectrum = hf.spectrum.dense(*jnp.linalg.eigh(H))
    >>> root = spectrum.apply(jnp.sqrt, jnp.ones(2))  # √H times a vector
    >>> spectrum.apply(jnp.sqrt, root).round(3), H @ jnp.ones(2)
    (Array([2.5, 1.5], dtype=float32), Array([2.5, 1.5], dtype=float32))
    ```
    """

    eigenvalues: Float[Array, " modes"]
    modes: Modes
    orbit: Bool[Array, " modes"] | None = None

    def map(self, function: Callable[[Array], Array]) -> Float[Array, " modes"]:
        """`function` of all `size` eigenvalues at once, one value per mode.

        The rest's eigenvalue is repeated as often as it counts, so that a function which looks at all
        of them (a normalisation by the trace) is right for every layout; the rest takes the mean of
        its values, so the trace is exact.
        """
        k = self.eigenvalues.shape[0] - 1
        if not self.modes.has_rest or k == self.modes.size:
            return function(self.eigenvalues)
        rest = jnp.broadcast_to(self.eigenvalues[-1], (self.modes.size - k,))
        values = function(jnp.concatenate([self.eigenvalues[:k], rest]))
        return jnp.append(values[:k], jnp.mean(values[k:]))

    def speeds(self, function: Callable[[Array], Array]) -> Float[Array, " modes"]:
        """`map` in the role of rates, with the optimal-transport rate 1 for modes along an orbit:
        there the energy is flat whatever it looks like elsewhere, so it has no pace of its own."""
        values = self.map(function)
        return values if self.orbit is None else jnp.where(self.orbit, 1.0, values)

    def curvature(self, function: Callable[[Array], Array]) -> Float[Array, " modes"]:
        """`map`, with the stiffest mode's value for modes along an orbit: a straight step along a
        rotation leaves the orbit, so an end law must not be wide there, flat as the energy is."""
        values = self.map(function)
        return values if self.orbit is None else jnp.where(self.orbit, jnp.max(values), values)

    def apply(
        self, function: Callable[[Array], Array], y: Float[Array, " dim"]
    ) -> Float[Array, " dim"]:
        r"""$f(H)\,y = Q f(\Lambda) Q^\top y$."""
        return self.modes.apply(self.map(function), y)


def dense(eigenvalues: Float[Array, " k"], vectors: Float[Array, "dim k"]) -> Spectrum:
    """A spectrum of all free directions: as many eigenpairs as there are.

    **Example:**

    ```pycon
    >>> values, vectors = jnp.linalg.eigh(jnp.array([[2.0, 0.5], [0.5, 1.0]]))
    >>> hf.spectrum.dense(values, vectors).map(hf.spectral.Absolute(shift=1.0)).round(2)
    Array([1.79, 3.21], dtype=float32)
    ```
    """
    return Spectrum(eigenvalues, Modes(vectors, size=vectors.shape[1]))


def low_rank(
    eigenvalues: Float[Array, " k"],
    vectors: Float[Array, "dim k"],
    rest: Float[Array, ""],
    size: int,
) -> Spectrum:
    """`k` eigenpairs and one eigenvalue for the other `size - k` free directions.

    **Example:**

    ```pycon
    >>> stiff = jnp.array([[1.0], [0.0], [0.0]])
    >>> spectrum = hf.spectrum.low_rank(jnp.array([9.0]), stiff, jnp.asarray(1.0), size=3)
    >>> spectrum.apply(jnp.sqrt, jnp.ones(3))
    Array([3., 1., 1.], dtype=float32)
    ```
    """
    return Spectrum(jnp.append(eigenvalues, rest), Modes(vectors, has_rest=True, size=size))


def diagonal(eigenvalues: Float[Array, " dim"]) -> Spectrum:
    """The spectrum of a diagonal matrix, in the coordinates' own order.

    **Example:**

    ```pycon
    >>> hf.spectrum.diagonal(jnp.array([1.0, 4.0])).apply(jnp.sqrt, jnp.ones(2))
    Array([1., 2.], dtype=float32)
    ```
    """
    return Spectrum(eigenvalues, Modes(size=eigenvalues.shape[0]))


def blocks(eigenvalues: Float[Array, "blocks b"], vectors: Float[Array, "blocks b b"]) -> Spectrum:
    """The spectrum of a block-diagonal matrix, of every block of `b` coordinates in their own order.

    **Example:**

    ```pycon
    >>> H = jnp.array([[[2.0, 0.5], [0.5, 1.0]], [[3.0, 0.0], [0.0, 3.0]]])  # two blocks
    >>> spectrum = hf.spectrum.blocks(*jnp.linalg.eigh(H))
    >>> spectrum.apply(lambda values: values, jnp.ones(4)).round(3)
    Array([2.5, 1.5, 3.0000002, 3.0000002], dtype=float32)
    ```
    """
    return Spectrum(eigenvalues.ravel(), Modes(vectors, size=eigenvalues.size))
