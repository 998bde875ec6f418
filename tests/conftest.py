"""Runtime shape and type checks on the whole package, and the fixtures that the laws share."""

import os

# Several workers whose LAPACK spins in several threads wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from compilation import environment, forget_the_oldest

os.environ.update(environment() | os.environ)

from jaxtyping import install_import_hook

with install_import_hook("hiflow", "beartype.beartype"):
    import hiflow  # noqa: F401

from pathlib import Path

import jax
import pytest
from hypothesis import HealthCheck, settings

# Compilation dominates the first example of every property, so a deadline would only measure XLA.
settings.register_profile(
    "laws",
    deadline=None,
    max_examples=20,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("laws")


@pytest.fixture
def x64():
    """Double precision for identities."""
    with jax.enable_x64(True):
        yield


LAWS: list[dict] = []


def pytest_addoption(parser):
    parser.addoption(
        "--write-laws",
        action="store_true",
        help="write docs/laws.md from what the kit's checks found",
    )


def pytest_configure(config):
    """Remember what every check of the kit finds."""
    if not hasattr(config, "workerinput"):
        forget_the_oldest()
    from hiflow.testing._report import Report
    from laws_page import recorded

    finish = Report.finish

    def remembering(self):
        findings = finish(self)
        LAWS.extend(recorded(findings))
        return findings

    Report.finish = remembering


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    LAWS.extend(getattr(node, "workeroutput", {}).get("laws", []))


def pytest_sessionfinish(session):
    from laws_page import page

    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["laws"] = LAWS
    elif session.config.getoption("--write-laws"):
        (Path(__file__).parents[1] / "docs" / "laws.md").write_text(page(LAWS))


def pytest_collection_modifyitems(items):
    if any(device.platform == "gpu" for device in jax.devices()):
        return
    skip = pytest.mark.skip(reason="needs a GPU that JAX can see")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)
