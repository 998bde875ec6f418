"""What was chosen for arms whose path is `"auto"` or `"learned"`, seed by seed, and why."""

from collections.abc import Iterable, Iterator, Sequence

from hiflow._disk import read_json
from hiflow.experiments._auto import CHOICE
from hiflow.experiments._member import Member
from hiflow.experiments._run_folder import Row
from hiflow.experiments._tables import Column

CHOSEN = (
    Column("arm", "label", "{}"),
    Column("seed", "seed", "{}"),
    Column("path", "chosen", "{}"),
    Column("because", "because", "{}"),
)
BY_CHOICE = (
    "By the training points of the seed alone, before training. NLLs in it are those of trials: of "
    "points that the trials weren't trained on, never of the test points."
)


def chosen_rows(members: Iterable[Member]) -> list[Row]:
    """A row for every arm and seed whose path was chosen: what, why, the table of the path, and all
    lines of the choice as it was printed."""
    return [row for member in members for row in _rows(member)]


def _rows(member: Member) -> Iterator[Row]:
    file = member.place / CHOICE
    if not file.is_file():
        return
    found = read_json(file, "Remove it, and what was chosen isn't told.")
    chosen, _, because = found["why"][-1].partition(": ")
    told = {"chosen": chosen, "because": because, "path": found["path"], "why": found["why"]}
    yield {"label": member.label, "seed": member.seed, **told}


def as_printed(rows: Sequence[Row]) -> str:
    """What the choices were made by, as they were printed."""
    return "\n\n".join(
        "\n".join([f"{row['label']}, seed {row['seed']}", *row["why"][:-1]]) for row in rows
    )
