"""CPU time of one energy of a landscape, for each potential that is at hand.

    python benchmarks/potential_speed.py [--potential SPEC ...] [--energies 10] [--out FOLDER]

The moving ion of three example crystals is put at random points, as a landscape does, through the
fastest path that the potential has: the CPU time of one energy on one thread, beside CHGNet's.
Results: potential_speed.json and potential_speed.md, written after each potential; what is there is
not measured again.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from superionic.errors import SuperionicError
from superionic.landscape.grid import Grid, plain_shape
from superionic.potentials.registry import MODELS, load_potential, models_here

CRYSTALS = Path(__file__).parents[1] / "workflows" / "example_crystals"
FIRST = "chgnet:0.3.0"


def crystals(n: int = 3) -> dict[str, Structure]:
    """Return example crystals of different sizes, the smallest and the largest among them."""
    read = {file.stem: Structure.from_file(file) for file in sorted(CRYSTALS.glob("*.cif"))}
    found = {name: one.get_primitive_structure() for name, one in read.items()}
    by_size = sorted((len(one), name) for name, one in found.items() if "Li" in one.symbol_set)
    places = np.linspace(0, len(by_size) - 1, n).round().astype(int)
    return {by_size[place][1]: found[by_size[place][1]] for place in places}


def milliseconds(spec: str, structure: Structure, n_energies: int) -> float:
    """Return the CPU time of one energy in ms, the smaller of two measurements."""
    potential = load_potential(spec, check=False)
    atoms = AseAtomsAdaptor.get_atoms(structure)
    site = structure.indices_from_symbol("Li")[0]
    lattice = np.array(structure.lattice.matrix)
    grid = Grid(lattice, plain_shape(lattice, 0.25))
    others = np.delete(structure.frac_coords, site, axis=0)
    free = np.flatnonzero(~grid.near(others, 1.2).ravel())
    points = np.random.default_rng(0).choice(free, n_energies)
    framework = potential.frozen_framework(atoms, site)
    positions_A = grid.cartesian(points)
    framework.energies(positions_A[:2])  # what is made once
    times = []
    for _ in range(2):
        start = time.process_time()
        framework.energies(positions_A)
        times.append(1000 * (time.process_time() - start) / n_energies)
    return min(times)


def table(rows: dict[str, dict[str, Any]]) -> str:
    names = list(next(iter(rows.values()))["n_atoms"])
    trained = {model.spec: model.trained_on for model in MODELS}
    sizes = next(iter(rows.values()))["n_atoms"]
    heads = [f"{name}, {sizes[name]} atoms (ms)" for name in names]
    lines = [
        f"| potential | trained on | {' | '.join(heads)} | relative to {FIRST} |",
        "|" + " --- |" * (3 + len(names)),
    ]
    first = rows.get(FIRST)
    for spec, row in rows.items():
        if "error" in row:
            cells = [row["error"], *[""] * (len(names) - 1)]
        else:
            cells = [f"{row['ms'][name]:.1f}" for name in names]
        ratio = "-"
        if first and "error" not in row:
            ratios = [row["ms"][name] / first["ms"][name] for name in names]
            ratio = f"{np.exp(np.mean(np.log(ratios))):.1f} times"
        lines.append(f"| `{spec}` | {trained.get(spec, '-')} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--potential", action="append", default=[])
    parser.add_argument("--energies", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    store = args.out / "potential_speed.json"
    rows = json.loads(store.read_text()) if store.exists() else {}
    chosen = crystals()
    for spec in [*(model.spec for model in models_here()), *args.potential]:
        if spec in rows:
            continue
        row: dict[str, Any] = {"n_atoms": {name: len(one) for name, one in chosen.items()}}
        try:
            row["ms"] = {
                name: milliseconds(spec, one, args.energies) for name, one in chosen.items()
            }
        except SuperionicError as error:
            row["error"] = str(error)
        rows[spec] = row
        store.write_text(json.dumps(rows, indent=1) + "\n")
        (args.out / "potential_speed.md").write_text(table(rows))
        print(json.dumps({spec: row}), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
