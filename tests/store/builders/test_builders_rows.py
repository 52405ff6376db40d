"""Rows from landscapes, predictions and labels: whatever is there, and what is missing."""

import logging
from types import SimpleNamespace

import pytest
from part_documents import label, prediction, validation
from screening_helpers import add, descriptors, outputs_store, screening_store

from superionic.schemas.screening import INTERVAL_FIELDS
from superionic.store.builders.screening import (
    RANKED_BY,
    ScreeningBuilder,
    changed_rows,
    found_runs,
    link_duplicates,
    read_rows,
    rename_rows,
    rows_of_tasks,
    run_builder,
)
from superionic.store.collection.rows import query_screening
from superionic.store.ranking.features import FEATURES

VOLUMES = {
    "thresholds_eV": [0.5, 2.0],
    "fv_disconnected_union": [0.1, 0.4],
    "free_volume_A3_per_ion": [1.5, 9.0],
    "fv_connected_union": [0.1, 0.2],
    "fv_connected_sum": [0.1, 0.2],
    "fv_disconnected_sum": [0.1, 0.2],
}


def build(outputs, screening):
    run_builder(ScreeningBuilder(outputs, screening))
    return {row.material_id: row for row in read_rows(screening, {})}


def test_a_row_holds_what_there_is_and_names_what_is_missing():
    outputs = outputs_store(
        descriptors("all", xi=0.5, diffusivity_ratios_1000K=[0.1, 0.2, 0.6], **VOLUMES),
        prediction("all", 0.4, minutes=1, in_training=True, flags=["large cell"]),
        label("all", 2.0, minutes=2),
        descriptors("landscape", xi=0.7),
        prediction("network", -1.0),
        label("dynamics", 0.001),
    )
    rows = build(outputs, screening_store())
    assert rows["all"].present == ["landscape", "prediction", "label"]
    assert rows["all"].missing == ["validation"]
    assert (rows["all"].xi, rows["all"].predicted_log10_msd_slope) == (0.5, 0.4)
    assert (rows["all"].msd_slope_A2_per_ps, rows["all"].label_verdict) == (2.0, "diffusing")
    assert (rows["all"].fv_disconnected_2eV, rows["all"].free_volume_2eV_A3_per_ion) == (0.4, 9.0)
    assert rows["all"].diffusivity_ratio_1000K == pytest.approx(0.3)
    assert rows["all"].diffusivity_ratio_min_1000K == 0.1
    assert rows["landscape"].diffusivity_ratio_1000K is None  # a document of before
    assert rows["all"].prediction_in_training is True
    assert rows["all"].prediction_flags == ["large cell"]
    assert rows["landscape"].missing == ["prediction", "label", "validation"]
    assert rows["landscape"].fv_disconnected_2eV is None  # that threshold was not computed
    assert rows["network"].present == ["prediction"]
    assert rows["network"].xi is rows["network"].mpe_eV is None
    assert rows["dynamics"].present == ["label"]


def interval(low, high):
    return {"low": low, "high": high}


LEARNED = {
    "ending": "budget",
    "warnings": [{"code": "not_settled", "text": "It stopped after 30 energies."}],
    "intervals": {
        "mpe_eV": interval(0.4, 0.45),
        "mpe_per_ion_eV": [interval(0.4, 0.45)],
        "barrier_1d_eV": interval(0.4, 0.4),
        "barrier_2d_eV": interval(0.4, None),
        "barrier_3d_eV": interval(None, None),
        "diffusivity_ratios_1000K": [interval(0.1, 0.2)] * 3,
        "xi": interval(0.6, 0.8),
        "fv_connected_union": [interval(0.1, 0.2), interval(0.2, 0.3)],
        "fv_connected_sum": [interval(0.1, 0.2), interval(0.2, 0.3)],
        "fv_disconnected_sum": [interval(0.1, 0.2), interval(0.2, 0.3)],
        "fv_disconnected_union": [interval(0.1, 0.15), interval(0.3, 0.5)],
        "free_volume_A3_per_ion": [interval(1.0, 2.0), interval(8.0, 9.5)],
    },
}


