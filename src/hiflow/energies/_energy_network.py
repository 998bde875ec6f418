"""A neural network as an energy, learned by denoising score matching."""

import math
from collections.abc import Iterable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow._checks import as_scalar, as_shape, check_event, check_positive
from hiflow._statistics import standard_error
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.energies._fitted_gaussian import FittedGaussian
from hiflow.energies._fitting import (
    HeldOut,
    as_points,
    check_at_least_one,
    check_setting_positive,
    mean_variance,
    over,
)
from hiflow.groups import Trivial

_REFERENCE_RANK = 32
_DRAWS = 4


@registry.register("energy-network")
class EnergyNetwork(AbstractEnergy):
    r"""$V(x) = \tfrac12\|x - m\|^2/s^2 + \mathrm{mlp}((x - m)/s)$ of SiLU layers, whose gradient is that
    of the data blurred by noise of one level $\sigma$: not normalised, in units of kT.

    Learned by denoising score matching (Vincent, Neural Computation 23, 2011): the least of
    $E\|\sigma\nabla V(x + \sigma\varepsilon) - \varepsilon\|^2$ over energies is the negative logarithm
    of the blurred density. Its Hessian is that of the blurred data too, no stiffer than $1/\sigma^2$.
    Made by `fit`.

    **Arguments:**

    - `layers`: of the perceptron, from the flattened event to one number.
    - `sigma`: $\sigma$, in the data's own units.
    - `gaussian`: the data's Gaussian without noise, what `held_out` compares with; its mean is $m$.
    - `scale`: $s$, the blurred data's standard deviation over all coordinates.

    **Raises:** `ValueError` if a scale isn't positive, or the layers don't fit the event.

    **Example:**

    ```pycon
    >>> energy = hf.energies.EnergyNetwork.fit(points, sigma=0.2, width=32, steps=50, key=key)
    >>> jax.grad(energy)(points[0]).shape  # minus the score of the blurred data
    (2,)
    >>> path = hf.paths.Langevin(energy)
    ```
    """

    layers: tuple[eqx.nn.Linear, ...]
    sigma: Float[Array, ""] = eqx.field(converter=as_scalar)
    gaussian: FittedGaussian
    scale: Float[Array, ""] = eqx.field(converter=as_scalar)

    def __check_init__(self):
        check_positive(self, "sigma", "scale")
        dim = self.gaussian.mean.size
        if not self.layers or self.layers[0].in_features != dim:
            raise ValueError(
                f"EnergyNetwork: `layers` must start from the {dim} coordinates of an event."
            )

    @classmethod
    def fit(
        cls,
        points: object,
        *,
        key: PRNGKeyArray,
        sigma: float = 0.5,
        width: int = 256,
        depth: int = 2,
        steps: int = 2000,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
    ) -> "EnergyNetwork":
        """Train the network by Adam on the points with fresh noise in every step.

        **Arguments:**

        - `points`: `(n, *event)`.
        - `sigma`: in units of the data's standard deviation over all points and coordinates.
        - `width`, `depth`: of the hidden layers.
        - `steps`, `batch_size`, `learning_rate`: of the training; the rate falls to 0 along a cosine.

        **Raises:** `ValueError` for NaN, fewer than two points, points that are all the same, or a
        setting out of range.
        """
        owner = "EnergyNetwork.fit"
        points = as_points(points, owner=owner, least=2, cure="A variance needs two.")
        _check_settings(sigma, width, depth, steps, batch_size, learning_rate)
        spread = jnp.sqrt(mean_variance(points, owner=owner))
        key_layers, key_training = jax.random.split(key)
        dim = points[0].size
        rank = min(_REFERENCE_RANK, dim, points.shape[0] - 1)
        gaussian = FittedGaussian.fit(points, rank=rank, floor=1e-6)
        blurred = spread * jnp.sqrt(1 + sigma**2)
        layers = _layers(dim, width, depth, key_layers, points.dtype)
        energy = cls(layers, sigma * spread, gaussian, blurred)  # pyright: ignore[reportCallIssue]
        return _train(energy, points, key_training, steps, batch_size, learning_rate)

    @classmethod
    def blank(
        cls,
        shape: int | Iterable[int],
        *,
        sigma: float = 0.5,
        width: int = 256,
        depth: int = 2,
        steps: int = 2000,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
    ) -> "EnergyNetwork":
        """A network that has seen no data, with the settings of `fit`.

        **Raises:** `ValueError` for a setting out of range, as `fit` does.
        """
        shape = as_shape(shape)
        _check_settings(sigma, width, depth, steps, batch_size, learning_rate)
        dim = math.prod(shape)
        gaussian = FittedGaussian.blank(shape, rank=min(_REFERENCE_RANK, dim))
        layers = _layers(dim, width, depth, jax.random.key(0), gaussian.mean.dtype)
        scale = jnp.asarray(math.sqrt(1 + sigma**2), gaussian.mean.dtype)
        noise = jnp.asarray(sigma, scale.dtype)
        return cls(layers, noise, gaussian, scale)  # pyright: ignore[reportCallIssue]

    @classmethod
    def example(cls) -> "EnergyNetwork":
        """A small instance, as `hiflow check energy-network` takes without arguments."""
        return cls.blank((2,), width=8)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of the data's mean."""
        return self.gaussian.event_shape

    @property
    def group(self) -> Trivial:
        """None is declared."""
        return Trivial()

    def __call__(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="EnergyNetwork")
        z = jnp.ravel(x - self.gaussian.mean) / self.scale
        hidden = z
        for layer in self.layers[:-1]:
            hidden = jax.nn.silu(layer(hidden))
        return jnp.sum(z**2) / 2 + self.layers[-1](hidden)[0]

    def held_out(self, points: object) -> HeldOut:
        r"""$E\|\sigma\nabla V(x + \sigma\varepsilon) - \varepsilon\|^2$ divided by the same of the
        data's Gaussian, which denoises linearly: below 1 the network knows more than the covariance."""
        owner = "EnergyNetwork.held_out"
        points = as_points(points, owner=owner, least=2, cure="A standard error needs two.")
        blurred = _blurred(self.gaussian, self.sigma)
        keys = jax.random.split(jax.random.key(0), points.shape[0])

        def errors(pair: tuple[Array, Array]) -> tuple[Array, Array]:
            x, key = pair
            noise = jax.random.normal(key, (_DRAWS, *x.shape), x.dtype)
            of = jax.vmap(_denoising_error, (None, None, 0, None))
            own, linear = of(self, x, noise, self.sigma), of(blurred, x, noise, self.sigma)
            return own.mean(), linear.mean()

        own, linear = (np.asarray(e, np.float64) for e in over((points, keys), errors))
        ratio = own.mean() / linear.mean()
        se = standard_error(own - ratio * linear) / linear.mean()
        what = "denoising error relative to a Gaussian's"
        return HeldOut(what, float(ratio), float(se))


