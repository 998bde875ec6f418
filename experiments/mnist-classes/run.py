"""Digits by class: a conditional flow beside one that isn't told the class, the NLL per class, and a
classifier by Bayes' rule.

    python experiments/mnist-classes/run.py --data FOLDER

FOLDER holds MNIST's four IDX files (images and labels), gzipped or not; `--images digits` needs none. A
run that was cut off goes on where it was. Settings are chosen with `--score validation`, the last 5,000
training images (of digits 200), which are never trained on.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import hiflow as hf
from hiflow._disk import write_json
from hiflow.data import PixelTransform, images, labels, levels
from hiflow.experiments._classes import ClassScores

KEY = jax.random.key(0)
# With two hidden layers its exact divergence is as cheap as its velocity.
NETWORK = {"name": "mlp", "width": 1024, "depth": 2}
COPIES = 3
ELSEWHERE = ("data", "out", "work", "flows")
NATS = "nats per image of -log P(pixels), an upper bound by uniform dequantisation; mean, standard error"


def main() -> None:
    """Train both flows, score the images under every class, and write what came out."""
    args = arguments()
    data = read(args)
    chosen = settings(args)
    flows, seconds = {}, {}
    for name, condition in {"conditional": data["labels"], "unconditional": None}.items():
        if name in args.flows:
            flows[name], seconds[name] = trained(args, name, data["train"], condition)
    scores = all_scores(args, flows, data)
    results: dict[str, Any] = {
        "settings": chosen,
        "versions": {"jax": jax.__version__, "hiflow": hf.__version__},
        "training_seconds": seconds,
        "unit": NATS,
    }
    results |= summary(data, **scores)
    print(json.dumps(results, indent=1), flush=True)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        write_json(args.out / "results.json", results, indent=1)
        picture(flows["conditional"], data["transform"]).savefig(args.out / "samples.png", dpi=120)


def arguments() -> argparse.Namespace:
    """The command line's."""
    parser = argparse.ArgumentParser(description="Flows of digits, with and without their classes.")
    add = parser.add_argument
    add("--images", default="mnist", choices=["mnist", "fashion-mnist", "digits"])
    add("--data", default=os.environ.get("HIFLOW_MNIST"), help="folder of IDX files")
    add("--out", type=Path, help="folder of results.json and samples.png; only printed without")
    add("--work", type=Path, default=Path("runs/mnist-classes"), help="flows, scores, checkpoints")
    add("--flows", nargs="+", default=["conditional", "unconditional"])
    add("--side", type=int, default=14)
    add("--network", type=json.loads, default=NETWORK, help="a table, in JSON")
    add("--steps", type=int, default=20_000)
    add("--batch", type=int, default=128)
    add("--divergence", type=json.loads, default={"name": "exact"}, help="a table, in JSON")
    add("--rate", type=float, default=2e-3)
    add("--ema", type=float, default=0.999)
    add("--score", default="test", choices=["test", "validation"])
    add("--number", type=int, default=2_000, help="how many of these images")
    add("--coarse", type=int, default=6, help="steps of Heun's method under every class")
    add("--fine", type=int, default=12, help="and under the three likeliest")
    add("--draws", type=int, default=2, help="of noise, for the fine scores")
    return parser.parse_args()


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """What the results depend on. What is kept of a training with other settings isn't taken up."""
    scoring = ("score", "number", "coarse", "fine", "draws")
    found = {key: value for key, value in vars(args).items() if key not in ELSEWHERE}
    training = {key: value for key, value in found.items() if key not in scoring}
    args.scores = args.work / "-".join(str(found[key]) for key in scoring)
    args.scores.mkdir(parents=True, exist_ok=True)
    file = args.work / "settings.json"
    if not file.exists():
        write_json(file, training, indent=1)
    if json.loads(file.read_text()) != training:
        raise SystemExit(
            f"{args.work} holds flows of other settings: name another folder by --work."
        )
    return found


def read(args: argparse.Namespace) -> dict[str, Any]:
    """Images with their labels: those to train on as real numbers, those to score as pixels."""
    pixels = images(args.images, args.data, None if args.images == "digits" else args.side)
    classes = labels(args.images, args.data)
    held_out = 200 if args.images == "digits" else 5_000
    validation = pixels[0][-held_out:], classes[0][-held_out:]
    scored = validation if args.score == "validation" else (pixels[1], classes[1])
    chosen = np.random.default_rng(0).permutation(len(scored[0]))[: args.number]
    transform = PixelTransform(levels(args.images), alpha=1e-6, shift=-2.5, scale=4.0)
    # Every image a few times, each with noise of its own, which is then harder to learn by heart.
    train = np.tile(pixels[0][:-held_out], (COPIES, 1, 1))
    return {
        "train": transform.forward(transform.dequantise(train, key=jax.random.fold_in(KEY, 1))),
        "labels": np.tile(classes[0][:-held_out], COPIES),
        "scored": scored[0][chosen],
        "truth": scored[1][chosen],
        "transform": transform,
    }


