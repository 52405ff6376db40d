"""How long the search for duplicates takes, and whether it finds all of them.

Every crystal is repeated with another origin, order of atoms and axes, stretched by up to 0.2 %;
with --noise-A its atoms are displaced as well, which breaks the symmetry.

    python benchmarks/duplicates.py CRYSTALS.jsonl --total 10000
"""

import argparse
import resource
import time
import warnings
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--total", type=int, default=10_000)
    parser.add_argument("--noise-A", type=float, default=0.0, dest="noise_A")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    from superionic.structures import Candidate, read_candidates
    from superionic.structures.duplicates import PackedCrystals, find_duplicates

    found, structures = PackedCrystals(), PackedCrystals()
    for candidate in read_candidates(options.paths):
        if isinstance(candidate, Candidate):
            found.append(candidate.structure)
            structures.append(candidate.structure)
    before_MB = memory_MB()
    rng = np.random.default_rng(options.seed)
    parents = list(range(len(found)))
    while len(structures) < options.total:
        parent = len(structures) % len(found)
        structures.append(disguised(found[parent], rng, options.noise_A))
        parents.append(parent)
    packed_MB = memory_MB()
    start = time.process_time()
    once = find_duplicates(found)
    middle = time.process_time()
    first = find_duplicates(structures)
    end = time.process_time()
    n_distinct = len(set(once))
    n_missed = sum(first[i] != once[parents[i]] for i in range(len(found), len(structures)))
    print(f"{len(found)} crystals: {n_distinct} distinct, {middle - start:.1f} s of one core")
    print(
        f"{len(structures)} crystals: {len(set(first))} distinct, {end - middle:.1f} s of one core"
    )
    print(
        f"largest memory: {before_MB:.0f} MB when {len(found)} crystals were read, {packed_MB:.0f} "
        f"when {len(structures)} were packed, {memory_MB():.0f} at the end"
    )
    print(f"{n_missed} of {len(structures) - len(found)} copies not linked to their original")


def memory_MB() -> float:
    """Return the largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def disguised(structure, rng, noise_A):
    """Return the crystal with other axes, origin and order of atoms, stretched by up to 0.2 %."""
    from pymatgen.core import Lattice, Structure

    turn = np.roll(np.arange(3), rng.integers(3))  # no mirror images: those are other crystals
    matrix = structure.lattice.matrix[turn] * (1 + rng.uniform(-0.002, 0.002))
    order = rng.permutation(len(structure))
    coords = (structure.frac_coords[:, turn] + rng.random(3))[order]
    copy = Structure(Lattice(matrix), [structure[int(i)].species for i in order], coords)
    if noise_A:
        copy.perturb(noise_A)
    return copy


if __name__ == "__main__":
    main()
