"""Slopes of the mean squared displacement from our analysis and from kinisi, run by run.

    pip install "superionic[kinisi]"
    python benchmarks/kinisi_comparison.py FOLDER...

Each FOLDER is a trajectory, or holds some (the folder ``md`` of a data directory). Compared are
all finished runs whose ions hop and whose slope does not fall with the lag. kinisi (A. R. McCluskey
et al., J. Chem. Theory Comput. 21, 79 (2025)) samples the posterior of a straight line through the
MSD at all lags from ``start_dt`` on, which is the first lag of our fit here, with a covariance that
holds for independent Brownian walkers; our error comes from the scatter of blocks. Given are means
and standard errors, and the difference over the joint standard error and over the joint half width
of the 95 % intervals (each the root of the sum of two squares). Results: kinisi.json and kinisi.md
in benchmarks/results. --store FOLDER keeps a thinned copy of each trajectory compared.
"""

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from superionic.dynamics.crystal import crystal_of
from superionic.dynamics.slope import Slope
from superionic.dynamics.stopping import StopRules
from superionic.dynamics.trajectory import RUN_FILE, read_frames, read_run
from superionic.dynamics.verdict import analyse

RESULTS = Path(__file__).parent / "results"
THINNED_BY = 4


@dataclass(frozen=True)
class Run:
    """Production of one run."""

    name: str
    atoms: Atoms
    mobile: str
    positions_A: np.ndarray  # (n_frames, n_atoms, 3), unwrapped
    frame_interval_fs: float

    @property
    def frame_interval_ps(self) -> float:
        return 1e-3 * self.frame_interval_fs

    @property
    def formula(self) -> str:
        return self.atoms.get_chemical_formula(empirical=True)


@dataclass(frozen=True)
class Estimate:
    """A slope in A^2/ps, its standard error and 95 % interval."""

    slope: float
    error: float
    low: float
    high: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--store", type=Path, help="keep thinned trajectories here")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = []
    for run in finished_runs(options.folders):
        found = ours(run)
        if found is None:
            continue
        rows.append(compare(run, found))
        print(rows[-1], flush=True)
        if options.store:
            store(run, options.store)
    if not rows:
        raise SystemExit("There is no finished run with the verdict diffusing.")
    options.out.mkdir(exist_ok=True)
    content = {"kinisi": version("kinisi"), "rows": rows}
    (options.out / "kinisi.json").write_text(json.dumps(content, indent=1) + "\n")
    (options.out / "kinisi.md").write_text(table(rows) + "\n")
    print(table(rows))


def finished_runs(folders: list[Path]) -> Iterator[Run]:
    """Yield the production of each run that has ended, ordered by the name of its folder."""
    found = {path.parent for folder in folders for path in folder.rglob(RUN_FILE)}
    for folder in sorted(found, key=lambda path: path.name):
        record = read_run(folder) or {}
        if record.get("status") in (None, "run_away", "melted"):
            continue
        settings = record["settings"]
        frames = read_frames(folder).since(settings["n_equilibration_steps"])
        atoms = Atoms(
            record["symbols"], positions=record["positions_A"], cell=record["cell_A"], pbc=True
        )
        interval_fs = settings["stride"] * settings["timestep_fs"]
        yield Run(folder.name, atoms, record["mobile"], frames.positions_A, interval_fs)


def ours(run: Run) -> Slope | None:
    """Return our slope, None where the ions do not move on or the framework melts."""
    rules = StopRules()
    crystal = crystal_of(run.atoms, run.mobile)
    found = analyse(run.positions_A, run.frame_interval_ps, crystal, rules.slope, rules.verdict)
    slope = found.slope
    # In the first window, or where it has converged: kinisi knows no other windows.
    kept = slope is not None and (slope.converged or slope.window_ps == slope.windows_ps[0])
    return slope if kept and found.n_hopped and found.verdict != "melted" else None


def kinisi_collective(run: Run) -> np.ndarray:
    """Return kinisi's mean squared displacement of the sum of ions, per ion, in A^2, by lag."""
    from kinisi.analyze import JumpDiffusionAnalyzer

    return np.asarray(kinisi_analyser(run, JumpDiffusionAnalyzer).mstd.values)


