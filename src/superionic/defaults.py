"""What commands, functions and Makers take when nothing is said: one place for all of them."""

from typing import Literal

Relaxation = Literal["auto", "cell", "never"]
"""When a crystal is relaxed first: ``auto`` its positions, where a force is large; ``cell`` the
cell, too; ``never``."""

MOBILE = "Li"
POTENTIAL = "chgnet"
POLICY = "free_volume"
GRID_STEP_A = 0.25
Carrier = Literal["vacancy", "interstitial"]
"""What a landscape is given beside the ions of the formula: see ``landscape.carriers``."""
CARRIER_MIN_WIDTH_A = 8.0
"""Cells in which carriers are made are this wide, so that they do not meet their images."""
LEARNED = True
"""Landscapes of screenings learn most points; every point is computed where one asks for it."""
RELAX: Relaxation = "auto"
SCREEN_MAX_FORCE_eV_per_A = 0.5
"""Above, a landscape is not that of the crystal, which is relaxed first."""
RELAXED_FORCE_eV_per_A = 0.02
RELAX_STEPS = 500
SYMMETRY_TOLERANCE_A = 0.2
"""Where a relaxation ends, and how much symmetry a noisy crystal may be given after it."""
MD_MAX_FORCE_eV_per_A = 0.1
"""The same for dynamics and shakes, whose energies are compared with those of the start."""
TEMPERATURE_K = 1000.0
LENGTH_ps = 10.0
EQUILIBRATION_ps = 2.0
SEED = 0
TEMPERATURES_K = (500.0, 600.0, 700.0, 800.0, 1000.0)
VALIDATION_LENGTH_ps = 30.0
REFINE_ENERGIES = 30
N_ORDERINGS = 1
