"""LiFlow and bond valences on crystals of the labels: what they find, and what they cost.

    export OMP_NUM_THREADS=1
    python benchmarks/liflow.py run --liflow FOLDER
    python benchmarks/liflow.py bond-valences
    python benchmarks/liflow.py table

LiFlow (J. Nam et al., Nat. Mach. Intell. 2025, arXiv:2410.01464) draws the next picosecond of a
crystal's motion from a network that learned molecular dynamics with MACE of 4,186 lithium compounds
of the Materials Project. Code and weights are MIT and no part of this repository::

    git clone https://github.com/learningmatter-mit/liflow FOLDER   # commit e6fc475
    pip install lightning==2.6.6 torch-geometric==2.8.1 omegaconf==2.4.0 vesin==0.3.2
    pip install bvlain==0.25.1    # for bond-valences

with torch 2.13.0. Of torch-scatter it needs one sum, which stands in below. Its checkpoints are
pickles: loading them runs what they say.

**What was recovered.** Which row of its table of elements is which element stands in its data set,
not in its repository. Its checkpoint of Li10GeP2S12 has the same table, and its optimizer has moved
four rows: 1, 12, 13, 28. In the order of atomic numbers and without noble gases these are lithium,
phosphorus, sulphur and germanium, and the rows between them are as many as the elements between
them: up to Ge the table is certain. From As to Mo it is continued in this order, without krypton,
which nothing proves; crystals up to Ge have a table of their own. Heavier elements are left out.
Which crystals LiFlow learned is not in the repository either: any of these, all of the Materials
Project, may have been among them.

**The rule**, written down when no crystal of the labels had been run but one (LiMgP, both priors):

- All crystals of ``labels_1000K.jsonl`` without elements beyond Mo, those up to Ge first, by atoms
  and identifier; from the structures and in the supercells of the labels, at 1000 K.
- Released propagator and corrector (``P_universal``, ``C_universal``), 25 steps of 1 ps, 10 Euler
  steps each, no retries, as its authors test it; seed 1, anew for each crystal.
- Its prior has a small and a large scale for lithium and for the rest, which its authors choose by
  a classifier that is not released. Here it is large for lithium and small for the rest in every
  crystal, as they have it for Li10GeP2S12; a second run has both small and stands beside it. So
  does a bound from above: of each crystal the run that a classifier without error would have
  chosen, the large one where the label's own slope is above 0.1 A^2/ps, which is their threshold.
- The score is the slope of the mean squared displacement of lithium relative to the framework, over
  all origins, by a straight line through the lags from 0.2 to 0.7 of the 25 ps, the window of the
  labels. The displacement after 25 ps, which its authors compare, stands beside it.
- A run that diverges has no score and is counted.

Both commands write one line a crystal to ``results/liflow.jsonl`` at once and go on where they were
stopped, at low priority. Seconds are CPU time without imports and loading.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from types import ModuleType
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.data import atomic_numbers
from numpy.typing import NDArray

from superionic.dynamics.msd import mean_squared_displacement, remove_drift
from superionic.evaluation.evaluate import conductors_of, label_truths
from superionic.evaluation.readers import read_bond_valence, read_held_out
from superionic.evaluation.scorers import Group, group_of, scorers_of, with_held_out
from superionic.evaluation.tables import costs_of
from superionic.report.tables.export import read_rows_file
from superionic.report.tables.labels import read_data_sets
from superionic.schemas.label import LabelRow
from superionic.statistics import Interval, bootstrap_interval, roc_auc, spearman

FloatArray = NDArray[np.float64]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "liflow.jsonl"
TABLE = RESULTS.with_suffix(".md")
LABELS = ("labels_1000K.jsonl", "labels_1000K_longer.jsonl")

MOBILE = "Li"
TEMPERATURE_K = 1000.0
STEPS, EULER_STEPS, STEP_PS, SEED = 25, 10, 1.0, 1
WINDOW = (0.2, 0.7)
PRIORS = {"liflow": (1, 0), "liflow_small_prior": (0, 0)}
"""Scales of lithium and of the rest, 1 for the large one."""

NOBLE_GASES = frozenset({2, 10, 18, 36})
LAST_CERTAIN, LAST = atomic_numbers["Ge"], atomic_numbers["Mo"]
LGPS = ("Li", "P", "S", "Ge")


def element_rows(trained: Sequence[int]) -> dict[int, int]:
    """Return the row of each atomic number in LiFlow's table of elements.

    Parameters
    ----------
    trained : sequence of int
        Rows that training on Li10GeP2S12 has moved.

    Raises
    ------
    ValueError
        When they are not where the order of atomic numbers puts these elements.
    """
    elements = [z for z in range(1, LAST + 1) if z not in NOBLE_GASES]
    rows = {z: row for row, z in enumerate(elements)}
    expected = [rows[atomic_numbers[symbol]] for symbol in LGPS]
    if list(trained) != expected:
        raise ValueError(f"The table is another: rows {list(trained)} moved, not {expected}.")
    return rows


def chosen(labels: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the crystals that are run, in this order."""
    heaviest = [(heaviest_of(label["structure"]["species"]), label) for label in labels]
    allowed = [(z, label) for z, label in heaviest if z <= LAST]
    allowed.sort(key=lambda one: (one[0] > LAST_CERTAIN, one[1]["n_atoms"], one[1]["material_id"]))
    return [label for _, label in allowed]


