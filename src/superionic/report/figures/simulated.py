"""What molecular dynamics at 1000 K says of rows: their own labels, then those of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from superionic.errors import FigureError
from superionic.evaluation.truth import SMALLEST_SLOPE_A2_per_ps
from superionic.schemas.common import LABEL_TEMPERATURE_K
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import ScreeningDocument


@dataclass(frozen=True)
class Simulated:
    """Slope of the mean squared displacement at 1000 K.

    Parameters
    ----------
    verdict : str
        diffusing, not_diffusing, unconverged or melted.
    slope_A2_per_ps, low_A2_per_ps, high_A2_per_ps : float or None
        Slope with its 95 % interval; None where none was fitted.
    """

    verdict: str
    slope_A2_per_ps: float | None
    low_A2_per_ps: float | None
    high_A2_per_ps: float | None

    @property
    def log10_slope(self) -> float | None:
        """The logarithm of the slope as labels have it: clipped from below, none of a melt."""
        if self.slope_A2_per_ps is None or self.verdict == "melted":
            return None
        return clipped_log10(self.slope_A2_per_ps)


def clipped_log10(slope_A2_per_ps: float) -> float:
    """Return the decimal logarithm of a slope, clipped from below at 1e-4 A^2/ps."""
    return log10(max(slope_A2_per_ps, SMALLEST_SLOPE_A2_per_ps))


def simulated_of(
    rows: Sequence[ScreeningDocument], labels: Sequence[LabelRow] = ()
) -> dict[str, Simulated]:
    """Return what dynamics says of rows, by their keys.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        The rows; their own labels go first.
    labels : sequence of LabelRow
        Labels of a data set: those of the same material, mobile species, potential and of 1000 K.
    """
    of_set = {
        (one.material_id, one.mobile_species, one.potential): Simulated(
            one.verdict,
            one.msd_slope_A2_per_ps,
            one.msd_slope_low_A2_per_ps,
            one.msd_slope_high_A2_per_ps,
        )
        for one in labels
        if one.temperature_K == LABEL_TEMPERATURE_K
    }
    found = {}
    for row in rows:
        other = of_set.get((row.material_id, row.mobile_species, row.potential))
        if row.label_temperature_K == LABEL_TEMPERATURE_K and row.label_verdict is not None:
            found[row.key] = Simulated(
                row.label_verdict,
                row.msd_slope_A2_per_ps,
                row.msd_slope_low_A2_per_ps,
                row.msd_slope_high_A2_per_ps,
            )
        elif other is not None:
            found[row.key] = other
    return found


def refuse_strangers(rows: Sequence[ScreeningDocument], labels: Sequence[LabelRow]) -> None:
    """Refuse labels of a data set none of which is of any row: none of them would be shown.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        The rows.
    labels : sequence of LabelRow
        Labels of a data set.

    Raises
    ------
    FigureError
        When there are labels, and none is of a row's material, mobile species and potential at
        1000 K.
    """
    known = {(row.material_id, row.mobile_species, row.potential) for row in rows}
    if labels and not any(
        (one.material_id, one.mobile_species, one.potential) in known
        and one.temperature_K == LABEL_TEMPERATURE_K
        for one in labels
    ):
        raise FigureError(
            f"None of {len(labels)} labels is of one of {len(rows)} rows at "
            f"{LABEL_TEMPERATURE_K:g} K.",
            hint="Name the rows that the labels belong to: --data ROWS.jsonl "
            "('superionic query --format jsonl').",
        )
