"""Maximum likelihood after flow matching: a flow's own density, raised on its training points; by the
plain gradient, or by the energy's forces and the path gradient."""

import math
from collections.abc import Callable, Mapping, Sized
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow import _border, energies
from hiflow._border import border
from hiflow._checks import (
    Refused,
    check_scalar,
    nearest,
    number,
    one_of,
    refuse_not_finite,
    whole,
)
from hiflow._kinds import accepted
from hiflow.data import warn_if_inconsistent
from hiflow.data._virial import FEWEST_FOR_VIRIAL
from hiflow.energies import AbstractEnergy, SupportsFitting
from hiflow.flow import Flow
from hiflow.metrics import negative_log_likelihood
from hiflow.networks import conditions_of
from hiflow.priors._density import refuse_without_density
from hiflow.registry import Named
from hiflow.solver import as_solver
from hiflow.training._history import History, checked_history
from hiflow.training._schedules import LearningRate
from hiflow.training._schedules import learning_rate as checked_rate


def _checked(check: Callable[[object], Any]) -> Callable[[Any, str], Any]:
    def convert(value: Any, what: str) -> Any:
        return accepted(check, value, what)

    return convert


_SETTINGS = {
    **dict.fromkeys(("steps", "batch_size", "validate_at", "patience"), whole(1)),
    "learning_rate": checked_rate,
    "clip": number("a positive number", lambda x: x > 0),
    "estimator": one_of("plain", "path"),
}


def finishing(value: object) -> Mapping[str, Any] | None:
    """A check that a setting is a table of `finish`'s, or says that there is to be none.

    **Raises:** `Refused` for anything else, with what is wrong of it.
    """
    if value is None or value is False:
        return None
    if not isinstance(value, Mapping):
        raise Refused(f"must be a table of settings of hiflow.finish: {', '.join(_SETTINGS)}")
    for name, given in value.items():
        if name not in _SETTINGS:
            raise Refused(f"has an unknown setting {name!r}{nearest(str(name), _SETTINGS)[:-1]}")
        try:
            _SETTINGS[name](given)
        except Refused as error:
            raise Refused(f"says a `{name}` that {error}") from None
    return dict(value)


