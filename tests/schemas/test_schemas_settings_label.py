"""Labels hang on what a row was made with, and on no default of today."""

import json
from dataclasses import asdict, replace

import pytest

from superionic import defaults
from superionic.landscape.settings import (
    AdaptiveSettings,
    DescriptorSettings,
    LandscapeSettings,
    LearnedSettings,
)
from superionic.schemas.settings_label import settings_label
from superionic.structures.prepare import PrepareSettings
from superionic.structures.species import MOBILE_IONS
from superionic.workflows.jobs.relax import relax_before_landscape

_RELAXED = ("max_force_eV_per_A", "fmax_eV_per_A", "steps", "relax_cell", "symmetry_tolerance_A")


def settings_of(landscape: LandscapeSettings) -> dict:
    """Return the settings of a document as the flow of ``superionic screen`` writes them."""
    relaxed = relax_before_landscape()
    steps = {
        "prepared": asdict(PrepareSettings()),
        "relaxed": {name: getattr(relaxed, name) for name in _RELAXED},
        "landscape": asdict(landscape),
        "descriptors": asdict(DescriptorSettings()),
    }
    return json.loads(json.dumps(steps))


@pytest.mark.parametrize(
    ("landscape", "label"),
    [
        (LandscapeSettings(adaptive=None, learned=None), "0.25 A exact"),
        (LandscapeSettings(adaptive=AdaptiveSettings(), learned=None), "0.25 A adaptive"),
        (LandscapeSettings(adaptive=None, learned=LearnedSettings()), "0.25 A learned"),
    ],
)
def test_what_commands_make_today_is_said_in_words(landscape, label):
    # A default that changes makes another label: say it in words, do not change UNSAID.
    assert settings_label(settings_of(landscape), "Li") == label


def test_a_row_keeps_its_label_when_defaults_change(monkeypatch):
    before = settings_of(LandscapeSettings(adaptive=None, learned=None))
    monkeypatch.setattr(defaults, "GRID_STEP_A", 0.3)
    monkeypatch.setattr(defaults, "RELAX_STEPS", 1000)
    monkeypatch.setattr(defaults, "SCREEN_MAX_FORCE_eV_per_A", 0.3)
    monkeypatch.setattr(LandscapeSettings.__init__, "__defaults__", _with_step(0.3))
    assert LandscapeSettings().grid_step_A == 0.3
    assert settings_label(before, "Li") == "0.25 A exact"
    assert settings_label({"landscape": {}}, "Li") == "0.25 A exact, not relaxed"


def test_settings_of_another_default_are_told_apart():
    usual = LandscapeSettings(adaptive=None, learned=None)
    labels = {
        settings_label(settings_of(one), "Li")
        for one in (usual, replace(usual, symprec_A=1e-2), replace(usual, grid_step_A=0.3))
    }
    assert len(labels) == 3


def test_radii_that_labels_leave_out_are_what_they_were():
    radii = {"Li": 1.2, "Na": 1.34, "K": 1.54, "Rb": 1.62, "Cs": 1.71, "Cu": 1.21, "Ag": 1.42}
    radii |= {"Mg": 1.18, "Ca": 1.33, "Zn": 1.19, "Al": 1.07, "F": 1.16, "Cl": 1.43, "Br": 1.51}
    radii |= {"I": 1.64, "O": 1.2, "S": 1.44}
    assert {name: MOBILE_IONS[name].exclusion_radius_A for name in radii} == radii


def _with_step(step_A: float) -> tuple:
    return (step_A, *LandscapeSettings.__init__.__defaults__[1:])
