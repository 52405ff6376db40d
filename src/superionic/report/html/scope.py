"""Which crystals a report is about, and what became of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from superionic.schemas.document import FailureDocument
from superionic.schemas.screening import PARTS, Part, ScreeningDocument
from superionic.structures.selection import Selection

COMMAND_OF_PART: dict[Part, str] = {
    "landscape": "superionic screen CRYSTALS",
    "prediction": "superionic predict CRYSTALS",
    "label": "superionic label CRYSTALS",
    "validation": "superionic validate --top 10 --policy {policy}",
}
"""What makes a part that is not there."""


@dataclass(frozen=True)
class Scope:
    """The crystals of a campaign file.

    Parameters
    ----------
    name, flow, file : str
        Of the campaign; the file without its folder.
    mobile_species : str
        Element of the mobile ion.
    potential : str
        Family and name of the potential.
    selection : Selection
        What was read, and what became of it before anything was computed.
    keys : dict of str to str
        For each identifier of a candidate the key of its work.
    part : str
        The part of a row that the campaign's flow makes.
    """

    name: str
    flow: str
    file: str
    mobile_species: str
    potential: str
    selection: Selection
    keys: dict[str, str] = field(default_factory=dict)
    part: Part = "landscape"

    @property
    def names(self) -> set[str]:
        """Identifiers of all candidates, further names of one crystal included."""
        return {candidate.material_id for candidate in self.selection.candidates}

    def holds(self, row: ScreeningDocument) -> bool:
        """Return whether a row is one of this campaign's."""
        same_ion = row.mobile_species == self.mobile_species and row.potential == self.potential
        return same_ion and row.material_id in self.names

    def concerns(self, failure: FailureDocument) -> bool:
        """Return whether a failure is one of this campaign's."""
        if self.keys:
            return failure.key in self.keys.values()
        return failure.material_id in self.names


class Step(NamedTuple):
    """What happened to crystals, to how many, and whether these go no further."""

    text: str
    n: int
    is_loss: bool = False


def screening_funnel(
    rows: Sequence[ScreeningDocument],
    failures: Sequence[FailureDocument],
    scope: Scope | None = None,
) -> tuple[list[Step], list[str]]:
    """Return what became of the crystals of a campaign, or of a whole collection.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        The rows of the report.
    failures : sequence of FailureDocument
        The failures of the report.
    scope : Scope, optional
        The campaign; without it nothing is known of what was read, filtered or is still to be done.

    Returns
    -------
    steps : list of Step
        From reading to the last result.
    waiting : list of str
        Candidates with neither a result nor a failure.
    """
    computed = [row for row in rows if row.duplicate_of is None]
    failed = {failure.material_id for failure in failures}
    waiting: list[str] = []
    steps: list[Step]
    if scope is not None:
        chosen = scope.selection
        n_same = len(chosen.duplicates())
        done = {row.material_id for row in rows if scope.part in row.present}
        waiting = sorted(scope.names - done - failed - set(chosen.duplicates(done)))
        without_ion = [Step("without the mobile ion", chosen.n_without_ion, is_loss=True)]
        steps = [
            Step("crystals read", chosen.n_read),
            Step("could not be read or ordered", len(chosen.unreadable), is_loss=True),
            *(without_ion if chosen.n_without_ion else []),
            *(Step(f"removed by {label}", n, is_loss=True) for label, n in chosen.removed),
            Step("the same crystal as another", n_same, is_loss=True),
            Step("candidates", len(chosen.candidates) - n_same),
            Step("could not be computed", len(failed), is_loss=True),
            Step("not computed yet", len(waiting), is_loss=True),
        ]
    else:
        copies = len(rows) - len(computed)
        further = [Step("further names of one of them", copies)]
        steps = [Step("materials", len(computed)), *(further if copies else [])]
        steps.append(Step("could not be computed", len(failed), is_loss=True))
    having = [(part, sum(part in row.present for row in computed)) for part in PARTS]
    return [*steps, *(Step(f"with a {part}", n) for part, n in having)], waiting
