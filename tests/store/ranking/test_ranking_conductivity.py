"""The conductivity that is to be expected: its file, what it answers, and what it does not."""

import numpy as np
import pytest

import screening_rows
from superionic.errors import SettingsError
from superionic.report.tables.ranking import ranking_records, ranking_table
from superionic.schemas.screening import ScreeningDocument
from superionic.store.ranking.conductivity import (
    Conductivity,
    Tree,
    TreeModel,
    composition_inputs,
    inputs_of,
    load_conductivity,
)
from superionic.store.ranking.policies import ConductivityPolicy, get_policy, ranked

LANDSCAPE = {
    "xi": 0.5,
    "mpe_eV": 0.4,
    "barrier_1d_eV": 0.4,
    "barrier_2d_eV": 0.5,
    "barrier_3d_eV": 0.5,
    "diffusivity_ratio_1000K": 0.1,
    "diffusivity_ratio_min_1000K": 0.05,
    "fv_connected": 0.05,
    "fv_disconnected": 0.1,
    "fv_disconnected_2eV": 0.4,
    "free_volume_A3_per_ion": 4.0,
    "free_volume_2eV_A3_per_ion": 15.0,
}


SULPHIDE = {
    "elements": ["Li", "P", "S"],
    "chemical_system": "Li-P-S",
    "n_atoms": 8,
    "n_mobile": 3,
    "volume_A3_per_atom": 20.0,
    "mobile_fraction": 0.375,
}


def row(material_id="a", formula="Li3PS4", **fields) -> ScreeningDocument:
    return screening_rows.row(material_id, formula=formula, **(SULPHIDE | fields))


def small(**fields) -> Conductivity:
    step = Tree([0, -2, -2], [0.25, 0.0, 0.0], [1, -1, -1], [2, -1, -1], [0.0, -1.0, 1.0])
    by_xi = TreeModel("landscape", ["xi"], -6.0, 2.0, [step], [1.0, -0.1, 0.3, 2.0], 9, {})
    lithium = ["mobile_fraction_of_formula"]
    by_formula = TreeModel("composition", lithium, -9.0, 1.0, [step], [1.0, 0, 0.3, 2.0], 9, {})
    values = {"potential": "chgnet:0.3.0", "temperature_K": 300.0, "level": 0.9}
    values |= {
        "models": [by_xi, by_formula],
        "formulas": ["Li3PS4"],
        "source": "",
        "fitted_with": "",
    }
    return Conductivity(mobile_species="Li", **(values | fields))


def test_the_estimate_is_that_of_the_trees_and_its_interval_grows_towards_poor_conductors():
    model = small()
    fast, slow = (model.estimate(row(xi=x)) for x in (0.5, 0.1))
    assert (fast.log10_S_per_cm, slow.log10_S_per_cm) == (-4.0, -8.0)
    assert (fast.model, fast.strange) == ("landscape", [])
    assert fast.high - fast.low == pytest.approx(2 * 1.4 * 2)
    assert slow.high - slow.low == pytest.approx(2 * 1.8 * 2)


def test_missing_pieces_are_answered_by_the_composition_and_other_ions_not_at_all():
    model = small()
    bare = model.estimate(row())  # no landscape
    assert (bare.model, bare.log10_S_per_cm) == ("composition", -8.0)
    other = model.estimate(row(xi=0.5, potential="matgl:other"))
    assert other.model == "composition"
    assert model.estimate(row(elements=["Li", "Rb"])).strange == ["Rb"]
    assert model.lacks(row(mobile_species="Na")) == "not known for Na: fitted on Li only"
    assert "no composition" in model.lacks(row(formula="Li"))
    assert "no composition" in model.lacks(row(formula="glass"))


def test_the_file_comes_back_as_it_was_and_others_are_refused():
    assert Conductivity.from_json(small().to_json()) == small()
    for text in ("{}", "[]", '{"format": 1, "models": []}', "nothing"):
        with pytest.raises(SettingsError, match="no model of conductivities"):
            Conductivity.from_json(text)


def test_the_policy_ranks_and_says_what_a_row_lacks():
    rows = [row("slow", xi=0.1), row("fast", xi=0.5), row("sodium", mobile_species="Na")]
    policy = ConductivityPolicy(load=small)
    places = policy.places(rows)
    assert [place.row.material_id for place in places] == ["fast", "slow", "sodium"]
    assert places[-1].reason == "not known for Na: fitted on Li only"
    assert ConductivityPolicy(load=lambda: None).lacks(rows[0]) == "no model of conductivities"


def test_the_model_of_the_package_answers_with_its_interval_in_table_and_records():
    model = load_conductivity()
    assert (model.mobile_species, model.temperature_K) == ("Li", 300.0)
    complete, bare = row(**LANDSCAPE), row("b")
    assert model.estimate(complete).model == "landscape"
    assert model.estimate(bare).model == "composition"
    (first, second) = ranked([complete, bare], "conductivity")
    record = next(r for r in ranking_records([first, second], "conductivity"))
    name = "estimated_log10_conductivity_300K"
    assert record[f"{name}_low"] < record[name] < record[f"{name}_high"]
    assert record["score"] == pytest.approx(record[name], abs=1e-3)
    assert f"{record[name]:.1f} [" in ranking_table([first, second], "conductivity")
    sodium = row("c", mobile_species="Na")
    assert get_policy("conductivity").lacks(sodium).startswith("not known for Na")
    assert ranking_records([sodium])[0][name] is None


def test_inputs_of_a_composition_are_those_of_its_framework():
    found = composition_inputs("Li2O", "Li")
    assert found["mobile_fraction_of_formula"] == pytest.approx(2 / 3)
    assert found["fraction_O"] == pytest.approx(1.0)
    assert found["norm_of_fractions"] == pytest.approx(1.0)
    assert (found["least_row"], found["most_row"]) == (2.0, 2.0)
    assert found["spread_X"] == pytest.approx(0.0)
    assert composition_inputs("Li4O2", "Li") == pytest.approx(found)
    assert "xi" not in inputs_of(row())
    assert inputs_of(row(**LANDSCAPE))["xi"] == 0.5


def test_many_rows_have_the_estimates_that_each_has_alone():
    """The walk of the file's own trees, node by node, says the same to the last digit."""
    model = load_conductivity()
    formulas = ("Li3PS4", "Li6PS5Cl", "Li7La3Zr2O12", "LiTi2(PO4)3")
    rows = []
    for i, formula in enumerate(formulas * 5):
        given = LANDSCAPE | {"mpe_eV": 0.1 * i, "barrier_3d_eV": 0.15 * i, "xi": 0.04 * i}
        rows.append(row(f"m{i}", formula, **(given if i % 3 else {})))
    many = model.estimates(rows)
    assert len(set(many)) > 10
    assert [model.estimate(one).log10_S_per_cm for one in rows] == many
    for one, value in zip(rows, many, strict=True):
        chosen = model.models[0 if one.xi is not None else 1]
        known = inputs_of(one)
        inputs = np.array([known[name] for name in chosen.features]).astype(np.float32)
        total = 0.0
        for tree in chosen.trees:
            node = 0
            while tree.feature[node] >= 0:
                left = inputs[tree.feature[node]] <= tree.threshold[node]
                node = (tree.left if left else tree.right)[node]
            total += tree.value[node]
        assert value == chosen.start + chosen.rate * total
    assert model.estimates([]) == []
