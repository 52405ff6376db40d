"""What the engine costs: submission, launching, building, and queries, as collections grow.

    python benchmarks/cluster_overhead.py submit 100 1000 10000
    python benchmarks/cluster_overhead.py launch --materials 60 --workers 1 2 4
    python benchmarks/cluster_overhead.py fireworks --jobs 100
    python benchmarks/cluster_overhead.py screening 100 1000 10000
    python benchmarks/cluster_overhead.py query 100000

Each starts the local server in a new directory, or uses the server of --uri (a database with a
random name there, removed at the end). The potential is a cheap one, so that the engine is what is
measured. One JSON line a measurement.
"""

import argparse
import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from pymatgen.core import Lattice, Structure

POTENTIAL = 'ase:ase.calculators.lj.LennardJones?{"sigma": 1.4, "epsilon": 0.01, "rc": 4.0}'


def report(name: str, **numbers) -> None:
    print(json.dumps({"measurement": name, **numbers}), flush=True)


@contextmanager
def server(uri: str | None):
    """Yield the URI of a server and the name of an empty database on it."""
    from pymongo import MongoClient

    from superionic.store.database.server import local_server

    name = f"superionic_bench_{secrets.token_hex(4)}"
    if uri is not None:
        try:
            yield uri, name
        finally:
            MongoClient(uri).drop_database(name)
        return
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        local_server(Path(folder) / "data") as found,
    ):
        yield found, name


@contextmanager
def site(uri: str | None):
    from superionic.cluster.retry import RetryPolicy
    from superionic.cluster.site import Site, launchpad_in
    from superionic.store.database.stores import ensure_indexes, spec_from_uri

    with server(uri) as (found, name):
        spec = spec_from_uri(found, name, source="benchmark")
        with spec.open() as database:
            ensure_indexes(database)
            launchpad_spec = launchpad_in(spec)
            launchpad = launchpad_spec.open(RetryPolicy(60))
            launchpad.prepare()
            yield Site(database, launchpad, launchpad_spec)


