"""Judge published labels again by the rules of today, as far as what is published allows.

    python benchmarks/rejudge_labels.py [--labels FILE...]

Data sets hold no trajectories, but mean squared displacements up to half the production, thinned to
60 lags, and the error of the slope from blocks. From these follow the slopes in all windows, their
errors and with them the choice of the window and its interval (superionic.dynamics.slope). Whether
the framework melted is judged by its curves: every element grows between a quarter and half of the
production by the factor of the rules, and its displacement at half the production, by the straight
line between these two (vibrations left out), exceeds the distance of the rules. What curves cannot
show, and a trajectory would: whether each half of a run adds to it, centres of groups, jumps. And
runs that the former rule of melting ended after 3 ps say little. Of several runs of a crystal the
longest counts. No data set is changed. Results: rejudged_labels.json and rejudged_labels.md in
benchmarks/results.
"""

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from superionic.dynamics.crystal import Crystal
from superionic.dynamics.framework import groups
from superionic.dynamics.msd import hop_length
from superionic.dynamics.slope import (
    SlopeSettings,
    choose_window,
    fit_line,
    fit_window,
    window_errors,
    windows_of,
)
from superionic.dynamics.verdict import VerdictRules
from superionic.report.tables.labels import read_data_sets
from superionic.schemas.label import LabelRow

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
VERDICTS = ("diffusing", "unconverged", "not_diffusing", "melted")
_LEFT_FRACTION = 0.25


@dataclass(frozen=True)
class Judgement:
    """What today's rules say of a label."""

    verdict: str
    reason: str
    slope_A2_per_ps: float | None
    low_A2_per_ps: float | None
    high_A2_per_ps: float | None
    window_ps: tuple[float, float] | None
    diffusing_framework: list[str]


def crystal_of_row(row: LabelRow) -> Crystal:
    """Return the supercell of a label."""
    from pymatgen.core import Structure

    given = row.structure
    crystal = Structure(given["lattice"], given["species"], given["frac_coords"])
    crystal.make_supercell(row.supercell_matrix)
    return Crystal(
        symbols=[site.specie.symbol for site in crystal],
        masses_u=np.array([float(site.specie.atomic_mass) for site in crystal]),
        cell_A=crystal.lattice.matrix,
        positions_A=crystal.cart_coords,
        mobile=row.mobile_species,
    )


def judge(row: LabelRow) -> Judgement:
    """Judge a label again."""
    rules, settings = VerdictRules(), SlopeSettings()
    if row.msd is None or row.msd_slope_error_A2_per_ps is None:
        return Judgement(row.verdict, "no curve", None, None, None, None, [])
    lags_ps = np.array(row.msd.lags_ps)
    curve = np.array(row.msd.mobile_A2)[:, None]
    interval_ps = row.settings["stride"] * row.settings["timestep_fs"] * 1e-3
    n_frames = round(row.production_ps / interval_ps) + 1
    n_blocks, _, first, last = fit_window(n_frames, interval_ps, settings)
    windows = windows_of(n_frames, first, last)
    fitted = [
        fit_line(lags_ps[inside], curve[inside])
        for a, b in windows
        for inside in [(lags_ps >= (a - 0.5) * interval_ps) & (lags_ps <= (b + 0.5) * interval_ps)]
    ]
    slopes = np.array([line.sum() for line, _ in fitted])
    errors, differences = window_errors(n_frames, n_blocks, windows)
    error = row.msd_slope_error_A2_per_ps
    found = choose_window(slopes, errors * error, differences * error, n_blocks, settings)
    slope, low, high = float(slopes[found.index]), found.low_A2_per_ps, found.high_A2_per_ps
    relative = (high - low) / (2 * 1.96 * slope) if slope > 0.0 else np.inf
    moving, melted = framework(row, rules)
    several = f"{slopes[0]:.2f} to {slopes[-1]:.2f} A^2/ps from the first to the last window"
    if melted and row.production_ps >= rules.melt_min_ps:
        verdict, reason = "melted", "every framework element has left its places and moves on"
    elif row.production_ps < rules.min_production_ps:
        verdict, reason = "unconverged", _too_short(row)
    elif row.n_hopped == 0:
        verdict, reason = "not_diffusing", "no ion hopped"
    elif not found.converged:
        verdict, reason = "unconverged", f"longer lags do not confirm the slope: {several}"
    elif low <= 0.0 or relative > rules.max_relative_error:
        verdict, reason = "unconverged", "the interval is too wide"
    else:
        verdict, reason = "diffusing", several
    ends = tuple(round(lag * interval_ps, 3) for lag in windows[found.index])
    named = [] if verdict == "melted" else moving
    return Judgement(verdict, reason, slope, low, high, (ends[0], ends[1]), named)


