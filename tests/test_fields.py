"""What a component is made with in Python: of another kind it is refused by its argument's name."""

import inspect
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow._summaries import Component

POINTS = np.ones((4, 2))
TWO: Any = np.int64(2)
WORD: Any = "a"
HALF: Any = 2.5


class Counted(Component):
    """The tests' own, since shapes and types of the library's are checked before their fields are."""

    probes: int = eqx.field(static=True)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: hf.priors.Normal(2, scale="a"), "Normal: `scale` must be a number; got 'a'"),
        (lambda: hf.priors.Normal(2, scale=True), "Normal: `scale` must be a number; got True"),
        (lambda: hf.spectral.Saturating(kappa=[1, 2]), "Saturating: `kappa` must be a number; got"),
        (
            lambda: hf.priors.EmpiricalPrior(1j * POINTS),
            "EmpiricalPrior: `points` must be a number or",
        ),
        (lambda: hf.priors.EmpiricalPrior(None), "array of real numbers; got None"),
        (
            lambda: hf.energies.KernelDensity.fit("x"),
            "`points` must be a number or an array of real",
        ),
        (lambda: Counted(WORD), "Counted: `probes` must be a whole number; got 'a'"),
        (lambda: Counted(HALF), "Counted: `probes` must be a whole number; got 2.5"),
    ],
)
def test_another_kind_is_refused_by_name(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_numpys_numbers_are_numbers():
    assert type(Counted(TWO).probes) is int
    assert inspect.signature(Counted).parameters["probes"].annotation is int
    assert hf.priors.Normal(2, scale=np.float32(2)).scale == jnp.asarray(2.0)
