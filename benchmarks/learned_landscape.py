"""Learned mode against exact mode on crystals that it was not made with.

    python benchmarks/exact_landscapes.py --structures DIR --cache CACHE
    python benchmarks/learned_landscape.py --structures DIR --cache CACHE

The crystals are those that exact_landscapes.py draws, of 4 to 60 atoms and of several mobile ions.
Energies are CHGNet's, and their time is that which they and their frameworks take in the same run.

Results: learned_landscape.json and learned_landscape.md, written after each crystal; crystals that
are there already are not computed again.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pymatgen.core import Structure

from exact_landscapes import chosen
from superionic.landscape.descriptors import Descriptors, compute_descriptors
from superionic.landscape.intervals import descriptor_intervals
from superionic.landscape.landscape import Landscape, compute_landscape
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.potentials.base import FrozenFramework
from superionic.potentials.registry import load_potential
from superionic.workflows.jobs.descriptors import bounded, finite

BARRIERS = ("barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV", "mpe_eV")
VOLUMES = ("fv_0.5eV", "fv_2eV")
CLOSE_eV = 0.03
CLOSE_VOLUME, LEAST_VOLUME = 0.05, 0.001
CLOSE_XI = 0.02
RESOLUTION = {"eV": 1e-3, "fv": 1e-4, "xi": 1e-3}
"""What of a difference is rounding: an interval holds a value that is this close to it."""


class Timed(FrozenFramework):
    """Adds up the processor's time that energies take."""

    seconds = 0.0

    def __init__(self, make: Callable[..., FrozenFramework], *arguments: Any) -> None:
        self.inner = self._timed(make, *arguments)

    def energies(self, positions_A: np.ndarray) -> np.ndarray:
        return self._timed(self.inner.energies, positions_A)

    @staticmethod
    def _timed(call: Callable[..., Any], *arguments: Any) -> Any:
        start = time.process_time()
        try:
            return call(*arguments)
        finally:
            Timed.seconds += time.process_time() - start


def learned(structure: Structure, ion: str, settings: LandscapeSettings) -> dict[str, Any]:
    potential = load_potential("chgnet")
    Timed.seconds = 0.0
    start = time.process_time()
    plain = type(potential).frozen_framework
    potential.frozen_framework = lambda *at: Timed(plain, potential, *at)
    try:
        landscape = compute_landscape(structure, ion, potential, settings)
    finally:
        del potential.frozen_framework
    sampled = time.process_time()
    values, intervals = described(landscape)
    return {
        "n_energies": landscape.n_evaluations,
        "ending": landscape.ending,
        "values": values,
        "intervals": intervals,
        "energies_cpu_s": Timed.seconds,
        "sampler_cpu_s": sampled - start - Timed.seconds,
        "intervals_cpu_s": time.process_time() - sampled,
    }


def described(landscape: Landscape) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the numbers of the table and, of a learned landscape, their intervals."""
    found = compute_descriptors(landscape.ion_maps(), landscape.grid.lattice)
    return numbers_of(found, bounded(descriptor_intervals(landscape, found)))


def numbers_of(found: Descriptors, bounds: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the numbers of the table, and their intervals where there are bounds."""
    values: dict[str, Any] = {name: finite(getattr(found, name)) for name in (*BARRIERS, "xi")}
    intervals = {name: bounds.get(name) for name in values}
    for name, threshold_eV in zip(VOLUMES, (0.5, 2.0), strict=True):
        at = found.thresholds_eV.index(threshold_eV)
        values[name] = found.fv_disconnected_union[at]
        intervals[name] = bounds["fv_disconnected_union"][at] if bounds else None
    return values, intervals


def unit(name: str) -> str:
    return "fv" if name in VOLUMES else "xi" if name == "xi" else "eV"


def error(row: dict[str, Any], name: str) -> float:
    exact, found = (row[mode]["values"][name] for mode in ("exact", "learned"))
    return float("inf") if (exact is None) != (found is None) else (found or 0) - (exact or 0)


