"""Keep the screening collection up to date with the documents of finished jobs."""

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from maggma.core import Builder, Store
from maggma.utils import grouper
from pymongo import UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError

from superionic import defaults
from superionic.schemas.document import without_monty
from superionic.schemas.screening import ROW_VERSION, RunSummary, ScreeningDocument
from superionic.schemas.settings_label import settings_label
from superionic.store.builders.documents import (
    IDENTITY,
    OF_ROWS,
    RowIdentity,
    RunVersion,
    identity_and_version,
    read_document,
)
from superionic.store.builders.relations import duplicate_row, with_orderings
from superionic.store.builders.rows import screening_document, unreadable_run
from superionic.store.ranking.policies import ranked, standings

T = TypeVar("T")

logger = logging.getLogger(__name__)

OTHER_WEIGHTS = "other_weights"
_DUPLICATE_KEY = 11000
_MOST_RANKINGS = 10
_STANDING = ("rank", "ranks", "scores", "percentiles", "ranking_settings")
"""What ranking writes into a row."""
RANKED_BY = [
    *("key", *RowIdentity._fields),
    *_STANDING,
    *("xi", "mpe_eV", "barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV"),
    *("diffusivity_ratio_1000K", "diffusivity_ratio_min_1000K"),
    *("fv_connected", "fv_disconnected", "fv_disconnected_2eV"),
    *("free_volume_A3_per_ion", "free_volume_2eV_A3_per_ion"),
    *("predicted_log10_msd_slope", "predicted_log10_msd_slope_low"),
    *("formula", "elements", "volume_A3_per_atom", "mobile_fraction"),
]
"""What policies look at."""


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
        found = of_rows(found_runs(self.outputs.query(OF_ROWS, properties=IDENTITY)))
        for row in changed_rows(self.screening, found):
            uuids = sorted({version.job_uuid or "" for version in found[row]})
            criteria = {**OF_ROWS, "output.job_uuid": {"$in": uuids}}
            yield [one["output"] for one in self.outputs.query(criteria, properties=["output"])]

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
        criteria = {"key": {"$in": [item["key"] for item in items]}}
        rows = self.screening.query(criteria, properties=["key", *_STANDING])
        old = {row["key"]: {name: row[name] for name in _STANDING if name in row} for row in rows}
        documents = [item | old.get(item["key"], {}) for item in items]
        for item in items:
            if not item["settings_label"]:  # its landscapes are gone
                _remove_rows(self.screening, item, {"settings_label": {"$ne": ""}})
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
        self.tell_apart()
        self.relate()

    def rank(self) -> int:
        """Rank rows among each other that can be compared; return how many moved.

        A ranking has one species, one potential and one set of settings. Rows of a potential with
        other weights under the same name are another ranking. A row without a landscape is in the
        largest ranking of its species and potential, and goes when its material gets a landscape.
        """
        potentials: dict[tuple[str, ...], dict[str, list[ScreeningDocument]]] = defaultdict(dict)
        for row in rows_to_rank(self.screening, {"duplicate_of": None}):
            named = row.mobile_species, row.potential, row.potential_weights_sha256
            potentials[named].setdefault(row.settings_label or "", []).append(row)
        moved = []
        for rankings in potentials.values():
            for row, fresh in self._standings(rankings):
                if any(getattr(row, name) != value for name, value in fresh.items()):
                    moved.append(UpdateOne({"key": row.key}, {"$set": fresh}))
        if moved:
            self.screening._collection.bulk_write(moved, ordered=False)
        return len(moved)

    def _standings(
        self, rankings: dict[str, list[ScreeningDocument]]
    ) -> Iterator[tuple[ScreeningDocument, dict[str, Any]]]:
        """Yield the rows of one species and potential with what ranking says of them."""
        without = rankings.pop("", [])
        known = {row.material_id for rows in rankings.values() for row in rows}
        for row in without:
            if row.material_id in known:
                _remove_rows(self.screening, vars(row), {"settings_label": ""})
        left = [row for row in without if row.material_id not in known]
        largest = min(rankings, key=lambda label: (-len(rankings[label]), label), default="")
        if left:
            rankings.setdefault(largest, []).extend(left)
        for label, rows in rankings.items():
            for row, fresh in zip(rows, standings(rows), strict=True):
                yield row, fresh | {"ranking_settings": label}

    def tell_apart(self) -> None:
        """Warn, in their rows, of potentials of one name that are not the same."""
        rows = self.screening._collection
        fields = ["mobile_species", "potential", "potential_weights_sha256"]
        groups: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for row in self.screening.query({"duplicate_of": None}, properties=fields):
            species, potential, weights = (row[name] for name in fields)
            groups[species, potential][weights] += 1
        writes = []
        for (species, potential), numbers in groups.items():
            told = ", ".join(f"{sha[:8]}: {n} rows" for sha, n in sorted(numbers.items()))
            text = (
                f"Rows of {len(numbers)} potentials have the name {potential} (SHA-256 of weights "
                f"{told}); ranks are among rows of the same."
            )
            group = {"mobile_species": species, "potential": potential, "duplicate_of": None}
            if len(numbers) > 1:
                other = group | {"warnings.text": {"$ne": text}}
                writes.append(UpdateMany(other, {"$pull": {"warnings": {"code": OTHER_WEIGHTS}}}))
                warning = {"code": OTHER_WEIGHTS, "text": text}
                writes.append(UpdateMany(other, {"$push": {"warnings": warning}}))
            elif rows.find_one(group | {"warnings.code": OTHER_WEIGHTS}, {"_id": 1}) is not None:
                writes.append(UpdateMany(group, {"$pull": {"warnings": {"code": OTHER_WEIGHTS}}}))
        if writes:
            rows.bulk_write(writes)

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
            of = RowIdentity(str(copy.duplicate_of), *copy.made_with)
            computed[of.key].append(copy.material_id)
        for row in read_rows(self.screening, {"key": {"$in": sorted(computed)}}):
            link_duplicates(self.screening, row, computed[row.key])


