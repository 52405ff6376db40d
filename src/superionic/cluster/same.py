"""The same crystal under several names: computed once, found under each."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from pymongo import UpdateOne

from superionic.builders.screening import link_duplicates, read_rows
from superionic.cluster.campaign_file import Campaign
from superionic.cluster.launchpad import CampaignLaunchPad
from superionic.cluster.portions import portions
from superionic.cluster.submit import queued_keys
from superionic.database.finished import adopt, finished_keys
from superionic.database.stores import Database
from superionic.errors import InputError, SuperionicError
from superionic.flows.base import FlowMaker
from superionic.jobs.keys import former_keys
from superionic.potentials.base import PotentialInfo
from superionic.structures.candidate import Candidate
from superionic.structures.duplicates import (
    DuplicateSettings,
    PackedCrystals,
    find_duplicates,
    stand_ins,
)
from superionic.structures.filters import Sieve
from superionic.structures.prepare import orderings_of
from superionic.structures.readers import read_candidates

NAMES_COLLECTION = "names"
"""One document for each further name: ``name``, ``same_as``, ``mobile_species``, ``linked``."""

_CHUNK_SIZE = 500


def candidates_of(
    campaign: Campaign, maker: FlowMaker, sieve: Sieve
) -> Iterator[Candidate | InputError]:
    """Yield the candidates of a campaign: read, filtered, ordered as often as it asks for.

    Parameters
    ----------
    campaign : Campaign
        Which crystals, and how many orderings of those that are disordered.
    maker : FlowMaker
        Its mobile species and settings of preparation make the orderings.
    sieve : Sieve
        The filters, which count.
    """
    for item in sieve.pass_on(read_candidates(campaign.crystals)):
        if isinstance(item, InputError):
            yield item
            continue
        try:
            yield from orderings_of(
                item, maker.mobile_species, maker.prepare_maker.settings, campaign.orderings
            )
        except InputError as error:
            yield error


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


def record_names(database: Database, same: Mapping[str, str], mobile_species: str) -> None:
    """Note further names, so that builders write a row for each.

    Parameters
    ----------
    database : Database
        The results.
    same : mapping of str to str
        For each further name, the one that is computed in its place.
    mobile_species : str
        The mobile ion of the campaign.
    """
    names = _collection(database)
    names.create_index("same_as")
    names.create_index("linked")
    writes = [
        UpdateOne(
            {"_id": f"{name}|{same_as}|{mobile_species}"},
            {
                "$setOnInsert": {
                    "name": name,
                    "same_as": same_as,
                    "mobile_species": mobile_species,
                    "linked": False,
                }
            },
            upsert=True,
        )
        for name, same_as in sorted(same.items())
    ]
    for chunk in portions(writes, _CHUNK_SIZE):
        names.bulk_write(chunk, ordered=False)


def link_names(database: Database, changed: Collection[str] | None = None) -> int:
    """Write the rows of further names; return how many were looked at.

    Parameters
    ----------
    database : Database
        The results.
    changed : collection of str, optional
        Materials whose rows are new: beside names that have no row yet, only theirs are looked at.
        All by default.
    """
    names = _collection(database)
    records: dict[Any, dict[str, Any]] = {}
    if changed is None:
        records = {record["_id"]: record for record in names.find({})}
    else:
        for record in names.find({"linked": False}):
            records[record["_id"]] = record
        for chunk in portions(changed, _CHUNK_SIZE):
            for record in names.find({"same_as": {"$in": chunk}}):
                records[record["_id"]] = record
    wanted: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for record in records.values():
        wanted[record["same_as"], record["mobile_species"]].append(record)
    for chunk in portions(sorted({material for material, _ in wanted}), _CHUNK_SIZE):
        criteria = {"material_id": {"$in": chunk}, "duplicate_of": None}
        for row in read_rows(database.screening, criteria):
            members = wanted.get((row.material_id, row.mobile_species), ())
            if not members:
                continue
            link_duplicates(database.screening, row, [record["name"] for record in members])
            fresh = [record["_id"] for record in members if not record["linked"]]
            if fresh:
                names.update_many({"_id": {"$in": fresh}}, {"$set": {"linked": True}})
    return len(records)


def _collection(database: Database) -> Any:
    return database.screening._collection.database[NAMES_COLLECTION]
