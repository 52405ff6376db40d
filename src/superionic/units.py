"""Physical constants and the conversions that superionic uses.

Inside superionic energies are in eV, lengths in Angstrom, times in the unit that the name says,
temperatures in K. Constants are CODATA 2022, written out: another release of SciPy
changes no number, and importing it takes a twentieth of the time of a short command.
"""

from typing import Final

ELEMENTARY_CHARGE_C: Final[float] = 1.602176634e-19
"""Elementary charge in C, exact."""

BOLTZMANN_J_per_K: Final[float] = 1.380649e-23
"""Boltzmann constant in J/K, exact."""

ATOMIC_MASS_kg: Final[float] = 1.66053906892e-27
"""Atomic mass constant u in kg."""

BOLTZMANN_eV_per_K: Final[float] = BOLTZMANN_J_per_K / ELEMENTARY_CHARGE_C
"""Boltzmann constant in eV/K."""

A2_PER_PS_TO_CM2_PER_S: Final[float] = 1e-4
"""1 A^2/ps = 1e-20 m^2 / 1e-12 s = 1e-8 m^2/s = 1e-4 cm^2/s."""

A3_TO_CM3: Final[float] = 1e-24
"""1 A^3 = 1e-24 cm^3."""

EV_PER_A_AMU_TO_A_PER_PS2: Final[float] = ELEMENTARY_CHARGE_C / ATOMIC_MASS_kg * 1e-4
"""1 eV/(A amu) = e/u m^2/s^2 / 1e-10 m = e/u 1e10 m/s^2, and 1 m/s^2 = 1e-14 A/ps^2."""
