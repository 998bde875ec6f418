"""Whose noise an end law has: the prior sample's, or its own where that would be wrong."""

from typing import Literal, NamedTuple, Protocol, get_args, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree

from hiflow.couplings import AbstractCoupling, Independent
from hiflow.paths._base import AbstractGaussianPath, AbstractPath
from hiflow.priors import AbstractPrior, has_density

Noise = Literal["auto", "prior", "own"]
_SAMPLES = 64


@runtime_checkable
class SupportsNoise(Protocol):
    """A path whose end law can have noise of its own.

    `noise` says whether it has: `"own"`; `"prior"`, if it takes the prior sample's; or `"auto"`, which
    is the second where that is right and the first elsewhere.

    **Example:**

    ```pycon
    >>> isinstance(hf.paths.Langevin(ring), hf.paths.SupportsNoise)
    True
    >>> isinstance(hf.paths.OptimalTransport(), hf.paths.SupportsNoise)
    False
    ```
    """

    @property
    def noise(self) -> Noise:
        """The choice."""
        ...

    def draw(self, anchor: PyTree, *, key: PRNGKeyArray) -> PyTree:
        """An anchor for one sample and step: the flow to it ends where the noise says, whatever `x0`."""
        ...


class ChosenNoise(NamedTuple):
    """Whether an end law's noise is its own, and why, where the path left that open.

    **Example:**

    ```pycon
    >>> wide = hf.priors.GaussianPrior([1.0, 4.0], shape=2)
    >>> chosen = hf.paths.choose_noise(hf.paths.Langevin(ring), wide)
    >>> chosen.own, isinstance(chosen.reason, str)
    (True, True)
    ```
    """

    own: bool
    reason: str | None = None


def choose_noise(
    path: AbstractPath, prior: AbstractPrior, coupling: AbstractCoupling | None = None
) -> ChosenNoise:
    """Whose noise the end law is to have, for this prior and coupling (by default independent pairs).

    **Raises:** `ValueError` if it takes the prior sample's where that is wrong, by its own word or
    because it can do nothing else.

    **Example:**

    ```pycon
    >>> box = hf.priors.FunctionPrior(lambda key: jax.random.uniform(key, (2,)), shape=(2,))
    >>> path = hf.paths.Langevin(ring)
    >>> hf.paths.choose_noise(path, hf.priors.Normal(2)).own
    False
    >>> hf.paths.choose_noise(path, box).own
    True
    ```
    """
    able = isinstance(path, SupportsNoise)
    if not has_end_law(path):
        # Noise on the way to the point, as a bridge's.
        return ChosenNoise(able and path.noise == "own" and not hasattr(path, "energy"))
    if able and path.noise == "own":
        return ChosenNoise(True)
    fault = _fault(path, prior, coupling)
    if fault is None or (able and path.noise == "auto"):
        return ChosenNoise(fault is not None, fault)
    cure = (
        "leave `noise` out or say noise='own'"
        if able
        else "give the path a method `draw` and noise='auto' (hiflow.paths.SupportsNoise)"
    )
    raise ValueError(
        f"fit: {fault}, and `path` ({type(path).__name__}) takes the noise of its end law from the "
        f"prior sample. Use the coupling 'independent' with a normal prior, {cure}, or take a path that "
        "ends in the point, such as Linearised."
    )


def has_end_law(path: AbstractPath) -> bool:
    """Whether a Gaussian path of an energy ends in more than a point."""
    energy = getattr(path, "energy", None)
    if energy is None or not isinstance(path, AbstractGaussianPath):
        return False
    event = jax.ShapeDtypeStruct(energy.event_shape, jnp.result_type(float))
    return getattr(jax.eval_shape(path.anchor, event), "variance", None) is not None


def draw_anchors(path: AbstractPath, anchors: PyTree, keys: Key[Array, " n"]) -> PyTree:
    """`path.draw` of every anchor."""
    assert isinstance(path, SupportsNoise), "choose_noise says so of no other path"
    return jax.vmap(lambda anchor, key: path.draw(anchor, key=key))(anchors, keys)


def is_normal(prior: AbstractPrior, scale: Float[Array, ""]) -> bool:
    r"""Whether the prior is $N(0, s^2P)$, by its density and score at samples of its own."""
    return has_density(prior) and bool(_difference_from_normal(prior, scale) < 1e-3)


def is_for(path: AbstractGaussianPath, prior: AbstractPrior) -> bool:
    """Whether the path's density speaks of this prior: a normal one, be it of another scale, or any
    unless the path can have noise of its own, and so do without."""
    if not isinstance(path, SupportsNoise) or path.noise == "prior":
        return True
    return is_normal(prior, getattr(prior, "scale", path.prior_scale))


def check_noise(path: SupportsNoise) -> None:
    """Raise `ValueError` unless `noise` is one of the three words."""
    if path.noise not in get_args(Noise):
        raise ValueError(
            f"{type(path).__name__}: `noise` must be one of {', '.join(map(repr, get_args(Noise)))}; "
            f"got {path.noise!r}."
        )


def _fault(
    path: AbstractPath, prior: AbstractPrior, coupling: AbstractCoupling | None
) -> str | None:
    """Why the prior sample can't be the end law's noise."""
    if coupling is not None and not isinstance(coupling, Independent):
        return (
            f"`coupling` ({type(coupling).__name__}) chooses the prior sample by the data point, so "
            "that an end law with its noise would lean towards the data point"
        )
    scale = getattr(path, "prior_scale", jnp.ones(()))
    if not is_normal(prior, scale):
        return (
            f"`prior` ({type(prior).__name__}) isn't normal with mean 0 and scale {scale:.4g}, so that "
            "an end law with its noise would have another shape and place"
        )
    return None


@eqx.filter_jit
def _difference_from_normal(prior: AbstractPrior, scale: Float[Array, ""]) -> Float[Array, ""]:
    x = jax.vmap(prior.sample)(jax.random.split(jax.random.key(0), _SAMPLES))
    free = x[0].size - prior.group.null_modes(x[0]).shape[1]

    def normal(x: Array) -> Array:
        return -jnp.sum((x / scale) ** 2) / 2 - free * jnp.log(scale * jnp.sqrt(2 * jnp.pi))

    def difference(x: Array) -> Array:
        found, score = jax.value_and_grad(prior.log_prob)(x)
        expected, slope = jax.value_and_grad(normal)(x)
        return jnp.maximum(
            jnp.abs(found - expected) / (1 + jnp.abs(expected)),
            jnp.max(jnp.abs(score - slope)) / (1 + jnp.max(jnp.abs(slope))),
        )

    # NaN, of a density that can't be differentiated, is no agreement.
    return jnp.nan_to_num(jnp.max(jax.vmap(difference)(x)), nan=jnp.inf)
