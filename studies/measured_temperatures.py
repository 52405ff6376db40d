"""Compare landscapes with activation energies and conductivities measured at any temperature.

    python -m studies.measured_temperatures choose DIR/data
    superionic screen workflows/liion_crystals.jsonl --every-copy
    python -m studies.measured_temperatures table DIR/data

DIR/data holds labels_liion_temperature.csv, measured conductivities by composition (LiIon database;
``composition``, ``temperature_C``, ``sigma_S_cm``, ``doi``), labels_obelix_conductivity.csv, and
structures_li.jsonl. ``choose`` takes all crystals of at most 100 atoms whose composition was
measured and that have no published landscape yet. What was measured may have been another
polymorph, glass or ceramic: compositions are all that is known.

Fixed before any number was compared:

- **Activation energy**: slope of ln(sigma T) on 1/T within one source, of two temperatures or more
  that span 40 K; of a composition the median over its sources. Against it stand the barriers in one
  and in three dimensions and the published one, each the mean over crystals of the composition.
- **Room temperature** (288 to 313 K): the policy ``conductivity`` on compositions of which OBELiX's
  training part, which it has learned, has no sample; of several measured values the median.
- **Higher temperatures** (above 333 K, every value), for all compositions: sigma(T) from the
  expected value at 300 K, carried on (a) with the barrier in one dimension as activation energy,
  (b) with the energy that a common prefactor gives, sigma T = n q^2 a^2 nu / 6k = 10^4.4 S K/cm for
  10^22 ions in a cm^3 that hop 3 A at 10 THz, (c) unchanged, as if temperature did not matter.
"""

import argparse
import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

import numpy as np
from ase.units import kB
from pymatgen.core import Composition
from scipy.constants import zero_Celsius

from studies.champions import ROOT
from superionic.report.tables.export import read_rows_file
from superionic.report.tables.text_table import markdown_table
from superionic.schemas.screening import ScreeningDocument
from superionic.statistics import bootstrap_interval, spearman
from superionic.store.ranking.conductivity import load_conductivity
from superionic.store.ranking.policies import policies

CRYSTALS = ROOT / "workflows" / "liion_crystals.jsonl"
ROWS = tuple(
    ROOT / "datasets" / f"screening_{name}.jsonl"
    for name in ("1000K", "untouched", "obelix", "liion")
)
RESULT = ROOT / "benchmarks" / "results" / "measured_temperatures.md"
MOST_ATOMS = 100
SMALLEST_SPAN_K = 40.0
ROOM_K, HOT_K = (288.0, 313.0), 333.0
EXPECTED_AT_K = 300.0
LOG10_PREFACTOR_S_K_PER_CM = 4.4
BARRIERS = ("barrier_1d_eV", "barrier_3d_eV", "mpe_eV")
PER_DECADE = np.log(10.0)


class Measured(NamedTuple):
    """A conductivity of a composition at a temperature."""

    temperature_K: float
    sigma_S_per_cm: float
    source: str


def read_liion(path: Path) -> dict[str, list[Measured]]:
    """Return what was measured, by reduced formula; values that cannot be one are refused."""
    found: dict[str, list[Measured]] = defaultdict(list)
    with path.open(newline="") as stream:
        for line in csv.DictReader(stream):
            kelvin = float(line["temperature_C"]) + zero_Celsius
            sigma = float(line["sigma_S_cm"])
            if not (kelvin > 0 and sigma > 0):
                raise SystemExit(f"{path}: {line['composition']} has no conductivity: {line}")
            formula = Composition(line["composition"]).reduced_formula
            found[formula].append(Measured(kelvin, sigma, line["doi"]))
    return found


