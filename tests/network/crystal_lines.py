"""Crystals of two atoms as lines of a file."""

import json

import numpy as np


def crystal_line(name: str, species: list[str]) -> str:
    """Return a body-centred crystal as one line of a file of JSON lines."""
    structure = {
        "lattice": (np.eye(3) * 4).tolist(),
        "species": species,
        "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
    }
    return json.dumps({"material_id": name, "structure": structure})
