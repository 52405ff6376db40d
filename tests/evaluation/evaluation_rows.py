"""Rows with made-up numbers for evaluations."""

import numpy as np

import screening_rows
from superionic.schemas.screening import LabelSummary, ScreeningDocument

METALS = ["Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Al", "Ga", "In", "Sc", "Y", "La", "Ti"]


def label(slope: float | None, verdict: str, **fields) -> LabelSummary:
    values = {
        "temperature_K": 1000.0,
        "seed": 0,
        "verdict": verdict,
        "msd_slope_A2_per_ps": slope,
        "msd_slope_low_A2_per_ps": None if slope is None else 0.5 * slope,
        "msd_slope_high_A2_per_ps": None if slope is None else 2.0 * slope,
        "msd_slope_upper_bound_A2_per_ps": None,
        "label_A2_per_ps": slope,
        "conductivity_S_per_cm": None,
        "conductivity_error_S_per_cm": None,
        "production_ps": 10.0,
        "n_atoms": 40,
        "n_evaluations": 6000,
        "wall_time_s": 60.0,
        "weights_sha256": "w",
        "job_uuid": "u",
        "trajectory": "t",
    }
    return LabelSummary(**(values | fields))


def row(material_id: str, *, system: str = "Cl-Li", landscape: bool = True, **fields):
    values = {
        "elements": system.split("-"),
        "chemical_system": system,
        "volume_A3_per_atom": 15.0,
        "mobile_fraction": 0.5,
    }
    if landscape:
        values |= {
            "xi": 0.5,
            "mpe_eV": 0.5,
            "barrier_1d_eV": 0.5,
            "barrier_2d_eV": 0.6,
            "barrier_3d_eV": 0.7,
            "fv_connected": 0.1,
            "fv_disconnected": 0.1,
            "free_volume_A3_per_ion": 2.0,
            "fv_disconnected_2eV": 0.4,
            "free_volume_2eV_A3_per_ion": 9.0,
            "n_evaluations": 1000,
            "wall_time_s": 5.0,
        }
    return screening_rows.row(material_id, **(values | fields))


def population(n: int = 60, seed: int = 0) -> list[ScreeningDocument]:
    """Return labelled rows: the free volume per ion tells conductors, the rest is noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        fast = i % 3 == 0
        rows.append(
            row(
                f"m{i:03d}",
                system=f"Li-{METALS[i % len(METALS)]}-{'OS'[i % 2]}",
                xi=float(rng.random()),
                mpe_eV=float(rng.random()),
                barrier_3d_eV=None if i % 7 == 0 else float(rng.random()),
                fv_connected=float(rng.random()),
                fv_disconnected_2eV=float(rng.random()),
                free_volume_2eV_A3_per_ion=float(10 * np.exp(rng.normal(1.5 * fast, 0.5))),
                labels=[
                    label(float(np.exp(rng.normal())), "diffusing")
                    if fast
                    else label(0.05, "not_diffusing", msd_slope_upper_bound_A2_per_ps=0.5)
                ],
            )
        )
    return rows
