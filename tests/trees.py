"""A file of points of three classes, and experiments on it."""

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from hiflow import experiments
from hiflow.cli import app

NAMES = ("ash", "elm", "oak")
CENTRES = np.asarray([[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0]])
DATA = 'file = "trees.npz"\ncondition = "tree"\ntest = 12\nvalidation = 9'
TOML = """
{seeds}
[data]
{data}
[prior]
name = "normal"
[network]
name = "mlp"
width = 8
depth = 1
{network}
[training]
steps = 4
batch_size = 16
{training}
[evaluation]
method = "Heun"
steps = 4
[[arm]]
label = "told"
path = "optimal-transport"
{told}
[[arm]]
label = "free"
path = "optimal-transport"
condition = false
{free}
"""


def text(data=DATA, seeds="", network="", training="", told="", free=""):
    return TOML.format(
        data=data, seeds=seeds, network=network, training=training, told=told, free=free
    )


def hiflow(*arguments):
    return CliRunner().invoke(app, list(arguments))


def experiment(**parts):
    path = Path("trees.toml")
    path.write_text(text(**parts))
    return experiments.read(path)


def points_of(classes, seed=0):
    """Each near its class's centre, so that points tell which condition is theirs."""
    noise = np.random.default_rng(seed).normal(size=(len(classes), 2))
    return CENTRES[classes] + 0.2 * noise


def nearest(points):
    return np.argmin(np.linalg.norm(np.asarray(points)[:, None] - CENTRES, axis=-1), axis=1)


def write_trees(folder):
    classes = np.random.default_rng(1).permutation(np.arange(90) % 3)
    points = points_of(classes)
    words, heat = np.asarray(NAMES)[classes], 1.0 + points[:, :1]
    np.savez(folder / "trees.npz", points=points, tree=words, heat=heat, rank=np.arange(90))
    few = np.where(np.arange(90) == 0, "yew", words)
    np.savez(folder / "rare.npz", points=points, tree=few)
    test = np.arange(10) % 2  # Classes 0 and 1 alone.
    seen = np.asarray(("elm", "oak"))[test]
    np.savez(folder / "test.npz", points=points_of(test + 1, 5), tree=seen)
    np.savez(folder / "other.npz", points=points_of(test, 6), tree=np.asarray(("ash", "fir"))[test])
