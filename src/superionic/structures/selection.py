"""Which crystals of a campaign are computed, and what became of the rest."""

from collections.abc import Collection
from dataclasses import dataclass, field

from superionic.errors import InputError, NoMobileIonError
from superionic.structures.candidate import Candidate
from superionic.structures.duplicates import stand_ins


@dataclass
class Selection:
    """The candidates of a campaign for one mobile ion, and what became of the rest.

    Parameters
    ----------
    candidates : list of Candidate
        All that are wanted, duplicates included; none where they were not kept.
    names : list of str
        Their identifiers.
    first : list of int
        For each of them the index of the first one that is the same crystal.
    unreadable : list of InputError
        What could not be read or ordered.
    n_read : int
        Crystals that were read.
    n_without_ion : int
        Those that were left out because they do not hold the mobile ion.
    removed : list of tuple
        For each filter its label and how many it removed.
    reasons : dict of str to str
        For each crystal that a filter removed, why.
    passed_over : list of str
        What is said of files in folders that gave no crystal.
    """

    candidates: list[Candidate] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    unreadable: list[InputError] = field(default_factory=list)
    n_read: int = 0
    n_without_ion: int = 0
    removed: list[tuple[str, int]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Name the candidates that are given."""
        self.names = self.names or [one.material_id for one in self.candidates]

    def duplicates(
        self, finished: Collection[str] = (), queued: Collection[str] = ()
    ) -> dict[str, str]:
        """Return for each candidate that need not be computed the one that stands for it.

        Parameters
        ----------
        finished, queued : collection of str
            Ids that are computed already, or will be: they are nobody's duplicates, and stand for
            the others.
        """
        return stand_ins(self.names, self.first, finished, queued)

    def repeated(self) -> list[int]:
        """Return the places of all candidates of which there are several."""
        several = {first for place, first in enumerate(self.first) if first != place}
        return [place for place, first in enumerate(self.first) if first in several]

    @property
    def noteworthy(self) -> bool:
        """Whether anything was left out that the user may not expect."""
        return bool(self.removed or self.n_without_ion or self.passed_over or self.duplicates())

    def lines(self) -> list[str]:
        """Return what happened to the crystals, in words, the last line for those that go on."""
        n_duplicates = len(self.duplicates())
        lines = [f"Passed over: {text}" for text in self.passed_over]
        # That none holds the ion is an error of the whole, beside the count of crystals without it.
        n_broken = sum(not isinstance(error, NoMobileIonError) for error in self.unreadable)
        lines += [f"{self.n_read:6} crystals read, {n_broken} could not be used"]
        if self.n_without_ion:
            lines.append(f"{-self.n_without_ion:6} without the mobile ion")
        lines += [f"{-count:6} removed by {label}" for label, count in self.removed]
        if n_duplicates:
            lines.append(f"{-n_duplicates:6} the same as another")
        lines.append(f"{len(self.names) - n_duplicates:6} candidates")
        return lines
