"""How far barriers and effective diffusivities of the shared map are converged in the grid step.

    python benchmarks/grid_step.py --structures DIR --cache DIR

DIR of the structures holds structures_li.jsonl; crystals that it lacks are examples of this
repository. For each crystal and step the exact maps of all ions with CHGNet are kept in DIR of the
cache, from which the table is read; what is there is not computed again.

Beside what superionic reads (``shared_barriers``: between grid points, over the heights at which
maps of ions cross) stands what the points alone give, with the 26 steps of the published levels.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from superionic.landscape.descriptors import TRANSPORT_TEMPERATURE_K
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.levels import neighbour_offsets
from superionic.landscape.maps import IonMaps
from superionic.landscape.percolation import percolate, shared_barriers
from superionic.landscape.settings import LandscapeSettings
from superionic.landscape.transport import effective_diffusivity
from superionic.potentials.registry import load_potential
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import prepare

CRYSTALS = (
    *("mp-8407", "mp-23222", "mp-2251", "mp-22899", "mp-736"),
    *("mp-985582", "mp-35841", "mp-7611", "mp-9562", "mp-35695"),
)
"""Li3LaP2, whose barriers were known not to be converged, the cubic Li3Bi, and small crystals."""
STEPS_A = (0.36, 0.25, 0.18, 0.125)
TARGET_eV = 0.02
RESULTS = Path(__file__).parent / "results"
EXAMPLES = Path(__file__).parents[1] / "workflows" / "example_crystals"

FloatArray = NDArray[np.float64]


def crystals(folder: Path) -> Iterator[tuple[str, Structure]]:
    lines = (folder / "structures_li.jsonl").read_text().splitlines()
    records = {one["id"]: one["structure"] for one in map(json.loads, lines)}
    for name in CRYSTALS:
        if (s := records.get(name)) is not None:
            structure = Structure(Lattice(s["lattice"]), s["species"], s["frac_coords"])
        else:
            structure = Structure.from_file(EXAMPLES / f"{name}.cif")
        yield name, prepare(Candidate(name, structure), "Li").structure


def maps_of(name: str, structure: Structure, step_A: float, cache: Path) -> FloatArray:
    """Return the maps of all ions above their minima, shape (n_ions, n1, n2, n3)."""
    file = cache / f"{name}-{step_A}.npz"
    if not file.exists():
        settings = LandscapeSettings(grid_step_A=step_A)
        found = compute_landscape(structure, "Li", load_potential("chgnet"), settings)
        maps = np.stack([energies for _, energies in found.maps()]).astype(np.float32)
        np.savez_compressed(file, maps=maps, lattice=found.grid.lattice)
    with np.load(file) as kept:
        maps = kept["maps"].astype(float)
    above: FloatArray = maps - maps.min(axis=(1, 2, 3), keepdims=True)
    return above


def on_points(maps: FloatArray, lattice: FloatArray) -> FloatArray:
    shared = IonMaps.unrelated([maps.min(axis=0)], lattice)
    steps = neighbour_offsets(lattice, shared.symmetry.shape)
    return percolate(shared.values, shared.symmetry, steps).levels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    titles = ("points alone, 1D (eV)", "read between points, 1D (eV)", "3D (eV)", "log10 D ratio")
    lines = [
        "| crystal | " + " | ".join(titles) + " |",
        "| --- " * (len(titles) + 1) + "|",
    ]
    errors: dict[str, list[float]] = {title: [] for title in titles}
    low: list[bool] = []
    for name, structure in crystals(options.structures):
        lattice = np.array(structure.lattice.matrix)
        rows = []
        for step_A in STEPS_A:
            maps = maps_of(name, structure, step_A, options.cache)
            read = shared_barriers(maps, lattice)
            tensor = effective_diffusivity(maps.min(axis=0), lattice, TRANSPORT_TEMPERATURE_K)
            mean = np.log10(np.trace(tensor) / 3)
            rows.append([float(on_points(maps, lattice)[0]), read[0], read[2], float(mean)])
        cells = [
            ", ".join(f"{value:.2f}" if k == 3 else f"{value:.3f}" for value in values)
            for k, values in enumerate(zip(*rows, strict=True))
        ]
        formula = structure.composition.reduced_formula
        lines.append(f"| {formula} ({name}) | " + " | ".join(cells) + " |")
        usual, finest = rows[STEPS_A.index(0.25)], rows[-1]
        low.append(finest[1] < 2.2)
        for title, one, other in zip(titles, usual, finest, strict=True):
            errors[title].append(abs(one - other))
        print(lines[-1], flush=True)
    lines.append("")
    for title in titles[:2]:
        values = np.array(errors[title])
        lines.append(
            f"From 0.25 to 0.125 A, {title}: median {np.median(values):.3f}, largest"
            f" {values.max():.3f} ({values[low].max():.3f} of those below 2.2 eV);"
            f" {np.sum(values <= TARGET_eV)} of {len(values)} within {TARGET_eV} eV."
        )
    (RESULTS / "grid_step.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
