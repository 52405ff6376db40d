"""JSON of the databases that people use, each by the keys under which its crystals lie."""

import bz2
import json
import lzma

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.cif import CifWriter

from superionic.errors import InputError, NoCrystalsError
from superionic.structures import Candidate, read_candidates, structure_hash

SALT = Structure(Lattice.cubic(3.15), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
IODIDE = Structure(Lattice.cubic(3.6), ["Li", "I"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def optimade(structure, name):
    symbols = [site.specie.symbol for site in structure]
    return {
        "id": name,
        "type": "structures",
        "attributes": {
            "lattice_vectors": structure.lattice.matrix.tolist(),
            "species_at_sites": symbols,
            "species": [
                {"name": s, "chemical_symbols": [s], "concentration": [1.0]} for s in set(symbols)
            ],
            "cartesian_site_positions": structure.cart_coords.tolist(),
            "_alexandria_band_gap": 2.5,
        },
    }


def jarvis(structure, name, *, cartesian):
    coords = structure.cart_coords if cartesian else structure.frac_coords
    return {
        "jid": name,
        "optb88vdw_bandgap": 6.4,
        "atoms": {
            "lattice_mat": structure.lattice.matrix.tolist(),
            "coords": coords.tolist(),
            "elements": [f"{site.specie.symbol} " for site in structure],
            "cartesian": cartesian,
        },
    }


def entry(structure, **keys):
    return json.loads(json.dumps(ComputedStructureEntry(structure, -7.0, **keys).as_dict()))


def mpid(text):
    return {"@module": "emmet.core.mpid", "@class": "MPID", "string": text}


SALTS, IODIDES = SALT.as_dict(), IODIDE.as_dict()
FILES = {
    "computed entry": (entry(SALT, entry_id="mp-1-GGA"), ["mp-1-GGA"]),
    "Alexandria": (
        {
            "entries": [
                entry(SALT, data={"mat_id": "agm1", "e_above_hull": 0.01}),
                entry(IODIDE, data={"mat_id": "agm2"}),
            ]
        },
        ["agm1", "agm2"],
    ),
    "OPTIMADE": (
        {"data": [optimade(SALT, "x-1"), optimade(IODIDE, "x-2")], "meta": {}},
        ["x-1", "x-2"],
    ),
    "one of OPTIMADE": (optimade(SALT, "x-1"), ["x-1"]),
    "JARVIS": (
        [jarvis(SALT, "JVASP-1", cartesian=False), jarvis(IODIDE, "JVASP-2", cartesian=True)],
        ["JVASP-1", "JVASP-2"],
    ),
    "objects by identifier": ({"mp-1": SALTS, "mp-2": IODIDES}, ["mp-1", "mp-2"]),
    "records by identifier": (
        {"mp-1": {"structure": SALTS}, "mp-2": {"structure": IODIDES}},
        ["mp-1", "mp-2"],
    ),
    "task document": ({"uuid": "u", "output": {"structure": SALTS, "energy": -7}}, ["x"]),
    "identifier as an object": ([{"material_id": mpid("mp-7"), "structure": SALTS}], ["mp-7"]),
    "text of JSON": ([{"material_id": "mp-1", "structure": json.dumps(SALTS)}], ["mp-1"]),
    "text of CIF": ([{"material_id": "mp-1", "structure": str(CifWriter(SALT))}], ["mp-1"]),
    "CIF by its own key": ([{"material_id": "mp-1", "cif": str(CifWriter(SALT))}], ["mp-1"]),
    "matbench": (
        {
            "index": ["mb-1", "mb-2"],
            "columns": ["structure", "gap"],
            "data": [[SALTS, 1.0], [IODIDES, 2.0]],
        },
        ["mb-1", "mb-2"],
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_is_read_with_its_own_identifiers(tmp_path, kind):
    content, names = FILES[kind]
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))
    found = list(read_candidates([path]))
    assert [one.material_id for one in found] == names
    for candidate, crystal in zip(found, (SALT, IODIDE), strict=False):
        np.testing.assert_allclose(candidate.structure.distance_matrix, crystal.distance_matrix)
        assert candidate.structure.composition == crystal.composition


def test_numbers_of_databases_are_kept_for_filters(tmp_path):
    for kind, key, value in (
        ("Alexandria", "e_above_hull", 0.01),
        ("OPTIMADE", "_alexandria_band_gap", 2.5),
        ("JARVIS", "optb88vdw_bandgap", 6.4),
        ("matbench", "gap", 1.0),
    ):
        path = tmp_path / f"{kind}.json"
        path.write_text(json.dumps(FILES[kind][0]))
        assert next(read_candidates([path])).provenance[key] == value


@pytest.mark.parametrize(("suffix", "pack"), [("bz2", bz2.compress), ("xz", lzma.compress)])
def test_files_packed_as_databases_pack_them(tmp_path, suffix, pack):
    path = tmp_path / f"x.json.{suffix}"
    path.write_bytes(pack(json.dumps(FILES["Alexandria"][0]).encode()))
    assert [one.material_id for one in read_candidates([path])] == ["agm1", "agm2"]
    path.write_bytes(path.read_bytes()[:-20])
    (error,) = read_candidates([path])
    assert "ends in the middle" in error.message


def test_one_object_a_line_or_over_many_lines_under_either_name(tmp_path):
    lines = tmp_path / "lines.json"
    lines.write_text(
        "\n".join(json.dumps({"id": n, "structure": s}) for n, s in (("a", SALTS), ("b", IODIDES)))
    )
    assert [one.material_id for one in read_candidates([lines])] == ["a", "b"]
    pretty = tmp_path / "pretty.jsonl"
    pretty.write_text(
        json.dumps([{"id": "c", "structure": SALTS}, {"id": "d", "structure": IODIDES}], indent=1)
    )
    assert [one.material_id for one in read_candidates([pretty])] == ["c", "d"]
    headed = tmp_path / "optimade.jsonl"
    head = [{"x-optimade": {"meta": {}}}, {"type": "info", "id": "structures", "attributes": {}}]
    headed.write_text("\n".join(map(json.dumps, [*head, optimade(SALT, "x-1")])))
    assert [one.material_id for one in read_candidates([headed])] == ["x-1"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"rank": 1, "formula": "LiCl"}], "Its keys are rank, formula."),
        ({"@module": "pymatgen.analysis.phase_diagram", "@class": "PhaseDiagram"}, "PhaseDiagram"),
        ({"1": {"numbers": [3], "positions": [[0, 0, 0]], "cell": []}}, "ase convert"),
        ([1, 2], "no object"),
        ([], "no object"),
    ],
)
def test_json_of_another_kind_is_named_with_what_it_holds(tmp_path, content, words):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))
    (error,) = read_candidates([path])
    assert isinstance(error, NoCrystalsError)
    assert words in f"{error.message} {error.hint}"
    assert "cut short" not in str(error)
    assert "output.structure" in error.hint or "extended XYZ" in error.hint


