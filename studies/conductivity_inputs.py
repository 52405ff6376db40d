"""Do energies of carriers, or the widths of intervals, make conductivities easier to tell?

    python -m studies.conductivity_inputs DIR/data

The policy ``conductivity`` reads composition and landscape. Three sets of inputs are added to the
trees that read both: the energy of a Frenkel pair and half of it with the barrier in one dimension
(:mod:`studies.frenkel`); the widths of the 95 % intervals of barriers and volumes; and both sets.
Settings of the trees, folds (ten, by chemical system; by family beside them) and samples (OBELiX's
training part) are those of ``superionic evaluate --fit-conductivity``; of its samples those count
whose crystal has a pair. Nothing is chosen in them.

A set helps if the paired change of the mean absolute error by chemical system, with a 95 % interval
by a bootstrap over chemical systems, lies below zero. Everything here was fixed, and in the history
of the repository, before any number was compared. What had been seen: E_f alone ranks ordered and
matched crystals with ROC-AUC 0.71 where ``free_volume`` has 0.64, and puts the well measured
conductors higher.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from superionic.evaluation.conductivity import (
    CANDIDATES,
    THRESHOLD,
    TREES,
    Sample,
    read_samples,
)
from superionic.evaluation.fitting import fold_of_each
from superionic.evaluation.readers import read_matches, read_obelix
from superionic.report.tables.export import read_rows_file
from superionic.report.tables.text_table import markdown_table
from superionic.schemas.document import Interval
from superionic.schemas.screening import ScreeningDocument
from superionic.statistics import bootstrap_interval, roc_auc
from superionic.store.ranking.conductivity import inputs_of

FloatArray = NDArray[np.float64]

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "conductivity_inputs.md"
PAIRS = ROOT / "benchmarks" / "results" / "frenkel_pairs.jsonl"
ROWS = ("screening_1000K", "screening_obelix")
TODAY = "today's inputs"
_, FEATURES = CANDIDATES["trees, composition and landscape"]
WIDTHS = (
    *("barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV", "xi"),
    *("free_volume_A3_per_ion", "free_volume_2eV_A3_per_ion"),
)
N_FOLDS = 10
OPEN = 10.0
"""Width of an interval that has no end, in the unit of its number."""


def carrier_inputs(row: ScreeningDocument, pair_eV: float) -> list[float]:
    """Return the energy of a pair, and half of it with the barrier in one dimension, in eV."""
    return [pair_eV, pair_eV / 2 + (row.barrier_1d_eV or 0.0)]


def width_inputs(row: ScreeningDocument) -> list[float]:
    """Return the widths of intervals; zero where a landscape is exact, much where one is open."""
    found = [row.intervals.get(name) for name in WIDTHS]
    return [0.0 if one is None else _width(one) for one in found]


def _width(one: Interval) -> float:
    return OPEN if one.low is None or one.high is None else one.high - one.low


def held_out(x: FloatArray, y: FloatArray, groups: Sequence[str]) -> FloatArray:
    """Return estimates of samples whose group the trees had not seen.

    Parameters
    ----------
    x : ndarray, shape (n, k)
        Inputs.
    y : ndarray, shape (n,)
        Decimal logarithms of conductivities in S/cm.
    groups : sequence of str
        What is left out as a whole.
    """
    from sklearn.ensemble import GradientBoostingRegressor

    folds = fold_of_each(groups, N_FOLDS, seed=0)
    fold = np.array([folds[group] for group in groups])
    found = np.full(len(y), np.nan)
    for k in np.unique(fold):
        seen = fold != k
        found[~seen] = GradientBoostingRegressor(**TREES).fit(x[seen], y[seen]).predict(x[~seen])
    return found


def table(samples: Sequence[Sample], pairs: dict[str, float]) -> str:
    """Return errors of each set of inputs, and what it gains.

    Parameters
    ----------
    samples : sequence of Sample
        Those without a crystal that has a pair are left out.
    pairs : dict
        Energy of a Frenkel pair in eV, by identifier.
    """
    known = [
        (one, one.row, pairs[one.row.material_id])
        for one in samples
        if one.row is not None and one.row.material_id in pairs
    ]
    y = np.array([one.log10_S_per_cm for one, _, _ in known])
    basis = np.array([[inputs_of(row)[name] for name in FEATURES] for _, row, _ in known])
    carriers = np.array([carrier_inputs(row, pair) for _, row, pair in known])
    widths = np.array([width_inputs(row) for _, row, _ in known])
    sets = {
        TODAY: basis,
        "and carriers": np.hstack([basis, carriers]),
        "and widths": np.hstack([basis, widths]),
        "and both": np.hstack([basis, carriers, widths]),
    }
    left_out: dict[str, Callable[[Sample], str]] = {
        "chemical system": lambda one: one.system,
        "family": lambda one: one.family,
    }
    systems = [one.system for one, _, _ in known]
    text = [
        f"{len(known)} samples whose crystal has a pair, {int((y > THRESHOLD).sum())} of them "
        f"above {10**THRESHOLD:g} S/cm; errors in decades, intervals by a bootstrap over chemical "
        "systems."
    ]
    for title, group_of in left_out.items():
        groups = [group_of(one) for one, _, _ in known]
        found = {name: held_out(x, y, groups) for name, x in sets.items()}
        lines = []
        for name, estimates in found.items():
            arrays = [y, estimates, found[TODAY]]
            change = f"{bootstrap_interval(_change, arrays, groups=systems):+.2f}"
            area = bootstrap_interval(_area, [y, estimates], groups=systems)
            lines.append(
                [
                    name,
                    f"{bootstrap_interval(_error, [y, estimates], groups=systems):.2f}",
                    "-" if name == TODAY else change,
                    f"{1 - np.sum((y - estimates) ** 2) / np.sum((y - y.mean()) ** 2):.2f}",
                    f"{area:.2f}",
                ]
            )
        heads = [f"inputs; left out by {title}", "MAE", "change", "R2", "ROC-AUC"]
        text += ["", markdown_table(heads, lines)]
    return "\n".join(text) + "\n"


def _error(y: FloatArray, found: FloatArray) -> float:
    return float(np.mean(np.abs(y - found)))


def _change(y: FloatArray, found: FloatArray, today: FloatArray) -> float:
    return _error(y, found) - _error(y, today)


def _area(y: FloatArray, found: FloatArray) -> float:
    return roc_auc(y > THRESHOLD, found)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("data", type=Path, help="the reference tables")
    data = parser.parse_args().data
    rows = [row for name in ROWS for row in read_rows_file(ROOT / "datasets" / f"{name}.jsonl")]
    file = data / "labels_obelix_conductivity.csv"
    measured = [*read_obelix(file), *read_matches(data / "labels_obelix_to_mp_match.csv")]
    lines = [json.loads(line) for line in PAIRS.read_text().splitlines()]
    pairs = {one["material_id"]: one["pair"]["energy_eV"] for one in lines if one["pair"]}
    RESULT.write_text(table(read_samples(file, rows, measured), pairs))


if __name__ == "__main__":
    main()
