"""``superionic submit`` takes the settings that ``superionic screen`` takes."""

import pytest
from campaign_fixtures import TOY, write_crystals
from typer.testing import CliRunner

from superionic.cli.app import app

OPTIONS = ("--step", "0.6", "--exact", "--min-width", "6", "--relax", "never")


@pytest.mark.process
def test_what_was_screened_is_finished_for_submit_with_the_same_options(run, database, tmp_path):
    def submit(*arguments):
        done = CliRunner().invoke(app, ["submit", *map(str, arguments), "--dry-run"])
        return f"{done.output}{done.exception or ''}"

    crystals = tmp_path / "crystals"
    write_crystals(crystals, 1)
    same = ("--potential", TOY)
    run("screen", crystals, *same, *OPTIONS)
    found = {
        options: submit(crystals, *same, *options)
        for options in (OPTIONS, OPTIONS[:3], OPTIONS[2:], ())
    }
    assert "1 are finished already" in found[OPTIONS]
    for options in (OPTIONS[:3], OPTIONS[2:], ()):
        assert "1 materials would be submitted" in found[options], options
    # Beside a campaign file, an option goes before what the file says.
    file = tmp_path / "campaign.yaml"
    file.write_text(
        "crystals: [crystals]\n"
        "settings:\n"
        "  landscape_maker.settings.grid_step_A: 1.0\n"
        "  prepare_maker.settings.supercell_min_width_A: 6\n"
    )
    beside = ("--campaign", file, *same, "--step", "0.6", "--relax", "never")
    assert "1 are finished already" in submit(*beside, "--exact")
    assert "1 are finished already" in submit(*beside), "every point answers for a learned one"
    # A landscape without its arrays is none, here as for 'screen'.
    database.job_store.additional_stores["data"].remove_docs({})
    assert "1 materials would be submitted" in submit(crystals, *same, *OPTIONS)
    assert "flow 'label'" in submit(crystals, *same, "--flow", "label", "--step", "1")