def test_a_learned_landscape_gives_a_row_with_intervals():
    outputs = outputs_store(
        descriptors("learned", xi=0.7, mpe_eV=0.42, **VOLUMES, **LEARNED),
        descriptors("other thresholds", xi=0.7, **LEARNED | {"intervals": one_threshold()}),
        descriptors("exact", xi=0.5),
    )
    rows = build(outputs, screening_store())
    found = {name: (one.low, one.high) for name, one in rows["learned"].intervals.items()}
    assert set(found) == set(INTERVAL_FIELDS)
    assert (found["mpe_eV"], found["barrier_2d_eV"]) == ((0.4, 0.45), (0.4, None))
    assert (found["fv_disconnected"], found["fv_disconnected_2eV"]) == ((0.1, 0.15), (0.3, 0.5))
    assert found["free_volume_2eV_A3_per_ion"] == (8.0, 9.5)
    assert (rows["learned"].ending, rows["exact"].ending) == ("budget", None)
    assert [one.code for one in rows["learned"].warnings] == ["not_settled"]
    assert rows["exact"].intervals == {}
    # A threshold that was not computed has no interval either.
    assert "fv_disconnected_2eV" not in rows["other thresholds"].intervals


def one_threshold():
    return {
        name: bounds[:1] if name.startswith(("fv", "free")) else bounds
        for name, bounds in LEARNED["intervals"].items()
    }


def test_a_label_alone_gives_the_cell_and_not_the_supercell():
    (row,) = build(outputs_store(label("a", 2.0)), screening_store()).values()
    assert (row.n_atoms, row.n_mobile, row.volume_A3) == (2, 1, 27.0)
    assert (row.volume_A3_per_atom, row.mobile_fraction) == (13.5, 0.5)
    assert row.labels[0].n_atoms == 16


def test_validation_completes_a_row_and_can_stand_alone():
    outputs = outputs_store(
        descriptors("a", xi=0.5),
        prediction("a", 0.4, minutes=1),
        label("a", 2.0, minutes=2),
        validation("a", "confirmed", minutes=3, conductivity_S_per_cm=0.3),
        validation("b", "melts"),
    )
    rows = build(outputs, screening_store())
    assert rows["a"].missing == []
    assert (rows["a"].validation_verdict, rows["a"].conductivity_S_per_cm) == ("confirmed", 0.3)
    assert rows["a"].validation_temperature_K == 500.0
    assert rows["b"].present == ["validation"]
    assert rows["b"].n_atoms == 2


def test_every_run_is_in_the_history_and_the_newest_count():
    outputs = outputs_store(
        descriptors("a", xi=0.1, minutes=1),
        descriptors("a", xi=0.2, minutes=3),
        prediction("a", 0.5, minutes=2),
    )
    (row,) = build(outputs, screening_store()).values()
    assert [(run.kind, run.used) for run in row.runs] == [
        ("descriptors", False),
        ("prediction", True),
        ("descriptors", True),
    ]
    assert len({run.settings_sha256 for run in row.runs}) == 2
    assert row.n_runs == 3
    assert row.xi == 0.2
    assert (row.prediction_uuid, row.descriptors_uuid) == ("prediction-a-2", "a-3")
    assert row.last_updated == row.runs[-1].last_updated


def test_each_temperature_and_seed_has_its_newest_label_and_1000_K_counts():
    outputs = outputs_store(
        label("a", 5.0, temperature_K=1200.0, minutes=9),
        label("a", 1.0, minutes=1),
        label("a", 2.0, minutes=2),
        label("a", 3.0, minutes=3, seed=1),
        label("a", 0.5, temperature_K=800.0, minutes=4),
    )
    (row,) = build(outputs, screening_store()).values()
    held = [(one.temperature_K, one.seed, one.msd_slope_A2_per_ps) for one in row.labels]
    assert held == [(1200, 0, 5.0), (1000, 0, 2.0), (1000, 1, 3.0), (800, 0, 0.5)]
    assert (row.label_temperature_K, row.msd_slope_A2_per_ps) == (1000.0, 3.0)  # the newest there
    assert [run.used for run in row.runs] == [False, True, True, True, True]


