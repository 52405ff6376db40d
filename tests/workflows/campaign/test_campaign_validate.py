"""Validation from the command line: killed processes, the best of a ranking, bad input."""

import json
import os
import signal
from dataclasses import replace

import pytest
from campaign_fixtures import TOY, rock_salt, wait_until, write_crystals
from jobflow import run_locally

from superionic.dynamics.trajectory import chunk_path, read_frames
from superionic.errors import SettingsError
from superionic.landscape.settings import LandscapeSettings
from superionic.potentials.registry import load_potential
from superionic.store.builders.screening import (
    ScreeningBuilder,
    link_duplicates,
    read_rows,
    run_builder,
)
from superionic.store.collection.rows import query_screening
from superionic.structures.candidate import Candidate
from superionic.workflows.campaign.best import best_candidates
from superionic.workflows.campaign.definition import Best
from superionic.workflows.jobs.landscape import LandscapeMaker
from superionic.workflows.makers.screen import ScreenMaker

CAMPAIGN = f"""
flow: validate
crystals: [crystals]
potential: {TOY}
settings:
  temperatures_K: [600, 900]
  supercell_maker.min_image_distance_A: 5.0
  supercell_maker.production_ps: 0.2
  engine.equilibration_ps: 0.02
  engine.checkpoint_interval: 10
  engine.stop.early: false
"""


@pytest.mark.process
def test_a_killed_validation_goes_on_and_bad_crystals_do_not_stop_the_rest(
    tmp_path, data_dir, start, run
):
    write_crystals(tmp_path / "crystals", 1)
    sodium = rock_salt("Cl", 5.6).replace_species({"Li": "Na"})
    sodium.to(filename=str(tmp_path / "crystals" / "sodium.cif"))
    overlap = rock_salt("Cl", 5.1)
    overlap.translate_sites([0], [0.46, 0.46, 0.46])
    overlap.to(filename=str(tmp_path / "crystals" / "overlap.cif"))
    file = tmp_path / "campaign.yaml"
    file.write_text(CAMPAIGN)
    command = start("validate", "--campaign", file, "--workers", "1")

    def folders():
        return sorted((data_dir / "md").glob("*-*K-*"))

    wait_until(lambda: folders() and chunk_path(folders()[0], 2).exists(), "a third chunk is there")
    os.killpg(command.process.pid, signal.SIGKILL)
    command.wait()
    first = chunk_path(folders()[0], 0)
    written = first.stat().st_mtime_ns
    done = run("validate", "--campaign", file, "--workers", "1", "--json", "-", code=3)
    assert "-1 without the mobile ion" in done.err
    assert "0.353 A apart" in done.err
    (document,) = json.loads(done.out)
    assert (document["material_id"], document["verdict"]) == ("salt-00", "undecided")
    assert [one["temperature_K"] for one in document["runs"]] == [600.0, 900.0]
    assert first.stat().st_mtime_ns == written
    assert len(folders()) == 2
    for folder in folders():
        assert read_frames(folder).steps.tolist() == list(range(0, 111, 10))


def screened(database, tmp_path) -> list[Candidate]:
    """Screen three salts; return them as they were read."""
    maker = ScreenMaker(
        potential=TOY, landscape_maker=LandscapeMaker(settings=LandscapeSettings(grid_step_A=1.2))
    )
    salts = [
        Candidate(f"salt-{anion}", rock_salt(anion, a), f"{anion}.cif", {"licence": anion})
        for anion, a in (("F", 4.2), ("Cl", 5.1), ("Br", 5.6))
    ]
    for salt in salts:
        run_locally(
            maker.make(salt),
            log=False,
            store=database.job_store,
            root_dir=tmp_path,
            raise_immediately=True,
        )
    run_builder(ScreeningBuilder(database.job_store.docs_store, database.screening))
    return salts


@pytest.mark.process
def test_the_best_of_the_ranking_are_chosen(database, tmp_path):
    salts = screened(database, tmp_path)
    info = load_potential(TOY).info
    ranked = [row.material_id for row in query_screening(database.screening, sort="rank")]
    assert sorted(ranked) == sorted(salt.material_id for salt in salts)

    def chosen(best, given=None, potential=info):
        return best_candidates(database, best, "Li", potential, given)

    two = chosen(Best(top=2))
    assert [one.material_id for one in two] == ranked[:2]
    # The crystals come from the documents of the screening, with what is known of them.
    expected = {salt.material_id: salt for salt in salts}[ranked[0]]
    assert (two[0].source, two[0].provenance) == (expected.source, expected.provenance)
    assert two[0].structure.composition.reduced_formula == (
        expected.structure.composition.reduced_formula
    )
    assert [one.material_id for one in chosen(Best(top=0))] == ranked
    by_barrier = query_screening(database.screening, sort="ranks.barrier")
    assert [one.material_id for one in chosen(Best(top=1, policy="barrier"))] == [
        by_barrier[0].material_id
    ]
    # Rows without a score of the policy are not among the best.
    assert chosen(Best(top=3, policy="network")) == []
    # From files: the best of these crystals, as the files have them.
    given = [salt for salt in salts if salt.material_id != ranked[0]]
    best = chosen(Best(top=1), given)
    assert [one.material_id for one in best] == [ranked[1]]
    assert best[0] in salts
    assert [one.material_id for one in chosen(Best(ids=("salt-Br",)))] == ["salt-Br"]
    with pytest.raises(SettingsError, match="no row of x, y"):
        chosen(Best(ids=("x", "salt-Br", "y")))
    assert chosen(Best(top=3), potential=replace(info, name="another")) == []
    # A copy of a computed crystal is not validated, too.
    (row,) = read_rows(database.screening, {"material_id": "salt-Br"})
    link_duplicates(database.screening, row, ["another-name"])
    assert [one.material_id for one in chosen(Best(top=0))] == ranked