def found_runs(outputs: Iterable[Mapping[str, Any]]) -> dict[RowIdentity, set[RunVersion]]:
    """Return for each row the runs that belong to it.

    Parameters
    ----------
    outputs : iterable of mapping
        Stored outputs with at least :data:`~superionic.store.builders.documents.IDENTITY`; one that
        does not say where it belongs is logged.
    """
    runs: dict[RowIdentity, set[RunVersion]] = defaultdict(set)
    for row in outputs:
        try:
            identity, version = identity_and_version(row["output"])
        except (KeyError, TypeError, ValueError) as error:
            _log_left_out(row["output"], error)
            continue
        runs[identity].add(version)
    return dict(runs)


def of_rows(found: Mapping[RowIdentity, Collection[T]]) -> dict[RowIdentity, list[T]]:
    """Return what belongs to each row: that of its landscape, and that of all other parts.

    Parameters
    ----------
    found : mapping of RowIdentity to collection
        By ``identity_and_version`` of :mod:`superionic.store.builders.documents`; all there is.
    """
    landscapes = {row: own for row, own in found.items() if row.settings_label}
    rows = {row: [*own, *found.get(row.without_settings, ())] for row, own in landscapes.items()}
    with_landscape = {row.without_settings for row in landscapes}
    alone = set(found) - set(landscapes) - with_landscape
    return rows | {row: list(found[row]) for row in alone}


def changed_rows(
    screening: Store, found: Mapping[RowIdentity, Collection[RunVersion]], *, all_runs: bool = True
) -> list[RowIdentity]:
    """Return the rows that are missing, of another version, or made from other runs.

    Parameters
    ----------
    screening : Store
        The collection, connected.
    found : mapping of RowIdentity to collection of RunVersion
        For each row the runs that were found; all of them, as :func:`of_rows` returns them, or
        some, as :func:`found_runs` does.
    all_runs : bool
        Whether these are all runs there are; if not, a row is as it should be when it holds them.
    """
    materials = sorted({row.material_id for row in found})
    criteria: dict[str, Any] = {"duplicate_of": None}
    if not all_runs:
        criteria = {"material_id": {"$in": materials}} | criteria
    built: dict[RowIdentity, set[tuple[str, str]]] = {}
    rows_of: dict[RowIdentity, list[RowIdentity]] = defaultdict(list)
    properties = ["schema_version", "runs", *RowIdentity._fields]
    for row in screening.query(criteria, properties=properties):
        if row.get("schema_version") != ROW_VERSION:
            continue
        identity = RowIdentity(*(row[name] for name in RowIdentity._fields))
        built[identity] = {(run["last_updated"], run["job_uuid"]) for run in row.get("runs", [])}
        rows_of[identity.without_settings].append(identity)

    def is_current(row: RowIdentity, versions: set[RunVersion]) -> bool:
        if all_runs:
            return built.get(row) == versions
        rows = [row] if row.settings_label else rows_of[row]
        return bool(rows) and all(versions <= built.get(one, set()) for one in rows)

    return [row for row, versions in found.items() if not is_current(row, set(versions))]


