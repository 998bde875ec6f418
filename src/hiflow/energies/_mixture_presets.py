"""Mixtures of Gaussians that have names: small targets whose density, samples and entropy are exact."""

from collections.abc import Mapping

import numpy as np


def two_moons(
    components: int = 16, radius: float = 1.5, width: float = 0.08
) -> Mapping[str, np.ndarray]:
    r"""Two interlocked half circles, each of `components` Gaussians: `width` across the circle, and 0.7
    of their distance along it."""
    angles = np.linspace(0, np.pi, components)
    arc = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    moved = np.array([radius / 2, radius / 4])
    means = np.concatenate([arc - moved, moved - arc])
    outward = np.concatenate([arc, -arc]) / radius
    along = 0.7 * radius * np.pi / (components - 1)
    across = outward[:, :, None] * outward[:, None, :]
    precisions = across / width**2 + (np.eye(2) - across) / along**2
    return {"means": means, "precisions": precisions}


def wide_and_narrow(
    dim: int = 10, components: int = 4, narrowest: float = 0.05, spread: float = 1.5
) -> Mapping[str, np.ndarray]:
    """Gaussians at random places and turned at random, with standard deviations from `narrowest` to 1,
    equally far apart in their logarithms."""
    generator = np.random.default_rng(0)
    means = spread * generator.standard_normal((components, dim))
    precision = np.diag(np.geomspace(1, narrowest, dim) ** -2.0)
    turns = np.linalg.qr(generator.standard_normal((components, dim, dim)))[0]
    precisions = turns @ precision @ turns.transpose(0, 2, 1)
    return {"means": means, "precisions": (precisions + precisions.transpose(0, 2, 1)) / 2}
