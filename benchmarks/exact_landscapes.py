"""Exact landscapes of crystals of 4 to 60 atoms, kept on disk: the oracle of learned mode.

    python benchmarks/exact_landscapes.py --structures DIR --cache DIR [--set test]

DIR of the structures holds structures_li.jsonl (``id``, ``formula``, ``source``, ``structure``) and
em_other_ions_paths.jsonl. The crystals are drawn by a rule:

- Left out: CIFs with deliberate noise, the twelve examples, the crystals of
  benchmarks/crystals.jsonl, and of the phonondb crystals of up to 24 atoms the first hundred of the
  random order of seed 7, with which adaptive and learned mode were made or measured before.
- The others are put in a random order (seed 25). For each a mobile ion is drawn: Li, or for every
  third crystal another of Na, K, Rb, Cs, Mg, Ca, Ag and Cu that it holds.
- They are prepared (primitive cells) and filled into the strata of ``STRATA`` by their atoms. One
  formula enters once. Crystals whose exact mode would take more than about ``MOST_SECONDS`` of one
  core are passed over; that is guessed from their irreducible grid points, their atoms (up to 50
  count), and the square of their density. The first ``N_DEVELOPMENT`` of more than 24 atoms are for
  development; the next are the test.
- To the test come the crystals of ``NAMED``, whatever they cost.

For each crystal ID-ION.npz holds the total energies of every ion on the grid, and ID-ION.json the
descriptors, the number of energies and the processor's time.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pymatgen.core import Lattice, Structure

from superionic.errors import SuperionicError
from superionic.landscape.descriptors import compute_descriptors
from superionic.landscape.evaluation import Evaluation
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import LandscapeSettings
from superionic.potentials.registry import load_potential
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import prepare

SEED = 25
STRATA = ((4, 12, 18), (13, 24, 18), (25, 36, 14), (37, 60, 12))
"""Atoms from, to, and how many crystals."""
OTHER_IONS = ("Na", "K", "Rb", "Cs", "Mg", "Ca", "Ag", "Cu")
MOST_SECONDS = 45.0
SECONDS_A6 = 0.034
"""Of one energy, for each atom up to 50 and the square of the density in atoms/A^3."""
N_DEVELOPMENT = 7
NAMED = (("mp-985582", "Li"), ("mp-696128", "Li"))
"""Li6PS5I and Li10Ge(PS6)2."""

RESULTS = Path(__file__).parent / "results"


def used_before(records: list[dict[str, Any]]) -> set[str]:
    """Return the crystals with which a mode was made or measured."""
    examples = Path(__file__).parents[1] / "workflows" / "example_crystals"
    names = {path.stem for path in examples.glob("*.cif")}
    table = Path(__file__).parent / "crystals.jsonl"
    names |= {json.loads(line)["id"] for line in table.read_text().splitlines()}
    small = [r for r in records if r["source"] == "phonondb" and r["n_atoms"] <= 24]
    order = np.random.default_rng(7).permutation(len(small))
    return names | {small[k]["id"] for k in order[:100]}


def read(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "structures_li.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for line in (folder / "em_other_ions_paths.jsonl").read_text().splitlines():
        path = json.loads(line)
        if path["min_distance_A"] >= 1:
            records.append(path | {"source": "paths", "structure": path["structure_ini"]})
    return records


def crystal(record: dict[str, Any]) -> Structure:
    s = record["structure"]
    return Structure(Lattice(s["lattice"]), s["species"], s["frac_coords"])


def n_points(structure: Structure, ion: str) -> int:
    """Return the number of energies that exact mode takes, checks left out."""
    settings = LandscapeSettings(n_symmetry_checks=0)
    evaluation = Evaluation(structure, ion, load_potential("chgnet"), settings)
    return evaluation.count(evaluation.sampling())


def guessed_s(structure: Structure, count: int) -> float:
    """Return about how long exact mode takes on one core."""
    density = len(structure) / structure.volume
    return float(count * SECONDS_A6 * min(len(structure), 50) * density**2)


def drawn(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the crystals in their order, each with its set."""
    records = read(folder)
    out = used_before(records)
    rng = np.random.default_rng(SEED)
    pool = [r for r in records if r["id"] not in out and not r.get("obelix_noise")]
    left = {bounds: n for *bounds_, n in STRATA for bounds in [tuple(bounds_)]}
    seen: set[str] = set()
    n_development = 0
    for number, index in enumerate(rng.permutation(len(pool))):
        record = pool[index]
        rank = rng.permutation(len(OTHER_IONS))
        if not any(left.values()):
            return
        structure = crystal(record)
        held = {element.symbol for element in structure.composition.elements}
        others = [OTHER_IONS[k] for k in rank if OTHER_IONS[k] in held]
        ion = others[0] if others and (number % 3 == 0 or "Li" not in held) else "Li"
        formula = structure.composition.reduced_formula
        if ion not in held or formula in seen or len(held) < 2:
            continue
        try:
            structure = prepare(Candidate(record["id"], structure), ion).structure
        except SuperionicError:
            continue
        bounds = next((b for b in left if b[0] <= len(structure) <= b[1] and left[b]), None)
        if bounds is None:
            continue
        count = n_points(structure, ion)
        if guessed_s(structure, count) > MOST_SECONDS:
            continue
        seen.add(formula)
        found = {"id": record["id"], "ion": ion, "formula": formula, "n_points": count}
        found |= {"n_atoms": len(structure), "source": record["source"], "structure": structure}
        if len(structure) > 24 and n_development < N_DEVELOPMENT:
            n_development += 1
            yield found | {"set": "development"}
        else:
            left[bounds] -= 1
            yield found | {"set": "test"}


