"""Response times of `superionic serve` with many rows.

    python benchmarks/serve_speed.py [--rows 100000] [--uri mongodb://...] [--write]

Made-up rows of two groups, three quarters of them of one species and potential, are written to a
database of its own on the local server, or on that of --uri, which is dropped at the end (with
--keep it stays in DIRECTORY and is used again). Then the application is asked as a browser would,
in the same process and without a network between; each question is asked anew with other values,
so that no cache answers.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from superionic.schemas.screening import ROW_VERSION, element_sets
from superionic.store.database.server import local_server
from superionic.store.database.stores import (
    DatabaseSpec,
    check_connection,
    ensure_indexes,
    spec_from_uri,
)

ANIONS = ("O", "S", "Se", "F", "Cl", "Br", "I", "N")
CATIONS = ("P", "Si", "Ge", "Al", "Zr", "Ti", "Nb", "Sb", "B", "Y", "In", "Sn")
GROUPS = (("Li", "chgnet:0.3.0", 0.75), ("Na", "chgnet:0.3.0", 0.25))
POLICIES = ("xi", "barrier", "free_volume", "network", "consensus", "calibrated")
CHUNK = 2000
RESULTS = Path(__file__).parent / "results"


def made_up_rows(n: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield rows whose ranks are dense within their group, as the builder leaves them."""
    rng = np.random.default_rng(seed)
    start = 0
    for species, potential, share in GROUPS:
        size = round(n * share)
        yield from _group(rng, species, potential, size, start)
        start += size


def _group(
    rng: np.random.Generator, species: str, potential: str, size: int, start: int
) -> Iterator[dict[str, Any]]:
    barrier = rng.gamma(2.0, 0.6, size)
    xi = np.clip(rng.beta(0.3, 1.2, size), 0, 1)
    slope = rng.normal(-3, 1, size)
    has = {"prediction": rng.random(size) < 0.5, "label": rng.random(size) < 0.01}
    ranks = {name: 1 + rng.permutation(size) for name in POLICIES}
    ranks["xi"] = _rank(-xi)
    ranks["barrier"] = _rank(barrier)
    ranks["network"] = _rank(np.where(has["prediction"], -slope, np.inf))
    choices = rng.integers(0, [len(CATIONS), len(ANIONS), 6, 6], (size, 4))
    for i in range(size):
        cation, anion = CATIONS[choices[i, 0]], ANIONS[choices[i, 1]]
        n1, n2 = int(choices[i, 2]) + 1, int(choices[i, 3]) + 2
        material_id = f"mp-{start + i + 1000}"
        present = ["landscape", *(name for name in has if has[name][i])]
        row: dict[str, Any] = {
            "key": f"{material_id}|{species}|{potential}",
            "schema_version": ROW_VERSION,
            "superionic_version": "0.1.0",
            "material_id": material_id,
            "formula": f"{species}{n1}{cation}{anion}{n2}",
            "elements": sorted({species, cation, anion}),
            "chemical_system": "-".join(sorted({species, cation, anion})),
            "element_sets": element_sets({species, cation, anion}),
            "n_atoms": 4 * (n1 + n2 + 1),
            "n_mobile": 4 * n1,
            "volume_A3": float(60 * (n1 + n2 + 1)),
            "mobile_species": species,
            "potential": potential,
            "potential_weights_sha256": "0" * 64,
            "potential_package_version": "made up",
            "task_key": f"{start + i:064x}",
            "settings": {"landscape": {"grid_step_A": 0.25, "adaptive": None}},
            "source": "made up",
            "relaxed": False,
            "duplicate_of": None,
            "present": present,
            "missing": [name for name in ("prediction", "label") if name not in present]
            + ["validation"],
            "mpe_eV": None if barrier[i] > 4 else float(barrier[i]),
            "barrier_1d_eV": float(0.9 * barrier[i]),
            "barrier_2d_eV": float(1.1 * barrier[i]),
            "barrier_3d_eV": float(1.3 * barrier[i]),
            "fv_connected": float(0.2 * xi[i]),
            "fv_disconnected": float(0.3 * xi[i]),
            "fv_disconnected_2eV": float(0.5 * xi[i]),
            "xi": float(xi[i]),
            "n_evaluations": 900,
            "wall_time_s": 4.0,
            "warnings": [{"code": "made_up", "text": "no such material"}] if i % 50 == 0 else [],
            "n_runs": 1,
            "runs": [
                {
                    "kind": "descriptors",
                    "job_uuid": f"{start + i:036d}",
                    "last_updated": "2026-01-01T00:00:00+00:00",
                    "used": True,
                }
            ],
            "last_updated": f"2026-01-{1 + i % 28:02d}T00:00:{i % 60:02d}+00:00",
            "rank": int(ranks["xi"][i]),
            "ranks": {name: int(values[i]) for name, values in ranks.items()},
            "scores": {"xi": float(xi[i]), "barrier": float(barrier[i])},
        }
        if has["prediction"][i]:
            row["predicted_log10_msd_slope"] = float(slope[i])
        if has["label"][i]:
            row["label_verdict"] = "diffusing" if slope[i] > -3 else "not_diffusing"
            row["msd_slope_A2_per_ps"] = float(10 ** slope[i])
        yield row


