"""How often 95 % intervals of slopes hold the truth, on simulated walks whose slope is known.

    python benchmarks/walk_coverage.py [--trials N]

Ions in a still framework that wander freely, hop, hop and return (an ion that left returns with a
given probability, after a time that is distributed exponentially), or wander in cages, are analysed
as a trajectory of dynamics is, with the lengths that labels have. Counted are intervals, from the
lower end to the upper bound, that hold the slope at long times, whatever the verdict; how many runs
are called diffusing; and of these again how many intervals hold it. For comparison the interval of
the first window alone, which was that of the analysis version 1. Results: walk_coverage.json and
walk_coverage.md in benchmarks/results.

Then Arrhenius fits to runs at five temperatures, of walks whose slope is known at each: how often
the intervals of the activation energy and of the diffusivity at 500 and 300 K hold the truth, by
the rules of ``superionic.dynamics.confirmation`` and with every positive slope as a value.
Results: arrhenius_coverage.json and arrhenius_coverage.md.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import t as student_t

from superionic.dynamics.confirmation import ArrheniusPoint, arrhenius, arrhenius_point
from superionic.dynamics.crystal import Crystal
from superionic.dynamics.slope import SlopeSettings, diffusivity, fit_slope
from superionic.dynamics.verdict import DiffusionAnalysis, analyse
from superionic.units import BOLTZMANN_eV_per_K

FloatArray = NDArray[np.float64]
RESULTS = Path(__file__).parent / "results"
INTERVAL_PS = 0.02
SIZES = ((4, 10.0), (16, 10.0), (16, 30.0))
FIRST_WINDOW = SlopeSettings(fall=6.0)


@dataclass(frozen=True)
class Walk:
    """Ions that jump by `jump_A`, and of which some return.

    Of all jumps from home a part `p_return` is undone after a time that is exponentially
    distributed about `return_ps`; while it lasts the ion makes no other jump. The others make a new
    home. `cage_A` is the root mean square size of a cage in which the ion wanders meanwhile, with
    the relaxation time `cage_ps` (an Ornstein-Uhlenbeck process), `rattle_A` that of vibrations.
    """

    slope_A2_per_ps: float
    p_return: float = 0.0
    return_ps: float = 1.0
    jump_A: float = 3.0
    cage_A: float = 0.0
    cage_ps: float = 1.0
    rattle_A: float = 0.2
    brownian: bool = False

    def positions(
        self, rng: np.random.Generator, n_frames: int, n_ions: int, interval_ps: float = 0.02
    ) -> FloatArray:
        """Return positions in A, shape (n_frames, n_ions, 3)."""
        shape = (n_frames, n_ions, 3)
        if self.brownian:
            width = np.sqrt(self.slope_A2_per_ps * interval_ps / 3.0)
            found = np.cumsum(rng.normal(0.0, width, shape), axis=0)
        else:
            found = self._hops(rng, n_frames, n_ions, interval_ps)
        if self.cage_A > 0.0:
            found += wander_in_cages(rng, shape, self.cage_A, self.cage_ps, interval_ps)
        return found + rng.normal(0.0, self.rattle_A / np.sqrt(3.0), shape)

    def _hops(
        self, rng: np.random.Generator, n_frames: int, n_ions: int, interval_ps: float
    ) -> FloatArray:
        gain = self.jump_A**2 * (1.0 - self.p_return)
        away_ps = self.p_return * self.return_ps
        rate = self.slope_A2_per_ps / (gain - self.slope_A2_per_ps * away_ps)
        assert rate > 0.0, "no such walk: ions are away too long"
        jumps = -np.expm1(-rate * interval_ps)
        returns = -np.expm1(-interval_ps / self.return_ps)
        home = np.zeros((n_ions, 3))
        away = np.zeros((n_ions, 3))
        # As in equilibrium: some are away when the run starts.
        out = rng.random(n_ions) < rate * away_ps / (1.0 + rate * away_ps)
        away[out] = self._vectors(rng, int(out.sum()))
        found = np.empty((n_frames, n_ions, 3))
        for frame in range(n_frames):
            found[frame] = home + away
            draw = rng.random(n_ions)
            back = out & (draw < returns)
            start = ~out & (draw < jumps)
            stays = start & (rng.random(n_ions) >= self.p_return)
            leaves = start & ~stays
            away[back] = 0.0
            away[leaves] = self._vectors(rng, int(leaves.sum()))
            home[stays] += self._vectors(rng, int(stays.sum()))
            out = (out & ~back) | leaves
        return found

    def _vectors(self, rng: np.random.Generator, count: int) -> FloatArray:
        vectors = rng.normal(size=(count, 3))
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(self.jump_A * vectors / np.where(lengths > 0.0, lengths, 1.0))


def wander_in_cages(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    rms_A: float,
    relaxation_ps: float,
    interval_ps: float = INTERVAL_PS,
) -> FloatArray:
    """Return bounded, slow displacements (an Ornstein-Uhlenbeck process), frames first."""
    memory, width = np.exp(-interval_ps / relaxation_ps), rms_A / np.sqrt(3.0)
    noise = rng.normal(0.0, width, shape)
    noise[1:] *= np.sqrt(1.0 - memory**2)
    return np.asarray(lfilter([1.0], [1.0, -memory], noise, axis=0))


WALKS = {
    "free": Walk(1.0, brownian=True),
    "hops": Walk(1.0),
    "rare hops": Walk(0.2),
    "returns after 0.5 ps": Walk(0.6, p_return=0.8, return_ps=0.5),
    "returns after 2 ps": Walk(0.6, p_return=0.8, return_ps=2.0),
    "half return after 1 ps": Walk(1.0, p_return=0.5, return_ps=1.0),
    "cages": Walk(0.6, cage_A=1.5, cage_ps=1.0),
    "fast": Walk(5.0, p_return=0.3, return_ps=0.3),
}
"""Kinds of walks by name."""


def crystal(n_ions: int) -> Crystal:
    """Return ions on sites 3 A apart, and a heavy framework as large."""
    positions = np.zeros((2 * n_ions, 3))
    positions[:n_ions, 0] = 3.0 * np.arange(n_ions)
    positions[n_ions:] = positions[:n_ions] + np.array([0.0, 4.0, 4.0])
    return Crystal(
        symbols=["Li"] * n_ions + ["I"] * n_ions,
        masses_u=np.array([6.94] * n_ions + [126.9] * n_ions),
        cell_A=np.diag([3.0 * n_ions, 8.0, 8.0]),
        positions_A=positions,
        mobile="Li",
    )


def analysed(
    walk: Walk, rng: np.random.Generator, n_ions: int, length_ps: float, n_trials: int
) -> Iterator[tuple[DiffusionAnalysis, FloatArray]]:
    """Yield the analysis of each of some runs, and its frames."""
    known = crystal(n_ions)
    n_frames = round(length_ps / INTERVAL_PS) + 1
    every = walk.positions(rng, n_frames, n_ions * n_trials)
    for begin in range(0, n_ions * n_trials, n_ions):
        frames = known.positions_A + rng.normal(0.0, 0.1, (n_frames, 2 * n_ions, 3))
        frames[:, :n_ions] = known.positions_A[:n_ions] + every[:, begin : begin + n_ions]
        yield analyse(frames, INTERVAL_PS, known), frames


def holds(found: DiffusionAnalysis, truth_A2_per_ps: float) -> bool:
    """Return whether the interval of a run, its upper bound included, holds the truth."""
    low = found.slope.low_A2_per_ps if found.slope else 0.0
    return low <= truth_A2_per_ps <= found.slope_upper_bound_A2_per_ps


def study(name: str, n_ions: int, length_ps: float, n_trials: int, seed: int = 0) -> dict[str, Any]:
    """Return what many runs of one kind of walk say."""
    walk = WALKS[name]
    truth = walk.slope_A2_per_ps
    rng = np.random.default_rng([seed, n_ions, round(length_ps), sorted(WALKS).index(name)])
    runs, before, slopes = [], 0, []
    for found, frames in analysed(walk, rng, n_ions, length_ps, n_trials):
        alone = fit_slope(frames[:, :n_ions], INTERVAL_PS, FIRST_WINDOW)
        reach = float(student_t.ppf(0.975, alone.n_blocks - 1)) * alone.error_A2_per_ps
        before += abs(alone.slope_A2_per_ps - truth) <= reach
        runs.append(found)
        slopes.append(found.slope.slope_A2_per_ps if found.slope else np.nan)
    diffusing = [found for found in runs if found.verdict == "diffusing"]
    return {
        "walk": name,
        "n_ions": n_ions,
        "length_ps": length_ps,
        "n_trials": n_trials,
        "truth_A2_per_ps": truth,
        "median_slope_A2_per_ps": round(float(np.nanmedian(slopes)), 3),
        "coverage_first_window": round(before / n_trials, 3),
        "coverage": round(sum(holds(found, truth) for found in runs) / n_trials, 3),
        "diffusing": round(len(diffusing) / n_trials, 3),
        "wrong_and_diffusing": round(
            sum(not holds(found, truth) for found in diffusing) / n_trials, 3
        ),
    }


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| walk | ions | ps | true slope (A^2/ps) | median slope | coverage, first window alone |"
        " coverage | called diffusing | of all runs: diffusing, and the interval misses |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['walk']} | {row['n_ions']} | {row['length_ps']:g} | {row['truth_A2_per_ps']:g} | "
        f"{row['median_slope_A2_per_ps']:.2f} | {row['coverage_first_window']:.2f} | "
        f"{row['coverage']:.2f} | {row['diffusing']:.2f} | {row['wrong_and_diffusing']:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


BARRIER_eV, TEMPERATURES_K, LENGTH_PS = 0.3, (500.0, 600.0, 700.0, 800.0, 1000.0), 30.0
SLOPE_AT_1000K_A2_PER_PS = 3.0
ACTIVATED: dict[str, Callable[[float], Walk]] = {
    "hops": Walk,
    "return fast (0.5 ps)": lambda slope: Walk(slope, p_return=0.8, return_ps=0.5),
    "return by the same barrier": lambda slope: Walk(slope, p_return=0.8, return_ps=0.9 / slope),
    "cages": lambda slope: Walk(slope, cage_A=1.5, cage_ps=1.0),
    "fast": lambda slope: Walk(slope, p_return=0.3, return_ps=0.3),
}
"""Kinds of walks by their slope, which follows Arrhenius."""


def true_slope_A2_per_ps(temperature_K: float) -> float:
    """Return the slope at long times of all kinds."""
    inverse = 1.0 / temperature_K - 1e-3
    return SLOPE_AT_1000K_A2_PER_PS * float(np.exp(-BARRIER_eV / BOLTZMANN_eV_per_K * inverse))


def as_value(point: ArrheniusPoint) -> ArrheniusPoint:
    """Return a run with a positive slope as a value, whether or not the slope falls."""
    positive = (point.diffusivity_cm2_per_s or 0.0) > 0.0
    return replace(point, evidence="value") if positive else point


def arrhenius_study(name: str, n_ions: int, n_trials: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return what fits to many runs of one kind of walk say, by both rules."""
    rng = np.random.default_rng([seed, n_ions, sorted(ACTIVATED).index(name)])
    runs = []
    for temperature_K in TEMPERATURES_K:
        walk = ACTIVATED[name](true_slope_A2_per_ps(temperature_K))
        every = analysed(walk, rng, n_ions, LENGTH_PS, n_trials)
        runs.append([arrhenius_point(temperature_K, found, "completed") for found, _ in every])
    found = []
    for rule, read in (("falling slopes are bounds", None), ("all are values", as_value)):
        sets = [
            [read(point) if read else point for point in one] for one in zip(*runs, strict=True)
        ]
        fits = [fit for fit in map(arrhenius, sets) if fit is not None]
        energies = [fit.activation_energy_interval for fit in fits]
        counted: dict[str, Any] = {
            "walk": name,
            "n_ions": n_ions,
            "rule": rule,
            "n_trials": n_trials,
            "n_fits": len(fits),
            "coverage_energy": sum(low <= BARRIER_eV <= high for low, high in energies),
        }
        for temperature_K in (500.0, 300.0):
            truth = diffusivity(true_slope_A2_per_ps(temperature_K))
            at = [fit.at(temperature_K) for fit in fits]
            counted[f"coverage_{temperature_K:g}K"] = sum(e.low <= truth <= e.high for e in at)
        decades = [np.log10(e.value / truth) for e in at]
        counted["median_error_300K_decades"] = round(float(np.median(decades)), 2)
        found.append(counted)
    return found


