"""Potentials by name: what is accepted, what is refused and with which words."""

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.lj import LennardJones

from superionic.errors import PotentialError, PotentialNotFoundError
from superionic.potentials import identities, registry
from superionic.potentials.base import PotentialInfo, package_version, same_release
from superionic.potentials.identities import files_of, known_identity
from superionic.potentials.registry import (
    MODELS,
    diagnose_models,
    diagnose_potentials,
    load_potential,
    models_here,
    parse_spec,
)
from superionic.potentials.selfcheck import distorted, reference_crystals
from superionic.settings import get_settings

LJ = "ase:ase.calculators.lj.LennardJones"


def test_short_names_mean_the_weights_of_the_package():
    assert parse_spec("chgnet") == parse_spec("chgnet:0.3.0")
    assert parse_spec("sevennet") == parse_spec("sevennet:7net-0")


def test_the_order_of_settings_does_not_matter():
    one = parse_spec(LJ + '?{"sigma": 2.0, "epsilon": 0.1}')
    assert one == parse_spec(LJ + '?{"epsilon":0.1,"sigma":2.0}')
    assert one.settings == {"sigma": 2.0, "epsilon": 0.1}


def test_paths_are_made_absolute(tmp_path, monkeypatch):
    (tmp_path / "weights.pth").touch()
    monkeypatch.chdir(tmp_path)
    assert parse_spec("sevennet:weights.pth").name == str(tmp_path.resolve() / "weights.pth")


@pytest.mark.parametrize(
    ("spec", "kind", "words"),
    [
        ("mace", PotentialNotFoundError, "Families are chgnet, sevennet, matgl, ase"),
        ("", PotentialNotFoundError, "Families are"),
        ("matgl", PotentialNotFoundError, "matgl:NAME or matgl:PATH"),
        ("ase:", PotentialNotFoundError, "ase:NAME"),
        ("chgnet:9.9", PotentialNotFoundError, "Known models: 0.3.0, 0.2.0, r2scan, oam"),
        ("chgnet:/nowhere/a.pth", PotentialNotFoundError, "/nowhere/a.pth"),
        ("sevennet:/nowhere/a.pth", PotentialNotFoundError, "/nowhere/a.pth.*7net-0"),
        ("matgl:/nowhere/a", PotentialNotFoundError, "/nowhere/a is not a folder"),
        ("ase:no.such.module.Calculator", PotentialNotFoundError, "No module named 'no'"),
        ("ase:ase.calculators.lj.Nothing", PotentialNotFoundError, "Nothing"),
        ("ase:Calculator", PotentialNotFoundError, "ase:package.module.Calculator"),
        ("ase:ase.units.kB", PotentialNotFoundError, "not a class or a function"),
        ('ase:ase.build.bulk?{"name":"Cu"}', PotentialError, "gives a Atoms, not an ASE"),
        (LJ + "?{sigma}", PotentialError, "is not a JSON object"),
        (LJ + "?[1]", PotentialError, "is not a JSON object"),
        ('chgnet?{"sigma":1}', PotentialError, "does not take: sigma"),
        ('sevennet:7net-0?{"modal":"PBE"}', PotentialError, "has no fidelities"),
        ("sevennet:7net-mf-0", PotentialError, "has the fidelities .*PBE"),
    ],
)
def test_a_wrong_name_is_refused_with_what_to_write_instead(spec, kind, words):
    with pytest.raises(kind, match=words) as caught:
        load_potential(spec, check=False)
    assert caught.value.hint


