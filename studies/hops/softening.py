"""One factor between the barriers of a potential and those of the literature.

Potentials of this kind are soft: they underrate what lies far from equilibrium by about the same
share everywhere (B. Deng et al., npj Comput. Mater. 11, 9, 2025). A frozen framework errs the other
way. Both in one number s, with E = s E_found, fitted in two robust ways: least absolute deviations
in eV, which is the median of the ratios E / E_found, each weighted by the barrier that was found;
and the plain median of the ratios, least absolute deviations of the logarithm, in which a single
high barrier has no more weight than others. The second was added when the first was seen to hang on
one band of 18 eV. Each hop is judged by the factor of the other chemical systems, and so is what
needs no calculation at all, the median of the ion's barriers in the literature. No rank of hops
changes, but by the little in which factors of folds differ.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Composition

from studies.hops.paths import THRESHOLDS_eV
from superionic.statistics import bootstrap_interval, mean_absolute_error

FloatArray = NDArray[np.float64]

FEWEST_HOPS = 10
"""Of an ion for rows of its own."""


def factor(found_eV: ArrayLike, literature_eV: ArrayLike, *, weighted: bool) -> float:
    """Return the median of literature / found, over hops of which something was found.

    Parameters
    ----------
    found_eV, literature_eV : array_like, shape (n,)
        Barriers in eV.
    weighted : bool
        Whether each counts as its barrier, which gives least absolute deviations in eV.

    Examples
    --------
    >>> factor([1.0, 1.0, 1.0, 9.0], [1.2, 1.2, 1.2, 4.5], weighted=False)
    1.2
    >>> factor([1.0, 1.0, 1.0, 9.0], [1.2, 1.2, 1.2, 4.5], weighted=True)
    0.5
    """
    found, truth = np.asarray(found_eV, float), np.asarray(literature_eV, float)
    found, truth = found[found > 0], truth[found > 0]  # others have one error for every factor
    if not len(found):
        return 1.0
    ratios = truth / found
    order = np.argsort(ratios)
    weight = np.cumsum(found[order] if weighted else np.ones(len(found)))
    return float(ratios[order][np.searchsorted(weight, 0.5 * weight[-1])])


def held_out_factors(
    found_eV: FloatArray, literature_eV: FloatArray, systems: Sequence[str], *, weighted: bool
) -> FloatArray:
    """Return for each hop the factor of the hops of all other chemical systems."""
    names = np.asarray(systems)
    factors = np.empty(len(names))
    for one in np.unique(names):
        own = names == one
        factors[own] = factor(found_eV[~own], literature_eV[~own], weighted=weighted)
    return factors


def held_out_medians(literature_eV: FloatArray, systems: Sequence[str]) -> FloatArray:
    """Return for each hop the median barrier of the hops of all other chemical systems."""
    names = np.asarray(systems)
    return np.array([np.median(literature_eV[names != one]) for one in names])


def softening_table(
    rows: Sequence[Mapping[str, Any]], methods: Mapping[str, str], n_resamples: int = 2000
) -> str:
    """Return what a factor does to barriers, as a table in Markdown.

    Parameters
    ----------
    rows : sequence of mapping
        One a hop, with ``formula``, ``ion`` (lithium where it is missing), ``literature_eV`` and
        barriers.
    methods : mapping of str to str
        Names of barriers in rows, with what they are called.
    n_resamples : int
        Of the bootstrap over chemical systems.
    """
    text = [
        "| ion | method; factor of | hops | factor (folds) | MAE (eV) | gain in MAE (eV) | "
        "median error (eV) | right at 0.5 eV | right at 0.65 eV |",
        "| --- |" + " --- |" * 8,
    ]
    for name, method in methods.items():
        known = [row for row in rows if row.get(name) is not None]
        if len(known) < FEWEST_HOPS:
            continue
        ions = np.array([row.get("ion", "Li") for row in known])
        found = np.array([row[name] for row in known], float)
        truth = np.array([row["literature_eV"] for row in known], float)
        systems = np.array([Composition(row["formula"]).chemical_system for row in known])
        kinds = sorted(set(ions), key=lambda ion: (ion != "Li", ion))
        groups = {ion: ions == ion for ion in kinds if np.sum(ions == ion) >= FEWEST_HOPS}
        factors = {"every ion": _factors(found, truth, systems)}
        for ion, here in groups.items():
            factors[ion] = _factors(found[here], truth[here], systems[here])
        if len(groups) > 1:
            groups = {"every ion": np.full(len(known), True)} | groups
        for ion, here in groups.items():
            own = (ion, method, truth[here], systems[here], found[here])
            text.append(_line(*own, None, n_resamples))
            for title, values in factors["every ion"].items():
                if len(groups) > 1:
                    line = (ion, f"{method}; all ions, {title}", *own[2:], values[here])
                    text.append(_line(*line, n_resamples))
            for title, values in factors[ion].items():
                if ion != "every ion":
                    line = (ion, f"{method}; {ion}, {title}", *own[2:], values)
                    text.append(_line(*line, n_resamples))
            if ion != "every ion":
                alike = held_out_medians(truth[here], systems[here])
                line = (ion, f"median of the literature, {ion}", *own[2:], alike)
                text.append(_line(*line, n_resamples, is_factor=False))
    return "\n".join(text) + "\n"


def _factors(
    found_eV: FloatArray, literature_eV: FloatArray, systems: Sequence[str]
) -> dict[str, FloatArray]:
    return {
        title: held_out_factors(found_eV, literature_eV, systems, weighted=weighted)
        for title, weighted in (("deviations in eV", True), ("median ratio", False))
    }


def _line(
    ion: str,
    method: str,
    truth: FloatArray,
    systems: Sequence[str],
    plain: FloatArray,
    factors: FloatArray | None,
    n_resamples: int,
    *,
    is_factor: bool = True,
) -> str:
    def gain(truth: FloatArray, plain: FloatArray, values: FloatArray) -> float:
        return mean_absolute_error(truth, plain) - mean_absolute_error(truth, values)

    shown, gained, values = "-", "-", plain
    if factors is not None:
        values = factors * plain if is_factor else factors
        if is_factor:
            shown = f"{np.median(factors):.2f} ({factors.min():.2f} to {factors.max():.2f})"
        one = bootstrap_interval(gain, [truth, plain, values], n_resamples, groups=systems)
        gained = f"{one:+.2f}"
    right = [np.mean((values < level) == (truth < level)) for level in THRESHOLDS_eV]
    return (
        f"| {ion} | {method} | {len(truth)} | {shown} | {mean_absolute_error(truth, values):.2f} | "
        f"{gained} | {np.median(np.abs(truth - values)):.2f} | {right[0]:.0%} | {right[1]:.0%} |"
    )