def held(row: dict[str, Any], name: str) -> bool:
    """Return whether the interval holds the exact value."""
    exact, interval = row["exact"]["values"][name], row["learned"]["intervals"][name]
    low, high = (np.inf if interval[end] is None else interval[end] for end in ("low", "high"))
    value = np.inf if exact is None else exact
    return bool(low - RESOLUTION[unit(name)] <= value <= high + RESOLUTION[unit(name)])


def close(row: dict[str, Any], name: str) -> bool:
    off, exact = abs(error(row, name)), row["exact"]["values"][name] or 0.0
    if unit(name) == "fv":
        return bool(off <= max(CLOSE_VOLUME * exact, LEAST_VOLUME))
    return bool(off <= (CLOSE_XI if name == "xi" else CLOSE_eV))


def is_below(value: float | None, limit: float) -> bool:
    return value is not None and value < limit


def crosses(row: dict[str, Any], name: str) -> bool:
    """Return whether a barrier is on the other side of 0.5 eV, by more than 0.02 eV."""
    exact, found = (row[mode]["values"][name] for mode in ("exact", "learned"))
    return is_below(exact, 0.5) != is_below(found, 0.5) and abs(error(row, name)) > 0.02


def percent(holds: Callable[..., bool], cases: list[tuple[dict[str, Any], str]]) -> str:
    return f"{100 * np.mean([holds(*case) for case in cases]):.0f} %" if cases else "none"


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| crystal | id | ion | atoms | energies, exact | learned | ending "
        "| barriers (eV) 1D, 2D, 3D, mpe, exact | error | volume below 0.5 eV, error "
        "| below 2 eV, error | Xi, exact | error "
        "| sampler, intervals, energies (CPU s) | exact mode (CPU s) |",
        "|" + " --- |" * 15,
    ]
    for r in rows:
        exact, mine = r["exact"]["values"], r["learned"]
        lines.append(
            f"| {r['formula']} | {r['id']} | {r['ion']} | {r['n_atoms']} "
            f"| {r['exact']['n_energies']} "
            f"| {mine['n_energies']} | {mine['ending']} "
            f"| {', '.join(f'{exact[n]:.2f}' if exact[n] else str(exact[n]) for n in BARRIERS)} "
            f"| {', '.join(f'{error(r, n):+.3f}' for n in BARRIERS)} "
            + "".join(f"| {100 * error(r, n) / max(exact[n] or 0, 1e-9):+.1f} % " for n in VOLUMES)
            + f"| {exact['xi']:.3f} | {error(r, 'xi'):+.3f} "
            f"| {mine['sampler_cpu_s']:.1f}, {mine['intervals_cpu_s']:.1f}, "
            f"{mine['energies_cpu_s']:.1f} "
            f"| {format(r['exact'].get('cpu_s', np.nan), '.0f')} |"
        )
    groups = [
        ("All", rows),
        ("Up to 24 atoms", [r for r in rows if r["n_atoms"] <= 24]),
        ("25 to 60 atoms", [r for r in rows if r["n_atoms"] > 24]),
    ]
    lines += ["", *(f"{name}: {summary(part)}\n" for name, part in groups if part), misses(rows)]
    return "\n".join(lines) + "\n"