def _too_short(row: LabelRow) -> str:
    by_rule = ", ended by the former rule of melting" if row.status == "melted" else ""
    return f"only {row.production_ps:.1f} ps{by_rule}"


def framework(row: LabelRow, rules: VerdictRules) -> tuple[list[str], bool]:
    """Return elements of which many atoms have left their places, and whether all have melted."""
    assert row.msd is not None
    crystal = crystal_of_row(row)
    turning = {crystal.symbols[i] for _, ends in groups(crystal) for i in ends}
    moving, melted = [], True
    for symbol, values in row.msd.framework_A2.items():
        curve = np.array(values)
        left = hop_length(
            crystal.nearest_distance(crystal.is_element(symbol)),
            *(rules.melt_fraction, rules.min_hop_A, rules.max_hop_A),
        )
        gone = 2.0 * float(curve[-1] - curve[len(curve) // 2])
        grows = curve[-1] > rules.melt_growth * curve[len(curve) // 2]
        melted = melted and bool(grows and gone > left**2)
        if grows and gone > _LEFT_FRACTION * left**2 and symbol not in turning:
            moving.append(symbol)
    return moving, melted and bool(row.msd.framework_A2)


def table(pairs: list[tuple[LabelRow, Judgement]]) -> str:
    """Return how many verdicts became which, and those that changed."""
    counts = Counter((row.verdict, found.verdict) for row, found in pairs)
    lines = [
        "| verdict as published | " + " | ".join(f"now {name}" for name in VERDICTS) + " | all |",
        "| --- |" + " --- |" * (len(VERDICTS) + 1),
    ]
    for old in VERDICTS:
        row_counts = [counts[old, new] for new in VERDICTS]
        lines.append(f"| {old} | {' | '.join(map(str, row_counts))} | {sum(row_counts)} |")
    totals = [sum(counts[old, new] for old in VERDICTS) for new in VERDICTS]
    lines.append(f"| all | {' | '.join(map(str, totals))} | {sum(totals)} |")
    lines += [
        "",
        "| id | formula | ps | published: slope (A^2/ps), verdict | now: slope, 95 % interval, "
        "verdict | why |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row, found in pairs:
        if row.verdict == found.verdict:
            continue
        lines.append(
            f"| {row.material_id} | {row.formula} | {row.production_ps:.0f} | "
            f"{row.msd_slope_A2_per_ps:.2f}, {row.verdict} | {found.slope_A2_per_ps:.2f} "
            f"[{found.low_A2_per_ps:.2f}, {found.high_A2_per_ps:.2f}], {found.verdict} | "
            f"{found.reason} |"
        )
    named = [
        f"{row.formula} ({', '.join(found.diffusing_framework)})"
        for row, found in pairs
        if found.diffusing_framework
    ]
    lines += ["", f"Framework elements that leave their places: {'; '.join(named) or 'none'}."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = ROOT / "datasets"
    parser.add_argument(
        "--labels",
        type=Path,
        nargs="+",
        default=[data / "labels_1000K.jsonl", data / "labels_1000K_longer.jsonl"],
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = sorted(read_data_sets(options.labels), key=lambda row: row.material_id)
    pairs = [(row, judge(row)) for row in rows]
    content: list[dict[str, Any]] = [
        {"material_id": row.material_id, "formula": row.formula, "published": row.verdict}
        | vars(found)
        for row, found in pairs
    ]
    options.out.mkdir(exist_ok=True)
    (options.out / "rejudged_labels.json").write_text(json.dumps(content, indent=1) + "\n")
    (options.out / "rejudged_labels.md").write_text(table(pairs) + "\n")
    print(table(pairs))


if __name__ == "__main__":
    main()
