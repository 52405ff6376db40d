"""How far methods agree with each other on the same materials, and how numbers are distributed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import isfinite, log10

import numpy as np

from superionic.schemas.screening import ScreeningDocument
from superionic.statistics import bootstrap_interval, roc_auc, spearman
from superionic.store.ranking.features import FEATURES, Feature

FEWEST_PAIRS = 4
_N_RESAMPLES = 300
"""Below this a rank correlation says nothing."""
_SLOWEST_SLOPE_A2_PER_PS = 1e-4


@dataclass(frozen=True)
class Agreement:
    """How two methods order the materials that both know.

    Parameters
    ----------
    first, second : Feature
        The methods.
    rows : list of ScreeningDocument
        The materials that both know.
    rho, low, high : float or None
        Spearman's rank correlation of the numbers, oriented so that more speaks for a conductor,
        with its 95 % bootstrap interval over chemical systems; None where it is not defined.
    """

    first: Feature
    second: Feature
    rows: list[ScreeningDocument]
    rho: float | None
    low: float | None
    high: float | None

    @property
    def n(self) -> int:
        """Materials."""
        return len(self.rows)


@dataclass(frozen=True)
class Separation:
    """How well a method tells materials that diffuse in dynamics from those that do not.

    Parameters
    ----------
    method : Feature
        The method.
    n, n_diffusing : int
        Materials with a verdict and a number, and those of them that diffuse.
    auc, low, high : float or None
        Area under the receiver operating characteristic with its 95 % bootstrap interval over
        chemical systems.
    """

    method: Feature
    n: int
    n_diffusing: int
    auc: float | None
    low: float | None
    high: float | None


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
    computed = [row for row in rows if row.duplicate_of is None]
    found = []
    for first, second in combinations(METHODS, 2):
        both = [
            (row, a, b)
            for row in computed
            if not (row.prediction_in_training and {first.name, second.name} in _LEARNT)
            and (a := first.oriented(row)) is not None
            and (b := second.oriented(row)) is not None
        ]
        if len(both) < FEWEST_PAIRS:
            continue
        shared, a_values, b_values = (list(column) for column in zip(*both, strict=True))
        interval = bootstrap_interval(
            spearman,
            [a_values, b_values],
            _N_RESAMPLES,
            groups=[row.chemical_system for row in shared],
        )
        found.append(
            Agreement(
                first, second, shared, *map(_finite, (interval.value, interval.low, interval.high))
            )
        )
    return found


def separations(rows: Sequence[ScreeningDocument]) -> list[Separation]:
    """Return how well each method tells what diffuses in dynamics; see :func:`agreements`."""
    judged = [
        row
        for row in rows
        if row.duplicate_of is None and row.label_verdict in ("diffusing", "not_diffusing")
    ]
    found = []
    for method in METHODS:
        if method.name in ("msd_slope", "conductivity"):
            continue
        both = [
            (row, value)
            for row in judged
            if not (row.prediction_in_training and {method.name, "msd_slope"} in _LEARNT)
            and (value := method.oriented(row)) is not None
        ]
        if len(both) < FEWEST_PAIRS:
            continue
        diffuses = [row.label_verdict == "diffusing" for row, _ in both]
        interval = bootstrap_interval(
            roc_auc,
            [diffuses, [value for _, value in both]],
            _N_RESAMPLES,
            groups=[row.chemical_system for row, _ in both],
        )
        numbers = map(_finite, (interval.value, interval.low, interval.high))
        found.append(Separation(method, len(both), sum(diffuses), *numbers))
    return found


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


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
