"""A user's own measurements: what is left out by name, and what the table says of the rest."""

from dataclasses import replace

import numpy as np
import pytest
from evaluation_rows import METALS, row

from superionic.errors import SettingsError
from superionic.evaluation.measured import Sample, evaluate_measured, read_measured
from superionic.report.tables.measured import measured_csv, measured_markdown
from superionic.statistics import roc_auc, spearman
from superionic.store.ranking.conductivity import load_conductivity

HEAD = "material_id,conductivity_S_per_cm,temperature_K\n"


@pytest.fixture
def table(tmp_path):
    def write(text: str):
        file = tmp_path / "measured.csv"
        file.write_text(text)
        return file

    return write


def crystals(n: int = 24):
    """Return rows of made-up compositions, with conductivities that the free volume decides."""
    rng = np.random.default_rng(1)
    rows, samples = [], []
    for i in range(n):
        metal = METALS[i % len(METALS)]
        volume = float(rng.uniform(0.05, 0.6))
        rows.append(
            row(
                f"m{i}",
                system="-".join(sorted(("Li", metal, "Te"))),
                formula=f"Li{2 + i}{metal}Te7",
                fv_disconnected_2eV=volume,
                free_volume_2eV_A3_per_ion=30 * volume,
                diffusivity_ratio_1000K=0.1,
                diffusivity_ratio_min_1000K=0.1,
            )
        )
        samples.append(Sample(f"m{i}", -10 + 14 * volume + float(rng.normal()), False, 298.0))
    return rows, samples


def of(found, name: str):
    return next(line for line in found.lines if line.scorer == name)


def test_every_policy_and_baseline_is_measured_on_the_same_crystals():
    rows, samples = crystals()
    barriers = {one.material_id: {1: 0.1 * i, 3: 0.2 * i} for i, one in enumerate(samples)}
    found = evaluate_measured(samples, rows, bond_valence=barriers, n_resamples=50)
    names = [line.scorer for line in found.lines]
    assert names == [
        *("xi", "barrier", "free_volume", "consensus", "calibrated", "conductivity"),
        *("composition", "volume_A3_per_atom", "bond_valence_1d_eV", "bond_valence_3d_eV"),
    ]
    assert {line.n for line in found.lines} == {24}
    assert (found.n_crystals, found.n_systems, found.n_kin) == (24, 15, 0)
    y = np.array([one.log10_S_per_cm for one in samples])
    volumes = np.array([one.fv_disconnected_2eV for one in rows])
    ours = of(found, "free_volume")
    for threshold in (1e-5, 1e-4):
        auc = ours.roc_auc[threshold]
        assert auc.value == pytest.approx(roc_auc(y > np.log10(threshold), volumes))
        assert auc.low <= auc.value <= auc.high
    assert ours.spearman.value == pytest.approx(spearman(y, volumes))
    assert (ours.mae, ours.r2, ours.coverage) == (None, None, None)
    model = load_conductivity()
    estimates = [model.estimate(one) for one in rows]
    values = np.array([one.log10_S_per_cm for one in estimates])
    line = of(found, "conductivity")
    assert line.mae.value == pytest.approx(np.mean(np.abs(values - y)), abs=1e-5)
    assert line.r2.value == pytest.approx(
        1 - np.sum((values - y) ** 2) / np.sum((y - y.mean()) ** 2)
    )
    inside = [one.low <= value <= one.high for one, value in zip(estimates, y, strict=True)]
    assert line.coverage.value == pytest.approx(np.mean(inside))
    assert line.coverage.low <= line.coverage.value <= line.coverage.high
    assert of(found, "composition").mae.value != line.mae.value
    # A number that is no conductivity becomes one by the line of the training set.
    start, slope = model.lines["volume_A3_per_atom"]
    by_line = of(found, "volume_A3_per_atom")
    assert by_line.mae.value == pytest.approx(np.mean(np.abs(start + slope * 15.0 - y)))
    assert by_line.coverage is None
    assert {one.scorer for one in found.lines if one.mae is None} == {"free_volume", "consensus"}
    text = measured_markdown(found)
    assert f"| `free_volume` | 24 ({ours.n_above[1e-5]}, {ours.n_above[1e-4]}) |" in text
    assert len(measured_csv(found).splitlines()) == 1 + 2 * len(names)


