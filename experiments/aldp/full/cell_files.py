"""What the cells read and write: frames, and files that are whole at any moment."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np


def split(file: str) -> dict[str, np.ndarray]:
    """Frames in Å: of 58 chains for training, 2 for validation and 4 for the test."""
    with np.load(file) as held:
        points, chains = held["points"] * held["unit"], held["chains"]
    points = points.astype(np.float32)
    points -= points.mean(axis=1, keepdims=True)
    parts = {
        "train": chains < 58,
        "validation": (chains >= 58) & (chains < 60),
        "test": chains >= 60,
    }
    return {name: points[which] for name, which in parts.items()}


def spread(points: np.ndarray, size: int) -> np.ndarray:
    """As many of the points, from all chains and all of their length alike."""
    return points[np.linspace(0, len(points) - 1, min(size, len(points))).round().astype(int)]


def shuffled(points: np.ndarray) -> np.ndarray:
    """The points in an order that is always the same: the first few of it stand for all."""
    return points[np.random.default_rng(2024).permutation(len(points))]


def numbers(place: Path) -> dict[str, Any]:
    """A cell's numbers; none if there is no such file yet."""
    file = place / "numbers.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def note(place: Path, **more: object) -> None:
    """Adds to a cell's numbers."""
    text = json.dumps(numbers(place) | more, indent=1, default=float).encode()
    replace(place / "numbers.json", lambda to: to.write(text))


def samples(place: Path) -> dict[str, np.ndarray]:
    """A cell's samples; none if there is no such file yet."""
    file = place / "samples.npz"
    if not file.exists():
        return {}
    with np.load(file) as held:
        return dict(held)


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """A file that is whole at any moment."""
    with open(f"{path}.part", "wb") as file:
        write(file)
    os.replace(f"{path}.part", path)