@pytest.mark.parametrize("news", [prediction("b", 0.3, minutes=5), label("b", 0.3, minutes=5)])
def test_only_the_row_of_a_new_part_is_built_again(news):
    outputs = outputs_store(descriptors("a", xi=0.1), descriptors("b", xi=0.2))
    screening = screening_store()
    build(outputs, screening)
    written = screening.n_written
    add(outputs, news)
    rows = build(outputs, screening)
    assert screening.n_written == written + 1
    assert len(rows["b"].present) == 2
    assert build(outputs, screening) == rows
    assert screening.n_written == written + 1


def test_a_run_that_was_repeated_under_its_identifier_is_noticed():
    outputs = outputs_store(prediction("a", 0.1))
    screening = screening_store()
    build(outputs, screening)
    again = prediction("a", 0.9, minutes=5) | {"job_uuid": "prediction-a-0"}
    add(outputs, again)
    assert build(outputs, screening)["a"].predicted_log10_msd_slope == 0.9


def test_rows_of_an_older_version_can_be_read_and_are_built_again():
    outputs = outputs_store(descriptors("a", xi=0.1))
    screening = screening_store()
    build(outputs, screening)
    old = screening.query_one({})
    since = (
        *("present", "missing", "runs", "ranks", "scores", "labels", "volume_A3", "network"),
        *("fv_disconnected_2eV", "predicted_log10_msd_slope", "prediction_flags"),
    )
    stripped = {k: v for k, v in old.items() if k not in (*since, "_id")}
    screening.remove_docs({})
    screening.update([stripped | {"schema_version": "1.0"}], key="key")
    (read,) = read_rows(screening, {})
    assert (read.xi, read.present, read.schema_version) == (0.1, ["landscape"], "1.0")
    assert build(outputs, screening)["a"].runs


def test_a_run_that_cannot_be_read_is_listed_and_the_others_make_the_row(caplog):
    bad = prediction("a", 0.9, minutes=5)
    del bad["network"]
    outputs = outputs_store(descriptors("a", xi=0.1), bad)
    screening = screening_store()
    with caplog.at_level(logging.WARNING):
        (row,) = build(outputs, screening).values()
    assert "left out" in caplog.text
    assert row.present == ["landscape"]
    assert [(run.kind, run.readable) for run in row.runs] == [
        ("descriptors", True),
        ("prediction", False),
    ]
    written = screening.n_written
    build(outputs, screening)
    assert screening.n_written == written  # not again and again


def test_rows_of_other_weights_are_ranked_apart_and_say_so():
    outputs = outputs_store(descriptors("a", xi=0.1), descriptors("b", xi=0.2))
    screening = screening_store()
    assert not any(row.warnings for row in build(outputs, screening).values())
    other = descriptors("a", xi=0.9, minutes=1)
    other["potential"] = {**other["potential"], "weights_sha256": "somebody's weights"}
    add(outputs, other)
    build(outputs, screening)
    rows = read_rows(screening, {})
    assert {row.key: row.rank for row in rows} == {
        "b|Li|chgnet:0.3.0|weights of chgne|0.25 A exact": 1,
        "a|Li|chgnet:0.3.0|weights of chgne|0.25 A exact": 2,
        "a|Li|chgnet:0.3.0|somebody's weigh|0.25 A exact": 1,
    }
    said = {(warning.code, warning.text) for row in rows for warning in row.warnings}
    assert [len(row.warnings) for row in rows] == [1, 1, 1]
    ((code, text),) = said
    assert code == "other_weights"
    assert "somebody: 1 rows, weights : 2 rows" in text
    # It is said once, and no more when the others are gone.
    build(outputs, screening)
    assert [len(row.warnings) for row in read_rows(screening, {})] == [1, 1, 1]
    screening.remove_docs({"potential_weights_sha256": "somebody's weights"})
    ScreeningBuilder(outputs, screening).finalize()
    assert not any(row.warnings for row in read_rows(screening, {}))


