"""What is known of materials besides what ranks them: labels and measured conductivities."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, log10
from statistics import median

from superionic.schemas.label import LabelRow
from superionic.schemas.screening import LabelSummary, ScreeningDocument

SMALLEST_SLOPE_A2_per_ps = 1e-4
"""Labels are clipped from below here."""


@dataclass(frozen=True)
class Truth:
    """A decimal logarithm that is known exactly, or to lie between two ends.

    Parameters
    ----------
    material_id : str
        Of which material.
    low, high : float
        Ends; equal where the number is known, and ``low`` is ``-inf`` for "below".
    """

    material_id: str
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """Return the number, None where it lies in an interval."""
        return self.low if self.low == self.high else None

    def exceeds(self, threshold: float) -> bool | None:
        """Return whether it is above a threshold (a logarithm, too); None if that is open."""
        if self.low > threshold:
            return True
        return False if self.high <= threshold else None


def label_truth(
    material_id: str,
    verdict: str,
    slope_A2_per_ps: float | None,
    low_A2_per_ps: float | None,
    high_A2_per_ps: float | None,
    *,
    upper_bound_A2_per_ps: float | None = None,
    melted_fails: bool = False,
    by_bounds: bool = False,
) -> Truth | None:
    """Return what molecular dynamics says of a material's diffusion.

    A crystal that diffuses has its slope. One in which no ion hopped has the smallest slope,
    whatever its vibrations made of the fit. An unconverged one lies in its 95 % interval. A melted
    one says nothing of the crystal, or counts as one that does not conduct, since it
    is of no use as a solid electrolyte.

    Parameters
    ----------
    material_id : str
        Of which material.
    verdict : str
        diffusing, not_diffusing, unconverged or melted.
    slope_A2_per_ps, low_A2_per_ps, high_A2_per_ps : float or None
        Slope of the mean squared displacement in A^2/ps with its interval.
    upper_bound_A2_per_ps : float or None
        95 % upper bound of the slope.
    melted_fails : bool
        Whether a melted crystal has the smallest slope, in place of no truth.
    by_bounds : bool
        Whether a crystal in which no ion hopped is only known to lie below its upper bound.

    Returns
    -------
    Truth or None
        Of the decimal logarithm of the slope in A^2/ps.
    """
    if verdict == "not_diffusing" and by_bounds:
        bound = upper_bound_A2_per_ps
        return None if bound is None else Truth(material_id, -inf, _log(bound))
    if verdict == "not_diffusing" or (melted_fails and verdict == "melted"):
        return Truth(material_id, _log(None), _log(None))
    if verdict == "diffusing" and slope_A2_per_ps is not None:
        return Truth(material_id, _log(slope_A2_per_ps), _log(slope_A2_per_ps))
    if verdict == "unconverged" and low_A2_per_ps is not None and high_A2_per_ps is not None:
        return Truth(material_id, _log(low_A2_per_ps), _log(high_A2_per_ps))
    return None


def labels_of_rows(
    rows: Iterable[ScreeningDocument],
    temperature_K: float = 1000.0,
    *,
    melted_fails: bool = False,
    by_bounds: bool = False,
) -> dict[str, Truth]:
    """Return the labels that rows of the screening collection hold, the lowest seed first."""
    return _first_truths(
        (
            (row.material_id, label)
            for row in rows
            for label in sorted(row.labels, key=_seed)
            if label.temperature_K == temperature_K
        ),
        melted_fails=melted_fails,
        by_bounds=by_bounds,
    )


def labels_of_data_set(
    labels: Iterable[LabelRow],
    *,
    mobile_species: str,
    potential: str,
    temperature_K: float = 1000.0,
    melted_fails: bool = False,
    by_bounds: bool = False,
) -> dict[str, Truth]:
    """Return the labels of a published data set for one species, potential and temperature."""
    wanted = (mobile_species, potential, temperature_K)
    return _first_truths(
        (
            (label.material_id, label)
            for label in sorted(labels, key=_seed)
            if (label.mobile_species, label.potential, label.temperature_K) == wanted
        ),
        melted_fails=melted_fails,
        by_bounds=by_bounds,
    )


def _first_truths(
    labels: Iterable[tuple[str, LabelSummary | LabelRow]], *, melted_fails: bool, by_bounds: bool
) -> dict[str, Truth]:
    """Return for each material what the first of its labels says that says something."""
    found: dict[str, Truth] = {}
    for material_id, label in labels:
        truth = label_truth(
            material_id,
            label.verdict,
            label.msd_slope_A2_per_ps,
            label.msd_slope_low_A2_per_ps,
            label.msd_slope_high_A2_per_ps,
            upper_bound_A2_per_ps=label.msd_slope_upper_bound_A2_per_ps,
            melted_fails=melted_fails,
            by_bounds=by_bounds,
        )
        if truth is not None:
            found.setdefault(material_id, truth)
    return found


@dataclass(frozen=True)
class Measurement:
    """A conductivity from the literature.

    Parameters
    ----------
    material_id : str
        Which crystal stands for the sample.
    entry : str
        Entry of the data set, of which several crystals may be models.
    crystal : str
        ordered, approximant or matched: what kind of model of the sample the crystal is.
    conductivity_S_per_cm : float
        At room temperature.
    is_upper_bound : bool
        Whether it is reported as "below".
    """

    material_id: str
    entry: str
    crystal: str
    conductivity_S_per_cm: float
    is_upper_bound: bool


def conductivities(measurements: Sequence[Measurement]) -> dict[str, Truth]:
    """Return the logarithm of the conductivity in S/cm of each crystal.

    Of several measurements of one crystal the median logarithm counts; upper bounds count only
    where there is nothing else, the lowest of them.
    """
    by_material: dict[str, list[Measurement]] = {}
    for one in measurements:
        by_material.setdefault(one.material_id, []).append(one)
    found = {}
    for material_id, several in by_material.items():
        exact = [log10(one.conductivity_S_per_cm) for one in several if not one.is_upper_bound]
        if exact:
            found[material_id] = Truth(material_id, median(exact), median(exact))
        else:
            bound = min(log10(one.conductivity_S_per_cm) for one in several)
            found[material_id] = Truth(material_id, -inf, bound)
    return found


def one_crystal_each(
    measurements: Sequence[Measurement], preference: Sequence[str]
) -> list[Measurement]:
    """Return for each entry the measurement of one crystal, of the preferred kind.

    Parameters
    ----------
    measurements : sequence of Measurement
        With several crystals for some entries.
    preference : sequence of str
        Kinds of crystals, best first.
    """
    chosen: dict[str, Measurement] = {}
    ordered = sorted(measurements, key=lambda one: (preference.index(one.crystal), one.material_id))
    for one in ordered:
        chosen.setdefault(one.entry, one)
    return list(chosen.values())


def _seed(label: LabelSummary | LabelRow) -> int:
    return label.seed


def _log(slope_A2_per_ps: float | None) -> float:
    return log10(max(slope_A2_per_ps or 0.0, SMALLEST_SLOPE_A2_per_ps))
