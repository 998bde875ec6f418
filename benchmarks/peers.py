"""hiflow beside its peers, on the same work: ratios of times that anyone can measure.

    python benchmarks/peers.py                      # everything: ten minutes, and once a large download
    python benchmarks/peers.py --rows step,ot --rounds 9
    python benchmarks/peers.py --quick              # whether it all works, in small: no figures to keep
    python benchmarks/peers.py --check              # a regression check against loops written by hand

The first three make an environment of their own for the peers (torchcfm, flow_matching, torchdyn, POT,
ott-jax, jaxfm; PyTorch for Linux brings gigabytes of GPU libraries, unless `--torch` names a build
without). Every library works in a process of its own, all are pinned to one core, and a driver asks
them in turns, one round at a time. That the work is the same is checked: sizes of networks, their
values, distances, likelihoods. Rows that were measured before with the same sources, and as many rounds,
are kept unless `--again`. The table goes to `benchmarks/peers.md` and `.json`, after every row; what the
workers say goes to a file each in the cache folder `hiflow/peers`.

`--check` needs nothing but hiflow. It holds ratios, never times, against generous limits, and exits with
1 if one is exceeded.
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from _peers import environment, table
from _peers.rows import Row, chosen, disagreements
from _peers.workers import RefusedError, Workers
from _timing import ratio


def measured(workers: Workers, row: Row, sizes: dict[str, Any], rounds: int) -> dict[str, Any]:
    """The seconds of every part of a row in every round, the facts, and what failed."""
    parts = {"hiflow": row.ours, **row.others}
    facts: dict[str, dict[str, float]] = {}
    failed: dict[str, str] = {}
    for label, (module, variant) in parts.items():
        try:
            order = {"do": "prepare", "variant": variant, "as": label, "sizes": sizes}
            facts[label] = workers.ask(module, **order)
        except RefusedError as refusal:
            failed[label] = str(refusal)
    if "hiflow" not in facts:
        raise SystemExit(f"{row.title}: hiflow failed, {failed['hiflow']}")
    seconds: dict[str, list[float]] = {label: [] for label in facts}
    for _ in range(rounds):
        for label in facts:
            answer = workers.ask(parts[label][0], do="run", **{"as": label})
            seconds[label].append(answer["seconds"])
    workers.forget()
    found = {"seconds": seconds, "facts": facts, "failed": failed}
    return found | {"disagreements": disagreements(row, facts)}


def compare(options: argparse.Namespace) -> bool:
    """The table of all chosen rows; whether all is well."""
    folder = options.venv or environment.cache() / "venv"
    workers = Workers(
        environment.python_of(folder, options.torch), options.core, environment.cache()
    )
    good = True
    try:
        machine = workers.ask("hiflow", do="describe", packages=environment.VERSIONS)
        _train(workers)
        kept = {} if options.output is None else table.read(options.output)
        for row in chosen(options.rows):
            rounds = min(options.rounds, row.rounds or options.rounds)
            same = {"date": machine["date"], "rounds": rounds}
            before = kept.get(row.name, {})
            known = (before.get("source"), before.get("rounds")) == (table.source(), rounds)
            if known and not options.again:
                continue
            found = measured(workers, row, _sizes(row, options), rounds)
            good = good and not (found["failed"] or found["disagreements"])
            kept[row.name] = table.result_of(row, **same, **found)
            _show(kept[row.name])
            if options.output is not None:
                table.write(options.output, machine, kept)
    finally:
        workers.close()
    return good


def check(options: argparse.Namespace) -> bool:
    """Whether the ratios against loops written by hand are within their limits."""
    workers, good = Workers(Path(sys.executable), options.core, environment.cache()), True
    try:
        _train(workers)
        for row in chosen(options.rows):
            others = {label: row.others[label] for label in row.limits}
            if not others:
                continue
            reduced = dataclasses.replace(row, others=others)
            found = measured(workers, reduced, _sizes(row, options), options.rounds)
            for label, limit in row.limits.items():
                good = _within(row, label, limit, found) and good
    finally:
        workers.close()
    return good


def _within(row: Row, label: str, limit: float, found: dict[str, Any]) -> bool:
    if found["failed"] or found["disagreements"]:
        print(f"FAILED {row.title}: {found['failed']} {found['disagreements']}")
        return False
    quotient = ratio(found["seconds"]["hiflow"], found["seconds"][label])
    good = quotient.median <= limit
    print(f"{'ok' if good else 'SLOWER'}: {row.title} / {label}: {quotient}, limit {limit:g}")
    return good


def _sizes(row: Row, options: argparse.Namespace) -> dict[str, Any]:
    """What a worker is told, with the folder of trained weights."""
    return row.sizes | (row.quick if options.quick else {}) | {"folder": str(_trained())}


def _train(workers: Workers) -> None:
    """Make the weights that rows of samples and likelihoods share, unless they are there."""
    sizes = {"folder": str(_trained())}
    workers.ask("hiflow", do="prepare", variant="train", sizes=sizes, **{"as": "train"})


def _trained() -> Path:
    folder = environment.cache() / "trained"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _show(result: dict[str, Any]) -> None:
    print("\n".join(table.lines(result)), flush=True)
    for complaint in result["disagreements"]:
        print(f"NOT THE SAME WORK: {complaint}", flush=True)


def main() -> None:
    """Parse, run, and exit with 1 if something is wrong."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="all", help="names of rows, apart by commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="small sizes; writes no table")
    parser.add_argument("--check", action="store_true", help="ratios against hand-written loops")
    parser.add_argument("--again", action="store_true", help="measure rows that are known too")
    parser.add_argument("--venv", type=Path, help="the folder of the peers' environment")
    parser.add_argument("--torch", default="torch", help="the requirement that PyTorch comes by")
    parser.add_argument("--core", type=int, default=0, help="the core to stay on")
    parser.add_argument("--output", type=Path, default=here / "peers.json")
    options = parser.parse_args()
    options.output = None if options.quick else options.output
    sys.exit(0 if (check if options.check else compare)(options) else 1)


if __name__ == "__main__":
    main()
