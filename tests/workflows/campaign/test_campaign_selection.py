"""From files to candidates: filters, orderings, duplicates."""

import json

import pytest
import yaml
from pymatgen.core import Lattice, Structure

from superionic.cluster.same import candidates_of
from superionic.errors import InputError
from superionic.report.figures.sources import read_sources
from superionic.report.html.scope import read_scope
from superionic.structures import PrepareSettings, prepare, read_candidates
from superionic.structures.filters import parse_filters
from superionic.workflows.campaign import selection
from superionic.workflows.campaign.definition import read_campaign
from superionic.workflows.campaign.selection import (
    SelectionSettings,
    select,
    select_campaign,
    select_ions,
    write_candidates,
)

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
    settings = SelectionSettings(filters=filters)
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
    assert len(chosen.candidates) == 3
    assert chosen.duplicates() == {}


def test_crystals_without_the_ion_are_candidates_only_where_none_holds_it(folder):
    """Then each says why it cannot be computed."""
    chosen = select([folder], "Ag", PrepareSettings())
    assert (len(chosen.candidates), chosen.n_without_ion) == (5, 0)


def test_what_was_passed_over_is_said(folder):
    (folder / "ranking.json").write_text('[{"rank": 1}]')
    chosen = select([folder], "Li", PrepareSettings())
    assert chosen.noteworthy
    assert chosen.lines()[0].startswith("Passed over: ")
    assert "ranking.json" in chosen.lines()[0]


def test_candidates_of_several_ions_are_written_once(folder, tmp_path):
    out = tmp_path / "out.jsonl"
    write_candidates(select_ions([folder], ["Li", "Cl", "Na"], PrepareSettings()), out)
    names = [json.loads(line)["material_id"] for line in out.read_text().splitlines()]
    assert names == ["a", "c", "d"]
    assert json.loads(out.read_text().splitlines()[0])["aliases"] == "b"


def test_several_ions_read_and_compare_each_crystal_once(folder, monkeypatch):
    read, compared = [], []
    original = selection.each_candidate
    monkeypatch.setattr(selection, "each_candidate", lambda *p: read.append(p) or original(*p))
    count = selection.find_duplicates
    monkeypatch.setattr(
        selection,
        "find_duplicates",
        lambda s, *a, **k: compared.append(len(s)) or count(s, *a, **k),
    )
    together = select_ions([folder], ["Li", "Cl", "Cd"], PrepareSettings())
    assert (len(read), compared) == (1, [5])
    apart = [select([folder], ion, PrepareSettings()) for ion in ("Li", "Cl", "Cd")]
    for one, other in zip(together, apart, strict=True):
        assert [c.material_id for c in one.candidates] == [c.material_id for c in other.candidates]
        assert (one.first, one.n_without_ion) == (other.first, other.n_without_ion)
    assert [len(one.unreadable) for one in together] == [1, 0, 0]


def test_all_who_ask_about_a_campaign_file_select_the_same(folder, tmp_path):
    """The campaign, its submission, its report and its figure; each by the Maker's preparation."""
    oxide = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.66), ["Bi", {"O": 0.75}], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    (folder / "oxide.json").write_text(json.dumps(oxide.as_dict()))
    file = tmp_path / "campaign.yaml"
    content = {
        "crystals": ["."],
        "mobile_species": "O",
        "potential": "ase:ase.calculators.emt.EMT",
        "orderings": 2,
        "settings": {"prepare_maker.settings.primitive": False},
        "filters": [{"filter": "elements", "exclude": ["Cd"]}],
    }
    file.write_text(yaml.safe_dump(content))
    campaign = read_campaign(file)
    maker = campaign.maker("chgnet")
    names = [["oxide-o1", "oxide-o2"]]
    names.append([c.material_id for c in select_campaign(campaign, maker).candidates])
    submitted = [c for c in candidates_of(campaign, maker) if not isinstance(c, InputError)]
    names.append([c.material_id for c in submitted])
    names.append([c.material_id for c in read_scope(file, "chgnet").selection.candidates])
    names.append([c.material_id for c in read_sources([file]).selection().candidates])
    assert all(one == names[0] for one in names), names


def test_written_candidates_carry_all_their_names(folder, tmp_path):
    out = tmp_path / "out.jsonl"
    write_candidates([select([folder], "Li", PrepareSettings())], out)
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
    write_candidates([chosen], out)
    for candidate in (*chosen.candidates, *read_candidates([out])):
        assert candidate.provenance["parent_id"] == "oxide"
        assert candidate.structure.composition.formula == "Bi4 O6"
        prepared = prepare(candidate, "O", whole)
        assert "ordered" in {remark.code for remark in prepared.warnings}
