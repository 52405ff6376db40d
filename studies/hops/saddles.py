"""Does the framework's answer to the ion at its bottleneck tell conductors better?

    superionic screen CRYSTALS && python -m studies.hops.saddles compute
    python -m studies.hops.saddles table --rows datasets/screening_obelix.jsonl \
        --obelix FILE.csv --obelix-match FILE.csv

``compute`` reads landscapes from the database, smallest crystals first. In a supercell at
equilibrium the ion of the lowest percolation path is put at the highest point of that path. With
the ion held there all other atoms are relaxed; then the ion is released and everything is relaxed:
it goes back to where it was, or to a minimum that the frozen framework may not have. One line a
crystal is written at once, and the same command goes on where it was stopped. ``table`` compares
with measured conductivities.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from ase.constraints import FixAtoms, FixCom
from ase.geometry import find_mic
from pymatgen.io.ase import AseAtomsAdaptor

from studies.hops.elastic_band import BandSettings, relax_positions
from studies.one_by_one import add_options, compute_each
from superionic.evaluation.evaluate import conductors_of
from superionic.evaluation.readers import read_matches, read_obelix
from superionic.evaluation.scorers import Scorer
from superionic.evaluation.tables import Task, tables_of
from superionic.evaluation.truth import conductivities
from superionic.potentials.registry import identify_potential
from superionic.report.documents import MaterialDocuments
from superionic.report.figures.scene import scene_of
from superionic.report.tables.export import read_rows_file
from superionic.statistics import spearman
from superionic.store.collection.query import opened
from superionic.store.collection.rows import query_screening
from superionic.store.ranking.features import FEATURES
from superionic.structures.cells import supercell_repeats

RESULTS = Path(__file__).parents[2] / "benchmarks/results/relaxed_saddles.jsonl"
MIN_WIDTH_A = 8.0
RELAXATION = BandSettings(relax_fmax_eV_per_A=0.05, relax_steps=100)
HOME_A = 1.0
"""An ion that ends nearer than this to where it was has gone back."""
LARGEST_EV = 10.0
NUMBERS = {
    "frozen_eV": "bottleneck, frozen",
    "held_eV": "bottleneck, framework relaxed",
    "released_eV": "minimum reached from there",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    compute = commands.add_parser("compute")
    add_options(compute, RESULTS)
    table = commands.add_parser("table")
    table.add_argument("--rows", type=Path, required=True)
    table.add_argument("--obelix", type=Path, required=True)
    table.add_argument("--obelix-match", type=Path, required=True)
    table.add_argument("--threshold-S-per-cm", type=float, default=1e-5)
    table.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    {"compute": compute_all, "table": print_table}[options.command](options)


def compute_all(options: argparse.Namespace) -> None:
    """Compute what is not in the output yet."""
    with opened() as database:
        rows = query_screening(
            database.screening,
            potential=identify_potential(options.potential).label,
            present=["landscape"],
            sort="key",
        )
        crystals = (
            (row.material_id, row.formula, MaterialDocuments(row, database))
            for row in sorted(rows, key=lambda row: row.n_atoms)
        )
        compute_each(options, crystals, described, digits_s=1)


def described(documents, potential):
    """Return energies at the bottleneck of a landscape of the database."""
    scene = scene_of(documents.need("landscape"))
    if scene.path is None:
        return {"error": "no ion leaves its cell"}
    return saddle_of(scene.structure, scene.path, potential)


def saddle_of(structure, path, potential):
    """Return energies above equilibrium of the ion at its bottleneck, held and released."""
    repeats = supercell_repeats(structure.lattice, MIN_WIDTH_A)
    crystal = AseAtomsAdaptor.get_atoms(structure)
    crystal.calc = None
    atoms = crystal.repeat(repeats)
    ion = path.site  # the first copy of the cell comes first
    highest = int(np.argmax(path.energies_eV))
    make_force_field = potential.force_field
    rest = relax_positions(atoms, make_force_field, RELAXATION)
    moved = rest.atoms.copy()
    way = path.fractional[highest] - structure[path.site].frac_coords
    moved.positions[ion] += way @ crystal.cell.array
    frozen_eV = float(potential.energies([moved])[0])
    # Held, but not pushed away: the framework as a whole stays where it is.
    moved.set_constraint([FixAtoms([ion]), FixCom()])
    held = relax_positions(moved, make_force_field, RELAXATION)
    held.atoms.set_constraint()
    released = relax_positions(held.atoms, make_force_field, RELAXATION)
    drift = released.atoms.positions - rest.atoms.positions
    drift -= np.delete(drift, ion, axis=0).mean(axis=0)
    _, lengths = find_mic(drift, atoms.cell, atoms.pbc)
    return {
        "n_atoms": len(atoms),
        "path_eV": path.highest_eV,
        "frozen_eV": frozen_eV - rest.energy_eV,
        "held_eV": held.energy_eV - rest.energy_eV,
        "released_eV": released.energy_eV - rest.energy_eV,
        "went_back": bool(lengths[ion] < HOME_A),
        "ion_moved_A": float(lengths[ion]),
        "others_moved_A": float(np.delete(lengths, ion).max()),
        "n_forces": sum(one.n_evaluations for one in (rest, held, released)),
    }


def print_table(options: argparse.Namespace) -> None:
    """Print how well each number tells measured conductors."""
    lines = options.results.read_text().splitlines()
    found = {one["material_id"]: one for one in map(json.loads, lines) if "error" not in one}
    rows = {row.material_id: row for row in read_rows_file(options.rows)}
    known = conductivities([*read_obelix(options.obelix), *read_matches(options.obelix_match)])
    above = conductors_of(known, options.threshold_S_per_cm)
    names = [name for name in sorted(found) if name in rows and name in above]
    scores = {
        title: {name: -min(found[name][key], LARGEST_EV) for name in names}
        for key, title in NUMBERS.items()
    }
    for feature in ("barrier_1d_eV", "barrier_3d_eV", "xi", "fv_disconnected_2eV"):
        scores[f"`{feature}`"] = {
            name: float(FEATURES[feature].oriented(rows[name])) for name in names
        }
    (table,) = tables_of(
        Task("measured conductivity", "measured", known, [options.threshold_S_per_cm], "S/cm"),
        [Scorer(title, title, "descriptor", "landscape", one) for title, one in scores.items()],
        {name: rows[name].chemical_system for name in names},
    )
    went_back = sum(found[name]["went_back"] for name in names)
    print(
        f"{table.n} crystals, {table.n_positive} above {table.threshold:g} S/cm; "
        f"in {went_back} the released ion went back.\n"
    )
    print("| score | ROC-AUC | Spearman with the frozen bottleneck |")
    print("| --- | --- | --- |")
    frozen = np.array(list(scores[NUMBERS["frozen_eV"]].values()))
    for line in table.lines:
        auc = line.measures.roc_auc
        order = spearman(np.array(list(scores[line.scorer].values())), frozen)
        print(f"| {line.scorer} | {auc:.2f} | {order:.2f} |")


if __name__ == "__main__":
    main()
