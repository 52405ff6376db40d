"""Cost of a landscape: published protocol, exact mode, molecular dynamics.

    make benchmark-landscape      (python benchmarks/landscape.py --out benchmarks/results)

For each crystal, in one process on one thread with the same CHGNet weights:

(a) the published protocol: every allowed point of the plain grid for every mobile ion through
    CHGNet's ASE calculator, timed on a random sample of points and extrapolated;
(b) exact mode: grid with the crystal's symmetry, frozen-framework energies, all descriptors. Above
    ``--exact-limit`` energies, (b) is timed on a sample of 1,000 of its points and extrapolated
    (marked ~ in the table);
(c) molecular dynamics of 50 ps at 2 fs in the same cell, forces only, timed on a sample of steps
    and extrapolated: with CHGNet's own network in torch;
(d) the same with the compiled CHGNet forces of superionic.dynamics.

Times are CPU times of the process. Results go to landscape.json, landscape.md and landscape.png and
are written after each crystal; crystals that are there already are not measured again.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from chgnet.model.dynamics import CHGNetCalculator
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from superionic.landscape.descriptors import ConnectedWindows, Cuts, compute_descriptors
from superionic.landscape.grid import Grid, plain_shape
from superionic.landscape.landscape import Landscape, compute_landscape
from superionic.landscape.levels import minimum_percolation_energy, neighbour_offsets
from superionic.landscape.maps import IonMaps
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.potentials.chgnet.force_field import CHGNetForceField
from superionic.potentials.registry import load_potential
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import prepare

CRYSTALS = Path(__file__).parent / "crystals.jsonl"
MD_STEPS = 25_000
SEED = 20


def crystals() -> list[tuple[str, Structure]]:
    found = []
    for line in CRYSTALS.read_text().splitlines():
        record = json.loads(line)
        s = record["structure"]
        structure = Structure(Lattice(s["lattice"]), s["species"], s["frac_coords"])
        prepared = prepare(Candidate(record["id"], structure), "Li").structure
        found.append((record["id"], prepared))
    return sorted(found, key=lambda one: len(one[1]))


def reference_cost(structure: Structure, model: Any, n_sample: int) -> dict[str, float]:
    """Time the ASE calculator on random allowed points of the plain grid."""
    rng = np.random.default_rng(SEED)
    grid = Grid(np.array(structure.lattice.matrix), plain_shape(structure.lattice.matrix, 0.25))
    sites = [i for i, site in enumerate(structure) if site.specie.symbol == "Li"]
    allowed = {}
    for site in sites:
        others = np.delete(np.array(structure.frac_coords), site, axis=0)
        allowed[site] = np.flatnonzero(~grid.near(others, 1.2).ravel())
    n_energies = sum(len(points) for points in allowed.values())
    calculator = CHGNetCalculator(model=model, use_device="cpu", on_isolated_atoms="ignore")
    times = []
    for _ in range(n_sample + 2):
        site = int(rng.choice(sites))
        atoms = AseAtomsAdaptor.get_atoms(structure)
        atoms.positions[site] = grid.cartesian(rng.choice(allowed[site], 1))[0]
        atoms.calc = calculator
        start = time.process_time()
        atoms.get_potential_energy()
        times.append(time.process_time() - start)
    mean_s = statistics.fmean(times[2:])
    return {"n_energies": n_energies, "ms_per_energy": 1e3 * mean_s, "seconds": mean_s * n_energies}


FEW = LandscapeSettings(learned=LearnedSettings(max_energies=60))
"""For a landscape of which only grid, symmetry and the time of descriptors count."""


def describe(landscape: Landscape) -> dict[str, Any]:
    found = compute_descriptors(landscape.ion_maps(), landscape.grid.lattice)
    return {"mpe_eV": found.mpe_eV, "xi": found.xi, "barrier_3d_eV": found.barrier_3d_eV}


def mode_cost(
    structure: Structure, settings: LandscapeSettings
) -> tuple[dict[str, Any], Landscape]:
    potential = load_potential("chgnet")
    start = time.process_time()
    landscape = compute_landscape(structure, "Li", potential, settings)
    energies_s = time.process_time() - start
    numbers = describe(landscape)
    return {
        "n_energies": landscape.n_evaluations,
        "seconds": time.process_time() - start,
        "descriptors_s": time.process_time() - start - energies_s,
        "extrapolated": False,
        **numbers,
    }, landscape


def sampled_exact_cost(structure: Structure, learned: Landscape, n_allowed: int) -> dict[str, Any]:
    """Extrapolate exact mode from a sample of its points; overheads are those of learned maps."""
    rng = np.random.default_rng(SEED)
    potential = load_potential("chgnet")
    atoms = AseAtomsAdaptor.get_atoms(structure)
    site = learned.orbits[0].orbit.representative
    others = np.delete(np.array(structure.frac_coords), site, axis=0)
    points = np.flatnonzero(~learned.grid.near(others, 1.2).ravel())
    chosen = learned.grid.cartesian(rng.choice(points, min(1000, len(points)), replace=False))
    start = time.process_time()
    framework = potential.frozen_framework(atoms, site)
    set_up_s = time.process_time() - start
    framework.energies(chosen[:50])
    start = time.process_time()
    framework.energies(chosen)
    per_energy_s = (time.process_time() - start) / len(chosen)
    start = time.process_time()
    describe(learned)
    descriptors_s = time.process_time() - start
    return {
        "n_energies": n_allowed,
        "seconds": n_allowed * per_energy_s + len(learned.orbits) * set_up_s + descriptors_s,
        "descriptors_s": descriptors_s,
        "extrapolated": True,
    }


def exact_energies(landscape: Landscape) -> int:
    """Count the energies of exact mode from the grid and the orbits of any mode."""
    total = 0
    for one in landscape.orbits:
        others = np.delete(
            np.array(landscape.structure.frac_coords), one.orbit.representative, axis=0
        )
        allowed = ~landscape.grid.near(others, 1.2).ravel()
        smallest = np.arange(landscape.grid.n_points)
        for operation in one.orbit.stabiliser:
            np.minimum(smallest, landscape.grid.permutation(operation), out=smallest)
        total += len(np.unique(smallest[allowed]))
    return total


def md_cost(structure: Structure, model: Any, n_steps: int, compiled: bool) -> dict[str, float]:
    """Time forces along a random walk, which rebuilds neighbour lists as dynamics does."""
    rng = np.random.default_rng(SEED)
    atoms = AseAtomsAdaptor.get_atoms(structure)
    field = CHGNetForceField([atoms], model, compiled=compiled)
    positions = atoms.positions + rng.normal(0, 0.05, atoms.positions.shape)
    field.evaluate([positions])
    start = time.process_time()
    for _ in range(n_steps):
        positions = positions + rng.normal(0, 0.005, positions.shape)
        field.evaluate([positions])
    per_step_s = (time.process_time() - start) / n_steps
    return {"ms_per_step": 1e3 * per_step_s, "seconds": MD_STEPS * per_step_s}


def python_flood_s(energies: np.ndarray, lattice: np.ndarray) -> float:
    """Time the same exact levels by a heap in plain Python."""
    import heapq

    shape = np.array(energies.shape)
    window = tuple(2 * shape + 1)
    start_index = np.array(np.unravel_index(np.argmin(energies), energies.shape))
    tiled = energies[
        np.ix_(*(np.mod(start_index[k] + np.arange(-n, n + 1), n) for k, n in enumerate(shape)))
    ]
    offsets = [tuple(int(x) for x in step) for step in neighbour_offsets(lattice, energies.shape)]
    begin = time.process_time()
    values = tiled.tolist()
    levels = np.full(window, np.inf)
    centre = tuple(int(n) for n in shape)
    heap = [(values[centre[0]][centre[1]][centre[2]], centre)]
    levels[centre] = heap[0][0]
    done = np.zeros(window, dtype=bool)
    while heap:
        level, (i, j, k) = heapq.heappop(heap)
        if done[i, j, k]:
            continue
        done[i, j, k] = True
        for a, b, c in offsets:
            p, q, r = i + a, j + b, k + c
            if 0 <= p < window[0] and 0 <= q < window[1] and 0 <= r < window[2]:
                new = max(level, values[p][q][r])
                if new < levels[p, q, r]:
                    levels[p, q, r] = new
                    heapq.heappush(heap, (new, (p, q, r)))
    elapsed = time.process_time() - begin
    lowest = min(levels.take(end, axis).min() for axis in range(3) for end in (0, -1))
    np.testing.assert_allclose(lowest, minimum_percolation_energy(energies, lattice))
    return elapsed


def level_cost(landscape: Landscape) -> dict[str, float]:
    energies, lattice = landscape.orbits[0].energies_eV, landscape.grid.lattice
    ion = IonMaps.unrelated([energies], lattice)
    cuts = Cuts(np.linspace(0.1, 4.0, 16)[:, None])
    ConnectedWindows(ion.symmetry, cuts).unite(ion.values, ion.symmetry.table)
    times = []
    for _ in range(5):
        start = time.process_time()
        ConnectedWindows(ion.symmetry, cuts).unite(ion.values, ion.symmetry.table)
        times.append(time.process_time() - start)
    return {"compiled_s": min(times), "python_s": python_flood_s(energies, lattice)}


def measure(
    name: str, structure: Structure, model: Any, args: argparse.Namespace
) -> dict[str, Any]:
    _, sparse = mode_cost(structure, FEW)
    n_exact = exact_energies(sparse)
    if n_exact <= args.exact_limit:
        exact, landscape = mode_cost(structure, LandscapeSettings())
    else:
        exact, landscape = sampled_exact_cost(structure, sparse, n_exact), sparse
    return {
        "id": name,
        "formula": structure.composition.reduced_formula,
        "n_atoms": len(structure),
        "n_mobile": landscape.n_mobile,
        "spacegroup": landscape.space_group.symbol,
        "n_operations": landscape.n_operations,
        "grid_shape": landscape.grid.shape,
        "reference": reference_cost(structure, model, args.sample),
        "exact": exact,
        "md": md_cost(structure, model, args.md_steps, compiled=False),
        "md_compiled": md_cost(structure, model, args.md_steps, compiled=True),
        "levels": level_cost(landscape) if len(structure) <= 20 else None,
    }


def matmul_gflops() -> float:
    """Measure the speed of single-precision products of the network's width at one thread."""
    a, b = torch.randn(4096, 64), torch.randn(64, 64)
    for _ in range(20):
        a @ b
    start = time.process_time()
    for _ in range(400):
        a @ b
    return 400 * 2 * 4096 * 64 * 64 / (time.process_time() - start) / 1e9


