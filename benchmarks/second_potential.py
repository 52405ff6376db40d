"""A second potential's landscape from thirty energies, where CHGNet's is known.

    nice -n 15 python benchmarks/second_potential.py --structures DIR --n 20 \\
        --potential sevennet --potential matgl:FOLDER [--again]

CHGNet's landscape is computed at every point, the second potential's at every point, too, as the
oracle, and then from at most thirty energies that learn the difference. Results:
second_potential.json and second_potential.md, written after each crystal; crystals that are there
already are not computed again, and the energies of one that was stopped are in the folder
``--unfinished``. With ``--again`` the oracles that are there are kept, and the thirty energies are
asked for anew.
"""

import argparse
import json
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pymatgen.core import Structure

from exact_landscapes import RESULTS, crystal, read
from learned_landscape import BARRIERS, VOLUMES, close, described, error, held, is_below, percent
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.potentials.base import Potential
from superionic.potentials.registry import load_potential
from superionic.potentials.remembering import remembering
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import prepare

CRYSTALS = (
    *("mp-10250", "mp-961684", "mp-23856", "mp-643276", "mp-2659", "mp-9915"),
    *("mp-40286", "mp-753541", "mp-8874", "mp-8873", "mp-3980", "mp-9919"),
    *("mp-7714", "mp-35591", "mp-22967", "mp-774907", "mp-758054", "mp-6253"),
    *("mp-29463", "mp-557861", "mp-6259", "mp-758389", "mp-561430", "mp-849223"),
    *("mp-8804", "mp-15349", "mp-569117", "mp-28243", "mp-28603", "mp-5769"),
    *("mp-7688", "mp-9066", "mp-10251", "mp-553988", "mp-696949", "mp-8491"),
)
"""Of the phonondb crystals of up to 24 atoms, in a random order (seed 7), the 40 after the first
60, without the examples; those of fewest grid points first."""
N_ENERGIES = 30
SETTINGS = LearnedSettings(max_energies=N_ENERGIES, batch_size=4)


def oracle(structure: Structure, potential: Potential, unfinished: Path) -> dict[str, Any]:
    """Return what the potential says at every point."""
    with remembering(potential, unfinished) as remembered:
        start = time.process_time()
        found = compute_landscape(structure, "Li", remembered, LandscapeSettings())
    return {
        "n_energies": found.n_evaluations,
        "cpu_s": time.process_time() - start,
        "values": described(found)[0],
    }


def learned(structure: Structure, potential: Potential) -> dict[str, Any]:
    """Return CHGNet's numbers, and what thirty energies say of the potential's."""
    first = compute_landscape(structure, "Li", load_potential("chgnet"), LandscapeSettings())
    # The symmetry was checked with the oracle.
    few = LandscapeSettings(learned=SETTINGS, n_symmetry_checks=0)
    learned = compute_landscape(structure, "Li", potential, few, prior=first)
    values, intervals = described(learned)
    return {
        "chgnet": described(first)[0],
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
    for label in dict.fromkeys(r["potential"] for r in rows):
        lines += ["", summary(label, [r for r in rows if r["potential"] == label])]
    return "\n".join(lines) + "\n"


def summary(label: str, rows: list[dict[str, Any]]) -> str:
    barriers = [(r, name) for r in rows for name in BARRIERS]
    low = [one for one in barriers if is_below(one[0]["exact"]["values"][one[1]], 4.0)]
    volumes = [(r, name) for r in rows for name in VOLUMES]
    apart = [
        abs((r["exact"]["values"][name] or np.inf) - (r["chgnet"][name] or np.inf))
        for r, name in barriers
    ]
    return (
        f"{label}: {len(rows)} crystals, at most {N_ENERGIES} energies. Barriers within 0.03 eV: "
        f"{percent(close, barriers)} of {len(barriers)}, of those below 4 eV "
        f"{percent(close, low)} of {len(low)}; the two potentials differ by "
        f"{np.nanmedian(apart):.2f} eV in the median. Volumes within 5 % or 0.001: "
        f"{percent(close, volumes)}. Intervals that hold the exact value: barriers "
        f"{percent(held, barriers)}, volumes {percent(held, volumes)}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--potential", action="append", required=True)
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--unfinished", type=Path, default=Path(tempfile.gettempdir()))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    store = args.out / "second_potential.json"
    rows = json.loads(store.read_text()) if store.exists() else []
    kept = {(row["id"], row["potential"]): row for row in rows}
    records = {record["id"]: record for record in read(args.structures)}
    potentials = [load_potential(one) for one in args.potential]
    # Those of fewest points come first, so that a run that is stopped has most of them.
    for name, potential in product(CRYSTALS[: args.n], potentials):
        label = potential.info.label
        row = kept.get((name, label))
        if row is not None and not args.again:
            continue
        structure = prepare(Candidate(name, crystal(records[name])), "Li").structure
        if row is None:
            row = {
                "id": name,
                "formula": structure.composition.reduced_formula,
                "n_atoms": len(structure),
                "potential": label,
            }
            unfinished = args.unfinished / f"{name}-{label.replace(':', '-')}.energies"
            row["exact"] = oracle(structure, potential, unfinished)
            rows.append(row)
        row |= learned(structure, potential)
        store.write_text(json.dumps(rows, indent=1) + "\n")
        (args.out / "second_potential.md").write_text(table(rows))
        print(json.dumps(row), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