@border(
    "finish",
    flow=_border.having(Flow, "a hiflow.Flow"),
    data=_border.points,
    validation=_border.points,
    key=_border.key,
    energy=_border.named(energies.registry),
    history=checked_history,
    **{name: _checked(check) for name, check in _SETTINGS.items()},
)
def finish(
    flow: Flow,
    data: Float[Array, "n *event"],
    *,
    validation: Float[Array, "m *event"],
    key: PRNGKeyArray,
    steps: int = 200,
    batch_size: int = 64,
    learning_rate: LearningRate = 1e-4,
    clip: float = 1.0,
    validate_at: int = 20,
    patience: int = 3,
    estimator: str = "plain",
    energy: Named[AbstractEnergy] | None = None,
    chains: Sized | None = None,
    solver_settings: Any = None,
    history: History | None = None,
) -> Flow:
    r"""The flow after some steps of maximum likelihood, minimising $-E \log q_\theta(x)$, with the
    weights of the lowest validation NLL: those it had before, if none are better.

    There are two estimators of its gradient. The plain one is that of the likelihood of the points. The
    path gradient (Vaitl and Klein, arXiv 2505.10139; Vaitl et al., ICLR 2024) takes the forces at them
    too. With the flow's map $T_\theta$ from prior to data, and $x_0 = T_\theta^{-1}(x)$,

    $$g = \bigl(\nabla V(x) + \nabla \log q_\theta(x)\bigr) \cdot \partial_\theta T_\theta(x_0),
    \qquad E_p[g] = -\partial_\theta E_p[\log q_\theta(x)], \quad p \propto e^{-V},$$

    by an integration by parts: with $f(x) = \partial_\theta T_\theta(T_\theta^{-1}(x))$ a density moves
    by $\partial_\theta \log q_\theta = -\nabla \cdot f - f \cdot \nabla \log q_\theta$, and $E_p[\nabla
    \cdot f] = E_p[f \cdot \nabla V]$. It is zero at *every* point where the flow is the energy's
    density: there its variance is none, and few points aren't learned by heart. A wrong `energy` is
    learned in place of the data.

    A step solves the flow's equation with its divergence and differentiates through it, which costs many
    times a step of [`fit`][hiflow.fit]. Few points are learned by heart within few steps; `patience` and
    `validation` are there for that.

    **Arguments:**

    - `data`: `(n, *event)`, the points that the flow was trained on.
    - `validation`: `(m, *event)`, others, of which the NLL is taken every `validate_at` steps by the
      flow's own solver. What the flow is worth has to be seen on a third set.
    - `key`: makes the batches, and the probes of a divergence that is estimated.
    - `steps`, `batch_size`, `learning_rate`, `clip`: of Adam, with the gradient's largest global norm.
      The rate is a number, or a schedule of Optax or its table, as in [`Training`][hiflow.Training].
    - `patience`: end after so many validations without a better one.
    - `estimator`: of the gradient, `"plain"` or `"path"`; that takes the `energy` that `data` are
      samples of, in kT and the data's coordinates: an instance, a name or a table. A warning says so
      if they don't follow it.
    - `chains`: of every point of `data` the Markov chain that it comes from, for that check;
      [`Samples`][hiflow.data.Samples] know theirs.
    - `solver_settings`: of the solves that are differentiated, a [`Solver`][hiflow.Solver] or a table of
      its fields; the flow's own by default. A few fixed steps cost less, but where they are too coarse
      the weights learn their error instead of the data.
    - `history`: is filled with the validations.

    **Raises:** `ValueError` for a wrong setting, points of another shape, a flow whose prior has no
    density, or path gradients without an energy or with one that is fitted; `FloatingPointError` if the
    likelihood is no longer finite.

    **Example:**

    <!-- skip: slow to compile; tests/training/test_finish.py runs it -->
    ```pycon
    >>> train, rest = points[:150], points[150:]
    >>> better = hf.finish(flow, train, validation=rest, key=key, steps=2, validate_at=2)
    >>> bool(better.log_prob(rest).mean() >= flow.log_prob(rest).mean() - 1e-3)
    True
    ```
    """
    if conditions_of(flow.network) is not None:
        raise ValueError(
            "finish: the flow is one of conditions, which `finish` doesn't take. Train it "
            "longer by `fit`."
        )
    refuse_without_density(flow.prior, "finish")
    given = None if energy is None else energies.registry.make(energy)
    refuse_without_forces(estimator, given)
    for name, points in {"data": data, "validation": validation}.items():
        if points.shape[1:] != flow.prior.event_shape or points.shape[0] < 1:
            raise ValueError(
                f"finish: `{name}` must have shape (n, *{flow.prior.event_shape}), got {points.shape}."
            )
    solver = flow.solver if solver_settings is None else as_solver(solver_settings)
    solving = Flow(flow.prior, flow.network, solver, units=flow.units)
    optimiser = optax.chain(optax.clip_by_global_norm(clip), optax.adam(learning_rate))
    weights, _ = eqx.partition(flow.network, eqx.is_inexact_array)
    loss_of = likelihood_loss
    if estimator == "path" and given is not None:
        if given.event_shape != flow.prior.event_shape:
            raise ValueError(
                f"finish: `energy` must be of events of shape {flow.prior.event_shape}, as the flow, "
                f"got {given.event_shape}."
            )
        refuse_bad_forces(given, data)
        if len(data) >= FEWEST_FOR_VIRIAL:
            warn_if_inconsistent(given, data, chains)
        loss_of = PathGradient(given)
    memory, best, waited = optimiser.init(weights), weights, 0
    first = negative_log_likelihood(flow, validation).nll
    least = first if math.isfinite(first) else math.inf
    history = History() if history is None else history
    history.rows = [{"step": 0, "nll": first}]
    total, since = 0.0, 0
    for step in range(1, steps + 1):
        k_index, k_probes = jax.random.split(jax.random.fold_in(key, step))
        x = data[jax.random.randint(k_index, (batch_size,), 0, data.shape[0])]
        weights, memory, loss = _update(optimiser, loss_of, solving, weights, memory, x, k_probes)
        total, since = total + float(loss), since + 1
        if not jnp.isfinite(loss):
            raise FloatingPointError(
                f"finish: the likelihood is {float(loss)} at step {step}. Lower `learning_rate`."
            )
        if step % validate_at and step < steps:
            continue
        found = negative_log_likelihood(_with(flow, weights), validation).nll
        history.add({"step": step, "loss": total / since, "nll": found})
        total, since, waited = 0.0, 0, waited + 1
        if found < least:
            least, best, waited = found, weights, 0
        if waited >= patience:
            break
    history.rows[-1] |= {"best_nll": least, "ended": "patience" if waited >= patience else "steps"}
    return _with(flow, best)


