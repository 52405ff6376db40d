"""What a prediction of the force network costs: forces, network, memory, and the label it replaces.

    python benchmarks/force_network_cost.py --labels datasets/labels_1000K.jsonl --crystals 12

CPU time of one thread, the best of several repetitions, since other work may share the machine.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from superionic.potentials.registry import load_potential
from superionic.surrogate.data import TrainingSet, read_labels
from superionic.surrogate.graphs import collate, shake_graphs
from superionic.surrogate.inference import evaluate
from superionic.surrogate.keys import TARGETS
from superionic.surrogate.model import ForceNetwork
from superionic.surrogate.settings import NetworkSettings, ShakeSettings
from superionic.surrogate.shakes import shake_crystal


def best_ms(function: Callable[[], object], repetitions: int = 5) -> float:
    """Return the CPU time of a call in ms."""
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def measure(labels: Path, n_crystals: int, n_shakes: int, n_members: int) -> dict[str, float]:
    """Return costs by crystal and shake."""
    chosen = read_labels(labels).crystals
    chosen = chosen[:: max(1, len(chosen) // n_crystals)][:n_crystals]
    potential = load_potential("chgnet")
    settings = ShakeSettings(n_shakes=n_shakes)
    shake_crystal(chosen[0].atoms, potential, settings)  # compilation and caches
    start = time.process_time()
    shakes = tuple(shake_crystal(c.atoms, potential, settings) for c in chosen)
    forces = (time.process_time() - start) * 1e3
    network_settings = NetworkSettings()
    network = ForceNetwork(network_settings)
    graphs = [shake_graphs(one, network_settings.cutoff_A) for one in shakes]
    first = [g[0] for g in graphs]
    batch = collate(first)

    def backward() -> None:
        network.zero_grad()
        network(batch)[TARGETS].square().sum().backward()

    def graph() -> None:
        for one in shakes:
            shake_graphs(one.first(1), network_settings.cutoff_A)

    n = len(chosen)
    data = TrainingSet(chosen, shakes)
    forward_ms = best_ms(lambda: evaluate(network, first)) / n
    found = {
        "crystals": n,
        "atoms_mean": float(np.mean([len(g) for g in first])),
        "edges_mean": float(np.mean([g.edge_index.shape[1] for g in first])),
        "forces_ms": forces / sum(one.n_evaluations for one in shakes),
        "graph_ms": best_ms(graph) / n,
        "forward_ms": forward_ms,
        "forward_and_backward_ms": best_ms(backward) / n,
        "network_crystals_per_s": 1e3 / forward_ms,
        "peak_memory_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    found["prediction_s"] = (
        (n_shakes + 1) * found["forces_ms"]
        + n_shakes * (found["graph_ms"] + n_members * found["forward_ms"])
    ) / 1e3
    times = {}
    for line in labels.read_text().splitlines():
        row = json.loads(line)
        times[row["material_id"]] = row.get("wall_time_s")
    walls = [times[c.material_id] for c in data.crystals if times.get(c.material_id)]
    if walls:
        found["label_wall_s_mean"] = float(np.mean(walls))
        found["label_over_prediction"] = found["label_wall_s_mean"] / found["prediction_s"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--crystals", type=int, default=12)
    parser.add_argument("--shakes", type=int, default=8)
    parser.add_argument("--members", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(options.labels, options.crystals, options.shakes, options.members)
    for name, value in found.items():
        print(f"{name:26s} {value:10.3g}")


if __name__ == "__main__":
    main()
