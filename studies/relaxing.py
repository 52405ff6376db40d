"""Do landscapes on which the other mobile ions make way tell conductors better?

    python -m studies.carriers crystals DIR/data > crystals.jsonl
    python -m studies.relaxing compute crystals.jsonl
    python -m studies.relaxing table DIR/data

On a frozen landscape an ion that comes to its neighbour's site meets a wall. In many fast
conductors it pushes the neighbour along (knock-on; He, Zhu & Mo, Nat. Commun. 8, 15893, 2017).
``compute`` finds for each crystal the frozen landscape and one on which, with an ion somewhere, the
other mobile ions relax for some steps while the framework stays; it writes one line a crystal, and
goes on where it was stopped. ``table`` compares. Everything here was fixed, and in the history of
the repository, before any number was compared.

**Landscapes.** CHGNet 0.3.0, in a cell 8 A wide of at most 160 atoms, on a grid of 0.35 A, learned:
the frozen one from at most 300 energies, the relaxing one from at most 60 with the frozen one as
what is known (only the difference is learned). Each of its energies is that after twelve steps of
FIRE (ASE, at most 0.2 A each) from the ions' homes: enough to make way, too few to fall into
another structure, as Li3N does in sixty.

**Scores.** Minus the barrier in one dimension of the relaxing landscape, and the mean of the
percentiles of this and of ``free_volume``; the free volume per ion below 0.5 eV on the relaxing
landscape. Beside them ``free_volume``, the barrier of the published row, and the barrier of the
frozen landscape in the same wide cell, all on the crystals that have both landscapes.

**Questions** are those of ``studies.frenkel``, and so is the rule: it helps if the gain of one of
its scores over ``free_volume`` without molten crystals, or on ordered and matched ones, has an
interval above zero, and no other gain of that score one below. Crystals are those of
``studies.carriers``, in their order: those that are ordered, or matched with one that is, and have
a measured conductivity come first, the others in a random order.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.optimize import FIRE
from numpy.typing import NDArray
from pymatgen.core import Structure

from studies.gains import BASE, comparisons, published, with_base
from studies.one_by_one import add_options, compute_each
from superionic.defaults import CARRIER_MIN_WIDTH_A
from superionic.errors import InputError
from superionic.landscape.descriptors import Descriptors, compute_descriptors
from superionic.landscape.landscape import Landscape, compute_landscape
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.potentials.base import FrozenFramework, Potential
from superionic.potentials.calculator import ForceFieldCalculator
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import PrepareSettings, prepare
from superionic.structures.readers import read_candidates

FloatArray = NDArray[np.float64]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "relaxing.jsonl"
TABLE = RESULTS.with_suffix(".md")

MOBILE = "Li"
MOST_ATOMS = 160
GRID_STEP_A = 0.35
FROZEN = LearnedSettings(max_energies=300)
RELAXING = LearnedSettings(max_energies=60, batch_size=6)
N_STEPS = 12
LONGEST_STEP_A = 0.2

BARRIER = "barrier_1d_eV"
OWN, OWN_FROZEN, VOLUME = "-E_m, relaxing", "-E_m, frozen, same cell", "free volume, relaxing"
BOTH = f"{OWN}, mean of percentiles with {BASE}"


class RelaxingFramework(FrozenFramework):
    """Energies of an ion that moves while the other mobile ions relax for some steps.

    Parameters
    ----------
    potential : Potential
        Where energies and forces come from.
    atoms : Atoms
        The crystal.
    mobile_index : int
        The ion that moves; others of its element make way.
    """

    def __init__(self, potential: Potential, atoms: Atoms, mobile_index: int) -> None:
        self._atoms, self._moving = atoms.copy(), mobile_index
        way = np.flatnonzero(atoms.numbers == atoms.numbers[mobile_index])
        still = np.setdiff1d(np.arange(len(atoms)), way[way != mobile_index])
        self._atoms.set_constraint(FixAtoms(still))
        self._calculator = ForceFieldCalculator(potential.force_field)

    def energies(self, positions_A: FloatArray) -> FloatArray:
        """Return total energies in eV, shape (m,)."""
        return np.array([self._relaxed(one) for one in positions_A])

    def _relaxed(self, position_A: FloatArray) -> float:
        atoms = self._atoms.copy()
        # Constraints would keep the ion where it is.
        atoms.set_positions(
            np.where(np.arange(len(atoms))[:, None] == self._moving, position_A, atoms.positions),
            apply_constraint=False,
        )
        atoms.calc = self._calculator
        with FIRE(atoms, logfile=None, maxstep=LONGEST_STEP_A) as optimizer:
            optimizer.run(fmax=0.01, steps=N_STEPS)
        return float(atoms.get_potential_energy())


def describe(structure: Structure, potential: Potential) -> dict[str, Any]:
    """Return what both landscapes of a crystal say."""
    frozen = compute_landscape(
        structure,
        MOBILE,
        potential,
        LandscapeSettings(grid_step_A=GRID_STEP_A, n_symmetry_checks=0, learned=FROZEN),
    )
    relaxing = relaxing_landscape(frozen, potential)
    return {
        "n_atoms": len(structure),
        "n_mobile": frozen.n_mobile,
        "frozen": numbers(frozen),
        "relaxing": numbers(relaxing),
    }


def relaxing_landscape(frozen: Landscape, potential: Potential) -> Landscape:
    """Return the landscape on which the other mobile ions relax, learned from the frozen one."""
    settings = LandscapeSettings(grid_step_A=GRID_STEP_A, n_symmetry_checks=0, learned=RELAXING)
    potential.frozen_framework = lambda atoms, ion: RelaxingFramework(  # type: ignore[method-assign]
        potential, atoms, ion
    )
    try:
        return compute_landscape(
            frozen.structure, frozen.mobile_species, potential, settings, prior=frozen
        )
    finally:
        del potential.frozen_framework  # that of its class again


def numbers(landscape: Landscape) -> dict[str, Any]:
    """Return descriptors of a landscape as they are written."""
    found: Descriptors = compute_descriptors(landscape.ion_maps(), landscape.grid.lattice)
    barriers = {
        name: _finite(getattr(found, name)) for name in (BARRIER, "barrier_3d_eV", "mpe_eV")
    }
    volume = found.at(0.5)["free_volume_A3_per_ion"]
    return barriers | {
        "free_volume_A3_per_ion": round(volume, 5),
        "n_energies": landscape.n_evaluations,
        "ending": landscape.ending,
    }


def _finite(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def wanted(crystals: Path) -> Iterator[tuple[str, str, Structure]]:
    """Yield identifier, formula and crystal in a wide cell, in the order of a file."""
    settings = PrepareSettings(supercell_min_width_A=CARRIER_MIN_WIDTH_A, max_atoms=MOST_ATOMS)
    for one in read_candidates([crystals]):
        try:
            prepared = prepare(one, MOBILE, settings) if isinstance(one, Candidate) else None
        except InputError:
            continue
        if prepared is not None:
            yield one.material_id, prepared.formula, prepared.structure


def table(data: Path) -> str:
    """Return the tables as Markdown."""
    computed = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    lines = {one["material_id"]: one for one in computed if "relaxing" in one}
    known = published()
    base, row = known.scores[BASE], known.scores[BARRIER]
    names = sorted(set(lines) & set(base) & set(row))
    barrier = {
        mode: {name: _height(lines[name][mode][BARRIER]) for name in names}
        for mode in ("frozen", "relaxing")
    }
    own = {name: -height for name, height in barrier["relaxing"].items()}
    scores = {
        OWN: own,
        BOTH: with_base(own, base),
        VOLUME: {name: lines[name]["relaxing"]["free_volume_A3_per_ion"] for name in names},
        BASE: base,
        BARRIER: row,
        OWN_FROZEN: {name: -height for name, height in barrier["frozen"].items()},
    }
    lower = np.array([barrier["frozen"][name] - barrier["relaxing"][name] for name in names])
    failed = sum("error" in one for one in computed)
    return (
        f"{len(names)} crystals with both landscapes, CHGNet 0.3.0 ({failed} failed). Where others "
        f"relax, the barrier in one dimension is lower by {np.median(lower):.2f} eV in the median, "
        f"by more than 0.1 eV in {(lower > 0.1).sum()}. ROC-AUC with 95 % intervals by a bootstrap "
        f"over chemical systems, the paired gain over `{BASE}` after it.\n\n"
        + comparisons(scores, names, known, data)
    )


def _height(barrier_eV: float | None) -> float:
    """Return a barrier; one that no energy passes is as high as energies are looked at."""
    return 10.0 if barrier_eV is None else barrier_eV


def main() -> None:
    """Compute the landscapes, or write the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    compute = commands.add_parser("compute")
    compute.add_argument("crystals", type=Path)
    add_options(compute, RESULTS)
    commands.add_parser("table").add_argument("data", type=Path, help="the reference tables")
    options = parser.parse_args()
    if options.command == "table":
        TABLE.write_text(table(options.data))
    else:
        compute_each(options, wanted(options.crystals), describe, 1)


if __name__ == "__main__":
    main()
