"""A local HTTP server that answers like the Materials Project's API, and misbehaves on demand."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from pymatgen.core import Structure

EXAMPLES = Path(__file__).parents[2] / "workflows" / "example_crystals"
KEY = "k" * 32
VERSION = "2025.09.25"


class Api:
    """What the server says; ``faults`` are used up first, one a request."""

    def __init__(self, documents, late_s=0.0):
        self.documents = documents
        self.faults = []
        self.late_s = late_s
        self.version = VERSION
        self.requests = []
        self.paths = ()

    def answer(self, path, parameters, headers):
        if path == "/heartbeat":
            beat = {"status": "OK", "version": "0.86.0", "db_version": self.version}
            return 200, beat | {"access_controlled_batch_ids": ["gnome_r2scan_statics"]}
        if headers.get("x-api-key") != KEY:
            return 401, {"message": "No API key found in request"}
        if path != "/materials/summary/":
            return 404, {"detail": "Not Found"}
        return self.summaries(parameters)

    def summaries(self, parameters):
        known = {"_page", "_per_page", "_limit", "_fields", "_sort_fields", "_all_fields"}
        known |= {"elements", "chemsys", "band_gap_min", "energy_above_hull_max", "material_ids"}
        if unknown := set(parameters) - known - {"deprecated", "batch_id_not_eq"}:
            detail = f"Request contains query parameters which cannot be used: {sorted(unknown)}"
            return 400, {"detail": detail}
        found = [d for d in self.documents if _matches(d, parameters)]
        if parameters.get("_sort_fields"):
            found.sort(key=lambda d: d[parameters["_sort_fields"]])
        if "_page" in parameters:
            size = int(parameters.get("_per_page", 100))
            first = (int(parameters["_page"]) - 1) * size
        else:
            size, first = int(parameters.get("_limit", 100)), 0
        fields = parameters["_fields"].split(",")
        data = [{k: d[k] for k in fields if k in d} for d in found[first : first + size]]
        meta = {"api_version": "0.86.0", "time_stamp": "2025-10-01T12:00:00.000000"}
        meta |= {"total_doc": len(found), "max_limit": 1000, "default_fields": ["material_id"]}
        return 200, {"data": data, "meta": meta}


def _matches(document, parameters):
    wanted = parameters.get("material_ids")
    if wanted and document["material_id"] not in wanted.split(","):
        return False
    elements = set(document["chemsys"].split("-"))
    return (
        set(filter(None, parameters.get("elements", "").split(","))) <= elements
        and document["chemsys"] in parameters.get("chemsys", document["chemsys"]).split(",")
        and document["band_gap"] >= float(parameters.get("band_gap_min", 0))
        and document["energy_above_hull"] <= float(parameters.get("energy_above_hull_max", 9))
    )


def summary_documents():
    """Return the example crystals as the API gives them; gaps and hull energies are made up."""
    documents = []
    for i, file in enumerate(sorted(EXAMPLES.glob("mp-*.cif"))):
        structure = Structure.from_file(file)
        structure.add_site_property("magmom", [0.0] * len(structure))
        composition = structure.composition
        number = structure.get_space_group_info()[1]
        documents.append(
            {
                "material_id": file.stem,
                "formula_pretty": composition.reduced_formula,
                "formula_anonymous": composition.anonymized_formula,
                "chemsys": composition.chemical_system,
                "nsites": len(structure),
                "structure": structure.as_dict(),
                "symmetry": {
                    "crystal_system": "Cubic",
                    "symbol": structure.get_space_group_info()[0],
                    "number": number,
                    "point_group": "m-3m",
                    "symprec": 0.1,
                    "version": "2.5.0",
                },
                "band_gap": 0.25 * i,
                "energy_above_hull": 0.01 * i,
                "theoretical": i % 2 == 0,
                "deprecated": False,
                "builder_meta": {"emmet_version": "0.86.0", "license": "BY-C"},
                "last_updated": {"$date": "2025-09-20T10:00:00Z"},
            }
        )
    return documents


@contextmanager
def serving(api):
    """Serve an API on a loopback port; give its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            url = urlsplit(self.path)
            api.requests.append(self.path)
            counted = not api.paths or url.path in api.paths
            fault = api.faults.pop(0) if api.faults and counted else None
            if fault == "late":
                time.sleep(api.late_s)
            if isinstance(fault, tuple):
                self.send(fault[0], {"detail": "busy"}, fault[1])
                return
            status, content = api.answer(url.path, dict(parse_qsl(url.query)), self.headers)
            self.send(status, content, {}, cut=fault == "cut", mute=fault == "mute")

        def send(self, status, content, headers, cut=False, mute=False):
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            if mute:  # no status line at all
                self.connection.close()
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body[: len(body) // 2] if cut else body)
            except OSError:  # the client gave up on a late answer
                self.close_connection = True
            if cut:
                self.wfile.flush()
                self.close_connection = True

        def log_message(self, *arguments):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
