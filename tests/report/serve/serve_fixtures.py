"""A database with good, odd and hostile rows, a landscape, and the server that shows them."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

sys.path.insert(0, str(Path(__file__).parents[2] / "workflows" / "campaign"))
sys.path.insert(0, str(Path(__file__).parents[2] / "store" / "builders"))

from campaign_fixtures import server_uri, surroundings
from screening_helpers import descriptors

from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import LandscapeSettings
from superionic.potentials.ase_calculator import load_ase
from superionic.report.serve.settings import ServeSettings
from superionic.schemas.common import PotentialDocument, Warning_
from superionic.schemas.document import FailureDocument
from superionic.schemas.screen import DescriptorsDocument, LandscapeDocument
from superionic.store.builders.rows import screening_document
from superionic.store.database.stores import Database, DatabaseSpec, ensure_indexes, spec_from_uri
from superionic.store.ranking.policies import ranked

__all__ = ["server_uri", "surroundings"]

N_PLAIN = 70
HOSTILE = "<img src=x onerror=\"document.title='broken'\">\"'&../../etc.cif"
FORMULA_CELL = "=HYPERLINK(A1)"
REAL = "licl"
REAL_WEIGHTS = load_ase("toy_potential.Toy", settings={}).info.weights_sha256
REAL_KEY = f"licl|Li|ase:toy_potential.Toy|{REAL_WEIGHTS[:16]}"
SEEN_BY_A_BROWSER = {"accept": "text/html"}


def plain_rows() -> list[DescriptorsDocument]:
    """Return descriptors with ties, nulls and several groups."""
    made = []
    for i in range(N_PLAIN):
        anion = ("Cl", "S", "O")[i % 3]
        made.append(
            descriptors(
                f"mp-{i:04d}",
                xi=round((i * 37 % 100) / 100, 2),
                mpe_eV=None if i % 11 == 0 else round(0.1 + (i * 53 % 40) / 20, 3),
                formula=f"Li{i % 4 + 1}{anion}",
                elements=sorted({"Li", anion}),
                potential="sevennet:0" if i % 7 == 0 else "chgnet:0.3.0",
                landscape_uuid=None,
            )
        )
    return [DescriptorsDocument.model_validate(one) for one in made]


def hostile_rows() -> list[DescriptorsDocument]:
    """Return descriptors whose names hold markup, paths and formulas of spreadsheets."""
    warning = Warning_(code="<b>bold</b>", text="<script>document.title='broken'</script>")
    marked = {"formula": "<b>LiCl</b>", "warnings": [warning], "landscape_uuid": None}
    hostile = descriptors(HOSTILE, xi=1.0, **marked)
    cell = descriptors(FORMULA_CELL, xi=0.99, formula="LiCl", landscape_uuid=None)
    return [DescriptorsDocument.model_validate(one) for one in (hostile, cell)]


def real_documents() -> tuple[DescriptorsDocument, LandscapeDocument]:
    """Return a crystal's landscape from a toy potential, coarse, and descriptors that name it."""
    crystal = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.1), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ).get_primitive_structure()
    potential = load_ase("toy_potential.Toy", settings={})
    landscape = compute_landscape(crystal, "Li", potential, LandscapeSettings(grid_step_A=0.5))
    shared = {
        "material_id": REAL,
        "formula": "LiCl",
        "task_key": "key of licl",
        "settings": {},
    }
    info = PotentialDocument.from_info(potential.info)
    document = LandscapeDocument.from_landscape(
        landscape, **shared, potential=info, job_uuid="landscape of licl"
    )
    own = {**shared, "potential": info, "landscape_uuid": "landscape of licl", "n_atoms": 2}
    made = descriptors(REAL, xi=0.97, mpe_eV=0.3) | own
    return DescriptorsDocument.model_validate(made), document


def store_landscape(database: Database, landscape: LandscapeDocument) -> None:
    """Write a landscape and its arrays as its job does."""
    output = landscape.model_dump() | {"structure": landscape.structure.as_dict()}
    database.job_store.update(
        {"uuid": landscape.job_uuid, "index": 1, "output": output}, save={"data": ["arrays"]}
    )