def table(results: dict[str, Any]) -> str:
    rows = results["crystals"]
    lines = [
        "| crystal | id | atoms | Li | group | (a) energies | (a) s | (b) energies | (b) s "
        "| (c) s | (d) s | a/b | c/b | d/b |",
        "|" + " --- |" * 14,
    ]
    for r in rows:
        a, b, c, d = (r[k]["seconds"] for k in ("reference", "exact", "md", "md_compiled"))
        mark = "~" if r["exact"]["extrapolated"] else ""
        lines.append(
            f"| {r['formula']} | {r['id']} | {r['n_atoms']} | {r['n_mobile']} | {r['spacegroup']} "
            f"| {r['reference']['n_energies']} | {a:.0f} "
            f"| {r['exact']['n_energies']} | {mark}{b:.1f} "
            f"| {c:.0f} | {d:.0f} | {a / b:.0f} | {c / b:.1f} | {d / b:.1f} |"
        )

    def median(over: str, under: str, rows: list[dict[str, Any]]) -> float:
        return statistics.median(r[over]["seconds"] / r[under]["seconds"] for r in rows)

    small = [r for r in rows if r["n_atoms"] <= 20]
    levels = [r["levels"]["python_s"] / r["levels"]["compiled_s"] for r in rows if r["levels"]]
    lines += [
        "",
        f"Medians: a/b {median('reference', 'exact', rows):.0f}; up to 20 atoms "
        f"c/b {median('md', 'exact', small):.1f}, "
        f"d/b {median('md_compiled', 'exact', small):.1f}; "
        f"exact levels, plain Python over compiled {statistics.median(levels):.0f}.",
        "",
        f"Machine: {results['machine']}; torch {torch.__version__}, one thread; single-precision "
        f"products of the network's width run at {results['matmul_gflops']:.0f} GFLOP/s.",
    ]
    return "\n".join(lines) + "\n"


