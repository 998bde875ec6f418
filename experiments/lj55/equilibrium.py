"""Whether the samples that `lj55.toml` trains on are in equilibrium: energies against `floor.json`.

    python experiments/lj55/equilibrium.py

Draws them as a run does (or reads them where a run kept them). The energy and the trap's part of it are
printed for all samples, with errors over chains, and for the chains' first, second, ... samples: a
drift would tell of a burn-in that is too short. Writes `equilibrium.json`.
"""

import json
from pathlib import Path

import jax
import numpy as np

import hiflow as hf
from hiflow import experiments
from hiflow._disk import write_json

HERE = Path(__file__).parent


def main() -> None:
    """Draws, and what they are apart from the integration's last stage."""
    experiment = experiments.read(HERE / "lj55.toml")
    energy = experiments.make_energy(experiment)
    assert energy is not None
    train, _ = experiments.make_samples(experiment, energy, 0, progress=True)
    floor = json.loads((HERE / "floor.json").read_text())
    expected = {"energy": floor["energy"]["both"], "trap": floor["stages"][-1]["trap"]["both"]}
    found = {name: by_draw(values, train) for name, values in energies(energy, train).items()}
    virial = hf.data.check_virial(energy, train)
    numbers = {
        "samples": len(train),
        "virial": [virial.mean, virial.standard_error],
        **{name: {"expected": expected[name], **rows} for name, rows in found.items()},
    }
    for name, rows in found.items():
        mean, error = np.transpose([rows["all"], expected[name]])
        numbers[name]["apart"] = float((mean[0] - mean[1]) / np.hypot(*error))
    write_json(HERE / "equilibrium.json", numbers, indent=1)
    print(json.dumps(numbers, indent=1))


def energies(energy, samples) -> dict[str, np.ndarray]:
    """Of every sample, all of the energy and that in the trap."""
    points = jax.numpy.asarray(samples.points)
    values = jax.lax.map(energy, points, batch_size=256)
    centred = points - points.mean(1, keepdims=True)
    trap = energy.trap / 2 * (centred**2).sum((1, 2))
    return {
        name: np.asarray(each, np.float64) for name, each in (("energy", values), ("trap", trap))
    }


def by_draw(values: np.ndarray, samples) -> dict:
    """Mean and error of all, and of the chains' first samples, of their second ones, and so on."""
    labels = np.asarray(samples.chains)
    earlier = np.array([np.sum(labels[:i] == label) for i, label in enumerate(labels)])
    whole = float(values.mean()), hf.metrics.standard_error(values, labels)
    draws = [
        (float(part.mean()), hf.metrics.standard_error(part))
        for part in (values[earlier == draw] for draw in range(earlier.max() + 1))
    ]
    return {"all": whole, "draws": draws}


if __name__ == "__main__":
    main()
