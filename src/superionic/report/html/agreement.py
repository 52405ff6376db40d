"""How far methods agree with each other on the same materials, and how numbers are distributed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import isfinite, log10

import numpy as np

from superionic.schemas.screening import ScreeningDocument
from superionic.statistics import Interval, bootstrap_interval, roc_auc, spearman
from superionic.store.ranking.features import FEATURES, Feature

FEWEST_PAIRS = 4
_N_RESAMPLES = 300
"""Below this a rank correlation says nothing."""
_SLOWEST_SLOPE_A2_PER_PS = 1e-4


@dataclass(frozen=True)
class Agreement:
    """How a method agrees with another, or with verdicts of dynamics, on what both know.

    Parameters
    ----------
    method : Feature
        The method.
    other : Feature or None
        With which it is compared; None for verdicts of dynamics.
    n, n_diffusing : int
        Materials that both know, and those of them that diffuse in dynamics.
    measure : Interval
        Spearman's rank correlation of the numbers, oriented so that more speaks for a conductor, or
        the area under the receiver operating characteristic; with its 95 % bootstrap interval over
        chemical systems.
    """

    method: Feature
    other: Feature | None
    n: int
    n_diffusing: int
    measure: Interval


@dataclass(frozen=True)
class Distribution:
    """The values of one number over the materials.

    Parameters
    ----------
    name, text : str
        Name of the field, and what it is with its unit.
    values : list of float
        The finite values.
    n_missing : int
        Materials without one.
    """

    name: str
    text: str
    values: list[float]
    n_missing: int

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """First quartile, median and third quartile."""
        low, median, high = np.percentile(self.values, [25, 50, 75])
        return float(low), float(median), float(high)


def _slope(row: ScreeningDocument) -> float | None:
    """Return log10 of the MSD slope in A^2/ps, clipped at 1e-4, of a run that settled."""
    if row.label_verdict not in ("diffusing", "not_diffusing"):
        return None
    slope = row.msd_slope_A2_per_ps
    if slope is None:
        return log10(_SLOWEST_SLOPE_A2_PER_PS) if row.label_verdict == "not_diffusing" else None
    return log10(max(slope, _SLOWEST_SLOPE_A2_PER_PS))


def _conductivity(row: ScreeningDocument) -> float | None:
    value = row.conductivity_S_per_cm
    return log10(value) if value is not None and value > 0 else None


def _feature(name: str, text: str) -> Feature:
    """Return a feature with a shorter text."""
    return replace(FEATURES[name], text=text)


METHODS: tuple[Feature, ...] = (
    _feature("xi", "Xi (no unit)"),
    _feature("mpe_eV", "barrier (eV)"),
    _feature("barrier_3d_eV", "barrier in 3D (eV)"),
    _feature("free_volume_2eV_A3_per_ion", "free volume below 2 eV (Å³ per ion)"),
    _feature("predicted_log10_msd_slope", "network: log10 MSD slope (Å²/ps)"),
    Feature("msd_slope", "dynamics: log10 MSD slope (Å²/ps)", _slope),
    Feature("conductivity", "validation: log10 conductivity (S/cm)", _conductivity),
)
"""What is compared. A barrier without a percolating path counts as 10 eV, a slope at least 1e-4."""

_LEARNT = (
    {"predicted_log10_msd_slope", "msd_slope"},
    {"predicted_log10_msd_slope", "conductivity"},
)
"""The network repeats dynamics, and does not predict it, where it was trained on the chemistry."""

DISTRIBUTIONS: tuple[tuple[str, str], ...] = (
    ("xi", "Xi (no unit)"),
    ("mpe_eV", "barrier (eV)"),
    ("barrier_1d_eV", "barrier in 1D (eV)"),
    ("barrier_2d_eV", "barrier in 2D (eV)"),
    ("barrier_3d_eV", "barrier in 3D (eV)"),
    ("fv_disconnected_2eV", "free volume below 2 eV (fraction of the cell)"),
    ("free_volume_2eV_A3_per_ion", "free volume below 2 eV (Å³ per ion)"),
    ("predicted_log10_msd_slope", "network: log10 MSD slope (Å²/ps)"),
    ("msd_slope_A2_per_ps", "dynamics: MSD slope (Å²/ps)"),
    ("activation_energy_eV", "activation energy (eV)"),
)


def agreements(rows: Sequence[ScreeningDocument]) -> list[Agreement]:
    """Return how each pair of methods agrees on the materials that both know.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Rows of one mobile species and potential; further names of a crystal are passed over.

    Returns
    -------
    list of Agreement
        Pairs with at least :data:`FEWEST_PAIRS` materials.
    """
    pairs = (_compared(rows, a, b, b.oriented) for a, b in combinations(METHODS, 2))
    return [one for one in pairs if one is not None]


def separations(rows: Sequence[ScreeningDocument]) -> list[Agreement]:
    """Return how well each method tells what diffuses in dynamics; see :func:`agreements`."""
    methods = [one for one in METHODS if one.name not in ("msd_slope", "conductivity")]
    found = (_compared(rows, one, None, _diffuses) for one in methods)
    return [one for one in found if one is not None]


def _diffuses(row: ScreeningDocument) -> float | None:
    settled = row.label_verdict in ("diffusing", "not_diffusing")
    return float(row.label_verdict == "diffusing") if settled else None


def _compared(
    rows: Sequence[ScreeningDocument],
    method: Feature,
    other: Feature | None,
    of_other: Callable[[ScreeningDocument], float | None],
) -> Agreement | None:
    """Return how a method agrees with other numbers; None where too few materials have both."""
    learnt = {method.name, "msd_slope" if other is None else other.name} in _LEARNT
    both = [
        (row, a, b)
        for row in rows
        if row.duplicate_of is None
        and not (row.prediction_in_training and learnt)
        and (a := method.oriented(row)) is not None
        and (b := of_other(row)) is not None
    ]
    if len(both) < FEWEST_PAIRS:
        return None
    shared, numbers, others = (list(column) for column in zip(*both, strict=True))
    arrays = [numbers, others] if other else [[one > 0 for one in others], numbers]
    systems = [row.chemical_system for row in shared]
    function = spearman if other else roc_auc
    measure = bootstrap_interval(function, arrays, _N_RESAMPLES, groups=systems)
    n_diffusing = sum(row.label_verdict == "diffusing" for row in shared)
    return Agreement(method, other, len(both), n_diffusing, measure)


def distributions(rows: Sequence[ScreeningDocument]) -> list[Distribution]:
    """Return the values of descriptors and results, those that at least one material has."""
    computed = [row for row in rows if row.duplicate_of is None]
    found = []
    for name, text in DISTRIBUTIONS:
        numbers = [getattr(row, name) for row in computed]
        values = [float(one) for one in numbers if one is not None and isfinite(one)]
        if values:
            found.append(Distribution(name, text, values, len(computed) - len(values)))
    return found
