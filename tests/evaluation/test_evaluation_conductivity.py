"""Fitting the conductivity that is to be expected, on made-up samples with a known answer."""

import csv
from io import StringIO

import numpy as np
import pytest
from evaluation_rows import METALS, row

from superionic.errors import SettingsError
from superionic.evaluation.conductivity import (
    Sample,
    conductivity_csv,
    fit_conductivity,
    held_out_conductivities,
    lines_of,
    measures_of,
    read_samples,
)
from superionic.evaluation.scorers import group_of, package_scorers
from superionic.evaluation.truth import Measurement


def samples(n: int = 48) -> list[Sample]:
    """Return samples whose barrier decides, over chemistry that says nothing."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(n):
        metal, anion = METALS[i % len(METALS)], "OS"[i % 2]
        barrier = float(rng.random())
        crystal = row(
            f"m{i}",
            system=f"Li-{metal}-{anion}",
            formula=f"Li{metal}{anion}2",
            mpe_eV=barrier,
            barrier_1d_eV=barrier,
            barrier_2d_eV=barrier,
            barrier_3d_eV=barrier,
            diffusivity_ratio_1000K=0.1,
            diffusivity_ratio_min_1000K=0.1,
        )
        value = -2 - 8 * barrier + 0.3 * float(rng.normal())
        of_row = crystal if i % 4 else None
        kind = ("matched", "ordered")[i % 2] if of_row else ""
        system = crystal.chemical_system
        found.append(Sample(str(i), crystal.formula, system, metal, value, False, of_row, kind))
    return found


def test_what_inner_folds_choose_is_judged_on_systems_that_nothing_saw():
    all_samples = samples()
    found = held_out_conductivities(all_samples, lambda one: one.system, n_folds=4, n_inner=3)
    assert len(found.samples) == 36
    assert len(found.chosen) == 4
    ours, composition = (measures_of(found, name) for name in ("conductivity", "composition"))
    assert ours["roc_auc"] > 0.85
    assert ours["mae"] < composition["mae"]
    assert 0.7 <= ours["coverage"] <= 1.0
    lines = list(csv.DictReader(StringIO(conductivity_csv({"chemical system": found}))))
    first = lines[0]
    assert (first["score"], first["n"], first["crystals"]) == ("conductivity", "36", "all")
    assert float(first["mae"]) == ours["mae"]
    model = fit_conductivity(all_samples, found, "made up")
    assert [one.name for one in model.models] == ["landscape", "composition"]
    assert [one.n_rows for one in model.models] == [36, 48]
    # Its training samples are known again.
    assert model.knows(all_samples[1].row.material_id) == "by its identifier"
    assert model.knows("another name", all_samples[0].formula) == "by its composition"
    crystal = all_samples[1].row
    value = model.estimate(crystal)
    assert value.low < value.log10_S_per_cm < value.high
    # The file says what scikit-learn's trees say.
    assert value.log10_S_per_cm == pytest.approx(all_samples[1].log10_S_per_cm, abs=2)


def test_lines_through_single_numbers_are_those_of_the_measurements():
    all_samples = samples()
    rows = [one.row for one in all_samples if one.row is not None]
    found = lines_of(all_samples, package_scorers(group_of(rows), None))
    assert not {"free_volume", "consensus", "conductivity"} & set(found)
    # log10 of S/cm is -2 - 8 E and noise of 0.3; the score of a barrier is its negative.
    start, slope = found["barrier"]
    assert start == pytest.approx(-2, abs=1.5)
    assert 4 < slope < 9


def test_bounds_are_covered_by_intervals_that_reach_below_them():
    all_samples = samples()
    at_bound = [
        Sample(
            *(getattr(one, name) for name in ("entry", "formula", "system", "family")),
            20.0,
            True,
            one.row,
            one.kind,
        )
        for one in all_samples
    ]
    found = held_out_conductivities(all_samples, lambda one: one.system, n_folds=3, n_inner=2)
    asked = [one for one in at_bound if one.row is not None]
    moved = type(found)(asked, found.scores, found.low, found.high, found.chosen)
    assert measures_of(moved, "conductivity")["coverage"] == 1.0


def test_samples_are_read_with_the_crystal_that_stands_for_them(tmp_path):
    table = tmp_path / "obelix.csv"
    table.write_text(
        "obelix_id,reduced_composition,sigma_RT_S_cm,censored_upper_bound,family\n"
        "1,Li2O,1e-6,False,oxides\n2,Li2S,1e-10,True,\n"
    )
    rows = [row("noisy"), row("clean")]
    measured = [
        Measurement("noisy", "1", "ordered", 1e-6, False),
        Measurement("clean", "1", "matched", 1e-6, False),
    ]
    first, second = read_samples(table, rows, measured)
    assert (first.row.material_id, first.kind, first.log10_S_per_cm) == ("clean", "matched", -6.0)
    assert (second.row, second.is_bound, second.family) == (None, True, "none: 2")
    table.write_text("obelix_id\n1\n")
    with pytest.raises(SettingsError, match="cannot be used"):
        read_samples(table, rows, measured)
