"""The loss of training runs against their steps."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from hiflow.plotting._style import axes_of, plain_log, style


def losses(
    histories: Mapping[str, Sequence[Mapping[str, float]]], *, ax: Axes | None = None
) -> Axes:
    """The regression loss against training steps. Losses of other paths have other floors: they don't
    say which flow is better.

    **Arguments:**

    - `histories`: label to rows with `step` and `loss`, as `fit` gives them to its callbacks.
    - `ax`: where to draw; by default a figure of its own.

    **Raises:** `ValueError` for no histories, or one without a loss.

    **Example:**

    ```pycon
    >>> history = hf.History()
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key, steps=40,
    ...               log_every=10, history=history, progress=False)
    >>> ax = hf.plotting.losses({"OT-FM": history.rows})
    >>> ax.get_xlabel()
    'training step'
    ```
    """
    if not histories:
        raise ValueError("losses: `histories` is empty; give e.g. {'OT-FM': rows}.")
    ax = axes_of(ax)
    for k, (label, rows) in enumerate(histories.items()):
        known = [row for row in rows if row.get("loss") is not None]
        if not known:
            raise ValueError(f"losses: the history of {label!r} has no row with a `loss`.")
        steps, values = (np.array([row[name] for row in known]) for name in ("step", "loss"))
        ax.plot(steps, values, **style(k), label=label, markevery=max(1, len(steps) // 12))
    if all(np.min(line.get_ydata(orig=False)) > 0 for line in ax.get_lines()):
        plain_log(ax)
    ax.set(xlabel="training step", ylabel="loss [squared velocity, prior's units]")
    ax.legend(frameon=False, fontsize=8)
    return ax
