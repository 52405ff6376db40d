"""Several mobile ions: each crystal gives a result for each ion that it holds, anions included."""

import pytest
from campaign_fixtures import TOY, Silent, rock_salt

from superionic.settings import SuperionicSettings
from superionic.structures.species import exclusion_radius_A, parse_mobile_species
from superionic.workflows.campaign.definition import campaign_of
from superionic.workflows.campaign.local import run_campaign

pytestmark = pytest.mark.process


def test_each_ion_of_a_crystal_has_a_row_and_a_rank(database, tmp_path):
    for anion, a_A in (("F", 4.1), ("Cl", 5.1)):
        rock_salt(anion, a_A).to(filename=str(tmp_path / f"Li{anion}.cif"))
    campaign = campaign_of(
        {
            "crystals": [tmp_path],
            "mobile_species": "Li+,F-",
            "potential": TOY,
            "settings": {"relax_maker": None},
            "options": {"step_A": 0.8},
        }
    )
    lithium, fluoride = run_campaign(campaign, SuperionicSettings(), Silent(), n_workers=1)
    assert (lithium.failures, fluoride.failures) == ([], [])
    assert fluoride.selection.n_without_ion == 1
    rows = [*lithium.rows, *fluoride.rows]
    found = {(row.material_id, row.mobile_species): row for row in rows}
    assert set(found) == {("LiF", "Li"), ("LiCl", "Li"), ("LiF", "F")}
    assert found["LiF", "F"].rank == 1
    assert sorted(row.rank for (_, ion), row in found.items() if ion == "Li") == [1, 2]
    # The toy does not tell elements apart, and rock salt's two sublattices are alike: only the
    # radius that follows from the ion may differ, and it must have gone into the settings.
    stored = {(row["material_id"], row["mobile_species"]) for row in database.screening.query({})}
    assert stored == set(found)
    outputs = database.job_store.docs_store.query({"output.kind": "landscape"})
    radii = {
        row["output"]["mobile_species"]: row["output"]["settings"]["exclusion_radius_A"]
        for row in outputs
    }
    assert radii == pytest.approx({"Li": 1.2, "F": exclusion_radius_A(parse_mobile_species("F-"))})
    assert radii["F"] != radii["Li"]
