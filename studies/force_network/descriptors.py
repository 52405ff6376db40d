"""Numbers of crystals from a file: features of a control, and further targets of networks."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superionic.errors import SettingsError
from superionic.network.labels import Descriptors

FloatArray = NDArray[np.float64]


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
