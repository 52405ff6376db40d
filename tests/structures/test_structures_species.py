"""Defaults that depend on the mobile ion."""

import pytest

from superionic.errors import SettingsError
from superionic.landscape.settings import LandscapeSettings
from superionic.structures.species import (
    MOBILE_IONS,
    charge_of,
    exclusion_radius_A,
    parse_mobile_species,
)


def test_lithium_has_the_published_radius():
    published = LandscapeSettings.reference().exclusion_radius_A
    assert exclusion_radius_A(parse_mobile_species("Li")) == published == 1.2


def test_larger_ions_keep_a_larger_distance():
    radii = [exclusion_radius_A(parse_mobile_species(ion)) for ion in ("Li", "Na", "K", "Cs")]
    assert radii == sorted(radii)
    assert len(set(radii)) == 4


# Shortest bonds that crystals of these ions have, in A (Shannon radii, rounded down).
SHORTEST_BOND_A = {"Li": 1.85, "Na": 2.2, "K": 2.6, "Cu": 1.8, "Ag": 2.1, "Mg": 1.9, "F": 1.35}


@pytest.mark.parametrize("ion", SHORTEST_BOND_A)
def test_no_equilibrium_site_is_excluded(ion):
    assert exclusion_radius_A(parse_mobile_species(ion)) < 0.9 * SHORTEST_BOND_A[ion]


def test_the_users_own_value_wins_and_is_checked():
    fluoride = parse_mobile_species("F-")
    assert exclusion_radius_A(fluoride, 0.9) == 0.9
    assert exclusion_radius_A(parse_mobile_species("H"), 0.6) == 0.6
    with pytest.raises(SettingsError, match="top of each other"):
        exclusion_radius_A(fluoride, 0.1)
    with pytest.raises(SettingsError, match="no default exclusion radius for H"):
        exclusion_radius_A(parse_mobile_species("H"))


def test_charges_are_the_usual_ones_unless_given():
    for ion, charge in (("Na", 1), ("Mg", 2), ("Ag", 1), ("F", -1), ("O", -2)):
        assert charge_of(None, ion) == charge
        assert charge_of(3.0, ion) == 3.0
    assert charge_of(None, "Fe") == 1.0
    assert all(ion.charge != 0 for ion in MOBILE_IONS.values())
