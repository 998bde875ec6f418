"""No test reads or writes the user's cache."""

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HIFLOW_CACHE", str(tmp_path / "cache"))
