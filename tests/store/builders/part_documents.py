"""Hand-made predictions and labels, beside the descriptors of screening_helpers."""

from datetime import timedelta
from typing import Any

from pymatgen.core import Lattice, Structure
from screening_helpers import START

from superionic.schemas.common import PotentialDocument
from superionic.schemas.label import DiffusionDocument, SlopeDocument
from superionic.schemas.prediction import PredictionDocument
from superionic.schemas.validation import ValidationDocument

CRYSTAL = Structure(Lattice.cubic(3.0), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def common(material_id: str, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    minutes = fields.pop("minutes", 0)
    family, name = fields.pop("potential", "chgnet:0.3.0").split(":")
    weights = fields.pop("weights", f"weights of {family}")
    return {
        "material_id": material_id,
        "formula": "LiCl",
        "mobile_species": "Li",
        "task_key": f"key of {material_id}",
        "settings": {"of": kind},
        "wall_time_s": 3.0,
        "n_evaluations": 7,
        "job_uuid": f"{kind}-{material_id}-{minutes}",
        "last_updated": START + timedelta(minutes=minutes),
        "potential": PotentialDocument(
            family=family, name=name, package_version="1", weights_sha256=weights
        ),
        "elements": ["Cl", "Li"],
        "chemical_system": "Cl-Li",
    }


def prediction(material_id: str, log10_slope: float, **fields: Any) -> dict:
    """Return the output of a prediction job as the store keeps it."""
    values = common(material_id, "prediction", fields) | {
        "n_atoms": 2,
        "n_mobile": 1,
        "volume_A3": 27.0,
        "network": "force-network",
        "network_sha256": "n" * 64,
        "log10_msd_slope": log10_slope,
        "log10_msd_slope_low": log10_slope - 1,
        "log10_msd_slope_high": log10_slope + 1,
        "n_shakes": 4,
        "spread_shakes": 0.2,
    }
    return PredictionDocument(**(values | fields)).model_dump()


def label(material_id: str, slope: float | None, temperature_K: float = 1000.0, **fields) -> dict:
    """Return the output of a labelling job, of a supercell of eight cells."""
    found = None
    if slope is not None:
        found = SlopeDocument(
            slope_A2_per_ps=slope,
            error_A2_per_ps=0.1 * slope,
            low_A2_per_ps=0.8 * slope,
            high_A2_per_ps=1.2 * slope,
            direction_slopes_A2_per_ps=[slope] * 3,
            direction_errors_A2_per_ps=[0.1 * slope] * 3,
            window_ps=[1.0, 2.0],
            n_blocks=4,
        )
    nothing = (
        *("diffusivity_cm2_per_s", "diffusivity_error_cm2_per_s", "slope_upper_bound_A2_per_ps"),
        *("conductivity_S_per_cm", "conductivity_error_S_per_cm", "n_hopped", "hop_distance_A"),
        *("max_displacement_A", "framework_rms_A", "msd", "mean_temperature_K"),
    )
    values = common(material_id, "diffusion", fields) | {
        "structure": CRYSTAL,
        "supercell_matrix": [[2, 0, 0], [0, 2, 0], [0, 0, 2]],
        "n_atoms": 16,
        "n_mobile": 8,
        "image_distance_A": 6.0,
        "volume_A3": 216.0,
        "temperature_K": temperature_K,
        "timestep_fs": 2.0,
        "thermostat": "bussi",
        "seed": 0,
        "equilibration_ps": 2.0,
        "production_ps": 10.0,
        "n_steps_done": 6000,
        "status": "completed",
        "stop_reason": "length",
        "verdict": "diffusing" if slope and slope > 0.01 else "not_diffusing",
        "verdict_reason": "rule",
        "slope": found,
        "label_A2_per_ps": slope,
        "charge_e": 1.0,
        "n_force_evaluations": 6000,
        "trajectory": "folder",
        **dict.fromkeys(nothing),
    }
    stored = DiffusionDocument(**(values | fields)).model_dump()
    return stored | {"structure": CRYSTAL.as_dict()}


def validation(material_id: str, verdict: str, **fields: Any) -> dict:
    """Return the output of a validation flow, of a supercell of eight cells."""
    values = common(material_id, "validation", fields)
    nothing = [
        name
        for name, field in ValidationDocument.model_fields.items()
        if field.is_required() and name not in values
    ]
    values = dict.fromkeys(nothing) | values
    values |= {
        "engine": "ase",
        "dynamics": values["potential"],
        "relaxed": False,
        "supercell_matrix": [[2, 0, 0], [0, 2, 0], [0, 0, 2]],
        "n_atoms": 16,
        "n_mobile": 8,
        "image_distance_A": 6.0,
        "volume_A3": 216.0,
        "charge_e": 1.0,
        "timestep_fs": 2.0,
        "equilibration_ps": 2.0,
        "temperatures_K": [500.0, 1000.0],
        "seeds": [0, 0],
        "verdict": verdict,
        "verdict_reason": "the interval lies above 0.01 S/cm",
        "deciding_temperature_K": 500.0,
        "threshold_S_per_cm": 0.01,
        "n_values": 2,
        "n_bounds": 0,
        "runs": [],
        "total_wall_time_s": 60.0,
    }
    return ValidationDocument(**(values | fields)).model_dump()
