"""Conductivities at other temperatures: what is carried on must come back."""

import json
from collections import Counter

import numpy as np
import pytest
from ase.units import kB

from studies.measured_temperatures import (
    CRYSTALS,
    LOG10_PREFACTOR_S_K_PER_CM,
    RESULT,
    Measured,
    activation_energy_eV,
    carried_on,
    energy_of_prefactor_eV,
    read_liion,
    table,
)


def series(energy_eV, temperatures_K, prefactor=1e4, source="one"):
    return [
        Measured(one, prefactor / one * np.exp(-energy_eV / (kB * one)), source)
        for one in temperatures_K
    ]


def test_the_energy_of_a_series_comes_back_and_sources_are_not_mixed():
    values = series(0.31, (300.0, 350.0, 420.0))
    assert activation_energy_eV(values) == pytest.approx(0.31)
    # Another laboratory's sample is ten times worse; its series alone has a slope.
    other = series(0.35, (290.0, 400.0), prefactor=1e3, source="two")
    assert activation_energy_eV(values + other) == pytest.approx(0.33)
    assert activation_energy_eV(series(0.3, (300.0, 330.0))) is None


def test_a_conductivity_is_carried_on_as_its_energy_says():
    cold, hot = (np.log10(one.sigma_S_per_cm) for one in series(0.42, (300.0, 500.0)))
    assert carried_on(cold, 0.42, 500.0) == pytest.approx(hot)
    (one,) = series(0.5, (300.0,), prefactor=10**LOG10_PREFACTOR_S_K_PER_CM)
    assert energy_of_prefactor_eV(np.log10(one.sigma_S_per_cm)) == pytest.approx(0.5)


def test_temperatures_are_kelvin_and_what_is_none_is_refused(tmp_path):
    file = tmp_path / "measured.csv"
    head = "composition,temperature_C,sigma_S_cm,doi\n"
    file.write_text(head + "Li3N,25.0,1e-3,x\nLi6N2,100.0,1e-2,x\n")
    assert [one.temperature_K for one in read_liion(file)["Li3N"]] == [298.15, 373.15]
    file.write_text(head + "Li3N,-300.0,1e-3,x\n")
    with pytest.raises(SystemExit, match="Li3N"):
        read_liion(file)


def test_the_crystals_are_those_that_the_rule_gives(shared):
    measured = read_liion(shared / "data" / "labels_liion_temperature.csv")
    crystals = [json.loads(line) for line in CRYSTALS.read_text().splitlines()]
    assert {one["formula"] for one in crystals} <= set(measured)
    assert max(Counter(one["material_id"] for one in crystals).values()) == 1


def test_the_table_is_what_the_rows_give(shared):
    assert table(shared / "data") == RESULT.read_text()
