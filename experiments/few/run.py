"""Few samples of stiff systems: trains, compares and draws the map of where the Hessian pays.

    python experiments/few/run.py                    # what is left of the plan, then table and figure
    python experiments/few/run.py ring-10 chain8-15  # of these alone
    python experiments/few/run.py --report           # table and figure of what there is

A run that was cut short goes on where it was. Runs are kept in `runs/few`; comparisons in this folder.
"""

import dataclasses
import json
import signal
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

import hiflow as hf
from hiflow import experiments
from hiflow._disk import trusting, write_json, write_text
from hiflow._statistics import Mean, mean_over
from hiflow.experiments._committed import less, rows_that_count
from hiflow.experiments._data import test_origins
from hiflow.experiments._page import page
from hiflow.plotting._style import style

HERE = Path(__file__).parent
RUNS = HERE.parents[1] / "runs" / "few"
FIVE, THREE = range(5), range(3)
TOYS = ("ring", "moons", "mixture10", "posterior", "lynx", "fput", "mullerbrown", "phi4", "arm3",
        "arm7")  # fmt: skip
PARTICLES = ("dw4", "chain8", "lj13")
PLAN = {
    **{f"{name}-{size}": FIVE for size in (10, 30) for name in (*TOYS, *PARTICLES)},
    **dict.fromkeys(("chain8-15", "aldp-30"), FIVE),
    **{f"{name}-{size}": THREE for size in (100, 1000) for name in (*TOYS, "digits", *PARTICLES)},
    "mnist-100": THREE,
}
ARMS = ("kernel density", "OT-FM", "isotropic end law", "CDC-FM", "control, shuffled",
        "control, mean rate", "HI-FM, Langevin", "HI-FM, Relaxed")  # fmt: skip
HERO = "HI-FM, Relaxed"
OWN = ("posterior", "lynx", "fput")  # modules in this folder that files name
TICKS = (-5, -2, -1, 0, 0.5, 1, 2, 5, 10, 20)
IN_A_ROW = 5
WIDTHS = tuple(np.geomspace(0.02, 3.0, 20))


def main(*wanted):
    """Run what is wanted, or all that is planned; then report."""
    # A process that a shell starts in the background ignores Ctrl-C, and with it a kind request to end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    report_only = "--report" in wanted
    with trusting(*OWN):
        for name in [] if report_only else wanted or PLAN:
            if not (HERE / name / "comparison.json").is_file():
                run(name)
                report()
        report()


def read(name):
    """The file of a system, with one number of samples."""
    system, size = name.rsplit("-", 1)
    own = HERE / f"{name}.toml"  # Where other sizes are trained otherwise.
    file = own if own.is_file() else HERE / f"{system}.toml"
    experiment = experiments.read(file)
    variants = [v for v in experiment.tables["variant"] if v["size"] == int(size)]
    if not variants:
        raise SystemExit(f"{name}: {file.name} has no variant of {size} samples. Add one.")
    return dataclasses.replace(experiment, tables={**experiment.tables, "variant": variants})


def run(name):
    """Train all arms of a system and number of samples, and write their comparison."""
    experiment, size = read(name), int(name.rsplit("-", 1)[1])
    seeds, folder = list(PLAN[name]), RUNS / name
    comparison = experiments.train(
        experiment,
        folder,
        seeds=seeds,
        resume=folder.exists(),
        console=Console(width=120),
        trust=OWN,
    )
    out = HERE / name
    out.mkdir(exist_ok=True)
    nll = nll_of_chosen(comparison)
    if experiment.tables["prior"]["name"] == "normal":  # Of particles it would lack the symmetry.
        row, nll["kernel density"] = kernel_density(experiment, size, seeds)
        write_json(out / "kernel-density.json", row)
    if comparison.members[0].origins is not None:
        write_json(out / "paired.json", paired(comparison, nll), indent=1)
    write_json(out / "comparison.json", comparison.numbers(), indent=1)
    write_text(out / "comparison.md", page(comparison, ()))


def nll_of_chosen(comparison):
    """Arm to the NLLs of the test points, seed by seed, of those that count."""
    chosen = [row["label"] for row in comparison.choices()]
    groups = {}
    for member in sorted(comparison.members, key=lambda member: member.seed):
        if not member.family or member.label in chosen:
            groups.setdefault(member.family or member.arm, []).append(member.nll)
    return groups


def paired(comparison, nll):
    """What the hero has less than each arm. Seeds that take their test points from one pool, as images
    do, share some of them, whose luck the spread over seeds alone doesn't hold."""
    origins = {member.seed: member.origins for member in comparison.members}
    names, ordered = sorted(origins), [origins[seed] for seed in sorted(origins)]
    found = {}
    for arm, other in nll.items():
        if arm != HERO:
            apart = [a - b for a, b in zip(nll[HERO], other, strict=True)]
            found[arm] = mean_over(apart, names, origins=ordered)._asdict()
    return found


