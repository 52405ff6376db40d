"""The settings of a landscape in a few words: those that numbers can be compared within."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache, lru_cache
from typing import Any

from superionic import defaults
from superionic.schemas.document import digest

STEPS = ("prepared", "relaxed", "landscape", "descriptors")
"""Steps of a flow whose settings count."""

_MODES = {"adaptive": "adaptive", "learned": "learned", "flood_to_eV": "flooded"}


def settings_label(settings: Mapping[str, Any], mobile_species: str) -> str:
    """Return the settings of a landscape as a label; equal labels mean equal settings.

    What commands set is said in words. Anything else that is not as the defaults have it adds the
    first digits of its hash. What a document does not name, since it is younger, is as the defaults
    have it.

    Parameters
    ----------
    settings : mapping
        Settings of the document of descriptors, by step.
    mobile_species : str
        Element of the mobile ion; its usual exclusion radius is not said.

    Returns
    -------
    str
        Empty where there are no settings of a landscape.

    Examples
    --------
    >>> relaxed = {"max_force_eV_per_A": 0.5}
    >>> settings_label({"landscape": {"grid_step_A": 0.4}, "relaxed": relaxed}, "Li")
    '0.4 A exact'
    >>> settings_label({"landscape": {"learned": {"max_energies": 2000}}}, "Li")
    '0.25 A learned, not relaxed'
    """
    steps = {name: settings.get(name) for name in STEPS}
    if not isinstance(steps["landscape"], Mapping):
        return ""
    return _label(json.dumps(steps, sort_keys=True, default=str), mobile_species)


@lru_cache(maxsize=256)
def _label(text: str, mobile_species: str) -> str:
    settings = json.loads(text)
    landscape = settings["landscape"]
    relaxed = settings.get("relaxed") or {}
    prepared = settings.get("prepared") or {}
    step_A = landscape.get("grid_step_A", defaults.GRID_STEP_A)
    modes = [word for name, word in _MODES.items() if landscape.get(name) is not None]
    said = [f"{step_A:g} A {' '.join(modes) or 'exact'}"]
    if (width_A := prepared.get("supercell_min_width_A")) is not None:
        said.append(f"cells {width_A:g} A wide")
    if prepared.get("primitive", True) is False:
        said.append("cells as given")
    if relaxed.get("max_force_eV_per_A") is None:
        said.append("not relaxed")
    elif relaxed.get("relax_cell"):
        said.append("cells relaxed")
    radius_A = landscape.get("exclusion_radius_A")
    if radius_A not in (None, _usual_radius_A(mobile_species)):
        said.append(f"radius {radius_A:g} A")
    if unusual := _unusual(settings):
        said.append(f"settings {digest(unusual)[:6]}")
    return ", ".join(said)


_SAID = {
    "landscape": {"grid_step_A", "exclusion_radius_A"},
    "prepared": {"supercell_min_width_A", "primitive"},
    "relaxed": {"relax_cell"},
}
"""Settings that have words of their own."""


def _unusual(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the other settings that are not as the defaults have them."""
    found = {}
    for step, usual in _usual(with_prepared=bool(settings.get("prepared"))).items():
        for name, value in (settings.get(step) or {}).items():
            inner = usual.get(name)
            if name in _SAID.get(step, ()) or value is None or value == inner:
                continue
            if isinstance(value, Mapping) and isinstance(inner, Mapping):
                value = {key: one for key, one in value.items() if one != inner.get(key)}
                if not value:
                    continue
            found[f"{step}.{name}"] = value
    return found


@cache
def _usual(*, with_prepared: bool) -> dict[str, dict[str, Any]]:
    """Return the defaults of each step."""
    from superionic.landscape.settings import (
        AdaptiveSettings,
        DescriptorSettings,
        LandscapeSettings,
        LearnedSettings,
    )

    landscape = asdict(LandscapeSettings())
    landscape |= {"adaptive": asdict(AdaptiveSettings()), "learned": asdict(LearnedSettings())}
    usual = {
        "landscape": landscape,
        "descriptors": asdict(DescriptorSettings()),
        "relaxed": {
            "max_force_eV_per_A": defaults.SCREEN_MAX_FORCE_eV_per_A,
            "fmax_eV_per_A": defaults.RELAXED_FORCE_eV_per_A,
            "steps": defaults.RELAX_STEPS,
            "symmetry_tolerance_A": defaults.SYMMETRY_TOLERANCE_A,
        },
    }
    if with_prepared:
        from superionic.structures.prepare import PrepareSettings  # needs pymatgen

        usual["prepared"] = asdict(PrepareSettings())
    # Documents have lists where settings have tuples.
    plain: dict[str, dict[str, Any]] = json.loads(json.dumps(usual))
    return plain


def _usual_radius_A(mobile_species: str) -> float | None:
    from superionic.structures.mobile_ions import MOBILE_IONS

    ion = MOBILE_IONS.get(mobile_species)
    return None if ion is None else ion.exclusion_radius_A
