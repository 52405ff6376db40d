"""Settings from plain data: round trip, and unknown or wrong fields named."""

import json
from dataclasses import dataclass, field

import pytest

from superionic.errors import SettingsError
from superionic.network.settings import (
    LabelRules,
    NetworkSettings,
    ShakeSettings,
    TrainingSettings,
    settings_from_dict,
    settings_to_dict,
)


@dataclass(frozen=True)
class Nested:
    shakes: ShakeSettings = field(default_factory=ShakeSettings)
    n: int = 3


@pytest.mark.parametrize(
    "settings",
    [
        ShakeSettings(amplitudes_A=(0.1, 0.2), n_shakes=3),
        NetworkSettings(l_max=3, cutoff_A=5.0),
        LabelRules(exclude_verdicts=("melted", "unconverged")),
        TrainingSettings(loss="mae", learning_rate=1e-4),
    ],
)
def test_round_trip_through_json(settings):
    plain = json.loads(json.dumps(settings_to_dict(settings)))
    assert settings_from_dict(type(settings), plain) == settings


def test_unknown_and_wrong_fields_are_named():
    with pytest.raises(SettingsError, match=r"no setting lmax.*It has.*l_max"):
        settings_from_dict(NetworkSettings, {"lmax": 2})
    with pytest.raises(SettingsError, match=r"shakes\.n_shakes cannot be 'many'"):
        settings_from_dict(Nested, {"shakes": {"n_shakes": "many"}})
    with pytest.raises(SettingsError, match="shakes has no setting amplitude"):
        settings_from_dict(Nested, {"shakes": {"amplitude": 0.1}})
    with pytest.raises(SettingsError, match="not a mapping"):
        settings_from_dict(Nested, {"shakes": 3})
    with pytest.raises(SettingsError, match="l_max = 0"):
        settings_from_dict(NetworkSettings, {"l_max": 0})
    with pytest.raises(SettingsError, match="loss cannot be 'l3'"):
        settings_from_dict(TrainingSettings, {"loss": "l3"})
    assert settings_from_dict(Nested, {"shakes": {"n_shakes": 2}}).shakes.n_shakes == 2