def summary(rows: list[dict[str, Any]]) -> str:
    below = [(r, n) for r in rows for n in BARRIERS if is_below(r["exact"]["values"][n], 2.0)]
    above = [(r, n) for r in rows for n in BARRIERS if (r, n) not in below]
    volumes = [(r, n) for r in rows for n in VOLUMES]
    scores = [(r, "xi") for r in rows]
    energies = [r["learned"]["n_energies"] for r in rows]
    gain = [r["exact"]["n_energies"] / r["learned"]["n_energies"] for r in rows]
    settled = sum(r["learned"]["ending"] == "settled" for r in rows)
    largest = max((abs(error(*one)) for one in above if np.isfinite(error(*one))), default=0.0)
    sampler, intervals, potential = (
        np.array([r["learned"][f"{name}_cpu_s"] for r in rows])
        for name in ("sampler", "intervals", "energies")
    )
    return (
        f"{len(rows)} crystals. Energies, checks of the symmetry included: "
        f"{np.median(energies):.0f} in the median, at most {max(energies)}; "
        f"{np.median(gain):.0f} times fewer than exact mode in the median. Settled: {settled}. "
        f"Barriers below 2 eV within {CLOSE_eV} eV: {percent(close, below)} of {len(below)}; "
        f"above: {percent(close, above)} of "
        f"{len(above)}, largest error {largest:.2f} eV. Volumes within 5 % or 0.001: "
        f"{percent(close, volumes)}. Xi within {CLOSE_XI}: {percent(close, scores)}. On the other "
        f"side of 0.5 eV by more than 0.02 eV: {sum(crosses(*one) for one in below)}. Intervals "
        f"that hold the exact value: barriers below 2 eV {percent(held, below)}, above "
        f"{percent(held, above)}, volumes {percent(held, volumes)}, Xi {percent(held, scores)}. "
        f"The sampler takes {np.median(sampler):.1f} s of one core in the median, at most "
        f"{max(sampler):.1f} s, which is {np.median(sampler / potential):.1f} times what the "
        f"energies take; intervals of all descriptors {np.median(intervals):.1f} s more."
    )


def misses(rows: list[dict[str, Any]]) -> str:
    found = [
        f"{r['formula']} ({r['id']}, {r['ion']}): {name} {error(r, name):+.4f} "
        f"from {r['exact']['values'][name]:.4f}"
        for r in rows
        for name in (*BARRIERS, *VOLUMES, "xi")
        if not close(r, name) and (name not in BARRIERS or is_below(r["exact"]["values"][name], 2))
    ]
    return f"Farther off than asked for: {'; '.join(found) or 'none'}."


def drawn_rows(structures: Path, cache: Path, budget: int) -> Iterator[dict[str, Any]]:
    """Yield the crystals of the test whose exact landscapes are there."""
    for row in chosen(structures, cache):
        name = f"{row['id']}-{row['ion']}"
        if row["set"] != "test" or not (cache / f"{name}.json").exists():
            continue
        found = json.loads((cache / f"{name}.json").read_text())
        exact = dict(np.load(cache / f"{name}.npz"))
        settings = LandscapeSettings(
            symmetry=found["symmetric"], learned=LearnedSettings(max_energies=budget)
        )

        def compute(row: Any = row, settings: Any = settings) -> dict[str, Any]:
            return learned(row["structure"], row["ion"], settings)

        # Read by the rules of today, whatever they were when the maps were computed.
        values, _ = numbers_of(compute_descriptors(exact["totals_eV"], exact["lattice"]), {})
        exactly = {"n_energies": found["n_energies"], "cpu_s": found["cpu_s"], "values": values}
        yield {key: found[key] for key in ("id", "formula", "ion", "n_atoms")} | {
            "exact": exactly,
            "compute": compute,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--budget", type=int, default=LearnedSettings().max_energies)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    store = args.out / "learned_landscape.json"
    rows = json.loads(store.read_text()) if store.exists() else []
    done = {row["id"] for row in rows}
    drawn = drawn_rows(args.structures, args.cache, args.budget)
    # Those that cost least come first, so that a run that is stopped has most of them.
    wanted = sorted(
        (row for row in drawn if row["id"] not in done), key=lambda one: one["exact"]["n_energies"]
    )
    if wanted:
        wanted[0]["compute"]()  # what is compiled or read once is no crystal's
    for row in wanted:
        compute = row.pop("compute")
        rows.append(row | {"learned": compute()})
        store.write_text(json.dumps(rows, indent=1) + "\n")
        store.with_suffix(".md").write_text(table(rows))
        print(json.dumps(rows[-1]), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
