"""Tables of the data card of labels: what they count, how they compare, where they are put."""

import csv
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from superionic.report.tables.labels import read_data_set, write_data_set
from superionic.structures import read_candidates
from superionic.workflows.campaign.definition import read_campaign

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def statistics(load_benchmark):
    module = load_benchmark("label_statistics", "studies")
    module.N_RESAMPLES = 100
    return module


@pytest.fixture(scope="module")
def template():
    return read_data_set(ROOT / "datasets" / "labels_1000K.jsonl")[0]


def row(template, material_id, slope, verdict="diffusing", error=0.1):
    return template.model_copy(
        update={
            "material_id": material_id,
            "formula": f"Li{material_id}",
            "msd_slope_A2_per_ps": slope,
            "msd_slope_error_A2_per_ps": error,
            "verdict": verdict,
            "task_key": material_id,
        }
    )


def measurements(path, lines):
    names = ["mp_id", "obelix_id", "sigma_RT_S_cm", "censored", "sg_obelix", "sg_match"]
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        writer.writerows(lines)
    return path


def test_measurements_of_the_same_space_group_win_and_are_averaged(statistics, tmp_path):
    file = measurements(
        tmp_path / "measured.csv",
        [
            ("a", "1", "1e-3", "False", "1", "True"),
            ("a", "2", "1e-5", "False", "1", "True"),
            ("a", "2", "1e-5", "False", "1", "True"),  # listed twice, counted once
            ("a", "3", "1e-9", "False", "2", "False"),
            ("b", "4", "1e-10", "True", "2", "False"),
        ],
    )
    found = statistics.read_measured([file])
    assert found["a"].median_S_per_cm == pytest.approx(1e-4)
    assert found["a"].same_spacegroup
    assert not found["a"].censored
    assert found["b"].text() == "< 1.0e-10"
    assert not found["b"].same_spacegroup


def test_crystals_of_obelix_itself_have_their_own_measurement(statistics, tmp_path):
    own = tmp_path / "own.csv"
    own.write_text(
        "id,obelix_id,sigma_RT_S_cm,censored_upper_bound\n"
        "obelix-7,7,1e-6,False\nobelixapprox-8,8,1e-10,True\n"
    )
    matched = measurements(tmp_path / "measured.csv", [("a", "7", "1e-6", "False", "1", "True")])
    found = statistics.read_measured([matched, own])
    assert set(found) == {"a", "obelix-7", "obelixapprox-8"}
    assert all(one.same_spacegroup for one in found.values())
    assert [found[one].censored for one in ("obelix-7", "obelixapprox-8")] == [False, True]


def test_labels_in_the_order_of_experiment_correlate_and_melted_ones_stay_out(
    statistics, template, tmp_path
):
    slopes = [5.0, 2.0, 0.5, -0.02, 0.03]
    sigmas = ["1e-3", "2e-4", "1e-6", "1e-9", "1e-9"]
    rows = [
        row(template, f"mp-{i}", slope, "diffusing" if i < 3 else "not_diffusing")
        for i, slope in enumerate(slopes)
    ]
    rows.append(row(template, "mp-9", 9.0, "melted"))
    lines = [(f"mp-{i}", str(i), s, "False", "1", "True") for i, s in enumerate(sigmas)]
    lines.append(("mp-9", "9", "1e-12", "False", "1", "True"))
    measured = statistics.read_measured([measurements(tmp_path / "measured.csv", lines)])
    text = statistics.against_experiment(rows, measured)
    assert "| mp-9 | Limp-9 | 1.0e-12 | 9.000 +- 0.100 | melted |" in text
    # Both crystals without diffusion are tied: noise does not break the order.
    assert "Same space group (5 crystals" in text
    assert "conductivity 1.00 [1.00, 1.00]" in text
    assert "(1e-05 S/cm or more: 2)" in text
    assert "(1e-07 or less: 2) with probability 1.00" in text
    worst = statistics.against_experiment(
        [row(template, f"mp-{i}", slope) for i, slope in enumerate([0.1, 0.2, 0.3, 0.4, 0.5])],
        measured,
    )
    assert "conductivity -0.97" in worst
    assert "with probability 0.00" in worst
    nothing = statistics.against_experiment([row(template, "mp-77", 1.0)], measured)
    assert nothing == "No measured conductivity of the labelled crystals is known."


def test_a_single_row_is_made_again_as_the_card_says(tmp_path):
    published = read_data_set(ROOT / "datasets" / "labels_1000K.jsonl")
    wanted = next(row for row in published if row.material_id == "mp-755309")
    card = (ROOT / "datasets" / "README.md").read_text()
    lines = card.split("mkdir one")[1].split("superionic label --campaign one/")[0]
    commands = "mkdir one" + "\n".join(line.strip() for line in lines.splitlines())
    (tmp_path / "workflows").symlink_to(ROOT / "workflows")
    subprocess.run(["sh", "-ec", commands], cwd=tmp_path, check=True)
    campaign = read_campaign(tmp_path / "one" / "label_1000K.yaml")
    (crystal,) = read_candidates(campaign.crystals)
    assert campaign.maker("chgnet").key(crystal) == wanted.task_key