def plot(results: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    rows = results["crystals"]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), constrained_layout=True)
    styles = {
        "reference": ("published protocol", "s", "#D55E00"),
        "md": ("MD, 50 ps", "^", "#999999"),
        "md_compiled": ("MD, 50 ps, compiled", "v", "#56B4E9"),
        "exact": ("exact mode", "o", "#0072B2"),
    }
    for key, (label, marker, colour) in styles.items():
        x = [r["n_atoms"] for r in rows]
        y = [r[key]["seconds"] for r in rows]
        axes[0].loglog(x, y, marker, color=colour, label=label, alpha=0.8)
    sizes = [4, 8, 16, 32, 64]
    axes[0].set(xlabel="atoms in the cell", ylabel="CPU time (s)")
    axes[0].legend(frameon=False, fontsize=8)
    label, marker, colour = styles["exact"]
    per = [1e3 * r["exact"]["seconds"] / r["exact"]["n_energies"] for r in rows]
    axes[1].loglog([r["n_atoms"] for r in rows], per, marker, color=colour, label=label)
    axes[1].loglog(
        [r["n_atoms"] for r in rows],
        [r["reference"]["ms_per_energy"] for r in rows],
        "s",
        color="#D55E00",
        label="ASE calculator",
    )
    axes[1].set(xlabel="atoms in the cell", ylabel="CPU time per energy, all included (ms)")
    axes[1].legend(frameon=False, fontsize=8)
    for axis in axes:
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--sample", type=int, default=100, help="points of (a)")
    parser.add_argument("--md-steps", type=int, default=100, help="steps of (c) and (d)")
    parser.add_argument("--exact-limit", type=int, default=30_000)
    parser.add_argument("--ids", help="only these, separated by commas")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = load_potential("chgnet").model
    args.out.mkdir(parents=True, exist_ok=True)
    store = args.out / "landscape.json"
    results = json.loads(store.read_text()) if store.exists() else {"crystals": []}
    results["machine"] = f"{platform.processor() or platform.machine()}, {platform.system()}"
    results["matmul_gflops"] = matmul_gflops()
    done = {row["id"] for row in results["crystals"]}
    chosen = [one for one in crystals() if args.ids is None or one[0] in args.ids.split(",")]
    # Compilation and first-time allocations are not what is measured.
    mode_cost(chosen[0][1], LandscapeSettings(grid_step_A=0.6))
    for name, structure in chosen:
        if name in done:
            continue
        row = measure(name, structure, model, args)
        results["crystals"].append(row)
        store.write_text(json.dumps(results, indent=1) + "\n")
        (args.out / "landscape.md").write_text(table(results))
        print(json.dumps(row))
    (args.out / "landscape.md").write_text(table(results))
    plot(results, args.out / "landscape.png")
    print(table(results))


if __name__ == "__main__":
    main()
