"""What is wrong with a set of points at a glance: repeats, near-copies, order, digits lost."""

import warnings
from collections.abc import Sized

import numpy as np
from jaxtyping import Float

Points = Float[np.ndarray, "n dim"]

# Of independent points one in ten has a second neighbour ten times as far as the first, on a line; in
# more dimensions fewer have.
_GAP = 10.0
_QUERIES = 100
_AMONG = 10_000


class SuspiciousDataWarning(UserWarning):
    """Points are hardly what they are taken for: independent, distinct, and with all their digits.

    **Example:**

    ```pycon
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", hf.data.SuspiciousDataWarning)  # they are meant so
    ...     hf.data.warn_if_suspicious(jnp.repeat(points[:20], 10, axis=0))
    ...
    ```
    """


def warn_if_suspicious(
    points: object, chains: Sized | None = None, *, subject: str = "the data"
) -> None:
    """Warn by a [`SuspiciousDataWarning`][hiflow.data.SuspiciousDataWarning] of points most of which are
    repeated, that lost digits to single precision far from the origin, or, without chain labels, that
    are evidently correlated: in the order of a trajectory, or near-copies of few.

    **Arguments:**

    - `points`: `(n, *event)`, an array or [`Samples`][hiflow.data.Samples].
    - `chains`: the Markov chain that each comes from; `Samples` know theirs.
    - `subject`: what the points are, for the message.

    **Example:**

    ```pycon
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     hf.data.warn_if_suspicious(jnp.repeat(points[:20], 10, axis=0))
    ...
    >>> caught[0].category.__name__
    'SuspiciousDataWarning'
    ```
    """
    labels = getattr(points, "chains", None) if chains is None else chains
    array = np.asarray(points)
    found = [_repeated(array), _far(array)]
    if labels is None and found[0] is None:
        flat = array.reshape(len(array), -1).astype(np.float64)
        found.append(_in_order(flat) or _near_copies(flat))
    for words in found:
        if words is not None:
            warnings.warn(f"{subject}: {words}", SuspiciousDataWarning, stacklevel=3)


def shared_points(points: object, others: object) -> int:
    """How many of the others are among the points, digit for digit.

    **Example:**

    ```pycon
    >>> hf.data.shared_points(points[:100], points[90:])
    10
    ```
    """
    known = {row.tobytes() for row in np.asarray(points)}
    return sum(row.tobytes() in known for row in np.asarray(others))


def _repeated(array: np.ndarray) -> str | None:
    distinct = len({row.tobytes() for row in array})
    if len(array) < 5 or 2 * distinct > len(array):
        return None
    return f"only {distinct} of {len(array):,} points are distinct; the others repeat them."


def _far(array: np.ndarray) -> str | None:
    values = array.reshape(len(array), -1).astype(np.float64)
    spread, offset = np.sqrt(values.var(axis=0).mean()), np.abs(values.mean(axis=0)).max()
    eps = np.finfo(array.dtype).eps if np.issubdtype(array.dtype, np.floating) else 0.0
    if spread == 0 or offset * eps <= 1e-3 * spread:
        return None
    return (
        f"they lie {offset:.3g} from the origin and spread by {spread:.3g}, so {array.dtype} keeps "
        f"{max(np.log10(spread / (offset * eps)), 0):.1f} digits of it. Subtract the offset in double "
        "precision, before hiflow sees the points."
    )


def _in_order(flat: Points) -> str | None:
    """Von Neumann's ratio: the mean square of successive differences over twice the variance is 1 for
    independent values, within about n^-½."""
    spread = 2 * np.mean(np.sum((flat - flat.mean(axis=0)) ** 2, axis=1))
    if spread == 0:
        return None
    ratio = np.mean(np.sum(np.diff(flat, axis=0) ** 2, axis=1)) / spread if len(flat) > 1 else 1.0
    if ratio > 0.5 or (1 - ratio) * np.sqrt(len(flat)) < 5:
        return None
    return (
        f"successive points are nearer than others (their mean square distance is {ratio:.2g} of that "
        f"of any two), as frames of a trajectory are. {_LABEL}"
    )


def _near_copies(flat: Points) -> str | None:
    """Whether most points have a few neighbours at a small part of the distance to the next one."""
    rng = np.random.default_rng(0)
    flat = flat[rng.permutation(len(flat))[:_AMONG]]
    flat = flat - flat.mean(axis=0)
    neighbours = len(flat) // 10
    if neighbours < 1:
        return None
    some = flat[:_QUERIES]
    norms = np.sum(flat**2, axis=1)
    squares = norms[: len(some), None] + norms[None] - 2 * some @ flat.T
    # What double precision leaves of a distance of 0.
    least = 1e-13 * max(float(norms.max()), 1e-300)
    nearest = np.sqrt(np.maximum(np.sort(squares, axis=1)[:, 1 : neighbours + 2], least))
    gaps = (nearest[:, 1:] / nearest[:, :-1]).max(axis=1)
    share = float(np.mean(gaps > _GAP))
    if share < 0.5:
        return None
    return (
        f"{share:.0%} of the points have near-copies, ten times nearer than any other point, as points "
        f"of one Markov chain are. {_LABEL}"
    )


_LABEL = (
    "Errors would count them as independent, and a random split would test on copies of training "
    "points. Say which chain each comes from: Samples(points, chains=...), or an array `chains` beside "
    "`points` in an .npz file."
)
