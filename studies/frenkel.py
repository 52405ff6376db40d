"""Does the energy of making carriers, beside the barrier, tell conductors better?

    python -m studies.frenkel compute
    python -m studies.frenkel table DIR/data

A crystal whose every mobile ion is at home conducts only with what leaves home: half the energy of
a Frenkel pair, E_f / 2, stands beside the barrier E_m in the activation energy (R. J. Friauf, Phys.
Rev. 105, 843, 1957). ``compute`` finds E_f of the crystals of the labels and of OBELiX's training
part, some core-seconds each, and writes one line a crystal; the same command goes on where it was
stopped. ``table`` compares. Everything here was fixed, and in the history of the repository, before
any number was compared.

**Pairs.** The crystal is repeated until images are 8 A apart, as for the labels, and its positions,
shaken by 0.05 A, relax at the given cell. Both defects are in this one cell, so that it keeps ions
and charge: a vacancy and an interstitial in cells of their own would, for a potential that was
taught neutral cells, cost a hole and an electron, too. Voids are grid points of 0.5 A with the
largest distance from any ion, each in units of the shortest one of that species from a mobile ion
at home, and for mobile ions of that from any ion; those of at least 0.6 that are the largest within
1 A, at most twelve a primitive cell. An ion of each of up to three orbits goes to each void, there
to the image of the void that is farthest from its home, and its energy is taken with all others at
rest. The three lowest of all these relax. It is a pair if afterwards a home is empty: no mobile ion
within 1 A of it. Otherwise they recombined, and the next three are tried; a crystal of which six
recombine has no E_f. E_f is the lowest of the pairs, relative to the relaxed crystal: their
attraction at that distance is part of it.

**Scores.** -(E_f / 2 + E_m), with E_m the row's barrier in one dimension; the mean of the
percentiles of this and of ``free_volume``; and -E_f alone. Beside them ``free_volume`` and the
barrier in one dimension, all on the crystals that have a pair.

**Questions** are those of ``studies.kinetic_monte_carlo``: ROC-AUC at 1 A^2/ps at 1000 K with
negatives by their bounds, molten crystals left out and as failures; ROC-AUC of measured
conductivities at 1e-5 S/cm, of one crystal for each sample, of ordered and matched crystals, and of
approximants; gains over ``free_volume`` are paired. It helps if the gain of the first or the second
score without molten crystals, or on ordered and matched ones, has an interval above zero, and no
other gain of that score one below. Crystals are computed in the order of the SHA-256 of their
identifiers, so that a part of them is a random one; those with a measured conductivity come first.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import find_mic, get_distances
from numpy.typing import NDArray
from pymatgen.core import Structure

from studies.gains import (
    BASE,
    DATASETS,
    SETS,
    comparisons,
    published,
    with_base,
)
from studies.hops.elastic_band import BandSettings, relax_positions
from studies.one_by_one import compute_each, in_random_order, read_options
from superionic.dynamics.supercell import make_supercell
from superionic.errors import LandscapeError
from superionic.network.shakes import atoms_of
from superionic.potentials.base import Potential
from superionic.report.tables.export import read_rows_file
from superionic.report.tables.text_table import markdown_table
from superionic.structures.cells import orbits
from superionic.structures.prepare import prepare

FloatArray = NDArray[np.float64]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "frenkel_pairs.jsonl"
TABLE = RESULTS.with_suffix(".md")

MIN_IMAGE_DISTANCE_A = 8.0
MOST_ATOMS = 160
RATTLE_A = 0.05
VOID_STEP_A = 0.5
ROOM = 0.6
VOIDS_APART_A = 1.0
MOST_VOIDS = 12
MOST_ORBITS = 3
N_RELAXED, N_ROUNDS = 3, 2
AT_HOME_A = 1.0
SYMPREC_A = 0.01
RELAXATION = BandSettings(relax_fmax_eV_per_A=0.05, relax_steps=150)

SUM, BOTH, ALONE = "-(E_f / 2 + E_m)", "mean of percentiles with it", "-E_f"
BARRIER = "barrier_1d_eV"


@dataclass(frozen=True)
class Pair:
    """A Frenkel pair, relaxed.

    Parameters
    ----------
    energy_eV : float
        Above the relaxed crystal.
    frozen_eV : float
        The same before it relaxed.
    distance_A : float
        From the vacated home to the void.
    """

    energy_eV: float
    frozen_eV: float
    distance_A: float


def frenkel_pair(structure: Structure, mobile: str, potential: Potential) -> dict[str, Any]:
    """Return the cheapest Frenkel pair of a crystal, and what it took.

    Raises
    ------
    LandscapeError
        When the supercell is too large, or the crystal has no void.
    """
    tagged = atoms_of(structure)
    tagged.set_tags(range(len(tagged)))
    cell, _ = make_supercell(tagged, MIN_IMAGE_DISTANCE_A)
    if len(cell) > MOST_ATOMS:
        raise LandscapeError(f"The supercell has {len(cell)} atoms, more than {MOST_ATOMS}.")
    # At rest by symmetry alone, it would be above what a pair lets it fall into.
    cell.rattle(RATTLE_A, seed=0)
    crystal = relax_positions(cell, potential.force_field, RELAXATION)
    homes = np.flatnonzero(crystal.atoms.symbols == mobile)
    places = voids(crystal.atoms, structure.lattice.matrix, homes)
    if not len(places):
        raise LandscapeError("There is no void.")
    orbit = orbits(structure, SYMPREC_A)
    tags = crystal.atoms.get_tags()
    movers = {int(orbit[tags[ion]]): int(ion) for ion in homes[::-1]}
    tried = []
    for ion in list(movers.values())[:MOST_ORBITS]:
        far = [_farthest(place, crystal.atoms, ion, structure.lattice.matrix) for place in places]
        energies = potential.frozen_framework(crystal.atoms, ion).energies(np.array(far))
        tried += [(float(e), ion, at) for e, at in zip(energies, far, strict=True) if e < np.inf]
    tried.sort(key=lambda one: one[0])
    pairs: list[Pair] = []
    n_relaxed = 0
    while not pairs and n_relaxed < min(len(tried), N_RELAXED * N_ROUNDS):
        for energy_eV, ion, at in tried[n_relaxed : n_relaxed + N_RELAXED]:
            moved = crystal.atoms.copy()
            moved.positions[ion] = at
            relaxed = relax_positions(moved, potential.force_field, RELAXATION)
            if has_vacancy(relaxed.atoms, crystal.atoms, homes):
                away = find_mic(at - crystal.atoms.positions[ion], crystal.atoms.cell)[1]
                formation_eV = relaxed.energy_eV - crystal.energy_eV
                pairs.append(Pair(formation_eV, energy_eV - crystal.energy_eV, float(away)))
        n_relaxed += N_RELAXED
    best = min(pairs, key=lambda pair: pair.energy_eV, default=None)
    return {
        "n_atoms": len(cell),
        "n_voids": len(places),
        "n_tried": len(tried),
        "n_pairs": len(pairs),
        "pair": best and {name: round(value, 4) for name, value in vars(best).items()},
    }


def voids(crystal: Atoms, cell_A: FloatArray, homes: NDArray[np.int64]) -> FloatArray:
    """Return the places of one primitive cell that are farthest from all ions, shape (n, 3).

    Parameters
    ----------
    crystal : Atoms
        A supercell.
    cell_A : ndarray, shape (3, 3)
        The primitive cell.
    homes : ndarray of int
        Its mobile ions at home.
    """
    counts = np.ceil(np.linalg.norm(cell_A, axis=1) / VOID_STEP_A).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(n) / n for n in counts), indexing="ij"), axis=-1)
    points = grid.reshape(-1, 3) @ cell_A
    at_home = crystal.get_all_distances(mic=True)[homes]
    at_home[at_home < 1e-6] = np.inf
    usual = {
        symbol: float(at_home[:, crystal.symbols == symbol].min()) for symbol in crystal.symbols
    }
    # Ions of one kind keep away from each other: what they would bear is nearer than they come.
    usual[crystal.symbols[homes[0]]] = float(at_home.min())
    scale = np.array([usual[symbol] for symbol in crystal.symbols])
    room = np.concatenate(
        [
            (get_distances(part, crystal.positions, crystal.cell, True)[1] / scale).min(axis=1)
            for part in np.array_split(points, max(1, len(points) // 500))
        ]
    )
    found: list[FloatArray] = []
    for point in points[np.argsort(-room, kind="stable")][: int((room >= ROOM).sum())]:
        near = [find_mic(point - other, cell_A)[1] < VOIDS_APART_A for other in found]
        if not any(near):
            found.append(point)
        if len(found) == MOST_VOIDS:
            break
    return np.array(found).reshape(-1, 3)


def has_vacancy(relaxed: Atoms, crystal: Atoms, homes: NDArray[np.int64]) -> bool:
    """Return whether some home has no mobile ion within 1 A."""
    others = np.setdiff1d(np.arange(len(crystal)), homes)
    drift = np.zeros(3)
    if len(others):
        steps = relaxed.positions[others] - crystal.positions[others]
        drift = find_mic(steps, crystal.cell)[0].mean(axis=0)
    now = relaxed.positions[homes] - drift
    away = get_distances(crystal.positions[homes], now, crystal.cell, True)[1]
    return bool((away.min(axis=1) > AT_HOME_A).any())


def _farthest(place: FloatArray, crystal: Atoms, ion: int, cell_A: FloatArray) -> FloatArray:
    """Return the image of a place under the lattice that is farthest from an ion's home."""
    reach = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    images = place + reach @ cell_A
    away = find_mic(images - crystal.positions[ion], crystal.cell)[1]
    image: FloatArray = images[int(np.argmax(np.round(away, 4)))]
    return image


