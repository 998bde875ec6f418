"""What a deliberate fault is."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutation:
    """In `file` of `src/hiflow`, `old` (which occurs once) becomes `new`; `test` has to notice."""

    name: str
    file: str
    old: str
    new: str
    test: str
