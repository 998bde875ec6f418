"""`fit`: a network, a path and data in, a flow out."""

import dataclasses
import inspect
import os
import warnings
from collections.abc import Callable, Mapping, Sequence, Sized
from contextlib import nullcontext
from typing import Any

import jax
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray, PyTree

from hiflow import _border, _processes, energies, networks, paths, priors
from hiflow._border import border
from hiflow._devices import as_mesh, spread_over
from hiflow._interrupts import Interrupts, interrupts
from hiflow.energies import AbstractEnergy
from hiflow.flow import Flow
from hiflow.networks import AbstractVelocityField
from hiflow.paths import AbstractPath
from hiflow.priors import AbstractPrior
from hiflow.registry import Named
from hiflow.solver import Solver, as_solver
from hiflow.training._begin import Begun, begin
from hiflow.training._checkpoints import Checkpoints
from hiflow.training._course import train_alone
from hiflow.training._finish import finish
from hiflow.training._history import History, checked_history
from hiflow.training._identity import identity
from hiflow.training._moments import AnyCallback, checked_callbacks
from hiflow.training._settings import Training, as_training

# Steps of training fold smaller numbers into the key.
_FINISH = 2**32 - 1


@border(
    "fit",
    network=_border.named(networks.registry),
    path=_border.named(paths.registry),
    data=_border.data,
    prior=_border.named(priors.registry),
    key=_border.key,
    energy=_border.named(energies.registry),
    validation=_border.data_or_none,
    condition=_border.condition,
    validation_condition=_border.condition,
    callbacks=checked_callbacks,
    history=checked_history,
)
def fit(
    network: Named[AbstractVelocityField],
    path: Named[AbstractPath],
    data: object,
    *,
    prior: Named[AbstractPrior],
    key: PRNGKeyArray,
    energy: Named[AbstractEnergy] | None = None,
    validation: object = None,
    condition: PyTree = None,
    validation_condition: PyTree = None,
    training: Training | Mapping[str, object] | None = None,
    solver_settings: Solver | Mapping[str, object] | None = None,
    callbacks: Sequence[AnyCallback] = (),
    history: History | None = None,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
    mesh: Mesh | None = None,
    **settings: Any,
) -> Flow:
    r"""Train `network` by conditional flow matching and return the flow with its averaged weights.

    Minimises $E\,w(t)\,\|v_\theta(t, x_t) - u_t(x_t|x_1)\|^2 / D$ over times, data points and prior
    samples. All Hessian work (the anchors) is done once, before the first step.
    The same key gives the same parameters, bit for bit, on the same machine, also after a resume.

    **Arguments:**

    - `network`, `path`, `prior`, `energy`: components, their names or tables. Without an `energy` it is
      the path's; it is for the data–energy check and `augment`.
    - `data`: `(n, *event)`, an array or [`Samples`][hiflow.data.Samples]; or a
      [`Source`][hiflow.data.Source], a memory-mapped array or a Grain data set, of which the rows of
      coming batches are read while the device trains.
    - `key`: makes batches, times and prior samples, and the weights of a network that is only named.
    - `validation`: held-out points, an array or [`Samples`][hiflow.data.Samples]; their NLL and NFE, or,
      for a prior without a density, the distance of samples from them
      ([`SampleDistance`][hiflow.metrics.SampleDistance]), are logged at the steps `validate_at` and at
      the end. With `patience` or `keep="best"` the weights are
      chosen by them, and what the flow is worth has to be seen on other points.
    - `condition`: of every data point, for a flow of $x$ given $c$: labels from 0, of shape `(n,)`, or
      vectors, `(n, size)`; by default those that [`Samples`][hiflow.data.Samples] have. The network
      must take them; one that is only named is built for them. A coupling that exchanges prior samples
      does so within equal conditions alone, so that the flow of every condition starts at the prior.
      `validation_condition`: likewise of the validation points.
    - `settings`: the fields of [`Training`][hiflow.Training], such as `steps`, `batch_size` and
      `learning_rate`; `training` gives several at once, and single ones replace its.
    - `solver_settings`: the [`Solver`][hiflow.Solver] of the returned flow and of the validation, or a
      table of its fields.
    - `callbacks`: functions, each called with a dict after every validation, or at the end if there is
      none: step, seconds (training only), loss (its mean since the row before), and the fields of
      [`NLL`][hiflow.metrics.NLL] or `SampleDistance`; or objects of
      [`hiflow.callbacks`][hiflow.callbacks.Callback], which see the flow too, and every `log_every`
      steps. One that raises [`Stop`][hiflow.callbacks.Stop] ends the run. The state is saved before a
      validation; if a callback raises anything else or the process dies, all are called again after a
      resume.
    - `history`: a [`History`][hiflow.History] that is filled with all rows, and with losses every
      `log_every` steps.
    - `checkpoint_dir`: where the state is saved atomically every `checkpoint_every` steps, and where
      Ctrl-C or SIGTERM end the run, after the steps that are being made. `resume=True` goes on from the
      newest checkpoint there that is whole, on however many devices. With more `steps` than before it
      extends the run: the old schedule is kept to its end, and begins again, warm-up and cosine, over
      the steps that are added.
    - `mesh`: the devices, however they are arranged: every batch is split among them, and so are the
      validation points. Without one those are all that JAX sees, of all processes. The parameters are
      those of one device up to rounding.

    **Raises:** `ValueError` before any work is spent, if a setting is wrong, if data, prior, path and
    network don't fit together, or if `checkpoint_dir` belongs to another run or is in use by another
    process; `TypeError` for an unknown setting; `OSError` if `anchor_dir` has too little room;
    `FloatingPointError` if the loss is no longer finite; `KeyboardInterrupt` for Ctrl-C and a
    `SystemExit` with status 143 for SIGTERM, once the state is saved.

    **Example:**

    ```pycon
    >>> network = hf.networks.MLP(2, width=32, key=key)
    >>> path = hf.paths.Langevin(ring, curvature="absolute")
    >>> flow = hf.fit(network, path, points, prior=hf.priors.Normal(2), key=key,
    ...               steps=100, batch_size=64, learning_rate=3e-3, progress=False)
    >>> flow.sample(key, 10).shape
    (10, 2)
    ```
    """
    begun = begin(
        network,
        path,
        data,
        prior=prior,
        key=key,
        energy=energy,
        validation=validation,
        condition=condition,
        validation_condition=validation_condition,
        training=as_training(training).changed(**settings),
        solver=as_solver(solver_settings),
        callbacks=callbacks,
        history=History() if history is None else history,
        progress=progress,
        mesh=as_mesh(mesh),
        kept=checkpoint_dir is not None,
    )
    run = begun.run
    # Reading all data for their fingerprint is for those who keep checkpoints, or aren't alone.
    known = {} if checkpoint_dir is None and not run.together else identity(run)
    if run.together:
        _processes.check_same(known)
    steps = run.settings.steps
    with (
        _processes.noticing_loss(),
        # Several processes are ended together, by JAX's own notice of SIGTERM.
        nullcontext(Interrupts()) if run.together else interrupts() as ending,
        Checkpoints(checkpoint_dir, known, steps, resume) as checkpoints,
        spread_over(run.mesh),
    ):
        run = run.extended(checkpoints.ends)
        flow = train_alone(run, checkpoints, ending)
    # After a cut in here a resume finds the state at the end of training, and finishes from there.
    if run.settings.finish is not None:
        flow = _finished(flow, begun, getattr(data, "chains", None))
        checkpoints.write_histories([run.history])
    return flow


