"""From files to the candidates of a campaign: read, filtered, ordered, each crystal once."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from superionic.errors import InputError, UnreadableFileError
from superionic.structures.candidate import Candidate
from superionic.structures.crystals import Crystal, each_candidate
from superionic.structures.duplicates import DuplicateSettings, find_duplicates, stand_ins
from superionic.structures.filters import AnyFilter, FilterChain
from superionic.structures.prepare import PrepareSettings, orderings_of
from superionic.structures.species import element_composition, parse_mobile_species
from superionic.workflows.campaign.definition import Campaign
from superionic.workflows.makers.base import FlowMaker


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
    """

    filters: tuple[AnyFilter, ...] = ()
    n_orderings: int = 1
    duplicates: DuplicateSettings | None = field(default_factory=DuplicateSettings)


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
    passed_over : list of str
        What is said of files in folders that gave no crystal.
    """

    candidates: list[Candidate] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    unreadable: list[InputError] = field(default_factory=list)
    n_read: int = 0
    n_without_ion: int = 0
    removed: list[tuple[str, int]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)

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
        return bool(self.removed or self.n_without_ion or self.passed_over or self.duplicates())

    def lines(self) -> list[str]:
        """Return what happened to the crystals, in words, the last line for those that go on."""
        n_duplicates = len(self.duplicates())
        lines = [f"Passed over: {text}" for text in self.passed_over]
        lines += [f"{self.n_read:6} crystals read, {len(self.unreadable)} could not be used"]
        if self.n_without_ion:
            lines.append(f"{-self.n_without_ion:6} without the mobile ion")
        lines += [f"{-count:6} removed by {label}" for label, count in self.removed]
        if n_duplicates:
            lines.append(f"{-n_duplicates:6} the same as another")
        lines.append(f"{len(self.candidates) - n_duplicates:6} candidates")
        return lines


class Selector:
    """The rules by which crystals that were read become candidates; it counts what they leave out.

    Parameters
    ----------
    mobile_species : str
        The mobile ion.
    prepare_settings : PrepareSettings
        How partial occupancies are ordered.
    settings : SelectionSettings
        Filters and orderings.
    """

    def __init__(
        self, mobile_species: str, prepare_settings: PrepareSettings, settings: SelectionSettings
    ) -> None:
        self.element = parse_mobile_species(mobile_species).element
        self.prepare_settings = prepare_settings
        self.settings = settings
        self.filters = FilterChain(settings.filters)
        self.leaves_out = True
        self.n_without_ion = 0

    def candidates(
        self, found: Iterable[Candidate | InputError]
    ) -> Iterator[Candidate | InputError]:
        """Yield the candidates among crystals, ordered as often as is asked for, and all errors."""
        for item in self.filters.pass_on(self._holding(found)):
            if isinstance(item, InputError):
                yield item
                continue
            try:
                yield from orderings_of(
                    item, self.element, self.prepare_settings, self.settings.n_orderings
                )
            except InputError as error:
                yield error

    def _holding(self, found: Iterable[Candidate | InputError]) -> Iterator[Candidate | InputError]:
        for item in found:
            if isinstance(item, Candidate) and self.leaves_out and not _holds(item, self.element):
                self.n_without_ion += 1
            else:
                yield item


def selection_settings(campaign: Campaign) -> SelectionSettings:
    """Return which crystals a campaign file selects: for whoever computes them or reports on it."""
    chosen = SelectionSettings(tuple(campaign.filters), campaign.orderings)
    return replace(chosen, duplicates=None) if campaign.every_copy else chosen


def select_campaign(campaign: Campaign, maker: FlowMaker) -> Selection:
    """Read the crystals of a campaign file and keep those that it wants.

    Parameters
    ----------
    campaign : Campaign
        The campaign.
    maker : FlowMaker
        Its Maker: mobile ion and settings of preparation make the orderings.

    Raises
    ------
    UnreadableFileError
        When the paths hold no crystal and no broken file either.
    """
    return select(
        campaign.crystals,
        maker.mobile_species,
        maker.prepare_maker.settings,
        selection_settings(campaign),
    )


def select(
    crystals: Sequence[Crystal],
    mobile_species: str,
    prepare_settings: PrepareSettings,
    settings: SelectionSettings | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Selection:
    """Read crystals and keep those that are wanted.

    Crystals without the mobile ion are left out, unless none holds it.

    Parameters
    ----------
    crystals : sequence of Path, Structure, Atoms or Candidate
        Files, folders, crystals.
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
    (chosen,) = select_ions(
        crystals, [mobile_species], prepare_settings, settings, progress=progress
    )
    return chosen


