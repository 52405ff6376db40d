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


def label_lines(n: int) -> list[str]:
    """Return labels of square cells of LiCl as lines, every second one diffusing."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(n):
        structure = {
            "lattice": (np.eye(3) * (5.0 + 0.05 * number)).tolist(),
            "species": ["Li", "Li", "Cl", "Cl"],
            "frac_coords": [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0], [0, 0.5, 0]],
        }
        row = {
            "material_id": f"m-{number}",
            "formula": "LiCl",
            "mobile_species": "Li",
            "verdict": "diffusing" if number % 2 else "not_diffusing",
            "label_A2_per_ps": float(10 ** rng.uniform(-3, 1)),
            "production_ps": 7.0 + number,
            "structure": structure,
            "potential": "ase",
        }
        lines.append(json.dumps(row))
    return lines
