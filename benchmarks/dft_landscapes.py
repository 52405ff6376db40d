"""Which potential sees the landscape of density functional theory?

    python benchmarks/dft_landscapes.py --structures FILE.jsonl [--n 12] [--potential SPEC ...]
    python benchmarks/dft_landscapes.py --structures FILE.jsonl --converge ID

Rule of choice, made before any was computed: of the crystals of the file, those of at most 10 atoms
in the primitive cell that hold lithium and no element with an open d or f shell (there is no spin
to be chosen), in the order of the SHA-256 of their identifiers; of these alternately one whose
three-dimensional barrier with CHGNet is below 1 eV and one whose is not.

For each, PBE single points by GPAW (plane waves of 350 eV, PAW sets 0.9.20000, Fermi smearing of
0.05 eV, no spin, neutral, one mesh of k-points with gamma for all points of a crystal, no point
group) as many as thirty, chosen by what learns the difference to CHGNet's landscape; then twenty
random points below 2.5 eV of that landscape, which nothing learns from. ``--calculator SPEC`` takes
any other ASE calculator, with ``{kpts}`` in it for the mesh.

Energies are written to dft_landscapes.jsonl one by one; the script goes on where it was stopped.
Then all potentials give energies at the same points: the table has the error of single energies
below 2 eV, their slope against PBE (softening), errors of barriers, and CPU time.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from pymatgen.core import Element, Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from superionic.landscape.descriptors import compute_descriptors
from superionic.landscape.intervals import descriptor_intervals
from superionic.landscape.landscape import Landscape, compute_landscape
from superionic.landscape.rounds import LearnedRounds
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.potentials.ase_calculator import load_ase
from superionic.potentials.registry import identify_potential, load_potential, parse_spec
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import prepare

MOST_ATOMS = 10
CONDUCTS_BELOW_eV = 1.0
N_ENERGIES, N_HELD_OUT = 30, 20
HELD_OUT_BELOW_eV, COMPARED_BELOW_eV = 2.5, 2.0
K_LENGTH_A = 20.0
"""k-points times length of each lattice vector, at least."""
LEARNED = LearnedSettings(max_energies=N_ENERGIES, batch_size=4)
BARRIERS = ("barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV", "mpe_eV")


def gpaw(cutoff_eV: float = 350.0) -> str:
    settings = {
        "mode": {"name": "pw", "ecut": cutoff_eV},
        "xc": "PBE",
        "kpts": {"size": "KPTS", "gamma": True},
        "occupations": {"name": "fermi-dirac", "width": 0.05},
        "symmetry": {"point_group": False},
        "convergence": {"energy": 1e-4, "density": 1e-3, "eigenstates": 1e-3},
        "txt": None,
    }
    return f"ase:gpaw.GPAW?{json.dumps(settings)}".replace('"KPTS"', "{kpts}")


def is_closed(element: Element) -> bool:
    """Return whether compounds of an element have no open d or f shell as a rule."""
    full = element.group in (11, 12)
    return (
        not element.is_lanthanoid
        and not element.is_actinoid
        and (not element.is_transition_metal or full or element.group in (3, 4, 5))
    )


def eligible(path: Path) -> Iterator[tuple[str, Structure]]:
    """Yield the crystals that the rule admits, in its order."""
    records = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    records.sort(key=lambda record: hashlib.sha256(record["id"].encode()).hexdigest())
    for record in records:
        s = record["structure"]
        crystal = Structure(Lattice(s["lattice"]), s["species"], s["frac_coords"])
        elements = crystal.composition.elements
        if Element("Li") in elements and all(is_closed(one) for one in elements):
            prepared = prepare(Candidate(record["id"], crystal), "Li").structure
            if len(prepared) <= MOST_ATOMS and len(elements) > 1:
                yield record["id"], prepared


def chosen(path: Path, n: int) -> Iterator[tuple[str, Structure, Landscape]]:
    """Yield alternately crystals below and above the barrier, as long as there are both."""
    waiting: dict[bool, list[tuple[str, Structure, Landscape]]] = {True: [], False: []}
    wanted, n_found = True, 0
    for name, crystal in eligible(path):
        landscape = first_landscape(crystal)
        barrier = values(landscape)["barrier_3d_eV"]
        waiting[barrier < CONDUCTS_BELOW_eV].append((name, crystal, landscape))
        while waiting[wanted] and n_found < n:
            yield waiting[wanted].pop(0)
            wanted, n_found = not wanted, n_found + 1
        if n_found == n:
            return


def first_landscape(crystal: Structure) -> Landscape:
    return compute_landscape(crystal, "Li", load_potential("chgnet"), LandscapeSettings())


def values(landscape: Landscape) -> dict[str, float]:
    found = compute_descriptors((m for _, m in landscape.maps()), landscape.grid.lattice)
    return {name: float(getattr(found, name)) for name in (*BARRIERS, "xi")}


def mesh(crystal: Structure, k_length_A: float = K_LENGTH_A) -> str:
    return str([int(np.ceil(k_length_A / length)) for length in crystal.lattice.abc])


class Energies:
    """Energies of a crystal by a calculator, each computed once: kept in a file."""

    def __init__(self, path: Path, name: str, crystal: Structure, spec: str) -> None:
        self.path, self.name, self.crystal = path, name, crystal
        # Braces of JSON are in the specification, too.
        self.spec = parse_spec(spec.replace("{kpts}", mesh(crystal)))
        self.identity = identify_potential(str(self.spec)).weights_sha256[:16]
        self.known: dict[str, dict[str, Any]] = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            record = json.loads(line)
            if (record["id"], record["calculator"]) == (name, self.identity):
                self.known[record["key"]] = record

    def at(self, ion: int, position_A: np.ndarray) -> float:
        """Return an energy in eV; NaN where the calculation failed."""
        key = f"{ion} {' '.join(f'{x:.6f}' for x in position_A)}"
        if key not in self.known:
            self.known[key] = self._compute(key, ion, position_A)
            with self.path.open("a") as stream:
                stream.write(json.dumps(self.known[key]) + "\n")
        energy = self.known[key]["energy_eV"]
        return np.nan if energy is None else float(energy)

    def _compute(self, key: str, ion: int, position_A: np.ndarray) -> dict[str, Any]:
        start, energy, failure = time.perf_counter(), None, None
        try:
            potential = load_ase(self.spec.name, settings=self.spec.settings)
            energy = float(potential.energies([moved(self.crystal, ion, position_A)])[0])
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"[:300]
        return {
            "id": self.name,
            "calculator": self.identity,
            "key": key,
            "ion": ion,
            "position_A": list(map(float, position_A)),
            "energy_eV": energy,
            "failure": failure,
            "wall_time_s": time.perf_counter() - start,
        }


def moved(crystal: Structure, ion: int, position_A: np.ndarray) -> Atoms:
    atoms: Atoms = AseAtomsAdaptor.get_atoms(crystal)
    atoms.positions[ion] = position_A
    return atoms


def held_out(landscape: Landscape, seed: int) -> list[tuple[int, np.ndarray]]:
    """Return random points below 2.5 eV of a landscape."""
    rng = np.random.default_rng(seed)
    found = []
    for orbit in landscape.orbits:
        low = (orbit.energies_eV < HELD_OUT_BELOW_eV) & orbit.evaluated
        ion = orbit.orbit.representative
        positions_A = landscape.grid.cartesian(np.flatnonzero(low.ravel()))
        found += [(ion, position) for position in positions_A]
    places = rng.choice(len(found), min(N_HELD_OUT, len(found)), replace=False)
    return [found[place] for place in places]


def measured(
    name: str, crystal: Structure, prior: Landscape, spec: str, path: Path
) -> dict[str, Any]:
    """Compute a crystal's points, and return what they say."""
    energies = Energies(path, name, crystal, spec)
    info = identify_potential(str(energies.spec))
    settings = LandscapeSettings(learned=LEARNED)
    rounds = LearnedRounds(crystal, "Li", settings, info, prior)
    while len(points := rounds.propose()):
        ions, positions_A = rounds.moved(points)
        found = [energies.at(int(i), r) for i, r in zip(ions, positions_A, strict=True)]
        rounds.learn(points, np.array(found), "see the file of energies")
        print(f"{name}: {rounds.n_asked} energies", flush=True)
    landscape = rounds.landscape()
    descriptors = compute_descriptors((m for _, m in landscape.maps()), landscape.grid.lattice)
    bounds = descriptor_intervals(landscape, descriptors)
    tests = held_out(prior, seed=0)
    for ion, position in tests:
        energies.at(ion, position)
    return {
        "id": name,
        "formula": crystal.composition.reduced_formula,
        "n_atoms": len(crystal),
        "k_points": mesh(crystal),
        "ending": landscape.ending,
        "remarks": [remark.code for remark in landscape.remarks],
        "values": {one: float(getattr(descriptors, one)) for one in (*BARRIERS, "xi")},
        "intervals": {one: bounds[one] for one in BARRIERS},
        "held_out": [[ion, *map(float, position)] for ion, position in tests],
        "points": list(energies.known.values()),
    }