def _rank(values: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(values), dtype=int)
    ranks[np.argsort(values, kind="stable")] = np.arange(1, len(values) + 1)
    return ranks


def fill(spec: DatabaseSpec, n: int) -> float:
    """Write the rows; return the time it took, in s."""
    with spec.open() as database:
        ensure_indexes(database)
        rows = database.screening._collection
        if rows.find_one({"rank": 1}) is not None:
            return 0.0
        start, chunk = time.perf_counter(), []
        for row in made_up_rows(n, seed=0):
            chunk.append(row)
            if len(chunk) == CHUNK:
                rows.insert_many(chunk, ordered=False)
                chunk = []
        if chunk:
            rows.insert_many(chunk, ordered=False)
        return time.perf_counter() - start


def questions() -> dict[str, Callable[[int], tuple[str, dict[str, Any]]]]:
    """Return what is asked, with values that differ from one time to the next."""
    both = {"mobile_species": "Li", "potential": "chgnet:0.3.0"}

    def rows(**asked: Any) -> tuple[str, dict[str, Any]]:
        return "/api/rows", {"limit": 50, **asked}

    return {
        "first page by rank (policy by policy)": lambda i: rows(policy=POLICIES[i % 6]),
        "first page by rank, worst first": lambda i: rows(policy=POLICIES[i % 6], descending=True),
        "by barrier": lambda i: rows(sort="mpe_eV", limit=50 - i),
        "by barrier, highest first": lambda i: rows(sort="mpe_eV", descending=True, limit=50 - i),
        "by Xi, one species and potential": lambda i: rows(
            sort="xi", descending=True, limit=50 - i, **both
        ),
        "by formula": lambda i: rows(sort="formula", limit=50 - i),
        "by identifier": lambda i: rows(sort="material_id", limit=50 - i),
        "by time": lambda i: rows(sort="last_updated", descending=True, limit=50 - i),
        "by MSD slope (1 % have one)": lambda i: rows(
            sort="msd_slope_A2_per_ps", descending=True, limit=50 - i
        ),
        "barrier below 0.4 to 0.6 eV": lambda i: rows(max_barrier_eV=0.4 + 0.01 * i),
        "two elements": lambda i: rows(elements=f"Li,{ANIONS[i % 8]}"),
        "three elements": lambda i: rows(elements=f"Li,{CATIONS[i % 12]},{ANIONS[i % 8]}"),
        "with a label (1 %)": lambda i: rows(present="label", limit=50 - i),
        "one formula": lambda i: rows(formula=f"Li{1 + i % 3}{CATIONS[i % 12]}S5"),
        "identifier begins with": lambda i: rows(material_id=f"mp-{50 + i}"),
        "one material": lambda i: (
            "/api/material",
            {"key": f"mp-{5000 + 977 * i}|Li|chgnet:0.3.0"},
        ),
        "where it stands": lambda i: (
            "/api/material/standings",
            {"key": f"mp-{5000 + 977 * i}|Li|chgnet:0.3.0"},
        ),
        "number of rows with two elements": lambda i: (
            "/api/count",
            {"elements": f"Li,{ANIONS[i % 8]}"},
        ),
        "10,000 rows as CSV": lambda i: (
            "/api/rows.csv",
            {"policy": POLICIES[i % 6]},
        ),
        "by 3D barrier": lambda i: rows(sort="barrier_3d_eV", limit=50 - i),
    }


SLOW = ("10,000 rows as CSV",)
"""Questions that are asked once."""


@contextmanager
def database(uri: str | None, keep: Path | None) -> Iterator[DatabaseSpec]:
    name = "superionic_serve_speed"
    if uri is not None:
        spec = spec_from_uri(uri, name, source="--uri")
        check_connection(spec)
        yield spec
        if keep is None:
            with spec.open() as opened:
                opened.screening._collection.database.client.drop_database(name)
        return
    with tempfile.TemporaryDirectory() as folder, local_server(keep or Path(folder)) as address:
        yield spec_from_uri(address, name, source="local server")