def refuse_bad_forces(energy: AbstractEnergy, data: Float[Array, "n *event"]) -> None:
    """Raise `ValueError` for an energy that isn't a number of every point, or has no forces there."""
    event = jax.ShapeDtypeStruct(data.shape[1:], data.dtype)
    check_scalar(energy, event, "finish: `energy`")
    forces = jax.lax.map(jax.grad(energy), data, batch_size=256)
    refuse_not_finite(
        forces,
        "finish: the gradient of `energy`",
        kind="points of `data`",
        cure="Leave them out, or give the energy that the data are samples of.",
    )


def _with(flow: Flow, weights: PyTree) -> Flow:
    _, static = eqx.partition(flow.network, eqx.is_inexact_array)
    network = eqx.combine(weights, static)
    return Flow(flow.prior, network, flow.solver, units=flow.units)


@eqx.filter_jit
def _update(
    optimiser: optax.GradientTransformation,
    loss_of: Callable[..., Array],
    flow: Flow,
    weights: PyTree,
    memory: PyTree,
    x: Float[Array, "batch *event"],
    key: PRNGKeyArray,
) -> tuple[PyTree, PyTree, Array]:
    loss, gradient = jax.value_and_grad(loss_of)(weights, flow, x, key)
    updates, memory = optimiser.update(gradient, memory, weights)
    return optax.apply_updates(weights, updates), memory, loss


def likelihood_loss(
    weights: PyTree, flow: Flow, x: Float[Array, "batch *event"], key: PRNGKeyArray
) -> Array:
    """The mean NLL of a flow with these weights."""
    return -jnp.mean(_with(flow, weights).log_prob(x, key=key))


class PathGradient(eqx.Module):
    """The mean NLL of a flow, with the path gradient in place of its own."""

    energy: AbstractEnergy

    def __call__(
        self, weights: PyTree, flow: Flow, x: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> Array:
        still = _with(flow, jax.lax.stop_gradient(weights))
        log_q, back = jax.vjp(lambda x: still.log_prob(x, key=key), x)
        (score,) = back(jnp.ones_like(log_q))
        ahead = jax.lax.stop_gradient(jax.vmap(jax.grad(self.energy))(x) + score)
        x0 = jax.lax.stop_gradient(still.pull(x))
        moved = jnp.mean(
            jnp.sum((ahead * _with(flow, weights).push(x0)).reshape(len(x), -1), axis=1)
        )
        return moved - jax.lax.stop_gradient(moved) - jnp.mean(jax.lax.stop_gradient(log_q))


def refuse_without_forces(estimator: object, energy: AbstractEnergy | None) -> None:
    """Raise `ValueError` for path gradients without an energy that is known."""
    if estimator != "path" or (energy is not None and not isinstance(energy, SupportsFitting)):
        return
    fault = "there is no energy" if energy is None else f"{type(energy).__name__} is fitted to data"
    raise ValueError(
        f"finish: `estimator` is 'path', which takes the forces of the energy that the data are samples "
        f"of, and {fault}. Pass `energy`, or say estimator='plain'."
    )
