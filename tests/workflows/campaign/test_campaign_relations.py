"""A campaign computes each crystal once, and each ordering of a disordered one."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from campaign_fixtures import rock_salt, run_here
from pymatgen.core import Lattice, Structure

from superionic.errors import FigureError
from superionic.report.documents import MaterialDocuments
from superionic.store.builders.arrays import blobs_of
from superionic.store.builders.build import build_screening
from superionic.store.builders.screening import read_rows

pytestmark = pytest.mark.process


def screen(folder, element="Li", **fields):
    settings = {
        # Two of eight oxygen sites can be empty in three ways; two primitive cells have one.
        "prepare_maker.settings.primitive": element != "O",
        "landscape_maker.settings.grid_step_A": 0.8,
    }
    options = {"relax": "never"}
    return run_here(
        "screen", [folder], mobile_species=element, settings=settings, options=options, **fields
    )


def test_copies_are_computed_once_and_linked_to_all_names(database, tmp_path):
    folder = tmp_path / "crystals"
    folder.mkdir()
    rock_salt("Cl", 5.1).to(filename=str(folder / "a.cif"))
    (rock_salt("Cl", 5.1) * (2, 1, 1)).to(filename=str(folder / "b.cif"))
    rock_salt("Br", 5.5).to(filename=str(folder / "c.cif"))
    result = screen(folder)
    assert (result.n_computed, result.failures) == (2, [])
    rows = {row.material_id: row for row in result.rows}
    assert set(rows) == {"a", "b", "c"}
    assert (rows["b"].duplicate_of, rows["a"].duplicate_of) == ("a", None)
    assert (rows["b"].mpe_eV, rows["b"].rank) == (rows["a"].mpe_eV, rows["a"].rank)
    assert rows["c"].mpe_eV != rows["a"].mpe_eV
    stored = {row["material_id"]: row for row in database.screening.query({})}
    assert set(stored) == {"a", "b", "c"}
    assert stored["b"]["duplicate_of"] == "a"
    assert screen(folder).n_computed == 0

    # Only the copy is named now: what was computed under the other name does not count for it.
    (folder / "a.cif").unlink()
    again = screen(folder)
    assert again.n_computed == 1
    assert {row.material_id for row in again.rows} == {"b", "c"}
    stored = {row["material_id"]: row for row in database.screening.query({})}
    assert stored["b"]["duplicate_of"] is None


def test_lost_arrays_are_computed_again_and_orphaned_ones_removed(database, tmp_path):
    folder = tmp_path / "crystals"
    folder.mkdir()
    for anion, a_A in (("Cl", 5.1), ("Br", 5.5)):
        rock_salt(anion, a_A).to(filename=str(folder / f"{anion}.cif"))
    assert screen(folder).n_computed == 2
    store = database.job_store
    files = store.additional_stores["data"]._files_collection
    lost, kept = (
        store.docs_store.query_one({"output.material_id": name, "output.kind": "landscape"})
        for name in ("Cl", "Br")
    )
    (uuid,) = blobs_of(lost["output"])
    store.additional_stores["data"].remove_docs({"blob_uuid": uuid})
    assert list(files.find({"metadata.blob_uuid": uuid})) == []
    row = read_rows(database.screening, {"material_id": "Cl"})[0]
    with pytest.raises(FigureError, match="'superionic screen' computes it"):
        MaterialDocuments(row, database).need("landscape")
    assert screen(folder).n_computed == 1
    row = read_rows(database.screening, {"material_id": "Cl"})[0]
    assert MaterialDocuments(row, database).need("landscape").material_id == "Cl"
    assert screen(folder).n_computed == 0  # the document without arrays is still there

    # A job that runs again replaces its document; its first arrays stay without one.
    again = store.get_output(kept["uuid"], load=True)
    n_files = files.count_documents({})
    store.update(
        [{"uuid": kept["uuid"], "index": kept["index"], "output": again}], save={"data": ["arrays"]}
    )
    assert files.count_documents({}) == n_files + 1
    foreign = store.additional_stores["data"]._collection.put(b"not of a job", name="of others")
    assert build_screening(database, prune=True).arrays.identifiers == ()  # too young
    yesterday = datetime.now(UTC) - timedelta(days=2)
    files.update_many({}, {"$set": {"uploadDate": yesterday}})
    assert build_screening(database).arrays.identifiers == ()  # nobody asked for it
    report = build_screening(database, prune=True)
    assert len(report.arrays.identifiers) == 1
    assert report.arrays.n_bytes > 0
    assert files.count_documents({}) == n_files + 1
    assert store.additional_stores["data"]._collection.exists(foreign)
    row = read_rows(database.screening, {"material_id": "Br"})[0]
    assert MaterialDocuments(row, database).need("landscape").material_id == "Br"
    assert build_screening(database, prune=True).arrays.identifiers == ()


def test_orderings_are_rows_of_their_own_with_a_common_summary(database, tmp_path):
    oxide = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.66), ["Bi", {"O": 0.75}], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    folder = tmp_path / "crystals"
    folder.mkdir()
    (folder / "oxide.json").write_text(json.dumps(oxide.as_dict()))
    result = screen(folder, "O", orderings=2)
    assert result.failures == []
    rows = {row.material_id: row for row in result.rows}
    assert set(rows) == {"oxide-o1", "oxide-o2"}
    barriers = [row.mpe_eV for row in rows.values()]
    for row in rows.values():
        assert row.parent_id == "oxide"
        assert row.orderings.n_orderings == 2
        assert row.orderings.mpe_eV.best == min(barriers)
        assert row.orderings.mpe_eV.spread == pytest.approx(max(barriers) - min(barriers))
    stored = list(database.screening.query({}))
    assert all(row["orderings"]["n_orderings"] == 2 for row in stored)
