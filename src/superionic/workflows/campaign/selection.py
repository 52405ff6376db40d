"""From files to the candidates of a campaign: read, filtered, ordered, each crystal once."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from superionic import defaults
from superionic.errors import InputError, NoMobileIonError, UnreadableFileError
from superionic.files import whole_file
from superionic.structures.candidate import Candidate
from superionic.structures.crystals import each_candidate
from superionic.structures.duplicates import PackedCrystals, find_duplicates
from superionic.structures.filters import FilterChain
from superionic.structures.prepare import orderings_of
from superionic.structures.selection import Selection
from superionic.structures.species import element_composition
from superionic.workflows.campaign.definition import Campaign

if TYPE_CHECKING:
    from superionic.workflows.makers.base import MaterialMaker


class Selector:
    """The rules by which crystals become candidates of one ion; it counts what they leave out.

    Parameters
    ----------
    campaign : Campaign
        Filters and orderings.
    maker : MaterialMaker
        Its mobile ion; its preparation makes the orderings.
    """

    def __init__(self, campaign: Campaign, maker: "MaterialMaker") -> None:
        self.element = maker.mobile_species
        self._preparing = maker.prepare_maker.settings
        self._n_orderings = campaign.orderings
        self._filters = FilterChain(campaign.filters)
        self._found = Selection()

    def candidates(
        self, found: Iterable[Candidate | InputError]
    ) -> Iterator[Candidate | InputError]:
        """Yield the candidates among crystals, ordered as often as is asked for, and all errors."""
        for item in self._filters.pass_on(self._holding(found)):
            if isinstance(item, InputError):
                yield item
                continue
            try:
                yield from orderings_of(item, self.element, self._preparing, self._n_orderings)
            except InputError as error:
                yield error

    def left_out(self) -> Selection:
        """Return a selection without candidates yet: what the rules have left out so far."""
        self._found.removed, self._found.reasons = self._filters.removed, self._filters.reasons
        return self._found

    def _holding(self, found: Iterable[Candidate | InputError]) -> Iterator[Candidate | InputError]:
        for item in found:
            self._found.n_read += isinstance(item, Candidate)
            if isinstance(item, Candidate) and not _holds(item, self.element):
                self._found.n_without_ion += 1
            else:
                yield item


def select(
    campaign: Campaign,
    makers: "Sequence[MaterialMaker] | None" = None,
    *,
    keep: bool = True,
    hear: Callable[[int, Candidate], None] = lambda ion, candidate: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Selection]:
    """Read the crystals of a campaign and select those that it wants, for each of its ions.

    Crystals are read and compared once for all ions. Those without an ion are left out; that there
    is none that holds one is an error beside the files that could not be read, which the first
    selection has.

    Parameters
    ----------
    campaign : Campaign
        The campaign.
    makers : sequence of MaterialMaker, optional
        As ``campaign.makers`` returns them.
    keep : bool
        Whether candidates are kept. Without them a crystal takes about a kilobyte.
    hear : callable
        Called with each candidate, and the place of its ion.
    progress : callable
        Called with the numbers of crystals compared and to be compared.

    Raises
    ------
    UnreadableFileError
        When the paths hold no crystal and no broken file either.
    SettingsError
        When a setting of the campaign is wrong.

    Examples
    --------
    >>> campaign = Campaign(crystals=["workflows/example_crystals"], mobile_species="Li,Na")
    >>> [len(chosen.candidates) for chosen in select(campaign)]
    [12, 0]
    """
    makers = campaign.makers(defaults.POTENTIAL) if makers is None else makers
    selectors = [Selector(campaign, maker) for maker in makers]
    selections = [one.left_out() for one in selectors]
    crystals = PackedCrystals()
    places: list[list[int]] = [[] for _ in selectors]
    passed_over: list[str] = []
    for item in each_candidate(campaign.crystals, passed_over.append):
        if isinstance(item, InputError):
            selections[0].unreadable.append(item)
            continue
        compared: dict[int, tuple[int, Candidate]] = {}  # by the structure, while it is held here
        for ion, (selector, chosen) in enumerate(zip(selectors, selections, strict=True)):
            for found in selector.candidates([item]):
                if isinstance(found, InputError):
                    chosen.unreadable.append(found)
                    continue
                if keep:
                    chosen.candidates.append(found)
                chosen.names.append(found.material_id)
                hear(ion, found)
                if not campaign.every_copy:
                    if id(found.structure) not in compared:
                        compared[id(found.structure)] = (len(crystals), found)
                        crystals.append(found.structure)
                    places[ion].append(compared[id(found.structure)][0])
    selections = [one.left_out() for one in selectors]
    selections[0].passed_over = passed_over
    check_any(campaign, selections)
    same = find_duplicates(crystals, progress=progress) if len(crystals) else []
    for chosen, own in zip(selections, places, strict=True):
        first: dict[int, int] = {}
        groups = [same[place] for place in own] or range(len(chosen.names))
        chosen.first = [first.setdefault(group, index) for index, group in enumerate(groups)]
    return selections


def check_any(campaign: Campaign, selections: Sequence[Selection]) -> None:
    """Note that no crystal holds an ion, where that is so; and refuse that there is no crystal.

    Raises
    ------
    UnreadableFileError
        When nothing was read, and nothing is broken either.
    """
    n_read = selections[0].n_read
    if not n_read and not selections[0].unreadable:
        raise UnreadableFileError(
            f"There is no crystal in {', '.join(map(str, campaign.crystals)) or 'nothing'}.",
            hint="Name CIF, POSCAR, extended XYZ, JSON or JSON lines files, or folders of them.",
        )
    if n_read and all(one.n_without_ion == n_read for one in selections):
        error = NoMobileIonError(
            f"None of the {n_read} crystals holds {campaign.mobile_species.replace(',', ' or ')}.",
            hint="Choose another ion with --mobile.",
        )
        selections[0].unreadable.append(error)


def write_candidates(selections: Sequence[Selection], path: Path) -> None:
    """Write the candidates to be computed as JSON lines, each once and with all its names.

    Parameters
    ----------
    selections : sequence of Selection
        As :func:`select` returns them.
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
    with whole_file(path) as fresh, fresh.open("w") as stream:
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


def _holds(candidate: Candidate, element: str) -> bool:
    try:
        composition = element_composition(candidate.structure.composition)
    except InputError:  # a dummy species; preparation says what is wrong
        return True
    return element in {one.symbol for one in composition.elements}
