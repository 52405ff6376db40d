"""How long a run was planned, as documents say it."""

from dataclasses import asdict

import pytest

from superionic.dynamics.settings import MDSettings, planned_ps


def test_the_planned_length_is_steps_times_their_length():
    settings = MDSettings(temperature_K=1000.0, n_steps=5000, timestep_fs=2.0)
    assert planned_ps(asdict(settings)) == pytest.approx(10.0)
    assert planned_ps({"n_steps": 5000}) == planned_ps({}) == 0.0