def arrhenius_table(rows: list[dict[str, Any]]) -> str:
    """Return shares of the fits that hold the truth; runs without a fit have no interval."""
    lines = [
        "| walk | ions | rule | runs with a fit | energy held | at 500 K | at 300 K | median error "
        "at 300 K (decades) |",
        f"|{' --- |' * 8}",
    ]
    for row in rows:
        keys = ("coverage_energy", "coverage_500K", "coverage_300K")
        shares = " | ".join(f"{row[key] / row['n_fits']:.2f}" for key in keys)
        lines.append(
            f"| {row['walk']} | {row['n_ions']} | {row['rule']} | {row['n_fits']} of "
            f"{row['n_trials']} | {shares} | {row['median_error_300K_decades']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = []
    for n_ions, length_ps in SIZES:
        for name in WALKS:
            rows.append(study(name, n_ions, length_ps, options.trials))
            print(rows[-1], flush=True)
    options.out.mkdir(exist_ok=True)
    (options.out / "walk_coverage.json").write_text(json.dumps(rows, indent=1) + "\n")
    (options.out / "walk_coverage.md").write_text(table(rows) + "\n")
    print(table(rows))
    fits = [row for n in (8, 16) for kind in ACTIVATED for row in arrhenius_study(kind, n, 100)]
    (options.out / "arrhenius_coverage.json").write_text(json.dumps(fits, indent=1) + "\n")
    (options.out / "arrhenius_coverage.md").write_text(arrhenius_table(fits) + "\n")
    print(arrhenius_table(fits))


if __name__ == "__main__":
    main()
