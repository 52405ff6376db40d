"""From files to candidates: filters, orderings, duplicates."""

import json

import pytest
import yaml
from pymatgen.core import Lattice, Structure

from superionic.cli.plot import selection_of
from superionic.cli.report import read_scope
from superionic.errors import InputError
from superionic.report.figures.sources import read_sources
from superionic.structures import PrepareSettings, prepare, read_candidates
from superionic.workflows.campaign import selection
from superionic.workflows.campaign.definition import campaign_of, read_campaign
from superionic.workflows.campaign.selection import Selector, select, write_candidates

SITES = [[0, 0, 0], [0.5, 0.5, 0.5]]


def salt(cation, anion, a_A):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a_A), [cation, anion], SITES)


def chosen_of(crystals, ions="Li", **fields):
    """Return the selections of a campaign, one for each ion."""
    return select(
        campaign_of({"flow": "label", "crystals": [crystals], "mobile_species": ions, **fields})
    )


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
    (chosen,) = chosen_of(folder, filters=[{"filter": "elements", "exclude": ["Br"]}])
    assert [c.material_id for c in chosen.candidates] == ["a", "b"]
    assert chosen.duplicates() == {"b": "a"}
    assert chosen.duplicates(finished={"b"}) == {"a": "b"}
    assert chosen.duplicates(finished={"a", "b"}) == {}
    assert (chosen.n_read, chosen.n_without_ion, len(chosen.unreadable)) == (5, 2, 1)
    assert [count for _, count in chosen.removed] == [1]
    assert chosen.lines()[-1].split() == ["1", "candidates"]


def test_every_copy_is_kept_on_request(folder):
    (chosen,) = chosen_of(folder, every_copy=True)
    assert len(chosen.candidates) == 3
    assert chosen.duplicates() == {}


def test_that_no_crystal_holds_the_ion_is_one_error(folder):
    (chosen,) = chosen_of(folder, "Ag")
    assert (chosen.candidates, chosen.n_without_ion, chosen.n_read) == ([], 5, 5)
    assert [error.code for error in chosen.unreadable] == ["unreadable_file", "no_mobile_ion"]
    assert "None of the 5 crystals holds Ag" in str(chosen.unreadable[1])
    assert "5 crystals read, 1 could not be used" in chosen.lines()[-3]
    assert "-5 without the mobile ion" in chosen.lines()[-2]
    # Of several ions, one may be in none.
    silver, lithium = chosen_of(folder, "Ag,Li")
    assert [error.code for error in silver.unreadable] == ["unreadable_file"]
    assert len(lithium.candidates) == 3


def test_crystals_need_not_be_kept(folder):
    """As a submission of many does it, which reads them twice."""
    heard = []
    campaign = campaign_of({"flow": "label", "crystals": [folder]})
    (chosen,) = select(campaign, keep=False, hear=lambda ion, one: heard.append(one.material_id))
    (kept,) = select(campaign)
    assert chosen.candidates == []
    assert chosen.names == kept.names == heard == [one.material_id for one in kept.candidates]
    assert (chosen.first, chosen.duplicates()) == (kept.first, kept.duplicates())
    assert [chosen.names[place] for place in chosen.repeated()] == ["a", "b"]
    assert chosen.duplicates(queued={"b"}) == {"a": "b"}


def test_what_was_passed_over_is_said(folder):
    (folder / "ranking.json").write_text('[{"rank": 1}]')
    (chosen,) = chosen_of(folder)
    assert chosen.noteworthy
    assert chosen.lines()[0].startswith("Passed over: ")
    assert "ranking.json" in chosen.lines()[0]


def test_candidates_of_several_ions_are_written_once(folder, tmp_path):
    out = tmp_path / "out.jsonl"
    write_candidates(chosen_of(folder, "Li,Cl,Na"), out)
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
    together = chosen_of(folder, "Li,Cl,Cd")
    assert (len(read), compared) == (1, [5])
    apart = [chosen_of(folder, ion)[0] for ion in ("Li", "Cl", "Cd")]
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
    names.append([c.material_id for c in select(campaign)[0].candidates])
    submitted = Selector(campaign, maker).candidates(read_candidates(campaign.crystals))
    names.append([c.material_id for c in submitted if not isinstance(c, InputError)])
    names.append([c.material_id for c in read_scope(file, "chgnet").selection.candidates])
    names.append([c.material_id for c in read_sources([file], selection_of).selection().candidates])
    assert all(one == names[0] for one in names), names


def test_written_candidates_carry_all_their_names(folder, tmp_path):
    out = tmp_path / "out.jsonl"
    write_candidates(chosen_of(folder), out)
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

    def ordered(n):
        settings = {"prepare_maker.settings.primitive": False}
        (chosen,) = chosen_of(tmp_path, "O", orderings=n, settings=settings)
        return chosen

    chosen = ordered(5)
    assert [c.material_id for c in chosen.candidates] == ["oxide-o1", "oxide-o2", "oxide-o3"]
    assert chosen.duplicates() == {}
    energies = [c.provenance["ordering_energy_eV"] for c in chosen.candidates]
    assert energies[0] == 0.0 < energies[1] < energies[2]
    two = ordered(2)
    assert [c.material_id for c in two.candidates] == ["oxide-o1", "oxide-o2"]
    one = ordered(1)
    assert [c.material_id for c in one.candidates] == ["oxide"]
    out = tmp_path / "out.jsonl"
    write_candidates([chosen], out)
    for candidate in (*chosen.candidates, *read_candidates([out])):
        assert candidate.provenance["parent_id"] == "oxide"
        assert candidate.structure.composition.formula == "Bi4 O6"
        prepared = prepare(candidate, "O", whole)
        assert "ordered" in {remark.code for remark in prepared.warnings}
