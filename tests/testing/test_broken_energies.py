"""The checks of energies, Hessians, maps and times refuse what breaks a law, and say which."""

import jax
import jax.numpy as jnp
import lineax as lx
import pytest

from hiflow import energies, hessians, spectral, times
from hiflow.spectrum import Spectrum, dense
from hiflow.testing import check_energy, check_hessian, check_spectral_map, check_time_transform

pytestmark = pytest.mark.usefixtures("x64")


class Tilted(energies.Ring):
    def __call__(self, x):
        return super().__call__(x) + 0.1 * x[0]


class WrongHessian(energies.DoubleWell):
    def hessian(self, x):
        return 2 * super().hessian(x)


class Infinite(energies.DoubleWell):
    def __call__(self, x):
        return super().__call__(x) + jnp.sqrt(jnp.sum(0 * x))


class Sharp(energies.Gaussian):
    def sample(self, key):
        return self.mean + 0.9 * (super().sample(key) - self.mean)


class Held(energies.LennardJones):
    def __call__(self, x):
        return super().__call__(x) + jnp.sum(x[:, 0])


class WrongResiduals(energies.Ring):
    def residuals(self, x):
        return 1.1 * super().residuals(x)


class Cornered(energies.Ring):
    """Invariant under nothing but quarter turns, and it says any."""

    def __call__(self, x):
        return super().__call__(x) + 0.1 * x[0] ** 2 * x[1] ** 2


class Moving(energies.Gaussian):
    """Moves that stretch or shrink all coordinates, by Metropolis' rule with the change of volume."""

    volume = 3.0

    def start(self, key):
        return super().sample(key)

    def move(self, key, x):
        key_size, key_accept = jax.random.split(key)
        s = jax.random.normal(key_size) / 2
        y = jnp.exp(s) * x
        accept = jnp.log(jax.random.uniform(key_accept)) < self(x) - self(y) + self.volume * s
        return jnp.where(accept, y, x)


class Growing(Moving):
    volume = 0.0


class Kicking(Moving):
    def move(self, key, x):
        return x + 0.3 * jax.random.normal(key, x.shape)


def test_moves_that_keep_the_density_pass():
    assert check_energy(Moving(jnp.zeros(3), 4.0))["moves"] < 6


@pytest.mark.parametrize(
    ("law", "make"),
    [
        ("moves", lambda: Growing(jnp.zeros(3), 4.0)),
        ("moves", lambda: Kicking(jnp.zeros(3), 4.0)),
        ("orbit", Cornered),
        ("residuals", WrongResiduals),
        ("finite", Infinite),
        ("invariance", Tilted),
        ("projection", lambda: Held(3, 2)),
        ("hessian", WrongHessian),
        ("samples", lambda: Sharp(jnp.ones(2), 3.0)),
    ],
)
def test_broken_energy_is_refused(refuses, law, make):
    refuses(law, check_energy, make())


class Doubled(hessians.Dense):
    def __call__(self, energy, x):
        return 2 * super().__call__(energy, x)


class Untagged(hessians.Dense):
    def __call__(self, energy, x):
        return lx.MatrixLinearOperator(super().__call__(energy, x).as_matrix())


class Lopsided(hessians.Dense):
    def __call__(self, energy, x):
        matrix = super().__call__(energy, x).as_matrix()
        return lx.MatrixLinearOperator(jnp.tril(matrix), lx.symmetric_tag)


class Transposed(hessians.Dense):
    def spectrum(self, energy, x):
        spectrum = super().spectrum(energy, x)
        assert spectrum.modes.vectors is not None
        return dense(spectrum.eigenvalues, spectrum.modes.vectors.T)


class Stretched(hessians.Dense):
    def spectrum(self, energy, x):
        spectrum = super().spectrum(energy, x)
        assert spectrum.modes.vectors is not None
        return dense(spectrum.eigenvalues, 1.1 * spectrum.modes.vectors)


