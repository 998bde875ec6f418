"""A convolution of images whose derivatives are fast inside loops on CPUs too.

XLA's CPU compiler has fast code for one order of axes only, and brings other orders into it outside of
loops alone (jax-ml/jax#12868). The usual derivatives come in other orders, so inside the loop over
training steps they were 20 times slower. Here they are convolutions in the fast order, of transposed
arrays.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float


def convolution(
    x: Float[Array, "n height width from"], weight: Float[Array, "side side from to"]
) -> Float[Array, "n height width to"]:
    """The sum over a square of odd side around every pixel, with zeros around the image."""
    if jax.default_backend() != "cpu":
        return _convolved(x, weight)
    return _primitive.bind(x, weight)


def _convolved(x: Array, weight: Array) -> Array:
    return _fast(x, weight, weight.shape[0] // 2)


def _fast(x: Array, weight: Array, margin: int) -> Array:
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, weight, (1, 1), [(margin, margin)] * 2, dimension_numbers=layout
    )


def _by_image(y: Array, x: object, weight: Array) -> Array:
    """What multiplies a change of the images: the convolution with the reversed weights."""
    return _primitive.bind(y, jnp.flip(weight, (0, 1)).swapaxes(2, 3))


def _by_weight(y: Array, x: Array, weight: Any) -> Array:
    """What multiplies a change of the weights: the images, as many as there are channels and with a
    channel each, convolved with what comes back."""
    margin = weight.aval.shape[0] // 2
    return _fast(x.transpose(3, 1, 2, 0), y.transpose(1, 2, 0, 3), margin).transpose(1, 2, 0, 3)


def _batched(arguments: Any, axes: Any) -> tuple[Array, int]:
    (x, weight), (x_axis, weight_axis) = arguments, axes
    if weight_axis is not None:
        return jax.vmap(_convolved, (x_axis, weight_axis))(x, weight), 0
    x = jnp.moveaxis(x, x_axis, 0)
    y = _primitive.bind(x.reshape(-1, *x.shape[2:]), weight)
    return y.reshape(*x.shape[:2], *y.shape[1:]), 0


_primitive = Primitive("hiflow_convolution")
_primitive.def_impl(jax.jit(_convolved))
_primitive.def_abstract_eval(lambda x, weight: x.update(shape=(*x.shape[:3], weight.shape[3])))
mlir.register_lowering(_primitive, mlir.lower_fun(_convolved, multiple_results=False))
ad.defbilinear(_primitive, _by_image, _by_weight)
batching.primitive_batchers[_primitive] = _batched