def heaviest_of(symbols: Iterable[str]) -> int:
    """Return the highest atomic number, infinity's stand-in for noble gases."""
    numbers = {atomic_numbers[symbol] for symbol in symbols}
    return 999 if numbers & NOBLE_GASES else max(numbers)


def msd_A2(positions_A: FloatArray, masses_u: FloatArray, mobile: NDArray[np.bool_]) -> FloatArray:
    """Return the mean squared displacement of the mobile ions by lag, relative to the framework."""
    positions = remove_drift(positions_A, masses_u, ~mobile)[:, mobile]
    return mean_squared_displacement(positions).sum(axis=1)


def slope_A2_per_ps(msd: Sequence[float]) -> float:
    """Return the slope of a mean squared displacement that is given by lag."""
    last = len(msd) - 1
    lags = np.arange(last + 1)
    used = (lags >= WINDOW[0] * last) & (lags <= WINDOW[1] * last)
    return float(np.polyfit(lags[used] * STEP_PS, np.asarray(msd)[used], 1)[0])


def supercell_of(label: dict[str, Any]) -> Atoms:
    """Return the supercell in which a label's run began."""
    cell = label["structure"]
    atoms = Atoms(
        cell["species"], cell=cell["lattice"], scaled_positions=cell["frac_coords"], pbc=True
    )
    return make_supercell(atoms, label["supercell_matrix"])


class LiFlow:
    """The released networks.

    Parameters
    ----------
    folder : Path
        A clone of its repository.
    """

    def __init__(self, folder: Path) -> None:
        import torch

        try:
            import torch_scatter  # noqa: F401
        except ImportError:
            sys.modules["torch_scatter"] = _scatter()
        sys.path.insert(0, str(folder))
        from liflow.model.modules import FlowModule

        torch.set_num_threads(1)
        options = {"map_location": "cpu", "weights_only": False}
        self.propagate, self.correct = (
            FlowModule.load_from_checkpoint(folder / "ckpt" / f"{name}.ckpt", **options).eval()
            for name in ("P_universal", "C_universal")
        )
        trained = torch.load(folder / "ckpt" / "P_LGPS.ckpt", **options)
        moved = trained["optimizer_states"][0]["state"][0]["exp_avg_sq"].abs().sum(dim=1)
        self.rows = np.full(119, -1)
        for z, row in element_rows(moved.nonzero().flatten().tolist()).items():
            self.rows[z] = row

    def describe(self, label: dict[str, Any], scales: tuple[int, int]) -> dict[str, Any]:
        """Return mean squared displacements of a crystal's lithium, and of the rest, by lag."""
        from liflow.utils.inference import FlowSimulator
        from liflow.utils.prior import get_prior

        atoms = supercell_of(label)
        if len(atoms) != label["n_atoms"]:
            raise ValueError(f"{len(atoms)} atoms, and not the {label['n_atoms']} of the label")
        priors = [
            get_prior(prior.class_name, **prior.params, seed=SEED)
            for prior in (self.propagate.cfg.propagate_prior, self.correct.cfg.correct_prior)
        ]
        simulator = FlowSimulator(
            *(self.propagate, priors[0], atoms.numbers, self.rows, atoms.cell.array),
            *(TEMPERATURE_K, self.correct, priors[1]),
            scale_Li_index=scales[0],
            scale_frame_index=scales[1],
        )
        found = simulator.run(
            atoms.get_positions(), steps=STEPS, flow_steps=EULER_STEPS, solver="euler",
            num_retries=0,
        )  # fmt: skip
        if len(found) <= STEPS:
            raise ValueError(f"the run diverged after {len(found) - 1} steps")
        positions, masses = np.array(found, dtype=float), atoms.get_masses()
        mobile = atoms.symbols == MOBILE
        own = remove_drift(positions, masses, ~mobile)[:, ~mobile]
        return {
            "n_atoms": len(atoms),
            "msd_A2": [round(float(x), 4) for x in msd_A2(positions, masses, mobile)],
            "framework_msd_A2": round(float(np.square(own[-1] - own[0]).sum(axis=1).mean()), 4),
        }


