"""Time of one MD step: our Maker against atomate2's ForceFieldMDMaker, same crystal, one run.

Both are run as jobflow jobs with CHGNet, Langevin dynamics and 2 fs, in turn, several times; the
time of a step is the difference between a long and a short job over the difference in steps, so
that loading and set-up do not count. CPU and wall time are given. The third is our Maker with
``chgnet:oam``, other weights in the same compiled code.

    python benchmarks/md_step.py --structures structures_li.jsonl --atoms 20 50 100
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path, required=True, help="JSON lines of crystals")
    parser.add_argument("--atoms", type=int, nargs="+", default=[20, 50, 100])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="write the figures as JSON, too")
    options = parser.parse_args()

    import torch
    from atomate2.forcefields.md import ForceFieldMDMaker
    from atomate2.forcefields.utils import MLFF

    from superionic.dynamics.stopping import StopRules
    from superionic.workflows.jobs.diffusion import DiffusionMDMaker

    torch.set_num_threads(options.threads)
    theirs = ForceFieldMDMaker(
        force_field_name=MLFF.CHGNet,
        time_step=2.0,
        temperature=1000.0,
        dynamics="langevin",
        mb_velocity_seed=0,
    )
    ours = DiffusionMDMaker(
        force_field_name=MLFF.CHGNet,
        time_step=2.0,
        temperature=1000.0,
        dynamics="langevin",
        mb_velocity_seed=0,
        n_equilibration_steps=0,
        min_image_distance_A=0.1,  # the crystal as it is
        stop=StopRules(early=False),
    )
    makers = {"theirs": theirs, "ours": ours, "oam": replace(ours, potential="chgnet:oam")}
    rows = []
    for n_atoms in options.atoms:
        name, crystal = pick(options.structures, n_atoms)
        for maker in makers.values():  # weights are loaded, kernels compiled
            seconds(maker, crystal, 2)
        times: dict[str, list[tuple[float, float]]] = {who: [] for who in makers}
        for _ in range(options.repeats):
            for who, maker in makers.items():
                times[who].append(per_step(maker, crystal, options.steps))
        row = {"crystal": name, "n_atoms": len(crystal)}
        for index, clock in enumerate(("wall", "cpu")):
            for who, values in times.items():
                row[f"{who}_{clock}_ms"] = 1e3 * statistics.median(v[index] for v in values)
            row[f"ratio_{clock}"] = row[f"theirs_{clock}_ms"] / row[f"ours_{clock}_ms"]
            row[f"oam_over_ours_{clock}"] = row[f"oam_{clock}_ms"] / row[f"ours_{clock}_ms"]
        rows.append(row)
        print(
            f"{name:>14} {len(crystal):4} atoms: ForceFieldMDMaker {row['theirs_wall_ms']:7.1f} ms,"
            f" ours {row['ours_wall_ms']:7.1f} ms: {row['ratio_wall']:.2f} times as fast"
            f" (CPU time {row['ratio_cpu']:.2f}); chgnet:oam {row['oam_wall_ms']:.1f} ms",
            flush=True,
        )
    if options.output:
        about = {
            "threads": options.threads,
            "steps": options.steps,
            "repeats": options.repeats,
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load_average": os.getloadavg(),
            "torch": torch.__version__,
        }
        options.output.write_text(json.dumps({"rows": rows, "about": about}, indent=2) + "\n")


def pick(path: Path, n_atoms: int) -> tuple[str, Any]:
    """Return the first crystal of a size, with three elements or more."""
    from superionic.structures import Candidate, read_candidates

    for found in read_candidates([path]):
        if not isinstance(found, Candidate) or not found.structure.is_ordered:
            continue
        if len(found.structure) == n_atoms and len(found.structure.composition.elements) >= 3:
            return found.material_id, found.structure
    raise SystemExit(f"{path} holds no crystal of {n_atoms} atoms and three elements.")


def per_step(maker: Any, crystal: Any, n_steps: int) -> tuple[float, float]:
    """Return wall and CPU time of a step in s."""
    short = max(2, n_steps // 10)
    few, many = seconds(maker, crystal, short), seconds(maker, crystal, short + n_steps)
    return (many[0] - few[0]) / n_steps, (many[1] - few[1]) / n_steps


def seconds(maker: Any, crystal: Any, n_steps: int) -> tuple[float, float]:
    """Return wall and CPU time of one job."""
    from jobflow import run_locally

    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        folder_argument = {"prev_dir": f"{folder}/run"} if hasattr(maker, "stop") else {}
        job = replace(maker, n_steps=n_steps).make(crystal, **folder_argument)
        wall, cpu = time.perf_counter(), time.process_time()
        run_locally(job, log=False, root_dir=folder, raise_immediately=True)
        spent = time.perf_counter() - wall, time.process_time() - cpu
        os.chdir(here)
    return spent


if __name__ == "__main__":
    main()
