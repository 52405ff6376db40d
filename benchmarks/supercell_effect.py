"""What a wider cell does to frozen-framework barriers.

In a small cell the images of the moving ion move with it. This computes crystals in their primitive
cell and in supercells of a growing shortest width, and prints barriers and free volumes of each.

    python benchmarks/supercell_effect.py CRYSTALS... --widths 0 5 7 9 --step 0.4 --json FILE
"""

import argparse
import json
import time
import warnings
from dataclasses import replace
from pathlib import Path

warnings.filterwarnings("ignore")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--ids", nargs="*", help="only these materials")
    parser.add_argument("--mobile", default="Li")
    parser.add_argument("--potential", default="chgnet")
    parser.add_argument("--widths", nargs="+", type=float, default=[0, 5, 7, 9])
    parser.add_argument("--step", type=float, default=0.4)
    parser.add_argument("--max-atoms", type=int, default=130)
    parser.add_argument("--budget-s", type=float, default=900.0, help="start no cell after this")
    parser.add_argument("--json", type=Path, default=Path("supercell_effect.json"))
    options = parser.parse_args()

    from superionic.errors import InputError
    from superionic.landscape.descriptors import compute_descriptors
    from superionic.landscape.landscape import compute_landscape
    from superionic.landscape.settings import LandscapeSettings
    from superionic.potentials.registry import load_potential
    from superionic.structures import PrepareSettings, prepare, read_candidates
    from superionic.structures.checks import cell_widths

    potential = load_potential(options.potential)
    settings = LandscapeSettings(grid_step_A=options.step)
    candidates = [c for c in read_candidates(options.paths) if not isinstance(c, InputError)]
    if options.ids:
        candidates = [c for c in candidates if c.material_id in options.ids]
    jobs = {}
    for candidate in candidates:
        for width_A in options.widths:
            wanted = replace(
                PrepareSettings(max_atoms=options.max_atoms), supercell_min_width_A=width_A or None
            )
            try:
                crystal = prepare(candidate, options.mobile, wanted)
            except InputError:
                continue
            key = candidate.material_id, len(crystal.structure)
            if key in jobs:
                jobs[key][1].append(width_A)
            else:
                jobs[key] = crystal, [width_A]
    start = time.perf_counter()
    rows = []
    # Smallest first, so that a budget that runs out leaves the same widths of every crystal.
    for crystal, widths in sorted(jobs.values(), key=lambda job: len(job[0].structure)):
        if time.perf_counter() - start > options.budget_s:
            break
        landscape = compute_landscape(crystal.structure, options.mobile, potential, settings)
        found = compute_descriptors(landscape.ion_maps(), landscape.grid.lattice)
        rows.append(
            {
                "id": crystal.material_id,
                "formula": crystal.formula,
                "n_atoms": len(crystal.structure),
                "asked_width_A": widths,
                "width_A": round(float(cell_widths(crystal.structure.lattice).min()), 2),
                "mpe_eV": found.mpe_eV,
                "barrier_1d_eV": found.barrier_1d_eV,
                "barrier_3d_eV": found.barrier_3d_eV,
                "xi": found.xi,
                "fv_disconnected": found.fv_disconnected,
                "free_volume_A3_per_ion": found.free_volume_A3_per_ion,
                "n_evaluations": landscape.n_evaluations,
                "wall_time_s": round(landscape.wall_time_s, 1),
            }
        )
        options.json.write_text(json.dumps(rows, indent=1))
        print(
            "{id:12} {formula:10} {n_atoms:4} {width_A:6} A  mpe {mpe_eV:.3f}"
            "  1d {barrier_1d_eV:.3f}  3d {barrier_3d_eV:.3f}  Xi {xi:.3g}"
            "  {n_evaluations} evaluations {wall_time_s} s".format(**rows[-1]),
            flush=True,
        )


if __name__ == "__main__":
    main()