def kinisi_analyser(run: Run, kind: Any = None) -> Any:
    """Return kinisi's analyser of a run, by default with the MSD at all lags."""
    import scipp as sc
    from kinisi.analyze import DiffusionAnalyzer

    frames = []
    for positions in run.positions_A:
        atoms = run.atoms.copy()
        atoms.positions = positions
        atoms.wrap()  # kinisi unwraps by itself
        frames.append(atoms)
    # In femtoseconds lags are whole numbers. In picoseconds kinisi 2.1 rounds some of them down to
    # the frame before (0.22 / 0.02 = 10.999...).
    return (kind or DiffusionAnalyzer).from_ase(
        frames,
        specie=run.mobile,
        time_step=sc.scalar(run.frame_interval_fs, unit="fs"),
        step_skip=sc.scalar(1, unit="dimensionless"),
        progress=False,
    )


def kinisi_slope(run: Run, start_ps: float, *, n_samples: int = 1000, seed: int = 0) -> Estimate:
    """Return kinisi's slope from lags of ``start_ps`` on."""
    import scipp as sc

    analyser = kinisi_analyser(run)
    analyser.diffusion(
        start_dt=sc.scalar(1e3 * start_ps, unit="fs"),
        n_samples=n_samples,
        progress=False,
        random_state=np.random.RandomState(seed),
    )
    samples = 1e3 * np.asarray(analyser.diff.gradient.values)  # A^2/fs to A^2/ps
    low, high = np.percentile(samples, [2.5, 97.5])
    return Estimate(float(samples.mean()), float(samples.std()), float(low), float(high))


def compare(run: Run, slope: Slope) -> dict[str, Any]:
    """Return both slopes of one run and how far they are apart."""
    here = Estimate(
        slope.slope_A2_per_ps, slope.error_A2_per_ps, slope.low_A2_per_ps, slope.high_A2_per_ps
    )
    there = kinisi_slope(run, slope.window_ps[0])
    difference = here.slope - there.slope
    half = [0.5 * (one.high - one.low) for one in (here, there)]
    return {
        "run": run.name,
        "formula": run.formula,
        "n_mobile": run.atoms.get_chemical_symbols().count(run.mobile),
        "production_ps": (len(run.positions_A) - 1) * run.frame_interval_ps,
        "window_ps": list(slope.window_ps),
        "ours": rounded(here),
        "kinisi": rounded(there),
        "difference_in_joint_errors": round(difference / math.hypot(here.error, there.error), 2),
        "difference_in_joint_intervals": round(difference / math.hypot(*half), 2),
    }


def rounded(estimate: Estimate) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(estimate).items()}


def store(run: Run, folder: Path) -> None:
    """Keep every fourth frame."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / f"{run.formula}.npz",
        symbols=np.array(run.atoms.get_chemical_symbols()),
        cell_A=run.atoms.cell.array,
        start_A=run.atoms.positions,
        positions_A=run.positions_A[::THINNED_BY].astype(np.float32),
        frame_interval_fs=run.frame_interval_fs * THINNED_BY,
        mobile=run.mobile,
    )


def stored(path: Path) -> Run:
    """Read what :func:`store` kept."""
    with np.load(path) as data:
        atoms = Atoms(data["symbols"], positions=data["start_A"], cell=data["cell_A"], pbc=True)
        return Run(
            path.stem, atoms, str(data["mobile"]), data["positions_A"],
            float(data["frame_interval_fs"]),
        )  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| run | crystal | ions | ps | ours (A^2/ps) | kinisi (A^2/ps) | difference / joint error |"
        " difference / joint 95 % |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        a, b = row["ours"], row["kinisi"]
        lines.append(
            f"| {row['run'][:8]} | {row['formula']} | {row['n_mobile']} | "
            f"{row['production_ps']:.1f} | {a['slope']:.2f} +- {a['error']:.2f} | "
            f"{b['slope']:.2f} +- {b['error']:.2f} | {row['difference_in_joint_errors']:+.2f} | "
            f"{row['difference_in_joint_intervals']:+.2f} |"
        )
    agree = sum(abs(row["difference_in_joint_intervals"]) <= 1.0 for row in rows)
    lines += ["", f"{agree} of {len(rows)} agree within the joint 95 % interval."]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