def test_what_the_model_has_learned_is_left_out_whatever_its_name():
    rows, samples = crystals()
    known = [
        row("mine", formula="Li6PS5Cl", system="Cl-Li-P-S"),
        row("mp-736", formula="Li9Ta7Te8"),
    ]
    # Published as disordered: its ordering has another composition.
    known += [row("ordered", formula="Li4Ti5(PO4)9", system="Li-O-P-Ti")]
    alias = row("other name", formula="Li5MgTe7", duplicate_of="m3")
    more = [Sample(one.material_id, -20.0, False, 298.0) for one in (*known, alias)]
    found = evaluate_measured(
        [*samples, *more],
        [*rows, *known, alias],
        formulas={"ordered": "Li1.3 Al0.3 Ti1.7 P3 O12"},
        n_resamples=10,
    )
    assert [(one.material_id, one.reason.rsplit(", ")[-1]) for one in found.learned] == [
        ("mine", "by its composition"),
        ("mp-736", "by its identifier"),
        ("ordered", "by its composition"),
    ]
    # The other name is a second measurement of m3, decades away.
    assert [one.material_id for one in found.left_out] == ["m3"]
    assert found.n_crystals == 23
    said = measured_markdown(found)
    assert "that 'conductivity' has learned, left out: 3**" in said


def test_an_unlike_composition_is_not_one_of_the_training_set():
    model = load_conductivity()
    assert model.knows("x", "Li12P2S10Cl2") == "by its composition"
    assert model.knows("x", "Li6.02PS5Cl") == "by its composition"
    assert model.knows("x", "Li6.3PS5Cl") is None
    assert model.knows("x", "", "nonsense") is None


def test_measurements_that_contradict_each_other_are_named_and_left_out():
    rows, samples = crystals()
    value = samples[0].log10_S_per_cm
    twice = [replace(samples[0], log10_S_per_cm=value + 5)]
    near = [replace(samples[1], log10_S_per_cm=samples[1].log10_S_per_cm + 1.0)]
    bound = [replace(samples[2], log10_S_per_cm=samples[2].log10_S_per_cm - 3, is_bound=True)]
    same = [samples[3]]
    found = evaluate_measured([*samples, *twice, *near, *bound, *same], rows, n_resamples=10)
    assert [one.material_id for one in found.left_out] == ["m0", "m2"]
    assert "5.0 decades apart" in found.left_out[0].reason
    assert f"{10**value:.2g}" in found.left_out[0].reason
    assert found.n_crystals == 22
    # Of two that agree the median counts, and the same one twice is one.
    alone = evaluate_measured(
        [replace(samples[1], log10_S_per_cm=samples[1].log10_S_per_cm + 0.5), *samples[3:]],
        rows,
        n_resamples=10,
    )
    assert of(found, "conductivity").mae.value == pytest.approx(of(alone, "conductivity").mae.value)


def test_a_temperature_in_another_unit_is_refused_by_name(table):
    text = "a,1e-4,25\nb,1e-4,298\nc,1e-4,1200\nd,1e-4,hot\n"
    samples, left_out = read_measured(table(HEAD + text))
    assert [one.material_id for one in samples] == ["b"]
    assert [one.material_id for one in left_out] == ["a", "c", "d"]
    assert "name the column temperature_C" in left_out[0].reason
    in_celsius = HEAD.replace("_K", "_C")
    samples, left_out = read_measured(table(in_celsius + "a,1e-4,25\nb,1e-4,298\nc,1e-4,-200\n"))
    assert samples[0].temperature_K == pytest.approx(298.15)
    assert [one.material_id for one in left_out] == ["c"]
    # 298 C can be meant: it is not room temperature, and it is said what else it may be.
    rows, others = crystals()
    found = evaluate_measured([*others, *samples], [*rows, row("b")], n_resamples=10)
    assert [one.material_id for one in found.left_out] == ["b"]
    assert "if 298 is in K, name the column temperature_K" in found.left_out[0].reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("material_id,conductivity,temperature_K\na,1,298\n", "with their unit"),
        ("material_id,conductivity_S_per_cm\na,1\n", "holds the temperature"),
        ("name,conductivity_S_per_cm,temperature_K\na,1,298\n", "names the crystal"),
        ("id,conductivity_S_per_cm,temperature_K,temperature_C\na,1,298,25\n", "more than one"),
        (HEAD, "holds no measurement"),
        ("", "no column"),
    ],
)
def test_a_table_without_units_or_columns_is_refused(table, text, said):
    with pytest.raises(SettingsError, match=said):
        read_measured(table(text))


