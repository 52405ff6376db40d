"""CPU time of one CHGNet energy with one moving ion: ASE calculator against frozen framework.

Both take the same random positions (1.2 A or more from other atoms) with the same weights in one
process on one thread, in turns, so that a busy machine slows both alike; times are CPU times, the
best of a few rounds for the frozen framework and the median for the calculator. The floor is the
arithmetic of the products that are left, at the speed that products of 64 x 64 blocks reach here.

    python benchmarks/frozen_energies.py [--structures FILE.jsonl --ids mp-696128,...]

FILE holds one JSON object a line: ``id`` and ``structure`` (``lattice``, ``species``,
``frac_coords``). Without it, LiCl, Li2O and a Li3PS4-like cell are built here.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.geometry import get_distances
from chgnet.model import CHGNet
from chgnet.model.dynamics import CHGNetCalculator
from numba import njit

from superionic.potentials.chgnet import kernels as kernels
from superionic.potentials.chgnet.compiled import WIDTH, linear
from superionic.potentials.chgnet.frozen import ChgnetFrozenFramework

CLOSEST_A = 1.2


def built_in() -> Iterator[tuple[str, Atoms]]:
    yield (
        "LiCl",
        Atoms(
            "Li2Cl2",
            cell=[[1.962441, -3.399048, 0], [1.962441, 3.399048, 0], [0, 0, 6.357161]],
            positions=[
                [0, 0, 2.39040061],
                [1.96243315, 1.13301147, 5.56898111],
                [0, 0, 6.35070212],
                [1.96243315, 1.13301147, 3.17211527],
            ],
            pbc=True,
        ),
    )
    yield "LiF cubic", bulk("LiF", "rocksalt", a=4.03, cubic=True)
    yield "LiF 2x2x2 cubic", bulk("LiF", "rocksalt", a=4.03, cubic=True) * 2


def from_file(path: Path, ids: list[str]) -> Iterator[tuple[str, Atoms]]:
    records = {}
    for line in path.read_text().splitlines():
        record = json.loads(line)
        records[record["id"]] = record["structure"]
    for name in ids:
        crystal = records[name]
        yield (
            name,
            Atoms(
                crystal["species"],
                cell=crystal["lattice"],
                scaled_positions=crystal["frac_coords"],
                pbc=True,
            ),
        )


def random_positions(atoms: Atoms, mobile: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    framework = np.delete(atoms.positions, mobile, axis=0)
    result: list[np.ndarray] = []
    while len(result) < n:
        position = rng.uniform(0, 1, 3) @ atoms.cell.array
        _, d = get_distances([position], framework, cell=atoms.cell, pbc=True)
        if d.min() >= CLOSEST_A:
            result.append(position)
    return np.array(result)


@njit
def repeat_products(x: np.ndarray, w: np.ndarray, bias: np.ndarray, out: np.ndarray, n: int):
    for _ in range(n):
        linear(x, 0, 0, w, bias, out, 0, 0, x.shape[0])


def product_speed() -> float:
    """Return the floating-point operations per second of 64 x 64 products."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, WIDTH, WIDTH)).astype(np.float32)
    bias, out = np.zeros((1, WIDTH), np.float32), np.zeros((WIDTH, WIDTH), np.float32)
    repeat_products(x, w, bias, out, 1)
    best = np.inf
    n = 5000
    for _ in range(5):
        start = time.process_time()
        repeat_products(x, w, bias, out, n)
        best = min(best, time.process_time() - start)
    return 2 * WIDTH**3 * n / best


def product_operations(frozen: ChgnetFrozenFramework, position_A: np.ndarray) -> float:
    """Return the floating-point operations that products of features and weights take."""
    framework, workspace = frozen._framework, frozen._workspaces[0]
    n_new, n_short = kernels._find_bonds(position_A, frozen._weights, framework, workspace)
    n_angles = kernels._add_angles(n_short, frozen._weights, framework, workspace)
    n_short += framework.n_short
    n_atoms = len(framework.embedding)
    layers = len(frozen._weights.bond.bias)
    # In units of one row times a pair (core, gate) of 64 x 64 blocks: gated layers of edges and
    # angles, the angles' own parts after the first layer, parts of bonds and of atoms.
    edges = 2 * n_new + layers * (framework.n_edges + 2 * n_new)
    angles = n_angles * (layers + (layers - 1) + (layers - 2))
    bonds = n_short * (4 * (layers - 1) + layers + layers / 2)
    atoms = n_atoms * (layers + (layers - 1) + 2 * layers + (layers + 1) / 2 + 3 / 2)
    return 4 * WIDTH**2 * (edges + angles + bonds + atoms)


def measure(name: str, atoms: Atoms, model: CHGNet, n_positions: int, speed: float) -> dict:
    mobile = atoms.get_chemical_symbols().index("Li")
    positions = random_positions(atoms, mobile, n_positions)
    start = time.perf_counter()
    frozen = ChgnetFrozenFramework(model, atoms, mobile)
    frozen.energies(positions[:1])
    build_s = time.perf_counter() - start
    atoms.calc = CHGNetCalculator(model, use_device="cpu")
    calculator_s, expected = [], []
    frozen_s = []
    repeats = max(1, round(0.2 / (frozen_time(frozen, positions[:1]) * n_positions)))
    for k, position in enumerate(positions):
        if k % max(1, n_positions // 5) == 0:
            frozen_s.append(frozen_time(frozen, np.tile(positions, (repeats, 1))))
        atoms.positions[mobile] = position
        start = time.process_time()
        expected.append(atoms.get_potential_energy())
        calculator_s.append(time.process_time() - start)
    difference = np.abs(frozen.energies(positions) - expected)
    operations = float(np.mean([product_operations(frozen, p) for p in positions]))
    return {
        "id": name,
        "atoms": len(atoms),
        "calculator_ms": 1e3 * statistics.median(calculator_s),
        "frozen_ms": 1e3 * min(frozen_s),
        "ratio": statistics.median(calculator_s) / min(frozen_s),
        "floor_ms": 1e3 * operations / speed,
        "operations": operations,
        "build_s": build_s,
        "largest_difference_eV": float(difference.max()),
    }


def frozen_time(frozen: ChgnetFrozenFramework, positions: np.ndarray) -> float:
    start = time.process_time()
    frozen.energies(positions)
    return (time.process_time() - start) / len(positions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path)
    parser.add_argument("--ids", default="")
    parser.add_argument("--positions", type=int, default=20)
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = CHGNet.load(use_device="cpu", verbose=False)
    speed = product_speed()
    print(f"{platform.processor() or platform.machine()}, products {speed / 1e9:.0f} Gflop/s")
    print("crystal            atoms  ASE ms  frozen ms  ratio  floor ms  max |dE| eV")
    crystals = (
        from_file(arguments.structures, arguments.ids.split(","))
        if arguments.structures
        else built_in()
    )
    rows = []
    for name, atoms in crystals:
        row = measure(name, atoms, model, arguments.positions, speed)
        rows.append(row)
        print(
            f"{name:18s} {row['atoms']:5d} {row['calculator_ms']:7.1f} {row['frozen_ms']:10.3f}"
            f" {row['ratio']:6.1f} {row['floor_ms']:9.3f} {row['largest_difference_eV']:12.1e}",
            flush=True,
        )
    if arguments.output:
        result = {"product_operations_per_s": speed, "torch": torch.__version__, "crystals": rows}
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
