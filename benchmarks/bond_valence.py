"""Bond-valence barriers of crystals, the baseline of the evaluation.

    pip install bvlain
    python benchmarks/bond_valence.py workflows/obelix_crystals.jsonl \\
        workflows/obelix_crystals_larger.jsonl --out datasets/bond_valence.csv

Bond-valence site energies of the mobile ion on a grid, with all other ions where they are, and the
energy at which they percolate in one, two and three dimensions, by bvlain (A. A. Golov and
J. Carrasco). Resolution 0.2 A, cutoff 10 A; ``inf``: not below 10 eV. Oxidation states are guessed
by pymatgen; a crystal for which there is no guess is named and left out. What the file has is not
computed again.
"""

import argparse
import csv
import sys
import time
from pathlib import Path

from pymatgen.core import Structure

from superionic.errors import InputError
from superionic.structures import read_candidates

COLUMNS = ["id", "E_1D_eV", "E_2D_eV", "E_3D_eV", "source"]
RESOLUTION_A, CUTOFF_A, HIGHEST_eV = 0.2, 10.0, 10.0


def barriers_eV(structure: Structure, mobile_species: str) -> tuple[float, float, float]:
    """Return the barriers in one, two and three dimensions."""
    from bvlain import Lain

    calculator = Lain(verbose=False)
    calculator.read_structure(structure)
    calculator.bvse_distribution(f"{mobile_species}1+", r_cut=CUTOFF_A, resolution=RESOLUTION_A)
    found = calculator.percolation_barriers(encut=HIGHEST_eV)
    return found["E_1D"], found["E_2D"], found["E_3D"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("crystals", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--mobile", default="Li")
    parser.add_argument("--source", default="obelix")
    parser.add_argument("--only", nargs="*", help="identifiers; all by default")
    options = parser.parse_args()
    done = {}
    if options.out.exists():
        with options.out.open() as stream:
            done = {row["id"]: row for row in csv.DictReader(stream)}
    for candidate in read_candidates(options.crystals):
        name = candidate.material_id
        if name in done or (options.only and name not in options.only):
            continue
        start = time.perf_counter()
        try:
            if isinstance(candidate, InputError):
                raise candidate
            values = barriers_eV(candidate.structure, options.mobile)
        except Exception as error:  # one crystal must not stop the others
            print(f"{name}: left out ({type(error).__name__}: {error})", file=sys.stderr)
            continue
        numbers = [f"{value:.4f}" for value in values]
        done[name] = dict(zip(COLUMNS, [name, *numbers, options.source], strict=True))
        print(f"{name}: {' '.join(numbers)} ({time.perf_counter() - start:.1f} s)", flush=True)
        with options.out.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(done.values())


if __name__ == "__main__":
    main()