def test_entries_without_a_crystal_are_named_by_their_identifiers(tmp_path):
    path = tmp_path / "x.json"
    records = [
        {"material_id": "mp-1", "structure": SALTS},
        {"material_id": "mp-2", "structure": None},
        {"material_id": "mp-3", "structure": "see the paper"},
        {"material_id": "mp-4"},
    ]
    path.write_text(json.dumps(records))
    found = list(read_candidates([path]))
    assert isinstance(found[0], Candidate)
    assert [isinstance(one, InputError) for one in found] == [False, True, True, True]
    assert "mp-2): The entry holds no structure" in str(found[1])
    assert "text ('see the paper')" in str(found[2])
    assert all(one.hint and "cut short" not in str(one) for one in found[1:])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps(SALTS)[:200], "cut short"),
        (json.dumps(SALTS).replace('"sites"', "sites"), "Correct it where the message says"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
    ],
)
def test_only_what_ends_in_the_middle_is_called_cut_short(tmp_path, text, words):
    path = tmp_path / "x.json"
    path.write_text(text)
    (error,) = read_candidates([path])
    assert words in error.hint
    assert ("cut short" in error.hint) == (words == "cut short")


def test_control_characters_in_a_record_reach_no_database(tmp_path):
    path = tmp_path / "x.jsonl"
    record = {"id": "mp\0-1\x1b[31m\u202e", "licence": "a\0b", "structure": SALTS}
    path.write_text(json.dumps(record))
    (candidate,) = read_candidates([path])
    assert candidate.material_id == "mp-1[31m"
    assert candidate.provenance["licence"] == "ab"
    assert structure_hash(candidate.structure) == structure_hash(SALT)
    record["structure"] = json.loads(json.dumps(SALTS).replace('"Cl"', '"Cl\\u0000"'))
    path.write_text(json.dumps(record))
    (error,) = read_candidates([path])
    assert "'Cl' is not a chemical element" in error.message
