"""What a training step takes in float32 and in bfloat16, and what both reach.

    python benchmarks/precision.py           # all cases
    python benchmarks/precision.py MLP       # those whose names begin like this

Worth running on a GPU: a processor has no faster products in bfloat16.
"""

import sys

import jax
import numpy as np

import hiflow as hf

STEPS, APART = 600, 50


def cases() -> dict[str, tuple[hf.networks.AbstractVelocityField, int]]:
    """Networks and their batch sizes."""
    key = jax.random.key(0)
    return {
        "MLP 4 x 256, D = 64": (hf.networks.MLP((64,), width=256, depth=4, key=key), 1024),
        "MLP 4 x 2048, D = 64": (hf.networks.MLP((64,), width=2048, depth=4, key=key), 4096),
        "EGNN 3 x 64, N = 13": (hf.networks.EGNN(13, 3, width=64, key=key), 512),
        "EGNN 4 x 128, N = 55": (hf.networks.EGNN(55, 3, width=128, depth=4, key=key), 128),
    }


def main(*beginnings: str) -> None:
    """Print milliseconds a step, the last loss, and the NLL of points that were held out."""
    print(jax.devices()[0].device_kind, "JAX", jax.__version__)
    for name, (network, batch) in cases().items():
        if not name.startswith(beginnings or ("",)):
            continue
        group = network.group if isinstance(network, hf.networks.EGNN) else hf.groups.Trivial()
        shape = network.event_shape
        points = 0.5 * jax.random.normal(jax.random.key(1), (8192, *shape))
        points = jax.vmap(group.project)(points)
        prior = "centred-normal" if len(shape) == 2 else "normal"
        for compute in ("float32", "bfloat16"):
            history = hf.History()
            flow = hf.fit(
                network, "optimal-transport", points, prior=prior, key=jax.random.key(2),
                steps=STEPS, batch_size=batch, log_every=APART, compute=compute, history=history,
                progress=False,
            )  # fmt: skip
            seconds, losses = np.diff(history.column("seconds")), history.column("loss")
            exact = {"method": "Heun", "steps": 8}
            nll = hf.metrics.negative_log_likelihood(flow, points[:64], **exact).nll
            print(
                f"{name}: {compute} {1e3 * seconds.min() / APART:.3f} ms a step, last loss "
                f"{losses[-1]:.4f}, NLL {float(nll):.3f}"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
