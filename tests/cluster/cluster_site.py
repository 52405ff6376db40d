"""A site for tests: a database server with authentication, configuration files, workers."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import yaml
from pymatgen.core import Lattice, Structure
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from superionic.cluster.recovery import Recovery, recover
from superionic.cluster.repair import failed_jobs, rerun
from superionic.cluster.retry import RetryPolicy
from superionic.cluster.site import Site as OpenSite
from superionic.cluster.site import read_launchpad
from superionic.cluster.spool import Spool
from superionic.cluster.status import read_status
from superionic.cluster.submit import Submission, submit
from superionic.schemas.jobs import JobsStatus
from superionic.store.database.programs import find_program
from superionic.store.database.stores import ensure_indexes, spec_from_uri
from superionic.workflows.campaign.definition import read_campaign
from zygote import Forked, Zygote

TESTS = Path(__file__).parents[1]
# The environment need not be activated: its programs are not on PATH then.
PROGRAMS = Path(sys.executable).parent
TEST_MONGO_URI = os.environ.get("SUPERIONIC_TEST_MONGO_URI", "")
"""A running server, with the rights to make users and databases; else one is started."""

# On a server that is not ours, nothing that could be somebody's.
_SUFFIX = f"_test_{os.getpid()}" if TEST_MONGO_URI else ""
USER, PASSWORD = f"operator{_SUFFIX}", "k3ep-th1s_secret"
READER = f"reader{_SUFFIX}"
DATABASE = f"campaign{_SUFFIX}"
_DATABASES = [f"{DATABASE}{i}" for i in ("", *range(50))]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_users(client: MongoClient) -> None:
    roles = [{"role": "readWrite", "db": name} for name in _DATABASES]
    client.admin.command("createUser", USER, pwd=PASSWORD, roles=roles)
    roles = [{"role": "read", "db": DATABASE}]
    client.admin.command("createUser", READER, pwd=PASSWORD, roles=roles)


class Server:
    """A database server on 127.0.0.1 that wants a password; it can be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.host, self.port = "127.0.0.1", free_port()
        directory.mkdir(parents=True, exist_ok=True)
        self.engine = find_program(directory)
        self.process: subprocess.Popen | None = None
        self._start(auth=False)
        client = MongoClient("127.0.0.1", self.port, serverSelectionTimeoutMS=30_000)
        make_users(client)
        client.close()
        self.kill()
        self.start()

    def uri(self, user: str = USER, password: str = PASSWORD) -> str:
        return f"mongodb://{user}:{password}@127.0.0.1:{self.port}/?authSource=admin"

    def start(self) -> None:
        self._start(auth=True)
        client = MongoClient(self.uri(), serverSelectionTimeoutMS=30_000)
        deadline = time.monotonic() + 30
        while True:
            try:
                client[DATABASE].anything.find_one({})
                break
            except PyMongoError:
                assert time.monotonic() < deadline, (self.directory / "log").read_text()[-2000:]
                time.sleep(0.1)
        client.close()

    def _start(self, *, auth: bool) -> None:
        self.engine.prepare_storage()
        with (self.directory / "log").open("ab") as log:
            command = self.engine.command(self.port) + (["--auth"] if auth else [])
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def database(self, name: str = DATABASE) -> Any:
        return MongoClient(self.uri(), serverSelectionTimeoutMS=30_000)[name]


class NamedServer:
    """A server that runs already; tests that kill theirs are skipped."""

    def __init__(self, uri: str) -> None:
        self.client: MongoClient = MongoClient(uri, serverSelectionTimeoutMS=10_000)
        make_users(self.client)
        self.host, self.port = self.client.address
        given = urlsplit(uri)
        self._hosts = given.netloc.rpartition("@")[2]
        self._options = [o for o in parse_qsl(given.query) if o[0].lower() != "authsource"]

    def uri(self, user: str = USER, password: str = PASSWORD) -> str:
        options = urlencode([*self._options, ("authSource", "admin")])
        return f"mongodb://{user}:{password}@{self._hosts}/?{options}"

    def database(self, name: str = DATABASE) -> Any:
        return MongoClient(self.uri(), serverSelectionTimeoutMS=30_000)[name]

    def start(self) -> None:
        """Do nothing: it runs."""

    def kill(self) -> None:
        pytest.skip("The server of SUPERIONIC_TEST_MONGO_URI is not ours to kill.")

    def leave(self) -> None:
        for user in (USER, READER):
            self.client.admin.command("dropUser", user)
        for name in _DATABASES:
            self.client.drop_database(name)
        self.client.close()


