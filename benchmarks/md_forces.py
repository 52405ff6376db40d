"""CPU time of CHGNet's forces, torch against compiled code, and how far both are from exact.

    python benchmarks/md_forces.py [--atoms 16 24 36 48 56 60] [--evaluations 16]

Supercells of the label campaign, one thread; both evaluate the same shaken positions in turn in one
process, and the medians are given. Exact is the same network in double precision. Results:
benchmarks/results/md_forces.json and md_forces.md.
"""

import argparse
import copy
import json
import os
import platform
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
from ase import Atoms

from md_batch import CRYSTALS, HERE, pick

warnings.filterwarnings("ignore")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crystals", type=Path, default=CRYSTALS)
    parser.add_argument("--atoms", type=int, nargs="+", default=[16, 24, 36, 48, 56, 60])
    parser.add_argument("--evaluations", type=int, default=16)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()

    import torch

    from superionic.potentials.registry import load_potential

    torch.set_num_threads(1)
    model = load_potential("chgnet").model
    rows = []
    for n_atoms in options.atoms:
        name, atoms = pick(options.crystals, n_atoms)
        rows.append({"crystal": name} | measure(model, atoms, options.evaluations))
        print(rows[-1], flush=True)
    about = {
        "evaluations": options.evaluations,
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "torch": torch.__version__,
    }
    content = json.dumps({"rows": rows, "about": about}, indent=1)
    (options.out / "md_forces.json").write_text(content + "\n")
    lines = [
        "| crystal | atoms | pairs | angles | torch (ms) | compiled (ms) | ratio "
        "| error of torch | error of compiled |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['formula']} | {r['n_atoms']} | {r['n_pairs']} | {r['n_angles']} "
        f"| {r['torch_ms']:.1f} | {r['compiled_ms']:.1f} | {r['torch_ms'] / r['compiled_ms']:.1f} "
        f"| {r['torch_error']:.1e} | {r['compiled_error']:.1e} |"
        for r in rows
    ]
    (options.out / "md_forces.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def measure(model, atoms: Atoms, n_evaluations: int) -> dict:
    """Return times, and the largest error of a force relative to the largest force or 1 eV/A."""
    from superionic.potentials.chgnet.force_field import CHGNetForceField

    fields = {
        "torch": CHGNetForceField([atoms], model, compiled=False),
        "compiled": CHGNetForceField([atoms], model),
    }
    rng = np.random.default_rng(0)
    positions = atoms.positions + rng.normal(0.0, 0.05, atoms.positions.shape)
    for field in fields.values():
        field.evaluate([positions])
    times: dict[str, list[float]] = {name: [] for name in fields}
    for _ in range(n_evaluations):
        positions = positions + rng.normal(0.0, 0.01, positions.shape)
        for name, field in fields.items():
            started = time.process_time()
            field.evaluate([positions])
            times[name].append(time.process_time() - started)
    row: dict = {"formula": atoms.get_chemical_formula(), "n_atoms": len(atoms)}
    pairs, _, _, angles = fields["torch"]._verlet[0].graph(positions)
    row |= {"n_pairs": len(pairs), "n_angles": len(angles.centre)}
    exact = CHGNetForceField([atoms], copy.deepcopy(model).double()).evaluate([positions])[1][0]
    for name, field in fields.items():
        error = np.abs(field.evaluate([positions])[1][0] - exact).max()
        row[f"{name}_ms"] = 1e3 * statistics.median(times[name])
        row[f"{name}_error"] = float(error / max(1.0, np.abs(exact).max()))
    return row


if __name__ == "__main__":
    main()
