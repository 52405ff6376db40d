"""What type checkers see of ``import superionic``: checked by ``make lint``, never run."""

from typing import assert_type

from pymatgen.core import Structure

import superionic as si
from superionic.landscape.settings import LandscapeSettings


def use(crystal: Structure) -> LandscapeSettings:
    """Use every name of the package as a notebook does."""
    assert_type(si.landscape("LiCl.cif", mobile="Li"), si.CrystalLandscape)
    assert_type(si.landscape(crystal).descriptors().barrier_3d_eV, float)
    assert_type(si.query(max_barrier_eV=0.5)[:3], si.Rows)
    assert_type(si.query()[0].xi, float | None)
    assert_type(si.screen("my_cifs/"), si.Rows)
    assert_type(si.predict([crystal]), si.Predictions)
    assert_type(si.md(crystal, temperature_K=1000).document.temperature_K, float)
    assert_type(si.__version__, str)
    return LandscapeSettings()
