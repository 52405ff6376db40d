"""From files to candidates: filters, orderings, duplicates."""

import json

import pytest
from pymatgen.core import Lattice, Structure

from superionic.campaign.selection import SelectionSettings, select, write_candidates
from superionic.structures import PrepareSettings, prepare, read_candidates
from superionic.structures.filters import parse_filters

SITES = [[0, 0, 0], [0.5, 0.5, 0.5]]


def salt(cation, anion, a_A):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a_A), [cation, anion], SITES)


@pytest.fixture
def folder(tmp_path):
    crystals = {
        "a": salt("Li", "Cl", 5.1),
        "b": salt("Li", "Cl", 5.1) * (2, 1, 1),
        "c": salt("Li", "Br", 5.5),
        "d": salt("Na", "Cl", 5.6),
        "e": salt("Cd", "O", 4.7),
    }
    for name, structure in crystals.items():
        structure.to(filename=str(tmp_path / f"{name}.cif"))
    (tmp_path / "f.cif").write_text("nothing")
    return tmp_path


def test_every_crystal_is_accounted_for(folder):
    filters = tuple(parse_filters([{"filter": "elements", "exclude": ["Br"]}]))
    settings = SelectionSettings(filters=filters, skip_without_ion=True)
    chosen = select([folder], "Li", PrepareSettings(), settings)
    assert [c.material_id for c in chosen.candidates] == ["a", "b"]
    assert chosen.duplicates() == {"b": "a"}
    assert chosen.duplicates(finished={"b"}) == {"a": "b"}
    assert chosen.duplicates(finished={"a", "b"}) == {}
    assert (chosen.n_read, chosen.n_without_ion, len(chosen.unreadable)) == (5, 2, 1)
    assert [count for _, count in chosen.removed] == [1]
    assert chosen.lines()[-1].split() == ["1", "candidates"]


def test_every_copy_is_kept_on_request(folder):
    chosen = select([folder], "Li", PrepareSettings(), SelectionSettings(duplicates=None))
    assert len(chosen.candidates) == 5
    assert chosen.duplicates() == {}


def test_written_candidates_carry_all_their_names(folder, tmp_path):
    out = tmp_path / "out.jsonl"
    settings = SelectionSettings(skip_without_ion=True)
    write_candidates(select([folder], "Li", PrepareSettings(), settings), out)
    again = {c.material_id: c for c in read_candidates([out])}
    assert set(again) == {"a", "c"}
    assert again["a"].provenance["aliases"] == "b"
    assert "aliases" not in again["c"].provenance
    assert len(out.read_text().splitlines()) == 2


def test_a_disordered_crystal_gives_several_candidates(tmp_path):
    # Fluorite with two of eight oxygen sites empty: along <100>, <110> or <111>, nothing else.
    oxide = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.66), ["Bi", {"O": 0.75}], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    (tmp_path / "oxide.json").write_text(json.dumps(oxide.as_dict()))
    whole = PrepareSettings(primitive=False)
    chosen = select([tmp_path], "O", whole, SelectionSettings(n_orderings=5))
    assert [c.material_id for c in chosen.candidates] == ["oxide-o1", "oxide-o2", "oxide-o3"]
    assert chosen.duplicates() == {}
    energies = [c.provenance["ordering_energy_eV"] for c in chosen.candidates]
    assert energies[0] == 0.0 < energies[1] < energies[2]
    two = select([tmp_path], "O", whole, SelectionSettings(n_orderings=2))
    assert [c.material_id for c in two.candidates] == ["oxide-o1", "oxide-o2"]
    one = select([tmp_path], "O", whole, SelectionSettings(n_orderings=1))
    assert [c.material_id for c in one.candidates] == ["oxide"]
    out = tmp_path / "out.jsonl"
    write_candidates(chosen, out)
    for candidate in (*chosen.candidates, *read_candidates([out])):
        assert candidate.provenance["parent_id"] == "oxide"
        assert candidate.structure.composition.formula == "Bi4 O6"
        prepared = prepare(candidate, "O", whole)
        assert "ordered" in {remark.code for remark in prepared.warnings}