@pytest.mark.parametrize("family", ["sevennet", "matgl"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(family, monkeypatch):
    find_spec = registry.importlib.util.find_spec
    package = registry.FAMILIES[family].package
    monkeypatch.setattr(
        registry.importlib.util,
        "find_spec",
        lambda name: None if name == package else find_spec(name),
    )
    registry._load.cache_clear()
    with pytest.raises(PotentialNotFoundError, match=r"not\s+installed") as caught:
        load_potential(f"{family}:any-model", check=False)
    assert f'pip install "superionic[{family}]"' in str(caught.value)


def test_a_checkpoint_that_was_cut_off_is_named(tmp_path):
    import sevenn._const

    whole = Path(sevenn._const.SEVENNET_0_11Jul2024).read_bytes()
    cut = tmp_path / "cut.pth"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PotentialError, match=r"cut\.pth is not a SevenNet checkpoint"):
        load_potential(f"sevennet:{cut}", check=False)
    with pytest.raises(PotentialError, match=r"cut\.pth is not a CHGNet checkpoint"):
        load_potential(f"chgnet:{cut}", check=False)


def test_a_broken_matgl_folder_is_named(tmp_path):
    for name in ("model.json", "model.pt", "state.pt"):
        (tmp_path / name).write_text("{")
    with pytest.raises(PotentialError, match="cannot be read as a matgl model"):
        load_potential(f"matgl:{tmp_path}", check=False)


def test_a_potential_is_loaded_once():
    assert load_potential("chgnet", check=False) is load_potential("chgnet:0.3.0", check=False)
    assert load_potential(LJ, check=False) is not load_potential(LJ + '?{"sigma":2.0}', check=False)


def test_an_ase_calculator_is_used_with_its_settings():
    crystals = [distorted(atoms, seed=0) for atoms in reference_crystals().values()]
    potential = load_potential(LJ + '?{"sigma": 1.7, "rc": 6.0}')
    energies, forces = potential.energies_and_forces(crystals)
    for atoms, energy, force in zip(crystals, energies, forces, strict=True):
        atoms.calc = LennardJones(sigma=1.7, rc=6.0)
        assert energy == pytest.approx(atoms.get_potential_energy())
        np.testing.assert_allclose(force, atoms.get_forces())
    assert potential.info.package_version.startswith("ase 3.")


def test_a_setting_may_be_a_whole_input_file(tmp_path, monkeypatch):
    """The input of a program is no name of a file, and far too long for one."""
    (tmp_path / "with_input.py").write_text(
        "from ase.calculators.lj import LennardJones\ndef build(inp):\n    return LennardJones()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "&FORCE_EVAL\n" * 500
    specs = [f"ase:with_input.build?{json.dumps({'inp': one})}" for one in (text, text + " ")]
    hashes = {load_potential(spec, check=False).info.weights_sha256 for spec in specs}
    assert len(hashes) == 2


def test_an_ase_calculator_is_checked_and_has_a_landscape_without_torch():
    """Loading torch, or all of ase.build and scipy.stats, takes longer than a small landscape."""
    code = (
        "import sys, superionic as si\n"
        "from superionic.potentials.registry import load_potential\n"
        "from superionic.potentials.selfcheck import reference_crystals, self_check\n"
        "spec = 'ase:ase.calculators.lj.LennardJones?{%ssigma%s: 2.0}'.replace('%s', chr(34))\n"
        "potential = load_potential(spec)\n"
        "assert self_check(potential)\n"
        "potential.energies_and_forces(list(reference_crystals().values()))\n"
        "import superionic.landscape.landscape\n"
        "heavy = ('torch', 'scipy.stats', 'ase.build', 'matplotlib')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert result.stdout.strip() == "[]"


def test_the_hash_of_an_ase_calculator_follows_code_settings_and_weights(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    weights = tmp_path / "weights.bin"

    def fingerprint(source, sigma):
        (tmp_path / "my_calculator.py").write_text(source)
        sys.modules.pop("my_calculator", None)
        registry._load.cache_clear()
        settings = json.dumps({"weights": str(weights), "sigma": sigma})
        spec = f"ase:my_calculator.build?{settings}"
        return load_potential(spec, check=False).info.weights_sha256

    source = textwrap.dedent(
        """
        from ase.calculators.lj import LennardJones

        def build(weights, sigma):
            return LennardJones(sigma=sigma)
        """
    )
    weights.write_bytes(b"1")
    first = fingerprint(source, 2.0)
    assert fingerprint(source, 2.0) == first
    assert fingerprint(source, 2.1) != first
    assert fingerprint(source + "\n# changed\n", 2.0) != first
    weights.write_bytes(b"2")
    assert fingerprint(source, 2.0) != first


def test_an_ase_calculator_that_fails_says_on_what():
    potential = load_potential("ase:ase.calculators.emt.EMT", check=False)
    with pytest.raises(PotentialError, match=r"EMT failed on ClNa .*NotImplementedError"):
        potential.energies([reference_crystals()["NaCl"]])


@pytest.mark.real_potential
def test_the_doctor_says_what_works_and_what_does_not():
    works, fails = diagnose_potentials(["chgnet", "chgnet:9.9"])
    assert works.ok
    assert "PBE+MP2020" in works.text
    assert not fails.ok
    assert fails.subject == "potential chgnet:9.9"
    assert "Known models" in fails.hint


def test_the_registry_is_light_to_import():
    code = (
        "import sys, superionic.potentials.registry;"
        "print([m for m in ('torch', 'chgnet', 'sevenn', 'matgl', 'pymatgen') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert result.stdout.strip() == "[]"


def test_the_hash_of_an_ase_calculator_follows_folders_and_nested_files(tmp_path, monkeypatch):
    """Nor is it another one for what it writes, or for names that are no files."""
    source = "from ase.calculators.lj import LennardJones\ndef build(**kw): return LennardJones()\n"
    (tmp_path / "of_folders.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    model = tmp_path / "model" / "deep"
    model.mkdir(parents=True)
    nested = tmp_path / "nested.bin"
    settings = {"model": str(tmp_path / "model"), "parts": [{"file": str(nested)}], "label": "x"}
    spec = f"ase:of_folders.build?{json.dumps(settings)}"

    def fingerprint():
        registry._identify.cache_clear()
        return registry.identify_potential(spec).weights_sha256

    hashes = [fingerprint()]
    (model / "weights").write_bytes(b"1")
    hashes.append(fingerprint())
    (model / "weights").write_bytes(b"2")
    hashes.append(fingerprint())
    (model / "weights").rename(model / "others")
    hashes.append(fingerprint())
    nested.write_bytes(b"1")
    hashes.append(fingerprint())
    nested.write_bytes(b"2")
    hashes.append(fingerprint())
    assert len(set(hashes)) == len(hashes)
    (tmp_path / "model" / "__pycache__").mkdir()
    (tmp_path / "model" / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert fingerprint() == hashes[-1]
    assert load_potential(spec, check=False).info.weights_sha256 == hashes[-1]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("matgl 4.1.2", "matgl 4.0", True),
        ("matgl 4.1.2", "matgl 3.9", False),
        ("chgnet 0.4.2", "chgnet 0.4.0", True),
        ("chgnet 0.4.2", "chgnet 0.3.8", False),
        ("mace unknown", "mace-torch 0.3.13", True),
        ("sevenn 0.13.0", "sevenn 0.13.0+local", True),
    ],
)
def test_releases_are_compared_as_far_as_conventions_may_change(one, other, same):
    assert same_release(one, other) is same
    assert same_release(other, one) is same


def test_an_identity_is_known_again_until_a_file_changes(tmp_path, monkeypatch):
    checkpoint = tmp_path / "model.pt"
    checkpoint.write_bytes(b"parameters")
    loads = []

    def load():
        loads.append(1)
        return PotentialInfo("chgnet", str(checkpoint), "chgnet 0.4.2", f"hash {len(loads)}")

    def asked():
        files = files_of(str(checkpoint), "chgnet", "")
        return known_identity(f"chgnet:{checkpoint}", "chgnet", files, load).weights_sha256

    assert [asked(), asked()] == ["hash 1", "hash 1"]
    checkpoint.write_bytes(b"other parameters")
    assert [asked(), asked()] == ["hash 2", "hash 2"]
    kept = sorted((get_settings().cache_dir / "identities").iterdir())
    for path in kept:
        path.write_text("no identity")
    assert asked() == "hash 3"
    monkeypatch.setattr(identities, "package_version", lambda package: f"{package} 9")
    assert asked() == "hash 4"
    assert files_of("no such model", "chgnet", "") == []
    assert [path.suffix for path in files_of("0.3.0", "chgnet", "pretrained/0.3.0")]


@pytest.mark.real_potential
def test_the_identity_that_is_known_again_is_that_of_the_loaded_potential():
    first = registry.identify_potential("chgnet")
    assert registry.identify_potential("chgnet") == first == load_potential("chgnet").info


def test_specifications_are_canonical_and_each_is_there_once():
    assert [str(parse_spec(one.spec)).replace(" ", "") for one in MODELS] == [
        one.spec for one in MODELS
    ]
    assert len({one.spec for one in MODELS}) == len(MODELS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.spec)
def test_a_model_that_is_named_is_there(model):
    """Its weights lie in the package: nothing is downloaded."""
    if importlib.util.find_spec(model.package) is None:
        pytest.skip(f"{model.package} is not installed")
    assert load_potential(model.spec, check=False).info.weights_sha256


def test_the_doctor_names_them_and_leaves_out_what_is_not_installed(monkeypatch):
    assert MODELS[0] in models_here()
    finding = diagnose_models()
    assert finding.ok is None
    assert "chgnet:r2scan" in finding.text
    found = importlib.util.find_spec

    def without(name, *arguments):
        return None if name == "sevenn" else found(name, *arguments)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    assert "sevennet" not in diagnose_models().text


def test_the_version_is_that_of_the_package_that_has_the_module(tmp_path, monkeypatch):
    assert package_version("numpy") == f"numpy {version('numpy')}"
    assert package_version("yaml") == f"PyYAML {version('PyYAML')}"
    assert package_version("dateutil") == f"python-dateutil {version('python-dateutil')}"
    (tmp_path / "module_of_mine.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert package_version("module_of_mine") == "module_of_mine unknown"