def kernel_density(experiment, size, seeds):
    """A kernel density estimate on the same points, with a bandwidth chosen by the same validation: its
    row, and the NLLs of the test points seed by seed."""
    energy = experiments.make_energy(experiment)
    fits = []
    for seed in seeds:
        train, test = experiments.make_samples(experiment, energy, seed, progress=False)
        held = experiments.make_validation(experiment, energy, seed, progress=False)
        of = [hf.energies.KernelDensity(train.points[:size], width) for width in WIDTHS]
        scored = [[np.asarray(jax.vmap(e)(x)) for e in of] for x in (held, test.points)]
        origins = test_origins(experiment, seed, test)
        fits.append((*scored, str(np.asarray(jnp.sum(test.points))), origins))
    held, test, names, origins = zip(*fits, strict=True)
    validation = np.mean([[nll.mean() for nll in each] for each in held], axis=0)
    best = int(np.argmin(validation))
    points = [each[best] for each in test]
    nll = mean_over(points, names, origins=origins)
    by_seed = [float(each.mean()) for each in points]
    tried = dict(zip(map(str, WIDTHS), validation.tolist(), strict=True))
    row = {"label": "kernel density", "nll": nll.value, "se": nll.error, "by_seed": by_seed}
    return {**row, "bandwidth": WIDTHS[best], "validation": tried}, points


def rows_of(name):
    """Arm to its chosen row."""
    rows = rows_that_count(HERE / name / "comparison.json")
    found = {row["family"] or row["arm"]: row for row in rows}
    file = HERE / name / "kernel-density.json"
    if file.is_file():
        found["kernel density"] = json.loads(file.read_text(encoding="utf-8"))
    return found


def report():
    """The table and the figure of all that is finished."""
    names = [name for name in PLAN if (HERE / name / "comparison.json").is_file()]
    if not names:
        return
    found = {name: rows_of(name) for name in names}
    lines = [f"| system, samples | {' | '.join(ARMS)} |", "|---" * (len(ARMS) + 1) + "|"]
    for name, rows in found.items():
        cells = [f"{rows[a]['nll']:.2f} ± {rows[a]['se']:.2f}" if a in rows else "" for a in ARMS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    rivals = ARMS[:-1]
    lines += ["", f"| {HERO} less | {' | '.join(rivals)} |", "|---" * (len(rivals) + 1) + "|"]
    for name, rows in found.items():
        cells = [difference(name, rows, arm) if arm in rows else "" for arm in rivals]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    write_text(HERE / "table.md", "\n".join(lines) + "\n")
    draw(found)


def difference(name, rows, arm):
    file = HERE / name / "paired.json"
    if file.is_file():
        found = Mean(**json.loads(file.read_text(encoding="utf-8"))[arm])
    else:
        found = less(rows[HERO], rows[arm])
    return f"{found.value:+.2f} ± {found.error:.2f}"


def draw(found):
    """NLL above the floor, or above the best, against the number of samples; a panel per system."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    systems = list(dict.fromkeys(name.rsplit("-", 1)[0] for name in found))
    rows = -(-len(systems) // IN_A_ROW)
    figure, axes = plt.subplots(
        rows,
        IN_A_ROW,
        figsize=(3.4 * IN_A_ROW, 3.1 * rows + 0.6),
        squeeze=False,
        layout="constrained",
    )
    styles = {
        arm: style(k) | {"linestyle": "-" if arm == HERO else ":"}
        for arm, k in zip(ARMS, (7, 0, 5, 2, 4, 3, 6, 1), strict=True)
    }
    for axis in axes.flat[len(systems) :]:
        axis.set_axis_off()
    for axis, system in zip(axes.flat, systems, strict=False):
        sizes = sorted(
            int(name.rsplit("-", 1)[1]) for name in found if name.startswith(f"{system}-")
        )
        rows = {size: found[f"{system}-{size}"] for size in sizes}
        floor = floor_of(system)
        level = (
            floor
            if floor is not None
            else min(r["nll"] for each in rows.values() for r in each.values())
        )
        for k, arm in enumerate(ARMS):
            at = [size for size in sizes if arm in rows[size]]
            nll, se = ([rows[size][arm][key] for size in at] for key in ("nll", "se"))
            place = np.asarray(at) * 1.03 ** (k - len(ARMS) / 2)
            axis.errorbar(
                place,
                np.asarray(nll) - level,
                se,
                capsize=2,
                label=arm,
                **styles[arm],
            )
        axis.set(
            title=system, xlabel="samples", xscale="log", xlim=(0.7 * sizes[0], 1.5 * sizes[-1])
        )
        low, high = axis.get_ylim()
        if high > TICKS[4]:
            axis.set_yscale("symlog", linthresh=1.0)
            low, high = axis.get_ylim()
            axis.set_yticks(TICKS, map(str, TICKS))
        axis.set_ylim(low if floor is None else 0, high)
        axis.set_xticks(sizes, map(str, sizes))
        axis.minorticks_off()
        axis.set_ylabel(f"NLL above the {'floor' if floor is not None else 'best'} / nats")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(HERE / "map.png", dpi=130)
    plt.close(figure)


def floor_of(system):
    """The exact entropy, or the middle of its bounds where they are close."""
    energy = experiments.make_energy(experiments.read(HERE / f"{system}.toml"))
    bounds = energy.entropy() if isinstance(energy, hf.energies.SupportsEntropy) else None
    if bounds is None or bounds[1] - bounds[0] > 0.3:
        return None
    return sum(bounds) / 2


if __name__ == "__main__":
    main(*sys.argv[1:])
