"""Digits by class: a conditional flow beside one without conditions, NLL per class, and a classifier by
Bayes. Writes results.json and samples.npz.

    python experiments/mnist-classes/run.py --data FOLDER --out experiments/mnist-classes/full

FOLDER holds MNIST's four IDX files (images and labels), gzipped or not; `--images digits` needs none.
The defaults are for one graphics card and six minutes; `--size tiny --steps 1500 --batch 64 --test 200`
for two processor cores.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hiflow as hf
from hiflow._disk import write_json
from hiflow.data import PixelTransform, images, labels, levels

KEY = jax.random.key(0)


def main() -> None:
    """Train both flows, score the test images under every class, and write what came out."""
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    data = read(args)
    results: dict[str, Any] = {
        "settings": {name: str(value) for name, value in vars(args).items() if name != "data"}
    }
    results["device"] = str(jax.devices()[0])
    results["versions"] = {"jax": jax.__version__, "hiflow": hf.__version__}
    flows = {}
    for name, condition in {"conditional": data["labels"], "unconditional": None}.items():
        began = time.perf_counter()
        flows[name] = train(args, data["train"], condition)
        results[name] = {"training_seconds": time.perf_counter() - began}
        print(f"{name}: trained in {results[name]['training_seconds']:.0f} s", flush=True)
        flows[name].save(args.out / f"{name}.hiflow")
        write_json(args.out / "results.json", results, indent=1)
    began = time.perf_counter()
    free = score(args, flows["unconditional"], data["test"], None)
    nothing = score(args, flows["conditional"], data["test"], None)
    scores = class_scores(args, flows["conditional"], data)
    results["scoring_seconds"] = time.perf_counter() - began
    results |= summary(scores, free, nothing, data)
    write_json(args.out / "results.json", results, indent=1)
    np.savez_compressed(args.out / "scores.npz", scores=scores, unconditional=free)
    print(json.dumps(results, indent=1), flush=True)
    drawn = samples(args, flows["conditional"], data["transform"])
    np.savez_compressed(args.out / "samples.npz", **drawn)


def arguments() -> argparse.Namespace:
    """The command line's."""
    parser = argparse.ArgumentParser(description="Flows of digits, with and without their classes.")
    parser.add_argument("--images", default="mnist", choices=["mnist", "fashion-mnist", "digits"])
    parser.add_argument(
        "--data", default=os.environ.get("HIFLOW_MNIST"), help="folder of IDX files"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/mnist-classes"))
    parser.add_argument("--side", type=int, default=14)
    parser.add_argument("--size", default="small", help="of the U-Net")
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--dropout", type=float, default=0.1, help="of conditions")
    parser.add_argument("--test", type=int, default=1_000, help="how many test images")
    parser.add_argument("--solver-steps", type=int, default=16, help="of Heun's method")
    parser.add_argument("--probes", type=int, default=2)
    parser.add_argument("--most", type=float, default=110, help="seconds of training for each flow")
    return parser.parse_args()


def read(args: argparse.Namespace) -> dict:
    """Images as real numbers, with their labels."""
    side = None if args.images == "digits" else args.side
    pixels = images(args.images, args.data, side)
    classes = labels(args.images, args.data)
    transform = PixelTransform(levels(args.images), alpha=1e-6, shift=-2.5, scale=4.0)
    chosen = np.random.default_rng(0).permutation(len(pixels[1]))[: args.test]
    parts = {"train": pixels[0], "test": pixels[1][chosen]}
    keys = dict(zip(parts, jax.random.split(jax.random.fold_in(KEY, 1)), strict=True))
    made = {
        name: transform.forward(transform.dequantise(part, key=keys[name]))
        for name, part in parts.items()
    }
    return made | {
        "labels": classes[0], "test_labels": classes[1][chosen], "transform": transform
    }  # fmt: skip


def train(args: argparse.Namespace, points: jax.Array, condition: np.ndarray | None) -> hf.Flow:
    """A flow; its density is computed in single precision whatever it was trained in."""
    end = time.perf_counter() + args.most
    network: dict = {"name": "unet", "size": args.size}
    conditional: dict[str, Any] = {} if condition is None else {"condition": condition}
    flow = hf.fit(
        network, "optimal-transport", points, prior=hf.priors.Normal(points.shape[1:]), key=KEY,
        steps=args.steps, batch_size=args.batch, learning_rate=args.rate, ema=0.999,
        condition_dropout=0.0 if condition is None else args.dropout, progress=False, log_every=250,
        callbacks=[hf.callbacks.StopWhen(lambda row: time.perf_counter() > end, "time")],
        solver_settings={
            "method": "Heun", "steps": args.solver_steps,
            "divergence": {"name": "hutchinson", "probes": args.probes},
        },
        **conditional,
    )  # fmt: skip
    assert isinstance(flow.network, hf.networks.UNet)
    return hf.Flow(flow.prior, flow.network.with_compute("float32"), flow.solver)


def score(
    args: argparse.Namespace, flow: hf.Flow, points: jax.Array, condition: object
) -> np.ndarray:
    """Log densities, with the same probes for every class: what they get wrong they share."""
    key = jax.random.fold_in(KEY, 2)
    return np.asarray(flow.log_prob(points, key=key, condition=condition))


def class_scores(args: argparse.Namespace, flow: hf.Flow, data: dict) -> np.ndarray:
    """log p(x|c), a row per image and a column per class."""
    columns = [
        score(args, flow, data["test"], jnp.asarray(label))
        for label in range(int(data["labels"].max()) + 1)
    ]
    return np.stack(columns, axis=1)


def summary(scores: np.ndarray, free: np.ndarray, nothing: np.ndarray, data: dict) -> dict:
    """NLLs in nats with their standard errors, and what Bayes' rule makes of them."""
    truth, n = data["test_labels"], len(scores)
    given = scores[np.arange(n), truth]
    top = scores.max(axis=1)
    mixture = top + np.log(np.exp(scores - top[:, None]).mean(axis=1))
    right = scores.argmax(axis=1) == truth
    per_class = {
        str(label): {
            "images": int((truth == label).sum()),
            "nll": mean_and_error(-given[truth == label]),
            "unconditional_nll": mean_and_error(-free[truth == label]),
            "accuracy": float(right[truth == label].mean()),
        }
        for label in np.unique(truth)
    }
    return {
        "test_images": n,
        "accuracy": mean_and_error(right.astype(float)),
        "nll": {
            "given the label": mean_and_error(-given),
            "mixture of the classes": mean_and_error(-mixture),
            "conditions dropped": mean_and_error(-nothing),
            "unconditional flow": mean_and_error(-free),
            "mixture less unconditional": mean_and_error(free - mixture),
        },
        "classes": per_class,
    }


def mean_and_error(values: np.ndarray) -> list[float]:
    """The mean, and its standard error."""
    return [float(values.mean()), float(values.std() / np.sqrt(len(values)))]


def samples(args: argparse.Namespace, flow: hf.Flow, transform: PixelTransform) -> dict:
    """Eight of every class, as they are and guided."""
    classes = jnp.repeat(jnp.arange(10), 8)
    found = {}
    for weight in (1.0, 2.0, 4.0):
        drawn = flow.guided(weight).sample(jax.random.fold_in(KEY, 3), 80, condition=classes)
        found[f"weight_{weight:g}"] = np.asarray(transform.to_pixels(drawn)).astype(np.uint8)
    return found


if __name__ == "__main__":
    main()
