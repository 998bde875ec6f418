"""Laws of the registries: names, tables, plug-ins, and errors that say what to do."""

import sys
import textwrap

import jax.numpy as jnp
import pytest

import hiflow as hf
from hiflow.registry import families

FAMILIES = families()


@pytest.mark.parametrize(
    ("family", "name"), [(f, n) for f, registry in FAMILIES.items() for n in registry.names()]
)
def test_every_name_loads_a_concrete_class_of_its_family(family, name):
    registry = FAMILIES[family]
    assert issubclass(registry.get(name), registry.base)
    assert registry.origin(name)


def test_a_component_is_given_as_instance_name_or_table():
    instance = hf.spectral.Saturating(kappa=2.0)
    assert hf.spectral.registry.make(instance) is instance
    assert isinstance(hf.spectral.registry.make("constant"), hf.spectral.Constant)
    made = hf.spectral.registry.make({"name": "saturating", "kappa": 2.0})
    assert isinstance(made, hf.spectral.Saturating)
    assert float(made.kappa) == 2.0
    nested = hf.spectral.registry.make(
        {"name": "trace-normalised", "inner": {"name": "absolute", "shift": 3.0}}
    )
    assert isinstance(nested, hf.spectral.TraceNormalised)
    assert isinstance(nested.inner, hf.spectral.Absolute)
    assert float(nested.inner.shift) == 3.0


def test_a_preset_is_named_in_the_table():
    energy = hf.energies.registry.make({"name": "lennard-jones", "preset": "lj13"})
    assert isinstance(energy, hf.energies.LennardJones)
    assert energy.convention == "lj13"


def test_context_fills_in_what_the_table_leaves_out():
    made = hf.priors.registry.make("centred-normal", particles=4, dim=2, unknown=3)
    assert made.event_shape == (4, 2)


def alone(monkeypatch):
    """The registry of spectral maps, which forgets what a test registers."""
    registry = hf.spectral.registry
    for names in ("_registered", "_renamed"):
        monkeypatch.setattr(registry, names, dict(getattr(registry, names)))
    return registry


def test_other_settings_than_a_presets_are_another_energy():
    energy = hf.energies.registry.make({"name": "lennard-jones", "preset": "lj13", "trap": 2.0})
    assert isinstance(energy, hf.energies.LennardJones)
    assert energy.convention is None
    assert (energy.particles, float(energy.epsilon), float(energy.trap)) == (13, 2.0, 2.0)


def test_context_does_not_change_a_preset():
    table = {"name": "double-well-particles", "preset": "dw4"}
    made = hf.energies.registry.make(table, particles=7)
    assert isinstance(made, hf.energies.DoubleWellParticles)
    assert made.convention == "dw4"


def test_a_former_name_works_and_says_the_new_one():
    with pytest.warns(DeprecationWarning, match="'identity' is now called 'constant'"):
        made = hf.spectral.registry.make("identity")
    assert isinstance(made, hf.spectral.Constant)
    assert "identity" not in hf.spectral.registry.names()


def test_a_former_name_is_declared_where_the_class_registers(monkeypatch):
    registry = alone(monkeypatch)

    @registry.register("new", formerly="old")
    class Mine(hf.spectral.AbstractSpectralMap):
        def __call__(self, eigenvalues):
            return eigenvalues

        @property
        def lower_bound(self):
            return jnp.zeros(())

    with pytest.warns(DeprecationWarning, match="'old' is now called 'new'"):
        assert registry.get("old") is Mine


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("langevin", "'langevin' needs 'energy'"),
        ({"name": "linearised", "hessian": "dense"}, "'linearised' needs 'energy'"),
        ({"name": 3}, "whose name isn't a string"),
        ({"hessian": "dense"}, "which has none"),
    ],
)
def test_what_a_table_misses_is_named(value, message):
    with pytest.raises(hf.RegistryError, match=message):
        hf.paths.registry.make(value)


def test_all_missing_arguments_are_named():
    with pytest.raises(hf.RegistryError, match="'egnn' needs 'particles', 'dim', 'key'"):
        hf.networks.registry.make("egnn")