def wanted(names: set[str], first: set[str]) -> Iterator[tuple[str, str, Structure]]:
    """Yield identifier, formula and prepared crystal, those with a measurement first."""
    for one in in_random_order(names, first):
        prepared = prepare(one, "Li")
        yield one.material_id, prepared.formula, prepared.structure


def table(data: Path) -> str:
    """Return the tables as Markdown."""
    computed = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    lines = {one["material_id"]: one for one in computed if one.get("pair")}
    known = published()
    base, barrier = known.scores[BASE], known.scores[BARRIER]
    names = sorted(set(lines) & set(base) & set(barrier))
    cost = {name: lines[name]["pair"]["energy_eV"] for name in names}
    own = {name: barrier[name] - cost[name] / 2 for name in names}
    scores = {
        SUM: own,
        BOTH: with_base(own, base),
        ALONE: {name: -cost[name] for name in names},
        BASE: base,
        BARRIER: barrier,
    }
    return "\n\n".join(
        [
            _summary(computed),
            "ROC-AUC with 95 % intervals by a bootstrap over chemical systems, the paired gain "
            f"over `{BASE}` after it.",
            comparisons(scores, names, known, data),
        ]
    )


def _summary(computed: list[dict[str, Any]]) -> str:
    """Return how many crystals have a pair, and what it costs."""
    pairs = [one for one in computed if one.get("pair")]
    energies = np.array([one["pair"]["energy_eV"] for one in pairs])
    fates = [
        ["a pair", len(pairs)],
        ["all that were tried recombine", sum(one.get("n_pairs") == 0 for one in computed)],
        ["no void, or too many atoms", sum("error" in one for one in computed)],
    ]
    low, middle, high = np.quantile(energies, (0.25, 0.5, 0.75))
    seconds = np.median([one["seconds"] for one in pairs])
    return (
        f"{markdown_table(['of the crystals', 'n'], [[str(x) for x in one] for one in fates])}\n\n"
        f"E_f: median {middle:.2f} eV, quartiles {low:.2f} and {high:.2f} eV; "
        f"{seconds:.0f} core-seconds of a crystal (median)."
    )


def main() -> None:
    """Compute, or write the table."""
    options = read_options(str(__doc__), RESULTS)
    if options.command == "table":
        TABLE.write_text(table(options.data))
        return
    labelled, measured = (
        {row.material_id for row in read_rows_file(DATASETS / f"{name}.jsonl")} for name in SETS
    )
    compute_each(
        options,
        wanted(labelled | measured, measured),
        lambda structure, potential: frenkel_pair(structure, "Li", potential),
        digits_s=1,
    )


if __name__ == "__main__":
    main()
