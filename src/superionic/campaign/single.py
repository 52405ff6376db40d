"""One crystal from file to descriptors in this process, without a database."""

from dataclasses import asdict
from typing import Any

from superionic import __version__
from superionic.errors import SuperionicError
from superionic.jobs.descriptors import finite
from superionic.landscape.descriptors import compute_descriptors
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import LandscapeSettings
from superionic.potentials.registry import load_potential
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import PrepareSettings, prepare


def describe_crystal(
    candidate: Candidate,
    mobile_species: str,
    potential: str,
    prepare_settings: PrepareSettings,
    landscape_settings: LandscapeSettings,
) -> dict[str, Any]:
    """Return every descriptor of one crystal, with what is needed to repeat it.

    The crystal is not relaxed.

    Parameters
    ----------
    candidate : Candidate
        The crystal.
    mobile_species : str
        Element symbol.
    potential : str
        Specification of the potential.
    prepare_settings : PrepareSettings
        How the crystal is made calculable.
    landscape_settings : LandscapeSettings
        How the landscape is sampled.

    Raises
    ------
    SuperionicError
        With the name of the material.
    """
    try:
        prepared = prepare(candidate, mobile_species, prepare_settings)
        loaded = load_potential(potential)
        landscape = compute_landscape(
            prepared.structure, mobile_species, loaded, landscape_settings
        )
        found = compute_descriptors(
            (energies for _, energies in landscape.maps()), landscape.grid.lattice
        )
    except SuperionicError as error:
        raise error.for_material(candidate.material_id) from None
    numbers = {
        name: finite(value) if isinstance(value, float) else value
        for name, value in asdict(found).items()
    }
    numbers["mpe_per_ion_eV"] = [finite(value) for value in found.mpe_per_ion_eV]
    return {
        "material_id": candidate.material_id,
        "formula": prepared.formula,
        "mobile_species": mobile_species,
        "potential": loaded.info.label,
        **numbers,
        "fv_connected": found.fv_connected,
        "fv_disconnected": found.fv_disconnected,
        "mobile_sites": landscape.mobile_sites,
        "n_atoms": len(prepared.structure),
        "spacegroup": landscape.space_group.symbol,
        "grid_shape": landscape.grid.shape,
        "grid_origin": landscape.grid.origin,
        "n_operations": landscape.n_operations,
        "n_evaluations": landscape.n_evaluations,
        "wall_time_s": landscape.wall_time_s,
        "warnings": [asdict(remark) for remark in (*prepared.warnings, *landscape.remarks)],
        "steps": list(prepared.steps),
        "provenance": {
            "potential": asdict(loaded.info),
            "prepare": asdict(prepare_settings),
            "landscape": asdict(landscape_settings),
            "superionic": __version__,
        },
    }
