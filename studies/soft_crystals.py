"""Does a cheap sign tell the crystals that melt in dynamics from those that do not?

    python -m studies.soft_crystals compute
    python -m studies.soft_crystals table

The table was made before the molten labels were run again by today's rule of melting, and once more
with these; signs and policies are as they were.

``compute`` takes the crystals of the labels as their runs began, in the same supercells, and asks
the potential for forces of displaced crystals: a few seconds a crystal. It writes one line a
crystal at once, and the same command goes on where it was stopped. ``table`` compares with the
verdicts of dynamics.

Four signs, fixed before any was compared with a label. Each is a Lindemann ratio of the framework,
all ions but the mobile ones, at the temperature of the labels: the root mean square displacement
of an ion, over the distance of its nearest neighbour. Displacements are classical.

- ``einstein``: each ion alone in the crystal at rest, <u^2> = k_B T tr(K^-1), where K is the
  stiffness against a displacement of 0.2 A, about what heat makes of it; the root mean square over
  the framework's ions, and the largest of them.
- ``harmonic``: all ions at once, <u_i^2> = k_B T tr (H^-1)_ii, where H is the Hessian of the
  supercell from displacements of 0.05 A, so that soft modes of many ions count, too; the same two.
  A mode moves by 1 A at most, whatever its eigenvalue: an unstable one has no amplitude.

Which of the four a policy uses, and above which value, is chosen in folds by chemical system, and
applied to the crystals of systems that were left out. Three policies, also fixed before: `free
volume`, but crystals above the value last; the mean of the percentiles of `free_volume` and of the
sign; and a logistic regression on the five descriptors of ``calibrated``, with the sign and without
it, for which melting is a failure. (The network's prediction is no part of it: molten crystals have
none that is held out, so that it would tell them by what is missing.)
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from ase.units import kB
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from studies.gains import LABELS
from studies.one_by_one import add_options, compute_each
from superionic.dynamics.supercell import make_supercell
from superionic.evaluation.evaluate import conductors_of, label_truths
from superionic.evaluation.fitting import (
    DESCRIPTORS,
    FitSettings,
    feature_matrix,
    fold_of_each,
    held_out_probabilities,
)
from superionic.evaluation.scorers import group_of
from superionic.network.shakes import ATOMS_PER_CALL, atoms_of
from superionic.potentials.base import Potential
from superionic.potentials.force_field import MakeForceField
from superionic.report.tables.export import read_rows_file
from superionic.report.tables.labels import read_data_sets
from superionic.schemas.screening import ScreeningDocument
from superionic.statistics import bootstrap_interval, roc_auc
from superionic.store.ranking.features import FEATURES
from superionic.store.ranking.policies import percentiles, policies
from superionic.structures.cells import orbits
from superionic.structures.species import anion_family

FloatArray = NDArray[np.float64]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "soft_crystals.jsonl"
TABLE = RESULTS.with_suffix(".md")
CRYSTALS = ("labels_1000K.jsonl", "labels_1000K_untouched.jsonl")

EINSTEIN_A = 0.2
HARMONIC_A = 0.05
LARGEST_MODE_A = 1.0
SYMPREC_A = 0.01

SIGNS = {
    "einstein": "Einstein, mean",
    "einstein_largest": "Einstein, largest",
    "harmonic": "harmonic, mean",
    "harmonic_largest": "harmonic, largest",
}
BASELINES = {
    "volume_A3_per_atom": "volume per atom (A^3)",
    "mobile_fraction": "mobile ions per atom",
}
MELTED = "melted"
CONDUCTOR_A2_PER_PS = 0.01


@dataclass(frozen=True)
class Softness:
    """Lindemann ratios of the framework of one crystal.

    Parameters
    ----------
    einstein, einstein_largest : float
        Of ions that move one by one: root mean square over ions, and the largest.
    harmonic, harmonic_largest : float
        The same of ions that move together.
    n_forces : int
        Force evaluations of the supercell.
    """

    einstein: float
    einstein_largest: float
    harmonic: float
    harmonic_largest: float
    n_forces: int


def softness(
    structure: Structure,
    mobile: str,
    temperature_K: float,
    make_force_field: MakeForceField,
    min_image_distance_A: float = 8.0,
) -> Softness:
    """Return the Lindemann ratios of a crystal at equilibrium.

    Parameters
    ----------
    structure : Structure
        The crystal, its atoms at equilibrium or near it.
    mobile : str
        Element that is no part of the framework.
    temperature_K : float
        Temperature.
    make_force_field : callable
        Binds the potential to crystals.
    min_image_distance_A : float
        Smallest distance of an ion from its images, in A.
    """
    atoms = atoms_of(structure)
    supercell, first = _supercell(atoms, min_image_distance_A)
    framework = [i for i, symbol in enumerate(atoms.symbols) if symbol != mobile]
    orbit = orbits(structure, SYMPREC_A)
    alone = sorted({int(orbit[i]) for i in framework})
    alone = [next(i for i in framework if orbit[i] == one) for one in alone]
    steps = [
        (first[i], axis, amount)
        for i in alone
        for axis in range(3)
        for amount in (EINSTEIN_A, -EINSTEIN_A)
    ]
    steps += [(first[i], axis, HARMONIC_A) for i in range(len(atoms)) for axis in range(3)]
    forces, rest = _forces(supercell, steps, make_force_field)

    distances = _nearest_A(supercell)
    kT = kB * temperature_K
    ratios = {}
    for k, i in enumerate(alone):
        six = forces[6 * k : 6 * k + 6, first[i]].reshape(3, 2, 3)
        stiffness = -(six[:, 0] - six[:, 1]) / (2 * EINSTEIN_A)
        ratios[i] = np.sqrt(np.trace(_covariance(stiffness, kT))) / distances[first[i]]
    einstein = np.array([ratios[next(j for j in alone if orbit[j] == orbit[i])] for i in framework])

    rows = -(forces[6 * len(alone) :] - rest).reshape(len(atoms), 3, -1) / HARMONIC_A
    hessian = _whole(rows, supercell, first)
    moved = np.diag(_covariance(hessian, kT)).reshape(-1, 3).sum(axis=1)
    harmonic = (
        np.sqrt([moved[first[i]] for i in framework]) / distances[[first[i] for i in framework]]
    )
    return Softness(
        *(_rms(einstein), float(einstein.max()), _rms(harmonic), float(harmonic.max())),
        n_forces=len(forces) + 1,
    )


def _supercell(atoms: Atoms, min_image_distance_A: float) -> tuple[Atoms, list[int]]:
    """Return the supercell with the place in it of each atom of the cell."""
    tagged = atoms.copy()
    tagged.set_tags(range(len(atoms)))
    supercell, _ = make_supercell(tagged, min_image_distance_A)
    tags = list(supercell.get_tags())
    return supercell, [tags.index(i) for i in range(len(atoms))]


def _forces(
    supercell: Atoms, steps: Sequence[tuple[int, int, float]], make_force_field: MakeForceField
) -> tuple[FloatArray, FloatArray]:
    """Return the forces of the supercell with one atom displaced, each, and of that at rest."""
    rest = supercell.get_positions()
    moved = [rest]
    for atom, axis, amount in steps:
        moved.append(rest.copy())
        moved[-1][atom, axis] += amount
    per_call = max(1, ATOMS_PER_CALL // len(supercell))
    fields, found = {}, []
    for begin in range(0, len(moved), per_call):
        batch = moved[begin : begin + per_call]
        if len(batch) not in fields:
            fields[len(batch)] = make_force_field([supercell] * len(batch))
        found += fields[len(batch)].evaluate(batch)[1]
    forces = np.array(found)
    return forces[1:], forces[0]


def _whole(rows: FloatArray, supercell: Atoms, first: Sequence[int]) -> FloatArray:
    """Return the Hessian of the supercell from its rows of one cell, shape (3 n, 3 n)."""
    n_atoms = len(supercell)
    fractional = supercell.get_scaled_positions()
    tags = supercell.get_tags()
    whole = np.zeros((n_atoms, 3, n_atoms, 3))
    for atom in range(n_atoms):
        shift = fractional[atom] - fractional[first[tags[atom]]]
        offset = (fractional + shift)[:, None] - fractional[None]
        same = (np.abs(offset - np.round(offset)).max(axis=2) < 1e-4) & (tags[:, None] == tags)
        image = same.argmax(axis=1)  # where each atom goes
        whole[atom][:, image] = rows[tags[atom]].reshape(3, n_atoms, 3)
    hessian = whole.reshape(3 * n_atoms, 3 * n_atoms)
    return (hessian + hessian.T) / 2


def _covariance(stiffness: FloatArray, kT: float) -> FloatArray:
    """Return k_B T times the inverse, without translations of the whole and with bounded modes."""
    symmetric = (stiffness + stiffness.T) / 2
    n_atoms = len(symmetric) // 3
    if n_atoms > 1:
        uniform = np.tile(np.eye(3), (n_atoms, 1)) / np.sqrt(n_atoms)
        without = np.eye(3 * n_atoms) - uniform @ uniform.T
        symmetric = without @ symmetric @ without
    values, vectors = np.linalg.eigh(symmetric)
    amplitudes = kT / np.maximum(values, kT / LARGEST_MODE_A**2)
    if n_atoms > 1:  # the three translations are no displacements
        amplitudes = amplitudes * (1 - np.square(uniform.T @ vectors).sum(axis=0))
    return (vectors * amplitudes) @ vectors.T


def _nearest_A(atoms: Atoms) -> FloatArray:
    """Return the distance of each atom from its nearest neighbour in A."""
    nearest = np.full(len(atoms), np.inf)
    cutoff = 3.0
    while not np.isfinite(nearest).all():
        i, d = neighbor_list("id", atoms, cutoff)
        np.minimum.at(nearest, i, d)
        cutoff *= 1.5
    return nearest


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def described(label: dict[str, Any], potential: Potential) -> dict[str, float]:
    """Return the signs of a label's crystal, and what they took."""
    cell = label["structure"]
    structure = Structure(Lattice(cell["lattice"]), cell["species"], cell["frac_coords"])
    one = softness(
        structure, label["mobile_species"], label["temperature_K"], potential.force_field
    )
    return {name: round(value, 5) for name, value in vars(one).items()}


