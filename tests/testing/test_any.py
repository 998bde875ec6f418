"""`check` and `example`: a component of any family, also from the shell."""

import jax
import pytest
from typer.testing import CliRunner

import hiflow as hf
from built_in import own
from hiflow.cli import app
from hiflow.registry import families
from hiflow.testing import BrokenLawsError, check, example

FAMILIES = families()
OWN = [(family, name) for family, registry in FAMILIES.items() for name in own(registry)]


def hiflow(*arguments):
    return CliRunner().invoke(app, ["check", *arguments])


@pytest.mark.parametrize(("family", "name"), OWN)
def test_every_built_in_has_an_instance_to_check(family, name):
    assert isinstance(example(FAMILIES[family], name), FAMILIES[family].base)


@pytest.mark.parametrize(
    "component",
    [
        hf.energies.DoubleWell(),
        hf.hessians.Diagonal(),
        hf.spectral.Power(),
        hf.times.CosineTime(),
        hf.groups.Cyclic(),
        hf.priors.Normal(2),
        hf.couplings.MinibatchOT(),
        hf.paths.Stable(),
        hf.paths.Linearised("ring", prior_scale=2.0),
        hf.targets.Plain(),
        hf.time_samplers.Importance(),
        hf.divergences.Hutchinson(),
        hf.divergences.HutchPlusPlus(),
        hf.divergences.XTrace(4),
    ],
    ids=lambda component: type(component).__name__,
)
def test_check_knows_the_family_and_makes_up_the_surroundings(component):
    found = check(component)
    assert found.component == f"{type(component).__module__}.{type(component).__qualname__}"
    assert all(law.broken_at is None and law.inputs > 0 for law in found.laws)


def test_check_refuses_what_is_no_component():
    with pytest.raises(TypeError, match="none of hiflow's families"):
        check(3.0)


def test_broken_laws_come_with_all_findings():
    class Signed(hf.spectral.Absolute):
        def __call__(self, eigenvalues):
            return eigenvalues + 0.5

    with pytest.raises(BrokenLawsError) as error:
        check(Signed())
    laws = {law.name: law for law in error.value.findings.laws}
    assert laws["positive"].broken_at == "spectrum overlap"
    assert laws["shape"].broken_at is None


def test_the_shell_prints_a_table_of_laws():
    result = hiflow("saturating", "kappa=2.0")
    assert result.exit_code == 0, result.output
    assert "saturating (spectral, from hiflow)" in result.output
    assert result.output.count("held") == 6


def test_the_shell_takes_surroundings_as_toml():
    result = hiflow("diagonal", "--energy", "{name = 'double-well'}", "--single", "--seed", "3")
    assert result.exit_code == 0, result.output
    result = hiflow("rotation", "dim=2", "--event-shape", "[5, 2]")
    assert result.exit_code == 0, result.output


def test_the_shell_fails_where_a_law_is_broken(monkeypatch):
    monkeypatch.setattr(hf.spectral.registry, "_registered", dict(hf.spectral.registry._registered))

    @hf.spectral.registry.register("signed")
    class Signed(hf.spectral.AbstractSpectralMap):
        def __call__(self, eigenvalues):
            return eigenvalues

        @property
        def lower_bound(self):
            return jax.numpy.zeros(())

    result = hiflow("signed")
    assert result.exit_code == 1
    assert "broken" in result.output
    assert "positive must mean: values are above 0. (spectrum" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-thing"], "is unknown. `hiflow list`"),
        (["satrating"], "did you mean 'saturating'"),
        (["saturating", "--family", "nope"], "no family 'nope'; there are couplings"),
        (["cosine"], "choose by --family"),
        (["saturating", "kappa"], "as key=value"),
        (["saturating", "kapa=1"], "did you mean 'kappa'"),
        (["permutation", "--event-shape", "[]"], "first axis"),
    ],
)
def test_the_shell_says_what_is_wrong(arguments, message):
    result = hiflow(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