def activation_energy_eV(values: Iterable[Measured]) -> float | None:
    """Return the activation energy of sigma T, the median over sources; None where none has one.

    Examples
    --------
    >>> hot, cold = Measured(400.0, 1e-3 / 400, "a"), Measured(300.0, 1e-5 / 300, "a")
    >>> round(activation_energy_eV([hot, cold]), 3)
    0.476
    >>> activation_energy_eV([hot, cold._replace(source="b")]) is None
    True
    """
    by_source: dict[str, list[Measured]] = defaultdict(list)
    for one in values:
        by_source[one.source].append(one)
    energies = []
    for series in by_source.values():
        kelvin = np.array([one.temperature_K for one in series])
        if np.ptp(kelvin) >= SMALLEST_SPAN_K:
            log = np.log([one.sigma_S_per_cm * one.temperature_K for one in series])
            energies.append(-kB * np.polyfit(1 / kelvin, log, 1)[0])
    return float(median(energies)) if energies else None


def carried_on(log10_300K: float, energy_eV: float, temperature_K: float) -> float:
    """Return log10 of sigma (S/cm) at a temperature, sigma T being of one activation energy."""
    change = energy_eV / (kB * PER_DECADE) * (1 / EXPECTED_AT_K - 1 / temperature_K)
    return float(log10_300K + change - np.log10(temperature_K / EXPECTED_AT_K))


def energy_of_prefactor_eV(log10_300K: float) -> float:
    """Return the activation energy that a conductivity at 300 K has with the common prefactor."""
    decades = LOG10_PREFACTOR_S_K_PER_CM - log10_300K - np.log10(EXPECTED_AT_K)
    return float(decades * PER_DECADE * kB * EXPECTED_AT_K)


def choose(data: Path) -> None:
    """Write the crystals that were measured and have no published landscape."""
    known = {row.material_id for path in ROWS[:-1] for row in read_rows_file(path)}
    measured = read_liion(data / "labels_liion_temperature.csv")
    lines = []
    for text in (data / "structures_li.jsonl").read_text().splitlines():
        record = json.loads(text)
        species = record["structure"]["species"]
        formula = Composition(Counter(species)).reduced_formula
        if formula in measured and record["id"] not in known and len(species) <= MOST_ATOMS:
            kept = {"material_id": record["id"], "formula": formula}
            kept |= {key: record[key] for key in ("licence", "structure")}
            lines.append(json.dumps(kept | {"database": record["source"]}) + "\n")
    CRYSTALS.write_text("".join(lines))


def learned_formulas(data: Path) -> set[str]:
    """Return the compositions of OBELiX's training part."""
    with (data / "labels_obelix_conductivity.csv").open(newline="") as stream:
        lines = csv.DictReader(stream)
        return {Composition(line["reduced_composition"]).reduced_formula for line in lines}


def table(data: Path) -> str:
    """Return the tables as Markdown."""
    measured = read_liion(data / "labels_liion_temperature.csv")
    found = [row for path in ROWS for row in read_rows_file(path) if row.xi is not None]
    rows = list({row.material_id: row for row in found}.values())
    by: dict[str, list[ScreeningDocument]] = defaultdict(list)
    for row in rows:
        by[Composition(row.formula or "").reduced_formula].append(row)
    both = {formula: values for formula, values in measured.items() if formula in by}
    places = {one.row.material_id: one.score for one in policies()["conductivity"].places(rows)}
    expected = {
        formula: fmean(scores)
        for formula in both
        if (scores := [s for row in by[formula] if (s := places[row.material_id]) is not None])
    }
    parts = [
        f"{len(both)} compositions with a crystal and a measured conductivity.",
        energies_table(both, by),
        room_table(both, by, expected, learned_formulas(data)),
        hot_table(both, by, expected),
    ]
    return "\n\n".join(parts) + "\n"


