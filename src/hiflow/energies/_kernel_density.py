"""A kernel density estimate as an energy."""

import math
from collections.abc import Callable, Iterable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hiflow._checks import as_array, as_scalar, as_shape, check_event, check_finite, check_positive
from hiflow._statistics import spread_rows
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.energies._fitting import (
    HeldOut,
    as_points,
    check_at_least_one,
    check_setting_positive,
    held_out_nll,
)
from hiflow.groups import Trivial

_QUERIES = 1000
_PAIRS = 20_000_000
_GRID = 33
# Of the steps from the centres' middle to the furthest, in bits: their squares are below 2^24.
_DIGITS = 11


@registry.register("kernel-density")
class KernelDensity(AbstractEnergy):
    r"""$V(x) = -\log \frac1n \sum_i N(x; c_i, h^2 I)$: normalised, in units of kT.

    In many dimensions the kernel of a centre has all the responsibility at that centre, where the
    Hessian is then $I/h^2$ and says nothing of the data: fit it to other points than the anchors of a
    path.

    **Arguments:**

    - `centres`: $c_i$, `(n, *event)`.
    - `bandwidth`: $h$.
    - `neighbours`: how many centres, those of the largest responsibilities, the low-rank Hessian takes
      into account. Exact if there are no more centres than that.

    **Raises:** `ValueError` without centres, for NaN, a `bandwidth` that isn't positive, or no
    neighbours.

    **Example:**

    ```pycon
    >>> half, rest = points[:100], points[100:]
    >>> density = hf.energies.KernelDensity.fit(half, bandwidth=0.2)
    >>> score = density.held_out(rest)
    >>> score.what, round(score.value, 1)
    ('NLL, nats', 2.1)
    ```
    """

    centres: Float[Array, "n *event"] = eqx.field(converter=as_array)
    bandwidth: Float[Array, ""] = eqx.field(converter=as_scalar)
    neighbours: int = eqx.field(static=True, default=64)

    def __check_init__(self):
        if self.centres.ndim < 2 or self.centres.size == 0:
            raise ValueError(
                "KernelDensity: `centres` must have shape (n, *event) with at least one centre, got "
                f"{self.centres.shape}."
            )
        check_finite(self, "centres")
        check_positive(self, "bandwidth")
        check_at_least_one("KernelDensity", neighbours=self.neighbours)

    @classmethod
    def fit(
        cls,
        points: object,
        *,
        bandwidth: float | None = None,
        neighbours: int = 64,
        key: PRNGKeyArray | None = None,
    ) -> "KernelDensity":
        """A kernel at every point.

        **Arguments:**

        - `points`: `(n, *event)`.
        - `bandwidth`: `None` for that of the largest leave-one-out likelihood of the points, or of 1,000
          of them at even distances.
        - `neighbours`: of the low-rank Hessian.
        - `key`: not used; every energy's `fit` takes one.

        **Raises:** `ValueError` for NaN, fewer than two points, or a setting out of range; without a
        `bandwidth` also if most points are duplicates.
        """
        cure = "Leaving one out needs another."
        points = as_points(points, owner="KernelDensity.fit", least=2, cure=cure)
        _check_settings(bandwidth, neighbours)
        chosen = _best_bandwidth(points) if bandwidth is None else bandwidth
        chosen = jnp.asarray(chosen, points.dtype)
        return cls(points, chosen, neighbours)  # pyright: ignore[reportCallIssue]

    @classmethod
    def blank(
        cls, shape: int | Iterable[int], *, bandwidth: float | None = None, neighbours: int = 64
    ) -> "KernelDensity":
        """As many kernels at 0 as there are neighbours, with the settings of `fit`; has seen no data.

        **Raises:** `ValueError` for a setting out of range, as `fit` does.
        """
        _check_settings(bandwidth, neighbours)
        centres = np.zeros((neighbours, *as_shape(shape)))
        return cls(centres, 1.0 if bandwidth is None else bandwidth, neighbours)  # pyright: ignore[reportCallIssue]

    @classmethod
    def example(cls) -> "KernelDensity":
        """A small instance, as `hiflow check kernel-density` takes without arguments."""
        return cls(np.array([[-1.0, 0.0], [1.0, 0.5], [0.3, -0.8]]), 0.7)  # pyright: ignore[reportCallIssue]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one centre."""
        return self.centres.shape[1:]

    @property
    def group(self) -> Trivial:
        """None is declared."""
        return Trivial()

    def __call__(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="KernelDensity")
        constant = x.size * jnp.log(self.bandwidth) + x.size / 2 * jnp.log(2 * jnp.pi)
        n = self.centres.shape[0]
        return constant + math.log(n) - jax.nn.logsumexp(self._exponents(x)[0])

    def hessian(self, x: Float[Array, "*event"]) -> Float[Array, "dim dim"]:
        r"""$I/h^2 - \sum_i r_i (g_i - g)(g_i - g)^\top$ with responsibilities $r_i$,
        $g_i = (x - c_i)/h^2$ and $g = \sum_i r_i g_i$."""
        check_event(x, self.event_shape, owner="KernelDensity.hessian")
        r = jax.nn.softmax(self._exponents(x)[0])
        deviations = self._deviations(r, self._flat)
        spread = jnp.matmul(deviations.T * r, deviations, precision="highest")
        return jnp.eye(x.size, dtype=spread.dtype) / self.bandwidth**2 - spread

    def low_rank_hessian(
        self, x: Float[Array, "*event"]
    ) -> tuple[Float[Array, "dim m"], Float[Array, " m"], Float[Array, ""]]:
        r"""$g_i - g$ and $-r_i$ of the `neighbours`, and $1/h^2$."""
        check_event(x, self.event_shape, owner="KernelDensity.low_rank_hessian")
        exponents, nearest = self._exponents(x)
        r = jax.nn.softmax(exponents)
        return self._deviations(r, self._flat[nearest]).T, -r[nearest], 1 / self.bandwidth**2

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        """One exact sample."""
        key_centre, key_noise = jax.random.split(key)
        i = jax.random.randint(key_centre, (), 0, self.centres.shape[0])
        noise = jax.random.normal(key_noise, self.event_shape, self.centres.dtype)
        return self.centres[i] + self.bandwidth * noise

    def held_out(self, points: object) -> HeldOut:
        """The mean of $V$, which is the NLL."""
        return held_out_nll(self, points)

    @property
    def _flat(self) -> Float[Array, "n dim"]:
        return self.centres.reshape(self.centres.shape[0], -1)

    def _exponents(self, x: Float[Array, "*event"]) -> tuple[Float[Array, " n"], Int[Array, " m"]]:
        r"""$-\|x - c_i\|^2/2h^2$, and which centres are the `neighbours`, nearest first; for these
        directly, since digits that cancel there would be divided by $h^2$."""
        origin = self._flat.mean(0)
        c, z = self._flat - origin, x.ravel() - origin
        squares = _squares(c, z, self.bandwidth)
        _, nearest = jax.lax.top_k(
            -jax.lax.stop_gradient(squares), min(self.neighbours, c.shape[0])
        )
        direct = jnp.sum((self._flat[nearest] - x.ravel()) ** 2, axis=1)
        return -squares.at[nearest].set(direct) / (2 * self.bandwidth**2), nearest

    def _deviations(
        self, r: Float[Array, " n"], centres: Float[Array, "m dim"]
    ) -> Float[Array, "m dim"]:
        """$g_i - g$ of these centres."""
        return (jnp.matmul(r, self._flat, precision="highest") - centres) / self.bandwidth**2


