"""How far CHGNet's compiled energies with one moving ion are from those of the whole network.

    python benchmarks/frozen_errors.py --structures DIR [--crystals N]

DIR holds structures_li.jsonl. Of its crystals of up to 24 atoms, in a random order (seed 25), the
first N and LiSbS, which was known to be far off: one lithium ion each, at random grid points,
by the compiled path and as complete configurations through CHGNet's own model. Both are in single
precision, in which the energy of a cell of 100 eV is known to 1e-5 eV.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure

from superionic.errors import SuperionicError
from superionic.landscape.evaluation import Evaluation
from superionic.landscape.settings import LandscapeSettings
from superionic.potentials.base import Potential
from superionic.potentials.registry import load_potential
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import prepare

SEED = 25
NAMED = "mp-756006"
N_POINTS = 24
LOW_eV = 4.0
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--crystals", type=int, default=60)
    options = parser.parse_args()
    lines = (options.structures / "structures_li.jsonl").read_text().splitlines()
    records = [one for one in map(json.loads, lines) if one["n_atoms"] <= 24]
    order = np.random.default_rng(SEED).permutation(len(records))
    shuffled = [records[k] for k in order if records[k]["id"] != NAMED][: options.crystals]
    chgnet = load_potential("chgnet")
    found: list[tuple[float, float, str]] = []
    for record in [one for one in records if one["id"] == NAMED] + shuffled:
        s = record["structure"]
        structure = Structure(Lattice(s["lattice"]), s["species"], s["frac_coords"])
        try:
            structure = prepare(Candidate(record["id"], structure), "Li").structure
            evaluation = Evaluation(structure, "Li", chgnet, LandscapeSettings(symmetry=False))
        except SuperionicError:
            continue
        grid, site = evaluation.sampling().grid, evaluation.sites[0]
        allowed = np.flatnonzero(evaluation.allowed(grid, evaluation.count_ions(grid), site))
        rng = np.random.default_rng(SEED)
        places = grid.cartesian(rng.choice(allowed, min(N_POINTS, len(allowed)), replace=False))
        places = np.vstack([structure[site].coords, places])
        fast = chgnet.frozen_framework(evaluation.atoms, site).energies(places)
        whole = Potential.frozen_framework(chgnet, evaluation.atoms, site).energies(places)
        off, low = np.abs(fast - whole), whole - whole[0] < LOW_eV
        name = f"{structure.composition.reduced_formula} ({record['id']})"
        found.append((float(off[low].max()), float(off.max()), name))
        print(f"{name} {found[-1][0]:.1e} {found[-1][1]:.1e}", flush=True)
    low_eV, all_eV = (np.array([one[k] for one in found]) for k in (0, 1))
    rows = [
        (f"points below {LOW_eV:g} eV", low_eV),
        ("all points", all_eV),
    ]
    out = [
        f"| largest in each of {len(found)} crystals (eV) | median | 95 % | largest | in |",
        "| --- | --- | --- | --- | --- |",
    ]
    for title, values in rows:
        worst = found[int(np.argmax(values))][2]
        out.append(
            f"| {title} | {np.median(values):.1e} | {np.quantile(values, 0.95):.1e} "
            f"| {values.max():.1e} | {worst} |"
        )
    (RESULTS / "frozen_errors.md").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
