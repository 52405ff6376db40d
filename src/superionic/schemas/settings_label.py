"""The settings of a landscape in a few words: those that numbers can be compared within.

A label hangs on the settings that a row was made with and on nothing else: what it leaves unsaid is
:data:`UNSAID`, which stays as it is when a default changes. So old rows keep their labels, and rows
of a new default get another one.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from superionic.schemas.document import digest

STEPS = ("prepared", "relaxed", "landscape", "descriptors")
"""Steps of a flow whose settings count."""

UNSAID: dict[str, dict[str, Any]] = {
    "landscape": {
        "grid_step_A": 0.25,
        "symmetry": True,
        "symprec_A": 1e-3,
        "symmetry_tolerance_eV": 2e-3,
        "n_symmetry_checks": 12,
        "max_grid_growth": 2.0,
        "fast": True,
        "seed": 0,
        "adaptive": {
            "coarse_spacing_A": 0.6,
            "refine_below_eV": 0.56,
            "refine_margin_eV": 0.3,
            "exact_barrier_below_eV": 1.0,
            "percolation_tolerance_eV": 0.05,
        },
        "learned": {
            "barrier_tolerance_eV": 0.03,
            "volume_tolerance": 0.05,
            "xi_tolerance": 0.02,
            "max_energies": 2000,
            "batch_size": 8,
            "n_draws": 64,
        },
    },
    "descriptors": {
        "thresholds_eV": [
            *(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
            *(1.5, 2.0, 2.5, 3.0, 3.5, 4.0),
        ],
        "threshold_offsets_eV": [-0.04, -0.02, 0.0, 0.02, 0.04],
        "xi_threshold_eV": 0.5,
    },
    "relaxed": {
        "max_force_eV_per_A": 0.5,
        "fmax_eV_per_A": 0.02,
        "steps": 500,
        "symmetry_tolerance_A": 0.2,
    },
    "prepared": {
        "symprec_A": 0.01,
        "min_distance_A": 0.6,
        "min_radii_fraction": 0.5,
        "merge_distance_A": 0.01,
        "max_atoms": 200,
        "composition_tolerance": 0.05,
        "ordering_max_atoms": 120,
        "ordering_max_arrangements": 20_000,
        "ordering_seed": 0,
    },
}
"""Settings that labels do not name: the defaults of 0.2. A value stays for as long as rows are
kept; a field that is younger is added with the value that gives the numbers of before."""

_MODES = {"adaptive": "adaptive", "learned": "learned", "flood_to_eV": "flooded"}


def settings_label(settings: Mapping[str, Any], mobile_species: str) -> str:
    """Return the settings of a landscape as a label; equal labels mean equal settings.

    What commands set is said in words. Anything else that is not as in :data:`UNSAID` adds the
    first digits of its hash. What a document does not name, since it is younger, is as there.

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
    step_A = landscape.get("grid_step_A", UNSAID["landscape"]["grid_step_A"])
    modes = [word for name, word in _MODES.items() if landscape.get(name) is not None]
    said = [f"{step_A:g} A {' '.join(modes) or 'exact'}"]
    if (carrier := landscape.get("carrier")) is not None:
        said.append(f"{carrier} made")
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
    "landscape": {"grid_step_A", "exclusion_radius_A", "carrier"},
    "prepared": {"supercell_min_width_A", "primitive"},
    "relaxed": {"relax_cell"},
}
"""Settings that have words of their own."""


def _unusual(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the other settings that are not as in :data:`UNSAID`."""
    found = {}
    for step, usual in UNSAID.items():
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


def _usual_radius_A(mobile_species: str) -> float | None:
    from superionic.structures.species import MOBILE_IONS

    ion = MOBILE_IONS.get(mobile_species)
    return None if ion is None else ion.exclusion_radius_A