def test_parts_of_other_species_and_potentials_have_rows_of_their_own():
    outputs = outputs_store(
        descriptors("a", xi=0.1),
        prediction("a", 0.1, mobile_species="Na", minutes=1),
        label("a", 0.1, potential="sevennet:7net-0", minutes=2),
    )
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs, screening))
    found = {row.key: row.present for row in read_rows(screening, {})}
    assert found == {
        "a|Li|chgnet:0.3.0|weights of chgne|0.25 A exact": ["landscape"],
        "a|Na|chgnet:0.3.0|weights of chgne": ["prediction"],
        "a|Li|sevennet:7net-0|weights of seven": ["label"],
    }


def settings_and_ranks(screening):
    return {
        (row.material_id, row.settings_label): (row.rank, row.present, row.ranking_settings)
        for row in read_rows(screening, {"duplicate_of": None})
    }


def test_landscapes_of_other_settings_are_rows_of_their_own_and_none_is_lost():
    outputs = outputs_store(
        descriptors("a", xi=0.1),
        descriptors("b", xi=0.2),
        descriptors("a", xi=0.9, step_A=0.4, minutes=1),
        prediction("a", 0.5, minutes=2),
    )
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs, screening))
    fine, coarse = "0.25 A exact", "0.4 A exact"
    both = ["landscape", "prediction"]
    expected = {
        ("b", fine): (1, ["landscape"], fine),
        ("a", fine): (2, both, fine),
        ("a", coarse): (1, both, coarse),
    }
    assert settings_and_ranks(screening) == expected
    run_builder(ScreeningBuilder(outputs, screening))
    assert settings_and_ranks(screening) == expected


def test_a_row_without_landscape_is_in_the_largest_ranking_until_it_has_one():
    outputs = outputs_store(
        descriptors("a", xi=0.1, step_A=0.4),
        descriptors("b", xi=0.2, step_A=0.4),
        descriptors("c", xi=0.2),
        prediction("d", 0.5),
    )
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs, screening))
    (row,) = read_rows(screening, {"material_id": "d"})
    assert (row.ranking_settings, row.ranks["network"], row.rank) == ("0.4 A exact", 1, 3)
    assert row.key == "d|Li|chgnet:0.3.0|weights of chgne"
    link_duplicates(screening, row, ["also-d"])
    add(outputs, descriptors("d", xi=0.7, minutes=3))
    run_builder(ScreeningBuilder(outputs, screening))
    fine = "0.25 A exact"
    assert settings_and_ranks(screening)["d", fine] == (1, ["landscape", "prediction"], fine)
    assert {row.settings_label for row in read_rows(screening, {})} == {fine, "0.4 A exact"}
    outputs.remove_docs({"output.material_id": "d", "output.kind": "descriptors"})
    run_builder(ScreeningBuilder(outputs, screening))
    (row,) = read_rows(screening, {"material_id": "d"})
    assert (row.present, row.ranking_settings) == (["prediction"], "0.4 A exact")


