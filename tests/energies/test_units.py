"""One kT in units that people print, against constants from outside."""

import pytest
import scipy.constants as constants

import hiflow as hf


@pytest.mark.parametrize(
    ("unit", "joules"),
    [
        ("kJ/mol", 1e3 / constants.N_A),
        ("kcal/mol", 4184 / constants.N_A),
        ("eV", constants.e),
    ],
)
def test_one_kt_is_boltzmanns_constant_times_the_temperature(unit, joules):
    expected = constants.k * 310 / joules
    assert hf.energies.Units(310.0).kT(unit) == pytest.approx(expected, rel=1e-9)


def test_lengths_are_converted():
    assert hf.energies.Units(300.0, "nm").lengths_in("Å") == pytest.approx(10)
    bohr = constants.physical_constants["Bohr radius"][0]
    assert hf.energies.Units(300.0, "bohr").lengths_in("Å") == pytest.approx(bohr * 1e10, rel=1e-8)


def test_units_say_what_one_kt_is():
    text = str(hf.energies.Units(300.0))
    assert "2.494 kJ/mol" in text
    assert "300 K" in text


@pytest.mark.parametrize(
    ("arguments", "word"), [((-1.0,), "temperature"), ((300.0, "m"), "length")]
)
def test_units_that_are_none_are_refused(arguments, word):
    with pytest.raises(ValueError, match=word):
        hf.energies.Units(*arguments)
