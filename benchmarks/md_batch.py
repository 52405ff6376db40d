"""CPU time of a step when several crystals share a force evaluation, against one by one.

    python benchmarks/md_batch.py [--atoms 16 24 36 48 60] [--batches 2 4 8]

Supercells of the label campaign run with CHGNet at 1000 K through ``run_md_batch``, as many copies
with different seeds as the batch has places; alone and in batches in turn, several times, and the
median is given. Counted is the CPU time of this process inside the force field, without its first
calls, per crystal and step. Results: benchmarks/results/md_batch.json and md_batch.md.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

warnings.filterwarnings("ignore")

HERE = Path(__file__).parent
CRYSTALS = HERE.parent / "workflows" / "label_1000K_crystals.jsonl"
N_WARM = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crystals", type=Path, default=CRYSTALS)
    parser.add_argument("--atoms", type=int, nargs="+", default=[16, 24, 36, 48, 60])
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()

    import torch

    from superionic.potentials.registry import load_potential

    torch.set_num_threads(1)
    make = load_potential("chgnet").force_field
    rows = []
    for n_atoms in options.atoms:
        name, atoms = pick(options.crystals, n_atoms)
        sizes = [1, *options.batches]
        times: dict[int, list[float]] = {size: [] for size in sizes}
        seconds(make, atoms, 1, 2 + N_WARM)  # weights are loaded, kernels compiled
        for _ in range(options.repeats):
            for size in sizes:
                times[size].append(seconds(make, atoms, size, options.steps))
        row = {"crystal": name, "formula": atoms.get_chemical_formula(), "n_atoms": len(atoms)}
        row |= {f"cpu_ms_{size}": 1e3 * statistics.median(times[size]) for size in sizes}
        rows.append(row)
        print(row, flush=True)
    about = {
        "steps": options.steps,
        "repeats": options.repeats,
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "torch": torch.__version__,
    }
    content = json.dumps({"rows": rows, "about": about}, indent=1)
    (options.out / "md_batch.json").write_text(content + "\n")
    text = table(rows, options.batches)
    (options.out / "md_batch.md").write_text(text + "\n")
    print(text)


def pick(path: Path, n_atoms: int) -> tuple[str, Atoms]:
    """Return the first crystal of the campaign whose supercell has so many atoms."""
    from superionic.dynamics.supercell import make_supercell

    for line in path.open():
        record = json.loads(line)
        if record["n_atoms_supercell"] != n_atoms:
            continue
        crystal = record["structure"]
        atoms = Atoms(
            crystal["species"],
            cell=crystal["lattice"],
            scaled_positions=crystal["frac_coords"],
            pbc=True,
        )
        return record["material_id"], make_supercell(atoms, 8.0, max_atoms=400)[0]
    raise SystemExit(f"{path} holds no supercell of {n_atoms} atoms.")


class Timed:
    """A force field that notes the CPU time of each call."""

    def __init__(self, force_field: Any, calls: list[float]) -> None:
        self.label = force_field.label
        self._force_field, self._calls = force_field, calls

    def evaluate(self, positions_A: Sequence[np.ndarray]) -> Any:
        started = time.process_time()
        found = self._force_field.evaluate(positions_A)
        self._calls.append(time.process_time() - started)
        return found


def seconds(make: Any, atoms: Atoms, size: int, n_steps: int) -> float:
    """Return the CPU time of a crystal and step in a batch."""
    from superionic.dynamics.runner import MDTask, run_md_batch
    from superionic.dynamics.settings import MDSettings
    from superionic.dynamics.stopping import StopRules

    calls: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        tasks = [
            MDTask(
                atoms,
                "Li",
                MDSettings(n_equilibration_steps=0, n_steps=n_steps, seed=seed),
                Path(folder) / str(seed),
                StopRules(early=False),
            )
            for seed in range(size)
        ]
        run_md_batch(tasks, lambda systems: Timed(make(systems), calls))
    return statistics.mean(calls[N_WARM:]) / size


def table(rows: list[dict[str, Any]], batches: list[int]) -> str:
    heads = [f"in batches of {size}" for size in batches]
    lines = [
        f"| crystal | atoms | one by one (ms) | {' | '.join(heads)} |",
        f"| --- | --- | --- |{' --- |' * len(batches)}",
    ]
    for row in rows:
        alone = row["cpu_ms_1"]
        cells = [
            f"{row[f'cpu_ms_{size}']:.1f} ({alone / row[f'cpu_ms_{size}']:.2f} times as fast)"
            for size in batches
        ]
        lines.append(f"| {row['formula']} | {row['n_atoms']} | {alone:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
