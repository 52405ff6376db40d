"""``superionic refine`` on a real server: rows of a second potential beside those of the first."""

import json

import pytest
from campaign_fixtures import TOY, rock_salt
from shaky_potential import n_calls
from typer.testing import CliRunner

import superionic as si
from superionic.cli.app import app
from superionic.potentials.registry import identify_potential
from superionic.workflows.campaign.best import best_candidates
from superionic.workflows.campaign.definition import Best, Campaign

pytestmark = pytest.mark.process

SHAKY = "ase:shaky_potential.Shaky"


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


def test_a_second_opinion_from_the_first_command_to_the_last(surroundings, database, monkeypatch):
    monkeypatch.setenv("SUPERIONIC_CALCULATORS", "toy_potential,shaky_potential")
    folder = surroundings / "crystals"
    folder.mkdir()
    for anion, a_A in (("F", 4.6), ("Cl", 5.1), ("Br", 5.5)):
        crystal = rock_salt(anion, a_A).get_primitive_structure()
        crystal.to(filename=str(folder / f"salt-{anion}.cif"))
    run("screen", folder, "-p", TOY, "--step", "0.8", "--relax", "never", "-w", "1")
    rock_salt("I", 6.0).get_primitive_structure().to(filename=str(folder / "salt-I.cif"))
    log = surroundings / "log"
    monkeypatch.setenv("SHAKY_LOG", str(log))
    options = ("--prior", TOY, "-p", SHAKY, "-w", "1")

    # The best are those of the first potential, for a launchpad as well as here.
    best = Campaign(
        flow="refine", potential=SHAKY, options={"prior": TOY}, best=Best(top=2, policy="barrier")
    )
    assert si.submit(best, dry_run=True).n_submitted == 2

    # What was not screened is said so, and the rest goes on.
    said = run("refine", folder, *options, code=3)
    assert "no landscape of salt-I" in said
    assert database.failures.query_one({"material_id": "salt-I"}) is None  # its file is all right
    n_energies = n_calls(log)
    lines = run("query", "-f", "jsonl", "-p", SHAKY).splitlines()
    assert len(lines) == 3
    rows = json.loads(lines[0])
    assert rows["prior_potential"] == "ase:toy_potential.Toy"
    assert set(rows["intervals"]) >= {"mpe_eV", "xi"}

    # Nothing is computed again.
    run("refine", *options, "--top", "2", "--json", surroundings / "rows.json")
    assert n_calls(log) == n_energies
    assert len(json.loads((surroundings / "rows.json").read_text())) == 2

    told = run("explain", "salt-Cl")
    assert told.index("shaky_potential") < told.index("policy")  # the table comes first
    across = json.loads(run("query", "--across", "worst", "-f", "json"))
    assert sorted(row["material_id"] for row in across) == ["salt-Br", "salt-Cl", "salt-F"]
    assert [row["rank"] for row in across] == [1, 2, 3]
    assert "ranking" in run("query", "--all").splitlines()[0]  # there are two of them

    # What was refined can be validated: its crystals are found without their files.
    best = best_candidates(database, Best(top=0), "Li", identify_potential(SHAKY))
    assert sorted(one.material_id for one in best) == ["salt-Br", "salt-Cl", "salt-F"]

    # Points that are jobs of their own survive a worker that is killed: they are found again.
    given = {"ids": ["salt-Cl"], "potential": SHAKY, "prior": TOY, "engine": "ase"}
    (surroundings / "kill_at").write_text(str(n_energies + 5))
    killed = si.refine(**given, workers=1, progress=False)
    assert [failure.code for failure in killed.failures] == ["worker_died"]
    assert n_calls(log) == n_energies + 5
    (found,) = si.refine(**given, workers=1, progress=False)
    # The call that was killed is made again, and no other.
    assert n_calls(log) == n_energies + found.n_evaluations + 1
    assert found.n_evaluations <= 30
    with pytest.raises(Exception, match="itself"):
        si.refine(ids=["salt-Cl"], potential=TOY, prior=TOY, progress=False)
