"""Numbers of crystals from a file: features of a control, and further targets of networks."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superionic.errors import SettingsError
from superionic.network.labels import Descriptors
from superionic.schemas.screening import ScreeningDocument
from superionic.store.ranking.features import FEATURES

FloatArray = NDArray[np.float64]

OF_LANDSCAPE = (
    *("xi", "mpe_eV", "barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV"),
    *("log10_fv_connected", "log10_fv_disconnected", "log10_free_volume_A3_per_ion"),
    *("log10_fv_disconnected_2eV", "log10_free_volume_2eV_A3_per_ion"),
    *("log10_diffusivity_ratio_1000K", "log10_diffusivity_ratio_min_1000K"),
)
"""Names of numbers, those of :data:`superionic.store.ranking.features.FEATURES`."""


def read_descriptors(path: Path) -> dict[str, dict[str, float]]:
    """Return the numbers of each crystal of a JSON lines file.

    Raises
    ------
    SettingsError
        When the file cannot be read.
    """
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        return {
            row["material_id"]: {name: float(v) for name, v in row.items() if _is_number(v)}
            for row in rows
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SettingsError(
            f"The descriptors {path} cannot be read ({type(error).__name__}).",
            hint="Each line is a JSON object with material_id and numbers.",
        ) from error


def descriptors_of_rows(rows: Iterable[ScreeningDocument]) -> dict[str, dict[str, float]]:
    """Return the numbers of landscapes of rows alone.

    A row may hold labels and predictions, too, which neither a control nor a network must see.
    """
    return {
        row.material_id: {name: FEATURES[name].of(row) for name in OF_LANDSCAPE}
        for row in rows
        if row.xi is not None
    }


def descriptor_columns(descriptors: Descriptors, material_ids: Sequence[str]) -> FloatArray:
    """Return the descriptors of labelled crystals, shape (n_crystals, n_names); NaN for none.

    Raises
    ------
    SettingsError
        When there is none of any of them.
    """
    chosen = [descriptors.get(material_id, {}) for material_id in material_ids]
    names = sorted({name for row in chosen for name in row})
    if not names:
        raise SettingsError(
            "The file of descriptors knows none of the labelled crystals.",
            hint="Compute descriptors of the crystals that are labelled.",
        )
    return np.array([[row.get(name, np.nan) for name in names] for row in chosen])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