def server_of(spec: DatabaseSpec) -> int:
    """Return the process that listens on the port of the local server."""
    port = int(spec.description.split("/")[0].rpartition(":")[2])
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if (
            str(port) in words
            and "--port" in words
            and "superionic.store.database.keeper" not in words
        ):
            return process.pid
    raise RuntimeError(f"Nothing listens on {port}.")


class Clock:
    """Wall time, and time of the processors in this process and in that of the local server."""

    def __init__(self, server: psutil.Process | None) -> None:
        self.server = server
        self.start = self._now()

    def _now(self) -> tuple[float, float]:
        times = [] if self.server is None else list(self.server.cpu_times()[:2])
        return time.perf_counter(), time.process_time() + sum(times)

    def passed_ms(self) -> tuple[float, float]:
        now = self._now()
        return 1000 * (now[0] - self.start[0]), 1000 * (now[1] - self.start[1])


def measure(spec: DatabaseSpec, n_times: int, server: psutil.Process | None) -> dict[str, Any]:
    from starlette.testclient import TestClient

    from superionic.cli.serve import jobs_of
    from superionic.report.serve.app import create_app
    from superionic.report.serve.settings import ServeSettings

    settings = ServeSettings(port=80, rate_per_s=1e6, burst=1e6)
    results: dict[str, Any] = {}
    app = create_app(spec, settings, jobs_of(spec, settings))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        clock = Clock(server)
        client.get("/api/about").raise_for_status()
        first = "first request of all: opening, and a look at the collection"
        results[first] = summary([clock.passed_ms()])

        def ask(path: str, asked: dict[str, Any]) -> tuple[float, float] | None:
            clock = Clock(server)
            answer = client.get(path, params=asked)
            elapsed = clock.passed_ms()
            assert answer.status_code in (200, 503), answer.text[:300]
            return elapsed if answer.status_code == 200 else None

        for name, question in questions().items():
            asked = [ask(*question(i)) for i in range(1 if name in SLOW else n_times)]
            answered = [one for one in asked if one is not None]
            results[name] = summary(answered) if answered else {"n": 0}
            if len(answered) < len(asked):
                results[name]["no_answer_in_20_s"] = len(asked) - len(answered)
            print(f"{name:60s} {results[name]}", flush=True)
        cursor, times = None, []
        for _ in range(100):
            asked = {"sort": "mpe_eV", "limit": 200, **({"after": cursor} if cursor else {})}
            clock = Clock(server)
            page = client.get("/api/rows", params=asked).json()
            times.append(clock.passed_ms())
            cursor = page["meta"]["next"]
        results["100 pages of 200 rows by barrier: the first ten"] = summary(times[:10])
        results["100 pages of 200 rows by barrier: the last ten"] = summary(times[-10:])
    return results


def summary(times_ms: list[tuple[float, float]]) -> dict[str, Any]:
    wall, processors = zip(*times_ms, strict=True)
    return {
        "median_ms": round(statistics.median(wall), 1),
        "largest_ms": round(max(wall), 1),
        "median_cpu_ms": round(statistics.median(processors), 1),
        "n": len(times_ms),
    }


def table(results: dict[str, Any]) -> str:
    """Return results as a Markdown table."""
    lines = [
        "| question | wall time, median (ms) | wall time, largest (ms) | processors, median (ms) |",
        "| --- | --- | --- | --- |",
    ]
    for name, one in results.items():
        if one["n"]:
            numbers = (one["median_ms"], one["largest_ms"], one["median_cpu_ms"])
            cells = [f"{number:,.0f}" for number in numbers]
        else:
            cells = ["none in 20 s", "", ""]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=12)
    parser.add_argument("--uri")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY")
    parser.add_argument("--write", action="store_true", help="keep the results")
    asked = parser.parse_args()
    with database(asked.uri, asked.keep) as spec:
        filling_s = fill(spec, asked.rows)
        with spec.open() as opened:
            server = opened.screening._collection.database.client.server_info()
        pid = None if asked.uri else server_of(spec)
        results = measure(spec, asked.times, None if pid is None else psutil.Process(pid))
    content = {
        "n_rows": asked.rows,
        "server": "of --uri" if asked.uri else "local server",
        "server_version": server.get("version"),
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 1),
        "date": datetime.now(UTC).date().isoformat(),
        "filling_s": round(filling_s, 1),
        "results": results,
    }
    print(table(results))
    if asked.write:
        (RESULTS / "serve_speed.json").write_text(json.dumps(content, indent=1) + "\n")
        (RESULTS / "serve_speed.md").write_text(table(results) + "\n")


if __name__ == "__main__":
    main()
