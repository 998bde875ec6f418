"""Ready-made callbacks, held against what a run's history says."""

import csv
import sys
import types

import jax
import pytest

import hiflow as hf
from hiflow import callbacks

POINTS = jax.random.normal(jax.random.key(5), (40, 2))


def train(*looking, steps=9, **keywords):
    history = hf.History()
    hf.fit(
        hf.networks.MLP(shape=(2,), width=4, depth=1, key=jax.random.key(1)),
        "optimal-transport",
        POINTS,
        prior=hf.priors.Normal(2),
        key=jax.random.key(0),
        steps=steps,
        batch_size=4,
        log_every=3,
        validation=POINTS[:3] + 0.1,
        solver_settings={"method": "Euler", "steps": 1},
        callbacks=looking,
        history=history,
        progress=False,
        **keywords,
    )
    return history.rows


def numbers(row):
    return {k: v for k, v in row.items() if isinstance(v, int | float) and k != "step"}


def test_a_csv_file_has_the_rows(tmp_path):
    rows = train(callbacks.CSV(tmp_path / "rows.csv", often=True))
    with (tmp_path / "rows.csv").open() as file:
        found = list(csv.DictReader(file))
    assert [int(row["step"]) for row in found] == [3, 6, 9]
    for mine, theirs in zip(found, rows, strict=True):
        assert {k: float(mine[k]) for k in numbers(theirs)} == numbers(theirs)


def test_tensorboard_gets_every_number_and_a_resumed_run_replaces_its_own(tmp_path, monkeypatch):
    written, purged = {}, []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            assert folder == str(tmp_path / "board")
            purged.append(purge_step)

        def add_scalar(self, name, value, step):
            written.setdefault(step, {})[name] = value

        def flush(self): ...

    fake = types.ModuleType("tensorboardX")
    vars(fake)["SummaryWriter"] = SummaryWriter
    monkeypatch.setitem(sys.modules, "tensorboardX", fake)
    keywords = {"checkpoint_dir": tmp_path / "run", "checkpoint_every": 4}
    train(callbacks.TensorBoard(tmp_path / "board"), **keywords)
    rows = train(callbacks.TensorBoard(tmp_path / "board"), **keywords, resume=True, steps=12)
    assert written == {row["step"]: numbers(row) for row in rows}
    assert purged == [3, 9]


def test_wandb_gets_every_number_and_the_end(monkeypatch):
    logged, calls = {}, []
    run = types.SimpleNamespace(
        log=lambda row, step: logged.update({step: row}), finish=lambda: calls.append("finish")
    )
    fake = types.ModuleType("wandb")
    vars(fake)["init"] = lambda **settings: calls.append(settings) or run
    monkeypatch.setitem(sys.modules, "wandb", fake)
    rows = train(callbacks.WandB(project="flows", mode="offline"))
    assert logged == {row["step"]: numbers(row) for row in rows}
    assert calls == [{"project": "flows", "mode": "offline"}, "finish"]


@pytest.mark.parametrize(
    ("make", "package"),
    [(lambda: callbacks.TensorBoard("x"), "tensorboardX"), (callbacks.WandB, "wandb")],
)
def test_a_missing_package_is_named_with_the_way_to_it(monkeypatch, make, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"needs {package}: pip install 'hiflow-jax\["):
        make()


def test_a_condition_ends_a_run():
    rows = train(callbacks.StopWhen(lambda row: row["step"] >= 6, "long enough"))
    assert [(row["step"], row.get("ended")) for row in rows] == [(3, None), (6, "long enough")]
