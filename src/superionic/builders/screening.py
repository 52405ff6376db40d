"""Keep the screening collection up to date with the documents of finished jobs."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from maggma.core import Builder, Store
from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from superionic.builders.documents import (
    IDENTITY,
    OF_ROWS,
    Stamp,
    key_and_stamp,
    read_document,
    screening_key,
    without_monty,
)
from superionic.builders.relations import duplicate_row, with_orderings
from superionic.builders.rows import screening_document, unreadable_run
from superionic.ranking.indexes import SORTED_BY
from superionic.ranking.policies import ranked, standings
from superionic.schemas.screening import (
    PARTS,
    ROW_VERSION,
    Part,
    RunSummary,
    ScreeningDocument,
)

logger = logging.getLogger(__name__)

_DUPLICATE_KEY = 11000
_MOST_RANKINGS = 10
_WINDOW_GROWTH = 8
_SAME_ORDER = {
    "-xi": "rank",
    "mpe_eV": "ranks.barrier",
    "-predicted_log10_msd_slope": "ranks.network",
}
"""Ranks that order rows of one species and potential as a field does, nulls last."""
_FIELD_OF_PART = {
    "landscape": "xi",
    "prediction": "predicted_log10_msd_slope",
    "label": "label_verdict",
    "validation": "validation_verdict",
}
"""A field that a row has with each part."""
_RANKED_BY = [
    *("key", "material_id", "mobile_species", "potential", "rank", "ranks", "scores"),
    *("xi", "mpe_eV", "barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV"),
    *("diffusivity_ratio_1000K", "diffusivity_ratio_min_1000K"),
    *("fv_connected", "fv_disconnected", "fv_disconnected_2eV"),
    *("free_volume_A3_per_ion", "free_volume_2eV_A3_per_ion"),
    *("predicted_log10_msd_slope", "predicted_log10_msd_slope_low"),
    *("volume_A3_per_atom", "mobile_fraction"),
]


class ScreeningBuilder(Builder):
    """Keep the screening collection up to date with the documents of finished jobs.

    Parameters
    ----------
    outputs : Store
        jobflow's document store.
    screening : Store
        The screening collection, with ``key`` as its key.
    chunk_size : int
        Materials processed at a time.

    Notes
    -----
    Only rows whose runs have changed are built again, or those that another version wrote. A row
    is replaced by a complete new one or not at all: a run that cannot be read is listed in the row
    and logged, and the row is that of the others.
    """

    def __init__(self, outputs: Store, screening: Store, chunk_size: int = 200) -> None:
        self.outputs = outputs
        self.screening = screening
        super().__init__(sources=[outputs], targets=[screening], chunk_size=chunk_size)

    def get_items(self) -> Iterator[list[dict[str, Any]]]:
        """Yield, for each row with news, the outputs of all its jobs."""
        found = found_runs(self.outputs.query(OF_ROWS, properties=IDENTITY))
        for key in changed_keys(self.screening, found):
            uuids = sorted({stamp.job_uuid or "" for stamp in found[key]})
            criteria = {**OF_ROWS, "output.job_uuid": {"$in": uuids}}
            yield [row["output"] for row in self.outputs.query(criteria, properties=["output"])]

    def process_item(self, item: list[dict[str, Any]]) -> dict[str, Any] | None:
        """Make one row from the outputs of its jobs; None if none of them can be read."""
        documents, unreadable = [], []
        for output in item:
            try:
                documents.append(read_document(output))
            except (KeyError, TypeError, ValueError) as error:
                _log_left_out(output, error)
                unreadable += _unreadable(output)
        return screening_document(documents, unreadable).model_dump() if documents else None

    def update_targets(self, items: list[dict[str, Any]]) -> None:
        """Write rows; a row keeps its ranks until all are ranked anew."""
        if not items:
            return
        kept = ("rank", "ranks", "scores")
        criteria = {"key": {"$in": [item["key"] for item in items]}}
        rows = self.screening.query(criteria, properties=["key", *kept])
        old = {row["key"]: {name: row[name] for name in kept if name in row} for row in rows}
        documents = [item | old.get(item["key"], {}) for item in items]
        try:
            self.screening.update(documents, key="key")
        except BulkWriteError as error:
            codes = {fault["code"] for fault in error.details["writeErrors"]}
            if codes != {_DUPLICATE_KEY}:
                raise
            # Another command has just inserted a row of the same key: now it can be replaced.
            self.screening.update(documents, key="key")

    def finalize(self) -> None:
        """Rank the whole collection, relate its rows; whoever opened the stores closes them."""
        # Again, until nothing moves: another command may have written rows in between.
        for _ in range(_MOST_RANKINGS):
            if not self.rank():
                break
        self.relate()

    def rank(self) -> int:
        """Rank rows of one species and potential among each other; return how many moved."""
        groups = defaultdict(list)
        for row in rows_to_rank(self.screening, {"duplicate_of": None}):
            groups[row.mobile_species, row.potential].append(row)
        moved = []
        for rows in groups.values():
            for row, (ranks, scores) in zip(rows, standings(rows), strict=True):
                if (row.rank, row.ranks, row.scores) != (ranks["xi"], ranks, scores):
                    fresh = {"rank": ranks["xi"], "ranks": ranks, "scores": scores}
                    moved.append(UpdateOne({"key": row.key}, {"$set": fresh}))
        if moved:
            self.screening._collection.bulk_write(moved, ordered=False)
        return len(moved)

    def relate(self) -> None:
        """Bring the summaries of orderings, and the rows of further names, up to date."""
        members = read_rows(self.screening, {"parent_id": {"$ne": None}, "duplicate_of": None})
        related = with_orderings(members)
        changed = [new for old, new in zip(members, related, strict=True) if new != old]
        self.update_targets([row.model_dump() for row in changed])
        for row in read_rows(self.screening, {"aliases.0": {"$exists": True}}):
            link_duplicates(self.screening, row, row.aliases)
        computed: dict[str, list[str]] = defaultdict(list)
        for copy in read_rows(self.screening, {"duplicate_of": {"$ne": None}}):
            key = screening_key(str(copy.duplicate_of), copy.mobile_species, copy.potential)
            computed[key].append(copy.material_id)
        for row in read_rows(self.screening, {"key": {"$in": sorted(computed)}}):
            link_duplicates(self.screening, row, computed[row.key])


def found_runs(outputs: Iterable[Mapping[str, Any]]) -> dict[str, set[Stamp]]:
    """Return for each row the runs that belong to it.

    Parameters
    ----------
    outputs : iterable of mapping
        Stored outputs with at least :data:`~superionic.builders.documents.IDENTITY`; one that does
        not say where it belongs is logged.
    """
    runs: dict[str, set[Stamp]] = defaultdict(set)
    for row in outputs:
        try:
            key, stamp = key_and_stamp(row["output"])
        except (KeyError, TypeError, ValueError) as error:
            _log_left_out(row["output"], error)
            continue
        runs[key].add(stamp)
    return dict(runs)


def changed_keys(
    screening: Store, found: Mapping[str, set[Stamp]], *, all_runs: bool = True
) -> list[str]:
    """Return the keys of rows that are missing, of another version, or made from other runs.

    Parameters
    ----------
    screening : Store
        The collection, connected.
    found : mapping of str to set of Stamp
        For each key the runs that were found.
    all_runs : bool
        Whether these are all runs there are; if not, a row is as it should be when it holds them.
    """
    criteria = {} if all_runs else {"key": {"$in": sorted(found)}}
    built = {
        row["key"]: {(run["last_updated"], run["job_uuid"]) for run in row.get("runs", [])}
        for row in screening.query(criteria, properties=["key", "schema_version", "runs"])
        if row.get("schema_version") == ROW_VERSION
    }

    def is_current(key: str, stamps: set[Stamp]) -> bool:
        held = built.get(key)
        return held is not None and (stamps == held if all_runs else stamps <= held)

    return [key for key, stamps in found.items() if not is_current(key, stamps)]


def link_duplicates(screening: Store, row: ScreeningDocument, names: Iterable[str]) -> None:
    """Write rows for further names of a crystal, unless the name was computed by itself.

    Parameters
    ----------
    screening : Store
        The collection, connected.
    row : ScreeningDocument
        The row of the crystal that was computed.
    names : iterable of str
        Its other identifiers.
    """
    wanted = {copy.key: copy for copy in (duplicate_row(row, name) for name in names)}
    present = {old.key: old for old in read_rows(screening, {"key": {"$in": sorted(wanted)}})}
    fresh = [
        copy.model_dump()
        for key, copy in wanted.items()
        if key not in present or (present[key].duplicate_of is not None and present[key] != copy)
    ]
    if fresh:
        screening.update(fresh, key="key")


def read_rows(screening: Store, criteria: dict[str, Any]) -> list[ScreeningDocument]:
    """Return the rows that meet MongoDB criteria."""
    found = screening.query(criteria)
    return [ScreeningDocument.model_validate(without_monty(row)) for row in found]


def rows_to_rank(screening: Store, criteria: dict[str, Any]) -> Iterator[ScreeningDocument]:
    """Yield the rows that meet MongoDB criteria, with what policies look at and nothing else."""
    nothing = dict.fromkeys(_RANKED_BY)
    for row in screening.query(criteria, properties=_RANKED_BY):
        # A hundred thousand complete documents would take a minute.
        yield cast(ScreeningDocument, SimpleNamespace(**(nothing | row)))


def rows_of_tasks(
    outputs: Store, task_keys: Iterable[str], weights_sha256: str, policy: str = "xi"
) -> list[ScreeningDocument]:
    """Return the rows of given tasks, ranked among each other.

    Parameters
    ----------
    outputs : Store
        jobflow's document store, connected.
    task_keys : iterable of str
        Keys of the work that gave the landscapes. Predictions and labels of the same materials,
        whatever their keys, are part of the rows.
    weights_sha256 : str
        Hash of the potential's weights.
    policy : str
        Name of the policy that orders the rows.

    Raises
    ------
    SettingsError
        When there is no policy of that name.
    """
    criteria = {
        "output.kind": "descriptors",
        "output.task_key": {"$in": sorted(set(task_keys))},
        "output.potential.weights_sha256": weights_sha256,
    }
    found = list(outputs.query(criteria, properties=["output"]))
    materials = {row["output"]["material_id"] for row in found}
    others = {
        "output.kind": {"$in": ["prediction", "diffusion", "validation"]},
        "output.material_id": {"$in": sorted(materials)},
        "output.potential.weights_sha256": weights_sha256,
    }
    parts = defaultdict(list)
    for row in outputs.query(others, properties=["output"]):
        try:
            document = read_document(row["output"])
            parts[key_and_stamp(row["output"])[0]].append(document)
        except (KeyError, TypeError, ValueError) as error:
            _log_left_out(row["output"], error)
    runs: dict[tuple[str, str], list] = defaultdict(list)
    for row in found:
        document = read_document(row["output"])
        runs[document.task_key, key_and_stamp(row["output"])[0]].append(document)
    rows = [screening_document([*group, *parts[key]]) for (_, key), group in runs.items()]
    return with_orderings(ranked(rows, policy))


def query_screening(
    screening: Store,
    *,
    mobile_species: str | None = None,
    potential: str | None = None,
    max_barrier_eV: float | None = None,
    formula: str | None = None,
    elements: Iterable[str] = (),
    present: Sequence[Part] = (),
    material_ids: Sequence[str] | None = None,
    sort: str = "rank",
    limit: int = 0,
) -> list[ScreeningDocument]:
    """Read rows of the screening collection.

    Parameters
    ----------
    screening : Store
        The collection, connected.
    mobile_species, potential, formula : str, optional
        Values that a row must have; the formula is the reduced one.
    max_barrier_eV : float, optional
        Largest percolation barrier in eV.
    elements : iterable of str
        Elements that a row must hold.
    present : sequence of str
        Parts that a row must have: landscape, prediction, label, validation.
    material_ids : sequence of str, optional
        Identifiers, of which a row must have one.
    sort : str
        Field to sort by; a leading ``-`` sorts downwards. ``ranks.network`` is the rank by the
        policy ``network``.
    limit : int
        Most rows; 0 means all.
    """
    # The local server takes the first clause that has an index, so the rarer ones come first; most
    # rows are of one species and potential.
    criteria: dict[str, Any] = {} if formula is None else {"formula": formula}
    if material_ids is not None:
        criteria["material_id"] = {"$in": list(material_ids)}
    if present:
        # The last part is the rarest; equality finds it by an index, "$all" would not everywhere.
        *others, criteria["present"] = sorted(present, key=PARTS.index)
        criteria |= {_FIELD_OF_PART[part]: {"$ne": None} for part in others}
    if max_barrier_eV is not None:
        criteria["mpe_eV"] = {"$lte": max_barrier_eV}  # no null is below anything
    if wanted := list(elements):
        criteria["elements"] = {"$all": wanted}
    same = {"mobile_species": mobile_species, "potential": potential}
    criteria |= {name: value for name, value in same.items() if value is not None}
    grouped = mobile_species is not None and potential is not None
    rank = _SAME_ORDER.get(sort, sort) if grouped else sort
    if limit and rank in SORTED_BY and formula is None and material_ids is None:
        rows = _first_by_rank(screening, criteria, rank, limit)
    else:
        direction = DESCENDING if sort.startswith("-") else ASCENDING
        order = {sort.removeprefix("-"): direction, "key": ASCENDING}
        rows = list(screening.query(criteria, sort=order, limit=limit))
    return [ScreeningDocument.model_validate(without_monty(row)) for row in rows]


def _first_by_rank(
    screening: Store, criteria: dict[str, Any], rank: str, limit: int
) -> list[dict[str, Any]]:
    """Return the first rows by a rank, those that are not ranked yet last.

    Ranks are dense, so a range of them holds the first rows. Servers that sort by reading a whole
    collection, as the local one does, still find the range by its index.
    """
    order = {rank: ASCENDING, "key": ASCENDING}
    last = 2 * limit
    # A clause with an index of its own may be met by few rows: then it is the better start.
    most_windows = 2 if {"mpe_eV", "present"} & criteria.keys() else 100
    for _ in range(most_windows):
        # The range comes first: the local server takes the first clause that has an index.
        window = {rank: {"$lte": last}, **criteria}
        rows = list(screening.query(window, sort=order, limit=limit))
        if len(rows) == limit:
            return rows
        if screening.query_one({rank: last}, properties=["key"]) is None:
            break
        last *= _WINDOW_GROWTH
    rows = list(screening.query({**criteria, rank: {"$ne": None}}, sort=order, limit=limit))
    if len(rows) < limit:
        unranked = {**criteria, rank: None}
        rest = screening.query(unranked, sort={"key": ASCENDING}, limit=limit - len(rows))
        rows += list(rest)
    return rows


def _unreadable(output: Mapping[str, Any]) -> list[RunSummary]:
    try:
        stamp = key_and_stamp(output)[1]
    except (KeyError, TypeError, ValueError):
        return []
    return [unreadable_run(str(output.get("kind")), stamp.job_uuid, stamp.last_updated)]


def _log_left_out(output: Mapping[str, Any], error: Exception) -> None:
    logger.warning(
        "Run %s of %s is left out of the screening collection: %s: %s",
        output.get("job_uuid"),
        output.get("material_id"),
        type(error).__name__,
        error,
    )
