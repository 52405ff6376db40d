"""One crystal's landscape shared by several workers: wall time with one worker and with two.

    python benchmarks/parts.py [--id mp-985583] [--energies-per-job 1500]

A crystal of benchmarks/crystals.jsonl is submitted to a launchpad on the local server as several
jobs, once for each number of workers, and worked off by `superionic worker`. The time counted is
from the start of the first part to the end of the last part, as the documents say; a worker's
start, which it pays once for all of its jobs, is left out and printed apart.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from pymatgen.core import Lattice, Structure

CRYSTALS = Path(__file__).parent / "crystals.jsonl"


def seconds(moment: Any) -> float:
    plain = moment["string"] if isinstance(moment, dict) else moment
    return (datetime.fromisoformat(plain) if isinstance(plain, str) else plain).timestamp()


def run(name: str, structure: Structure, n_workers: int, per_job: int) -> dict[str, float]:
    from superionic.settings import SuperionicSettings
    from superionic.store.database.stores import resolve_database

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        structure.to(filename=str(path / f"{name}.cif"))
        campaign = {
            "name": "parts",
            "flow": "screen",
            "crystals": [f"{name}.cif"],
            "options": {"learned": False},
            "settings": {"landscape_maker.energies_per_job": per_job},
        }
        (path / "campaign.yaml").write_text(yaml.safe_dump(campaign))
        environment = os.environ | {
            "SUPERIONIC_DATA_DIR": str(path / "data"),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-c", "from superionic.cli import main; main()"]

        def superionic(*arguments: str) -> None:
            subprocess.run(
                [*command, *arguments], env=environment, check=True, cwd=path, capture_output=True
            )

        superionic("db", "start")
        try:
            superionic("submit", "--campaign", "campaign.yaml")
            begin = time.monotonic()
            superionic("worker", "--processes", str(n_workers))
            total_s = time.monotonic() - begin
            settings = SuperionicSettings(data_dir=path / "data")
            with resolve_database(settings) as database:
                rows = list(
                    database.job_store.query(
                        {"output.kind": "landscape part"},
                        properties=["output.last_updated", "output.wall_time_s"],
                    )
                )
        finally:
            superionic("db", "stop", "--force")
        ends = [seconds(row["output"]["last_updated"]) for row in rows]
        walls = [row["output"]["wall_time_s"] for row in rows]
        first = min(end - wall for end, wall in zip(ends, walls, strict=True))
        return {
            "workers": n_workers,
            "parts": len(rows),
            "parts_wall_s": max(ends) - first,
            "parts_work_s": sum(walls),
            "worker_command_s": total_s,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--id", default="mp-985583")
    parser.add_argument("--energies-per-job", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    records = {r["id"]: r for r in map(json.loads, CRYSTALS.read_text().splitlines())}
    s = records[args.id]["structure"]
    structure = Structure(Lattice(s["lattice"]), s["species"], s["frac_coords"])
    rows = [run(args.id, structure, n, args.energies_per_job) for n in (1, 2)]
    result = {
        "id": args.id,
        "formula": structure.composition.reduced_formula,
        "n_atoms": len(structure),
        "runs": rows,
        "speed_up": rows[0]["parts_wall_s"] / rows[1]["parts_wall_s"],
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "parts.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
