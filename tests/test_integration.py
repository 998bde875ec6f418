"""Laws of the solve: agreement with diffrax, order, lanes, gradients, what is left out."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow._integration import _width
from hiflow.solver import methods

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).normal(size=(13, 2)), jnp.float32)


class Swirl(hf.networks.AbstractVelocityField):
    """Nonlinear, with a time dependence that makes some samples' steps much shorter than others'."""

    rate: jax.Array = eqx.field(default_factory=lambda: jnp.asarray(1.5))
    event_shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    group: hf.groups.AbstractGroup = eqx.field(default_factory=hf.groups.Trivial)

    def __call__(self, t, x):
        turned = jnp.stack([-x[1], x[0]])
        return self.rate * (1 + t) * turned * jnp.sum(x**2) / 2 + jnp.sin(3 * t) * jnp.cos(x)


def flow(**settings):
    return hf.Flow(hf.priors.Normal(shape=(2,)), Swirl(), **settings)


class CountingDivergence(hf.divergences.AbstractDivergence):
    """The exact one, which counts on the host how often it is asked."""

    calls = 0

    def draw(self, key, x):
        return None

    def __call__(self, field, t, x, drawn):
        def count(value):
            CountingDivergence.calls += 1
            return np.zeros_like(value)

        shape = jax.ShapeDtypeStruct((), x.dtype)
        none = jax.pure_callback(count, shape, x[0], vmap_method="sequential")
        velocity, divergence = hf.Exact()(field, t, x, drawn)
        return velocity, divergence + none


@pytest.mark.parametrize("method", ["Tsit5", "Bosh3", "Heun", "Dopri8"])
def test_lanes_agree_with_diffrax(x64, method):
    """The same steps are taken, and the same numbers come out."""
    solver, network = getattr(diffrax, method)(), Swirl()

    def field(t, state, args):
        return hf.Exact()(network, t, state[0], None)

    def alone(x):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field), solver, 1.0, 0.0, dt0=-0.01, y0=(x, jnp.zeros(())),
            stepsize_controller=diffrax.PIDController(1e-4, 1e-4),
        )  # fmt: skip
        return solution.ys, solution.stats

    (x0, gained), stats = jax.jit(jax.vmap(alone))(X.astype(float))
    prior = hf.priors.Normal(shape=(2,))
    expected = jax.vmap(prior.log_prob)(x0[:, 0]) + gained[:, 0]
    found, mine = flow(solver=solver).log_prob_and_stats(X.astype(float), chunk_size=4)
    np.testing.assert_array_equal(mine.accepted, stats["num_accepted_steps"])
    np.testing.assert_array_equal(mine.rejected, stats["num_rejected_steps"])
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("method", [*methods()])
def test_order_of_convergence(x64, method):
    solver = getattr(diffrax, method)()
    order = solver.order(None)
    steps = {1: 400, 2: 200, 3: 80, 5: 10, 8: 6}[order]
    exact = flow(steps=200, solver="Dopri8").log_prob(X[:2].astype(float))
    errors = [
        float(abs(flow(solver=solver, steps=n).log_prob(X[:2].astype(float)) - exact).max())
        for n in (steps, 2 * steps)
    ]
    assert order - 0.7 < np.log2(errors[0] / errors[1]) < order + 2.2


@pytest.mark.parametrize("width", [1, 5, 13, 100, None])
def test_lanes_that_take_the_next_sample_give_what_each_gives_alone(x64, width):
    x = X.astype(float)
    found, stats = flow().log_prob_and_stats(x, chunk_size=width)
    alone = [flow().log_prob_and_stats(one) for one in x]
    assert len({int(each.nfe) for _, each in alone}) > 2
    np.testing.assert_allclose(found, [log_prob for log_prob, _ in alone], rtol=1e-10)
    np.testing.assert_array_equal(stats.nfe, [each.nfe for _, each in alone])


def test_lanes_draw_each_samples_own_probes(x64):
    x = jnp.tile(X[:1].astype(float), (11, 1))
    settings = {"divergence": hf.Hutchinson(3), "key": KEY}
    together = flow().log_prob(x, chunk_size=4, **settings)
    assert len(np.unique(together.round(9))) > 1
    np.testing.assert_allclose(together, flow().log_prob(x, chunk_size=11, **settings), rtol=1e-10)


@pytest.mark.parametrize(
    ("method", "steps", "asked"),
    [("Midpoint", 7, 7), ("Heun", 7, 14), ("Tsit5", 7, 42), ("Dopri5", 7, 35), ("Dopri8", 7, 63)],
)
def test_stages_that_the_integral_does_not_use_do_not_evaluate_it(method, steps, asked):
    CountingDivergence.calls = 0
    one = flow(solver=method, steps=steps, divergence=CountingDivergence())
    jax.block_until_ready(one.log_prob(X[:1]))
    assert CountingDivergence.calls == asked


@pytest.mark.parametrize(
    ("dim", "n", "lanes"), [(16, 99, 64), (32, 99, 16), (16, 5, 5), (999, 9, 1)]
)
@pytest.mark.parametrize("inner", [False, True])
def test_lanes_are_as_many_as_have_room(monkeypatch, dim, n, lanes, inner):
    """Of the largest thing that one evaluation makes on its way, in functions that it calls too."""
    monkeypatch.setattr(_width, "_BYTES", dict.fromkeys(("cpu", "other"), 64 * 4 * 16**2))

    def energy(x):
        return jnp.outer(x, x).sum() + x.sum()

    function = jax.jit(energy) if inner else energy
    found = _width.width_for(function, jnp.zeros(dim), n=n, refilled=False)
    assert found == lanes


@pytest.mark.parametrize("steps", [None, 40])
def test_gradients_are_those_of_many_small_steps(x64, steps):
    x = X[:2].astype(float)

    def loss(network, x, **settings):
        return flow_of(network).log_prob(x, **settings).mean()

    def flow_of(network):
        return hf.Flow(hf.priors.Normal(shape=(2,)), network, rtol=1e-6, atol=1e-6)

    network = Swirl()
    slope, push = eqx.filter_grad(loss)(network, x, steps=steps), jax.grad(loss, 1)
    h = 1e-5
    up, down = (Swirl(network.rate + sign * h) for sign in (1, -1))
    expected = (loss(up, x, steps=150) - loss(down, x, steps=150)) / (2 * h)
    np.testing.assert_allclose(slope.rate, expected, rtol=2e-3)
    direction = jnp.ones_like(x)
    expected = (loss(network, x + h, steps=150) - loss(network, x - h, steps=150)) / (2 * h)
    np.testing.assert_allclose(
        (push(network, x, steps=steps) * direction).sum(), expected, rtol=1e-5
    )


def test_the_whole_flow_can_be_differentiated():
    """Its tolerances too, on which nothing depends."""
    slopes = eqx.filter_grad(lambda flow: flow.log_prob(X[:2]).sum())(flow())
    assert float(slopes.solver.rtol) == 0
    assert float(abs(slopes.network.rate)) > 0


def test_fixed_steps_have_second_derivatives(x64):
    hessian = jax.hessian(lambda x: flow().log_prob(x, steps=20))(X[0].astype(float))
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-9)
    assert abs(hessian).min() > 1e-3


def test_what_is_not_a_number_does_not_arrive():
    class Broken(Swirl):
        def __call__(self, t, x):
            return jnp.where(t < 0.5, jnp.nan, 1.0) * x

    broken = hf.Flow(hf.priors.Normal(shape=(2,)), Broken())
    with pytest.raises(RuntimeError, match="didn't arrive for 3 of 3 samples"):
        broken.log_prob(X[:3])