def test_slopes_are_counted_by_decade(statistics, template):
    slopes = [-0.1, 0.02, 0.5, 0.6, 3.0, 20.0]
    rows = [row(template, f"mp-{i}", slope) for i, slope in enumerate(slopes)]
    rows.append(row(template, "mp-9", 30.0, "melted"))
    assert statistics.distribution(rows) == (
        "1 below 0.01, 1 from 0.01 to 0.1, 2 from 0.1 to 1, 1 from 1 to 10, 1 above 10"
    )


def test_spread_counts_verdicts_and_ratios(statistics, template):
    first = [row(template, "a", 4.0), row(template, "b", 0.0, "not_diffusing")]
    again = {
        "seed1": [row(template, "a", 2.0), row(template, "b", 0.1, "unconverged")],
        "other": [row(template, "a", 4.1)],
    }
    text = statistics.spread(first, again)
    assert "| a | Lia | 4.000 +- 0.100, diffusing | 2.000 +- 0.100, diffusing | 4.100" in text
    assert "seed1: 1 of 2 verdicts are the same; 1 of 2 slopes differ by at most two" in text
    assert "(1), they differ by a factor of 2.00 in the median, at most 2.00" in text
    assert "other: 1 of 1 verdicts are the same; 1 of 1" in text


def test_the_command_replaces_what_it_made_and_nothing_else(statistics, template, tmp_path):
    card = tmp_path / "README.md"
    shutil.copy(ROOT / "datasets" / "README.md", card)
    before = card.read_text()
    labels = tmp_path / "labels.jsonl"
    write_data_set([row(template, "mp-736", 3.0), row(template, "mp-5840", 0.0)], labels)
    measured = measurements(
        tmp_path / "m.csv",
        [
            ("mp-736", "11b", "7e-4", "False", "194", "True"),
            ("mp-5840", "sg0", "1e-10", "True", "141", "True"),
        ],
    )

    def run(*arguments):
        command = ["--labels", labels, "--card", card, "--write", *arguments]
        statistics.main([str(word) for word in command])
        return card.read_text()

    with_experiment = run("--experiment", measured, "--again")
    assert "| mp-736 | Limp-736 | 7.0e-04 | 3.000 +- 0.100 | diffusing |" in with_experiment
    assert "< 1.0e-10" in with_experiment
    assert "**State.** 2 of 220 planned crystals are labelled." in with_experiment
    # Without experiments the table of the last time stays; and nothing outside the marks changes.
    assert run("--again") == with_experiment

    def outside(text):
        for name in ("statistics", "experiment", "spread"):
            begin, end = text.index(f"<!-- {name}:"), text.index(f"<!-- end of {name} -->")
            text = text[:begin] + text[end:]
        return text

    assert outside(with_experiment) == outside(before)


def test_the_card_says_what_the_published_files_hold():
    """The card is written again whenever labels are published."""
    rows = read_data_set(ROOT / "datasets" / "labels_1000K.jsonl")
    card = (ROOT / "datasets" / "README.md").read_text()
    assert f"**State.** {len(rows)} of 220 planned crystals are labelled." in card


def test_published_experiments_are_read(statistics):
    shared = os.environ.get("SUPERIONIC_TEST_SHARED")
    if not shared:
        pytest.skip("SUPERIONIC_TEST_SHARED does not name the folder of shared data")
    measured = statistics.read_measured([Path(shared) / "data" / "labels_obelix_to_mp_match.csv"])
    planned = (ROOT / "workflows" / "label_1000K_crystals.jsonl").read_text()
    known = {name: one for name, one in measured.items() if f'"{name}"' in planned}
    assert len(known) >= 20
    assert sum(one.same_spacegroup for one in known.values()) >= 10
    assert known["mp-2251"].median_S_per_cm == pytest.approx(5.767e-4)  # Li3N, P6/mmm
    assert known["mp-5840"].censored  # LiScO2


def test_what_another_potential_changes(statistics, template):
    def labels(potential, verdicts):
        return [
            row(template, f"mp-{i}", slope, verdict).model_copy(update={"potential": potential})
            for i, (slope, verdict) in enumerate(verdicts)
        ]

    soft = labels("soft:1", [(4.0, "diffusing"), (9.0, "melted"), (0.0, "not_diffusing")])
    stiff = labels("stiff:1", [(2.0, "diffusing"), (0.0, "not_diffusing"), (0.0, "not_diffusing")])
    lines = statistics.changes(soft, [*stiff, row(template, "mp-7", 1.0)]).splitlines()
    assert lines[0] == r"| soft:1 \ stiff:1 | diffusing | melted | not_diffusing | all |"
    assert lines[2:6] == [
        "| diffusing | 1 | 0 | 0 | 1 |",
        "| melted | 0 | 0 | 1 | 1 |",
        "| not_diffusing | 0 | 0 | 1 | 1 |",
        "| all | 1 | 0 | 2 | 3 |",
    ]
    assert "where neither melted (2)" in lines[-1]
    assert "Where both diffuse (1), the slope changes by a factor of 0.50" in lines[-1]
