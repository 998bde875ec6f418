"""`prior = {name = "...", fit = "data"}` is the fit to the points that an arm trains on alone."""

import jax
import numpy as np
import pytest

import hiflow as hf
from hiflow import experiments
from hiflow.experiments._check import checked
from hiflow.experiments._fitted_prior import fitted_prior

CONFIG = """
[energy]
name = "gaussian"
mean = [1.0, -1.0]
precision = [4.0, 25.0]
[data]
size = 30
test = 8
[prior]
PRIOR
[network]
name = "mlp"
width = 4
depth = 1
[training]
steps = 2
batch_size = 4
[[arm]]
label = "OT-FM"
path = {name = "optimal-transport"}
[[variant]]
label = "few"
size = 12
"""


def read(folder, prior):
    (folder / "config.toml").write_text(CONFIG.replace("PRIOR", prior), encoding="utf-8")
    return experiments.read(folder / "config.toml")


def test_a_trained_flow_starts_from_the_fit_to_its_own_points(tmp_path):
    what = read(tmp_path, 'name = "gaussian"\nfit = "data"\nshrinkage = 0.1')
    experiments.train(what, tmp_path / "run")
    flow = hf.load(next((tmp_path / "run").rglob("flow.hiflow")))
    points, _ = experiments.make_data(what, experiments.make_energy(what), 0, progress=False)
    expected = hf.priors.GaussianPrior.fit(points[:12], shrinkage=0.1)
    assert isinstance(flow.prior, hf.priors.GaussianPrior)
    np.testing.assert_array_equal(flow.prior.covariance, expected.covariance)
    np.testing.assert_array_equal(flow.prior.mean, expected.mean)


def test_particles_are_fitted_with_their_species():
    energy = hf.energies.DoubleWellParticles.preset("dw4")
    table = {"name": "particle-gaussian", "fit": "data", "species": [0, 0, 1, 1]}
    x = jax.random.normal(jax.random.key(0), (20, *energy.event_shape))
    prior = fitted_prior(table, energy.event_shape, x)
    expected = hf.priors.ParticleGaussianPrior.fit(x, species=(0, 0, 1, 1))
    np.testing.assert_array_equal(prior.covariance, expected.covariance)
    blank = fitted_prior(table, energy.event_shape, None)
    assert (blank.event_shape, blank.group) == (prior.event_shape, prior.group)
    plain = {"name": "normal"}
    assert fitted_prior(plain, (2,), None) is plain


@pytest.mark.parametrize(
    ("prior", "told"),
    [
        ('name = "gaussian"\nfit = "dta"', r'\[prior\]: `fit` must be "data".*got \'dta\''),
        ('name = "gaussian"\nfit = true', '`fit` must be "data"'),
        ('name = "normal"\nfit = "data"', "'normal' isn't fitted.* gaussian, particle-gaussian"),
        ('name = "gausian"\nfit = "data"', "did you mean 'gaussian'"),
        ('name = "gaussian"\nfit = "data"\nshrinkage = 2.0', r"`shrinkage` must be in \[0, 1\]"),
        ('name = "gaussian"\nfit = "data"\nshrinkage = "a"', "shrinkage.* must be a finite number"),
        ('name = "gaussian"\nfit = "data"\ncovariance = [1.0]', "takes no argument 'covariance'"),
        ('name = "gaussian"\nfit = "data"\ndata = [1.0]', "must be left out: the experiment gives"),
        ('name = "particle-gaussian"\nfit = "data"', r"points \(n, particles, dim\)"),
    ],
)
def test_what_is_wrong_is_said_before_data_are_drawn(tmp_path, prior, told):
    with pytest.raises(experiments.ConfigError, match=told):
        checked(read(tmp_path, prior))
