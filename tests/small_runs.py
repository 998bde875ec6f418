"""Runs of eight points of a ring, small enough to be trained many times over."""

from rich.console import Console

from hiflow import experiments

RING = """
[energy]
name = "ring"
[data]
size = 8
test = 4
[network]
name = "mlp"
width = 8
depth = 1
[training]
steps = 8
batch_size = 8
checkpoint_every = 4
[evaluation]
solver = "Heun"
steps = 3
"""


def trained(folder, text, **keywords):
    """The comparison of the run that a file's text makes, in the folder's `run`."""
    file = folder / "small.toml"
    file.write_text(text)
    return experiments.train(
        experiments.read(file), folder / "run", console=Console(quiet=True), **keywords
    )
