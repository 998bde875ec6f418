"""A Gaussian fitted to data, of few directions with a variance of their own."""

import math
from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hiflow._checks import as_array, as_scalar, as_shape, check_event, check_finite, check_positive
from hiflow.energies import _factored
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.energies._fitting import (
    HeldOut,
    as_points,
    check_rank,
    check_setting_positive,
    held_out_nll,
    mean_variance,
)
from hiflow.groups import Trivial


@registry.register("fitted-gaussian")
class FittedGaussian(AbstractEnergy):
    r"""$V = -\log N(x; m, \Sigma)$ with $\Sigma = V\mathrm{diag}(s)V^\top + \sigma^2(I - VV^\top)$:
    probabilistic principal component analysis (Tipping and Bishop, J. R. Stat. Soc. B 61, 1999).

    Normalised, in units of kT. Its Hessian is the same everywhere. Usually made by `fit`.

    **Arguments:**

    - `mean`: $m$; its shape is the event shape.
    - `vectors`: $V$, orthonormal columns over the flattened event.
    - `variances`: $s$, the whole variance along each vector.
    - `noise`: $\sigma^2$, the variance along all other directions.

    **Raises:** `ValueError` if shapes don't fit, a variance isn't positive, or the vectors aren't
    orthonormal.

    **Example:**

    ```pycon
    >>> x = jax.random.normal(key, (300, 3)) * jnp.array([2.0, 1.0, 0.1])
    >>> fitted = hf.energies.FittedGaussian.fit(x, rank=2)
    >>> jnp.sqrt(fitted.variances).round(1)
    Array([1.9, 1. ], dtype=float32)
    >>> fitted.held_out(x).what
    'NLL, nats'
    ```
    """

    mean: Float[Array, "*event"] = eqx.field(converter=as_array)
    vectors: Float[Array, "dim k"] = eqx.field(converter=as_array)
    variances: Float[Array, " k"] = eqx.field(converter=as_array)
    noise: Float[Array, ""] = eqx.field(converter=as_scalar)

    def __check_init__(self):
        dim, k = self.vectors.shape
        if dim != self.mean.size or self.variances.shape != (k,):
            raise ValueError(
                f"FittedGaussian: `vectors` must have shape (dim, k) with dim = {self.mean.size} "
                f"coordinates of the `mean`, and `variances` (k,); got {self.vectors.shape} and "
                f"{self.variances.shape}."
            )
        check_rank("FittedGaussian", k, dim)
        check_finite(self, "mean")
        check_positive(self, "variances", "noise")
        _factored.check_orthonormal(self.vectors, owner="FittedGaussian")

    @classmethod
    def fit(
        cls, points: object, *, rank: int = 32, floor: float = 1e-4, key: PRNGKeyArray | None = None
    ) -> "FittedGaussian":
        """The Gaussian of largest likelihood, in closed form from the sample covariance.

        **Arguments:**

        - `points`: `(n, *event)`.
        - `rank`: how many directions get a variance of their own.
        - `floor`: the smallest variance allowed, for coordinates that never change, as a share of the
          points' mean variance.
        - `key`: not used; every energy's `fit` takes one.

        **Raises:** `ValueError` for NaN, no more points than `rank`, points that are all the same, or a
        setting out of range.
        """
        points = as_points(
            points, owner="FittedGaussian.fit", least=2, cure="A variance needs two."
        )
        shape = points.shape[1:]
        _check_settings(shape, rank, floor)
        if points.shape[0] <= rank:
            raise ValueError(
                f"FittedGaussian.fit: `points` must be more than `rank` = {rank}, got "
                f"{points.shape[0]}. Lower `rank`."
            )
        x = np.asarray(points).reshape(points.shape[0], -1)
        mean = x.mean(axis=0, dtype=np.float64)
        eigenvalues, vectors, total = _principal(x, mean)
        least = floor * mean_variance(points, owner="FittedGaussian.fit")
        parts = _factored.from_eigenpairs(eigenvalues, vectors, total, rank, least)
        arrays: Any = [jnp.asarray(part, points.dtype) for part in (mean.reshape(shape), *parts)]
        return cls(*arrays)

    @classmethod
    def blank(
        cls, shape: int | Iterable[int], *, rank: int = 32, floor: float = 1e-4
    ) -> "FittedGaussian":
        """A standard normal with the settings of `fit`, which has seen no data.

        **Raises:** `ValueError` for a setting out of range, as `fit` does.
        """
        shape = as_shape(shape)
        _check_settings(shape, rank, floor)
        eye = np.eye(math.prod(shape), rank)
        return cls(np.zeros(shape), eye, np.ones(rank), 1.0)  # pyright: ignore[reportCallIssue]

    @classmethod
    def example(cls) -> "FittedGaussian":
        """A small instance, as `hiflow check fitted-gaussian` takes without arguments."""
        axis = np.array([[0.6], [0.8], [0.0]])
        return cls(np.array([1.0, -1.0, 0.5]), axis, np.array([2.0]), 0.3)  # pyright: ignore[reportCallIssue]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of `mean`."""
        return self.mean.shape

    @property
    def group(self) -> Trivial:
        """None is declared."""
        return Trivial()

    def __call__(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="FittedGaussian")
        z = jnp.ravel(x - self.mean)
        return _factored.energy(z, *self._parts) + _factored.log_normaliser(*self._parts)

    def hessian(self, x: Float[Array, "*event"]) -> Float[Array, "dim dim"]:
        r"""$\Sigma^{-1}$, everywhere."""
        check_event(x, self.event_shape, owner="FittedGaussian.hessian")
        return _factored.precision(*self._parts)

    def low_rank_hessian(
        self, x: Float[Array, "*event"]
    ) -> tuple[Float[Array, "dim k"], Float[Array, " k"], Float[Array, ""]]:
        r"""The vectors, $1/s - 1/\sigma^2$ and $1/\sigma^2$."""
        check_event(x, self.event_shape, owner="FittedGaussian.low_rank_hessian")
        values = _factored.precision_values(self.variances, self.noise)
        return self.vectors, values, 1 / self.noise

    def shared_spectra(self) -> tuple[Float[Array, "1 modes"], Float[Array, "1 dim k"]]:
        """The one spectrum that all points have."""
        return jnp.append(1 / self.variances, 1 / self.noise)[None], self.vectors[None]

    def component(self, x: Float[Array, "*event"]) -> Int[Array, ""]:
        """0."""
        check_event(x, self.event_shape, owner="FittedGaussian.component")
        return jnp.zeros((), int)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        """One exact sample."""
        return self.mean + _factored.sample(key, *self._parts).reshape(self.event_shape)

    def entropy(self) -> tuple[float, float]:
        r"""$\tfrac12 \log\det 2\pi e\Sigma$, in nats."""
        value = float(_factored.log_normaliser(*self._parts)) + self.mean.size / 2
        return value, value

    def held_out(self, points: object) -> HeldOut:
        """The mean of $V$, which is the NLL."""
        return held_out_nll(self, points)

    @property
    def _parts(self) -> tuple[Array, Array, Array]:
        return self.vectors, self.variances, self.noise


def _check_settings(shape: tuple[int, ...], rank: int, floor: float) -> None:
    check_rank("FittedGaussian", rank, math.prod(shape))
    check_setting_positive("FittedGaussian", floor=floor)


def _principal(x: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Eigenvalues, eigenvectors and trace of the sample covariance, from the smaller side of `x`."""
    n, dim = x.shape
    if n < dim:
        _, singular, Vt = np.linalg.svd(x - mean, full_matrices=False)
        eigenvalues = singular**2 / n
        return eigenvalues, Vt.T, float(eigenvalues.sum())
    covariance = np.zeros((dim, dim))
    for start in range(0, n, 4096):
        z = x[start : start + 4096] - mean
        covariance += z.T @ z / n
    eigenvalues, vectors = np.linalg.eigh(covariance)
    return eigenvalues, vectors, float(np.trace(covariance))