def select_ions(
    crystals: Sequence[Crystal],
    mobile_species: Sequence[str],
    prepare_settings: PrepareSettings,
    settings: SelectionSettings | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Selection]:
    """Return one selection for each of several mobile ions; crystals are read and compared once.

    The first selection has the files that could not be read or were passed over. Parameters are
    those of :func:`select`.
    """
    settings = settings or SelectionSettings()
    read: list[Candidate] = []
    broken: list[InputError] = []
    passed_over: list[str] = []
    for item in each_candidate(crystals, passed_over.append):
        if isinstance(item, InputError):
            broken.append(item)
        else:
            read.append(item)
    if not read and not broken:
        raise UnreadableFileError(
            f"There is no crystal in {', '.join(str(one) for one in crystals) or 'nothing'}.",
            hint="Name CIF, POSCAR, extended XYZ, JSON or JSON lines files, or folders of them.",
        )
    selections = []
    for index, species in enumerate(mobile_species):
        selector = Selector(species, prepare_settings, settings)
        result = Selection(n_read=len(read))
        if index == 0:
            result.unreadable, result.passed_over = list(broken), passed_over
        if len(mobile_species) == 1 and not any(_holds(one, selector.element) for one in read):
            selector.leaves_out = False  # each is to say that it holds none
        for item in selector.candidates(read):
            if isinstance(item, InputError):
                result.unreadable.append(item)
            else:
                result.candidates.append(item)
        result.n_without_ion = selector.n_without_ion
        result.removed, result.reasons = selector.filters.removed, selector.filters.reasons
        selections.append(result)
    _compare(selections, settings.duplicates, progress)
    return selections


def _compare(
    selections: Sequence[Selection],
    settings: DuplicateSettings | None,
    progress: Callable[[int, int], None],
) -> None:
    """Find in each selection the candidates that are the same; a crystal is looked at once."""
    if settings is None:
        for chosen in selections:
            chosen.first = list(range(len(chosen.candidates)))
        return
    structures = {
        id(one.structure): one.structure for chosen in selections for one in chosen.candidates
    }
    found = find_duplicates(list(structures.values()), settings, progress=progress)
    group = dict(zip(structures, found, strict=True))
    for chosen in selections:
        first: dict[int, int] = {}
        chosen.first = [
            first.setdefault(group[id(one.structure)], index)
            for index, one in enumerate(chosen.candidates)
        ]


def write_candidates(selections: Sequence[Selection], path: Path) -> None:
    """Write the candidates to be computed as JSON lines, each once and with all its names.

    Parameters
    ----------
    selections : sequence of Selection
        As :func:`select_ions` returns them.
    path : Path
        The file; it is replaced in one step.
    """
    names: dict[str, list[str]] = defaultdict(list)
    wanted: dict[str, Candidate] = {}
    for chosen in selections:
        duplicates = chosen.duplicates()
        for name, same in duplicates.items():
            if name not in names[same]:
                names[same].append(name)
        for candidate in chosen.candidates:
            if candidate.material_id not in duplicates:
                wanted[candidate.material_id] = candidate
    fresh = Path(f"{path}.new")
    with fresh.open("w") as stream:
        for candidate in wanted.values():
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