def crystals(n: int, start: int = 0):
    from superionic.structures.candidate import Candidate

    for i in range(start, start + n):
        lattice = Lattice.from_parameters(*[3.4 + 1e-5 * i] * 3, 60, 60, 60)
        structure = Structure(lattice, ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        yield Candidate(f"salt-{i}", structure)


def campaign(found=()):
    from superionic.workflows.campaign.definition import Campaign

    return Campaign(
        crystals=list(found),
        every_copy=True,
        potential=POTENTIAL,
        settings={"landscape_maker.settings.grid_step_A": 1.6, "relax_maker": None},
    )


def fill(opened, n: int, start: int = 0):
    from superionic.cluster.submit import submit

    return submit(campaign(crystals(n, start)), opened, POTENTIAL)


def measure_submit(args) -> None:
    """Time of submission, and of what workers and users do, in launchpads of growing size."""
    from fireworks import FWorker

    from superionic.cluster.status import read_status

    with site(args.uri) as opened, tempfile.TemporaryDirectory() as folder:
        done = 0
        for n in args.sizes:
            start = time.perf_counter()
            result = fill(opened, n - done, done)
            took_s = time.perf_counter() - start
            again_s = timed(lambda: fill(opened, 100), 1)
            report(
                "submit",
                materials=n,
                new=result.n_submitted,
                seconds=round(took_s, 2),
                ms_per_material=round(1e3 * took_s / max(1, result.n_submitted), 2),
                ms_per_known_material=round(1e3 * again_s / 100, 2),
                max_rss_MB=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
            )
            status_s = timed(lambda: read_status(opened.launchpad), 1)
            report("status", materials=n, seconds=round(status_s, 2))
            fworker = FWorker("x")
            first_s = timed(partial(opened.launchpad.checkout_fw, fworker, folder), 1)
            next_s = timed(partial(opened.launchpad.checkout_fw, fworker, folder), 9)
            report(
                "checkout",
                materials=n,
                checkout_ms=round(1e3 * next_s, 1),
                look_at_queue_ms=round(1e3 * (first_s - next_s), 1),
            )
            done = n


def timed(call, repeat: int) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def measure_launch(args) -> None:
    """Jobs a second with a number of processes, and what a job costs beside its own work."""
    for n_workers in args.workers:
        with site(args.uri) as opened, tempfile.TemporaryDirectory() as folder:
            fill(opened, args.materials)
            environment = {
                **os.environ,
                "SUPERIONIC_DATABASE_URI": opened.launchpad_spec.settings["host"],
                "SUPERIONIC_DATABASE_NAME": opened.launchpad.name,
                "SUPERIONIC_DATA_DIR": folder,
                "OMP_NUM_THREADS": "1",
            }
            code = "from superionic.cli import main; main()"
            command = [sys.executable, "-c", code, "worker", "-n", str(n_workers)]
            subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
            launches = list(opened.launchpad.db.launches.find({"state": "COMPLETED"}))
            starts = sorted(str(one["time_start"]) for one in launches)
            ends = sorted(str(one["time_end"]) for one in launches)
            from datetime import datetime

            span_s = (
                datetime.fromisoformat(ends[-1]) - datetime.fromisoformat(starts[0])
            ).total_seconds()
            works = opened.database.job_store.docs_store.query({}, ["output.wall_time_s"])
            work_s = sum(row["output"]["wall_time_s"] for row in works)
            report(
                "launch",
                processes=n_workers,
                jobs=len(launches),
                seconds=round(span_s, 2),
                jobs_per_s=round(len(launches) / span_s, 2),
                overhead_ms_per_job=round(
                    1e3 * (span_s * n_workers - work_s) / max(1, len(launches)), 1
                ),
                work_ms_per_job=round(1e3 * work_s / max(1, len(launches)), 1),
            )


def measure_fireworks(args) -> None:
    """FireWorks' own cost of a job that does nothing: add, launch, in chains of three."""
    import fireworks.core.rocket as rocket
    from fireworks import Firework, FWorker, LaunchPad, PyTask, Workflow
    from fireworks.core.rocket_launcher import rapidfire

    rocket.ROCKET_STREAM_LOGLEVEL = "CRITICAL"
    with server(args.uri) as (uri, name), tempfile.TemporaryDirectory() as folder:
        launchpad = LaunchPad(host=uri, uri_mode=True, name=name, strm_lvl="CRITICAL")
        launchpad.reset("", require_password=False)
        start = time.perf_counter()
        for _ in range(args.jobs // 3):
            chain = []
            for _ in range(3):
                task = PyTask(func="time.time")
                chain.append(Firework(task, parents=chain[-1:] or None))
            launchpad.add_wf(Workflow(chain))
        added_s = time.perf_counter() - start
        os.chdir(folder)
        start = time.perf_counter()
        rapidfire(launchpad, FWorker(), nlaunches=0, strm_lvl="CRITICAL")
        took_s = time.perf_counter() - start
        os.chdir("/")
        n = launchpad.fireworks.count_documents({"state": "COMPLETED"})
        report(
            "fireworks alone",
            jobs=n,
            add_ms_per_job=round(1e3 * added_s / n, 1),
            launch_ms_per_job=round(1e3 * took_s / n, 1),
        )


def descriptors_output(i: int, rng: np.random.Generator) -> dict:
    """Return a job document such as the descriptors job writes, with made-up numbers."""
    from superionic.schemas.common import PotentialDocument, utc_now
    from superionic.schemas.screen import DescriptorsDocument

    elements = [["Li", "Cl"], ["Li", "O", "P"], ["Li", "S", "Ge", "P"]][i % 3]
    many = [float(x) for x in rng.random(20)]
    document = DescriptorsDocument(
        material_id=f"synthetic-{i}",
        formula="".join(elements),
        mobile_species="Li",
        task_key=f"{i:064x}",
        settings={
            "landscape": {"grid_step_A": 0.25},
            "descriptors": {"thresholds_eV": [round(0.05 * k, 2) for k in range(1, 21)]},
        },
        wall_time_s=1.0,
        n_evaluations=1000,
        potential=PotentialDocument(
            family="ase", name="made.up", package_version="1", weights_sha256="0" * 64
        ),
        n_atoms=20,
        n_mobile=8,
        elements=sorted(elements),
        chemical_system="-".join(sorted(elements)),
        volume_A3=200.0,
        relaxed=False,
        mpe_eV=float(rng.random()),
        mobile_sites=list(range(8)),
        mpe_per_ion_eV=many[:8],
        barrier_1d_eV=many[0],
        barrier_2d_eV=many[1],
        barrier_3d_eV=many[2],
        fv_connected=many[3],
        fv_disconnected=many[4],
        xi=float(rng.random()),
        thresholds_eV=many[:16],
        fv_connected_union=many[:16],
        fv_connected_sum=many[:16],
        fv_disconnected_union=many[:16],
        fv_disconnected_sum=many[:16],
        free_volume_A3_per_ion=many[:16],
        landscape_uuid=f"landscape-{i}",
        total_wall_time_s=3.0,
        job_uuid=f"descriptors-{i}",
        last_updated=utc_now(),
    )
    return document.model_dump()


def measure_screening(args) -> None:
    """Time of building and re-building the screening collection as it grows."""
    from bson import BSON
    from monty.json import jsanitize

    from superionic.store.builders.build import build_screening

    rng = np.random.default_rng(0)
    with site(args.uri) as opened:
        outputs = opened.database.job_store.docs_store._collection
        done = 0
        for n in args.sizes:
            for start in range(done, n, 500):
                rows = []
                for i in range(start, min(start + 500, n)):
                    output = jsanitize(descriptors_output(i, rng), allow_bson=True)
                    rows.append(
                        {"uuid": output["job_uuid"], "index": 1, "name": "d", "output": output}
                    )
                outputs.insert_many(rows)
            start = time.perf_counter()
            first = build_screening(opened.database)
            first_s = time.perf_counter() - start
            idle_s = timed(lambda: build_screening(opened.database), 1)
            report(
                "screening",
                materials=n,
                new=n - done,
                rows=first.n_rows,
                build_s=round(first_s, 2),
                ms_per_new_material=round(1e3 * first_s / (n - done), 2),
                nothing_new_s=round(idle_s, 3),
                bytes_per_output=len(BSON.encode(rows[0])),
                bytes_per_row=len(BSON.encode(opened.database.screening.query_one({}))),
            )
            done = n


def measure_query(args) -> None:
    """Time of the first page of queries of a large screening collection."""
    from superionic.schemas.indexes import POLICY_NAMES
    from superionic.schemas.screen import DescriptorsDocument
    from superionic.store.builders.rows import screening_document

    rng = np.random.default_rng(0)
    with site(args.uri) as opened:
        screening = opened.database.screening
        ranks = {name: rng.permutation(args.documents) + 1 for name in POLICY_NAMES}
        formulas = [f"Li{i}Cl" for i in range(2000)]
        for start in range(0, args.documents, 1000):
            rows = []
            for i in range(start, min(start + 1000, args.documents)):
                run = DescriptorsDocument.model_validate(descriptors_output(i, rng))
                row = screening_document([run]).model_dump()
                by_policy = {name: int(found[i]) for name, found in ranks.items()}
                own = {"rank": by_policy["xi"], "ranks": by_policy, "formula": formulas[i % 2000]}
                if i % 100 == 0:
                    own |= {"present": ["landscape", "label"], "label_verdict": "diffusing"}
                rows.append(row | own)
            screening._collection.insert_many(rows)
        measure_first_pages(screening, args.documents)
        collection = screening._collection
        host, port = collection.database.client.address
        uri = args.uri or f"mongodb://{host}:{port}/?directConnection=true"
        measure_commands(uri, collection.database.name, args.documents)


def measure_first_pages(screening, n: int) -> None:
    """Time of the first 20 rows, in this process."""
    from superionic.store.collection.rows import query_screening

    queries = {
        "first by rank": {},
        "first by consensus": {"sort": "ranks.consensus"},
        "first by consensus, one species and potential": {
            "sort": "ranks.consensus",
            "mobile_species": "Li",
            "potential": "ase:made.up",
        },
        "first with a label": {"present": ["landscape", "label"]},
        "barrier below 0.01 eV": {"max_barrier_eV": 0.01},
        "barrier below 0.9 eV": {"max_barrier_eV": 0.9},
        "one formula": {"formula": "Li77Cl"},
        "elements Li and Ge": {"elements": ["Li", "Ge"]},
        "one species and potential": {"mobile_species": "Li", "potential": "ase:made.up"},
        "largest Xi": {"sort": "-xi", "mobile_species": "Li", "potential": "ase:made.up"},
        "lowest barrier": {
            "sort": "mpe_eV",
            "mobile_species": "Li",
            "potential": "ase:made.up",
        },
    }
    for name, options in queries.items():
        took_s = timed(lambda o=options: query_screening(screening, limit=20, **o), 3)
        report("query", documents=n, query=name, ms=round(1e3 * took_s, 1))


def measure_commands(uri: str, name: str, n: int) -> None:
    """Time until commands print their first row, beside that of their imports; memory at the end.

    What prints all rows is stopped after the first ones.
    """
    environment = {
        **os.environ,
        "SUPERIONIC_DATABASE_URI": uri,
        "SUPERIONIC_DATABASE_NAME": name,
    }
    start = "from superionic.cli import main; main()"
    imports = "import superionic.cli.app, superionic.query, superionic.report.tables.ranking"
    commands = {
        "query": ["query"],
        "query --sort mpe_eV": ["query", "--sort", "mpe_eV"],
        "query --sort xi --descending": ["query", "--sort", "xi", "--descending"],
        "query --sort formula": ["query", "--sort", "formula"],
        "query --sort msd_slope_A2_per_ps": ["query", "--sort", "msd_slope_A2_per_ps"],
        "query --sort mpe_eV -f csv": ["query", "--sort", "mpe_eV", "-f", "csv"],
        "explain": ["explain", f"synthetic-{n // 2}"],
    }
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", imports], env=environment, check=True)
    imports_s = time.perf_counter() - began
    for command, words in commands.items():
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", start, *words],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        process.stdout.readline()  # the heads
        process.stdout.readline()
        first_s = time.perf_counter() - began
        if words[0] == "explain":
            process.stdout.read()
        else:
            process.kill()
        *_, usage = os.wait4(process.pid, 0)
        process.stdout.close()
        report(
            "command",
            documents=n,
            command=command,
            first_row_s=round(first_s, 2),
            of_that_imports_s=round(imports_s, 2),
            cpu_s=round(usage.ru_utime + usage.ru_stime, 2),
            max_rss_MB=round(usage.ru_maxrss / 1e3),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--uri", help="MongoDB URI of a server to measure")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("submit")
    command.add_argument("sizes", type=int, nargs="+")
    command.set_defaults(run=measure_submit)
    command = commands.add_parser("launch")
    command.add_argument("--materials", type=int, default=60)
    command.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    command.set_defaults(run=measure_launch)
    command = commands.add_parser("fireworks")
    command.add_argument("--jobs", type=int, default=99)
    command.set_defaults(run=measure_fireworks)
    command = commands.add_parser("screening")
    command.add_argument("sizes", type=int, nargs="+")
    command.set_defaults(run=measure_screening)
    command = commands.add_parser("query")
    command.add_argument("documents", type=int)
    command.set_defaults(run=measure_query)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
