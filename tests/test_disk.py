"""The room of the disk: files that are whole or absent, and fingerprints that tell things apart."""

import importlib
import json
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import _disk, spectral
from hiflow._disk import fingerprint, structure, write_text

TYPED = """
class Energy:
    stiffness = {}
    _exponent = {}
    @property
    def width(self): return {}
    @staticmethod
    def scale(): return {}
    def __call__(self, x): return {} * x
"""


@pytest.mark.parametrize("line", range(5))
def test_whatever_is_typed_into_a_class_of_a_session_tells_it_apart(line):
    def typed(numbers):
        names = {"__name__": "__main__"}
        exec(TYPED.format(*numbers), names)
        return fingerprint(part=names["Energy"]).digest

    before = [1] * 5
    after = [1 + (i == line) for i in range(5)]
    assert typed(before) == typed(before) != typed(after)


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "note.json"
    _disk.write_json(path, {"a": 1})

    def interrupted():
        with _disk.written(path) as file:
            file.write(b"half of ")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["note.json"]


def test_a_file_has_its_name_only_once_it_is_complete(tmp_path):
    path = tmp_path / "arrays.npz"
    with _disk.written(path) as file:
        file.write(b"some")
        assert not path.exists()
    assert path.read_bytes() == b"some"


def _times(scale):
    return lambda x: scale * x


def _reading(scale):
    """As typed into a session: the scale is a global variable there."""
    return eval("lambda x: scale * x", {"scale": scale, "__name__": "session"})


DIFFERENT = {
    "shapes": (np.zeros((2, 3)), np.zeros(6)),
    "types": (np.zeros(3, np.float32), np.zeros(3, np.int32)),
    "values": (np.arange(3.0), np.arange(3.0)[::-1].copy()),
    "keys": (jax.random.key(0), jax.random.key(1)),
    "a number and its name": (1, "1"),
    "settings": (spectral.Absolute(1.0), spectral.Absolute(2.0)),
    "classes": (spectral.Clamped(1.0), spectral.Absolute(1.0)),
    "functions": (lambda x: x**2 / 2, lambda x: x**4),
    "constants": (lambda x: x**2, lambda x: x**4),
    "defaults": (lambda x, scale=2.0: scale * x, lambda x, scale=3.0: scale * x),
    "closures": (_times(2.0), _times(3.0)),
    "globals": (_reading(2.0), _reading(3.0)),
    "activations": (jax.nn.silu, jnp.tanh),
    "names of keys": ({"a": 1}, {"b": 1}),
    "order": ((1, 2), (2, 1)),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_fingerprints_tell_apart(what):
    one, other = DIFFERENT[what]
    assert fingerprint(part=one).digest != fingerprint(part=other).digest
    assert fingerprint(part=one).digest == fingerprint(part=one).digest


def test_an_edited_class_is_another_one(tmp_path, monkeypatch):
    file = tmp_path / "edited_energy.py"
    file.write_text("class Energy:\n    stiffness = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    edited = importlib.import_module("edited_energy")
    before = fingerprint(part=edited.Energy)
    assert fingerprint(part=edited.Energy) == before
    file.write_text("class Energy:\n    stiffness = 2\n")
    assert fingerprint(part=edited.Energy) != before
    del sys.modules["edited_energy"]


def test_what_was_typed_into_a_session_names_nothing_that_lasts():
    assert fingerprint(part=spectral.Absolute(1.0)).lasting is not None
    assert fingerprint(part=lambda x: x).lasting is None
    assert fingerprint(part=object()).lasting is None


def test_a_structure_forgets_numbers_alone():
    def digest(layer):
        return fingerprint(part=structure(layer)).digest

    def layer(seed, width=3, bias=True):
        return eqx.nn.Linear(2, width, use_bias=bias, key=jax.random.key(seed))

    assert digest(layer(0)) == digest(layer(1))
    assert len({digest(layer(0)), digest(layer(0, width=4)), digest(layer(0, bias=False))}) == 3


class Holding(eqx.Module):
    parts: tuple
    table: dict
    numpy: np.ndarray


def test_a_module_in_a_file_comes_back_with_its_containers_and_types(tmp_path):
    given = spectral.TraceNormalised(spectral.Absolute(2.5), floor=0.1)
    held = Holding((given, [1, 2.5, None]), {"name": "silu"}, np.arange(3))
    _disk.save(held, tmp_path / "module")
    found = _disk.load(tmp_path / "module", trust=(__name__,))
    assert eqx.tree_equal(found, held)
    assert type(found.parts[1]) is list
    assert isinstance(found.numpy, np.ndarray)
    assert isinstance(found.parts[0].floor, jax.Array)


def test_a_file_of_another_format_is_refused(tmp_path):
    manifest = json.dumps({"hiflow-format": 99, "root": None}).encode()
    _disk.write_arrays(tmp_path / "new", {"manifest": np.frombuffer(manifest, np.uint8)})
    with pytest.raises(ValueError, match="has format 99"):
        _disk.load(tmp_path / "new")


def test_a_file_that_cannot_be_written_is_refused_by_its_name(tmp_path, monkeypatch):
    with pytest.raises(
        FileNotFoundError, match=r"x\.json: there is no folder .*none\. Make it first"
    ):
        write_text(tmp_path / "none" / "x.json", "")
    with pytest.raises(IsADirectoryError, match=r"is a folder\. Name a file"):
        write_text(tmp_path, "")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match=r"x\.json: the folder .* can't be written to"):
        write_text(tmp_path / "x.json", "")
    assert not list(tmp_path.iterdir())