class Site:
    """A folder with configuration files, and the commands that use them."""

    def __init__(
        self,
        server: Server | NamedServer,
        folder: Path,
        database: str = DATABASE,
        zygote: Zygote | None = None,
    ) -> None:
        self.zygote = zygote
        self.server = server
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self.database_name = database
        self.write(server.uri(), database)
        self.workers: list[subprocess.Popen | Forked] = []

    def write(self, uri: str, database: str) -> None:
        launchpad = {"host": uri, "uri_mode": True, "name": database}
        self.launchpad_file.write_text(yaml.safe_dump(launchpad))
        docs = {"type": "MongoStore", "uri": uri, "database": database}
        data = {"type": "GridFSStore", "uri": uri, "database": database}
        store = {
            "docs_store": {**docs, "collection_name": "outputs"},
            "additional_stores": {"data": {**data, "collection_name": "outputs_blobs"}},
        }
        self.jobflow_file.write_text(yaml.safe_dump({"JOB_STORE": store}))

    @property
    def launchpad_file(self) -> Path:
        return self.folder / "my_launchpad.yaml"

    @property
    def jobflow_file(self) -> Path:
        return self.folder / "jobflow.yaml"

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SUPERIONIC_", "JOBFLOW"))}
        cache = os.environ.get("SUPERIONIC_CACHE_DIR", str(self.folder / "cache"))
        return {
            **kept,
            "HOME": str(self.folder),
            "JOBFLOW_CONFIG_FILE": str(self.jobflow_file),
            "SUPERIONIC_CONFIG_FILE": str(self.folder / "superionic.yaml"),
            "SUPERIONIC_DATA_DIR": str(self.folder / "data"),
            "SUPERIONIC_CACHE_DIR": cache,
            "OMP_NUM_THREADS": "1",
            "SUPERIONIC_CALCULATORS": "cluster_toy",
            "PYTHONPATH": os.pathsep.join([str(TESTS / "cluster"), kept.get("PYTHONPATH", "")]),
        }

    def command(self, *arguments: str) -> list[str]:
        start = "from superionic.cli import main; main()"
        return [sys.executable, "-c", start, *arguments]

    def run(self, *arguments: str, timeout: float = 300, env: dict[str, str] | None = None) -> Any:
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**self.environment, **(env or {})},
            cwd=self.folder,
            check=False,
        )
        with self.log.open("a") as log:
            log.write(f"$ {arguments}\n{done.stdout}{done.stderr}\n")
        return done

    def ok(self, *arguments: str, timeout: float = 300) -> str:
        done = self.run(*arguments, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def forked(self, zygote: Zygote, *arguments: str, code: int = 0) -> str:
        """Run a command without the time that it takes to start; return what it says."""
        n_before = len(self.log_text()) if self.log.exists() else 0
        done = zygote.start(list(arguments), self.environment, self.folder, self.log)
        ended, said = done.wait(120), self.log_text()[n_before:]
        assert ended == code, said
        return said

    def worker(self, *options: str, env: dict[str, str] | None = None) -> subprocess.Popen | Forked:
        """Start a worker: forked where there is a zygote, else as the command that it is."""
        arguments = ["worker", "-l", str(self.launchpad_file), *options]
        environment = {**self.environment, **(env or {})}
        process: subprocess.Popen | Forked
        if self.zygote is not None:
            process = self.zygote.start(arguments, environment, self.folder, self.log)
        else:
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    self.command(*arguments),
                    stdout=log,
                    stderr=log,
                    env=environment,
                    cwd=self.folder,
                    start_new_session=True,
                )
        self.workers.append(process)
        return process

    def kill_worker(self, process: subprocess.Popen | Forked) -> None:
        """Kill a worker with all its processes, as a node that loses power does."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        for process in self.workers:
            if process.poll() is None:
                self.kill_worker(process)

    @contextmanager
    def opened(self):
        """The site in this process."""
        spec = spec_from_uri(self.server.uri(), self.database_name, source="test")
        launchpad_spec = read_launchpad(self.launchpad_file)
        launchpad = launchpad_spec.open(RetryPolicy(60))
        with spec.open() as database:
            ensure_indexes(database)
            yield OpenSite(database, launchpad, launchpad_spec)
        launchpad.client.close()

    @property
    def spool(self) -> Spool:
        return Spool(self.folder / "data" / "spool")

    def submit(self, campaign_file: Path) -> Submission:
        # The crystals of these tests differ by little.
        wanted = read_campaign(campaign_file).model_copy(update={"every_copy": True})
        with self.opened() as site:
            site.launchpad.prepare()
            return submit(wanted, site, "none")

    def recover(self, settle_s: float = 1.0) -> Recovery:
        with self.opened() as site:
            return recover(site.database, site.launchpad, self.spool, settle_s=settle_s)

    def rerun(self, *causes: str) -> int:
        with self.opened() as site:
            return rerun(site.launchpad, failed_jobs(site.launchpad, causes))

    def status(self, campaign: str | None = None) -> JobsStatus:
        with self.opened() as site:
            return read_status(site.launchpad, campaign)

    def database(self) -> Any:
        return self.server.database(self.database_name)

    def states(self) -> dict[str, int]:
        rows = self.database().fireworks.aggregate(
            [{"$group": {"_id": "$state", "n": {"$sum": 1}}}]
        )
        return {row["_id"]: row["n"] for row in rows}

    def log_text(self) -> str:
        return self.log.read_text()


@contextmanager
def server_at(directory: Path):
    """A server with files in this folder, or the one that the environment names."""
    if TEST_MONGO_URI:
        named = NamedServer(TEST_MONGO_URI)
        try:
            yield named
        finally:
            named.leave()
        return
    server = Server(directory)
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


def write_crystals(path: Path, n: int, *, anions: str = "Cl", prefix: str = "salt") -> None:
    """Write n rock salts that differ in their lattice constant, as JSON lines."""
    with path.open("w") as file:
        for i in range(n):
            lattice = Lattice.from_parameters(*[3.4 + 0.0007 * i] * 3, 60, 60, 60)
            crystal = Structure(lattice, ["Li", anions], [[0, 0, 0], [0.5, 0.5, 0.5]])
            record = {"material_id": f"{prefix}-{i}", "structure": crystal.as_dict()}
            file.write(json.dumps(record) + "\n")


def campaign(folder: Path, crystals: Path, potential: str, **fields: Any) -> Path:
    path = folder / "campaign.yaml"
    content = {
        "crystals": [str(crystals)],
        "potential": potential,
        "settings": {
            "landscape_maker.settings.grid_step_A": 1.3,
            "relax_maker": None,
        },
        **fields,
    }
    path.write_text(yaml.safe_dump(content))
    return path