def test_units_bounds_and_values_that_are_none(table):
    text = "a,<2e-3,298\nb,0.5,298\nc,-4,298\nd,1e9,298\ne,,298\n,1,298\n"
    samples, left_out = read_measured(table(HEAD.replace("_S_per_cm", "_mS_per_cm") + text))
    assert [(one.material_id, one.is_bound) for one in samples] == [("a", True), ("b", False)]
    assert [one.log10_S_per_cm for one in samples] == pytest.approx([-5.699, -3.301], abs=1e-3)
    assert [one.material_id for one in left_out] == ["c", "d", "e", "line 7"]
    assert "log10_conductivity_S_per_cm" in left_out[0].reason
    text = "id,log10_conductivity_S_per_cm,temperature_K,is_upper_bound\na,-10,298,True\nb,5,298,\n"
    samples, left_out = read_measured(table(text))
    assert samples == [Sample("a", -10.0, True, 298.0)]
    assert "look at its unit" in left_out[0].reason


def test_a_bound_counts_where_it_decides_and_is_covered_by_an_interval_below_it():
    rows, samples = crystals()
    model = load_conductivity()
    low = model.estimate(rows[0]).low
    at = [replace(samples[0], log10_S_per_cm=low + 20, is_bound=True), *samples[1:]]
    found = evaluate_measured(at, rows, n_resamples=10)
    exact = evaluate_measured([replace(at[0], is_bound=False), *samples[1:]], rows, n_resamples=10)
    gain = of(found, "conductivity").coverage.value - of(exact, "conductivity").coverage.value
    assert gain == pytest.approx(1 / 24)


def test_crystals_without_a_landscape_are_named_with_the_command():
    rows, samples = crystals()
    bare = row("bare", formula="Li9Ta7Te8", landscape=False)
    more = [Sample(name, -3.0, False, 298.0) for name in ("bare", "nobody", "broken")]
    found = evaluate_measured(
        [*samples, *more], [*rows, bare], unreadable={"broken": "no lattice"}, n_resamples=10
    )
    assert [(one.material_id, one.reason) for one in found.lacking] == [
        ("bare", "a row without a landscape"),
        ("nobody", "no row of Li, chgnet:0.3.0"),
        ("broken", "no lattice"),
    ]
    text = measured_markdown(found, "my folder")
    assert "superionic screen my folder --mobile Li --potential chgnet:0.3.0" in text


def test_of_a_crystal_with_two_mobile_ions_the_row_of_the_ion_counts():
    rows, samples = crystals()
    both = [
        row("both", formula="LiNa2Te9", mobile_species=ion, key=f"both|{ion}", xi=0.1)
        for ion in ("Li", "Na")
    ]
    asked = [*samples, Sample("both", -3.0, False, 298.0)]
    assert evaluate_measured(asked, [*rows, *both], n_resamples=10).n_crystals == 25
    found = evaluate_measured(asked, [*rows, *both], mobile_species="Na", n_resamples=10)
    assert (found.n_crystals, len(found.lacking)) == (1, 24)
    # The model of lithium says nothing of sodium, and has learned nothing of it.
    assert not {"conductivity", "composition"} & {line.scorer for line in found.lines}
    learned = [one.model_copy(update={"formula": "Li6PS5Cl"}) for one in both]
    found = evaluate_measured(asked, [*rows, *learned], mobile_species="Na", n_resamples=10)
    assert (found.n_crystals, found.learned) == (1, [])
    assert "Coverage" not in measured_markdown(found)
    assert [one.material_id for one in evaluate_measured(asked, [*rows, *learned]).learned] == [
        "both"
    ]


def test_nothing_left_is_said_and_not_a_table():
    rows, _ = crystals()
    found = evaluate_measured([Sample("nobody", -3.0, False, 298.0)], rows, n_resamples=10)
    assert found.lines == []
    assert "No crystal is left" in measured_markdown(found)
