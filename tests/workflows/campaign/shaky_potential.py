"""An ASE calculator that fails at some points, is noisy, or has nothing to do with the others."""

import hashlib
import os
import signal
from pathlib import Path

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from toy_potential import pair_sum


def note_call(log: Path) -> None:
    with log.open("a") as stream:
        stream.write("one\n")
    stop = log.with_name("kill_at")
    if stop.exists() and n_calls(log) == int(stop.read_text()):
        os.kill(os.getpid(), signal.SIGKILL)


def n_calls(log: Path) -> int:
    return len(log.read_text().splitlines())


class Shaky(Calculator):
    """The pairs of the toy potential, and what goes wrong with them.

    Parameters
    ----------
    strength_eV : float
        The prefactor.
    nan_share, raise_share : float
        Share of all configurations without an energy, and of those that raise.
    noise_eV : float
        Standard deviation of what is added.
    inverted : bool
        Attraction in the place of repulsion: another landscape altogether.

    Notes
    -----
    The environment variable SHAKY_LOG names a file to which each call adds a line; the call that a
    file ``kill_at`` beside it names kills its process.
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(
        self,
        strength_eV: float = 220.0,
        nan_share: float = 0.0,
        raise_share: float = 0.0,
        noise_eV: float = 0.0,
        inverted: bool = False,
    ) -> None:
        super().__init__()
        self.strength_eV = strength_eV
        self.nan_share, self.raise_share = nan_share, raise_share
        self.noise_eV, self.inverted = noise_eV, inverted

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if "SHAKY_LOG" in os.environ:
            note_call(Path(os.environ["SHAKY_LOG"]))
        digest = hashlib.sha256(np.round(atoms.positions, 6).tobytes()).digest()
        chance = int.from_bytes(digest[:4], "big") / 2**32
        energy, forces = pair_sum(atoms.cell.array, atoms.positions, self.strength_eV)
        if self.inverted:
            energy, forces = -0.3 * energy, -0.3 * forces
        if chance < self.nan_share:
            energy = float("nan")
        elif chance < self.nan_share + self.raise_share:
            raise RuntimeError("the self-consistent field did not converge")
        noise = np.random.default_rng(int.from_bytes(digest[4:8], "big")).standard_normal()
        self.results = {"energy": energy + self.noise_eV * noise, "forces": forces}
