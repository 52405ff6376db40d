"""From descriptors of single runs to the ranked screening collection."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from maggma.core import Builder, Store
from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from superionic.builders.relations import duplicate_row, with_orderings
from superionic.schemas.screen import DescriptorsDocument, ScreeningDocument

logger = logging.getLogger(__name__)

_DUPLICATE_KEY = 11000
_MOST_RANKINGS = 10

COPIED = sorted(
    set(ScreeningDocument.model_fields)
    & set(DescriptorsDocument.model_fields)
    - {"potential", "wall_time_s", "last_updated", "warnings"}
)


def screening_key(material_id: str, mobile_species: str, potential: str) -> str:
    """Return the unique key of a row: material, mobile species and potential."""
    return f"{material_id}|{mobile_species}|{potential}"


def screening_document(runs: Iterable[DescriptorsDocument]) -> ScreeningDocument:
    """Make one row of the screening collection from all runs of a material.

    Parameters
    ----------
    runs : iterable of DescriptorsDocument
        Runs of one material, mobile species and potential; the newest one counts.

    Returns
    -------
    ScreeningDocument
        Without a rank.
    """
    ordered = sorted(runs, key=lambda run: run.last_updated)
    newest = ordered[-1]
    fields: dict[str, Any] = {name: getattr(newest, name) for name in COPIED}
    return ScreeningDocument(
        **fields,
        key=screening_key(newest.material_id, newest.mobile_species, newest.potential.label),
        potential=newest.potential.label,
        potential_weights_sha256=newest.potential.weights_sha256,
        potential_package_version=newest.potential.package_version,
        wall_time_s=newest.total_wall_time_s,
        warnings=newest.warnings,
        descriptors_uuid=newest.job_uuid,
        n_runs=len(ordered),
        last_updated=_utc(newest.last_updated).isoformat(),
    )


def ranking_order(row: dict[str, Any]) -> tuple[float, float, str]:
    """Return the sort key of the published ranking: Xi descending, ties by barrier, then id."""
    barrier = row["mpe_eV"]
    return (-row["xi"], float("inf") if barrier is None else barrier, row["material_id"])


def ranked(rows: Iterable[ScreeningDocument]) -> list[ScreeningDocument]:
    """Return rows in the order of their rank, ranks filled in from 1."""
    ordered = sorted(rows, key=lambda row: ranking_order(row.model_dump()))
    return [row.model_copy(update={"rank": i}) for i, row in enumerate(ordered, start=1)]


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
    Only materials with newer runs than their row are built again. A row is replaced by a complete
    new one or not at all: a run that cannot be read leaves it as it was, and is logged.
    """

    def __init__(self, outputs: Store, screening: Store, chunk_size: int = 200) -> None:
        self.outputs = outputs
        self.screening = screening
        super().__init__(sources=[outputs], targets=[screening], chunk_size=chunk_size)

    def get_items(self) -> Iterator[list[dict[str, Any]]]:
        """Yield, for each material with news, the outputs of all its descriptor jobs."""
        fields = {
            "output.material_id": 1,
            "output.mobile_species": 1,
            "output.potential.family": 1,
            "output.potential.name": 1,
            "output.job_uuid": 1,
            "output.last_updated": 1,
        }
        newest: dict[str, tuple[datetime, str | None]] = {}
        uuids: dict[str, list[str]] = defaultdict(list)
        for row in self.outputs.query({"output.kind": "descriptors"}, properties=fields):
            try:
                key, stamp = _key_and_stamp(row["output"])
            except (KeyError, TypeError, ValueError) as error:
                _log_left_out(row["output"], error)
                continue
            uuids[key].append(row["output"]["job_uuid"])
            newest[key] = max(newest.get(key, stamp), stamp, key=lambda item: item[0])
        built = {
            row["key"]: (row["descriptors_uuid"], row["n_runs"])
            for row in self.screening.query({}, properties=["key", "descriptors_uuid", "n_runs"])
        }
        for key, members in uuids.items():
            if built.get(key) != (newest[key][1], len(members)):
                criteria = {"output.kind": "descriptors", "output.job_uuid": {"$in": members}}
                yield [row["output"] for row in self.outputs.query(criteria)]

    def process_item(self, item: list[dict[str, Any]]) -> dict[str, Any] | None:
        """Make one row from the outputs of one material's descriptor jobs."""
        runs = []
        for output in item:
            try:
                runs.append(DescriptorsDocument.model_validate(without_monty(output)))
            except ValueError as error:
                _log_left_out(output, error)
        return screening_document(runs).model_dump() if runs else None

    def update_targets(self, items: list[dict[str, Any]]) -> None:
        """Write rows; a row keeps its rank until all are ranked anew."""
        if not items:
            return
        criteria = {"key": {"$in": [item["key"] for item in items]}}
        rows = self.screening.query(criteria, properties=["key", "rank"])
        ranks = {row["key"]: row["rank"] for row in rows}
        documents = [item | {"rank": ranks.get(item["key"])} for item in items]
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
        """Rank rows of one species and potential among each other; return how many ranks moved."""
        properties = ["key", "material_id", "mobile_species", "potential", "xi", "mpe_eV", "rank"]
        groups = defaultdict(list)
        for row in self.screening.query({"duplicate_of": None}, properties=properties):
            groups[row["mobile_species"], row["potential"]].append(row)
        moved = [
            UpdateOne({"key": row["key"]}, {"$set": {"rank": rank}})
            for rows in groups.values()
            for rank, row in enumerate(sorted(rows, key=ranking_order), start=1)
            if row["rank"] != rank
        ]
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


