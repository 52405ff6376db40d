"""From files to the candidates of a campaign: read, filtered, ordered, each crystal once."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from superionic.errors import InputError, UnreadableFileError
from superionic.structures.candidate import Candidate
from superionic.structures.duplicates import DuplicateSettings, find_duplicates, stand_ins
from superionic.structures.filters import AnyFilter, apply_filters
from superionic.structures.prepare import PrepareSettings, orderings_of
from superionic.structures.readers import read_candidates
from superionic.structures.species import element_composition, parse_mobile_species


@dataclass(frozen=True)
class SelectionSettings:
    """Which of the crystals that were read become candidates.

    Parameters
    ----------
    filters : tuple of filters
        As :func:`~superionic.structures.filters.parse_filters` returns them.
    n_orderings : int
        Orderings of each disordered crystal; 1 leaves the ordering to preparation.
    duplicates : DuplicateSettings or None
        When two crystals are the same; None computes every one of them.
    skip_without_ion : bool
        Pass over crystals that do not hold the mobile ion, instead of reporting each as a failure.
    """

    filters: tuple[AnyFilter, ...] = ()
    n_orderings: int = 1
    duplicates: DuplicateSettings | None = field(default_factory=DuplicateSettings)
    skip_without_ion: bool = False


@dataclass
class Selection:
    """The candidates of a campaign, and what became of the rest.

    Parameters
    ----------
    candidates : list of Candidate
        All that are wanted, duplicates included.
    first : list of int
        For each of them the index of the first one that is the same crystal.
    unreadable : list of InputError
        What could not be read or ordered.
    n_read : int
        Crystals that were read.
    n_without_ion : int
        Those that were passed over because they do not hold the mobile ion.
    removed : list of tuple
        For each filter its label and how many it removed.
    reasons : dict of str to str
        For each crystal that a filter removed, why.
    """

    candidates: list[Candidate] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    unreadable: list[InputError] = field(default_factory=list)
    n_read: int = 0
    n_without_ion: int = 0
    removed: list[tuple[str, int]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)

    def duplicates(self, finished: Collection[str] = ()) -> dict[str, str]:
        """Return for each candidate that need not be computed the one that stands for it.

        Parameters
        ----------
        finished : collection of str
            Ids that are computed already: they are nobody's duplicates, and stand for the others.
        """
        names = [candidate.material_id for candidate in self.candidates]
        return stand_ins(names, self.first, finished)

    @property
    def noteworthy(self) -> bool:
        """Whether anything was left out that the user may not expect."""
        return bool(self.removed or self.n_without_ion or self.duplicates())

    def lines(self) -> list[str]:
        """Return what happened to the crystals, in words, the last line for those that go on."""
        n_duplicates = len(self.duplicates())
        lines = [f"{self.n_read:6} crystals read, {len(self.unreadable)} could not be used"]
        if self.n_without_ion:
            lines.append(f"{-self.n_without_ion:6} without the mobile ion")
        lines += [f"{-count:6} removed by {label}" for label, count in self.removed]
        if n_duplicates:
            lines.append(f"{-n_duplicates:6} the same as another")
        lines.append(f"{len(self.candidates) - n_duplicates:6} candidates")
        return lines


def select(
    paths: Sequence[Path],
    mobile_species: str,
    prepare_settings: PrepareSettings,
    settings: SelectionSettings | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Selection:
    """Read crystals and keep those that are wanted.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders.
    mobile_species : str
        The mobile ion.
    prepare_settings : PrepareSettings
        How partial occupancies are ordered.
    settings : SelectionSettings, optional
        Filters, orderings, duplicates.
    progress : callable
        Called with the numbers of crystals compared and to be compared.

    Raises
    ------
    UnreadableFileError
        When the paths hold no crystal and no broken file either.
    """
    settings = settings or SelectionSettings()
    element = parse_mobile_species(mobile_species).element
    result = Selection()
    read = []
    for found in read_candidates(paths):
        if isinstance(found, InputError):
            result.unreadable.append(found)
        else:
            read.append(found)
    if not read and not result.unreadable:
        raise UnreadableFileError(
            f"There is no crystal in {', '.join(str(path) for path in paths)}.",
            hint="Name CIF, POSCAR, extended XYZ, JSON or JSON lines files, or folders of them.",
        )
    result.n_read = len(read)
    if settings.skip_without_ion:
        holding = [candidate for candidate in read if _holds(candidate, element)]
        result.n_without_ion = len(read) - len(holding)
        read = holding
    filtered = apply_filters(read, settings.filters)
    result.removed, result.reasons = filtered.removed, filtered.reasons
    for candidate in filtered.kept:
        try:
            result.candidates += orderings_of(
                candidate, element, prepare_settings, settings.n_orderings
            )
        except InputError as error:
            result.unreadable.append(error)
    if settings.duplicates is None:
        result.first = list(range(len(result.candidates)))
    else:
        structures = [candidate.structure for candidate in result.candidates]
        result.first = find_duplicates(structures, settings.duplicates, progress=progress)
    return result


def write_candidates(chosen: Selection, path: Path) -> None:
    """Write the candidates to be computed as JSON lines, each with all its names.

    Parameters
    ----------
    chosen : Selection
        As :func:`select` returns it.
    path : Path
        The file; it is replaced in one step.
    """
    duplicates = chosen.duplicates()
    names: dict[str, list[str]] = defaultdict(list)
    for name, same in duplicates.items():
        names[same].append(name)
    fresh = Path(f"{path}.new")
    with fresh.open("w") as stream:
        for candidate in chosen.candidates:
            if candidate.material_id in duplicates:
                continue
            known = str(candidate.provenance.get("aliases", "")).split(",")
            aliases = [name for name in [*known, *names[candidate.material_id]] if name]
            record = {
                "source": candidate.source,
                **candidate.provenance,
                "material_id": candidate.material_id,
                "structure": candidate.structure.as_dict(),
            }
            if aliases:
                record["aliases"] = ",".join(dict.fromkeys(aliases))
            stream.write(json.dumps(record) + "\n")
    fresh.replace(path)


def _holds(candidate: Candidate, element: str) -> bool:
    try:
        composition = element_composition(candidate.structure.composition)
    except InputError:  # a dummy species; preparation says what is wrong
        return True
    return element in {one.symbol for one in composition.elements}
