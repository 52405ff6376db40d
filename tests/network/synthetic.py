"""Crystals whose target is a known function of how they answer a shake."""

import numpy as np
from ase import Atoms

from superionic.network.data import LabelledCrystal, TrainingSet
from superionic.network.settings import DIFFUSING, TARGET
from superionic.network.shakes import Shakes
from superionic.potentials.base import PotentialInfo

SYMBOLS = np.array(["Li", "Na", "K", "Rb", "O", "S", "F", "Cl"])
INFO = PotentialInfo("test", "springs", "none", "hash of springs")


def synthetic_set(n_crystals: int, n_shakes: int = 3, seed: int = 0) -> TrainingSet:
    """Return crystals of eight atoms of two kinds, each held by springs of its own stiffness.

    The target is the logarithm of the softer kind's stiffness over mass: it can be read from the
    small accelerations and from nothing else, neither from positions nor from the labels of atoms.
    """
    rng = np.random.default_rng(seed)
    crystals, shaken = [], []
    for number in range(n_crystals):
        stiffness = 10.0 ** rng.uniform(2.5, 4.5, size=2)
        cell = np.eye(3) * rng.uniform(4.5, 5.5)
        grid = np.stack(np.meshgrid(*[[0.0, 0.5]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        kind = grid.sum(axis=1) % 1.0 > 0.25
        moves = rng.normal(scale=0.12, size=(n_shakes, 8, 3))
        symbols = rng.choice(SYMBOLS, size=2, replace=False)
        atoms = Atoms(symbols[kind.astype(int)], scaled_positions=grid, cell=cell, pbc=True)
        log10_slope = 2.0 - np.log10(stiffness.min())
        crystals.append(
            LabelledCrystal(
                material_id=f"syn-{number}",
                formula=atoms.get_chemical_formula(),
                atoms=atoms,
                mobile_species=str(symbols[0]),
                verdict="diffusing" if log10_slope > -1.2 else "not_diffusing",
                slope_A2_per_ps=10.0**log10_slope,
                targets={TARGET: log10_slope, DIFFUSING: float(log10_slope > -1.2)},
                potential="test:springs",
                potential_weights_sha256=INFO.weights_sha256,
            )
        )
        shaken.append(
            Shakes(
                cell_A=cell,
                positions_A=atoms.positions + moves,
                accelerations_A_per_ps2=-stiffness[kind.astype(int)][:, None] * moves,
                mass_exponent=0.0,
                amplitudes_A=np.full(n_shakes, 0.2),
                residual_force_eV_per_A=0.0,
                n_evaluations=n_shakes + 1,
                seed=seed,
                potential=INFO,
            )
        )
    return TrainingSet(tuple(crystals), tuple(shaken))
