"""One row for each material where several potentials have rows of it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "builders"))

from screening_helpers import descriptors

from superionic.errors import SettingsError
from superionic.schemas.document import Interval
from superionic.schemas.screen import DescriptorsDocument
from superionic.store.builders.rows import screening_document
from superionic.store.ranking.across import across_potentials


def row(material_id, potential, mpe_eV, xi, **changes):
    output = descriptors(material_id, xi=xi, mpe_eV=mpe_eV, potential=potential)
    found = screening_document([DescriptorsDocument.model_validate(output)])
    return found.model_copy(update=changes)


@pytest.fixture
def rows():
    bounds = {"mpe_eV": Interval(low=0.5, high=0.9), "xi": Interval(low=0.0, high=None)}
    return [
        row("a", "chgnet:0.3.0", 0.2, 0.9),
        row("a", "sevennet:7net-0", 0.7, 0.3, intervals=bounds),
        row("b", "chgnet:0.3.0", 0.4, 0.6),
        row("b", "sevennet:7net-0", 0.3, 0.5),
        row("c", "chgnet:0.3.0", None, 0.0),
    ]


def shown(found):
    return [(one.material_id, one.potential.partition(":")[0], one.rank) for one in found]


def test_the_less_favourable_or_the_more_favourable_row_stands_for_a_material(rows):
    """By the policy: a high barrier is as bad as a low Xi."""
    by_barrier = across_potentials(rows, "worst", "barrier")
    assert [(one.material_id, one.mpe_eV) for one in by_barrier] == [
        ("b", 0.4),
        ("a", 0.7),
        ("c", None),
    ]
    assert [one.ranks["barrier"] for one in by_barrier] == [1, 2, 3]
    assert shown(across_potentials(rows, "worst")) == [
        ("b", "sevennet", 1),
        ("a", "sevennet", 2),
        ("c", "chgnet", 3),
    ]
    assert [one.mpe_eV for one in across_potentials(rows, "best", "barrier")] == [0.2, 0.3, None]


def test_a_potential_that_is_named_goes_before_others(rows):
    assert shown(across_potentials(rows, "sevennet")) == [
        ("b", "sevennet", 1),
        ("a", "sevennet", 2),
        ("c", "chgnet", 3),  # it has no other
    ]
    with pytest.raises(SettingsError, match="no_such"):
        across_potentials(rows, "no_such")
    assert across_potentials([], "no_such") == []


def test_the_mean_is_that_of_numbers_and_of_the_ends_of_intervals(rows):
    first = across_potentials(rows, "mean", "barrier")[1]
    assert (first.material_id, first.mpe_eV) == ("a", pytest.approx(0.45))
    assert first.potential == "mean of chgnet:0.3.0, sevennet:7net-0"
    bounds = first.intervals["mpe_eV"]
    assert (bounds.low, bounds.high) == (pytest.approx(0.35), pytest.approx(0.55))
    assert first.intervals["xi"].high is None
    never = [row("a", "chgnet:0.3.0", None, 0.0), row("a", "sevennet:7net-0", 0.3, 0.5)]
    assert across_potentials(never, "mean")[0].mpe_eV is None  # one of them is infinite
