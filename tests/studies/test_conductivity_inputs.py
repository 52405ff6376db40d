"""Inputs that decide are found to help, and those that say nothing are not."""

import numpy as np
import pytest
from evaluation_rows import METALS, row

from studies import conductivity_inputs
from superionic.evaluation.conductivity import Sample
from superionic.schemas.document import Interval


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    found = []
    for i in range(60):
        metal, anion = METALS[i % len(METALS)], "OS"[i % 2]
        crystal = row(
            f"m{i}",
            system=f"Li-{metal}-{anion}",
            formula=f"Li{metal}{anion}2",
            mpe_eV=0.5,
            barrier_1d_eV=0.5,
            barrier_2d_eV=0.5,
            barrier_3d_eV=0.5,
            diffusivity_ratio_1000K=0.1,
            diffusivity_ratio_min_1000K=0.1,
        )
        value = -2 - 8 * float(rng.random())
        system = crystal.chemical_system
        found.append(
            Sample(str(i), crystal.formula, system, metal, value, False, crystal, "ordered")
        )
    return found


def lines(text, of):
    table = text.split(f"left out by {of}")[1].split("\n\n")[0].splitlines()[2:]
    return {
        cells[0]: cells[1:]
        for cells in ([c.strip() for c in line.split("|")[1:-1]] for line in table)
    }


def test_energies_that_decide_lower_the_error_and_widths_that_are_alike_do_not(samples):
    pairs = {one.row.material_id: -(one.log10_S_per_cm + 2) / 8 for one in samples[:50]}
    text = conductivity_inputs.table(samples, pairs)
    assert text.startswith("50 samples whose crystal has a pair")
    for group in ("chemical system", "family"):
        found = lines(text, group)
        assert float(found["and carriers"][1].split()[0]) < -1.0
        assert abs(float(found["and widths"][1].split()[0])) < 0.1


def test_widths_are_those_of_intervals_and_zero_without_one(samples):
    learned = {"xi": Interval(low=0.2, high=0.5), "barrier_1d_eV": Interval(low=0.2, high=None)}
    crystal = samples[0].row.model_copy(update={"intervals": learned})
    widths = conductivity_inputs.width_inputs(crystal)
    assert widths == pytest.approx([conductivity_inputs.OPEN, 0, 0, 0.3, 0, 0])