def _squares(
    c: Float[Array, "n dim"], z: Float[Array, " dim"], finest: Float[Array, ""]
) -> Float[Array, " n"]:
    r"""$\|c_i - z\|^2$ multiplied out, so that it takes O(n) memory and a batch of points is a few
    products of matrices. Most of that cancels where clusters are far apart; so it is done in whole steps
    of a grid, whose squares single precision holds to the last digit, and what is left of them.
    """
    reach = jnp.maximum(jnp.sqrt(jnp.max(jnp.sum(c**2, axis=1))), finest)
    step = jnp.ldexp(jnp.ones_like(reach), jnp.ceil(jnp.log2(reach)).astype(int) - _DIGITS)
    step, C, Z = jax.lax.stop_gradient((step, jnp.round(c / step), jnp.round(z / step)))
    c, z = c - step * C, z - step * Z

    def times(a: Float[Array, "n dim"], b: Float[Array, " dim"]) -> Float[Array, " n"]:
        return jnp.matmul(a, b, precision="highest")

    far = jnp.sum(C**2, axis=1) - 2 * times(C, Z) + jnp.sum(Z**2)
    both = jnp.sum(C * c, axis=1) - times(C, z) - times(c, Z) + jnp.sum(Z * z)
    near = jnp.sum(c**2, axis=1) - 2 * times(c, z) + jnp.sum(z**2)
    return step**2 * far + 2 * step * both + near


