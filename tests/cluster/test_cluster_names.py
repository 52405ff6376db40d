"""The same crystal under several names: submitted once, with a row for each name."""

import json
from pathlib import Path

import pytest
import yaml
from cluster_site import Site, campaign
from cluster_trials import TOY, WORKER
from pymatgen.core import Lattice, Structure

from superionic.cluster.submit import Submission, submit
from superionic.store.builders.build import build_screening
from superionic.store.builders.names import link_names
from superionic.workflows.campaign.definition import read_campaign

pytestmark = pytest.mark.process


def salt(a_A: float, anion: str = "Cl") -> Structure:
    lattice = Lattice.from_parameters(a_A, a_A, a_A, 60, 60, 60)
    return Structure(lattice, ["Li", anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def write(site: Site, **crystals: Structure) -> None:
    with (site.folder / "crystals.jsonl").open("w") as file:
        for name, crystal in crystals.items():
            file.write(json.dumps({"material_id": name, "structure": crystal.as_dict()}) + "\n")


def rows_of(site: Site) -> dict[str, dict]:
    return {row["material_id"]: row for row in site.database().screening.find({})}


def submit_each_once(site: Site, path: Path) -> tuple[Submission, dict[str, str]]:
    """Submit as the command does; return what stands for what, too."""
    with site.opened() as opened:
        done = submit(read_campaign(path), opened, "none")
    return done, {name["name"]: name["same_as"] for name in site.database().names.find({})}


def test_one_of_several_names_is_computed_and_all_have_rows(
    server, tmp_path, database_name, zygote
):
    site = Site(server, tmp_path / "site", database_name, zygote)
    path = campaign(site.folder, site.folder / "crystals.jsonl", TOY)
    command = ("submit", "-c", str(path), "-l", str(site.launchpad_file))
    try:
        first, wide, large = salt(3.6), salt(3.9), salt(3.6) * (1, 1, 2)
        write(site, first=first, wide=wide, large=large)
        said = site.ok(*command)
        assert "2 materials submitted (6 jobs)" in said
        assert "1 are the same as another" in said
        names = {w["metadata"]["material_id"] for w in site.database().workflows.find({})}
        assert names == {"first", "wide"}

        # What is in the launchpad stands for a name that comes later, and before it in the file.
        moved = first.copy()
        moved.translate_sites([0, 1], [0.3, 0.1, 0.2])
        write(site, another=moved, first=first, wide=wide, large=large)
        done, same = submit_each_once(site, path)
        assert (done.n_submitted, done.n_queued, done.n_duplicates) == (0, 2, 2)
        assert same == {"another": "first", "large": "first"}
        assert site.worker(*WORKER).wait(120) == 0
        with site.opened() as opened:
            build_screening(opened.database)
        rows = rows_of(site)
        assert set(rows) == {"first", "wide", "large", "another"}
        for name in ("large", "another"):
            assert rows[name]["duplicate_of"] == "first"
            for field in ("xi", "mpe_eV", "rank", "descriptors_uuid"):
                assert rows[name][field] == rows["first"][field], field
        assert rows["first"]["duplicate_of"] is None
        assert rows["wide"]["duplicate_of"] is None
        assert rows["wide"]["mpe_eV"] != rows["first"]["mpe_eV"]

        # So does what is finished, without any job.
        write(site, late=salt(3.6) * (2, 1, 1), first=first)
        done, same = submit_each_once(site, path)
        assert (done.n_submitted, done.n_finished, done.n_duplicates) == (0, 1, 1)
        with site.opened() as opened:
            build_screening(opened.database)
        assert rows_of(site)["late"]["duplicate_of"] == "first"
        assert site.database().outputs.count_documents({}) == 6

        # On request each is computed by itself.
        assert "1 materials would be" in site.ok(*command, "--every-copy", "--dry-run")
        before = rows_of(site)
        with site.opened() as opened:
            assert link_names(opened.database) == 3
        assert rows_of(site) == before
    finally:
        site.close()


def test_orderings_and_copies_are_told_apart_before_submission(server, tmp_path, database_name):
    """Three of four sites hold oxygen: two orderings, each a material; a copy is none."""
    oxide = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.66), ["Bi", {"O": 0.75}], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    site = Site(server, tmp_path / "site", database_name)
    write(site, oxide=oxide, copy=oxide * (1, 1, 1))
    fields = {"mobile_species": "O", "orderings": 2}
    path = campaign(site.folder, site.folder / "crystals.jsonl", TOY, **fields)
    content = yaml.safe_load(path.read_text())
    content["settings"]["prepare_maker.settings.primitive"] = False
    path.write_text(yaml.safe_dump(content))
    with site.opened() as opened:
        opened.launchpad.prepare()
    done, same = submit_each_once(site, path)
    assert done.n_submitted == 2
    assert same == {"copy-o1": "oxide-o1", "copy-o2": "oxide-o2"}
