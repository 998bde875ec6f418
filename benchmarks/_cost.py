r"""What each part of hiflow costs, as formulas: operations and bytes, by arithmetic alone.

Letters: $D$ dimensions, $k$ modes, $P$ parameters, $N$ particles in $d$ dimensions, $w$ channels, $L$
layers. Costs are per sample and per evaluation; a multiplication and an addition are two operations, and
a number takes 4 bytes. The constants in front of elementwise work are those of hiflow's activations.
`cost_model.py` holds all of it against XLA's own count.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

TIME_FEATURES, RADIAL_FEATURES, FLOAT = 9, 16, 4
# Bytes that move per operation of an exact divergence, as XLA's programs of the EGNN do.
DIVERGENCE_TRAFFIC = 0.3
UNETS: dict[str, dict[str, Any]] = {
    "tiny": {"width": 24, "multipliers": (1, 2), "blocks": 1, "patch": 2},
    "small": {"width": 64, "multipliers": (1, 2, 2), "blocks": 2, "patch": 1},
    "base": {"width": 128, "multipliers": (1, 2, 2), "blocks": 3, "patch": 1},
}


def mlp_layers(dim: int, width: int, depth: int) -> list[tuple[int, int]]:
    """Inputs and outputs of every layer of `MLP`."""
    return list(pairwise([dim + TIME_FEATURES, *[width] * depth, dim]))


def mlp_forward(dim: int, width: int, depth: int) -> float:
    """$2W + 5H$: $W$ weights in the matrices, $H$ hidden units."""
    return 2 * _weights(mlp_layers(dim, width, depth)) + 5 * width * depth


def mlp_gradient(dim: int, width: int, depth: int) -> float:
    """$6W - 2W_1 + 12H$: forward, and two products per layer backward but one in the first."""
    layers = mlp_layers(dim, width, depth)
    return 6 * _weights(layers) - 2 * _weights(layers[:1]) + 12 * width * depth


def mlp_divergence(dim: int, width: int, depth: int) -> float:
    """Velocity and exact divergence, $2W + 5H + D\\,(2(W - W_1) + 4H)$: every coordinate goes through
    all layers but the first, whose columns are the same for all samples."""
    beyond = _weights(mlp_layers(dim, width, depth)[1:])
    return mlp_forward(dim, width, depth) + dim * (2 * beyond + 4 * width * depth)


def mlp_parameters(dim: int, width: int, depth: int) -> int:
    """$P$."""
    return sum(fan_in * fan_out + fan_out for fan_in, fan_out in mlp_layers(dim, width, depth))


def mlp_activations(dim: int, width: int, depth: int) -> float:
    """Bytes that the backward pass keeps: three numbers per hidden unit."""
    return FLOAT * (3 * width * depth + 2 * dim)


def egnn_forward(particles: int, dim: int, width: int, depth: int) -> float:
    """$L\\,[14Nw^2 + N^2w\\,(2R + 13 + 2d) + 5N^2R]$ with $R = 16$ bumps of the distance: products per
    particle, and work per pair."""
    nodes = 14 * particles * width**2
    edges = particles**2 * width * (2 * RADIAL_FEATURES + 13 + 2 * dim)
    return depth * (nodes + edges + 5 * particles**2 * RADIAL_FEATURES)


def egnn_gradient(particles: int, dim: int, width: int, depth: int) -> float:
    """2.9 times the forward pass: the pairs' positions carry no gradient in the first layer."""
    return 2.9 * egnn_forward(particles, dim, width, depth)


def egnn_divergence(particles: int, dim: int, width: int, depth: int) -> float:
    """Velocity and exact divergence: 2.5 forward passes, and for every particle and column
    $4Ndw + 2w^2 + 6dw$ in the first layer and $4Ndw + 2Nd^2 + 17w^2$ in every later one: sums over
    neighbours, and large matrix products. The last layer takes each particle's own columns only."""
    sums = 4 * particles * dim * width
    first, later = (
        sums + 2 * width**2 + 6 * dim * width,
        sums + 2 * particles * dim**2 + 17 * width**2,
    )
    columns, own = particles * particles * dim, particles * dim
    if depth == 1:
        return 2.5 * egnn_forward(particles, dim, width, depth) + own * first
    last = later + (4 + 2 * dim) * particles * width
    pushed = columns * (first + (depth - 2) * later) + own * last
    return 2.5 * egnn_forward(particles, dim, width, depth) + pushed


def egnn_parameters(width: int, depth: int) -> int:
    """$P$, whatever the number of particles."""
    clocks = 2 * TIME_FEATURES * width + 2 * width
    layer = 7 * width**2 + RADIAL_FEATURES * width + clocks + 2 * width
    return depth * layer + TIME_FEATURES * width + width + 1 + 2 * (TIME_FEATURES + 1)


def egnn_traffic(particles: int, width: int, depth: int) -> float:
    """Bytes read and written for a gradient: 41 numbers per pair and channel of every layer."""
    return FLOAT * 41 * depth * particles**2 * width


def egnn_activations(particles: int, width: int, depth: int) -> float:
    """Bytes that the backward pass keeps: five numbers per pair and channel of every layer."""
    return FLOAT * 5 * depth * particles**2 * width


