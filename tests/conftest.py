"""Runtime shape and type checks on the whole package, and the fixtures that the laws share."""

import os

# Several workers whose LAPACK spins in several threads wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from compilation import KIND, environment

os.environ.update(environment() | os.environ)
# The shell's console would keep, for all tests, the width that it finds where it is made.
os.environ.pop("COLUMNS", None)
os.environ.pop("LINES", None)

from jaxtyping import install_import_hook

with install_import_hook("hiflow", "beartype.beartype"):
    import hiflow
    from hiflow import _compilation, _disk, _shell  # noqa: F401

    # Both import their parts when these are first used: here, or they aren't checked.
    for package, late in (hiflow, {"experiments", "plotting", "testing"}), (_disk, set()):
        for name in {*package.__all__} - late:
            getattr(package, name)

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


@pytest.fixture(autouse=True, scope="module")
def _compiled_code_is_let_go():
    """A worker would hold all that it ever compiled, ten gigabytes in the end; the disk has it too."""
    yield
    jax.clear_caches()


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        _compilation.forget_the_oldest(_disk.cache_folder() / KIND)


def pytest_collection_modifyitems(items):
    if any(device.platform == "gpu" for device in jax.devices()):
        return
    skip = pytest.mark.skip(reason="needs a GPU that JAX can see")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)
