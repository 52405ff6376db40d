"""Commands that compute again what a report shows."""

import pytest
from report_documents import documents_of, landscape_parts, prediction, row_of

from superionic.report.html import repeat
from superionic.report.html.repeat import repeat_commands
from superionic.workflows.makers.predict import PredictMaker
from superionic.workflows.makers.screen import ScreenMaker


def test_the_usual_forces_are_those_of_the_makers():
    usual = {
        ScreenMaker: repeat._SCREENED_ABOVE_eV_PER_A,
        PredictMaker: repeat._PREDICTED_ABOVE_eV_PER_A,
    }
    for maker, force in usual.items():
        assert maker().relax_maker.max_force_eV_per_A == force


@pytest.mark.parametrize(
    ("relaxed", "option", "beyond"),
    [
        (None, "--relax never", {}),
        ({"max_force_eV_per_A": None}, "--relax never", {}),
        ({"max_force_eV_per_A": 0.1, "relax_cell": False}, "--relax auto", {}),
        ({"max_force_eV_per_A": 0.1, "relax_cell": True}, "--relax cell", {}),
        (
            {"max_force_eV_per_A": 0.3, "relax_cell": False},
            "--relax auto",
            {"relax_maker.max_force_eV_per_A": "0.3"},
        ),
    ],
)
def test_the_command_of_a_prediction_relaxes_as_it_did(relaxed, option, beyond):
    parts = [landscape_parts("a", 0.5), prediction("a", 0.3)]
    parts[1]["settings"] = {} if relaxed is None else {"relaxed": relaxed}
    row = row_of(*parts)
    (command,) = (
        one
        for one in repeat_commands(documents_of(row, *parts), "a.cif")
        if one.part == "prediction"
    )
    assert option in command.text
    assert dict(command.beyond).keys() == {"network", *beyond}
    assert beyond.items() <= dict(command.beyond).items()


def test_a_refined_landscape_is_repeated_from_the_first_one():
    part = landscape_parts("a", 0.5)
    row = row_of(part)
    settings = {"landscape": {"grid_step_A": 0.3, "learned": {"max_energies": 40}}}
    changes = {"prior_potential": "sevennet:7net-0", "settings": settings}
    row = row.model_copy(update=changes)
    first, second = repeat_commands(documents_of(row, part), "a.cif")
    assert first.text.startswith("superionic screen a.cif --mobile Li --potential sevennet:7net-0")
    assert "--step 0.3" in first.text
    assert "--learned" not in first.text
    assert second.text == (
        "superionic refine a.cif --mobile Li --prior sevennet:7net-0 --potential chgnet:0.3.0 "
        "--max-energies 40"
    )
