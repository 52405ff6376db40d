"""An ASE calculator that costs next to nothing, and misbehaves where it is told to."""

import os
import signal
import time
from itertools import product
from pathlib import Path

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

CUTOFF_A = 4.5
RHO_A = 0.35


class Toy(Calculator):
    """Pairs repel with A exp(-r / rho), smoothly cut off; every element is alike.

    Parameters
    ----------
    strength_eV : float
        The prefactor A.
    fatal : str
        Element whose crystals end the process with SIGKILL.
    nan : str
        Element whose crystals have no energy.
    iodides_wait_for : str
        File that has to be there before an iodide has an energy.
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(
        self,
        strength_eV: float = 300.0,
        fatal: str = "",
        nan: str = "",
        iodides_wait_for: str = "",
    ) -> None:
        super().__init__()
        self.strength_eV = strength_eV
        self.fatal = fatal
        self.nan = nan
        self.iodides_wait_for = iodides_wait_for

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        symbols = set(atoms.get_chemical_symbols())
        if self.fatal in symbols:
            os.kill(os.getpid(), signal.SIGKILL)
        while self.iodides_wait_for and "I" in symbols and not Path(self.iodides_wait_for).exists():
            time.sleep(0.05)
        energy, forces = pair_sum(atoms.cell.array, atoms.positions, self.strength_eV)
        self.results = {"energy": float("nan") if self.nan in symbols else energy, "forces": forces}


def pair_sum(cell, positions, strength_eV):
    widths = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    fractional = positions @ np.linalg.inv(cell)
    wrapped = (fractional - np.floor(fractional)) @ cell
    repeats = [range(-n, n + 1) for n in np.ceil(CUTOFF_A / widths).astype(int) + 1]
    shifts = np.array(list(product(*repeats))) @ cell
    vectors = wrapped[None, :, None] - wrapped[:, None, None] + shifts[None, None]
    distances = np.linalg.norm(vectors, axis=-1)
    near = (distances > 1e-9) & (distances < CUTOFF_A)
    r = np.where(near, distances, CUTOFF_A)
    cut = (1 - r / CUTOFF_A) ** 2
    pair = strength_eV * np.exp(-r / RHO_A) * cut
    slope = pair / -RHO_A - strength_eV * np.exp(-r / RHO_A) * 2 * (1 - r / CUTOFF_A) / CUTOFF_A
    forces = np.sum((slope / r)[..., None] * vectors, axis=(1, 2))
    return float(pair.sum() / 2), forces
