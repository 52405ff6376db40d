"""Keys are for ever: of what 0.1 stored, of fields that come later, of classes that move."""

import dataclasses
from dataclasses import dataclass, field, replace
from importlib import import_module

import pytest
from jobflow import Maker
from pymatgen.core import Lattice, Structure

from superionic.landscape.settings import AdaptiveSettings, LandscapeSettings
from superionic.network.settings import ShakeSettings
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import PrepareSettings
from superionic.workflows import keys
from superionic.workflows.jobs.diffusion import DiffusionMDMaker, _about
from superionic.workflows.jobs.engines.ase import AseEngine
from superionic.workflows.jobs.landscape import LandscapeMaker
from superionic.workflows.jobs.prediction import ShakeMaker
from superionic.workflows.jobs.prepare import PrepareMaker
from superionic.workflows.keys import PARTS, Part, former_keys, key_fields, task_key, versions
from superionic.workflows.makers.label import LabelMaker
from superionic.workflows.makers.predict import PredictMaker
from superionic.workflows.makers.screen import ScreenMaker
from superionic.workflows.makers.validate import ValidateMaker

SALT = Structure(
    Lattice.from_parameters(3.6, 3.6, 3.6, 60, 60, 60), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
CRYSTAL = Candidate("salt", SALT)
SHAKES = PredictMaker(shake_maker=ShakeMaker(settings=ShakeSettings(n_shakes=2)))
EXACT = LandscapeMaker(settings=LandscapeSettings())
# Made by commit 48700e8 (0.1.0). A change here makes every stored result unknown.
GOLDEN = [
    (
        ScreenMaker(landscape_maker=EXACT),
        "6bcee5da630184c786151c9107a0d9a5ba9a9c13195e11edc8042a6c4a106973",
    ),
    (
        ScreenMaker(
            mobile_species="Na",
            potential='ase:ase.calculators.lj.LennardJones?{"sigma": 2.0}',
            relax_maker=None,
            prepare_maker=PrepareMaker(
                settings=PrepareSettings(primitive=False, supercell_min_width_A=8.0)
            ),
            landscape_maker=LandscapeMaker(
                settings=LandscapeSettings(grid_step_A=0.4, adaptive=AdaptiveSettings())
            ),
        ),
        "4b3b7c71660b5e77a42eba9a3ac572d31ac25dc86a292c992b19182e4cb68ed1",
    ),
    (LabelMaker(), "43f4f087de04a0907a84291e40a3e7797eccc5030bdaedf50ccbc6ca0e92fb35"),
    (
        LabelMaker(
            potential="sevennet",
            md_maker=DiffusionMDMaker(temperature=700.0, dynamics="langevin", mb_velocity_seed=3),
        ),
        "da26df5315022fa8ee89d66c343a25b14f1941a30922eed444d52911832b2e69",
    ),
    (ValidateMaker(), "d0859717ca5c1121f2f27d70cb211c22b271c36abee5be5c41842a82c795d8a0"),
    (
        ValidateMaker(
            temperatures_K=(700, 900.0), engine=AseEngine(potential="sevennet", self_check=False)
        ),
        "3e29327f3993224447b2934af4d6008d3763bfccfa4faca0347d1e86cd76b228",
    ),
    (
        ValidateMaker(engine="vasp"),
        "c23e3b548ba54aab026a93463d7db2e80484f7deb8dcd80471e1fe1a494dae38",
    ),
]
SPLIT = ScreenMaker(landscape_maker=replace(EXACT, energies_per_job=2000))
LEARNED_OF_0_2 = "4eaf0076e47f50e34f03d297c2c83ac3d2de055a8d93c2eeb21c75dd41f93e20"
SPLIT_OF_0_1 = "4c5befdc01914c20fe05e12299f4fd467e04de44820c44faa89c6851c2e444d8"


@pytest.mark.parametrize(("maker", "key"), GOLDEN)
def test_keys_are_those_of_0_1(maker, key):
    assert maker.key(CRYSTAL) == key
    assert former_keys(maker, [CRYSTAL]) == {}


def test_keys_of_shakes_and_of_bare_structures_are_those_of_0_1():
    shakes = "f55e097a4365098c82adac358297f089fa15b7286791053de9f041fbc5a18c54"
    assert SHAKES.shakes_key(CRYSTAL) == shakes
    run = "1dbf55eebd168d14ee8df19444002994eb3cfa30f4b9c569999e4bdc755b652f"
    assert _about(SALT, None, DiffusionMDMaker(potential="chgnet"))["task_key"] == run


def test_how_work_is_divided_is_not_in_the_key_and_0_1_is_found():
    exact = ScreenMaker(landscape_maker=EXACT).key(CRYSTAL)
    assert SPLIT.key(CRYSTAL) == exact
    assert former_keys(SPLIT, [CRYSTAL]) == {SPLIT_OF_0_1: exact}


def test_what_is_learned_has_a_key_of_its_own_and_may_be_answered_by_every_point():
    exact, usual = ScreenMaker(landscape_maker=EXACT), ScreenMaker()
    fewer = usual.with_options(max_energies=50)
    assert usual.key(CRYSTAL) == LEARNED_OF_0_2
    assert len({maker.key(CRYSTAL) for maker in (exact, usual, fewer)}) == 3
    for maker in (usual, fewer):
        assert maker.answering().key(CRYSTAL) == exact.key(CRYSTAL)
    assert usual.with_options(step_A=0.3).answering().key(CRYSTAL) != exact.key(CRYSTAL)
    assert exact.answering() is None


def nested(value):
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield type(value)
        for one in dataclasses.fields(value):
            yield from nested(getattr(value, one.name))


def test_every_class_in_a_key_has_a_name_that_lasts():
    makers = [maker for maker, _ in GOLDEN] + [SHAKES, ScreenMaker()]
    makers.append(DiffusionMDMaker().md_settings())
    found = {f"{kind.__module__}.{kind.__qualname__}" for maker in makers for kind in nested(maker)}
    assert found <= set(PARTS)
    assert len({part.name for part in PARTS.values()}) == len(PARTS)
    for path, part in PARTS.items():
        module, _, name = path.rpartition(".")
        known = {one.name for one in dataclasses.fields(getattr(import_module(module), name))}
        assert known >= {*part.later, *part.no_numbers}, path


@dataclass
class FormerSettings:
    step_A: float = 0.2
    n_jobs: int = 1


@dataclass
class FormerMaker(Maker):
    name: str = "former"
    settings: FormerSettings = field(default_factory=FormerSettings)


@dataclass
class LaterSettings:
    """The same after years: renamed, a new field, another order."""

    method: str = "exact"
    n_jobs: int = 1
    step_A: float = 0.2


@dataclass
class LaterMaker(Maker):
    name: str = "later"
    settings: LaterSettings = field(default_factory=LaterSettings)


def known(monkeypatch, **settings):
    here = __name__
    parts = {f"{here}.FormerMaker": Part("Thing", f"{here}.FormerMaker")}
    parts[f"{here}.LaterMaker"] = Part("Thing", f"{here}.LaterMaker")
    for name, options in (("FormerSettings", {}), ("LaterSettings", settings)):
        parts[f"{here}.{name}"] = Part("ThingSettings", f"{here}.{name}", **options)
    monkeypatch.setattr(keys, "PARTS", parts)


def test_a_class_may_be_renamed_and_grow(monkeypatch):
    known(monkeypatch, later={"method": "exact"}, no_numbers={"n_jobs": 1})
    key = task_key("a", "b", FormerMaker())
    assert task_key("a", "b", LaterMaker()) == key
    assert task_key("a", "b", LaterMaker(settings=LaterSettings(n_jobs=7))) == key
    assert task_key("a", "b", LaterMaker(settings=LaterSettings(method="fast"))) != key
    assert task_key("a", "b", LaterMaker(settings=LaterSettings(step_A=0.3))) != key
    assert key_fields(LaterSettings(n_jobs=7)) == {"step_A": 0.2, "n_jobs": 1}


def test_a_field_that_is_not_named_as_later_changes_keys(monkeypatch):
    known(monkeypatch)
    assert task_key("a", "b", LaterMaker()) != task_key("a", "b", FormerMaker())


def test_other_numbers_from_the_same_settings_are_another_version(monkeypatch):
    known(monkeypatch, later={"method": "exact"}, version=2)
    assert task_key("a", "b", LaterMaker()) != task_key("a", "b", FormerMaker())
    assert versions(LaterMaker()) == {"Thing": 1, "ThingSettings": 2}


def test_a_subclass_of_a_user_is_other_work():
    @dataclass
    class OwnLandscapeMaker(LandscapeMaker):
        pass

    own = ScreenMaker(landscape_maker=OwnLandscapeMaker())
    assert own.key(CRYSTAL) != ScreenMaker().key(CRYSTAL)
