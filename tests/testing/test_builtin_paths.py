"""Every built-in path obeys the laws of paths, for energies, spectral maps and times of all kinds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from built_in import own
from hiflow import energies, groups, hessians, paths, priors, spectral, times
from hiflow.testing import check_path, example, relaxed_points


def plane():
    """Made in the test: a prior's float type is that in force when it is made."""
    return priors.Normal((2,))


CASES = {
    "gaussian": (lambda: energies.Gaussian(np.array([1.0, -1.0]), np.array([1.0, 100.0])), plane),
    "ring": (energies.Ring, plane),
    "double-well": (energies.DoubleWell, plane),
    "lj4": (lambda: energies.LennardJones(4, 2), lambda: priors.CentredNormal(4, 2)),
    "lj13": (lambda: energies.LennardJones.preset("lj13"), lambda: priors.CentredNormal(13, 3)),
}
MAPS = {
    "absolute": lambda: spectral.Absolute(0.8),
    "clamped": lambda: spectral.Clamped(1.0),
    "constant": lambda: spectral.Constant(),
    "mean-rate": lambda: spectral.MeanRate(),
    "power": lambda: spectral.Power(0.3),
    "raised": lambda: spectral.Raised(spectral.Absolute(1.0), 0.5),
    "saturating": lambda: spectral.Saturating(2.0, 5.0),
    "shifted": lambda: spectral.Shifted(20.0, least=-19.0),
    "shuffled": lambda: spectral.Shuffled(spectral.Saturating(2.0, 5.0)),
    "trace-normalised": lambda: spectral.TraceNormalised(),
}
ISOTROPIC = {
    "cosine": lambda: paths.Cosine(),
    "optimal-transport": lambda: paths.OptimalTransport(),
    "stable": lambda: paths.Stable(rate=1.7),
    "variance-exploding": lambda: paths.VarianceExploding(),
    "variance-preserving": lambda: paths.VariancePreserving(),
}


@pytest.mark.parametrize(
    ("path", "case"),
    [
        ("linearised", "lj13"),
        ("langevin", "gaussian"),
        ("relaxed", "double-well"),
        ("relaxed", "lj4"),
        ("spectral", "ring"),
    ],
)
def test_spectral_path_obeys_its_laws(path, case, x64):
    energy, prior = CASES[case]
    check_path(paths.registry.make({"name": path, "energy": energy()}), prior=prior())


@pytest.mark.parametrize("name", own(spectral.registry))
def test_laws_hold_for_every_spectral_map(name, x64):
    map = MAPS[name]() if name in MAPS else example(spectral.registry, name)
    # Eigenvalues of the double well lie between -5.4 and 100 here, so no mode is lost to underflow.
    path = paths.Langevin(
        energy=energies.DoubleWell(),
        curvature=map,
        rates=map,
        time=times.LogTime(1e-3),
    )
    points = jnp.asarray([[1.4, 0.1], [0.2, -0.3], [-1.9, 0.0]])
    if jnp.isnan(map(jnp.asarray([-1.0, 1.0]))).any():  # A map may refuse the saddle.
        points = points[::2]
    check_path(path, prior=plane(), points=points, times=(0.1, 0.5))


@pytest.mark.parametrize(
    "time",
    [
        times.CosineTime,
        lambda: times.LinearTime(1e-2),
        lambda: times.LogTime(1e-2),
        lambda: times.PolynomialTime(3),
    ],
)
def test_laws_hold_for_every_time_transform(time, x64):
    check_path(paths.Stable(rate=1.3, time=time()), prior=plane())


@pytest.mark.parametrize("name", ISOTROPIC)
def test_isotropic_path_obeys_its_laws(name, x64):
    path = ISOTROPIC[name]()
    check_path(path, prior=priors.Normal((2,), scale=path.prior_scale, group=groups.Rotation(2)))


def test_isotropic_path_obeys_its_laws_on_the_centred_subspace(x64):
    check_path(paths.OptimalTransport(group="translation"), prior=priors.CentredNormal(4, 2))


def test_prior_of_another_scale_is_obeyed(x64):
    path = paths.Langevin(
        energy=energies.DoubleWell(), hessian="diagonal", prior_scale=2.5, beta=3.0
    )
    check_path(path, prior=priors.Normal((2,), scale=2.5))


def test_laws_hold_at_thermal_and_at_high_energy_points(x64):
    energy, prior = energies.LennardJones(4, 2), priors.CentredNormal(4, 2)
    path = paths.Langevin(energy=energy)
    check_path(path, prior=prior)
    points = relaxed_points(energy, jax.random.key(3), 3, steps=0)
    assert jax.vmap(energy)(points).max() > 20
    check_path(path, prior=prior, points=points)


def test_laws_hold_in_single_precision():
    energy, prior = CASES["ring"]
    check_path(paths.Langevin(energy=energy(), hessian=hessians.Analytic()), prior=prior())


def test_laws_hold_in_single_precision_for_many_particles():
    energy, prior = CASES["lj13"]
    check_path(paths.Linearised(energy=energy(), hessian=hessians.Dense()), prior=prior())


@pytest.mark.gpu
@pytest.mark.parametrize("case", ["ring", "lj13"])
def test_laws_hold_on_a_gpu(case):
    energy, prior = CASES[case]
    check_path(paths.Langevin(energy=energy(), hessian=hessians.Analytic()), prior=prior())
