"""Rows that belong together: orderings of one parent, and several names of one crystal."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from superionic.schemas.common import Warning_
from superionic.schemas.screen import OrderingsSummary, Spread
from superionic.schemas.screening import ScreeningDocument
from superionic.store.builders.documents import RowIdentity

ORDERINGS_WARNING = "ordering_spread"
_NOTED_SPREAD = 0.1

Family = tuple[str, str, str, str, str]
"""Parent, mobile species, potential, hash of its weights, settings of the landscape."""


def orderings_summary(rows: Sequence[ScreeningDocument]) -> OrderingsSummary:
    """Return what the orderings of one crystal say together.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        The orderings of one parent, with one mobile species and potential.
    """
    ordered = sorted(rows, key=lambda row: (row.ordering_index or 0, row.material_id))
    return OrderingsSummary(
        n_orderings=len(ordered),
        material_ids=[row.material_id for row in ordered],
        mpe_eV=_spread([row.mpe_eV for row in rows], best=min),
        barrier_3d_eV=_spread([row.barrier_3d_eV for row in rows], best=min),
        xi=_spread([row.xi for row in rows], best=max),
        predicted_log10_msd_slope=_spread(
            [row.predicted_log10_msd_slope for row in rows], best=max
        ),
    )


def with_orderings(rows: Sequence[ScreeningDocument]) -> list[ScreeningDocument]:
    """Return rows in their order; those with a parent carry the summary of all its orderings.

    Where the orderings differ, a warning says by how much.
    """
    families: dict[Family, list[ScreeningDocument]] = defaultdict(list)
    for row in rows:
        if row.parent_id is not None and row.duplicate_of is None:
            families[_family(row)].append(row)
    summaries = {family: orderings_summary(members) for family, members in families.items()}
    return [
        row if row.parent_id is None else _with_summary(row, summaries.get(_family(row)))
        for row in rows
    ]


def _with_summary(row: ScreeningDocument, summary: OrderingsSummary | None) -> ScreeningDocument:
    warnings = [one for one in row.warnings if one.code != ORDERINGS_WARNING]
    if summary is not None and (text := orderings_range(summary)):
        text = f"The rank depends on the ordering: {text} over {summary.n_orderings} of them."
        warnings.append(Warning_(code=ORDERINGS_WARNING, text=text))
    return row.model_copy(update={"orderings": summary, "warnings": warnings})


def orderings_range(summary: OrderingsSummary) -> str:
    """Return from where to where numbers go over the orderings, empty where they hardly differ.

    Named are a barrier that differs by more than 0.1 eV, and a Xi by more than 0.1.
    """
    parts = []
    for name, unit, one, best_is_low in (
        ("barrier", " eV", summary.mpe_eV, True),
        ("barrier in three dimensions", " eV", summary.barrier_3d_eV, True),
        ("Xi", "", summary.xi, False),
    ):
        if one is None or one.n < 2 or one.spread <= _NOTED_SPREAD:
            continue
        low = one.best if best_is_low else one.best - one.spread
        parts.append(f"{name} {low:.2f} to {low + one.spread:.2f}{unit}")
    return ", ".join(parts)


def duplicate_row(row: ScreeningDocument, material_id: str) -> ScreeningDocument:
    """Return the row of the same crystal under another identifier."""
    key = RowIdentity(material_id, *row.made_with).key
    note = Warning_(
        code="duplicate", text=f"The same crystal as {row.material_id}, which was computed."
    )
    return row.model_copy(
        update={
            "key": key,
            "material_id": material_id,
            "duplicate_of": row.material_id,
            "aliases": [],
            "warnings": [*row.warnings, note],
        }
    )


def with_duplicates(
    rows: Sequence[ScreeningDocument], duplicates: Mapping[str, str]
) -> list[ScreeningDocument]:
    """Return rows, each followed by those of its other names, with the same rank.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        What was computed.
    duplicates : mapping of str to str
        For each further identifier, the one that was computed in its place.
    """
    present = {row.material_id for row in rows}
    names: dict[str, list[str]] = defaultdict(list)
    for name, computed in duplicates.items():
        names[computed].append(name)
    result = []
    for row in rows:
        further = dict.fromkeys([*names[row.material_id], *row.aliases])
        result.append(row)
        result += [duplicate_row(row, name) for name in further if name not in present]
    return result


def _spread(values: Iterable[float | None], best: Any) -> Spread | None:
    found = [value for value in values if value is not None]
    if not found:
        return None
    return Spread(
        n=len(found),
        best=best(found),
        mean=float(np.mean(found)),
        spread=max(found) - min(found),
    )


def _family(row: ScreeningDocument) -> Family:
    return row.parent_id or "", *row.made_with
