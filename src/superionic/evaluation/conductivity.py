"""Fitting the conductivity that is to be expected, and what it is worth on unseen chemistry."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superionic import __version__
from superionic.errors import SettingsError
from superionic.evaluation.fitting import fold_of_each
from superionic.evaluation.scorers import Scorer
from superionic.evaluation.truth import Measurement, one_crystal_each
from superionic.schemas.screening import ScreeningDocument
from superionic.statistics import conformal_rank, roc_auc, spearman
from superionic.store.ranking.conductivity import (
    DESCRIPTORS,
    STRUCTURE,
    Conductivity,
    Tree,
    TreeModel,
    composition_inputs,
    inputs_of,
)
from superionic.store.ranking.features import FEATURES
from superionic.store.ranking.policies import policies

FloatArray = NDArray[np.float64]

THRESHOLD = -5.0
"""Decimal logarithm of the conductivity in S/cm from which a crystal counts as a conductor."""
LEVEL = 0.9
_COMPOSITION = tuple(composition_inputs("Li2O", "Li"))
_FEW_DESCRIPTORS = DESCRIPTORS[:5]
CANDIDATES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ridge, landscape": ("ridge", (*STRUCTURE, *DESCRIPTORS)),
    "trees, landscape": ("trees", (*STRUCTURE, *DESCRIPTORS)),
    "trees, composition and five descriptors": (
        "trees",
        (*_COMPOSITION, *STRUCTURE, *_FEW_DESCRIPTORS),
    ),
    "trees, composition and landscape": ("trees", (*_COMPOSITION, *STRUCTURE, *DESCRIPTORS)),
}
"""What inner folds choose from: learner and inputs."""
TREES: dict[str, Any] = {
    "n_estimators": 150,
    "max_depth": 3,
    "learning_rate": 0.05,
    "subsample": 0.7,
    "min_samples_leaf": 5,
    "random_state": 0,
}
"""Settings of the boosted trees, one guess."""


@dataclass(frozen=True)
class Sample:
    """A measured sample.

    Parameters
    ----------
    entry, formula, system, family : str
        Its identifier, composition, chemical system and structural family.
    log10_S_per_cm : float
        Measured conductivity; where it is reported as "below", the bound.
    is_bound : bool
        Whether it is one.
    row : ScreeningDocument or None
        A crystal with a landscape that stands for it.
    kind : str
        matched, ordered or approximant; empty without a crystal.
    """

    entry: str
    formula: str
    system: str
    family: str
    log10_S_per_cm: float
    is_bound: bool
    row: ScreeningDocument | None
    kind: str


def read_samples(
    path: Path, rows: Sequence[ScreeningDocument], measurements: Sequence[Measurement]
) -> list[Sample]:
    """Return all samples of OBELiX's table, with the crystals that stand for them.

    Parameters
    ----------
    path : Path
        A CSV with columns obelix_id, reduced_composition, sigma_RT_S_cm, censored_upper_bound,
        family.
    rows : sequence of ScreeningDocument
        Rows of one mobile species and potential.
    measurements : sequence of Measurement
        Which crystal stands for which sample.
    """
    from pymatgen.core import Composition

    of_name = {row.material_id: row for row in rows if row.xi is not None}
    known = [one for one in measurements if one.material_id in of_name]
    chosen = {
        one.entry: one for one in one_crystal_each(known, ("matched", "ordered", "approximant"))
    }
    found = []
    try:
        with path.open(newline="") as stream:
            for line in csv.DictReader(stream):
                entry, formula = line["obelix_id"], line["reduced_composition"]
                one = chosen.get(entry)
                found.append(
                    Sample(
                        entry,
                        formula,
                        Composition(formula).chemical_system,
                        line["family"] or f"none: {entry}",
                        float(np.log10(float(line["sigma_RT_S_cm"]))),
                        line["censored_upper_bound"] == "True",
                        None if one is None else of_name[one.material_id],
                        "" if one is None else one.crystal,
                    )
                )
    except (OSError, KeyError, ValueError) as error:
        raise SettingsError(
            f"The table {path} cannot be used ({type(error).__name__}: {error}).",
            hint="It needs obelix_id, reduced_composition, sigma_RT_S_cm, censored_upper_bound and "
            "family.",
        ) from None
    return found


@dataclass(frozen=True)
class HeldOut:
    """Estimates of samples whose group no model had seen.

    Parameters
    ----------
    samples : list of Sample
        Those that have a crystal with a landscape.
    scores : dict of str to array
        By what made them: log10 of the conductivity in S/cm; NaN where there is none.
    low, high : array
        Intervals of the first of them.
    chosen : list of str
        What inner folds chose, for each fold.
    """

    samples: list[Sample]
    scores: dict[str, FloatArray]
    low: FloatArray
    high: FloatArray
    chosen: list[str]


def held_out_conductivities(
    samples: Sequence[Sample],
    group_of: Callable[[Sample], str],
    bond_valence: Mapping[str, Mapping[int, float]] | None = None,
    *,
    n_folds: int = 10,
    n_inner: int = 5,
) -> HeldOut:
    """Return nested cross-validated estimates, and those of baselines in the same folds.

    Parameters
    ----------
    samples : sequence of Sample
        All samples; those without a landscape teach the composition.
    group_of : callable
        What is left out as a whole: the chemical system, or the family.
    bond_valence : mapping, optional
        Bond-valence barriers in eV, by identifier and number of dimensions.
    n_folds, n_inner : int
        Folds that judge, and folds within the rest that choose.
    """
    groups = [group_of(one) for one in samples]
    folds = fold_of_each(groups, n_folds, seed=0)
    fold = np.array([folds[group] for group in groups])
    with_row = np.array([one.row is not None for one in samples])
    asked = [one for one in samples if one.row is not None]
    y = np.array([one.log10_S_per_cm for one in samples])
    own = _matrix(asked, _COMPOSITION, of_row=True)
    taught = _matrix(samples, _COMPOSITION, of_row=False)
    of_asked, y_asked = fold[with_row], y[with_row]
    asked_groups = [group_of(one) for one in asked]
    single = _baselines(asked, bond_valence or {})
    scores = {name: np.full(len(asked), np.nan) for name in ("conductivity", "composition")}
    scores |= {name: np.full(len(asked), np.nan) for name in single}
    low, high = np.full(len(asked), np.nan), np.full(len(asked), np.nan)
    chosen = []
    for k in range(n_folds):
        here, seen = of_asked == k, of_asked != k
        if not here.any():
            continue
        name, residuals = _choose(asked, y_asked, asked_groups, seen, n_inner)
        chosen.append(name)
        kind, features = CANDIDATES[name]
        x = _matrix(asked, features, of_row=True)
        estimate = _fit(kind, x[seen], y_asked[seen])(x[here])
        width = _width(residuals, y_asked[seen], _bounds(asked)[seen])
        half = np.array([_half(width, value) for value in estimate])
        scores["conductivity"][here] = estimate
        low[here], high[here] = estimate - half, estimate + half
        scores["composition"][here] = _fit("trees", taught[fold != k], y[fold != k])(own[here])
        for text, values in single.items():
            known = np.isfinite(values)
            line = _fit("ridge", values[seen & known, None], y_asked[seen & known])
            place = here & known
            if place.any():
                scores[text][place] = line(values[place, None])
    return HeldOut(asked, scores, low, high, chosen)


def fit_conductivity(samples: Sequence[Sample], held_out: HeldOut, source: str) -> Conductivity:
    """Fit on everything what the same choice picks; two models, the landscape's first.

    Parameters
    ----------
    samples : sequence of Sample
        All samples.
    held_out : HeldOut
        What nested cross-validation by chemical system gave.
    source : str
        Where the measurements are from, with their licence.
    """
    asked = held_out.samples
    y_asked = np.array([one.log10_S_per_cm for one in asked])
    systems = [one.system for one in asked]
    trees_only = [name for name, (kind, _) in CANDIDATES.items() if kind == "trees"]
    name, residuals = _choose(
        asked, y_asked, systems, np.ones(len(asked), bool), 10, among=trees_only
    )
    features = CANDIDATES[name][1]
    measures = measures_of(held_out, "conductivity")
    landscape = _model(
        "landscape",
        features,
        _matrix(asked, features, of_row=True),
        y_asked,
        _width(residuals, y_asked, _bounds(asked)),
        measures,
    )
    y = np.array([one.log10_S_per_cm for one in samples])
    x = _matrix(samples, _COMPOSITION, of_row=False)
    folds = fold_of_each([one.system for one in samples], 10, seed=0)
    fold = np.array([folds[one.system] for one in samples])
    left_out = np.full(len(samples), np.nan)
    for k in range(10):
        left_out[fold == k] = _fit("trees", x[fold != k], y[fold != k])(x[fold == k])
    whole = _measures(y, left_out, np.array([one.is_bound for one in samples]))
    composition = _model(
        "composition",
        _COMPOSITION,
        x,
        y,
        _width(left_out, y, np.array([one.is_bound for one in samples])),
        whole,
    )
    row = asked[0].row
    assert row is not None
    formulas, material_ids = training_set(samples)
    return Conductivity(
        mobile_species=row.mobile_species,
        potential=row.potential,
        temperature_K=300.0,
        level=LEVEL,
        models=[landscape, composition],
        formulas=formulas,
        material_ids=material_ids,
        source=source,
        fitted_with=__version__,
    )


def lines_of(samples: Sequence[Sample], scorers: Sequence[Scorer]) -> dict[str, list[float]]:
    """Return intercept and slope of a line through the measurements, for each score.

    Parameters
    ----------
    samples : sequence of Sample
        Those with a crystal count.
    scorers : sequence of Scorer
        Scores; conductivities need no line, and what depends on the other rows has none.
    """
    relative = {name for name, policy in policies().items() if policy.is_relative}
    found = {}
    for one in scorers:
        if one.unit or one.name in relative:
            continue
        pairs = [
            (one.scores[sample.row.material_id], sample.log10_S_per_cm)
            for sample in samples
            if sample.row is not None and sample.row.material_id in one.scores
        ]
        if len(pairs) > 2:
            x, y = np.array(pairs).T
            predict = _fit("ridge", x[:, None], y)
            start, end = predict(np.array([[0.0], [1.0]]))
            found[one.name] = [round(float(start), 6), round(float(end - start), 6)]
    return found


def training_set(samples: Sequence[Sample]) -> tuple[list[str], list[str]]:
    """Return compositions and identifiers by which a sample is known again: theirs, and crystals'.

    Parameters
    ----------
    samples : sequence of Sample
        All samples.
    """
    rows = [one.row for one in samples if one.row is not None]
    formulas = {one.formula for one in samples} | {row.formula for row in rows}
    names = {one.entry for one in samples} | {row.material_id for row in rows}
    return sorted(formulas), sorted(names)


def measures_of(held_out: HeldOut, score: str, kind: str | None = None) -> dict[str, Any]:
    """Return error, explained variance, ROC-AUC, rank correlation and coverage of a score.

    Parameters
    ----------
    held_out : HeldOut
        The estimates.
    score : str
        Which of them.
    kind : str, optional
        matched, ordered or approximant: of crystals of that kind alone.
    """
    values = held_out.scores[score]
    use = np.isfinite(values) & np.array([kind in (None, one.kind) for one in held_out.samples])
    y = np.array([one.log10_S_per_cm for one in held_out.samples])
    found = _measures(y[use], values[use], _bounds(held_out.samples)[use])
    if score == "conductivity":
        low, high = held_out.low[use], held_out.high[use]
        # "Below" is in an interval that reaches below the bound.
        inside = (low <= y[use]) & ((y[use] <= high) | _bounds(held_out.samples)[use])
        found |= {
            "coverage": round(float(inside.mean()), 3),
            "width_decades": round(float(np.mean(high - low)), 2),
        }
    return found


def conductivity_csv(by_group: Mapping[str, HeldOut]) -> str:
    """Return measures of every score, by what was left out and by kind of crystal, as CSV."""
    file = StringIO()
    names = ("n", "mae", "r2", "roc_auc", "spearman", "coverage", "width_decades")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["left_out", "crystals", "score", *names])
    for group, found in by_group.items():
        for kind in (None, "matched", "ordered", "approximant"):
            for score in found.scores:
                measures = measures_of(found, score, kind)
                cells = [measures.get(name, "") for name in names]
                writer.writerow([group, kind or "all", score, *cells])
    return file.getvalue()


def _measures(y: FloatArray, found: FloatArray, bound: NDArray[np.bool_]) -> dict[str, Any]:
    if not y.size:
        return {"n": 0}
    residuals = y - found
    spread = float(np.sum((y - y.mean()) ** 2))
    numbers = {
        "mae": float(np.mean(np.abs(residuals))),
        "r2": 1 - float(np.sum(residuals**2)) / spread if spread else float("nan"),
        "roc_auc": roc_auc(y > THRESHOLD, found),
        "spearman": spearman(y, found),
    }
    rounded = {name: round(x, 3) if isfinite(x) else None for name, x in numbers.items()}
    return {"n": int(y.size), **rounded}


def _choose(
    samples: Sequence[Sample],
    y: FloatArray,
    groups: Sequence[str],
    seen: NDArray[np.bool_],
    n_folds: int,
    among: Sequence[str] = tuple(CANDIDATES),
) -> tuple[str, FloatArray]:
    """Return the candidate with the least error in folds, and its estimates of what it left out."""
    folds = fold_of_each([g for g, s in zip(groups, seen, strict=True) if s], n_folds, seed=1)
    fold = np.array([folds[g] for g, s in zip(groups, seen, strict=True) if s])
    best: tuple[float, str, FloatArray] | None = None
    for name in among:
        kind, features = CANDIDATES[name]
        x = _matrix(samples, features, of_row=True)[seen]
        found = np.full(len(x), np.nan)
        for k in np.unique(fold):
            found[fold == k] = _fit(kind, x[fold != k], y[seen][fold != k])(x[fold == k])
        error = float(np.mean((found - y[seen]) ** 2))
        if best is None or error < best[0]:
            best = error, name, found
    assert best is not None
    return best[1], best[2]


def _width(found: FloatArray, y: FloatArray, bound: NDArray[np.bool_]) -> list[float]:
    """Return a, b, least and q of the interval: errors grow towards poor conductors."""
    # An estimate below a bound is no error.
    errors = np.abs(np.where(bound, np.maximum(found - y, 0), found - y))
    b, a = np.polyfit(found, errors, 1)
    least = 0.3
    scales = np.maximum(least, a + b * found)
    place = min(len(y), conformal_rank(len(y), LEVEL)) - 1
    q = float(np.sort(errors / scales)[place])
    return [round(float(value), 6) for value in (a, b, least, q)]


def _half(width: Sequence[float], estimate: float) -> float:
    a, b, least, q = width
    return max(least, a + b * estimate) * q


def _matrix(samples: Sequence[Sample], features: Sequence[str], *, of_row: bool) -> FloatArray:
    known = [
        inputs_of(one.row)
        if of_row and one.row is not None
        else composition_inputs(one.formula, "Li")
        for one in samples
    ]
    return np.array([[found[name] for name in features] for found in known])


def _bounds(samples: Sequence[Sample]) -> NDArray[np.bool_]:
    return np.array([one.is_bound for one in samples])


def _baselines(
    samples: Sequence[Sample], bond_valence: Mapping[str, Mapping[int, float]]
) -> dict[str, FloatArray]:
    """Return single numbers of each sample, from which a line is fitted in the same folds."""
    names = ("predicted_log10_msd_slope", "log10_fv_disconnected_2eV", "volume_A3_per_atom")
    found = {}
    for name in (*names, "barrier_3d_eV"):
        values = [None if one.row is None else FEATURES[name].of(one.row) for one in samples]
        found[name] = np.array([np.nan if value is None else value for value in values])
    barriers = [bond_valence.get(one.row.material_id) if one.row else None for one in samples]
    found["bond_valence_3d_eV"] = np.array([b[3] if b else np.nan for b in barriers])
    return {name: values for name, values in found.items() if np.isfinite(values).any()}


def _fit(kind: str, x: FloatArray, y: FloatArray) -> Callable[[FloatArray], FloatArray]:
    learner = _learner(kind)
    learner.fit(x, y)
    predict: Callable[[FloatArray], FloatArray] = learner.predict
    return predict


def _learner(kind: str) -> Any:
    try:
        from sklearn.ensemble import GradientBoostingRegressor
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError:
        raise SettingsError(
            "Fitting conductivities needs scikit-learn.",
            hint="Install it with: pip install 'superionic[network]'.",
        ) from None
    if kind == "trees":
        return GradientBoostingRegressor(**TREES)
    return make_pipeline(StandardScaler(), Ridge(10.0))


def _model(
    name: str,
    features: Sequence[str],
    x: FloatArray,
    y: FloatArray,
    width: list[float],
    measures: dict[str, Any],
) -> TreeModel:
    learner = _learner("trees")
    learner.fit(x, y)
    trees = []
    for (one,) in learner.estimators_:
        tree = one.tree_
        trees.append(
            Tree(
                feature=[int(i) for i in tree.feature],
                threshold=[float(t) for t in tree.threshold],
                left=[int(i) for i in tree.children_left],
                right=[int(i) for i in tree.children_right],
                value=[float(f"{v:.8g}") for v in tree.value.ravel()],
            )
        )
    start = float(np.mean(y))
    return TreeModel(
        name, list(features), start, learner.learning_rate, trees, width, len(y), measures
    )