class Overcounted(hessians.Dense):
    def spectrum(self, energy, x):
        eigenvalues, vectors = jnp.linalg.eigh(self(energy, x).as_matrix())
        return dense(eigenvalues, vectors)


def skewed(x):
    return jnp.sum(x**4) + x[0] * x[1] + 2 * x[1] * x[2]


class DiagonalAnyway(hessians.Dense):
    def spectrum(self, energy, x):
        diagonal = jnp.diagonal(self(energy, x).as_matrix())
        return Spectrum(diagonal, super().spectrum(energy, x).modes)


@pytest.mark.parametrize(
    ("law", "hessian", "energy"),
    [
        ("products", Doubled(), energies.Ring),
        ("tag", Untagged(), energies.Ring),
        ("symmetric", Lopsided(), energies.Ring),
        ("diagonal", Transposed(), lambda: energies.FunctionEnergy(skewed, shape=(3,))),
        ("orthonormal", Stretched(), energies.Ring),
        ("size", Overcounted(), lambda: energies.LennardJones(3, 2)),
        ("equivariance", DiagonalAnyway(), energies.Ring),
    ],
)
def test_broken_hessian_is_refused(refuses, law, hessian, energy):
    refuses(law, check_hessian, hessian, energy())


def test_approximate_hessian_need_not_match_products():
    found = check_hessian(Doubled(), energies.Ring(), exact=False)
    assert "products" not in found


class Signed(spectral.Absolute):
    def __call__(self, eigenvalues):
        return eigenvalues + 0.5


class Overpromising(spectral.Absolute):
    @property
    def lower_bound(self):
        return 2 * self.shift


class Ranked(spectral.Absolute):
    def __call__(self, eigenvalues):
        return 1.0 + jnp.arange(eigenvalues.shape[0], dtype=eigenvalues.dtype)


class Overflowing(spectral.Absolute):
    def __call__(self, eigenvalues):
        return jnp.exp(jnp.abs(eigenvalues)) + 1


class Picky(spectral.Absolute):
    def __call__(self, eigenvalues):
        return jnp.where(eigenvalues > 0.5, jnp.nan, 1.0)


class Summed(spectral.Absolute):
    def __call__(self, eigenvalues):
        return jnp.sum(super().__call__(eigenvalues), keepdims=True)


class VectorBound(spectral.Absolute):
    @property
    def lower_bound(self):
        return jnp.ones(1)


@pytest.mark.parametrize(
    ("law", "map"),
    [
        ("positive", Signed()),
        ("bound", Overpromising()),
        ("order", Ranked()),
        ("finite", Overflowing()),
        ("finite", Picky()),
        ("bound shape", VectorBound()),
        ("shape", Summed()),
    ],
)
def test_broken_spectral_map_is_refused(refuses, law, map):
    refuses(law, check_spectral_map, map)


def test_control_that_ignores_the_order_can_be_declared():
    check_spectral_map(Ranked(), ordered=False)


class Stops(times.LogTime):
    def remaining(self, t):
        return 1 - 0.9 * t


class StartsLate(times.LogTime):
    def remaining(self, t):
        return 0.9 * (1 - t)


class TurnsBack(times.LogTime):
    def remaining(self, t):
        return (1 - t) * (1 + jnp.sin(3 * t))


class Forgetful(times.LogTime):
    def decay(self, t, rate):
        return self.remaining(t) * jnp.ones_like(rate)


class SteepEnd(times.LogTime):
    def remaining(self, t):
        return jnp.sqrt(1 - t)


@pytest.mark.parametrize(
    ("law", "make"),
    [
        ("end", Stops),
        ("start", StartsLate),
        ("increasing", TurnsBack),
        ("decay", Forgetful),
        ("derivative", SteepEnd),
    ],
)
def test_broken_time_transform_is_refused(refuses, law, make):
    refuses(law, check_time_transform, make())