def rows_of_tasks(
    outputs: Store, task_keys: Iterable[str], weights_sha256: str
) -> list[ScreeningDocument]:
    """Return the rows of given tasks, ranked among each other.

    Parameters
    ----------
    outputs : Store
        jobflow's document store, connected.
    task_keys : iterable of str
        Keys of the work.
    weights_sha256 : str
        Hash of the potential's weights.
    """
    criteria = {
        "output.kind": "descriptors",
        "output.task_key": {"$in": sorted(set(task_keys))},
        "output.potential.weights_sha256": weights_sha256,
    }
    runs = defaultdict(list)
    for row in outputs.query(criteria, properties=["output"]):
        document = DescriptorsDocument.model_validate(without_monty(row["output"]))
        runs[document.task_key].append(document)
    return with_orderings(ranked(screening_document(group) for group in runs.values()))


def query_screening(
    screening: Store,
    *,
    mobile_species: str | None = None,
    potential: str | None = None,
    max_barrier_eV: float | None = None,
    formula: str | None = None,
    elements: Iterable[str] = (),
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
    sort : str
        Field to sort by; a leading ``-`` sorts downwards.
    limit : int
        Most rows; 0 means all.
    """
    criteria: dict[str, Any] = {}
    for name, value in (
        ("mobile_species", mobile_species),
        ("potential", potential),
        ("formula", formula),
    ):
        if value is not None:
            criteria[name] = value
    if max_barrier_eV is not None:
        criteria["mpe_eV"] = {"$lte": max_barrier_eV, "$ne": None}
    if wanted := list(elements):
        criteria["elements"] = {"$all": wanted}
    direction = DESCENDING if sort.startswith("-") else ASCENDING
    order = {sort.removeprefix("-"): direction, "key": ASCENDING}
    rows = screening.query(criteria, sort=order, limit=limit)
    return [ScreeningDocument.model_validate(without_monty(row)) for row in rows]


def _key_and_stamp(output: dict[str, Any]) -> tuple[str, tuple[datetime, str]]:
    """Return the row that a run belongs to, and when and by which job it was written."""
    label = f"{output['potential']['family']}:{output['potential']['name']}"
    key = screening_key(output["material_id"], output["mobile_species"], label)
    return key, (_utc(output["last_updated"]), output["job_uuid"])


def _log_left_out(output: dict[str, Any], error: Exception) -> None:
    logger.warning(
        "Run %s of %s is left out of the screening collection: %s: %s",
        output.get("job_uuid"),
        output.get("material_id"),
        type(error).__name__,
        error,
    )


def without_monty(document: dict[str, Any]) -> dict[str, Any]:
    """Return a stored document without the keys that MongoDB and monty add, at every depth."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: clean(v) for k, v in value.items() if k != "_id" and not k.startswith("@")}
        if isinstance(value, list):
            return [clean(entry) for entry in value]
        return value

    cleaned: dict[str, Any] = clean(document)
    return cleaned


def _utc(value: datetime | str | dict) -> datetime:
    """Return a time as stored by MongoDB (naive UTC), jobflow (monty dictionary) or JSON."""
    plain = value["string"] if isinstance(value, dict) else value
    moment = datetime.fromisoformat(plain) if isinstance(plain, str) else plain
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
