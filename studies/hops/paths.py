"""Barriers of single hops against those of the literature.

The literature's are from nudged elastic bands with density functional theory, one hop of one ion a
row, with the crystal, the ion's start and its end.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from superionic.errors import InputError
from superionic.statistics import (
    Interval,
    bootstrap_interval,
    mean_absolute_error,
    roc_auc,
    spearman,
)

CONDUCTOR_BELOW_eV = 0.5
THRESHOLDS_eV = (0.5, 0.65)
OUTLIER_eV = 1.0
"""An error above this is an outlier."""
BROKEN_A = 1.0
"""Ions of a cell are never nearer to each other."""


@dataclass(frozen=True)
class ReferencePath:
    """One hop of the literature.

    Parameters
    ----------
    path_id : str
        Its identifier.
    formula : str
        Formula of the cell.
    structure : Structure
        The cell with the ion at its start.
    start, end : list of float
        Fractional coordinates of the ion.
    ion : str
        The element that hops.
    barrier_eV : float
        Barrier of the literature in eV.
    others_eV : mapping of str to float
        Barriers that others found for it, by method.
    """

    path_id: str
    formula: str
    structure: Structure
    start: list[float]
    end: list[float]
    ion: str
    barrier_eV: float
    others_eV: Mapping[str, float]


@dataclass(frozen=True)
class BarrierQuality:
    """How well a method gives the barriers of the literature.

    Parameters
    ----------
    method : str
        Name of the method.
    n, n_below : int
        Paths, and those whose barrier in the literature is below 0.5 eV.
    mean_error_eV, median_error_eV : Interval
        Mean and median absolute error in eV.
    spearman : Interval
        Rank correlation.
    auc : Interval
        Area under the curve for barriers below 0.5 eV.
    """

    method: str
    n: int
    n_below: int
    mean_error_eV: Interval
    median_error_eV: Interval
    spearman: Interval
    auc: Interval


def read_paths(file: Path) -> list[ReferencePath]:
    """Read hops from JSON lines.

    Each line has ``id``, ``formula``, ``structure_ini`` (``lattice`` in A, ``species``,
    ``frac_coords``), ``ion``, ``start``, ``end`` (fractional) and ``barrier_eV``; numbers whose
    names end in ``_eV`` are barriers of others. A file of lithium may say ``li_start`` and
    ``li_end`` and no ion.

    Raises
    ------
    InputError
        Naming the line that cannot be read.
    """
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The paths {file} cannot be read ({type(error).__name__}).",
            hint="Name a file of JSON lines.",
        ) from None
    paths = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            cell = row["structure_ini"]
            lithium = "li_start" in row
            paths.append(
                ReferencePath(
                    path_id=row["id"],
                    formula=row["formula"],
                    structure=Structure(
                        Lattice(cell["lattice"]), cell["species"], cell["frac_coords"]
                    ),
                    start=row["li_start" if lithium else "start"],
                    end=row["li_end" if lithium else "end"],
                    ion="Li" if lithium else row["ion"],
                    barrier_eV=float(row["barrier_eV"]),
                    others_eV=_others(row),
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"Line {number} of {file} is no hop ({type(error).__name__}: {error}).",
                hint="Each line needs id, formula, structure_ini, ion, start, end, barrier_eV.",
            ) from error
    return paths


def _others(row: Mapping[str, Any]) -> dict[str, float]:
    names = [name for name in row if name.endswith("_eV") and name != "barrier_eV"]
    return {name.removesuffix("_eV"): float(row[name]) for name in names if row[name] is not None}


def is_broken(path: ReferencePath) -> bool:
    """Return whether two ions of the cell are in one place."""
    distances = path.structure.distance_matrix + np.diag(np.full(len(path.structure), np.inf))
    return bool(distances.min() < BROKEN_A)


def clearance_of_line(path: ReferencePath) -> tuple[float, str]:
    """Return how near the straight line of a hop comes to another ion (A), and to which element.

    Bands start from this line. One that leads through an ion is no path of the hopping ion.

    Examples
    --------
    >>> cell = Structure(Lattice.cubic(6.0), ["Li", "Ru"], [[0, 0, 0], [0.25, 0, 0]])
    >>> path = ReferencePath("a", "LiRu", cell, [0, 0, 0], [0.5, 0, 0], "Li", 8.0, {})
    >>> clearance_of_line(path)
    (0.0, 'Ru')
    """
    lattice = path.structure.lattice
    start = np.array(path.start)
    _, image = lattice.get_distance_and_image(start, path.end)
    hop = np.array(path.end) + image - start
    line = start + np.linspace(0, 1, 101)[:, None] * hop
    distances = lattice.get_all_distances(line, path.structure.frac_coords)
    distances[:, np.argmin(distances[0])] = np.inf  # the ion itself
    nearest = int(np.argmin(distances.min(axis=0)))
    clearance = max(round(float(distances[:, nearest].min()), 2), 0.0)
    return clearance, path.structure[nearest].specie.symbol


def ion_table(
    paths: Iterable[ReferencePath],
    barriers_eV: Mapping[str, Mapping[str, float]],
    seconds: Mapping[str, float],
) -> str:
    """Return how well methods give the barriers of each ion, as a table in Markdown.

    Parameters
    ----------
    paths : iterable of ReferencePath
        The hops; those that not every method has are left out.
    barriers_eV : mapping of str to mapping of str to float
        For each method its barrier of each path.
    seconds : mapping of str to float
        Core-seconds that our barriers of each path took.
    """
    common = set.intersection(*(set(found) for found in barriers_eV.values()))
    own = [path for path in paths if path.path_id in common]
    lines = [
        "| ion | method | paths | right at 0.5 eV | right at 0.65 eV | median error (eV) | "
        "MAE (eV) | MAE without outliers (eV), outliers | core-seconds, median |",
        "| --- |" + " --- |" * 8,
    ]
    ions = sorted({path.ion for path in own}, key=lambda ion: (ion != "Li", ion))
    groups = {ion: [path for path in own if path.ion == ion] for ion in ions}
    if len(ions) > 1:
        groups = {"all": own} | groups
    for ion, of_ion in groups.items():
        truth = np.array([path.barrier_eV for path in of_ion])
        spent = [seconds[path.path_id] for path in of_ion if path.path_id in seconds]
        cost = f"{np.median(spent):.0f}" if spent else "-"
        for method, found in barriers_eV.items():
            values = np.array([found[path.path_id] for path in of_ion])
            error = np.abs(values - truth)
            right = [np.mean((values < level) == (truth < level)) for level in THRESHOLDS_eV]
            usual = error <= OUTLIER_eV
            without = f"{error[usual].mean():.2f}" if usual.any() else "-"
            lines.append(
                f"| {ion} | {method} | {len(of_ion)} | {right[0]:.0%} | {right[1]:.0%} | "
                f"{np.median(error):.2f} | {error.mean():.2f} | {without}, {np.sum(~usual)} | "
                f"{'-' if 'MACE' in method else cost} |"
            )
    return "\n".join(lines) + "\n"


def barrier_quality(
    barriers_eV: Mapping[str, Mapping[str, float]],
    literature_eV: Mapping[str, float],
    *,
    groups: Mapping[str, str] | None = None,
    n_resamples: int = 2000,
    seed: int = 0,
) -> list[BarrierQuality]:
    """Compare methods with the literature on the paths that all of them have.

    Parameters
    ----------
    barriers_eV : mapping of str to mapping of str to float
        For each method its barrier of each path.
    literature_eV : mapping of str to float
        Barrier of each path.
    groups : mapping of str to str, optional
        What the bootstrap draws as a whole, such as the chemical system of each path: hops of one
        crystal are not independent. By default every path.
    n_resamples : int
        Resamples of the bootstrap.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    list of BarrierQuality
        One a method, in their order.
    """
    common = sorted(set(literature_eV).intersection(*barriers_eV.values()))
    truth = np.array([literature_eV[name] for name in common])
    below = truth < CONDUCTOR_BELOW_eV
    drawn = None if groups is None else [groups[name] for name in common]
    result = []
    for method, found in barriers_eV.items():
        values = np.array([found[name] for name in common])

        def interval(
            measure: Callable[..., float], *arrays: NDArray[Any], seed: int = seed
        ) -> Interval:
            return bootstrap_interval(measure, arrays, n_resamples, seed, groups=drawn)

        result.append(
            BarrierQuality(
                method=method,
                n=len(common),
                n_below=int(below.sum()),
                mean_error_eV=interval(mean_absolute_error, truth, values),
                median_error_eV=interval(_median_error, truth, values),
                spearman=interval(spearman, truth, values),
                auc=interval(roc_auc, below, -values),
            )
        )
    return result


def _median_error(truth: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    return float(np.median(np.abs(truth - values))) if len(truth) else float("nan")


def quality_table(rows: Sequence[BarrierQuality]) -> str:
    """Return a table in Markdown."""
    lines = [
        "| method | paths | below 0.5 eV | mean error (eV) | median error (eV) | Spearman | AUC |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.method} | {row.n} | {row.n_below} | {row.mean_error_eV:.2f} | "
        f"{row.median_error_eV:.2f} | {row.spearman:.2f} | {row.auc:.2f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def methods_of(
    paths: Iterable[ReferencePath], computed: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """Return for each method its barriers, those of others among them.

    Parameters
    ----------
    paths : iterable of ReferencePath
        The hops.
    computed : mapping of str to mapping of str to float
        For each path our barrier by each method in eV.
    """
    result: dict[str, dict[str, float]] = {}
    for path in paths:
        ours = computed.get(path.path_id)
        if ours is None:
            continue
        for method, value in {**ours, **path.others_eV}.items():
            result.setdefault(method, {})[path.path_id] = value
    return result