def trained(
    args: argparse.Namespace, name: str, points: jax.Array, condition: np.ndarray | None
) -> tuple[hf.Flow, float]:
    """A flow and the seconds of its training, which goes on from the last checkpoint."""
    file, history = args.work / f"{name}.hiflow", hf.History()
    seconds = args.work / f"{name}-seconds.npy"
    if not file.exists():
        flow = hf.fit(
            args.network, "optimal-transport", points, prior=hf.priors.Normal(points.shape[1:]),
            key=KEY, condition=condition, steps=args.steps, batch_size=args.batch,
            learning_rate=args.rate, ema=args.ema, history=history, log_every=500, progress=False,
            checkpoint_dir=args.work / f"{name}-checkpoints", checkpoint_every=1_000, resume=True,
            callbacks=[lambda row: print(name, row, flush=True)],
            solver_settings={"method": "Heun", "divergence": args.divergence, "chunk_size": 100},
        )  # fmt: skip
        np.save(seconds, history.rows[-1]["seconds"])
        flow.save(file)
    return hf.load(file), float(np.load(seconds))


def all_scores(
    args: argparse.Namespace, flows: dict[str, hf.Flow], data: dict[str, Any]
) -> dict[str, np.ndarray]:
    """What is known of every image: coarsely under every class, finely under the three classes that are
    then the likeliest, under the true one, and by the unconditional flow."""

    def kept(name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        file = args.scores / f"{name}.npy"
        if not file.exists():
            np.save(file, make())
            print(f"scored: {name}", flush=True)
        return np.load(file)

    def under(name: str, condition: np.ndarray | None, *, flow: str = "conditional", **how: int):
        return kept(name, lambda: log_prob(flows[flow], data, condition, **how))

    coarse, fine = {"steps": args.coarse, "draws": 1}, {"steps": args.fine, "draws": args.draws}
    classes = range(int(data["labels"].max()) + 1)
    table = np.stack(
        [under(f"class-{c}", np.full(len(data["truth"]), c), **coarse) for c in classes], axis=1
    )
    likeliest = np.argsort(-table, axis=1)[:, :3]
    # Coarse scores are of less noise and other steps: the other classes are left out of the mixture.
    sharp = np.full_like(table, -np.inf)
    for rank, condition in enumerate(likeliest.T):
        sharp[np.arange(len(table)), condition] = under(f"likeliest-{rank}", condition, **fine)
    found = {"coarse": table, "fine": sharp, "likeliest": likeliest}
    found["given"] = under("true-class", data["truth"], **fine)
    if "unconditional" in flows:
        found["free"] = under("unconditional", None, flow="unconditional", **fine)
    return found


def log_prob(
    flow: hf.Flow, data: dict[str, Any], condition: np.ndarray | None, *, steps: int, draws: int
) -> np.ndarray:
    """A lower bound of log P(pixels) in nats, the mean over draws of noise, and of probes if there are
    any. They are the same for every class and flow: what they get wrong is shared."""
    transform, total = data["transform"], 0.0
    for draw in range(draws):
        key_noise, key_probes = jax.random.split(jax.random.fold_in(KEY, 100 + draw))
        z = transform.forward(transform.dequantise(data["scored"], key=key_noise))
        found = flow.log_prob(z, key=key_probes, condition=condition, steps=steps)
        total += np.asarray(found + jax.vmap(transform.log_det)(z), np.float64) / draws
    return total - data["scored"][0].size * np.log(transform.levels)


def summary(
    data: dict[str, Any],
    coarse: np.ndarray,
    fine: np.ndarray,
    likeliest: np.ndarray,
    given: np.ndarray,
    free: np.ndarray | None = None,
) -> dict[str, Any]:
    """NLLs with their standard errors over images, and what Bayes' rule makes of them."""
    truth = data["truth"]
    shares = np.bincount(data["labels"]) / len(data["labels"])
    known = ClassScores(fine, shares)
    right, mixture = known.found == truth, known.mixture
    nll = {"given the class": -given, "mixture of the classes": -mixture}
    if free is not None:
        nll |= {"unconditional flow": -free, "mixture less unconditional": free - mixture}
    return {
        "images": len(truth),
        "accuracy": mean_and_error(right),
        "accuracy_coarse": mean_and_error(ClassScores(coarse, shares).found == truth),
        "truth_among_the_likeliest": float((likeliest == truth[:, None]).any(axis=1).mean()),
        "nll": {name: mean_and_error(values) for name, values in nll.items()},
        "classes": {
            str(label): {
                "images": int((truth == label).sum()),
                "accuracy": float(right[truth == label].mean()),
                **{name: mean_and_error(values[truth == label]) for name, values in nll.items()},
            }
            for label in np.unique(truth)
        },
    }


def mean_and_error(values: np.ndarray) -> list[float]:
    """The mean, and its standard error."""
    return [float(values.mean()), float(values.std() / np.sqrt(len(values)))]


def picture(flow: hf.Flow, transform: PixelTransform) -> Figure:
    """Fifteen samples of every class."""
    classes = jnp.repeat(jnp.arange(10), 15)
    drawn = flow.sample(jax.random.fold_in(KEY, 3), len(classes), condition=classes, steps=40)
    pixels = transform.to_pixels(drawn).reshape(10, 15, *drawn.shape[1:])
    grids = {str(label): each for label, each in enumerate(pixels)}
    return hf.plotting.image_grids(grids, transform.levels, columns=5)


if __name__ == "__main__":
    main()
