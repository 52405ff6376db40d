"""Constants are those of CODATA."""

import pytest
from scipy import constants

from superionic import units


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (units.ELEMENTARY_CHARGE_C, constants.e),
        (units.BOLTZMANN_J_per_K, constants.k),
        (units.BOLTZMANN_eV_per_K, constants.value("Boltzmann constant in eV/K")),
        (
            units.EV_PER_A_AMU_TO_A_PER_PS2,
            constants.eV / constants.angstrom / constants.u / (constants.angstrom / 1e-24),
        ),
        (units.A2_PER_PS_TO_CM2_PER_S, constants.angstrom**2 / 1e-12 / constants.centi**2),
        (units.A3_TO_CM3, (constants.angstrom / constants.centi) ** 3),
    ],
)
def test_constants_are_those_of_scipy(ours, theirs):
    # Releases of CODATA differ by 1e-9 in the atomic mass constant.
    assert ours == pytest.approx(theirs, rel=3e-9)


def test_the_atomic_mass_is_that_of_codata_2022_whatever_scipy_is_installed():
    assert units.ATOMIC_MASS_kg == 1.66053906892e-27