def _check_settings(
    sigma: float, width: int, depth: int, steps: int, batch_size: int, learning_rate: float
) -> None:
    owner = "EnergyNetwork"
    check_at_least_one(owner, width=width, depth=depth, steps=steps, batch_size=batch_size)
    check_setting_positive(owner, sigma=sigma, learning_rate=learning_rate)


def _layers(
    dim: int, width: int, depth: int, key: PRNGKeyArray, dtype: DTypeLike
) -> tuple[eqx.nn.Linear, ...]:
    sizes = [dim, *[width] * depth, 1]
    keys = jax.random.split(key, depth + 1)
    return tuple(
        eqx.nn.Linear(inputs, outputs, dtype=dtype, key=k)
        for inputs, outputs, k in zip(sizes[:-1], sizes[1:], keys, strict=True)
    )


def _blurred(gaussian: FittedGaussian, sigma: Float[Array, ""]) -> FittedGaussian:
    """The Gaussian of the points with noise on them."""
    parts = lambda g: (g.variances, g.noise)  # noqa: E731
    return eqx.tree_at(parts, gaussian, tuple(part + sigma**2 for part in parts(gaussian)))


def _denoising_error(
    energy: AbstractEnergy,
    x: Float[Array, "*event"],
    noise: Float[Array, "*event"],
    sigma: Float[Array, ""],
) -> Float[Array, ""]:
    """Per coordinate."""
    return jnp.mean((sigma * jax.grad(energy)(x + sigma * noise) - noise) ** 2)


@eqx.filter_jit
def _train(
    energy: EnergyNetwork,
    points: Float[Array, "n *event"],
    key: PRNGKeyArray,
    steps: int,
    batch_size: int,
    learning_rate: float,
) -> EnergyNetwork:
    optimiser = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    def with_layers(layers: PyTree) -> EnergyNetwork:
        return eqx.tree_at(lambda e: e.layers, energy, layers)

    def loss(layers: PyTree, x: Array, noise: Array) -> Array:
        of = jax.vmap(_denoising_error, (None, 0, 0, None))
        return jnp.mean(of(with_layers(layers), x, noise, energy.sigma))

    def step(i: Array, carry: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        layers, memory = carry
        key_index, key_noise = jax.random.split(jax.random.fold_in(key, i))
        x = points[jax.random.randint(key_index, (batch_size,), 0, points.shape[0])]
        gradient = jax.grad(loss)(layers, x, jax.random.normal(key_noise, x.shape, x.dtype))
        updates, memory = optimiser.update(gradient, memory, layers)
        return eqx.apply_updates(layers, updates), memory

    layers: PyTree = energy.layers
    start = (layers, optimiser.init(layers))
    return with_layers(jax.lax.fori_loop(0, steps, step, start)[0])
