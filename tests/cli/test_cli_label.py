"""Options of ``superionic label`` and campaign files of its flow, without running anything."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from superionic.errors import SettingsError
from superionic.report.tables.labels import read_data_set, runs_that_count
from superionic.structures import read_candidates
from superionic.workflows.campaign.definition import read_campaign
from superionic.workflows.makers.label import LabelMaker

WORKFLOWS = Path(__file__).parents[2] / "workflows"


def test_the_published_campaign_is_what_its_data_card_says():
    campaign = read_campaign(WORKFLOWS / "label_1000K.yaml")
    maker = campaign.maker("chgnet")
    assert isinstance(maker, LabelMaker)
    settings = maker.md_maker.md_settings()
    assert (settings.temperature_K, settings.timestep_fs, settings.seed) == (1000.0, 2.0, 0)
    assert settings.n_steps * settings.timestep_fs == 10_000
    assert settings.n_equilibration_steps * settings.timestep_fs == 2_000
    (crystals,) = campaign.crystals
    assert len(crystals.read_text().splitlines()) == 220


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("md_maker.n_steps: many", "n_steps"),
        ("md_maker.colour: 3", "colour"),
        ("md_maker.stop.min_production_ps: {}", "min_production_ps"),
    ],
)
def test_wrong_settings_are_named(tmp_path, line, word):
    file = tmp_path / "campaign.yaml"
    file.write_text(f"flow: label\ncrystals: [x]\nsettings:\n  {line}\n")
    with pytest.raises(SettingsError, match=word):
        read_campaign(file).maker("chgnet")


@pytest.mark.parametrize("name", ["label_1000K", "label_1000K_longer", "label_1000K_untouched"])
def test_published_labels_are_known_to_the_campaign_that_made_them(name):
    """Whoever changes a setting's name or default makes all of them be computed again."""
    published = read_data_set(
        WORKFLOWS.parent / "datasets" / f"{name.replace('label', 'labels')}.jsonl"
    )
    assert published
    campaign = read_campaign(WORKFLOWS / f"{name}.yaml")
    maker = campaign.maker("chgnet")
    crystals = {one.material_id: one for one in read_candidates(campaign.crystals)}
    for row in published:
        assert maker.key(crystals[row.material_id]) == row.task_key, row.material_id


def test_the_campaigns_for_the_spread_differ_in_one_thing():
    first = read_campaign(WORKFLOWS / "label_1000K.yaml").maker("chgnet")
    seed = read_campaign(WORKFLOWS / "label_spread_seed1.yaml").maker("chgnet")
    other = read_campaign(WORKFLOWS / "label_spread_tensornet.yaml").maker("chgnet")
    assert replace(first, md_maker=replace(first.md_maker, mb_velocity_seed=1)) == seed
    assert replace(first, potential="matgl:TensorNet-MatPES-PBE-v2025.1-PES") == other


def test_the_longer_campaign_has_no_choice_of_crystals_and_differs_in_its_length_alone():
    first = read_campaign(WORKFLOWS / "label_1000K.yaml").maker("chgnet")
    longer = read_campaign(WORKFLOWS / "label_1000K_longer.yaml")
    assert replace(first, md_maker=replace(first.md_maker, n_steps=15000)) == longer.maker("chgnet")
    # The forty that were predicted before they were labelled came after it.
    kept = WORKFLOWS.parent / "benchmarks" / "results" / "untouched_40_predictions.json"
    later = {row["material_id"] for row in json.loads(kept.read_text())["predictions"]}
    rows = read_data_set(WORKFLOWS.parent / "datasets" / "labels_1000K.jsonl")
    published = [row for row in rows if row.material_id not in later]
    assert (len(rows), len(published)) == (220, 180)
    wanted = {row.material_id for row in published if row.verdict == "unconverged"}
    diffusing = [row for row in published if row.verdict == "diffusing"]
    cheapest = sorted(diffusing, key=lambda row: row.wall_time_s)[:13]
    wanted |= {row.material_id for row in cheapest}
    assert {one.material_id for one in read_candidates(longer.crystals)} == wanted


def test_the_cold_campaign_has_what_melts_and_differs_in_its_temperature_alone():
    first = read_campaign(WORKFLOWS / "label_1000K.yaml").maker("chgnet")
    cold = read_campaign(WORKFLOWS / "label_700K.yaml")
    assert replace(first, md_maker=replace(first.md_maker, temperature=700.0)) == cold.maker(
        "chgnet"
    )
    files = [
        WORKFLOWS.parent / "datasets" / f"labels_1000K{name}.jsonl" for name in ("", "_longer")
    ]
    rows = runs_that_count([row for file in files for row in read_data_set(file)])
    molten = {row.material_id for row in rows if row.verdict == "melted"}
    assert {one.material_id for one in read_candidates(cold.crystals)} == molten


def test_the_untouched_campaign_differs_in_its_crystals_alone():
    first = read_campaign(WORKFLOWS / "label_1000K.yaml")
    untouched = read_campaign(WORKFLOWS / "label_1000K_untouched.yaml")
    assert first.maker("chgnet") == untouched.maker("chgnet")
    learned = {one.material_id for one in read_candidates(first.crystals)}
    tested = {one.material_id for one in read_candidates(untouched.crystals)}
    assert len(tested) == 30
    assert not learned & tested


def test_the_smallest_crystals_are_the_first_of_the_campaign():
    """They were not chosen by what came out."""
    every = (WORKFLOWS / "label_1000K_crystals.jsonl").read_text().splitlines()
    smallest = (WORKFLOWS / "label_spread_smallest_crystals.jsonl").read_text().splitlines()
    assert smallest == every[:12]
