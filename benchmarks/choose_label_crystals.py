"""Choose the crystals of workflows/label_1000K.yaml by a rule that knows nothing of the outcome.

The rule, in this order:

1. ordered crystals with a Materials Project id (``mp-...``) from PhononDB;
2. no hydrogen (2 fs are too long for it) and no element whose usual ions have open d or f shells;
3. at least one anion-forming element, and oxidation states that add up to zero: insulators;
4. a primitive cell of at most ``--max-primitive-atoms`` atoms;
5. of several with the same reduced formula and space group, the one with the lowest id;
6. the smallest supercells first (images at least 8 A apart), then by formula and id; the first
   ``--count`` of them, after ``--first`` that are passed over.

    python benchmarks/choose_label_crystals.py --structures structures_li.jsonl

Those that follow, workflows/label_1000K_untouched_crystals.jsonl, are left for a test:

    python benchmarks/choose_label_crystals.py --structures structures_li.jsonl \
        --first 220 --count 30 --output workflows/label_1000K_untouched_crystals.jsonl

With ``--any-chemistry`` rules 2 and 3 fall away: crystals that need no label, for pretraining
(workflows/phonondb_li_crystals.jsonl has the first 480).
"""

import argparse
import hashlib
import json
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

OPEN_SHELL = set(
    """V Cr Mn Fe Co Ni Cu Mo Tc Ru Rh Pd Re Os Ir Pt Au
    Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Th Pa U Np Pu""".split()  # noqa: SIM905
)
ANIONS = {"N", "O", "F", "P", "S", "Cl", "As", "Se", "Br", "Te", "I"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path, required=True, help="JSON lines of crystals")
    parser.add_argument("--count", type=int, default=220)
    parser.add_argument("--first", type=int, default=0, help="pass over so many")
    parser.add_argument("--max-primitive-atoms", type=int, default=40)
    parser.add_argument("--source", default="phonondb", help="value of 'source' in the records")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parents[1] / "workflows" / "label_1000K_crystals.jsonl",
    )
    parser.add_argument("--any-chemistry", action="store_true", help="without rules 2 and 3")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")

    from superionic.dynamics.supercell import shortest_vector, supercell_matrix
    from superionic.errors import InputError
    from superionic.structures import Candidate, read_candidates
    from superionic.structures.prepare import prepare

    left_out: Counter[str] = Counter()
    chosen: dict[tuple[str, int], tuple] = {}
    for found in read_candidates([options.structures]):
        if isinstance(found, InputError):
            left_out["unreadable"] += 1
            continue
        if found.provenance.get("source") != options.source or not is_mp_id(found.material_id):
            left_out["another source"] += 1
            continue
        elements = {element.symbol for element in found.structure.composition.elements}
        if not options.any_chemistry and (elements & OPEN_SHELL or "H" in elements):
            left_out["hydrogen or open shells"] += 1
            continue
        if not options.any_chemistry and not is_insulator(elements, found.structure.composition):
            left_out["not an ionic insulator by its formula"] += 1
            continue
        try:
            prepared = prepare(Candidate(found.material_id, found.structure), "Li")
        except InputError:
            left_out["cannot be prepared"] += 1
            continue
        structure = prepared.structure
        if len(structure) > options.max_primitive_atoms:
            left_out["primitive cell too large"] += 1
            continue
        matrix = supercell_matrix(structure.lattice.matrix)
        n_atoms = len(structure) * round(abs(np.linalg.det(matrix)))
        distance_A = shortest_vector(matrix @ structure.lattice.matrix)
        entry = (n_atoms, prepared.formula, int(found.material_id[3:]), distance_A, prepared, found)
        key = (prepared.formula, prepared.spacegroup_number)
        if key in chosen:
            left_out["formula and space group already there"] += 1
        if key not in chosen or entry[2] < chosen[key][2]:
            chosen[key] = entry
    ordered = sorted(chosen.values(), key=lambda entry: entry[:3])
    kept = ordered[options.first : options.first + options.count]
    left_out["not within the count"] += len(ordered) - len(kept)
    lines = [json.dumps(record(entry)) for entry in kept]
    content = "\n".join(lines) + "\n"
    options.output.write_text(content)
    for reason, count in left_out.items():
        print(f"{count:6} left out: {reason}")
    sizes = [entry[0] for entry in kept]
    print(f"{len(lines):6} chosen, supercells of {min(sizes)} to {max(sizes)} atoms")
    print("sha256", hashlib.sha256(content.encode()).hexdigest())


def is_mp_id(material_id: str) -> bool:
    return material_id.startswith("mp-") and material_id[3:].isdecimal()


def is_insulator(elements: set[str], composition) -> bool:
    return bool(elements & ANIONS and composition.reduced_composition.oxi_state_guesses())


def record(entry: tuple) -> dict:
    n_atoms, _, _, distance_A, prepared, found = entry
    structure = prepared.structure
    return {
        "material_id": found.material_id,
        "formula": prepared.formula,
        "spacegroup": prepared.spacegroup_number,
        "licence": "CC BY 4.0",
        "database": "PhononDB, Kyoto (A. Togo), PBEsol",
        "n_atoms_supercell": n_atoms,
        "image_distance_A": round(distance_A, 4),
        "structure": {
            "lattice": np.round(structure.lattice.matrix, 6).tolist(),
            "species": [site.specie.symbol for site in structure],
            "frac_coords": np.round(structure.frac_coords, 6).tolist(),
        },
    }


if __name__ == "__main__":
    main()
