"""Plain data: crystals by their keys, and nothing is imported that the data name."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monty.json import MontyEncoder
from pymatgen.core import DummySpecies, Lattice, Species, Structure
from pymatgen.core.sites import PeriodicSite

from superionic.errors import CellTooLargeError, InputError, NotACrystalError
from superionic.structures import Candidate, prepare, read_candidates, structure_hash
from superionic.structures.plain import plain_provenance, structure_from_dict

POISON = "antigravity_of_superionic"
"""A module on the path whose import is seen."""


@pytest.fixture
def poison(tmp_path, monkeypatch):
    """Yield an object that a decoder would import; fail the test if anybody does."""
    (tmp_path / f"{POISON}.py").write_text("class X:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield {"@module": POISON, "@class": "X", "a": 1}
    assert POISON not in sys.modules


def crystals():
    cubic = Lattice.cubic(4.0)
    yield Structure(cubic, ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    yield Structure(cubic, [{"Li+": 0.5}, {"Cl-": 0.25, "Br-": 0.75}], [[0, 0, 0], [0.5] * 3])
    yield Structure(cubic, ["D", Species("Fe", 2, spin=4)], [[0.1, 1.2, -0.3], [0.5] * 3])
    yield Structure(cubic, ["Li", DummySpecies("X", 1)], [[0, 0, 0], [0.5] * 3], charge=1.0)
    slab = Lattice(cubic.matrix, pbc=(True, True, False))
    yield Structure(slab, ["Li"], [[0, 0, 0]], site_properties={"magmom": [0.5], "f": [[0, 1.0]]})


@pytest.mark.parametrize("crystal", crystals(), ids=lambda s: s.formula)
def test_what_pymatgen_writes_comes_back(crystal):
    found = structure_from_dict(json.loads(json.dumps(crystal.as_dict())))
    assert found == crystal
    assert structure_hash(found) == structure_hash(crystal)
    assert found.site_properties == crystal.site_properties
    assert found.lattice.pbc == crystal.lattice.pbc
    assert found.charge == crystal.charge
    assert [str(s.species) for s in found] == [str(s.species) for s in crystal]


def test_lengths_and_angles_and_cartesian_sites():
    crystal = next(crystals())
    data = crystal.as_dict()
    del data["lattice"]["matrix"]
    for site in data["sites"]:
        del site["abc"]
    assert structure_from_dict(data) == crystal


def salt(**changes):
    return {
        "lattice": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
        "species": ["Li", "Cl"],
        "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
        **changes,
    }


def site(**changes):
    return {"species": [{"element": "Li", "occu": 1}], "abc": [0, 0, 0], **changes}


CUBE = {"matrix": [[4, 0, 0], [0, 4, 0], [0, 0, 4]]}
NO_CELL = {"a": 4, "b": 4, "c": 4, "alpha": 170, "beta": 30, "gamma": 30}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "null"),
        ([1], "a list of 1"),
        ("POSCAR", "text"),
        ({}, "lacks 'species'"),
        (salt(lattice=[[4, 0], [0, 4]]), "lattice should be three vectors"),
        (salt(lattice="cubic"), "lattice should be three vectors"),
        (salt(lattice=[[4, 0, 0], [0, "4", 0], [0, 0, 4]]), "a number"),
        (salt(lattice=[[4, 0, 0], [0, 4, 0], [0, 0, float("inf")]]), "infinite"),
        (salt(lattice=[[4, 0, 0], [0, 4, 0], [0, 0, 10**400]]), "infinite"),
        (salt(lattice=[[4, 0, 0], [0, 4, 0], [0, 0, 1e200]]), "long"),
        (salt(lattice=[[4, 0, 0], [0, 4, 0], [4, 4, 0]]), "degenerate"),
        (salt(species="LiCl"), "list of symbols"),
        (salt(species=["Li", "Qq"]), "'Qq' is not a species"),
        (salt(species=["Li", None]), "list of symbols"),
        (salt(species=["Li", {"Cl": 0.6, "Br": 0.6}]), "add up to 1.2"),
        (salt(frac_coords=[[0, 0, 0]]), "2 species but 1 coordinates"),
        (salt(frac_coords=[[0, 0, 0], [0.5, 0.5]]), "three numbers"),
        (salt(frac_coords=[[0, 0, 0], [0.5, 0.5, None]]), "a number; it is null"),
        ({"sites": [site()]}, "molecule"),
        ({"lattice": CUBE, "sites": {"a": 1}}, "sites should be a list"),
        ({"lattice": CUBE, "sites": [7]}, "site 1 should be an object"),
        ({"lattice": CUBE, "sites": [site(), {"abc": [0, 0, 0]}]}, "Site 2.*'species'"),
        ({"lattice": CUBE, "sites": [site(species=[{"element": "Li"}])]}, "'occu'"),
        ({"lattice": CUBE, "sites": [site(species=[{"element": "Q", "occu": 1}])]}, "'Q' is not"),
        ({"lattice": CUBE, "sites": [site(species=[{"element": "Li", "occu": -1}])]}, "negative"),
        ({"lattice": CUBE, "sites": [site(abc=None)]}, "three numbers"),
        ({"lattice": {"a": 4, "b": 4, "c": 4, "alpha": 90}, "sites": [site()]}, "'beta'"),
        ({"lattice": NO_CELL, "sites": [site()]}, "no cell|degenerate"),
    ],
)
def test_what_is_missing_or_wrong_is_named(data, words):
    with pytest.raises(InputError, match=words) as caught:
        structure_from_dict(data)
    assert caught.value.hint


def test_a_million_sites_are_refused_before_they_are_read():
    with pytest.raises(CellTooLargeError, match="1000000 sites"):
        structure_from_dict({"lattice": CUBE, "sites": [site()] * 1_000_000})


def test_nothing_is_imported_wherever_an_object_hides(tmp_path, poison):
    data = next(crystals()).as_dict()
    data["properties"] = {"p": poison}
    data["sites"][0]["properties"] = {
        "magmom": poison,
        "list": [poison],
        "force": [1.0, 2.0],
        **poison,
    }
    data["sites"][1]["properties"] = {"magmom": 0.0, "list": [], "force": [0.0, 0.0]}
    data["sites"][1]["species"][0]["properties"] = poison
    records = [
        {"id": "whole", **poison, "structure": data | poison},
        {"id": "remarks", "structure": data, "remarks": [{"code": "c", "text": poison}]},
        {"material_id": {"string": "mp-1", **poison}, "structure": data, "more": poison},
        {"id": "entry", "structure": data, "data": {"gap": 1.5, "deep": poison, **poison}},
    ]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    found = list(read_candidates([path]))
    assert [one.material_id for one in found] == ["whole", "remarks", "mp-1", "entry"]
    for candidate in found:
        assert "@" not in json.dumps(candidate.provenance)
        assert candidate.structure.site_properties.keys() == {"force"}
        # A job and its worker serialise the candidate and decode it again by types.
        again = Structure.from_dict(json.loads(json.dumps(candidate.structure.as_dict())))
        assert structure_hash(again) == structure_hash(candidate.structure)
    assert found[3].provenance["gap"] == 1.5


def test_documents_import_nothing(poison):
    from superionic.store.builders.documents import read_document
    from superionic.workflows.jobs.prepare import PrepareMaker

    crystal = next(crystals())
    document = PrepareMaker().make.original(PrepareMaker(), crystal, "m", "Li", "key")
    stored = document.model_dump() | {"structure": crystal.as_dict()}
    stored["structure"]["sites"][0]["properties"] = {"magmom": poison}
    stored["provenance"] = {"p": poison}
    assert read_document(stored).structure == crystal
    stored["structure"]["sites"][0]["species"] = [{"element": "Li"}]
    with pytest.raises(ValueError, match="lacks 'occu'"):
        read_document(stored)


def test_the_crystals_of_a_query_import_nothing(poison):
    """What ``query -f optimade`` and the pages read from the database."""
    from superionic.store.collection.query import structures_of

    crystal = next(crystals())
    data = crystal.as_dict()
    data["sites"][0]["properties"] = {"magmom": poison}
    data["properties"] = poison
    found = [
        {"output": {"task_key": "whole", "kind": "prepared", "structure": data}},
        {"output": {"task_key": "damaged", "kind": "prepared", "structure": poison}},
    ]
    outputs = SimpleNamespace(query=lambda criteria, properties: found)
    rows = [SimpleNamespace(task_key=key, key=key) for key in ("whole", "damaged", "gone")]
    assert structures_of(outputs, rows) == {"whole": crystal}


@pytest.mark.parametrize("value", [7, "x", 1.5, True])
def test_lineage_of_any_type_in_a_file_breaks_no_document(value):
    from superionic.schemas.screen import Origins

    names = ("parent_id", "ordering_index", "ordering_energy_eV", "aliases")
    found = Origins.from_provenance(dict.fromkeys(names, value))
    assert found.aliases == [str(value)]


def test_provenance_keeps_plain_values_that_databases_can_hold():
    given = {
        "gap": 1.5,
        "n": 3,
        "stable": True,
        "licence": "CC-BY\x00\x1b[31m\u202e",
        "huge": 10**30,
        "@module": "os",
        "$where": "1",
        "nul\0": 1,
        "nested": {"a": 1},
        "none": None,
        "half": "\ud800x",
        "remarks": [{"code": "c", "text": "t\0"}],
    }
    assert plain_provenance(given) == {
        "gap": 1.5,
        "n": 3,
        "stable": True,
        "licence": "CC-BY[31m",
        "huge": str(10**30),
        "half": "x",
        "remarks": [{"code": "c", "text": "t"}],
    }
    assert Candidate("m", next(crystals()), provenance=given).provenance.keys() == (
        plain_provenance(given).keys()
    )


_NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-2, 2),
    st.sampled_from([0.0, 1.0, 1e5, 1e6, 1e18, 1e200, -1e5, 1e-300]),
)
_VECTORS = st.lists(_NUMBERS, min_size=3, max_size=3)


@settings(max_examples=150, deadline=2000)
@given(
    lengths=st.lists(
        st.sampled_from([0.0, 1e-9, 0.9, 4.0, 6.0, 60.0, 1e3, 1e200, -5.0]), min_size=3, max_size=3
    ),
    angles=st.lists(
        st.sampled_from([0.0, 1.0, 60.0, 90.0, 119.0, 179.9, 180.0, 1e9]), min_size=3, max_size=3
    ),
    coords=st.lists(_VECTORS, min_size=1, max_size=4),
)
def test_any_geometry_is_a_crystal_or_refused_in_words(lengths, angles, coords):
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    lattice = dict(zip(names, lengths + angles, strict=True))
    sites = [
        {"species": [{"element": element, "occu": 1}], "abc": abc}
        for element, abc in zip(["Li", "Cl", "Li", "O"], coords, strict=False)
    ]
    try:
        crystal = structure_from_dict({"lattice": lattice, "sites": sites})
        prepared = prepare(Candidate("m", crystal))
    except InputError as error:
        words = (error.message, error.hint)
    else:
        words = ("", "")
    if words != ("", ""):
        assert all(words)
        return
    assert np.abs(prepared.structure.frac_coords).max() < 100
    assert prepared.structure.volume < 50_000


@pytest.mark.parametrize("far", [1e5, 1e6, -1e6])
def test_sites_far_away_are_moved_into_the_cell_and_said_so(tmp_path, far):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(salt(frac_coords=[[far + 0.25, 0, 0], [0.75, 0.5, 0.5]])))
    (candidate,) = read_candidates([path])
    assert [one["code"] for one in candidate.provenance["remarks"]] == ["wrapped"]
    np.testing.assert_allclose(candidate.structure.frac_coords[0], [0.25, 0, 0], atol=1e-9)
    assert prepare(Candidate("m", structure_from_dict(json.loads(path.read_text())))).warnings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frac_coords": [[1e18, 0, 0], [0.5, 0.5, 0.5]]}, "cells away"),
        ({"frac_coords": [[float("nan"), 0, 0], [0.5, 0.5, 0.5]]}, "NaN"),
        ({"lattice": [[1000, 0, 0], [0, 4, 0], [0, 0, 4]]}, "long"),
        ({"lattice": [[30, 0, 0], [0, 30, 0], [0, 0, 30]]}, "all but empty"),
    ],
)
def test_geometry_beyond_any_crystal_is_refused(tmp_path, changes, words):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(salt(**changes)))
    (error,) = read_candidates([path])
    assert isinstance(error, NotACrystalError)
    assert words in error.message


def test_a_large_cell_is_refused_before_a_map_of_it_is_made():
    big = Structure(Lattice.cubic(40), ["Li"] + ["Cl"] * 63, _grid(4))
    with pytest.raises(CellTooLargeError, match="A\\^3"):
        prepare(Candidate("m", big))


def _grid(n):
    return [[i / n, j / n, k / n] for i in range(n) for j in range(n) for k in range(n)]


def test_the_poison_would_have_been_imported_by_pymatgen(poison, tmp_path):
    """Keep the other tests honest."""
    data = PeriodicSite("Li", [0, 0, 0], Lattice.cubic(4)).as_dict()
    data["properties"] = {"magmom": dict(poison)}
    PeriodicSite.from_dict(data)
    assert sys.modules.pop(POISON, None) is not None


def test_arrays_of_sites_are_read_as_their_numbers():
    """A chain of molecular dynamics goes on with velocities that monty wrote as numpy arrays."""
    cell = Structure(Lattice.cubic(5.1), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    cell.add_site_property("velocities", list(np.array([[0.1, 0.2, 0.3], [1e-5, 2.0, -3.5]])))
    found = structure_from_dict(json.loads(json.dumps(cell.as_dict(), cls=MontyEncoder)))
    np.testing.assert_array_equal(
        found.site_properties["velocities"], cell.site_properties["velocities"]
    )
