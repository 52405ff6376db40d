"""What a file or a queued job may let run: only what the site allows, and no checkpoint's code."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch
from ase.build import bulk

from superionic.errors import PotentialError, PotentialNotAllowedError, SettingsError
from superionic.potentials import registry
from superionic.potentials.registry import identify_potential, load_potential
from superionic.potentials.trust import only_allowed
from superionic.settings import get_settings
from superionic.workflows.campaign.definition import read_campaign

LJ = "ase:ase.calculators.lj.LennardJones"


@pytest.fixture
def allow(monkeypatch):
    def set_modules(*modules):
        monkeypatch.setenv("SUPERIONIC_CALCULATORS", ",".join(modules))
        get_settings.cache_clear()

    set_modules()
    yield set_modules
    get_settings.cache_clear()


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module whose import, function and class each leave a trace."""
    source = f"""
from pathlib import Path
from ase.calculators.lj import LennardJones
TRACE = Path({str(tmp_path)!r})
(TRACE / "imported").touch()
class Mine(LennardJones):
    pass
class Other:
    def __init__(self):
        (TRACE / "other").touch()
class Foreign:
    def get_property(self, name, atoms):
        return getattr(self, "get_" + name)(atoms)
    def get_potential_energy(self, atoms):
        return -float(len(atoms))
    def get_forces(self, atoms):
        return 0 * atoms.positions
def build():
    return LennardJones()
def build_foreign():
    return Foreign()
def build_other():
    return Other()
"""
    (tmp_path / "own_potential_here.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("own_potential_here", None)


def spec_of(command: Path) -> str:
    return f"ase:os.system?{json.dumps({'command': f'touch {command}'})}"


@pytest.mark.parametrize(
    "name", ["own_potential_here.Mine", "own_potential_here.build", "own_potential_here.Other"]
)
def test_a_job_runs_no_code_that_the_site_does_not_name(own_module, allow, name):
    with only_allowed():
        for ask in (load_potential, identify_potential):
            with pytest.raises(PotentialNotAllowedError, match="SUPERIONIC_CALCULATORS=own_poten"):
                ask(f"ase:{name}")
    assert not (own_module / "imported").exists()


def test_what_the_site_names_runs_and_what_the_user_names_runs(own_module, allow):
    assert load_potential("ase:own_potential_here.build", check=False)
    allow("own_potential_here")
    with only_allowed():
        assert load_potential("ase:own_potential_here.Mine", check=False)
        assert load_potential("ase:own_potential_here.build", check=False)
    allow("own_potential_here.Mine")
    with only_allowed(), pytest.raises(PotentialNotAllowedError):
        load_potential("ase:own_potential_here.build", check=False)


def test_a_class_that_is_no_calculator_is_not_made(own_module, allow):
    with pytest.raises(PotentialError, match="gives a Other, not an ASE calculator"):
        load_potential("ase:own_potential_here.Other", check=False)
    assert not (own_module / "other").exists()


def test_what_a_function_returns_is_a_calculator_by_what_it_does(own_module, allow):
    """GPAW of 2026 returns a calculator that is no subclass of ASE's."""
    potential = load_potential("ase:own_potential_here.build_foreign", check=False)
    assert potential.energies([bulk("Cu")]).tolist() == [-1.0]
    with pytest.raises(PotentialError, match="gives a Other, not an ASE calculator"):
        load_potential("ase:own_potential_here.build_other", check=False)


def test_known_calculators_run_with_plain_settings_only(tmp_path, allow):
    with only_allowed():
        assert load_potential(LJ + '?{"sigma": 1.9}', check=False)
        for name in ("os.system", "ase.build.bulk", "ase.calculators.cp2k.CP2K"):
            with pytest.raises(PotentialNotAllowedError):
                load_potential(f"ase:{name}", check=False)
        for value in (str(tmp_path), "https://example.org/weights", {"deep": ["../weights.pt"]}):
            settings = json.dumps({"weights": value})
            with pytest.raises(PotentialNotAllowedError, match="name a file or an address"):
                load_potential(f"ase:mace.calculators.mace_mp?{settings}", check=False)


def test_a_function_of_a_known_module_is_no_calculator(allow):
    with only_allowed(), pytest.raises(PotentialNotAllowedError, match="no class"):
        load_potential("ase:ase.calculators.lj.cutoff_function", check=False)


@pytest.mark.parametrize("field", ["potential", "engine.potential"])
def test_a_campaign_file_runs_nothing(tmp_path, allow, field):
    trace = tmp_path / "trace"
    fields = {"flow": "validate", "crystals": ["a.cif"]}
    spec = spec_of(trace)
    fields |= {"potential": spec} if field == "potential" else {"settings": {field: spec}}
    path = tmp_path / "campaign.yaml"
    path.write_text(json.dumps(fields))
    with pytest.raises(PotentialNotAllowedError, match=r"os\.system"):
        read_campaign(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"md_maker.force_field_name": {"@module": "os", "@callable": "system"}},
        {"md_maker.calculator_kwargs": {"model": "/somewhere/model.pt"}},
        {"engine.custodian": {"vasp_cmd": "touch trace"}},
        {"engine.custodian.vasp_cmd": "touch trace"},
    ],
)
def test_a_campaign_file_names_no_program_and_no_callable(tmp_path, allow, settings):
    path = tmp_path / "campaign.yaml"
    path.write_text(json.dumps({"flow": "label", "crystals": ["a"], "settings": settings}))
    with pytest.raises(SettingsError, match="names code or a program"):
        read_campaign(path)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("family", ["chgnet", "sevennet"])
