"""Numbers of a row that models and evaluations use."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log10

from superionic.schemas.screening import ScreeningDocument


@dataclass(frozen=True)
class ScorePart:
    """One term of a sum.

    The shares of all parts add up to the score, or, for a probability, to its log odds.

    Parameters
    ----------
    name : str
        Name of a policy, feature or field, or ``intercept``.
    value : float or None
        The row's own value; None for the intercept, and for a barrier without a percolating path.
    relative : float
        What is summed of it: the fraction of the other rows that stand below it (percentile), or
        its distance from the mean of the training rows in standard deviations; 1 for the intercept.
    weight : float
        What that is multiplied by.
    """

    name: str
    value: float | None
    relative: float
    weight: float

    @property
    def share(self) -> float:
        """What the part adds."""
        return self.weight * self.relative


HIGHEST_BARRIER_eV = 10.0
"""Stands for a barrier without a percolating path, where a finite number is needed."""
_SMALLEST_VOLUME = 1e-6
_SMALLEST_RATIO = 1e-12


@dataclass(frozen=True)
class Feature:
    """A number that can be read from a row.

    Parameters
    ----------
    name : str
        Short and stable name.
    text : str
        What it is, with its unit.
    of : callable
        Returns the number, finite, or None where the row lacks it.
    lower_is_better : bool
        Whether small values speak for a conductor.
    """

    name: str
    text: str
    of: Callable[[ScreeningDocument], float | None]
    lower_is_better: bool = False

    def oriented(self, row: ScreeningDocument) -> float | None:
        """Return the number, or its negative, so that more speaks for a conductor."""
        value = self.of(row)
        return -value if value is not None and self.lower_is_better else value


def _field(name: str) -> Callable[[ScreeningDocument], float | None]:
    return lambda row: getattr(row, name)


def _log10(
    name: str, smallest: float = _SMALLEST_VOLUME
) -> Callable[[ScreeningDocument], float | None]:
    def of(row: ScreeningDocument) -> float | None:
        value: float | None = getattr(row, name)
        return None if value is None else log10(max(value, smallest))

    return of


def _barrier(name: str) -> Callable[[ScreeningDocument], float | None]:
    def of(row: ScreeningDocument) -> float | None:
        if row.xi is None:  # without a landscape there is no barrier, not an infinite one
            return None
        value: float | None = getattr(row, name)
        return HIGHEST_BARRIER_eV if value is None else min(value, HIGHEST_BARRIER_eV)

    return of


def _all() -> list[Feature]:
    barriers = [
        Feature(name, text, _barrier(name), lower_is_better=True)
        for name, text in (
            ("mpe_eV", "published percolation barrier (eV)"),
            ("barrier_1d_eV", "barrier in one dimension (eV)"),
            ("barrier_2d_eV", "barrier in two dimensions (eV)"),
            ("barrier_3d_eV", "barrier in three dimensions (eV)"),
        )
    ]
    volumes = [
        ("fv_connected", "connected free volume at 0.5 eV, union"),
        ("fv_disconnected", "disconnected free volume at 0.5 eV, union"),
        ("free_volume_A3_per_ion", "free volume at 0.5 eV per mobile ion (A^3)"),
        ("fv_disconnected_2eV", "disconnected free volume at 2 eV, union"),
        ("free_volume_2eV_A3_per_ion", "free volume at 2 eV per mobile ion (A^3)"),
    ]
    ratios = [
        ("diffusivity_ratio_1000K", "effective diffusivity at 1000 K over that without landscape"),
        ("diffusivity_ratio_min_1000K", "effective diffusivity at 1000 K in the slowest direction"),
    ]
    return [
        Feature("xi", "Xi, the published descriptor", _field("xi")),
        *barriers,
        *(Feature(name, text, _field(name)) for name, text in volumes),
        *(
            Feature(f"log10_{name}", f"decimal logarithm of the {text}", _log10(name))
            for name, text in volumes
        ),
        *(
            Feature(
                f"log10_{name}", f"decimal logarithm of the {text}", _log10(name, _SMALLEST_RATIO)
            )
            for name, text in ratios
        ),
        Feature(
            "predicted_log10_msd_slope",
            "logarithm of the slope that the force network predicts (A^2/ps)",
            _field("predicted_log10_msd_slope"),
        ),
        Feature("volume_A3_per_atom", "volume per atom (A^3)", _field("volume_A3_per_atom")),
        Feature("mobile_fraction", "mobile ions per atom", _field("mobile_fraction")),
    ]


FEATURES: dict[str, Feature] = {feature.name: feature for feature in _all()}
"""All features by name."""
