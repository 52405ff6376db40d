"""OPTIMADE: against the reference server, filled with crystals of ours, and one that misbehaves."""

import json
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
import requests
from faulty_server import EXAMPLES, Api, serving
from pymatgen.core import Structure

pytest.importorskip("optimade.client", reason="the extra 'optimade' is not installed")
pytest.importorskip("uvicorn", reason="the server of optimade-python-tools is not installed")

from optimade.adapters.structures.pymatgen import from_pymatgen

from superionic.errors import FetchError, InputError, SettingsError
from superionic.structures import prepare, read_candidates
from superionic.structures.sources.download import download
from superionic.structures.sources.http import RequestPolicy
from superionic.structures.sources.optimade import Optimade, structure_of

QUICK = RequestPolicy(connect_s=2, read_s=10, attempts=4, first_wait_s=0.01, longest_wait_s=2)
LITHIUM = 'elements HAS "Li"'

CRYSTALS = {p.stem: Structure.from_file(p) for p in sorted(EXAMPLES.glob("mp-*.cif"))}
CRYSTALS["salt"] = Structure.from_spacegroup(
    "Fm-3m", [[5.64, 0, 0], [0, 5.64, 0], [0, 0, 5.64]], ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)


def entry(name, attributes):
    return {"type": "structures", "id": name, "attributes": attributes}


def attributes_of(structure):
    attributes = from_pymatgen(structure).model_dump(mode="json", exclude_none=True)
    return attributes | {
        "last_modified": {"$date": "2025-01-02T03:04:05Z"},
        "structure_features": [],
        "gap": 1.25,  # served as _exmpl_gap
    }


def disordered():
    """Return rock salt whose cation site holds lithium to 3/4 and is empty to 1/4."""
    attributes = attributes_of(CRYSTALS["mp-22899"])
    attributes["species"] = [
        {"name": "Li", "chemical_symbols": ["Li", "vacancy"], "concentration": [0.75, 0.25]},
        {"name": "I", "chemical_symbols": ["I"], "concentration": [1.0]},
    ]
    return attributes | {
        "structure_features": ["disorder"],
        "chemical_formula_reduced": "I4Li3",
        "chemical_formula_anonymous": "A4B3",
        "elements_ratios": [4 / 7, 3 / 7],
    }


HALVES = [{"sites_in_groups": [[0], [1]], "group_probabilities": [0.5, 0.5]}]