def unet_blocks(
    side: int, channels: int, width: int, multipliers: tuple[int, ...], blocks: int, patch: int
) -> Iterator[tuple[str, int, int, int]]:
    """Every part of `UNet`: its kind, its pixels, and its channels in and out."""
    sides = [-(-side // patch)]
    while len(sides) < len(multipliers):
        sides.append(-(-sides[-1] // 2))
    widths, pixel = [width * m for m in multipliers], patch**2 * channels
    yield "conv", sides[0] ** 2, pixel, widths[0]
    yield "conv", sides[0] ** 2, widths[0], pixel
    for here, (c, below) in zip(sides[:-1], pairwise(widths), strict=True):
        low = ((here + 1) // 2) ** 2
        yield "dense", low, 4 * c, below
        yield "dense", low, below, c
        for stage in (c, 2 * c):
            yield "block", here**2, stage, c
            for _ in range(blocks - 1):
                yield "block", here**2, c, c
    for _ in range(2 * blocks):
        yield "block", sides[-1] ** 2, widths[-1], widths[-1]
    yield "attention", sides[-1] ** 2, widths[-1], widths[-1]


def unet_forward(*sizes, **named) -> float:
    """$2cc'(3s - 2)^2$ for a 3×3 convolution of $s \\times s$ pixels (at the rim some products are with
    zeros), two of them and 25 per channel and pixel of elementwise work in a block, and $8c^2 + 4nc$ per
    pixel of the attention among $n$."""

    def convolution(n: int, c: int, to: int) -> float:
        return 2 * c * to * (3 * n**0.5 - 2) ** 2

    def block(n: int, c: int, to: int) -> float:
        shortcut = 2 * n * c * to if c != to else 0
        return convolution(n, c, to) + convolution(n, to, to) + shortcut + 25 * n * to

    costs = {
        "conv": convolution,
        "dense": lambda n, c, to: 2 * n * c * to,
        "block": block,
        "attention": lambda n, c, to: n * (8 * c * to + 4 * n * c),
    }
    return sum(costs[kind](n, c, to) for kind, n, c, to in unet_blocks(*sizes, **named))


def unet_gradient(*sizes, **named) -> float:
    """Three forward passes."""
    return 3 * unet_forward(*sizes, **named)


def unet_activations(*sizes, **named) -> float:
    """Bytes that the backward pass keeps: 13 numbers per pixel and channel of a block."""
    return FLOAT * sum(
        13 * n * to for kind, n, _, to in unet_blocks(*sizes, **named) if kind == "block"
    )


def unet_traffic(*sizes, **named) -> float:
    """Bytes read and written for a gradient, 11.5 times those that are kept."""
    return 11.5 * unet_activations(*sizes, **named)


def unet_parameters(
    side: int, channels: int, width: int, multipliers: tuple[int, ...], blocks: int, patch: int
) -> int:
    """$P$ of the convolutions, of the clock's maps and of the norms."""
    features = 2 * width

    def block(c: int, to: int) -> int:
        shortcut = c * to + to if c != to else 0
        clock = 2 * to * (features + 1)
        return 9 * c * to + to + 9 * to * to + to + 2 * c + 2 * to + clock + shortcut

    counts = {
        "conv": lambda c, to: 9 * c * to + to,
        "dense": lambda c, to: c * to + to,
        "block": block,
        "attention": lambda c, to: 4 * c * to + 4 * c + 2 * c,
    }
    parts = unet_blocks(side, channels, width, multipliers, blocks, patch)
    clock = (TIME_FEATURES + 1) * features + (features + 1) * features
    return sum(counts[kind](c, to) for kind, _, c, to in parts) + clock + 2 * width


def path_dense(dim: int, modes: int) -> float:
    """Point and target of a spectral path, $6Dk + 14D$: $Q^\\top x_0$, and $Q$ times two vectors. With a
    rest of one value ($k < D$) the formula is the same; blocks of $b$ count as $k = b$; diagonal and
    isotropic paths as $k = 0$."""
    return 6 * dim * modes + 14 * dim


def anchor_bytes(dim: int, modes: int, *, vectors: bool = True) -> int:
    """An anchor: centre, and speed, variance and component per mode; the $k$ vectors unless all points
    share them."""
    return FLOAT * (dim + 3 * modes + (dim * modes if vectors else 0))


def dense_hessian(dim: int, gradient: float) -> float:
    """$D$ Hessian–vector products, of about two gradients each."""
    return dim * 2 * gradient


def eigendecomposition(dim: int) -> float:
    """About $9D^3$ with vectors (Golub and Van Loan, *Matrix Computations*, 8.3)."""
    return 9 * dim**3


def lanczos(dim: int, modes: int, iterations: int, product: float) -> float:
    """$m$ products, orthogonalised twice against all before: $m\\,(8mD + \\text{product})$, and
    $2m^2D + 2mkD$ to come back."""
    m = iterations
    return m * (8 * m * dim + product) + 2 * m**2 * dim + 2 * m * modes * dim


def optimiser(parameters: int) -> float:
    """Clipping, Adam and the average of the weights: 20 operations per parameter, once per step."""
    return 20 * parameters


def state_bytes(parameters: int) -> int:
    """Weights, their average and Adam's two moments."""
    return 4 * FLOAT * parameters


def all_reduce_bytes(parameters: int, devices: int) -> float:
    r"""What each device sends per step: $2\frac{n-1}{n} \cdot 4P$ in a ring."""
    return 2 * (devices - 1) / devices * FLOAT * parameters


def _weights(layers: list[tuple[int, int]]) -> int:
    return sum(fan_in * fan_out for fan_in, fan_out in layers)
