"""What type checkers see of ``import superionic``: checked by ``make lint``, never run."""

from typing import assert_type

from pymatgen.core import Structure

import superionic as si
from superionic.landscape.settings import LandscapeSettings
from superionic.schemas.prediction import PredictionDocument
from superionic.schemas.validation import ValidationDocument


def use(crystal: Structure) -> LandscapeSettings:
    """Use every name of the package as a notebook does."""
    assert_type(si.landscape("LiCl.cif", mobile="Li"), si.CrystalLandscape)
    assert_type(si.landscape(crystal).descriptors().barrier_3d_eV, float)
    assert_type(si.query(max_barrier_eV=0.5)[:3], si.Rows)
    assert_type(si.query()[0].xi, float | None)
    assert_type(si.screen("my_cifs/"), si.Rows)
    assert_type(si.predict([crystal]), si.Results[PredictionDocument])
    assert_type(si.label([crystal])[0].verdict, str)
    assert_type(si.validate(top=3)[:2], si.Results[ValidationDocument])
    assert_type(si.submit("campaign.yaml", dry_run=True).n_submitted, int)
    assert_type(si.md(crystal, temperature_K=1000).document.temperature_K, float)
    assert_type(si.__version__, str)
    return LandscapeSettings()
