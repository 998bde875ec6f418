"""No batches of Cholesky factors or triangular solves: two of them that are under way at once in one
program deadlock in jaxlib 0.10 on two cores."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr

from hiflow import energies, paths, priors

RANDOM = np.random.default_rng(0)
ROOTS = RANDOM.normal(size=(3, 4, 4))
PRECISIONS = jnp.asarray(ROOTS @ ROOTS.swapaxes(1, 2) + np.eye(4), jnp.float32)
X = jnp.asarray(RANDOM.normal(size=(5, 4)), jnp.float32)
KEYS = jax.random.split(jax.random.key(0), 5)
PATH = paths.Langevin(energies.Gaussian(jnp.zeros(4), PRECISIONS[0]), noise="own")
PRIOR = priors.GaussianPrior(PRECISIONS[1], 4)
LAW = paths.ConditionalLaw(PATH, PRIOR)
ANCHOR, T = PATH.anchor(X[0]), jnp.asarray(0.4)
MIXTURE = energies.GaussianMixture(jnp.zeros((3, 4)), PRECISIONS)
BEADS = priors.ParticleGaussianPrior.example()


def each_time(function):
    """Of every point at a time of its own."""
    return lambda x: jax.vmap(lambda y: function(y, T * y[0]))(x)


BATCHES = {
    "mixture": (jax.vmap(MIXTURE.sample), KEYS),
    "mixture's density": (jax.vmap(MIXTURE), X),
    "Gaussian": (jax.vmap(energies.Gaussian(X[0], PRECISIONS[0]).sample), KEYS),
    "density": (each_time(lambda y, t: LAW.log_prob(y, ANCHOR, t)), X),
    "score": (each_time(lambda y, t: LAW.score(y, ANCHOR, t)), X),
    "velocity": (each_time(lambda y, t: LAW.velocity(y, ANCHOR, t)), X),
    "divergence": (each_time(lambda y, t: LAW.divergence(ANCHOR, t)), X),
    "its gradient": (each_time(jax.grad(lambda y, t: LAW.log_prob(y, ANCHOR, t), argnums=1)), X),
    "prior": (jax.vmap(PRIOR.log_prob), X),
    "prior's samples": (jax.vmap(PRIOR.sample), KEYS),
    "prior of particles": (jax.vmap(lambda key: BEADS.log_prob(BEADS.sample(key))), KEYS),
}


def solves(jaxpr):
    """The operands of all factors and solves in a program."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("cholesky", "triangular_solve"):
            yield equation.primitive.name, equation.invars[0].aval.shape
        for inner in jax.tree.leaves(
            list(equation.params.values()),
            is_leaf=lambda leaf: isinstance(leaf, Jaxpr | ClosedJaxpr),
        ):
            if isinstance(inner, Jaxpr | ClosedJaxpr):
                yield from solves(getattr(inner, "jaxpr", inner))


@pytest.mark.parametrize("name", BATCHES)
def test_factors_and_solves_are_of_one_matrix(name):
    function, rows = BATCHES[name]
    found = list(solves(jax.make_jaxpr(function)(rows).jaxpr))
    assert all(len(shape) == 2 for _, shape in found), found


def test_a_batch_of_solves_would_be_seen():
    program = jax.make_jaxpr(jax.vmap(jnp.linalg.solve))(PRECISIONS, X[:3])
    assert any(len(shape) == 3 for _, shape in solves(program.jaxpr))