def table() -> str:
    """Return the tables as Markdown."""
    computed = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    found = {one["material_id"]: one for one in computed if "error" not in one}
    rows = read_rows_file(ROOT / "datasets" / "screening_1000K.jsonl")
    labels = read_data_sets([ROOT / "datasets" / f"{name}.jsonl" for name in LABELS])
    group = group_of(rows)
    verdicts = {one.material_id: one.verdict for one in labels}
    places = {one.row.material_id: one for one in policies()["free_volume"].places(group.rows)}
    names = sorted(set(found) & set(verdicts) & set(places), key=lambda n: places[n].rank)
    own = {row.material_id: row for row in group.rows}
    systems = [own[name].chemical_system for name in names]
    families = np.array([anion_family(own[name].elements) for name in names])
    verdict = np.array([verdicts[name] for name in names])
    signs = {sign: np.array([found[name][sign] for name in names]) for sign in SIGNS}
    free = np.array([places[name].score for name in names], float)
    others = {"`free_volume`": free}
    for feature, title in BASELINES.items():
        others[title] = np.array([FEATURES[feature].of(own[name]) for name in names], float)
    seconds = np.median([found[name]["seconds"] for name in names])
    n_forces = np.median([found[name]["n_forces"] for name in names])
    text = [
        f"{len(names)} crystals, {np.sum(verdict == MELTED)} of them molten in dynamics at 1000 K, "
        f"{np.sum(verdict == 'diffusing')} diffusing. A sign takes {n_forces:.0f} forces and "
        f"{seconds:.1f} core-seconds of a crystal (medians; all four together). ROC-AUC for "
        "melting, 95 % intervals by a bootstrap over chemical systems.",
        "",
        "| sign | molten against all others | molten against diffusing | median, molten | "
        "median, others |",
        "| --- | --- | --- | --- | --- |",
    ]
    melted = verdict == MELTED
    hard = melted | (verdict == "diffusing")
    for title, values in {**{SIGNS[k]: v for k, v in signs.items()}, **others}.items():
        cells = [
            _auc(melted, values, systems),
            _auc(melted[hard], values[hard], _of(systems, hard)),
        ]
        cells += [f"{np.median(values[melted]):.3g}", f"{np.median(values[~melted]):.3g}"]
        text.append(f"| {title} | {' | '.join(cells)} |")
    text += [
        "",
        "Molten against all others within families of anions:",
        "",
        f"| family | crystals (molten) | {' | '.join(SIGNS.values())} | `free_volume` |",
        "| --- |" + " --- |" * (len(SIGNS) + 2),
    ]
    for family in sorted(set(families)):
        here = families == family
        cells = [f"{roc_auc(melted[here], values[here]):.2f}" for values in [*signs.values(), free]]
        text.append(
            f"| {family} | {here.sum()} ({melted[here].sum()}) | {' | '.join(cells)} |".replace(
                "nan", "-"
            )
        )
    truths = label_truths(group, labels, melted_fails=True)
    conductors = conductors_of(truths, CONDUCTOR_A2_PER_PS)
    known = np.array([name in conductors for name in names])
    conducts = np.array([conductors.get(name, False) for name in names])
    scores, chosen = policy_scores(
        [own[name] for name in names], free, signs, known, conducts, melted, systems
    )
    text += [
        "",
        f"Policies among all {len(names)}; conductors are the {conducts.sum()} above "
        f"{CONDUCTOR_A2_PER_PS:g} A^2/ps. ROC-AUC of conductors with melting as a failure, and "
        "with molten crystals left out. What was chosen, was chosen in ten folds by chemical "
        f"system: {chosen}.",
        "",
        "| policy | molten of first 10 | of first 55 | conductors of first 10 | of first 55 | "
        "ROC-AUC, molten fail | gain | ROC-AUC, without molten |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for title, values in scores.items():
        order = np.argsort(-values, kind="stable")
        cells = [f"{what[order[:n]].sum()}" for what in (melted, conducts) for n in (10, 55)]
        cells.append(_auc(conducts[known], values[known], _of(systems, known)))
        base = scores["regression" if "regression" in title else "`free_volume`"]
        cells.append("-" if base is values else _gain(conducts, values, base, known, systems))
        solid = known & ~melted
        cells.append(_auc(conducts[solid], values[solid], _of(systems, solid)))
        text.append(f"| {title} | {' | '.join(cells)} |")
    untouched = read_data_sets([ROOT / "datasets" / "labels_1000K_untouched.jsonl"])
    if any(one.material_id not in found for one in untouched):
        text += ["", "The thirty untouched crystals, of which one melts, are not computed."]
        return "\n".join(text) + "\n"
    text += [
        "",
        "Where the molten one of the thirty untouched crystals stands among them, the softest "
        "first (they had been looked at before, though not for this):",
        "",
    ]
    for sign, title in SIGNS.items():
        values = {one.material_id: found[one.material_id][sign] for one in untouched}
        order = sorted(values, key=lambda name: -values[name])
        at = [
            f"{order.index(one.material_id) + 1} of {len(order)}"
            for one in untouched
            if one.verdict == MELTED
        ]
        text.append(f"- {title}: {', '.join(at)}")
    return "\n".join(text) + "\n"


def policy_scores(
    rows: Sequence[ScreeningDocument],
    free: FloatArray,
    signs: Mapping[str, FloatArray],
    known: NDArray[np.bool_],
    conducts: NDArray[np.bool_],
    melted: NDArray[np.bool_],
    systems: Sequence[str],
) -> tuple[dict[str, FloatArray], str]:
    """Return scores by policies that know signs, and in words which signs they use.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Landscapes.
    free : ndarray, shape (n,)
        Scores by ``free_volume``.
    signs : mapping of str to ndarray, shape (n,)
        Values of each sign; higher is softer.
    known, conducts, melted : ndarray of bool, shape (n,)
        Whether a crystal is judged, whether it conducts (a molten one does not), and whether it
        melts.
    systems : sequence of str
        Chemical systems.
    """
    folds = fold_of_each(systems, 10, seed=0)
    fold = np.array([folds[system] for system in systems])
    rank = percentiles(free)
    stiff = {sign: percentiles(-values) for sign, values in signs.items()}
    x = feature_matrix(rows, DESCRIPTORS)[1]
    last, both = np.empty_like(free), np.empty_like(free)
    learned = {sign: np.column_stack([x, np.log10(values)]) for sign, values in signs.items()}
    with_sign = np.empty_like(free)
    used: list[str] = []

    def auc(values: FloatArray, where: NDArray[np.bool_]) -> float:
        return roc_auc(conducts[where], values[where])

    def regression(design: FloatArray, where: NDArray[np.bool_] = known) -> FloatArray:
        return held_out_probabilities(
            *(design[where], conducts[where], _of(systems, where), design, systems, FitSettings())
        )

    outside = {sign: regression(design) for sign, design in learned.items()}
    for one in np.unique(fold):
        seen, asked = known & (fold != one), fold == one
        limits = [
            (auc(rank - (values > limit), seen), sign, float(limit))
            for sign, values in signs.items()
            for limit in np.quantile(values[seen], np.linspace(0.3, 1.0, 15))
        ]
        _, sign, limit = max(limits)
        last[asked] = (rank - (signs[sign] > limit))[asked]
        used.append(f"{SIGNS[sign]} above {limit:.2f}")
        sign = max(stiff, key=lambda name: auc(rank + stiff[name], seen))
        both[asked] = (rank + stiff[sign])[asked]
        sign = max(outside, key=lambda name: auc(outside[name], seen))
        with_sign[asked] = outside[sign][asked]
    words = ", ".join(f"{n} times {what}" for what, n in Counter(used).most_common())
    return {
        "`free_volume`": free,
        "`free_volume`, soft ones last": last,
        "mean of percentiles with the sign": both,
        "regression, molten not learned": regression(x, known & ~melted),
        "regression": regression(x),
        "regression with the sign": with_sign,
    }, words


def _auc(truth: NDArray[np.bool_], values: FloatArray, systems: Sequence[str]) -> str:
    found = bootstrap_interval(roc_auc, [truth, values], groups=systems)
    return f"{found:.2f}"


def _gain(
    truth: NDArray[np.bool_],
    values: FloatArray,
    base: FloatArray,
    known: NDArray[np.bool_],
    systems: Sequence[str],
) -> str:
    """Return the paired gain in ROC-AUC."""

    def gain(truth: NDArray[np.bool_], one: FloatArray, other: FloatArray) -> float:
        return roc_auc(truth, one) - roc_auc(truth, other)

    arrays = [truth[known], values[known], base[known]]
    found = bootstrap_interval(gain, arrays, groups=_of(systems, known))
    return f"{found:+.2f}"


def _of(systems: Sequence[str], where: NDArray[np.bool_]) -> list[str]:
    return [system for system, here in zip(systems, where, strict=True) if here]


def _labels() -> Iterable[dict[str, Any]]:
    for name in CRYSTALS:
        for line in (ROOT / "datasets" / name).read_text().splitlines():
            yield json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    compute = commands.add_parser("compute")
    add_options(compute, RESULTS)
    commands.add_parser("table")
    options = parser.parse_args()
    if options.command == "compute":
        crystals = ((one["material_id"], one["formula"], one) for one in _labels())
        compute_each(options, crystals, described, digits_s=2)
    else:
        TABLE.write_text(table())
        print(TABLE.read_text())


if __name__ == "__main__":
    main()
