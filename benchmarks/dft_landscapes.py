"""Which potential sees the landscape of density functional theory?

    python benchmarks/dft_landscapes.py compute --structures FILE.jsonl [--n 12] [--calculator SPEC]
    python benchmarks/dft_landscapes.py converge --structures FILE.jsonl --id ID
    python benchmarks/dft_landscapes.py compare --structures FILE.jsonl --potential SPEC ...

Rule of choice, made before any was computed: of the crystals of the file, those of at most 10 atoms
in the primitive cell that hold lithium and no element with an open d or f shell (there is no spin
to be chosen), in the order of the SHA-256 of their identifiers; of these alternately one whose
three-dimensional barrier with CHGNet is below 1 eV and one whose is not.

For each, PBE single points by GPAW (plane waves of 350 eV, PAW sets 0.9.20000, Fermi smearing of
0.05 eV, no spin, neutral, one mesh of k-points with gamma for all points of a crystal, no point
group) as many as thirty, chosen by what learns the difference to CHGNet's landscape; then twenty
random points below 2.5 eV of that landscape, which nothing learns from. ``--calculator SPEC`` takes
any other ASE calculator, with ``{kpts}`` in it for the mesh.

Each energy is written to datasets/dft_landscapes.jsonl at once; ``compute`` goes on where it was
stopped. ``compare`` needs no DFT program: each potential gives energies at the same points, and its
own landscape of each crystal. Of single energies the table has the error and the slope against PBE
(softening) at the random points below 2 eV, zero being the point of lowest energy; of landscapes
the errors of barriers that PBE has below 4 eV, and of the free volume below 2 eV.
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

from superionic.landscape.descriptors import Descriptors, compute_descriptors
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
K_LENGTH_A = 15.0
"""k-points times length of each lattice vector, at least."""
LEARNED = LearnedSettings(max_energies=N_ENERGIES, batch_size=4)
BARRIERS = ("barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV", "mpe_eV")
ENDS = ("barrier_1d_eV", "barrier_3d_eV")
VOLUME = "fv_disconnected_2eV"
SOUGHT_BELOW_eV = 4.0
POINTS = Path(__file__).parents[1] / "datasets" / "dft_landscapes.jsonl"
Point = dict[str, Any]
Row = dict[str, Any]


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
    return named(compute_descriptors(landscape.ion_maps(), landscape.grid.lattice))


def named(found: Descriptors) -> dict[str, float]:
    below_2eV = found.fv_disconnected_union[found.thresholds_eV.index(2.0)]
    barriers = {name: float(getattr(found, name)) for name in BARRIERS}
    return {**barriers, VOLUME: float(below_2eV), "xi": float(found.xi)}


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
    descriptors = compute_descriptors(landscape.ion_maps(), landscape.grid.lattice)
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
        "calculator": energies.identity,
        "settings": str(energies.spec),
        "n_points": len(energies.known),
        "values": named(descriptors),
        "intervals": {one: bounds[one] for one in BARRIERS},
        "held_out": [[ion, *map(float, position)] for ion, position in tests],
    }


def compared(crystal: Structure, row: dict[str, Any], points: list[Point], spec: str) -> Row:
    """Return how far a potential is from the energies and descriptors of a crystal."""
    potential = load_potential(spec)
    start = time.process_time()
    configurations = [moved(crystal, one["ion"], np.array(one["position_A"])) for one in points]
    mine = np.array(potential.energies(configurations))
    cpu_s = time.process_time() - start
    reference = np.array([one["energy_eV"] for one in points])
    lowest = int(np.argmin(reference))
    reference, mine = reference - reference[lowest], mine - mine[lowest]
    random = {(ion, *position) for ion, *position in row["held_out"]}
    asked = np.array([(one["ion"], *one["position_A"]) in random for one in points])
    low = asked & (reference < COMPARED_BELOW_eV) & (np.arange(len(points)) != lowest)
    learned = LandscapeSettings(learned=LearnedSettings())
    start = time.process_time()
    own = values(compute_landscape(crystal, "Li", potential, learned))
    return {
        "id": row["id"],
        "potential": str(potential.info.label),
        "weights_sha256": potential.info.weights_sha256,
        "n_points": len(points),
        "reference_eV": reference[low].round(5).tolist(),
        "errors_eV": (mine - reference)[low].round(5).tolist(),
        "values": own,
        "cpu_ms": round(1000 * cpu_s / len(points), 2),
        "landscape_cpu_s": round(time.process_time() - start, 2),
    }


def table(rows: list[Row], found: list[Row]) -> str:
    """Return the tables of potentials, and of crystals."""
    names = list(dict.fromkeys(one["potential"] for one in found))
    by = {(one["id"], one["potential"]): one for one in found}
    lines = [
        f"{len(rows)} crystals, {sum(row['n_points'] for row in rows)} energies of PBE.",
        "",
        "| potential | crystals | random points below 2 eV | mean absolute error (eV) | slope "
        "| 1D barrier: error (eV), median | largest | 3D barrier: error, median | largest "
        "| free volume below 2 eV: relative error, median | CPU ms an energy |",
        "|" + " --- |" * 11,
    ]
    for name in names:
        mine = [(row, by[row["id"], name]) for row in rows if (row["id"], name) in by]
        errors = np.concatenate([one["errors_eV"] for _, one in mine])
        reference = np.concatenate([one["reference_eV"] for _, one in mine])
        slope = np.sum((reference + errors) * reference) / np.sum(reference**2)
        cells = []
        for barrier in ENDS:
            off = [
                one["values"][barrier] - row["values"][barrier]
                for row, one in mine
                if row["values"][barrier] < SOUGHT_BELOW_eV
            ]
            cells += [f"{np.median(off):+.2f}", f"{max(off, key=abs):+.2f}"] if off else ["-", "-"]
        volumes = [
            one["values"][VOLUME] / row["values"][VOLUME] - 1
            for row, one in mine
            if row["values"][VOLUME] > 0
        ]
        speed = np.median([one["cpu_ms"] for _, one in mine])
        lines.append(
            f"| `{short(name)}` | {len(mine)} | {len(errors)} | {np.mean(np.abs(errors)):.3f} "
            f"| {slope:.2f} | {' | '.join(cells)} | {np.median(volumes):+.0%} | {speed:.0f} |"
        )
    titles = ["crystal", "id", "atoms", "k-points", "energies", "ending", "PBE", *map(short, names)]
    lines += [
        "",
        "Barriers in one and in three dimensions (eV); PBE with its 95 % intervals.",
        "",
        f"| {' | '.join(titles)} |",
        "|" + " --- |" * len(titles),
    ]
    for row in rows:
        own = row["values"], row["intervals"]
        cells = [row["formula"], row["id"], row["n_atoms"], row["k_points"], row["n_points"]]
        cells += [row["ending"], ", ".join(stated(*own, name) for name in ENDS)]
        for name in names:
            one = by.get((row["id"], name))
            cells.append(", ".join(f"{one['values'][end]:.2f}" for end in ENDS) if one else "-")
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def short(name: str) -> str:
    """Return the name of a potential without its settings."""
    return name.partition("?")[0]


def stated(values: dict[str, float], intervals: dict[str, list[float]], name: str) -> str:
    low, high = intervals[name]
    return f"{values[name]:.2f} [{low:.2f}, {high:.2f}]"


def converge(name: str, crystal: Structure, spec: str, path: Path) -> str:
    """Return how energies of three points move with cutoff and mesh, relative to the first."""
    prior = first_landscape(crystal)
    points = held_out(prior, seed=1)[:3]
    lines = [
        "| cutoff (eV) | k-points | energies relative to the first (eV) |",
        "| --- | --- | --- |",
    ]
    for cutoff, k_length in ((350, 15), (500, 15), (650, 15), (350, 22), (350, 30)):
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
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("compute", "converge", "compare"):
        one = commands.add_parser(command)
        one.add_argument("--structures", type=Path, required=True)
        one.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
        one.add_argument("--points", type=Path, default=POINTS)
        if command != "compare":
            one.add_argument("--calculator", default="")
    commands.choices["compute"].add_argument("--n", type=int, default=12)
    commands.choices["converge"].add_argument("--id", required=True)
    commands.choices["compare"].add_argument("--potential", action="append", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    summary = args.out / "dft_landscapes.json"
    if args.command == "converge":
        crystal = dict(eligible(args.structures))[args.id]
        text = converge(args.id, crystal, args.calculator, args.points)
        (args.out / "dft_convergence.md").write_text(text)
    elif args.command == "compute":
        rows = []
        for name, crystal, prior in chosen(args.structures, args.n):
            calculator = args.calculator or gpaw()
            rows.append(measured(name, crystal, prior, calculator, args.points))
            summary.write_text(json.dumps(rows, indent=1) + "\n")
    else:
        compare(args, json.loads(summary.read_text()))


def compare(args: argparse.Namespace, rows: list[Row]) -> None:
    """Compare potentials crystal by crystal, what is there once only, and write the tables."""
    store = args.out / "dft_landscapes_potentials.jsonl"
    known = [json.loads(line) for line in store.read_text().splitlines()] if store.exists() else []
    done = {(one["id"], one["weights_sha256"], one["n_points"]) for one in known}
    crystals = dict(eligible(args.structures))
    energies = [json.loads(line) for line in args.points.read_text().splitlines()]
    for spec in args.potential:
        weights = identify_potential(spec).weights_sha256
        for row in rows:
            own = (row["id"], row["calculator"])
            points = [
                one
                for one in energies
                if (one["id"], one["calculator"]) == own and one["energy_eV"] is not None
            ]
            if (row["id"], weights, len(points)) not in done:
                known.append(compared(crystals[row["id"]], row, points, spec))
                print(row["id"], spec, flush=True)
                with store.open("a") as stream:
                    stream.write(json.dumps(known[-1]) + "\n")
    latest = {(one["id"], one["weights_sha256"]): one for one in known}
    (args.out / "dft_landscapes.md").write_text(table(rows, list(latest.values())))


if __name__ == "__main__":
    main()