def slab():
    return attributes_of(CRYSTALS["mp-22899"]) | {
        "dimension_types": [1, 1, 0],
        "nperiodic_dimensions": 2,
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("optimade")
    entries = [entry(name, attributes_of(s)) for name, s in CRYSTALS.items()]
    entries += [entry("disordered", disordered()), entry("slab", slab())]
    lines = [{"x-optimade": {"meta": {"api_version": "1.2.0"}}}, *entries]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    config = {
        "insert_test_data": False,
        "insert_from_jsonl": str(folder / "data.jsonl"),
        "provider": {"prefix": "exmpl", "name": "Example", "description": "Crystals of ours"},
        "provider_fields": {"structures": [{"name": "gap", "type": "float", "unit": "eV"}]},
        "log_dir": str(folder / "log"),
    }
    (folder / "config.json").write_text(json.dumps(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "optimade.server.main:app", "--port", str(port)]
    environment = os.environ | {"OPTIMADE_CONFIG_FILE": str(folder / "config.json")}
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1"], env=environment, stdout=log, stderr=log, cwd=folder
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                requests.get(f"{url}/v1/info", timeout=5).raise_for_status()
                break
            except requests.RequestException:
                log_text = (folder / "log.txt").read_text()
                assert process.poll() is None, log_text
                assert time.monotonic() < deadline, log_text
                time.sleep(0.3)
        yield url
    finally:
        process.kill()
        process.wait()


class Proxy(Api):
    """The reference server behind our faults."""

    def __init__(self, backend):
        super().__init__([], late_s=0.5)
        self.backend = backend
        self.address = ""

    def answer(self, path, parameters, headers):
        reply = requests.get(f"{self.backend}{path}", params=parameters, timeout=30)
        return reply.status_code, reply.content.replace(
            self.backend.encode(), self.address.rstrip("/").encode()
        )


def ids_of(path):
    return [json.loads(line)["material_id"] for line in path.read_text().splitlines()]


def test_crystals_of_a_server_arrive_as_candidates(server, tmp_path):
    out = tmp_path / "li.jsonl"
    source = Optimade(server, LITHIUM, extra_fields=["_exmpl_gap"], policy=QUICK, page_size=5)
    result = download(source, out)
    assert sorted(ids_of(out)) == sorted([*(set(CRYSTALS) - {"salt"}), "disordered"])
    assert result.left_out == {"slab": "It is not periodic in three directions."}
    assert result.version.startswith("OPTIMADE 1.")
    for candidate in read_candidates([out]):
        if candidate.material_id == "disordered":
            assert not candidate.structure.is_ordered
            assert candidate.structure.composition["Li"] == pytest.approx(3)
            assert prepare(candidate).structure.is_ordered
            continue
        ours = CRYSTALS[candidate.material_id]
        assert candidate.structure.composition == ours.composition
        assert candidate.structure.volume == pytest.approx(ours.volume)
        assert candidate.structure.distance_matrix == pytest.approx(ours.distance_matrix, abs=1e-6)
        assert candidate.provenance["_exmpl_gap"] == 1.25
        assert candidate.provenance["last_updated"].startswith("2025-01-02")
        assert json.loads(candidate.provenance["query"])["filter"] == LITHIUM
        moment = datetime.fromisoformat(candidate.provenance["retrieved"])
        assert abs((datetime.now(UTC) - moment).total_seconds()) < 60


def test_the_filter_is_the_servers_to_answer(server, tmp_path):
    out = tmp_path / "few.jsonl"
    download(
        Optimade(server, f"{LITHIUM} AND nsites<=4 AND nelements=2", policy=QUICK, page_size=5),
        out,
    )
    expected = {
        name
        for name, s in CRYSTALS.items()
        if len(s) <= 4 and len(s.elements) == 2 and "Li" in s.symbol_set
    }
    assert set(ids_of(out)) == expected != set()


def test_a_wrong_filter_is_refused_before_anything_is_asked():
    with pytest.raises(SettingsError, match="not in OPTIMADE's language"):
        Optimade("http://127.0.0.1:9", "elements HAS Li AND")


@pytest.mark.parametrize(
    "fault", ["late", "cut", "mute", (429, {"Retry-After": "0"}), (500, {})], ids=str
)
@pytest.mark.parametrize("at", [0, 1, 2], ids="request{}".format)
def test_a_fault_at_any_request_changes_nothing(server, tmp_path, fault, at):
    proxy = Proxy(server)
    proxy.faults = [None] * at + [fault]
    out = tmp_path / "li.jsonl"
    policy = RequestPolicy(2, 0.3 if fault == "late" else 10, 6, 0.05, 2)
    with serving(proxy) as address:
        proxy.address = address
        download(Optimade(address, LITHIUM, policy=policy, page_size=5), out)
    assert len(ids_of(out)) == len(set(ids_of(out))) == len(CRYSTALS)
    assert len(proxy.requests) >= 5


def test_an_interrupted_download_goes_on_where_it_was(server, tmp_path):
    proxy = Proxy(server)
    proxy.faults = [None, None] + [(500, {})] * 4
    out = tmp_path / "li.jsonl"
    with serving(proxy) as address:
        proxy.address = address
        with pytest.raises(FetchError, match="500"):
            download(Optimade(address, LITHIUM, policy=QUICK, page_size=5), out)
        assert not out.exists()
        n_before = len(proxy.requests)
        result = download(Optimade(address, LITHIUM, policy=QUICK, page_size=5), out)
    assert result.n_resumed == 5
    assert len(ids_of(out)) == len(set(ids_of(out))) == len(CRYSTALS)
    assert len(proxy.requests) - n_before == 3  # the greeting and two pages


def test_what_is_no_optimade_server_is_said_so(tmp_path):
    with serving(Api([])) as address, pytest.raises(FetchError, match="not as an OPTIMADE server"):
        download(Optimade(address, LITHIUM, policy=QUICK, page_size=5), tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"structure_features": ["unknown_positions"]}, "no positions"),
        ({"structure_features": ["assemblies"]}, "exclude each other"),
        ({"assemblies": HALVES}, "exclude each other"),
        ({"assemblies": [{"sites_in_groups": [[0]], "group_probabilities": [0.4]}]}, "exclude"),
        ({"lattice_vectors": None}, "three vectors"),
        ({"lattice_vectors": [[1e200, 0, 0], [0, 4, 0], [0, 0, 4]]}, "long"),
        ({"nsites": 3}, "make no crystal"),
        ({"chemical_formula_reduced": "ILi2"}, "atoms make LiI, .* says ILi2"),
        ({"species_at_sites": ["Li"]}, "make no crystal"),
        ({"species": [{"name": "Li", "chemical_symbols": ["X"], "concentration": [1]}]}, "unknown"),
    ],
)
def test_entries_that_are_no_crystals_are_left_out(change, message):
    with pytest.raises(InputError, match=message) as caught:
        structure_of(attributes_of(CRYSTALS["mp-22899"]) | change)
    assert caught.value.hint


def test_formulas_are_compared_as_far_as_they_say_anything():
    whole = attributes_of(CRYSTALS["mp-22899"])
    for change in (
        {"assemblies": [{"sites_in_groups": [[0, 1]], "group_probabilities": [1.0]}]},
        {"chemical_formula_reduced": None},
        {"chemical_formula_reduced": "salt"},
    ):
        assert structure_of(whole | change).composition.reduced_formula == "LiI"
    partly = disordered()
    found = structure_of(partly).composition
    assert found["Li"] / found["I"] == pytest.approx(0.75)
    with pytest.raises(InputError, match="says ILi"):
        structure_of(partly | {"chemical_formula_reduced": "ILi"})


def test_a_file_of_entries_of_which_one_has_two_alternatives(tmp_path):
    """Both halves of a disordered group are never occupied together."""
    entries = [
        entry("whole", attributes_of(CRYSTALS["mp-22899"])),
        entry("halves", attributes_of(CRYSTALS["mp-22899"]) | {"assemblies": HALVES}),
    ]
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"data": entries}))
    whole, halves = read_candidates([path])
    assert whole.material_id == "whole"
    assert "x.json (2: halves): Groups of its sites exclude" in str(halves)
