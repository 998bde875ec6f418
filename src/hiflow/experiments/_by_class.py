"""What arms came to by class, and without being told the class, in rows and tables."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hiflow._statistics import Mean, mean_over
from hiflow.experiments._member import Member, Told
from hiflow.experiments._run_folder import Row
from hiflow.experiments._tables import Column

UNTOLD = (
    Column("arm", "label", "{}"),
    Column("NLL of the mixture", "nll"),
    Column("±", "se"),
    Column("difference", "difference", "{:+.3f}"),
    Column("±", "difference_se"),
    Column("right by Bayes", "right", "{:.1%}"),
    Column("±", "right_se", "{:.1%}"),
)
BY_CLASS = (
    "NLL of the test points of each class, and in brackets the share whose class Bayes' rule finds; "
    "`points` is how many there are, on average over seeds."
)
WITHOUT = (
    "Without being told the class: arms that are told it have the NLL of the mixture of the classes, "
    "with their shares of the training points, which can be compared with the NLL of arms that aren't "
    "told it. `right by Bayes` is the share of test points whose class the same mixture finds. An "
    "estimated divergence has the same probes for all classes."
)
TOLD = (
    "Arms that are told a condition have the NLL of points given their condition, which can't be "
    "compared with that of arms that aren't told it: no difference between these is shown."
)


def class_rows(groups: Mapping[str, list[Member]], told: Mapping[str, Told]) -> list[Row]:
    """A row per arm and class: its NLL over seeds and the test points of the class, and the share of
    them that Bayes' rule finds.

    **Arguments:**

    - `groups`: label to members.
    - `told`: by what tells test points from others, their classes.
    """
    return [row for label, group in groups.items() for row in _rows(label, group, told)]


def _rows(label: str, group: list[Member], told: Mapping[str, Told]) -> Iterator[Row]:
    known = [told.get(member.test) for member in group]
    names = known[0].classes if known[0] is not None else None
    if names is None or not group[0].has_density:
        return
    numbers = [each.numbers for each in known if each is not None and each.numbers is not None]
    for number, name in enumerate(names):
        seeds = [
            (member, of == number)
            for member, of in zip(group, numbers, strict=True)
            if (of == number).any()
        ]
        if not seeds:
            continue
        nll = mean([member.nll for member, _ in seeds], seeds)
        right = _right([(member, where, number) for member, where in seeds])
        yield {
            "label": label,
            "class": name,
            "points": float(np.mean([where.sum() for _, where in seeds])),
            "nll": nll.value,
            "se": nll.error,
            "right": None if right is None else right.value,
            "right_se": None if right is None else right.error,
        }


def _right(seeds: list[tuple[Member, np.ndarray, int]]) -> Mean | None:
    found = [
        (m, where, m.classes.found == number) for m, where, number in seeds if m.classes is not None
    ]
    if len(found) < len(seeds):
        return None
    return mean([hits for *_, hits in found], [(m, where) for m, where, _ in found])


def mean(values: Sequence[np.ndarray], seeds: Sequence[tuple[Member, np.ndarray]]) -> Mean:
    """Over the members' seeds and those of their test points that are meant."""
    tests = [member.test for member, _ in seeds]
    parts = [
        [None if part is None else part[where] for part in (member.chains, member.origins)]
        for member, where in seeds
    ]
    picked = [
        each[where].astype(np.float64) for each, (_, where) in zip(values, seeds, strict=True)
    ]
    chains, origins = (list(each) for each in zip(*parts, strict=True))
    return mean_over(picked, tests, chains, (), origins)


def without_the_class(member: Member) -> np.ndarray | None:
    """The negative log density of every test point alone; `None` where there is none."""
    if not member.is_told:
        return member.nll
    return None if member.classes is None else -member.classes.mixture


def untold_rows(groups: Mapping[str, list[Member]], reference: Mapping[str, str]) -> list[Row]:
    """A row per arm, if any is told a class: the NLL of its mixture, or its NLL if it isn't told, the
    difference from the reference arm's, and how often Bayes' rule is right.

    **Arguments:**

    - `reference`: label to the label of the arm that it is compared with.
    """
    if not any(member.classes is not None for group in groups.values() for member in group):
        return []
    rows = [_untold(label, group, groups[reference[label]]) for label, group in groups.items()]
    return [row for row in rows if row is not None]


def _untold(label: str, group: list[Member], others: list[Member]) -> Row | None:
    values = [without_the_class(member) for member in group if member.has_density]
    if not values or len(values) < len(group) or any(each is None for each in values):
        return None
    nll = mean([each for each in values if each is not None], [(m, _all(m)) for m in group])
    row = {"label": label, "nll": nll.value, "se": nll.error}
    row |= dict.fromkeys(("difference", "difference_se", "right", "right_se"))
    by_seed = {member.seed: member for member in others if member.has_density}
    pairs = []
    for member in group:
        other = by_seed.get(member.seed)
        mine, its = without_the_class(member), None if other is None else without_the_class(other)
        if other is not member and mine is not None and its is not None:
            pairs.append((mine - its, (member, _all(member))))
    if pairs:
        found = mean([each for each, _ in pairs], [seed for _, seed in pairs])
        row |= {"difference": found.value, "difference_se": found.error}
    hits = [m.classes.found == m.told.numbers for m in group if m.classes is not None and m.told]
    if len(hits) == len(group):
        right = mean(hits, [(m, _all(m)) for m in group])
        row |= {"right": right.value, "right_se": right.error}
    return row


def _all(member: Member) -> np.ndarray:
    return np.ones(len(member.nll), bool)


def by_class_cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Titles and cells: a line per class, a column per arm."""
    labels = list(dict.fromkeys(row["label"] for row in rows))
    cells = {(row["class"], row["label"]): _cell(row) for row in rows}
    points = {row["class"]: f"{row['points']:.0f}" for row in rows}
    lines = [
        [name, number, *(cells.get((name, label), "") for label in labels)]
        for name, number in points.items()
    ]
    return ["class", "points", *labels], lines


def _cell(row: Row) -> str:
    text = f"{row['nll']:.3f} ± {row['se']:.3f}"
    return text if row["right"] is None else f"{text} ({row['right']:.0%})"
