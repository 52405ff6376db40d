"""The same crystal under several names: computed once, found under each."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from superionic.cluster.launchpad import CampaignLaunchPad
from superionic.cluster.submit import queued_keys
from superionic.errors import InputError, SuperionicError
from superionic.potentials.base import PotentialInfo
from superionic.store.builders.portions import portions
from superionic.store.database.finished import adopt, finished_keys
from superionic.store.database.stores import Database
from superionic.structures.candidate import Candidate
from superionic.structures.duplicates import (
    DuplicateSettings,
    PackedCrystals,
    find_duplicates,
    stand_ins,
)
from superionic.structures.readers import read_candidates
from superionic.workflows.campaign.definition import Campaign
from superionic.workflows.campaign.selection import Selector, selection_settings
from superionic.workflows.keys import former_keys
from superionic.workflows.makers.base import FlowMaker

_CHUNK_SIZE = 500


def candidates_of(
    campaign: Campaign, maker: FlowMaker, selector: Selector | None = None
) -> Iterator[Candidate | InputError]:
    """Yield the candidates of a campaign: read, filtered, ordered as often as it asks for.

    Parameters
    ----------
    campaign : Campaign
        Which crystals, and how many orderings of those that are disordered.
    maker : FlowMaker
        Its mobile species and settings of preparation make the orderings.
    selector : Selector, optional
        The rules, as :func:`selector_of` returns them; it counts.
    """
    selector = selector or selector_of(campaign, maker)
    yield from selector.candidates(read_candidates(campaign.crystals))


def selector_of(campaign: Campaign, maker: FlowMaker) -> Selector:
    """Return the rules by which a campaign selects crystals."""
    return Selector(
        maker.mobile_species, maker.prepare_maker.settings, selection_settings(campaign)
    )


def find_same(
    found: Iterable[Candidate | InputError],
    campaign: Campaign,
    maker: FlowMaker,
    database: Database,
    launchpad: CampaignLaunchPad,
    potentials: Mapping[str, PotentialInfo],
    *,
    settings: DuplicateSettings | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, str]:
    """Return for each candidate that need not be computed the one that stands for it.

    What is finished or in the launchpad already stands for the others. Memory: about a kilobyte
    for each candidate.

    Parameters
    ----------
    found : iterable of Candidate or InputError
        All candidates; errors are passed over.
    campaign, maker, database, launchpad, potentials
        As for :func:`~superionic.cluster.submit.submit`.
    settings : DuplicateSettings, optional
        When two crystals are the same.
    progress : callable
        Called with the numbers of crystals compared and given.
    """
    crystals = PackedCrystals()
    names: list[str] = []
    keys: list[str] = []
    former: dict[str, dict[str, str]] = {}
    for item in found:
        if isinstance(item, InputError):
            continue
        try:
            keys.append(maker.key(item))
            former[keys[-1]] = former_keys(maker, [item])
        except SuperionicError:  # submission says what is wrong with it
            continue
        crystals.append(item.structure)
        names.append(item.material_id)
    first = find_duplicates(crystals, settings, progress=progress)
    repeated = {index for i, index in enumerate(first) if index != i}
    members = {keys[i]: names[i] for i, index in enumerate(first) if index in repeated}
    finished: set[str] = set()
    queued: set[str] = set()
    for chunk in portions(members, _CHUNK_SIZE):
        older = {then: now for key in chunk for then, now in former[key].items()}
        adopt(database, older)
        finished |= finished_keys(
            database, chunk, potentials[maker.potential], campaign.kind.result_kind
        )
        queued |= set(queued_keys(launchpad, chunk, older))
    return stand_ins(
        names, first, {members[key] for key in finished}, {members[key] for key in queued}
    )