def named(folder: Path) -> Iterator[dict[str, Any]]:
    records = {record["id"]: record for record in read(folder)}
    for name, ion in NAMED:
        structure = prepare(Candidate(name, crystal(records[name])), ion).structure
        yield {
            "id": name,
            "ion": ion,
            "formula": structure.composition.reduced_formula,
            "n_points": n_points(structure, ion),
            "n_atoms": len(structure),
            "source": records[name]["source"],
            "structure": structure,
            "set": "test",
        }


def chosen(folder: Path, cache: Path) -> list[dict[str, Any]]:
    """Return the crystals of both sets; the list is kept, since counting points takes minutes."""
    store = cache / "crystals.jsonl"
    if not store.exists():
        found = [*drawn(folder), *named(folder)]
        lines = [json.dumps(one | {"structure": one["structure"].as_dict()}) for one in found]
        store.write_text("\n".join(lines) + "\n")
    rows = [json.loads(line) for line in store.read_text().splitlines()]
    return [row | {"structure": Structure.from_dict(row["structure"])} for row in rows]


def compute(row: dict[str, Any], cache: Path) -> None:
    """Compute the exact landscape of one crystal, and keep it."""
    name = f"{row['id']}-{row['ion']}"
    if (cache / f"{name}.json").exists():
        return
    structure, ion = row["structure"], row["ion"]
    start = time.process_time()
    landscape = compute_landscape(structure, ion, load_potential("chgnet"), LandscapeSettings())
    cpu_s = time.process_time() - start
    found = compute_descriptors(landscape.ion_maps(), landscape.grid.lattice)
    minima = {site: one.minimum_eV for one in landscape.orbits for site in one.orbit.members}
    maps = list(landscape.maps())
    fresh = cache / f"{name}.{os.getpid()}.npz"
    np.savez_compressed(
        fresh,
        sites=[site for site, _ in maps],
        totals_eV=np.stack([energies + minima[site] for site, energies in maps]),
        lattice=landscape.grid.lattice,
        shape=landscape.grid.shape,
        origin=landscape.grid.origin,
    )
    fresh.rename(cache / f"{name}.npz")
    values = {
        "barrier_1d_eV": found.barrier_1d_eV,
        "barrier_2d_eV": found.barrier_2d_eV,
        "barrier_3d_eV": found.barrier_3d_eV,
        "mpe_eV": found.mpe_eV,
        "fv_0.5eV": found.at(0.5)["fv_disconnected_union"],
        "fv_2eV": found.at(2.0)["fv_disconnected_union"],
        "xi": found.xi,
    }
    result = {
        "id": row["id"],
        "ion": ion,
        "formula": row["formula"],
        "n_atoms": row["n_atoms"],
        "set": row["set"],
        "space_group": landscape.space_group.symbol,
        "symmetric": landscape.n_operations > 1 or landscape.space_group.number == 1,
        "n_operations": landscape.n_operations,
        "n_energies": landscape.n_evaluations,
        "cpu_s": cpu_s,
        "values": {key: value if np.isfinite(value) else None for key, value in values.items()},
    }
    (cache / f"{name}.json").write_text(json.dumps(result) + "\n")
    print(json.dumps(result), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--set", choices=("test", "development"), default="test")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("K", "N"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.cache.mkdir(parents=True, exist_ok=True)
    rows = [row for row in chosen(args.structures, args.cache) if row["set"] == args.set]
    # Cheap ones first, so that a run that is stopped has most of them.
    part, n_parts = args.part
    for row in sorted(rows, key=lambda row: guessed_s(row["structure"], row["n_points"]))[
        part::n_parts
    ]:
        try:
            compute(row, args.cache)
        except SuperionicError as error:
            print(f"{row['id']} {row['formula']}: {error}", flush=True)


if __name__ == "__main__":
    main()
