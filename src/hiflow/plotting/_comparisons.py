"""Figures of arms side by side: learning curves, densities in the plane, solver errors, histograms."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped
from matplotlib.figure import Figure

from hiflow._statistics import Mean, mean_over
from hiflow.divergences import Exact
from hiflow.energies import AbstractEnergy
from hiflow.flow import Flow
from hiflow.metrics import Floor, Weighted, pair_distances
from hiflow.plotting._style import length_of, style

History = Sequence[Mapping[str, float]]


def learning_curves(
    histories: Mapping[str, Sequence[History]],
    *,
    floor: tuple[float, float] | None = None,
    same_points: bool = False,
    origins: Mapping[str, Sequence[Shaped[np.ndarray, " n"] | None]] | None = None,
) -> Figure:
    """Test NLL (left) and the NFE that computing it takes (right) against training steps.

    **Arguments:**

    - `histories`: label to one history per seed, as `fit` gives them to its callbacks. Seeds are drawn
      as their mean with a 68.3 % confidence band, over seeds and test points together, at the steps that
      all of them have. Rows may tell `chains`, a label for every test point.
    - `floor`: bounds of the lowest NLL possible, drawn as a line or band.
    - `same_points`: whether all seeds were scored on the same test points; else each has its own.
    - `origins`: label to which points of one pool, such as a file, each seed was scored on.

    **Example:**

    ```pycon
    >>> history = hf.History()
    >>> flow = hf.fit("mlp", "optimal-transport", points[:150], prior="normal", key=key, steps=4,
    ...               validation=points[150:], validate_at=2, history=history, progress=False)
    >>> curves = {"OT-FM": [history.validations]}  # one seed
    >>> figure = hf.plotting.learning_curves(curves, floor=(1.4, 1.4))
    >>> figure.savefig("curves.png")
    ```
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for k, (label, seeds) in enumerate(histories.items()):
        look = style(k)
        known = [{row["step"]: row for row in rows} for rows in seeds]
        steps = [step for step in known[0] if all(step in rows for rows in known)]
        tests = [0] * len(seeds) if same_points else list(range(len(seeds)))
        # One seed's own error counts its chains too.
        found = [
            mean_over(
                [-np.asarray(row["log_prob"], float) for row in rows],
                tests,
                [np.asarray(row["chains"]) if "chains" in row else None for row in rows],
                origins=None if origins is None else origins[label],
            )
            if len(rows) > 1
            else Mean(rows[0]["nll"], rows[0]["nll_se"])
            for rows in ([seed[step] for seed in known] for step in steps)
        ]
        nll, error = np.reshape(found, (-1, 2)).T
        nfe = [np.mean([seed[step]["nfe"] for seed in known]) for step in steps]
        left.plot(steps, nll, **look, label=label)
        band = steps, nll - error, nll + error
        left.fill_between(*band, color=look["color"], alpha=0.2, linewidth=0)
        right.plot(steps, nfe, **look, label=label)
    if floor is not None:
        low, high = floor = Floor(*floor)
        left.axhspan(low, max(high, low + 1e-9), color="0.6", alpha=0.5, linewidth=1, label="floor")
        if floor.exact:
            left.axhline(low, color="0.4", linestyle=":", linewidth=1.2)
    left.set(xlabel="training step", ylabel="test NLL [nats]")
    right.set(xlabel="training step", ylabel="NFE per test point")
    right.set_ylim(0, 1.1 * right.get_ylim()[1])
    # Below both, where no label hides a curve.
    handles, labels = left.get_legend_handles_labels()
    figure.set_figheight(3.6 + 0.18 * -(-len(labels) // 2))
    figure.legend(handles, labels, frameon=False, fontsize=8, loc="outside lower center", ncols=2)
    return figure


def image_grids(
    images: Mapping[str, Float[Array, "n height width"]], levels: int, *, columns: int = 6
) -> Figure:
    """Grey images of every label side by side, each label's in a grid of its own.

    **Arguments:**

    - `images`: label to pixels 0 … `levels` − 1.

    **Example:**

    ```pycon
    >>> pixels = jnp.asarray(hf.data.images("digits")[0][:36])
    >>> figure = hf.plotting.image_grids({"data": pixels}, levels=17)
    >>> figure.savefig("digits.png")
    ```
    """
    across = min(len(images), 4)
    down = -(-len(images) // across)
    rows = -(-max(map(len, images.values())) // columns)
    figure = Figure(
        figsize=(3.2 * across, (0.35 + 3.2 * rows / columns) * down), layout="constrained"
    )
    for axes, (label, pixels) in zip(
        figure.subplots(down, across, squeeze=False).ravel(), images.items(), strict=False
    ):
        blank = np.zeros((rows * columns - len(pixels), *pixels.shape[1:]))
        tiles = np.concatenate([np.asarray(pixels), blank]).reshape(
            rows, columns, *pixels.shape[1:]
        )
        tiles = np.pad(tiles, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=levels - 1)
        picture = tiles.transpose(0, 2, 1, 3).reshape(rows * tiles.shape[2], -1)
        axes.imshow(picture, cmap="gray", vmin=0, vmax=levels - 1)
        axes.set_title(label, fontsize=9)
    for axes in figure.axes:
        axes.set_axis_off()
    return figure


def densities_in_the_plane(
    flows: Mapping[str, Flow],
    points: Float[Array, "n 2"],
    *,
    energy: AbstractEnergy | None = None,
    nll: Mapping[str, float] | None = None,
    shares: Mapping[str, Sequence[float]] | None = None,
    half_width: float | None = None,
    resolution: int = 90,
) -> Figure:
    """The exact density of the energy, if there is one, and each flow's, side by side on one colour
    scale, with the training points.

    **Arguments:**

    - `flows`: label to flow, for events of shape `(2,)`.
    - `points`: the training points.
    - `nll`: label to test NLL in nats, for the titles.
    - `shares`: label to the shares of the classes, for flows that are told one: the density is that of
      their mixture.
    - `half_width`: half the side of the square shown; by default fits the points.

    **Example:**

    ```pycon
    >>> quick = flow.with_settings(method="Heun", steps=4)
    >>> figure = hf.plotting.densities_in_the_plane({"OT-FM": quick}, points, energy=ring)
    >>> figure.savefig("densities.png")
    ```
    """
    if half_width is None:
        half_width = 1.4 * float(jnp.abs(points).max())
    axis = np.linspace(-half_width, half_width, resolution)
    grid = jnp.asarray(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2), jnp.float32)
    cell = (axis[1] - axis[0]) ** 2
    panels: dict[str, np.ndarray] = {}
    if energy is not None:
        weights = np.exp(-np.asarray(jax.vmap(energy)(grid), np.float64))
        panels["data and energy"] = weights / (weights.sum() * cell)
    for label, flow in flows.items():
        density = _mixture(flow, grid, None if shares is None else shares.get(label))
        title = label if nll is None else f"{label}\nNLL {nll[label]:.2f} nats"
        panels[title] = density
    rows = -(-len(panels) // 4)
    columns = -(-len(panels) // rows)
    figure = Figure(figsize=(2.9 * columns, 3.3 * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    top = max(float(np.quantile(panel, 0.995)) for panel in panels.values())
    image: Any = None
    for ax, (title, panel) in zip(axes, panels.items(), strict=False):
        image = ax.imshow(
            panel.reshape(resolution, resolution),
            origin="lower",
            extent=(-half_width, half_width) * 2,
            cmap="magma_r",
            vmin=0,
            vmax=top,
            interpolation="bilinear",
        )
        ax.scatter(
            *np.asarray(points[:200]).T, s=9, color="#1f77b4", edgecolor="white", linewidth=0.5
        )
        ax.set(title=title, xticks=[], yticks=[])
        ax.title.set_fontsize(9)
    figure.colorbar(image, ax=axes, label="density [per unit of area]", shrink=0.8)
    return figure


def _mixture(flow: Flow, grid: Array, shares: Sequence[float] | None) -> np.ndarray:
    """The density of points, of flows that are told a class over all classes."""

    def density(condition: int | None) -> np.ndarray:
        settings = {"chunk_size": 2048, "divergence": Exact()}
        log_prob = flow.log_prob(grid, condition=condition, **settings)
        return np.exp(np.asarray(log_prob, np.float64))

    if shares is None:
        return density(None)
    return sum((share * density(c) for c, share in enumerate(shares)), np.zeros(len(grid)))


def error_against_nfe(swept: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """The NLL's error against what it costs: adaptive tolerances (left), fixed steps (right).

    **Arguments:**

    - `swept`: label to rows with `setting`, `log_prob` and `nfe`, the first of which is the reference,
      as [`compare`][hiflow.experiments.compare] makes them.

    **Example:**

    ```pycon
    >>> rows = [{"setting": "rtol 1e-6", "log_prob": [-2.0, -2.2], "nfe": 120.0},
    ...         {"setting": "rtol 1e-3", "log_prob": [-2.1, -2.2], "nfe": 40.0}]
    >>> figure = hf.plotting.error_against_nfe({"OT-FM": rows})
    >>> figure.savefig("cost.png")
    ```
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, kind in zip(axes, ("tolerance", "steps"), strict=True):
        for k, (label, rows) in enumerate(swept.items()):
            kept = [row for row in rows[1:] if kind in row["setting"]]
            exact = np.asarray(rows[0]["log_prob"])
            errors = [abs(np.mean(exact - np.asarray(row["log_prob"]))) for row in kept]
            ax.loglog([row["nfe"] for row in kept], errors, **style(k), label=label)
        ax.axhline(0.05, color="0.5", linestyle=":", linewidth=1)
        ticks = [
            n for n in (12, 25, 50, 100, 200, 400) if ax.get_xlim()[0] <= n <= ax.get_xlim()[1]
        ]
        ax.set_xticks(ticks, [str(n) for n in ticks])
        ax.set_xticks([], minor=True)
        ax.set(
            xlabel="NFE per point", title=f"{'adaptive' if kind == 'tolerance' else 'fixed'} steps"
        )
    axes[0].set_ylabel("|error of the NLL| [nats]")
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def sample_histograms(
    weighed: Mapping[str, Sequence[Weighted]],
    reference: Float[Array, "n *event"],
    energy: AbstractEnergy,
) -> Figure:
    """Energies of samples, as sampled and reweighted, against those of reference points; for particles
    the distances of pairs too.

    **Arguments:**

    - `weighed`: label to weighted samples, one set per seed; seeds are pooled.
    - `reference`: points of the energy's own density, such as a test set.

    **Example:**

    ```pycon
    >>> weighted = hf.metrics.importance_sample(flow, ring, key=key, size=500)
    >>> figure = hf.plotting.sample_histograms({"OT-FM": [weighted]}, points, ring)
    >>> figure.savefig("energies.png")
    ```
    """
    observables: dict[str, Any] = {"energy [kT]": energy}
    if len(energy.event_shape) == 2:
        observables[f"distance of a pair [{length_of(energy)}]"] = pair_distances
    figure = Figure(figsize=(4.5 * len(observables), 3.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(observables)))
    for ax, (title, observable) in zip(axes, observables.items(), strict=True):
        exact = np.asarray(jax.vmap(observable)(reference)).ravel()
        low, high = np.quantile(exact, [0.001, 0.999])
        bins = np.linspace(low - 0.1 * (high - low), high + 0.2 * (high - low), 41)
        centres = (bins[1:] + bins[:-1]) / 2
        truth, _ = np.histogram(exact, bins, density=True)
        ax.fill_between(centres, truth, step="mid", color="0.8", label="reference")
        for k, (label, sets) in enumerate(weighed.items()):
            look = {name: style(k)[name] for name in ("color", "linestyle")}
            both = np.mean([one.histogram(observable, bins) for one in sets], axis=0)
            ax.step(centres, both[0], where="mid", **look, linewidth=0.8, alpha=0.8)
            ax.step(centres, both[1], where="mid", **look, linewidth=1.8, label=label)
        ax.set(xlabel=title, yticks=[])
    axes[0].set_ylabel("density")
    axes[-1].legend(
        frameon=False, fontsize=8, title="thin: as sampled\nthick: reweighted", title_fontsize=8
    )
    return figure
