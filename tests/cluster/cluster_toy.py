"""An ASE calculator that costs nothing, and misbehaves for crystals of certain elements."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

RHO_A = 0.4
CUTOFF_A = 5.0


class Toy(Calculator):
    """Pairs repel with A exp(-r / rho) (1 - r / r_c)^2; every element is alike.

    Crystals with Br never work, with I hang, with F kill the process as the kernel does when memory
    is out, with At use much memory, with Se fail once: ``directory`` is where that is remembered.
    With Te they wait for as long as it holds a file ``hold``, and make a file ``held-PID``.
    ``delay_s`` slows every crystal that is not one of the self-check's down.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, directory: str = "", delay_s: float = 0.0) -> None:
        super().__init__()
        self.folder = directory
        self.delay_s = delay_s
        if directory:
            with (Path(directory) / "loaded").open("a") as file:
                file.write(f"{os.getpid()}\n")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        symbols = set(atoms.get_chemical_symbols())
        if self.delay_s:
            time.sleep(self.delay_s)
        if "Br" in symbols:
            raise RuntimeError("the toy does not like bromine")
        if "I" in symbols:
            time.sleep(3600)
        if "F" in symbols and self.folder:
            os.kill(os.getpid(), signal.SIGKILL)
        if "At" in symbols:
            self.hoard = np.ones(500_000_000 // 8)
            time.sleep(3600)
        if "Se" in symbols and self.folder and not (Path(self.folder) / "failed").exists():
            (Path(self.folder) / "failed").touch()
            raise ValueError("the first time always fails")
        while "Te" in symbols and self.folder and (Path(self.folder) / "hold").exists():
            where = os.environ.get("CLUSTER_TEST_CONTAINER", "")  # process ids there are alike
            (Path(self.folder) / f"held-{where}-{os.getpid()}").touch()
            time.sleep(0.02)
        energy, forces = pair_sum(atoms)
        self.results = {"energy": energy, "forces": forces}


def pair_sum(atoms):
    """Return energy and forces."""
    from ase.neighborlist import primitive_neighbor_list

    i, d, vectors = primitive_neighbor_list(
        "idD", [True] * 3, atoms.cell.array, atoms.positions, CUTOFF_A
    )
    cut = 1 - d / CUTOFF_A
    decay = 100.0 * np.exp(-d / RHO_A)
    slope = -decay / RHO_A * cut**2 - 2 * decay * cut / CUTOFF_A
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, i, (slope / d)[:, None] * vectors)
    return float((decay * cut**2).sum() / 2), forces