def test_rows_of_version_2_4_get_the_key_of_their_settings():
    outputs = outputs_store(descriptors("a", xi=0.1, step_A=0.4))
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs, screening))
    (stored,) = screening.query({})
    former = {k: v for k, v in stored.items() if k not in ("settings_label", "ranking_settings")}
    former |= {"key": "a|Li|chgnet:0.3.0|weights of chgne", "schema_version": "2.4"}
    screening.remove_docs({})
    screening.update([former], key="key")
    (row,) = read_rows(screening, {})
    assert row.ranked_among == ("Li", "chgnet:0.3.0", "weights of chgnet", "0.4 A exact")
    assert rename_rows(screening) == 1
    run_builder(ScreeningBuilder(outputs, screening))
    (row,) = read_rows(screening, {})
    assert row.key == stored["key"] == "a|Li|chgnet:0.3.0|weights of chgne|0.4 A exact"
    assert rename_rows(screening) == 0


def test_ranks_by_every_policy_are_kept_and_queried():
    outputs = outputs_store(
        descriptors("a", xi=0.9, mpe_eV=0.8),
        descriptors("b", xi=0.1, mpe_eV=0.2),
        prediction("b", 0.7, minutes=1),
        prediction("c", 1.2),
    )
    screening = screening_store()
    rows = build(outputs, screening)
    assert rows["a"].rank == rows["a"].ranks["xi"] == 1
    assert rows["c"].ranks == dict.fromkeys(rows["c"].ranks, 3) | {"network": 1}
    assert "xi" not in rows["c"].scores
    order = query_screening(screening, sort="ranks.network")
    assert [row.material_id for row in order] == ["c", "b", "a"]
    assert [r.material_id for r in query_screening(screening, sort="ranks.barrier", limit=1)] == [
        "b"
    ]
    with_both = query_screening(screening, present=["landscape", "prediction"])
    assert [row.material_id for row in with_both] == ["b"]


def test_duplicates_and_orderings_have_the_network_too():
    lineage = {"parent_id": "p", "ordering_energy_eV": 0.0}
    outputs = outputs_store(
        descriptors("p-o1", xi=0.1, ordering_index=1, **lineage, aliases=["twin"]),
        descriptors("p-o2", xi=0.2, ordering_index=2, **lineage),
        prediction("p-o1", 0.5, minutes=1),
        prediction("p-o2", -0.5, minutes=2),
    )
    screening = screening_store()
    rows = build(outputs, screening)
    assert rows["twin"].duplicate_of == "p-o1"
    assert rows["twin"].predicted_log10_msd_slope == 0.5
    assert rows["twin"].ranks == rows["p-o1"].ranks
    spread = rows["p-o2"].orderings.predicted_log10_msd_slope
    assert (spread.n, spread.best, spread.spread) == (2, 0.5, 1.0)


def test_rows_of_tasks_know_the_other_parts_and_the_policy():
    outputs = outputs_store(
        descriptors("a", xi=0.9),
        descriptors("b", xi=0.1),
        prediction("b", 2.0, minutes=1),
        prediction("a", -2.0, minutes=1),
        prediction("elsewhere", 3.0),
    )
    keys = ["key of a", "key of b"]
    found = rows_of_tasks(outputs, keys, "weights of chgnet", "network")
    assert [row.material_id for row in found] == ["b", "a"]
    assert [row.rank for row in found] == [2, 1]  # by Xi, whatever orders them


def test_partial_knowledge_of_runs_is_enough_for_an_incremental_build():
    first = descriptors("a", xi=0.1)
    outputs = outputs_store(first, prediction("a", 0.1, minutes=1))
    screening = screening_store()
    build(outputs, screening)
    seen = found_runs([{"output": prediction("a", 0.1, minutes=1)}])
    assert changed_rows(screening, seen, all_runs=False) == []
    row = ("a", "Li", "chgnet:0.3.0", "weights of chgnet", "")
    assert changed_rows(screening, seen) == [row]  # the landscape is gone
    news = found_runs([{"output": prediction("a", 0.1, minutes=2)}])
    assert changed_rows(screening, news, all_runs=False) == [row]


def test_ranking_reads_every_field_that_features_need():
    light = SimpleNamespace(**dict.fromkeys(RANKED_BY, 0.5))
    for feature in FEATURES.values():
        assert feature.of(light) is not None
