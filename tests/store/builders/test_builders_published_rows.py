"""``benchmarks/published_rows.py``: which row of a database a published row is put beside."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from part_documents import prediction
from screening_helpers import descriptors, outputs_store, screening_store

from superionic.report.tables.export import read_rows_file, rows_jsonl
from superionic.store.builders.screening import ScreeningBuilder, read_rows, run_builder


@pytest.fixture
def script(load_benchmark):
    return load_benchmark("published_rows")


@pytest.fixture
def database(script, monkeypatch):
    """Return a database with two predictions, a landscape, and one with other settings."""
    docs, screening = (
        outputs_store(
            prediction("predicted", -1.0),
            prediction("both", -2.0),
            descriptors("both", xi=0.5, mpe_eV=0.8),
            descriptors("coarse", xi=0.7, step_A=0.4),
        ),
        screening_store(),
    )
    run_builder(ScreeningBuilder(docs, screening))
    found = SimpleNamespace(job_store=SimpleNamespace(docs_store=docs), screening=screening)

    @contextmanager
    def opened():
        yield found

    monkeypatch.setattr(script, "opened", opened)
    return found


def published(*names: str, **fields) -> list:
    """Return rows as a data set has them, of a database that is not there any more."""
    outputs = [descriptors(name, xi=0.9, mpe_eV=0.4, **fields) for name in names]
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs_store(*outputs), screening))
    return read_rows(screening, {})


def by_id(database) -> dict:
    return {row.material_id: row for row in read_rows(database.screening, {})}


def test_a_published_landscape_is_put_beside_what_the_database_knows_of_the_same(script, database):
    rows = published("predicted", "both", "coarse", "absent")
    said = script.merge(rows, [], [])
    assert said.startswith("1 rows with a published landscape, 1 with their own")
    assert "2 not in the database" in said
    # 0.8 eV where 0.4 eV is published.
    assert "difference 1)" in said
    found = by_id(database)
    assert found["predicted"].mpe_eV == 0.4
    assert found["predicted"].predicted_log10_msd_slope == -1.0
    assert set(found["predicted"].present) == {"landscape", "prediction"}
    assert found["predicted"].key == next(r.key for r in rows if r.material_id == "predicted")
    # A landscape of its own stays, and one with other settings is another row.
    assert (found["both"].mpe_eV, found["coarse"].mpe_eV) == (0.8, 0.5)
    assert "absent" not in found


def test_another_potential_under_the_same_name_of_a_crystal_is_not_the_same(script, database):
    rows = published("predicted", potential="sevennet:7net-0")
    assert "1 not in the database" in script.merge(rows, [], [])
    assert by_id(database)["predicted"].mpe_eV is None


def test_renewed_files_have_the_predictions_of_the_database(script, database, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(rows_jsonl(published("predicted", "absent")) + "\n")
    assert "of 2 rows 0 with the landscapes and 1 with the predictions" in script.renew(file)
    found = {row.material_id: row for row in read_rows_file(file)}
    assert found["predicted"].predicted_log10_msd_slope == -1.0
    assert found["predicted"].mpe_eV == 0.4
    assert found["absent"].predicted_log10_msd_slope is None
    assert set(found["predicted"].ranks) > {"network", "xi"}
    assert found["predicted"].ranks["network"] == 1


def test_renewed_files_have_the_landscapes_of_the_database_and_keep_their_predictions(
    script, database, tmp_path, monkeypatch
):
    file = tmp_path / "rows.jsonl"
    rows = published("both", "coarse")
    known = {"predicted_log10_msd_slope": -3.0, "network": "before", "source": "published.jsonl"}
    rows = [row.model_copy(update=known | {"present": ["landscape", "prediction"]}) for row in rows]
    file.write_text(rows_jsonl(rows) + "\n")
    run_builder(
        ScreeningBuilder(
            outputs_store(descriptors("both", xi=0.5, mpe_eV=0.8)), screening := screening_store()
        )
    )
    monkeypatch.setattr(database, "screening", screening)
    monkeypatch.setattr(script, "USUAL", read_rows(screening, {})[0].settings_label)
    assert "of 2 rows 1 with the landscapes and 0 with the predictions" in script.renew(file)
    found = {row.material_id: row for row in read_rows_file(file)}
    assert (found["both"].mpe_eV, found["coarse"].mpe_eV) == (0.8, 0.4)
    for row in found.values():
        assert (row.predicted_log10_msd_slope, row.network) == (-3.0, "before")
        assert row.source == "published.jsonl"
        assert set(row.ranks) >= {"network", "xi"}
