"""What campaigns have found: documents of finished work, and what can be gone on from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobflow import Flow, OutputReference

from superionic import defaults
from superionic.potentials.base import PotentialInfo
from superionic.schemas.common import Warning_
from superionic.schemas.document import without_monty
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import ScreeningDocument
from superionic.settings import get_settings
from superionic.store.builders.arrays import tasks_with_lost_arrays
from superionic.store.builders.documents import utc
from superionic.store.builders.relations import with_duplicates
from superionic.store.builders.screening import rows_of_tasks
from superionic.store.database.finished import finished_keys
from superionic.store.database.stores import Database
from superionic.structures.candidate import Candidate
from superionic.workflows.makers.table import FlowKind

if TYPE_CHECKING:
    from superionic.workflows.makers.predict import PredictMaker


def finished_work(
    database: Database, keys: Iterable[str], info: PotentialInfo, kind: FlowKind
) -> set[str]:
    """Return those task keys whose results are in the database, with the arrays that they need.

    Parameters
    ----------
    database : Database
        Where results are, open.
    keys : iterable of str
        Keys of the work.
    info : PotentialInfo
        The potential; results of other weights do not count.
    kind : FlowKind
        The flow.
    """
    found = finished_keys(database, keys, info, kind.result_kind)
    if kind.arrays_of is None:
        return found
    return found - tasks_with_lost_arrays(database.job_store, found, kind.arrays_of)


@dataclass(frozen=True)
class Asked:
    """Which results are wanted.

    Parameters
    ----------
    kind : FlowKind
        The flow.
    database : Database
        Where results are, open.
    info : PotentialInfo
        The potential; results of other weights do not count.
    keys : dict of str to str
        For each crystal that was asked for, in that order, the key of its work.
    duplicates : dict of str to str
        Those that were not computed, and which stands for each.
    known : dict of str to result
        Results from elsewhere by their keys; those of the database go before them.
    policy : str
        Ranking policy.
    """

    kind: FlowKind
    database: Database
    info: PotentialInfo
    keys: Mapping[str, str]
    duplicates: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, Any] = field(default_factory=dict)
    policy: str = defaults.POLICY

    @property
    def computed(self) -> dict[str, str]:
        """Keys of the crystals that no other one stands for."""
        return {name: key for name, key in self.keys.items() if name not in self.duplicates}


def documents(asked: Asked) -> list[Any]:
    """Return the newest result of each crystal that has one, in the order asked for."""
    found = newest(asked)
    return [found[key] for key in asked.computed.values() if key in found]


def judged_labels(asked: Asked) -> list[LabelRow]:
    """Return the rows of labels that are known or stored, in the order asked for.

    Labels that a former version of the analysis judged are judged again from their trajectories,
    where these are in the data directory.
    """
    from superionic.workflows.jobs.diffusion import judged_again  # takes seconds

    folder = get_settings().data_dir / "md"
    found = dict(asked.known)
    for key, document in newest(asked).items():
        found[key] = LabelRow.from_document(judged_again(document, folder))
    return [found[key] for key in asked.computed.values() if key in found]


def documents_of_all_names(asked: Asked) -> list[Any]:
    """Return results as :func:`documents` does, and copies for crystals that are the same."""
    found = newest(asked)
    rows = []
    for name in asked.keys:
        document = found.get(asked.keys[asked.duplicates.get(name, name)])
        if document is not None:
            rows.append(_renamed(document, name) if name in asked.duplicates else document)
    return rows


def ranked_rows(asked: Asked) -> list[ScreeningDocument]:
    """Return the rows of the screening collection, ranked among each other, with all names."""
    outputs, keys = asked.database.job_store.docs_store, asked.computed.values()
    rows = rows_of_tasks(outputs, list(keys), asked.info.weights_sha256, asked.policy)
    return with_duplicates(rows, asked.duplicates)


def newest(asked: Asked) -> dict[str, Any]:
    """Return the newest result of each key that has one."""
    criteria = {
        "output.kind": asked.kind.result_kind,
        "output.task_key": {"$in": sorted(set(asked.computed.values()))},
        "output.potential.weights_sha256": asked.info.weights_sha256,
    }
    rows = asked.database.job_store.docs_store.query(criteria, properties=["output"])
    outputs = sorted(
        (without_monty(row["output"]) for row in rows), key=lambda one: utc(one["last_updated"])
    )
    latest = {output["task_key"]: output for output in outputs}
    return {key: asked.kind.read(output) for key, output in latest.items()}


@dataclass
class KnownShakes:
    """A Maker of predictions that takes shakes from the job store where they are there.

    Parameters
    ----------
    maker : PredictMaker
        Makes the flows.
    uuids : dict of str to str
        For each key of shakes, the job that made them.
    """

    maker: "PredictMaker"
    uuids: dict[str, str]
    mobile_species: str = field(init=False)
    potential: str = field(init=False)

    def __post_init__(self) -> None:
        """Take over what processes want to know."""
        self.mobile_species = self.maker.mobile_species
        self.potential = self.maker.potential

    def info(self) -> PotentialInfo:
        """Return the identity of the potential."""
        return self.maker.info()

    def make(self, candidate: Candidate) -> Flow:
        """Return the flow of a candidate; of one job where its shakes are known."""
        uuid = self.uuids.get(self.maker.shakes_key(candidate))
        return self.maker.make(candidate, shakes=OutputReference(uuid) if uuid else None)


def known_shakes(
    maker: "PredictMaker", database: Database, candidates: Sequence[Candidate], info: PotentialInfo
) -> tuple[KnownShakes, int]:
    """Return a Maker that goes on from shakes that are there, and of how many candidates.

    Parameters
    ----------
    maker : PredictMaker
        Makes the flows.
    database : Database
        Where results are, open.
    candidates : sequence of Candidate
        The crystals to be computed.
    info : PotentialInfo
        The potential; shakes made with other weights do not count.
    """
    criteria = {
        "output.kind": "shakes",
        "output.task_key": {"$in": sorted({maker.shakes_key(one) for one in candidates})},
        "output.potential.weights_sha256": info.weights_sha256,
    }
    rows = database.job_store.docs_store.query(criteria, properties=["uuid", "output.task_key"])
    uuids = {row["output"]["task_key"]: row["uuid"] for row in rows}
    return KnownShakes(maker, uuids), len(uuids)


def _renamed(document: Any, material_id: str) -> Any:
    """Return a result under another name of the same crystal."""
    text = f"The same crystal as {document.material_id}, of which this is the result."
    return document.model_copy(
        update={
            "material_id": material_id,
            "flags": [*document.flags, "same_crystal"],
            "warnings": [*document.warnings, Warning_(code="same_crystal", text=text)],
        }
    )