def _scatter() -> ModuleType:
    """Return what LiFlow needs of torch-scatter."""

    def scatter_sum(src: Any, index: Any, dim: int = 0, dim_size: int | None = None) -> Any:
        if dim != 0 or dim_size is None:
            raise NotImplementedError
        return src.new_zeros((dim_size, *src.shape[1:])).index_add_(0, index, src)

    module = ModuleType("torch_scatter")
    module.scatter_sum = scatter_sum
    return module


def bond_valences(label: dict[str, Any]) -> dict[str, Any]:
    """Return the bond-valence barriers of a crystal."""
    from pymatgen.core import Lattice, Structure

    from bond_valence import barriers_eV

    cell = label["structure"]
    structure = Structure(Lattice(cell["lattice"]), cell["species"], cell["frac_coords"])
    found = [round(float(value), 4) for value in barriers_eV(structure, MOBILE)]
    return {"barriers_eV": [value if np.isfinite(value) else None for value in found]}


def each(method: str, describe: Callable[[dict[str, Any]], dict[str, Any]], limit: int) -> None:
    """Compute what is not in the results yet, ``limit`` crystals at most."""
    done = {one["material_id"] for one in computed() if one["method"] == method}
    lines = (ROOT / "datasets" / LABELS[0]).read_text().splitlines()
    todo = [one for one in chosen(map(json.loads, lines)) if one["material_id"] not in done]
    for label in todo[:limit]:
        found = {name: label[name] for name in ("material_id", "formula")} | {"method": method}
        start = time.process_time()
        try:
            found |= describe(label)
        except Exception as error:  # one crystal must not stop the others
            found["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
        found["seconds"] = round(time.process_time() - start, 2)
        with RESULTS.open("a") as stream:
            stream.write(json.dumps(found) + "\n")
        print(found, flush=True)


def computed() -> list[dict[str, Any]]:
    """Return the lines that are there."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return [json.loads(line) for line in lines]


TITLES = {
    "liflow": "LiFlow",
    "liflow_25ps": "LiFlow, displacement after 25 ps",
    "liflow_small_prior": "LiFlow, small prior for all",
    "liflow_told": "LiFlow, prior told by the label (bound from above)",
    "bond_valence_1d_eV": "bond valences, 1D",
    "bond_valence_3d_eV": "bond valences, 3D",
    "free_volume": "`free_volume`",
    "network": "`network`",
    "mobile_fraction": "mobile ions per atom (baseline)",
}
MAY_LACK = frozenset({"network", "liflow_small_prior", "liflow_told"})
"""Scores that some of the same crystals may lack: what is not held out, or was not run for all."""
LARGE_A2_PER_PS, FAST_A2_PER_PS = 0.1, 1.0
Truths = Mapping[str, float]
Column = tuple[Callable[..., float], Truths]


def liflow_scores(
    lines: Iterable[dict[str, Any]], own_slopes: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Return the scores of LiFlow by identifier, under each name.

    Parameters
    ----------
    lines : iterable of dict
        Results; those with an error have no score.
    own_slopes : mapping of str to float
        Slopes of the labels in A^2/ps, which choose the prior in the bound from above.
    """
    found: dict[str, dict[str, float]] = {name: {} for name in (*PRIORS, "liflow_25ps")}
    for one in lines:
        if one["method"] in PRIORS and "error" not in one:
            found[one["method"]][one["material_id"]] = slope_A2_per_ps(one["msd_A2"])
            if one["method"] == "liflow":
                found["liflow_25ps"][one["material_id"]] = one["msd_A2"][-1] / (STEPS * STEP_PS)
    large, small = found["liflow"], found["liflow_small_prior"]
    found["liflow_told"] = {
        name: (large if slope > LARGE_A2_PER_PS else small)[name]
        for name, slope in own_slopes.items()
        if name in large and name in small
    }
    return found


def columns_of(group: Group, labels: Sequence[LabelRow]) -> dict[str, Column]:
    """Return each measure with what it is asked of."""
    known = label_truths(group, labels)
    values = {name: one.value for name, one in known.items() if one.value is not None}
    diffusing = {one.material_id for one in labels if one.verdict == "diffusing"}
    fast, with_melted = (
        conductors_of(
            label_truths(group, labels, melted_fails=fails, by_bounds=True), FAST_A2_PER_PS
        )
        for fails in (False, True)
    )
    return {
        "Spearman, those that diffuse": (spearman, {n: values[n] for n in sorted(diffusing)}),
        "Spearman, all decided": (spearman, values),
        "ROC-AUC, by bounds": (roc_auc, fast),
        "ROC-AUC, melted as failures": (roc_auc, with_melted),
    }


def part(
    names: set[str],
    scores: Mapping[str, Mapping[str, float]],
    columns: Mapping[str, Column],
    systems: Mapping[str, str],
) -> list[str]:
    """Return a table of some crystals, with a line for each score."""
    asked = {title: names & truths.keys() for title, (_, truths) in columns.items()}
    counts = [_count(asked[title], columns[title][1]) for title in columns]
    text = [
        "| score | " + " | ".join(columns) + " |",
        "| --- |" + " --- |" * len(columns),
        "| crystals (above) | " + " | ".join(counts) + " |",
    ]
    for name, title in TITLES.items():
        if not names & scores[name].keys():
            continue
        cells = []
        for column, (measure, truths) in columns.items():
            used = sorted(asked[column] & scores[name].keys())
            found = _interval(measure, truths, [scores[name]], used, systems)
            of = "" if len(used) == len(asked[column]) else f" (of {len(used)})"
            cells.append(f"{found:.2f}{of}")
        text.append(f"| {title} | " + " | ".join(cells) + " |")
    return text


def gains(
    names: set[str],
    scores: Mapping[str, Mapping[str, float]],
    columns: Mapping[str, Column],
    systems: Mapping[str, str],
) -> list[str]:
    """Return how much better than LiFlow other scores are on the same crystals."""
    text = [
        "| paired gain over LiFlow | " + " | ".join(columns) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    for name in ("bond_valence_1d_eV", "free_volume", "network"):
        cells = []
        for measure, truths in columns.values():
            used = sorted(names & truths.keys() & scores[name].keys() & scores["liflow"].keys())

            def gain(
                truth: FloatArray,
                one: FloatArray,
                other: FloatArray,
                measure: Callable[..., float] = measure,
            ) -> float:
                return measure(truth, one) - measure(truth, other)

            found = _interval(gain, truths, [scores[name], scores["liflow"]], used, systems)
            cells.append(f"{found:+.2f} ({len(used)})")
        text.append(f"| {TITLES[name]} | " + " | ".join(cells) + " |")
    return text


def costs(names: set[str], lines: Sequence[dict[str, Any]], group: Group, labels: Any) -> list[str]:
    """Return what each way takes a crystal."""
    text = ["| | crystals | seconds, median | mean |", "| --- | --- | --- | --- |"]
    for method, title in (("liflow", "LiFlow"), ("bond_valence", "bond valences")):
        used = [one for one in lines if one["method"] == method and one["material_id"] in names]
        seconds = [one["seconds"] for one in used if "error" not in one] or [float("nan")]
        text.append(f"| {title} | {len(seconds)} | {median(seconds):.1f} | {mean(seconds):.1f} |")
    own = replace(group, rows=[row for row in group.rows if row.material_id in names])
    for cost in costs_of(own, [one for one in labels if one.material_id in names])[:3]:
        numbers = f"{cost.n} | {cost.core_s_median:.1f} | {cost.core_s_mean:.1f}"
        text.append(f"| {cost.name} | {numbers} |")
    return text


def table() -> str:
    """Return the tables as Markdown."""
    data = ROOT / "datasets"
    held_out = read_held_out([RESULTS.parent / "force_network.json"])
    group = group_of(with_held_out(read_rows_file(data / "screening_1000K.jsonl"), held_out))
    labels = read_data_sets([data / name for name in LABELS])
    lines, systems = computed(), group.systems()
    slopes = {one.material_id: one.msd_slope_A2_per_ps or 0.0 for one in labels}
    scorers = scorers_of(group, {}, read_bond_valence(data / "bond_valence.csv"))
    scores = liflow_scores(lines, slopes)
    scores |= {one.name: one.scores for one in scorers if one.name in TITLES}
    columns = columns_of(group, labels)

    run = {one["material_id"] for one in lines if one["method"] == "liflow"}
    all_scores = [scores[name].keys() for name in TITLES if name not in MAY_LACK]
    same = run.intersection(*all_scores)
    heaviest = {row.material_id: heaviest_of(row.elements) for row in group.rows}
    certain = {name for name in same if heaviest[name] <= LAST_CERTAIN}
    asked = Counter(one["method"] for one in lines)
    failed = Counter(one["method"] for one in lines if "error" in one)
    text = [
        f"{len(run)} crystals were run, {sum(heaviest[name] <= LAST_CERTAIN for name in run)} of "
        f"them without elements beyond Ge; {asked['liflow_small_prior']} with the small prior, "
        f"too. {failed['liflow']} runs failed ({failed['liflow_small_prior']} with the small "
        f"prior); {len(run - scores['bond_valence_1d_eV'].keys())} crystals have no bond valences.",
        "",
    ]
    for title, names in (
        ("The same crystals, up to Mo", same),
        ("The same crystals, up to Ge", certain),
        ("All that were run", run),
    ):
        text += [f"**{title}**", "", *part(names, scores, columns, systems), ""]
    text += [*gains(run, scores, columns, systems), ""]
    text += ["**Seconds of one core**", "", *costs(run, lines, group, labels)]
    return "\n".join(text) + "\n"


def _count(names: set[str], truths: Truths) -> str:
    kinds = {truths[name] for name in names}
    above = f" ({sum(truths[name] for name in names)})" if kinds <= {True, False} else ""
    return f"{len(names)}{above}"


def _interval(
    measure: Callable[..., float],
    truths: Truths,
    scores: Sequence[Mapping[str, float]],
    names: Sequence[str],
    systems: Mapping[str, str],
) -> Interval:
    arrays = [np.array([values[name] for name in names]) for values in (truths, *scores)]
    return bootstrap_interval(measure, arrays, groups=[systems[name] for name in names])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("--liflow", type=Path, required=True, help="a clone of its repository")
    for one in (run, commands.add_parser("bond-valences")):
        one.add_argument("--limit", type=int, default=sys.maxsize, help="crystals at most")
    commands.add_parser("table")
    options = parser.parse_args()
    if options.command == "table":
        TABLE.write_text(table())
        print(TABLE.read_text())
        return
    os.nice(10)
    if options.command == "bond-valences":
        each("bond_valence", bond_valences, options.limit)
        return
    peer = LiFlow(options.liflow)
    for method, scales in PRIORS.items():
        each(method, lambda label, scales=scales: peer.describe(label, scales), options.limit)


if __name__ == "__main__":
    main()
