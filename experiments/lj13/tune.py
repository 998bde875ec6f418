"""A declared budget of tuning on LJ13: two Hessian-informed paths, on validation points alone.

    python experiments/lj13/tune.py experiments/lj13/trials.csv

Sixteen trials of 300 steps by Optuna's TPE sampler (the first six at random), each scored by
the NLL of 64 validation points that no other figure uses. Continues from `trials.csv.journal` after
an interruption.
"""

import csv
import sys
from pathlib import Path

import jax
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import hiflow as hf
from hiflow import experiments, metrics

TRIALS, STEPS, VALIDATION = 16, 300, 64
COLUMNS = ("number", "nll", "nfe", "path", "shift", "step", "kappa", "stiffness", "cutoff", "power")


def arm(trial):
    """The table of an arm, as an experiment's file would have it."""
    time = {"name": "log", "cutoff": trial.suggest_categorical("cutoff", [0.0, 1e-3, 1e-2])}
    path = {"name": trial.suggest_categorical("path", ["relaxed", "linearised"])}
    if path["name"] == "relaxed":
        shift = trial.suggest_float("shift", 3.0, 1000.0, log=True)
        path |= {"step": trial.suggest_float("step", 0.02, 1.0, log=True)}
        path |= {"curvature": {"name": "absolute", "shift": shift}}
    else:
        kappa = trial.suggest_float("kappa", -0.4, 2.0)
        stiffness = trial.suggest_float("stiffness", 10.0, 3000.0, log=True)
        path |= {"rates": {"name": "saturating", "kappa": kappa, "stiffness": stiffness}}
    # Power 1 is uniform; below, more times near t = 1, with weights that keep the loss unbiased.
    power = trial.suggest_float("power", 0.4, 1.0)
    training = {"time_sampler": {"name": "importance", "power": power}, "steps": STEPS}
    training |= {"coupling": "independent"}  # For both paths alike: an end law needs it.
    return {
        "label": "trial",
        "path": {**path, "time": time, "hessian": "analytic"},
        "training": training | {"validate_at": []},
    }


def main(out):
    """Run what is left of the budget and write the table."""
    experiment = experiments.read(Path(__file__).with_name("lj13.toml"))
    tables = {**experiment.tables, "data": {**experiment.tables["data"], "validation": VALIDATION}}
    experiment = experiments.Experiment("tune", "", tables)
    energy = experiments.make_energy(experiment)
    assert energy is not None
    points, _ = experiments.make_data(experiment, energy, 0, progress=False)
    validation = experiments.make_validation(experiment, energy, 0, progress=False)

    def score(trial):
        key_network, key_fit = jax.random.split(jax.random.key(100))
        made = experiments.make_arm(experiment, arm(trial), energy, energy.event_shape, key_network)
        flow = hf.fit(
            made.network, made.path, points, prior=made.prior, energy=energy, key=key_fit,
            training=made.training, solver_settings=made.solver, progress=False,
        )  # fmt: skip
        found = metrics.negative_log_likelihood(flow, validation)
        trial.set_user_attr("nfe", found.nfe)
        return found.nll

    storage = JournalStorage(JournalFileBackend(f"{out}.journal"))
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=6)
    study = optuna.create_study(
        study_name="lj13", storage=storage, sampler=sampler, load_if_exists=True
    )
    finished = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    study.optimize(score, n_trials=max(0, TRIALS - len(finished)))
    with open(out, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for trial in sorted(study.trials, key=lambda t: t.value or float("inf")):
            given = {**trial.params, "number": trial.number, "nll": trial.value}
            given |= trial.user_attrs
            row = [given.get(name, "") for name in COLUMNS]
            table.writerow([f"{x:.4g}" if isinstance(x, float) else x for x in row])


if __name__ == "__main__":
    main(*sys.argv[1:])