def test_a_checkpoint_runs_no_code(tmp_path, family):
    checkpoint, trace = tmp_path / "weights.pth", tmp_path / "trace"
    content = {"model": Bomb(trace), "config": Bomb(trace), "model_state_dict": {}}
    torch.save(content, checkpoint)
    with pytest.raises(PotentialError, match=r"run code.*system.*torch\.save"):
        load_potential(f"{family}:{checkpoint}", check=False)
    assert not trace.exists()


@pytest.mark.parametrize("where", ["model.json", "model.pt"])
def test_a_matgl_folder_names_no_foreign_class(tmp_path, where):
    trace = tmp_path / "trace"
    call = {"@module": "os", "@class": "system", "init_args": {"command": f"touch {trace}"}}
    own = {"@module": "matgl.apps.pes", "@class": "Potential", "@version": 4}
    (tmp_path / "model.json").write_text(json.dumps(call if where == "model.json" else own))
    torch.save({"model": call} if where == "model.pt" else {}, tmp_path / "model.pt")
    torch.save({}, tmp_path / "state.pt")
    with pytest.raises(PotentialError, match="code of the module 'os'"):
        load_potential(f"matgl:{tmp_path}", check=False)
    assert not trace.exists()


def test_the_checkpoints_of_the_packages_hold_no_code():
    import chgnet
    import sevenn._const

    (checkpoint,) = (Path(chgnet.__file__).parent / "pretrained" / "0.3.0").glob("*.tar")
    weights = load_potential("chgnet", check=False).info.weights_sha256
    assert load_potential(f"chgnet:{checkpoint}", check=False).info.weights_sha256 == weights
    path = sevenn._const.SEVENNET_0_11Jul2024
    weights = load_potential("sevennet", check=False).info.weights_sha256
    assert load_potential(f"sevennet:{path}", check=False).info.weights_sha256 == weights


def test_settings_of_calculators_may_be_a_list_in_the_environment(allow):
    allow("one", " two.three")
    assert get_settings().calculators == ("one", "two.three")


def test_a_queue_is_not_let_in_by_what_was_loaded_before(own_module, allow):
    registry.load_potential("ase:own_potential_here.Mine", check=False)
    with only_allowed(), pytest.raises(PotentialNotAllowedError):
        load_potential("ase:own_potential_here.Mine", check=False)
