"""What all libraries work on: the same points, the same network with the same weights, in NumPy."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

DIM, WIDTH, DEPTH, POINTS = 39, 128, 3, 2_000
TIME_FEATURES = 9
Weights = list[tuple[np.ndarray, np.ndarray]]
Sizes = dict[str, Any]


def points(size: int = POINTS) -> np.ndarray:
    """Of a mixture of eight normals with stiff and soft directions."""
    rng = np.random.default_rng(0)
    centres = 2 * rng.normal(size=(8, DIM))
    noise = rng.normal(size=(size, DIM)) * np.geomspace(0.05, 1, DIM)
    return (centres[rng.integers(8, size=size)] + noise).astype(np.float32)


def clusters(particles: int, size: int, seed: int) -> np.ndarray:
    """Centred normal configurations of particles in space."""
    x = np.random.default_rng(seed).normal(size=(size, particles, 3))
    return (x - x.mean(1, keepdims=True)).astype(np.float32)


def initial_weights() -> Weights:
    """Of the network that every library trains: three hidden layers on the point and the features."""
    rng, sizes = np.random.default_rng(1), [DIM + TIME_FEATURES, *[WIDTH] * DEPTH, DIM]
    weights = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        bound = fan_in**-0.5
        matrix = rng.uniform(-bound, bound, (fan_out, fan_in)).astype(np.float32)
        weights.append((matrix, rng.uniform(-bound, bound, fan_out).astype(np.float32)))
    return weights


def count(weights: Weights) -> int:
    """The parameters."""
    return sum(matrix.size + bias.size for matrix, bias in weights)


def velocity(weights: Weights, t: float, x: np.ndarray) -> np.ndarray:
    """The network in double precision, of a batch: features (2t − 1, cos πkt, sin πkt), SiLU."""
    phase = np.pi * np.arange(1, 5) * t
    features = np.concatenate([[2 * t - 1], np.cos(phase), np.sin(phase)])
    y = np.concatenate([x, np.broadcast_to(features, (len(x), TIME_FEATURES))], 1)
    for matrix, bias in weights[:-1]:
        y = y @ matrix.T + bias
        y = y / (1 + np.exp(-y))
    return y @ weights[-1][0].T + weights[-1][1]


def probe(sizes: Sizes, v: Any) -> float:
    """One number of a library's field v(t, x) of a batch, which all must agree on."""
    del sizes
    x = points(8)
    return float(np.sum(np.abs(np.asarray(v(0.3, x)))))


def save_trained(folder: Path, weights: Weights, size: int) -> None:
    """Keep trained weights, with prior samples and where the flow carries them, to a tight tolerance."""
    from scipy.integrate import solve_ivp

    start = np.random.default_rng(2).normal(size=(size, DIM)).astype(np.float32)

    def field(t: float, y: np.ndarray) -> np.ndarray:
        return velocity(weights, t, y.reshape(start.shape)).ravel()

    solution = solve_ivp(
        field, (0, 1), start.astype(float).ravel(), method="DOP853", rtol=1e-9, atol=1e-9
    )
    arrays: dict[str, Any] = {}
    for i, (matrix, bias) in enumerate(weights):
        arrays |= {f"w{i}": matrix, f"b{i}": bias}
    end = solution.y[:, -1].reshape(start.shape)
    np.savez(folder / "trained.npz", start=start, end=end, **arrays)


def trained(sizes: Sizes) -> tuple[Weights, np.ndarray, np.ndarray]:
    """The trained weights, prior samples, and where the flow carries them."""
    with np.load(Path(sizes["folder"]) / "trained.npz") as kept:
        weights = [(kept[f"w{i}"], kept[f"b{i}"]) for i in range(DEPTH + 1)]
        return weights, kept["start"][: sizes["points"]], kept["end"][: sizes["points"]]


def error(end: np.ndarray, found: Any) -> float:
    """The root mean square error of a coordinate."""
    return float(np.sqrt(np.mean((np.asarray(found) - end) ** 2)))