def fill(database: Database) -> None:
    """Write the rows and documents of the tests."""
    made, landscape = real_documents()
    outputs = [*plain_rows(), *hostile_rows(), made]
    groups: dict[str, list] = {}
    for output in outputs:
        groups.setdefault(output.potential.label, []).append(screening_document([output]))
    rows = [row for group in groups.values() for row in ranked(group)]
    database.screening.update([row.model_dump() for row in rows], key="key")
    database.job_store.update({"uuid": made.job_uuid, "index": 1, "output": made.model_dump()})
    store_landscape(database, landscape)
    failure = FailureDocument(
        key="broken",
        material_id="broken",
        source="<i>broken.cif</i>",
        code="unreadable_file",
        message="<script>document.title='broken'</script> is no crystal.",
        hint="Look at it.",
        last_updated="2026-01-01T00:00:00+00:00",
    )
    database.failures.update([failure.model_dump()], key="key")


def submit(database: Database) -> None:
    """Write a launchpad with a finished job, a failed one and one that waits."""
    known = database.screening._collection.database
    states = ("COMPLETED", "FIZZLED", "READY")
    known.fw_id_assigner.insert_one({"_id": -1, "next_fw_id": 4, "next_launch_id": 2})
    known.fireworks.insert_many(
        {
            "fw_id": i + 1,
            "name": "landscape",
            "state": state,
            "spec": {"material_id": HOSTILE},
            "launches": [1] if state == "FIZZLED" else [],
        }
        for i, state in enumerate(states)
    )
    known.workflows.insert_one(
        {"nodes": [1, 2, 3], "state": "FIZZLED", "metadata": {"superionic": {"flow": "screen"}}}
    )
    exception = {"_details": {"code": "disorder", "message": "<i>no</i>", "hint": "Look."}}
    known.launches.insert_one(
        {"launch_id": 1, "fw_id": 2, "action": {"stored_data": {"_exception": exception}}}
    )


@pytest.fixture(scope="session")
def spec(server_uri: str) -> Iterator[DatabaseSpec]:
    """Return a database on the local server that holds what tests look at."""
    made = spec_from_uri(server_uri, "serve_tests", source="test")
    with made.open() as database:
        ensure_indexes(database)
        fill(database)
        submit(database)
        yield made


class Served:
    """A server in a thread of its own, on a free port of the loopback."""

    def __init__(self, spec: DatabaseSpec, **settings: object) -> None:
        from superionic.cli.serve import jobs_of
        from superionic.report.serve.app import create_app, listen, make_server

        plain = {"port": 0, "rate_per_s": 1e5, "burst": 1e5}
        self.listener = listen(ServeSettings(**(plain | settings)))
        self.port = self.listener.getsockname()[1]
        own = ServeSettings(**(plain | settings | {"port": self.port}))
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = make_server(create_app(spec, own, jobs_of(spec, own)), own)
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))

    def __enter__(self) -> "Served":
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive(), "the server ended at once"
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture(scope="session")
def served(spec: DatabaseSpec) -> Iterator[Served]:
    with Served(spec) as running:
        yield running


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[Callable]:
    """Return a maker of clients of the application, without a network between.

    It shows the database of the tests unless it is given another one.
    """
    from contextlib import ExitStack

    from starlette.testclient import TestClient

    from superionic.cli.serve import jobs_of
    from superionic.report.serve.app import create_app

    with ExitStack() as stack:

        def make(shown: DatabaseSpec | None = None, **settings: object) -> TestClient:
            shown = shown or request.getfixturevalue("spec")
            plain = {"rate_per_s": 1e5, "burst": 1e5, "connection_timeout_s": 0.3}
            own = ServeSettings(**(plain | settings))
            app = create_app(shown, own, jobs_of(shown, own))
            made = TestClient(
                app,
                base_url="http://127.0.0.1:8000",
                follow_redirects=False,
                raise_server_exceptions=False,
            )
            return stack.enter_context(made)

        yield make
