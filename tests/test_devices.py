"""Several devices: a batch is spread over them, and the result is the one of a single device."""

import os
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import sys, jax, jax.numpy as jnp, numpy as np
import hiflow as hf
points = jax.random.normal(jax.random.key(1), (64, 2))
network = hf.networks.MLP(shape=(2,), width=16, depth=2, key=jax.random.key(2))
flow = hf.fit(network, hf.paths.OptimalTransport(), points, prior=hf.priors.Normal(shape=(2,)),
              key=jax.random.key(0), steps=20, batch_size=16, progress=False)
log_prob = flow.log_prob(points[:8], steps=8)
np.savez(sys.argv[1], log_prob=log_prob, devices=len(jax.devices()))
"""


@pytest.mark.parametrize("devices", [2])
def test_training_and_likelihood_agree_with_one_device(tmp_path, devices):
    results = {}
    for count in (1, devices):
        several = f"--xla_force_host_platform_device_count={count}"
        flags = f"{os.environ.get('XLA_FLAGS', '')} {several}"
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / f"{count}.npz")],
            check=True,
            env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        )
        with np.load(tmp_path / f"{count}.npz") as file:
            assert file["devices"] == count
            results[count] = file["log_prob"]
    np.testing.assert_allclose(results[devices], results[1], rtol=1e-3)