def _check_settings(bandwidth: float | None, neighbours: int) -> None:
    check_at_least_one("KernelDensity", neighbours=neighbours)
    if bandwidth is not None:
        check_setting_positive("KernelDensity", bandwidth=bandwidth)


def _best_bandwidth(points: Float[Array, "n *event"]) -> float:
    """Where the leave-one-out likelihood is largest: on a grid, then by golden sections."""
    flat = points.reshape(points.shape[0], -1)
    n, dim = flat.shape
    rows = jnp.asarray(spread_rows(n, max(1, min(_QUERIES, _PAIRS // n))))
    squares = _squares_to_others(flat, rows)
    nearest = float(np.median(np.asarray(jnp.min(squares, axis=1))))
    if not nearest > 0:
        raise ValueError(
            "KernelDensity.fit: most `points` are duplicates of others, so the likelihood has no "
            "maximum in `bandwidth`. Give one, or leave the duplicates out."
        )
    furthest = float(jnp.max(jnp.where(jnp.isfinite(squares), squares, 0)))
    # Between a tenth of what nearest neighbours ask for and all the data under one kernel.
    low, high = math.log(0.1 * math.sqrt(nearest / dim)), math.log(math.sqrt(furthest))

    def log_likelihood(u: float) -> float:
        return float(_log_kernels(squares, jnp.asarray(u, flat.dtype))) - dim * u

    grid = np.linspace(low, high, _GRID)
    best = int(np.argmax([log_likelihood(u) for u in grid]))
    a, b = grid[max(best - 1, 0)], grid[min(best + 1, _GRID - 1)]
    return math.exp(_golden_section(log_likelihood, float(a), float(b)))


@eqx.filter_jit
def _squares_to_others(
    flat: Float[Array, "n dim"], rows: Int[Array, " queries"]
) -> Float[Array, "queries n"]:
    """Squared distances of some points to all; infinite to themselves."""

    def row(i: Array) -> Array:
        return jnp.sum((flat - flat[i]) ** 2, axis=1).at[i].set(jnp.inf)

    return jax.lax.map(row, rows)


@jax.jit
def _log_kernels(
    squares: Float[Array, "queries n"], log_bandwidth: Float[Array, ""]
) -> Float[Array, ""]:
    """The mean over points of the logarithm of all other points' kernels there."""
    return jnp.mean(jax.nn.logsumexp(-squares * jnp.exp(-2 * log_bandwidth) / 2, axis=1))


def _golden_section(
    function: Callable[[float], float], a: float, b: float, steps: int = 20
) -> float:
    """Where a function of one maximum in [a, b] is largest."""
    ratio = (math.sqrt(5) - 1) / 2
    c, d = b - ratio * (b - a), a + ratio * (b - a)
    at_c, at_d = function(c), function(d)
    for _ in range(steps):
        if at_c > at_d:
            b, d, at_d = d, c, at_c
            c = b - ratio * (b - a)
            at_c = function(c)
        else:
            a, c, at_c = c, d, at_d
            d = a + ratio * (b - a)
            at_d = function(d)
    return (a + b) / 2