def energies_table(
    measured: Mapping[str, Sequence[Measured]], by: Mapping[str, Sequence[ScreeningDocument]]
) -> str:
    """Return measured activation energies beside barriers."""
    energies = {
        formula: energy
        for formula, values in measured.items()
        if (energy := activation_energy_eV(values)) is not None
    }
    names = sorted(energies, key=lambda formula: energies[formula])
    columns = {
        name: [fmean(getattr(row, name) for row in by[one]) for one in names] for name in BARRIERS
    }
    lines = [
        [
            one,
            str(len(by[one])),
            f"{energies[one]:.2f}",
            *(f"{columns[b][i]:.2f}" for b in BARRIERS),
        ]
        for i, one in enumerate(names)
    ]
    titles = ["composition", "crystals", "measured activation energy (eV)"]
    text = [markdown_table([*titles, *(f"`{name}`" for name in BARRIERS)], lines)]
    truth = [energies[one] for one in names]
    for name in BARRIERS:
        order = bootstrap_interval(spearman, [truth, columns[name]])
        off = np.array(columns[name]) - truth
        text.append(
            f"`{name}`: Spearman {order:.2f}; "
            f"too high by {np.median(off):.2f} eV in the median, "
            f"median absolute difference {np.median(np.abs(off)):.2f} eV."
        )
    return "\n\n".join(text)


def room_table(
    measured: Mapping[str, Sequence[Measured]],
    by: Mapping[str, Sequence[ScreeningDocument]],
    expected: Mapping[str, float],
    learned: set[str],
) -> str:
    """Return expected conductivities beside measured ones that were not learned."""
    model = load_conductivity()
    lines, off, n_inside = [], [], 0
    for formula, values in measured.items():
        own = [v.sigma_S_per_cm for v in values if ROOM_K[0] <= v.temperature_K <= ROOM_K[1]]
        if not own or formula in learned or formula not in expected or model is None:
            continue
        truth, guess = float(np.log10(median(own))), expected[formula]
        around = model.around(by[formula][0], guess)
        n_inside += around.low <= truth <= around.high
        off.append(guess - truth)
        interval = f"{guess:.1f} [{around.low:.1f}, {around.high:.1f}]"
        lines.append([formula, str(len(by[formula])), f"{truth:.1f}", interval])
    titles = ["composition", "crystals", "measured, log10 S/cm", "expected at 300 K, 90 %"]
    return (
        f"Room temperature, {len(lines)} compositions of which OBELiX's training part has no "
        f"sample: mean absolute error {np.mean(np.abs(off)):.2f} decades, mean error "
        f"{np.mean(off):+.2f}; {n_inside} of {len(lines)} in the 90 % interval.\n\n"
        + markdown_table(titles, sorted(lines, key=lambda line: float(line[2])))
    )


def hot_table(
    measured: Mapping[str, Sequence[Measured]],
    by: Mapping[str, Sequence[ScreeningDocument]],
    expected: Mapping[str, float],
) -> str:
    """Return errors at higher temperatures, by how a conductivity is carried on to them."""
    errors: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for formula, values in measured.items():
        hot = [one for one in values if one.temperature_K > HOT_K]
        if not hot or formula not in expected:
            continue
        cold = expected[formula]
        ways = {
            "the barrier in one dimension": fmean(row.barrier_1d_eV or 0.0 for row in by[formula]),
            "a common prefactor": energy_of_prefactor_eV(cold),
        }
        for one in hot:
            truth = np.log10(one.sigma_S_per_cm)
            errors["unchanged"][formula].append(cold - truth)
            for way, energy in ways.items():
                errors[way][formula].append(carried_on(cold, energy, one.temperature_K) - truth)
    n = sum(map(len, errors["unchanged"].values()))
    lines = []
    for way, off in errors.items():
        means = [float(np.mean(np.abs(one))) for one in off.values()]
        bias = [float(np.mean(one)) for one in off.values()]
        lines.append([way, f"{bootstrap_interval(np.mean, [means]):.2f}", f"{np.mean(bias):+.2f}"])
    titles = ["carried on from 300 K with", "mean absolute error, decades", "mean error"]
    return (
        f"Above {HOT_K:.0f} K, {n} values of {len(errors['unchanged'])} compositions, each "
        f"composition with the same weight:\n\n{markdown_table(titles, lines)}"
    )


def main() -> None:
    """Choose crystals, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["choose", "table"])
    parser.add_argument("data", type=Path, help="folder of the reference tables")
    options = parser.parse_args()
    if options.command == "choose":
        choose(options.data)
    else:
        RESULT.write_text(table(options.data))


if __name__ == "__main__":
    main()
