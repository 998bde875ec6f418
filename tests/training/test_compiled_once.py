"""A training run compiles its step and its draws once, whatever happens between the steps."""

import jax
import pytest

import hiflow as hf

KEY = jax.random.key(0)
PRIOR = hf.priors.Normal(2)
POINTS = jax.vmap(PRIOR.sample)(jax.random.split(KEY, 20))
HELD_OUT = jax.vmap(PRIOR.sample)(jax.random.split(jax.random.key(1), 3))
RUNS = {
    "plain": lambda folder: {},
    "pairs from the background": lambda folder: {"coupling": "minibatch-ot"},
    "anchors from disk": lambda folder: {"anchor_dir": folder},
    "checkpoints": lambda folder: {"checkpoint_dir": folder, "checkpoint_every": 30},
}


@pytest.fixture
def compiled():
    """The names of all programs that were compiled, one by one."""
    names = []

    def listen(event: str, duration_secs: float, **kwargs: str | int):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(kwargs["fun_name"])

    jax.clear_caches()
    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("name", RUNS)
def test_step_and_draws_are_compiled_once(name, compiled, tmp_path):
    network = hf.networks.MLP((2,), 4, 1, key=KEY)
    after = []
    # Calls of 50 steps, of 20, 10 and 30 before a validation, and of fewer at the end.
    hf.fit(
        network,
        hf.paths.OptimalTransport(),
        POINTS,
        prior=PRIOR,
        key=KEY,
        steps=133,
        batch_size=4,
        validation=HELD_OUT,
        validate_at=[70, 100, 110],
        callbacks=[lambda row: after.append(len(compiled))],
        progress=False,
        **RUNS[name](tmp_path / "kept"),
    )
    assert [compiled.count(program) for program in ("jit(advance)", "jit(draw)")] == [1, 1]
    # After the first validation nothing at all is compiled.
    assert after == [after[0]] * 4
