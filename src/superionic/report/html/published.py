"""Labels of a published data set beside the rows of a report."""

from collections import defaultdict
from collections.abc import Sequence

from superionic.report.documents import Problem
from superionic.schemas.common import LABEL_TEMPERATURE_K
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import PARTS, LabelSummary, ScreeningDocument


def with_published(
    rows: Sequence[ScreeningDocument], labels: Sequence[LabelRow]
) -> tuple[list[ScreeningDocument], dict[str, list[LabelRow]], list[Problem]]:
    """Return rows with the labels of a data set where they have none of their own.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        The rows, in order.
    labels : sequence of LabelRow
        The data set. A label belongs to the row of the same material, mobile species and potential;
        of other weights it is left out.

    Returns
    -------
    rows : list of ScreeningDocument
        In the same order.
    used : dict of str to list of LabelRow
        For each key of a row the labels that it took, the one nearest to 1000 K first.
    problems : list of Problem
        Labels that were left out.
    """
    of_material: dict[tuple[str, str, str], list[LabelRow]] = defaultdict(list)
    for one in labels:
        of_material[one.material_id, one.mobile_species, one.potential].append(one)
    complete: list[ScreeningDocument] = []
    used: dict[str, list[LabelRow]] = {}
    problems: list[Problem] = []
    for row in rows:
        name = row.duplicate_of or row.material_id
        found = of_material.get((name, row.mobile_species, row.potential), [])
        same = [
            one for one in found if one.potential_weights_sha256 == row.potential_weights_sha256
        ]
        if len(same) < len(found):
            text = "It was made with other weights of the same potential than the row."
            problems.append(Problem(f"label of {name} in the data set", text))
        if same and row.label_verdict is None:
            same.sort(key=lambda one: abs(one.temperature_K - LABEL_TEMPERATURE_K))
            used[row.key] = same
            complete.append(_labelled(row, same))
        else:
            complete.append(row)
    return complete, used, problems


def _labelled(row: ScreeningDocument, labels: Sequence[LabelRow]) -> ScreeningDocument:
    best = labels[0]
    present = {*row.present, "label"}
    summaries = [
        LabelSummary(
            **{name: getattr(one, name) for name in _SAME},
            conductivity_error_S_per_cm=None,
            n_evaluations=0,
            weights_sha256=one.potential_weights_sha256,
            job_uuid=None,
            trajectory="",
        )
        for one in labels
    ]
    return row.model_copy(
        update={
            "label_verdict": best.verdict,
            "label_temperature_K": best.temperature_K,
            "msd_slope_A2_per_ps": best.msd_slope_A2_per_ps,
            "msd_slope_low_A2_per_ps": best.msd_slope_low_A2_per_ps,
            "msd_slope_high_A2_per_ps": best.msd_slope_high_A2_per_ps,
            "labels": summaries,
            "present": [part for part in PARTS if part in present],
            "missing": [part for part in PARTS if part not in present],
        }
    )


_SAME = sorted(set(LabelSummary.model_fields) & set(LabelRow.model_fields))
