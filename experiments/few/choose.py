"""What `hiflow.choose_path` chooses for the few samples of these files, and what its flow is worth.

    python experiments/few/choose.py ring-10 0 1 2    # a system and number of samples, seeds

Adds to `choice.json`: of every seed the choice, its NLL on the test points of the comparisons, and the
seconds that the choice took. At most 4,000 steps, as the toys' arms.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path

import jax

import hiflow as hf
from hiflow import experiments
from hiflow._disk import write_json

HERE = Path(__file__).parent
STEPS = 4_000


def main(name, *seeds):
    """Choose, train and score."""
    file = HERE / "choice.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for seed in map(int, seeds):
        found.setdefault(name, {})[str(seed)] = chosen(name, seed)
        write_json(file, found, indent=1)


def chosen(name, seed):
    """The choice for one seed's first points."""
    system, size = name.rsplit("-", 1)
    experiment = experiments.read(HERE / f"{system}.toml")
    energy = experiments.make_energy(experiment)
    assert energy is not None, "all of these files have one"
    train, test = experiments.make_data(experiment, energy, seed, progress=False)
    few = train[: int(size)]
    key_network, key = jax.random.split(jax.random.key(seed))
    arm = experiments.make_arm(
        experiment, experiment.arms[0], energy, energy.event_shape, key_network
    )
    training = dataclasses.replace(arm.training, steps=STEPS)
    given = {"prior": arm.prior, "energy": energy, "key": key, "training": training}
    given |= {"solver_settings": arm.solver, "progress": False}
    begun = time.perf_counter()
    choice = hf.choose_path(arm.network, few, **given)
    seconds = time.perf_counter() - begun
    print(choice)
    flow = hf.fit(arm.network, choice.path, few, steps=choice.steps, **given)
    row = {"label": choice.label, "steps": choice.steps, "path": choice.table}
    return {**row, "nll": float(-flow.log_prob(test).mean()), "seconds": round(seconds)}


if __name__ == "__main__":
    main(*sys.argv[1:])