def compared(crystal: Structure, row: dict[str, Any], spec: str) -> dict[str, Any]:
    """Return how far a potential is from the energies and barriers of a crystal."""
    potential = load_potential(spec)
    points = [one for one in row["points"] if one["energy_eV"] is not None]
    start = time.process_time()
    configurations = [moved(crystal, one["ion"], np.array(one["position_A"])) for one in points]
    mine = np.array(potential.energies(configurations))
    cpu_s = time.process_time() - start
    reference = np.array([one["energy_eV"] for one in points])
    lowest = int(np.argmin(reference))
    reference, mine = reference - reference[lowest], mine - mine[lowest]
    low = (reference < COMPARED_BELOW_eV) & (np.arange(len(points)) != lowest)
    landscape = compute_landscape(
        crystal, "Li", potential, LandscapeSettings(learned=LearnedSettings())
    )
    own = values(landscape)
    return {
        "errors_eV": (mine - reference)[low].tolist(),
        "reference_eV": reference[low].tolist(),
        "barriers_eV": {name: own[name] - row["values"][name] for name in BARRIERS},
        "ms": 1000 * cpu_s / max(len(points), 1),
    }


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Return the table of potentials."""
    lines = [
        "| potential | crystals | mean absolute error of energies below 2 eV (eV) | slope "
        "| error of the 3D barrier (eV), median | largest | CPU ms an energy |",
        "|" + " --- |" * 7,
    ]
    for spec, rows in results.items():
        errors = np.concatenate([row["errors_eV"] for row in rows])
        reference = np.concatenate([row["reference_eV"] for row in rows])
        slope = float(np.sum((reference + errors) * reference) / np.sum(reference**2))
        barriers = np.abs([row["barriers_eV"]["barrier_3d_eV"] for row in rows])
        barriers = barriers[np.isfinite(barriers)]
        ends = [np.median(barriers), np.max(barriers)] if len(barriers) else [np.nan, np.nan]
        lines.append(
            f"| `{spec}` | {len(rows)} | {np.mean(np.abs(errors)):.3f} | {slope:.2f} "
            f"| {ends[0]:.3f} | {ends[1]:.3f} | {np.median([row['ms'] for row in rows]):.0f} |"
        )
    return "\n".join(lines) + "\n"


def converge(name: str, crystal: Structure, spec: str, path: Path) -> str:
    """Return how energies of three points move with cutoff and mesh, relative to the first."""
    prior = first_landscape(crystal)
    points = held_out(prior, seed=1)[:3]
    lines = [
        "| cutoff (eV) | k-points | energies relative to the first (eV) |",
        "| --- | --- | --- |",
    ]
    for cutoff, k_length in ((350, 20), (500, 20), (650, 20), (350, 30)):
        kpts = mesh(crystal, k_length)
        text = (spec or gpaw(cutoff)).replace("{kpts}", kpts)
        energies = Energies(path, f"{name} {cutoff} {kpts}", crystal, text)
        own = crystal[points[0][0]].coords
        first = energies.at(points[0][0], np.array(own))
        found = [energies.at(ion, position) - first for ion, position in points]
        lines.append(f"| {cutoff} | {kpts} | {', '.join(f'{one:.4f}' for one in found)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--n", type=int, default=12)
    parser.add_argument("--potential", action="append", default=[])
    parser.add_argument("--calculator", default="")
    parser.add_argument("--converge", default="")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    store = args.out / "dft_landscapes.jsonl"
    if args.converge:
        crystal = dict(eligible(args.structures))[args.converge]
        text = converge(args.converge, crystal, args.calculator, store)
        (args.out / "dft_convergence.md").write_text(text)
        return
    results: dict[str, list[dict[str, Any]]] = {spec: [] for spec in ["chgnet", *args.potential]}
    summary = []
    for name, crystal, prior in chosen(args.structures, args.n):
        row = measured(name, crystal, prior, args.calculator or gpaw(), store)
        summary.append({key: value for key, value in row.items() if key != "points"})
        for spec, rows in results.items():
            rows.append(compared(crystal, row, spec))
        (args.out / "dft_landscapes.json").write_text(json.dumps(summary, indent=1) + "\n")
        (args.out / "dft_landscapes.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
