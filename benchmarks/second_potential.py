"""A second potential's landscape from thirty energies, where CHGNet's is known.

    python benchmarks/second_potential.py --structures DIR [--potential sevennet] [--n 5]

The crystals are those of learned_landscape.py --first, the ones of fewest grid points first.
CHGNet's landscape is computed at every point, the second potential's at every point, too, as the
oracle, and then from at most thirty energies that learn the difference. Results:
second_potential.json and second_potential.md, written after each crystal; crystals that are there
already are not computed again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pymatgen.core import Structure

from exact_landscapes import RESULTS, crystal, read
from learned_landscape import BARRIERS, VOLUMES, close, described, error, held, percent
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.potentials.registry import load_potential
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import prepare

N_ENERGIES = 30
SETTINGS = LearnedSettings(max_energies=N_ENERGIES, batch_size=4)


def measured(structure: Structure, second: str) -> dict[str, Any]:
    every = LandscapeSettings()
    first = compute_landscape(structure, "Li", load_potential("chgnet"), every)
    potential = load_potential(second)
    oracle = compute_landscape(structure, "Li", potential, every)
    # The symmetry was checked with the oracle.
    few = LandscapeSettings(learned=SETTINGS, n_symmetry_checks=0)
    learned = compute_landscape(structure, "Li", potential, few, prior=first)
    values, intervals = described(learned)
    return {
        "chgnet": described(first)[0],
        "exact": {"n_energies": oracle.n_evaluations, "values": described(oracle)[0]},
        "learned": {
            "n_energies": learned.n_evaluations,
            "ending": learned.ending,
            "remarks": [remark.code for remark in learned.remarks],
            "values": values,
            "intervals": intervals,
        },
    }


def table(rows: list[dict[str, Any]]) -> str:
    def shown(values: dict[str, Any]) -> str:
        return ", ".join(
            "none" if values[name] is None else f"{values[name]:.2f}" for name in BARRIERS
        )

    lines = [
        "| crystal | id | atoms | potential | energies, exact | learned | ending "
        "| barriers (eV) 1D, 2D, 3D, mpe: CHGNet | second potential | error "
        "| volume below 0.5 eV, error | below 2 eV, error | Xi, error |",
        "|" + " --- |" * 13,
    ]
    for r in rows:
        exact, mine = r["exact"]["values"], r["learned"]
        relative = [100 * error(r, name) / max(exact[name], 1e-9) for name in VOLUMES]
        lines.append(
            f"| {r['formula']} | {r['id']} | {r['n_atoms']} | {r['potential']} "
            f"| {r['exact']['n_energies']} | {mine['n_energies']} | {mine['ending']} "
            f"| {shown(r['chgnet'])} | {shown(exact)} "
            f"| {', '.join(f'{error(r, name):+.3f}' for name in BARRIERS)} "
            f"| {relative[0]:+.1f} % | {relative[1]:+.1f} % | {error(r, 'xi'):+.3f} |"
        )
    barriers = [(r, name) for r in rows for name in BARRIERS]
    volumes = [(r, name) for r in rows for name in VOLUMES]
    apart = [
        abs((r["exact"]["values"][name] or np.inf) - (r["chgnet"][name] or np.inf))
        for r, name in barriers
    ]
    lines += [
        "",
        f"{len(rows)} crystals, at most {N_ENERGIES} energies. Barriers within 0.03 eV: "
        f"{percent(close, barriers)} of {len(barriers)}; the two potentials differ by "
        f"{np.nanmedian(apart):.2f} eV in the median. Volumes within 5 % or 0.001: "
        f"{percent(close, volumes)}. Intervals that hold the exact value: barriers "
        f"{percent(held, barriers)}, volumes {percent(held, volumes)}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--potential", default="sevennet")
    parser.add_argument("--n", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    store = args.out / "second_potential.json"
    sizes = RESULTS / "learned_landscape_first_exact.json"
    rows = json.loads(store.read_text()) if store.exists() else []
    points = {row["id"]: row["exact"]["n_energies"] for row in json.loads(sizes.read_text())}
    records = {record["id"]: record for record in read(args.structures)}
    label = load_potential(args.potential).info.label
    done = {row["id"] for row in rows if row["potential"] == label}
    for name in sorted(points, key=lambda one: points[one])[: args.n]:
        if name in done:
            continue
        structure = prepare(Candidate(name, crystal(records[name])), "Li").structure
        rows.append(
            {
                "id": name,
                "formula": structure.composition.reduced_formula,
                "n_atoms": len(structure),
                "potential": label,
                **measured(structure, args.potential),
            }
        )
        store.write_text(json.dumps(rows, indent=1) + "\n")
        (args.out / "second_potential.md").write_text(table(rows))
        print(json.dumps(rows[-1]), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
