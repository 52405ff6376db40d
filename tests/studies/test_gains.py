"""How scores are compared, and on which crystals."""

import numpy as np

from studies.gains import BASE, answers_of, champion_roles, comparison, parts_of, standing
from superionic.evaluation.truth import Measurement, Truth


def test_gains_are_paired():
    rng = np.random.default_rng(0)
    names = [f"crystal {i}" for i in range(60)]
    noise = rng.uniform(size=60)
    answers = {name: i % 3 == 0 for i, name in enumerate(names)}
    scores = {
        "perfect": {name: float(answers[name]) for name in names},
        BASE: dict(zip(names, noise, strict=True)),
    }
    text = comparison(scores, {"conducts": answers}, {name: name for name in names})
    heads, _, perfect, base = text.splitlines()
    assert "conducts: 60 (20)" in heads
    assert perfect.startswith("| perfect | 1.00 [1.00, 1.00] | +0.")
    assert base.endswith("| - |")


def test_one_crystal_stands_for_a_sample_and_what_is_open_is_left_out():
    def measured(name, entry, crystal):
        return Measurement(name, entry, crystal, 1e-3, False)

    parts = parts_of(
        [
            measured("a", "1", "approximant"),
            measured("b", "1", "matched"),
            measured("c", "2", "approximant"),
            measured("not walked", "3", "ordered"),
        ],
        {"a", "b", "c"},
    )
    found = {title: [one.material_id for one in part] for title, part in parts.items()}
    assert sorted(found["one crystal a sample"]) == ["b", "c"]
    assert (found["ordered and matched"], found["approximants"]) == (["b"], ["c"])
    truths = {
        "a": Truth("a", -3.0, -3.0),
        "b": Truth("b", -np.inf, -4.0),
        "c": Truth("c", -6.0, -6.0),
    }
    assert answers_of(["a", "b", "c", "d"], truths, -5.0) == {"a": True, "c": False}


def test_known_conductors_stand_where_a_score_puts_them():
    names = [f"crystal {i}" for i in range(10)]
    score = {name: float(i) for i, name in enumerate(names)}
    roles = {
        "crystal 9": "conductor",
        "crystal 7": "conductor",
        "crystal 0": "poor",
        "else": "poor",
    }
    heads, _, up, down = standing(
        {"up": score, "down": {name: -value for name, value in score.items()}}, names, roles
    ).splitlines()
    assert "of 10 crystals" in heads
    assert "| conductor, median percentile: 2 | poor, median percentile: 1 |" in heads
    assert (up, down) == ("| up | 85 | 5 |", "| down | 15 | 95 |")
    known = champion_roles()
    assert {known["mp-2251"], known["mp-5840"]} == {"conductor", "poor"}