def rename_rows(screening: Store) -> int:
    """Give rows of older versions the key that they have today; return how many had another.

    Parameters
    ----------
    screening : Store
        The collection, connected.
    """
    rows = screening._collection
    fields = dict.fromkeys(("key", *RowIdentity._fields, "settings"), 1)
    n_renamed = 0
    for row in list(rows.find({"schema_version": {"$ne": ROW_VERSION}}, fields)):
        label = settings_label(row.get("settings") or {}, str(row.get("mobile_species")))
        named = {name: str(row.get(name)) for name in RowIdentity._fields}
        key = RowIdentity(**named | {"settings_label": label}).key
        if row.get("key") == key and row.get("settings_label") == label:
            continue
        n_renamed += 1
        if row.get("key") == key or rows.find_one({"key": key}, {"_id": 1}) is None:
            fresh = {"key": key, "settings_label": label}
            rows.update_one({"_id": row["_id"]}, {"$set": fresh})
        else:
            rows.delete_one({"_id": row["_id"]})
    return n_renamed


def _remove_rows(screening: Store, row: Mapping[str, Any], settings: dict[str, Any]) -> None:
    """Remove rows of what a row is of, under its names, with certain settings of a landscape."""
    same = {name: row[name] for name in RowIdentity._fields[1:-1]} | settings
    screening.remove_docs({"material_id": row["material_id"], "duplicate_of": None} | same)
    screening.remove_docs({"duplicate_of": row["material_id"]} | same)


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
    yield from map(row_to_rank, screening.query(criteria, properties=RANKED_BY))


def row_to_rank(stored: Mapping[str, Any]) -> ScreeningDocument:
    """Return what policies look at in a stored row, not validated."""
    # A hundred thousand complete documents would take a minute.
    row = dict.fromkeys(RANKED_BY) | dict(stored)
    return cast(ScreeningDocument, SimpleNamespace(**row))


def rows_of_tasks(
    outputs: Store, task_keys: Iterable[str], weights_sha256: str, policy: str = defaults.POLICY
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
            parts[identity_and_version(row["output"])[0]].append(document)
        except (KeyError, TypeError, ValueError) as error:
            _log_left_out(row["output"], error)
    runs: dict[tuple[str, RowIdentity], list] = defaultdict(list)
    for row in found:
        document = read_document(row["output"])
        runs[document.task_key, identity_and_version(row["output"])[0]].append(document)
    rows = [
        screening_document([*group, *parts[of.without_settings]]) for (_, of), group in runs.items()
    ]
    return with_orderings(ranked(rows, policy))


def _unreadable(output: Mapping[str, Any]) -> list[RunSummary]:
    try:
        version = identity_and_version(output)[1]
    except (KeyError, TypeError, ValueError):
        return []
    return [unreadable_run(str(output.get("kind")), version.job_uuid, version.last_updated)]


def _log_left_out(output: Mapping[str, Any], error: Exception) -> None:
    logger.warning(
        "Run %s of %s is left out of the screening collection: %s: %s",
        output.get("job_uuid"),
        output.get("material_id"),
        type(error).__name__,
        error,
    )


def run_builder(builder: Builder) -> None:
    """Run a builder as ``Builder.run`` does, without its progress bar and its logging set-up."""
    builder.connect()
    for chunk in grouper(builder.get_items(), builder.chunk_size):
        processed = [builder.process_item(item) for item in chunk]
        builder.update_targets([item for item in processed if item is not None])
    builder.finalize()
