"""Error of adaptive mode against exact mode on crystals that it was not tuned on.

    python benchmarks/adaptive_error.py --structures FILE.jsonl

FILE holds one JSON object a line: ``id``, ``source``, ``n_atoms``, ``structure`` (``lattice``,
``species``, ``frac_coords``). Of the phonondb crystals of up to 24 atoms in the file, in a random
order (seed 7), the first 60 were looked at while the mode was developed; the next ``--n`` are
measured here, on the same grid in both modes. Results: adaptive_error.json and adaptive_error.md,
written after each crystal; crystals that are there already are not computed again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pymatgen.core import Lattice, Structure

from superionic.landscape.descriptors import Descriptors, compute_descriptors
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import AdaptiveSettings, LandscapeSettings
from superionic.potentials.registry import load_potential
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import prepare

N_DEVELOPMENT = 60
SEED = 7


def chosen(path: Path, n: int) -> list[tuple[str, Structure]]:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    records = [r for r in records if r["source"] == "phonondb" and r["n_atoms"] <= 24]
    order = np.random.default_rng(SEED).permutation(len(records))
    found = []
    for index in order[N_DEVELOPMENT : N_DEVELOPMENT + n]:
        record = records[index]
        s = record["structure"]
        structure = Structure(Lattice(s["lattice"]), s["species"], s["frac_coords"])
        found.append((record["id"], prepare(Candidate(record["id"], structure), "Li").structure))
    return found


def numbers(settings: LandscapeSettings, structure: Structure) -> dict[str, Any]:
    landscape = compute_landscape(structure, "Li", load_potential("chgnet"), settings)
    d: Descriptors = compute_descriptors((m for _, m in landscape.maps()), landscape.grid.lattice)
    return {
        "n_energies": landscape.n_evaluations,
        "seconds": landscape.wall_time_s,
        "mpe_eV": d.mpe_eV,
        "xi": d.xi,
        "fv_connected": d.fv_connected,
        "fv_disconnected": d.fv_disconnected,
        "fv_2eV": d.at(2.0)["fv_disconnected_union"],
        "barriers_eV": [d.barrier_1d_eV, d.barrier_2d_eV, d.barrier_3d_eV],
    }


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| crystal | id | atoms | energies, exact | adaptive | mpe (eV), exact | error "
        "| Xi, exact | error | 3D barrier (eV), exact | error | volume below 2 eV, error |",
        "|" + " --- |" * 12,
    ]
    mpe, xi, three, volume, gain = [], [], [], [], []
    for r in rows:
        e, a = r["exact"], r["adaptive"]
        mpe.append((e["mpe_eV"], a["mpe_eV"] - e["mpe_eV"]))
        xi.append(a["xi"] - e["xi"])
        three.append(a["barriers_eV"][2] - e["barriers_eV"][2])
        volume.append(a["fv_2eV"] / e["fv_2eV"] - 1)
        gain.append(e["n_energies"] / a["n_energies"])
        lines.append(
            f"| {r['formula']} | {r['id']} | {r['n_atoms']} "
            f"| {e['n_energies']} | {a['n_energies']} "
            f"| {e['mpe_eV']:.3f} | {mpe[-1][1]:+.3f} | {e['xi']:.3f} | {xi[-1]:+.3f} "
            f"| {e['barriers_eV'][2]:.3f} | {three[-1]:+.3f} | {100 * volume[-1]:+.1f} % |"
        )
    low = [abs(error) for value, error in mpe if value < 1]
    sides = [(r["exact"]["mpe_eV"] < 0.5) == (r["adaptive"]["mpe_eV"] < 0.5) for r in rows]
    lines += [
        "",
        f"{len(rows)} crystals. Energies: {np.median(gain):.1f} times fewer in the median. "
        f"Percolation barrier below 1 eV ({len(low)} crystals): largest error "
        f"{max(low, default=0):.4f} eV; of all: {max(abs(e) for _, e in mpe):.3f} eV. "
        f"Xi: largest error {max(map(abs, xi)):.4f}, within 0.02 for "
        f"{np.mean(np.abs(xi) <= 0.02):.0%}. On the other side of 0.5 eV: {sides.count(False)}. "
        f"Three-dimensional barrier: largest error {max(map(abs, three)):.3f} eV. Volume below "
        f"2 eV: {100 * np.median(np.abs(volume)):.1f} % in the median, at most "
        f"{100 * max(map(abs, volume)):.0f} %.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    store = args.out / "adaptive_error.json"
    rows = json.loads(store.read_text()) if store.exists() else []
    done = {row["id"] for row in rows}
    for name, structure in chosen(args.structures, args.n):
        if name in done:
            continue
        row = {
            "id": name,
            "formula": structure.composition.reduced_formula,
            "n_atoms": len(structure),
            "exact": numbers(LandscapeSettings(), structure),
            "adaptive": numbers(LandscapeSettings(adaptive=AdaptiveSettings()), structure),
        }
        rows.append(row)
        store.write_text(json.dumps(rows, indent=1) + "\n")
        (args.out / "adaptive_error.md").write_text(table(rows))
        print(json.dumps(row), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
