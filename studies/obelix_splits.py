"""What scores against measured conductivities become on repeated splits by group of samples.

OBELiX keeps similar samples on one side of its split. Here groups are samples of one paper, one
composition or one ICSD entry, joined as far as they touch; a draw takes whole groups until it has
as many crystals as the independent check had (26), and of many draws those count whose
conductivities are distributed like all of them (Kolmogorov-Smirnov distance up to 0.15).

    python -m studies.obelix_splits DIR/data
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import ks_2samp

from superionic.evaluation.evaluate import conductors_of, label_truths
from superionic.evaluation.readers import read_held_out, read_matches, read_obelix
from superionic.evaluation.scorers import group_of, scorers_of, with_held_out
from superionic.evaluation.truth import conductivities, one_crystal_each
from superionic.report.tables.export import read_rows_file
from superionic.report.tables.labels import read_data_sets
from superionic.statistics import roc_auc

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "obelix_splits.md"
SCORES = ("free_volume", "calibrated", "consensus", "network", "barrier_3d_eV", "xi")
SIZE, DRAWS, DISTANCE = 26, 1000, 0.15
THRESHOLD = -5.0
KIN = 0.75
"""Share of common elements (Jaccard) from which a labelled crystal is kin to a sample."""


def joined(keys: Sequence[Sequence[str]]) -> list[int]:
    """Return a group for each sample: those that share a key are in one, and so on.

    Examples
    --------
    >>> joined([["a"], ["b"], ["a", "c"], ["c"]])
    [0, 1, 0, 0]
    """
    parent = list(range(len(keys)))

    def top(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, own in enumerate(keys):
        for key in own:
            one, other = sorted((top(i), top(first.setdefault(key, i))))
            parent[other] = one
    return [top(i) for i in range(len(keys))]


def draws(groups: Sequence[int], values: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """Return the samples of each draw."""
    rng, names = np.random.default_rng(seed), np.unique(groups)
    of_sample = np.asarray(groups)
    found: list[np.ndarray] = []
    for _ in range(100 * DRAWS):
        taken: list[int] = []
        for name in rng.permutation(names):
            taken += np.flatnonzero(of_sample == name).tolist()
            if len(taken) >= SIZE:
                break
        # A large group may overshoot: the size of the check counts, too.
        if len(taken) > SIZE + 6 or ks_2samp(values[taken], values).statistic > DISTANCE:
            continue
        found.append(np.array(taken))
        if len(found) == DRAWS:
            break
    return found


def table(data: Path) -> str:
    """Return the tables as Markdown."""
    rows = [
        row
        for name in ("screening_1000K", "screening_obelix")
        for row in read_rows_file(ROOT / "datasets" / f"{name}.jsonl")
    ]
    rows = with_held_out(rows, read_held_out([ROOT / "benchmarks/results/force_network.json"]))
    labels = read_data_sets(
        [ROOT / "datasets" / f"labels_1000K{part}.jsonl" for part in ("", "_longer", "_melted")]
    )
    group = group_of(rows)
    truths = label_truths(group, labels)
    scorers = {one.name: one.scores for one in scorers_of(group, conductors_of(truths, 1e-2))}
    file = data / "labels_obelix_conductivity.csv"
    measured = [*read_obelix(file), *read_matches(data / "labels_obelix_to_mp_match.csv")]
    known = [one for one in measured if one.material_id in scorers["xi"]]
    chosen = one_crystal_each(known, ("matched", "ordered", "approximant"))
    with file.open(newline="") as stream:
        entries = {line["obelix_id"]: line for line in csv.DictReader(stream)}
    # A crystal that stands for several samples counts once.
    first = {one.material_id: one for one in reversed(chosen)}
    answers = conductivities(chosen)
    names = [n for n in sorted(first) if answers[n].exceeds(THRESHOLD) is not None]
    lines = [entries[first[name].entry] for name in names]
    kinds = np.array([first[name].crystal for name in names])
    positive = np.array([bool(answers[name].exceeds(THRESHOLD)) for name in names])
    values = np.array([min(answers[name].high, 0.0) for name in names])
    columns = ("doi", "reduced_composition", "icsd_id")
    groups = joined([[f"{c}:{line[c]}" for c in columns if line[c]] for line in lines])
    found = draws(groups, values)
    systems = group.systems()
    taught = [set(row.elements) for row in group.rows if row.material_id in truths]
    kin = np.array(
        [
            max(len(own & other) / len(own | other) for other in taught) >= KIN
            for own in (set(systems[name].split("-")) for name in names)
        ]
    )
    text = [
        f"{len(names)} crystals ({positive.sum()} above 1e-5 S/cm) in {len(set(groups))} groups; "
        f"{len(found)} draws of {SIZE} to {SIZE + 6}. ROC-AUC over draws: mean, and from the "
        "2.5th to the 97.5th percentile.",
        "",
        "| score | all | draws | draws at or below the check | with kin among labels | without |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    check = {"free_volume": 0.71, "calibrated": 0.65, "xi": 0.69, "network": 0.54}
    for score in SCORES:
        own = np.array([scorers[score].get(name, np.nan) for name in names])
        use = np.isfinite(own)

        def auc(
            where: np.ndarray, own: np.ndarray = own, use: np.ndarray = use
        ) -> tuple[float, int]:
            inside = where[use[where]]
            return roc_auc(positive[inside], own[inside]), len(inside)

        every = np.array([auc(one)[0] for one in found])
        every = every[np.isfinite(every)]
        low, high = np.quantile(every, [0.025, 0.975])
        below = f"{np.mean(every <= check[score]):.0%} ({check[score]})" if score in check else "-"
        with_kin, without = auc(np.flatnonzero(kin)), auc(np.flatnonzero(~kin))
        text.append(
            f"| `{score}` | {auc(np.arange(len(names)))[0]:.2f} | {every.mean():.2f} [{low:.2f}, "
            f"{high:.2f}] | {below} | {with_kin[0]:.2f} ({with_kin[1]}) | {without[0]:.2f} "
            f"({without[1]}) |"
        )
    text += [
        "",
        "| kind of crystal | crystals (above) | "
        + " | ".join(f"`{score}`" for score in SCORES)
        + " |",
        "| --- | --- |" + " --- |" * len(SCORES),
    ]
    for kind in ("matched", "ordered", "approximant"):
        inside = np.flatnonzero(kinds == kind)
        cells = []
        for score in SCORES:
            own = np.array([scorers[score].get(names[i], np.nan) for i in inside])
            use = np.isfinite(own)
            cells.append(f"{roc_auc(positive[inside][use], own[use]):.2f} ({use.sum()})")
        text.append(f"| {kind} | {len(inside)} ({positive[inside].sum()}) | {' | '.join(cells)} |")
    alone = roc_auc(positive, (kinds == "approximant").astype(float))
    text += ["", f"That a crystal is a disordered one's approximant has {alone:.2f} by itself."]
    return "\n".join(text) + "\n"


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the reference tables")
    RESULT.write_text(table(parser.parse_args().data))


if __name__ == "__main__":
    main()
