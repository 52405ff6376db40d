"""Resident memory of a long run: does it grow with the number of steps?

    python benchmarks/md_memory.py [--steps 20000]

Rock salt LiCl runs with CHGNet through DiffusionMDMaker in this process, without early stop; the
resident memory is looked at every 20 steps. The slope is that of a straight line through what
follows the first quarter, in bytes a step; its error comes from the scatter of the slopes of eight
pieces, because neighbouring samples are correlated. Results: benchmarks/results/md_memory.json.
"""

import argparse
import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import psutil

warnings.filterwarnings("ignore")

RESULT = Path(__file__).parent / "results" / "md_memory.json"
N_PIECES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        samples = run(options.steps, Path(folder))
        disk = sum(path.stat().st_size for path in Path(folder).rglob("chunk_*.npz"))
    found = growth(samples[:, 0], samples[:, 1]) | {
        "crystal": "LiCl, conventional cell",
        "n_atoms": 8,
        "n_steps": options.steps,
        "frames_on_disk_MB": disk / 1e6,
        "torch": torch.__version__,
        "samples": [[int(step), round(rss / 1e6, 2)] for step, rss in samples[::25]],
        "samples_columns": ["step", "MB"],
    }
    options.output.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({k: v for k, v in found.items() if k != "samples"}, indent=1))


def run(n_steps: int, folder: Path) -> np.ndarray:
    """Return step and resident memory in bytes of each sample."""
    from jobflow import run_locally
    from pymatgen.core import Lattice, Structure

    from superionic.dynamics.stopping import StopRules
    from superionic.progress import Progress, progress_to
    from superionic.workflows.jobs.diffusion import DiffusionMDMaker

    crystal = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    maker = DiffusionMDMaker(
        potential="chgnet",
        temperature=600.0,  # it must not melt in its small box
        n_equilibration_steps=0,
        n_steps=n_steps,
        min_image_distance_A=0.1,  # the eight atoms as they are
        stop=StopRules(early=False),
    )
    process = psutil.Process()
    samples: list[tuple[int, int]] = []

    def look(progress: Progress) -> None:
        if progress.planned:
            samples.append((progress.done, process.memory_info().rss))

    here = Path.cwd()
    job = maker.make(crystal, prev_dir=folder / "run")
    with progress_to(look):
        output = run_locally(job, log=False, root_dir=folder, raise_immediately=True)
    os.chdir(here)
    document = output[job.uuid][1].output
    if document.n_steps_done != n_steps:
        raise SystemExit(f"The run ended at step {document.n_steps_done}: {document.stop_reason}.")
    return np.array(samples, dtype=float)


def growth(steps: np.ndarray, rss: np.ndarray) -> dict[str, Any]:
    """Return the slope after the first quarter and its standard error."""
    later = steps >= steps[-1] / 4
    steps, rss = steps[later], rss[later]
    pieces = [
        np.polyfit(x, y, 1)[0]
        for x, y in zip(np.array_split(steps, N_PIECES), np.array_split(rss, N_PIECES), strict=True)
    ]
    return {
        "slope_bytes_per_step": float(np.polyfit(steps, rss, 1)[0]),
        "slope_error_bytes_per_step": float(np.std(pieces, ddof=1) / np.sqrt(N_PIECES)),
        "first_MB": float(rss[0] / 1e6),
        "last_MB": float(rss[-1] / 1e6),
        "largest_MB": float(rss.max() / 1e6),
        "looked_at_from_step": int(steps[0]),
    }


if __name__ == "__main__":
    main()