def _finished(flow: Flow, begun: Begun, chains: Sized | None) -> Flow:
    """With some steps of maximum likelihood on the points, in the data's units; the history's last row
    then has the validation NLLs of before and after."""
    run, points = begun.run, begun.points
    assert isinstance(run.settings.finish, Mapping)
    assert isinstance(points, Array), "checked_sample refuses others"
    assert run.held_out is not None, "so does check_selection"
    history = History()
    with warnings.catch_warnings():
        # Before training that was looked at.
        warnings.filterwarnings("ignore", "the data don't follow the energy", UserWarning)
        flow = finish(
            flow,
            points,
            validation=run.held_out,
            key=jax.random.fold_in(run.key, _FINISH),
            energy=begun.energy,
            chains=chains,
            history=history,
            **run.settings.finish,
        )
    last = run.history.rows[-1] if run.history.rows else {}
    last |= {"nll_trained": history.rows[0]["nll"], "nll_finished": history.rows[-1]["best_nll"]}
    return flow


def with_settings(function: Callable[..., object]) -> inspect.Signature:
    """A function's signature with the fields of `Training` in place of `**settings`, for help texts."""
    signature = inspect.signature(function)
    *named, _ = signature.parameters.values()
    settings = [
        inspect.Parameter(
            f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type
        )
        for f in dataclasses.fields(Training)
    ]
    return signature.replace(parameters=[*named, *settings])


setattr(fit, "__signature__", with_settings(fit))  # noqa: B010  functions declare no such attribute
