"""What a prediction costs: forces, network, memory, and the molecular dynamics that it replaces.

    python benchmarks/force_network_cost.py --labels datasets/labels_1000K*.jsonl \\
        --given workflows/label_1000K_crystals.jsonl

The network and the shakes are those of the package. CPU time of one thread, the best of several
repetitions, since other work may share the machine. Labels cost as many force evaluations as they
took steps, each timed here in turn with those of the shakes, so that both are of one machine.
End to end a prediction also prepares the crystal of the file and, unless it is taken as it was
given, relaxes it where a force is large; of a label nothing but the forces is counted.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from superionic.dynamics.supercell import make_supercell
from superionic.evaluation.tables import steps_of
from superionic.network.graphs import shake_graphs
from superionic.network.labels import read_labels
from superionic.network.shakes import shake_crystal
from superionic.potentials.base import Potential
from superionic.potentials.registry import load_potential
from superionic.report.tables.labels import read_data_sets
from superionic.structures import Candidate, read_candidates
from superionic.structures.prepare import prepare
from superionic.workflows.jobs.prediction import load_network
from superionic.workflows.jobs.relax import largest_force, relax_maker
from superionic.workflows.makers.predict import PredictMaker


def best_s(function: Callable[[], object], repetitions: int = 5) -> float:
    """Return the CPU time of a call in s."""
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def step_s(crystal, label, potential) -> float:
    """Return the CPU time of the forces of one step of the label's dynamics, in s."""
    width = float(label.settings.get("min_image_distance_A", 8.0))
    atoms = make_supercell(crystal.atoms, width)[0]
    field = potential.force_field([atoms])
    rng = np.random.default_rng(0)
    moving = [atoms.positions + rng.normal(scale=0.02, size=(len(atoms), 3)) for _ in range(12)]
    field.evaluate([atoms.positions])
    return best_s(lambda: [field.evaluate([one]) for one in moving], 3) / len(moving)


def relaxation_s(candidate: Candidate, potential: Potential) -> float:
    """Return the CPU time of the look at the forces and of the relaxation after it, in s."""
    maker = PredictMaker().relax_maker
    assert maker is not None
    assert maker.max_force_eV_per_A is not None
    structure = prepare(candidate).structure
    found = best_s(lambda: largest_force(structure, potential), 3)
    if largest_force(structure, potential) <= maker.max_force_eV_per_A:
        return found
    relax = relax_maker(
        "chgnet",
        relax_cell=maker.relax_cell,
        fmax_eV_per_A=maker.fmax_eV_per_A,
        steps=maker.steps,
    )
    with TemporaryDirectory() as folder, chdir(folder):  # atomate2 leaves a file where it runs
        return found + best_s(lambda: relax.run_ase(structure), 3)


def measure(
    labels: list[Path], candidates: dict[str, Candidate], n_crystals: int, n_shakes: int
) -> dict[str, float]:
    """Return costs, means over crystals."""
    potential = load_potential("chgnet")
    ensemble = load_network(None).ensemble
    settings = replace(ensemble.header.shakes, n_shakes=n_shakes)
    steps = {one.material_id: one for one in read_data_sets(labels)}
    chosen = read_labels(*labels).crystals
    chosen = chosen[:: max(1, len(chosen) // n_crystals)][:n_crystals]
    shake_crystal(chosen[0].atoms, potential, replace(settings, n_shakes=1))  # compilation
    ensemble.predict(shake_crystal(chosen[0].atoms, potential, settings))
    rows = []
    for crystal in chosen:
        shakes = shake_crystal(crystal.atoms, potential, settings)
        label = steps[crystal.material_id]
        graphs = shake_graphs(shakes, ensemble.header.network.cutoff_A)
        shaken_s = best_s(lambda c=crystal: shake_crystal(c.atoms, potential, settings), 3)
        network_s = best_s(lambda s=shakes: ensemble.predict(s), 3)
        label_s = steps_of(label) * step_s(crystal, label, potential)
        candidate = candidates[crystal.material_id]
        prepared_s = best_s(lambda c=candidate: prepare(c), 3)
        given_s = prepared_s + shaken_s + network_s
        relaxed_s = given_s + relaxation_s(candidate, potential)
        rows.append(
            {
                "atoms of the shaken supercell": len(graphs[0]),
                "edges": graphs[0].edge_index.shape[1],
                "force evaluations of a prediction": shakes.n_evaluations,
                "their time (s)": shaken_s,
                "network, all members and shakes (s)": network_s,
                "prediction (s)": shaken_s + network_s,
                "force evaluations of the label": steps_of(label),
                "forces of the label (s)": label_s,
                "end to end, as given (s)": given_s,
                "end to end, relaxed (s)": relaxed_s,
            }
        )
    found = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    ratios = {
        name: float(
            np.median([row["forces of the label (s)"] / row[f"{name} (s)"] for row in rows])
        )
        for name in ("prediction", "end to end, as given", "end to end, relaxed")
    }
    counts = [
        row["force evaluations of the label"] / row["force evaluations of a prediction"]
        for row in rows
    ]
    return {
        "crystals": len(rows),
        **found,
        "label over prediction, force evaluations (median)": float(np.median(counts)),
        "label over prediction, time (median)": ratios["prediction"],
        "label over prediction end to end, as given (median)": ratios["end to end, as given"],
        "label over prediction end to end, relaxed (median)": ratios["end to end, relaxed"],
        "crystals a second, network alone": 1 / found["network, all members and shakes (s)"],
        "peak memory (GB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, nargs="+", required=True)
    parser.add_argument("--given", type=Path, nargs="+", required=True, help="their crystals")
    parser.add_argument("--crystals", type=int, default=24)
    parser.add_argument("--shakes", type=int, nargs="+", default=[16, 4])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    read = [c for c in read_candidates(options.given) if isinstance(c, Candidate)]
    candidates = {candidate.material_id: candidate for candidate in read}
    found = {n: measure(options.labels, candidates, options.crystals, n) for n in options.shakes}
    lines = [f"| | {' | '.join(f'{n} shakes' for n in found)} |", "| --- |" + " --- |" * len(found)]
    for name in next(iter(found.values())):
        lines.append(f"| {name} | {' | '.join(f'{one[name]:.3g}' for one in found.values())} |")
    (options.out / "force_network_cost.md").write_text("\n".join(lines) + "\n")
    (options.out / "force_network_cost.json").write_text(json.dumps(found, indent=2) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
