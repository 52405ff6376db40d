"""Counts of a report: what became of crystals, failures, settings, agreement."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure
from report_documents import (
    descriptors,
    failure,
    label,
    landscape_parts,
    prediction,
    row_of,
    validation,
)

from superionic.errors import UnreadableFileError
from superionic.report.documents import read_failures, read_rows
from superionic.report.html.agreement import (
    DISTRIBUTIONS,
    METHODS,
    agreements,
    distributions,
    separations,
)
from superionic.report.html.drawing import agreement_data, distribution_figures
from superionic.report.html.payload import Payloads
from superionic.report.html.published import with_published
from superionic.report.html.scope import Scope, screening_funnel
from superionic.report.html.summary import (
    failure_causes,
    missing_parts,
    potentials_used,
    runs_by_kind,
    settings_groups,
    verdict_counts,
    warning_counts,
)
from superionic.report.numbers import plain, with_error, with_interval
from superionic.schemas.document import FailureDocument
from superionic.schemas.label import LabelRow
from superionic.store.builders.documents import read_document
from superionic.store.builders.relations import duplicate_row
from superionic.structures.candidate import Candidate
from superionic.structures.selection import Selection

sys.path.insert(0, str(Path(__file__).parents[1] / "figures"))

from figure_documents import UNIT

CRYSTAL = Structure(Lattice.cubic(3), ["Li"], [[0, 0, 0]])


def scope(names, first=None, **fields):
    chosen = Selection(
        candidates=[Candidate(name, CRYSTAL, f"{name}.cif") for name in names],
        first=first or list(range(len(names))),
        unreadable=[UnreadableFileError("It is cut.", hint="Copy it.", material_id="broken.cif")],
        n_read=len(names) + 3,
        removed=[("hull max 0.05", 2), ("toxic", 1)],
        reasons={"far": "hull of 0.2", "farther": "hull of 0.3", "lead": "Pb"},
    )
    values = {"name": "c", "flow": "screen", "file": "c.yaml", "mobile_species": "Li"}
    return Scope(**values, potential="chgnet:0.3.0", selection=chosen, **fields)


def test_axes_of_distributions_and_of_the_scatter_plot_have_units():
    """As all other figures have them."""
    rows = [row_of(descriptors("m-1", xi=0.5), prediction("m-1", 0.3), label("m-1", 2.0))]
    payloads = Payloads()
    slots = distribution_figures(payloads, distributions(rows))
    assert [slot.reason for slot in slots] == [""] * len(slots)
    layouts = [json.loads(payloads.texts[slot.key])["layout"] for slot in slots]
    titles = [one[axis]["title"]["text"] for one in layouts for axis in ("xaxis", "yaxis")]
    titles += [method["text"] for method in agreement_data(rows)["methods"]]
    titles += [text for _, text in DISTRIBUTIONS] + [method.text for method in METHODS]
    assert {"materials (number)", "Xi (no unit)"} < set(titles)
    for text in titles:
        assert UNIT.search(text), text


def steps(found):
    return {text: n for text, n, _ in found}


def test_each_crystal_of_a_campaign_is_counted_once():
    rows = [
        row_of(descriptors("a", xi=0.5), prediction("a", 0.1)),
        row_of(descriptors("b", xi=0.2)),
    ]
    rows.append(duplicate_row(rows[0], "a again"))
    campaign = scope(["a", "b", "a again", "failed", "waits", "waits, too"], [0, 1, 0, 3, 4, 4])
    found, waiting = screening_funnel(rows, [FailureDocument(**failure("failed"))], campaign)
    counts = steps(found)
    assert counts["crystals read"] == 9
    assert counts["removed by hull max 0.05"] == 2
    assert counts["removed by toxic"] == 1
    assert counts["the same crystal as another"] == 2
    assert counts["candidates"] == 4
    assert counts["could not be computed"] == 1
    assert counts["with a landscape"] == 2
    assert counts["with a prediction"] == 1
    assert counts["with a label"] == 0
    assert waiting == ["waits"]
    computed = counts["with a landscape"] + counts["could not be computed"] + len(waiting)
    assert computed == counts["candidates"]


def test_a_campaign_of_another_flow_waits_for_its_own_part():
    rows = [row_of(descriptors("a", xi=0.5)), row_of(descriptors("b", xi=0.2), label("b", 0.5))]
    _, waiting = screening_funnel(rows, [], replace(scope(["a", "b"]), part="label"))
    assert waiting == ["a"]


def test_rows_and_failures_belong_to_a_campaign_or_not():
    campaign = scope(["a"], keys={"a": "key of a"})
    assert campaign.holds(row_of(descriptors("a", xi=0.5)))
    assert not campaign.holds(row_of(descriptors("b", xi=0.5)))
    assert not campaign.holds(row_of(descriptors("a", xi=0.5, potential="sevennet:7net-0")))
    assert campaign.concerns(FailureDocument(**failure("a")))
    assert not campaign.concerns(FailureDocument(**failure("a", key="of another flow")))
    assert replace(campaign, keys={}).concerns(FailureDocument(**failure("a", key="any")))


def test_without_a_campaign_only_what_is_there_is_counted():
    rows = [row_of(descriptors("a", xi=0.5)), row_of(label("b", 0.5))]
    counts = steps(screening_funnel([*rows, duplicate_row(rows[0], "c")], [])[0])
    assert counts["materials"] == 2
    assert counts["further names of one of them"] == 1
    assert "crystals read" not in counts
    assert (counts["with a landscape"], counts["with a label"]) == (1, 1)


def test_summary_of_rows():
    relaxed = [{"code": "relaxed", "text": "0.7 eV/A."}, {"code": "relaxed", "text": "Twice."}]
    rows = [
        row_of(descriptors("a", xi=0.5, warnings=relaxed), validation("a", "confirmed")),
        row_of(
            descriptors("b", xi=0.2, warnings=relaxed[:1], settings={"step": 0.4}), label("b", 1)
        ),
        row_of(descriptors("c", xi=0.1), label("c", 1e-5)),
    ]
    rows.append(duplicate_row(rows[0], "d"))
    assert [one[:2] for one in missing_parts(rows, "xi")] == [
        ("prediction", 3),
        ("label", 1),
        ("validation", 2),
    ]
    assert "--policy network" in missing_parts(rows, "network")[-1][2]
    assert [(code, n) for code, n, _ in warning_counts(rows)] == [("relaxed", 2)]
    assert [n for _, n, _ in settings_groups(rows)] == [2, 1]
    assert ("landscape.grid_step_A", "0.25") in settings_groups(rows)[0][2]
    assert [use[3:] for use in potentials_used(rows)] == [("weights of chgnet", 3)]
    kinds = {one.kind: one for one in runs_by_kind(rows)}
    assert (kinds["descriptors"].n_runs, kinds["descriptors"].n_settings) == (3, 2)
    assert kinds["descriptors"].n_evaluations == 30
    assert kinds["diffusion"].n_used == 2
    assert verdict_counts(rows) == [
        ("dynamics", "diffusing", 1),
        ("dynamics", "not_diffusing", 1),
        ("validation", "confirmed", 1),
    ]


def test_failures_are_grouped_by_cause_the_most_frequent_first():
    failures, problems = read_failures(
        [failure("a"), failure("b", "too_large"), failure("c"), {"key": "odd"}]
    )
    causes = failure_causes(failures)
    assert [(code, len(some)) for code, some in causes] == [("disorder", 2), ("too_large", 1)]
    assert [one.material_id for one in causes[0][1]] == ["a", "c"]
    assert [problem.what for problem in problems] == ["failure odd"]


def test_broken_rows_are_named_and_old_ones_are_read():
    good = row_of(descriptors("good", xi=0.5)).model_dump() | {"rank": 1}
    old = row_of(descriptors("old", xi=0.2)).model_dump() | {"schema_version": "1.0", "rank": 2}
    broken = row_of(descriptors("broken", xi=0.1)).model_dump() | {"n_atoms": "many"}
    rows, problems = read_rows([{"key": "odd"}, old, broken, good], "xi")
    assert [row.material_id for row in rows] == ["good", "old"]
    reasons = {problem.what: problem.reason for problem in problems}
    assert "n_atoms" in reasons["row broken|Li|chgnet:0.3.0|weights of chgne|0.25 A exact"]
    assert "1.0" in reasons["row old|Li|chgnet:0.3.0|weights of chgne|0.25 A exact"]
    assert "row odd" in reasons


def made(n, **changes):
    return [
        row_of(
            landscape_parts(f"m{i}", 0.1 + 0.08 * i, mpe_eV=2 - 0.2 * i, chemical_system=f"s{i}"),
            label(f"m{i}", 10.0 ** (i - 6 if i % 2 else i - 5), **changes),
        )
        for i in range(n)
    ]


def test_methods_that_order_alike_agree_whichever_way_they_count():
    found = {(one.method.name, one.other.name): one for one in agreements(made(8))}
    assert found["xi", "mpe_eV"].measure.value == pytest.approx(1)
    assert found["xi", "mpe_eV"].n == 8
    dynamics = found["xi", "msd_slope"].measure
    assert 0.5 < dynamics.value < 1
    assert dynamics.low <= dynamics.value <= dynamics.high
    assert not any("predicted" in name for pair in found for name in pair)
    assert agreements(made(3)) == []


def test_runs_that_melted_are_left_out_of_the_agreement():
    rows = [*made(5), *[row_of(*parts) for parts in _melted(4)]]
    found = {(one.method.name, one.other.name): one.n for one in agreements(rows)}
    assert found["xi", "mpe_eV"] == 9
    assert found["xi", "msd_slope"] == 5


def _melted(n):
    return [
        (landscape_parts(f"x{i}", 0.3), label(f"x{i}", 1.0, verdict="melted")) for i in range(n)
    ]


def test_separation_is_that_of_verdicts():
    rows = made(8)
    found = {one.method.name: one for one in separations(rows)}
    diffusing = [row.xi for row in rows if row.label_verdict == "diffusing"]
    others = [row.xi for row in rows if row.label_verdict == "not_diffusing"]
    pairs = [(a > b) + 0.5 * (a == b) for a in diffusing for b in others]
    assert found["xi"].n_diffusing == len(diffusing)
    assert found["xi"].measure.value == pytest.approx(sum(pairs) / len(pairs))
    assert "msd_slope" not in found


def test_what_the_network_has_learned_does_not_count_as_its_agreement_with_dynamics():
    rows = [
        row.model_copy(
            update={"predicted_log10_msd_slope": i - 4.0, "prediction_in_training": i >= 6}
        )
        for i, row in enumerate(made(12))
    ]
    found = {(one.method.name, one.other.name): one.n for one in agreements(rows)}
    assert found["xi", "predicted_log10_msd_slope"] == 12
    assert found["predicted_log10_msd_slope", "msd_slope"] == 6
    told = {one.method.name: one.n for one in separations(rows)}
    assert (told["xi"], told["predicted_log10_msd_slope"]) == (12, 6)


def published(material_id, slope, temperature_K=1000.0, **fields):
    """Return the row of a data set of labels."""
    document = read_document(label(material_id, slope, temperature_K, **fields))
    return LabelRow.from_document(document)


def test_published_labels_fill_in_for_materials_without_their_own():
    bare, own = row_of(descriptors("a", xi=0.5)), row_of(descriptors("b", xi=0.2), label("b", 0.5))
    other = row_of(descriptors("c", xi=0.2))
    labels = [
        published("a", 3.0, 800.0),
        published("a", 4.0),
        published("b", 9.0),
        published("c", 1.0, weights="others"),
        published("d", 1.0),
    ]
    rows, used, problems = with_published([bare, own, other], labels)
    assert (rows[0].label_verdict, rows[0].msd_slope_A2_per_ps) == ("diffusing", 4.0)
    assert rows[0].present == ["landscape", "label"]
    assert "label" not in rows[0].missing
    assert [one.temperature_K for one in rows[0].labels] == [1000.0, 800.0]
    assert rows[1:] == [own, other]
    assert list(used) == [bare.key]
    assert [problem.what for problem in problems] == ["label of c in the data set"]


def test_distributions_count_what_is_missing():
    rows = [row_of(landscape_parts("a", 0.5, mpe_eV=None)), row_of(landscape_parts("b", 0.25))]
    found = {one.name: one for one in distributions(rows)}
    assert (found["mpe_eV"].values, found["mpe_eV"].n_missing) == ([0.5], 1)
    assert found["xi"].quartiles[1] == 0.375
    assert "activation_energy_eV" not in found


def test_numbers_have_the_digits_that_their_errors_leave():
    assert with_error(1.23456, 0.0345) == "1.235 ± 0.035"
    assert with_error(0.000123456, 0.0000045) == "(1.235 ± 0.045)e-04"
    assert with_error(123.0, 45.0) == "123 ± 45"
    assert with_error(0.5, None) == "0.500"
    assert with_interval(None, None, 0.0001) == "< 1.00e-04 (95 % bound)"
    assert with_interval(0.5, 0.25, 1.0) == "0.500 [0.250, 1.00]"
    assert plain(float("inf")) == "∞"
    assert plain(None) == plain(float("nan")) == "\N{EN DASH}"