def test_an_unknown_preset_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="got 'lj12'; did you mean 'lj13'"):
        hf.energies.registry.make({"name": "lennard-jones", "preset": "lj12"})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("saturatin", "did you mean 'saturating'"),
        ({"name": "saturating", "kapa": 1.0}, "takes no argument 'kapa'; did you mean 'kappa'"),
        ({"kappa": 1.0}, "a table with a `name`"),
        (3.5, "expected an instance of AbstractSpectralMap"),
    ],
)
def test_errors_name_the_nearest(value, message):
    with pytest.raises(hf.RegistryError, match=message):
        hf.spectral.registry.make(value)


def test_registration_in_this_process_and_its_refusals(monkeypatch):
    registry = alone(monkeypatch)

    @registry.register("mine")
    class Mine(hf.spectral.AbstractSpectralMap):
        def __call__(self, eigenvalues):
            return eigenvalues

        @property
        def lower_bound(self):
            return jnp.zeros(())

    assert registry.get("mine") is Mine
    assert registry.origin("mine") == "this process"
    with pytest.raises(hf.RegistryError, match="already taken"):
        registry.register("absolute")(Mine)
    with pytest.raises(hf.RegistryError, match="already taken"):
        registry.register("identity")(Mine)
    with pytest.raises(hf.RegistryError, match="must be a concrete subclass"):
        registry.register("other")(int)
    with pytest.raises(hf.RegistryError, match="must be a concrete subclass"):
        registry.register("abstract")(hf.spectral.AbstractSpectralMap)


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Distributions on the path, as an installer would leave them: one good, three broken."""
    good = """
        from hiflow.spectral import Constant
        import equinox as eqx
        from hiflow.spectral import AbstractSpectralMap

        class Cubic(AbstractSpectralMap):
            def __call__(self, eigenvalues):
                return abs(eigenvalues) ** 3 + 1

            @property
            def lower_bound(self):
                return Constant().lower_bound
    """
    for package, entry, code in [
        ("good-plugin", "cubic = good_plugin:Cubic", good),
        (
            "missing-plugin",
            "needs-more = missing_plugin:Thing",
            "import a_package_that_is_not_there",
        ),
        ("wrong-plugin", "wrong = wrong_plugin:Thing", "class Thing: pass"),
        ("rival-plugin", "cubic2 = rival_plugin:A\nneeds-more2 = rival_plugin:B", "A = B = int"),
        ("second-plugin", "cubic2 = second_plugin:A", "A = int"),
    ]:
        module = package.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[hiflow.spectral]\n{entry}\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield hf.spectral.registry
    for module in [name for name in sys.modules if name.endswith("_plugin")]:
        del sys.modules[module]


def test_an_entry_point_is_a_component_like_any_other(plugins):
    assert "cubic" in plugins.names()
    assert plugins.origin("cubic") == "good-plugin"
    assert float(plugins.make("cubic").lower_bound) == 1.0
    assert plugins.name_of(plugins.make("cubic")) == "cubic"


def test_listing_loads_no_plugin(plugins):
    plugins.names()
    assert "good_plugin" not in sys.modules


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("needs-more", "missing-plugin, which failed to import: ModuleNotFoundError"),
        ("wrong", "wrong-plugin must be a concrete subclass"),
        ("cubic2", "claimed by rival-plugin and second-plugin"),
    ],
)
def test_a_broken_plugin_is_named_and_hides_nothing(plugins, name, message):
    with pytest.raises(hf.RegistryError, match=message):
        plugins.make(name)
    assert plugins.make("cubic") is not None
    assert plugins.make("constant") is not None


@pytest.mark.parametrize("name", [{"name": "independent"}, ["independent"], 3, None, {}])
def test_a_name_that_is_no_string_is_refused(name):
    with pytest.raises(hf.RegistryError, match=r"whose name isn't a string\. Names: .*independent"):
        hf.couplings.registry.make({"name": name})
    with pytest.raises(hf.RegistryError, match="whose name isn't a string"):
        hf.Training(coupling={"name": name})


@pytest.mark.parametrize("key", ["a seed", 3])
def test_a_key_is_no_number(key):
    with pytest.raises(hf.RegistryError, match="`key` must be a PRNG key, and left out in a file"):
        hf.networks.registry.make({"name": "mlp", "width": 8, "key": key}, shape=(2,))
