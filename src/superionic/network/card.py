"""The card of a trained ensemble: what it is, how good it is, and when not to believe it."""

import math
from typing import Any

from superionic.network.checkpoint import IntervalCalibration, NetworkHeader
from superionic.network.data import LabelSet
from superionic.network.metrics import SPLIT_TEXT, metric_cell
from superionic.network.shakes import REFERENCE_MASS_U

MEASURES = {
    "r_squared": "R^2",
    "mean_absolute_error": "mean absolute error (decades)",
    "spearman": "Spearman",
    "roc_auc": "ROC-AUC, diffusing or not",
    "precision_at_tenth": "diffusing among the first 10 %",
}


DOCUMENTATION = "docs/force_network.md"
"""Where untouched tests of the network that the package has are told, with what they found."""


def model_card(
    header: NetworkHeader,
    summary: dict[str, Any],
    variant: str,
    file_sha256: str,
    data: str,
    labels: LabelSet,
) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    header : NetworkHeader
        That of the file.
    summary : dict
        What the study found.
    variant : str
        Which of its models the ensemble is of.
    file_sha256 : str
        Hash of the file.
    data : str
        Name of the file of labels.
    labels : LabelSet
        What that file holds by the header's rules: it knows the potentials of the labels and the
        lengths of their runs.
    """
    key = f"{header.labels.floor_A2_per_ps:g}"
    network, shakes = header.network, header.shakes
    amplitudes = ", ".join(f"{amplitude:g}" for amplitude in shakes.amplitudes_A)
    by_mass = informed = ""
    if shakes.mass_exponent:
        informed = " Its displacements inform it of masses."
        by_mass = f", times ({REFERENCE_MASS_U:g} u / mass)^{shakes.mass_exponent:g}"
    left_out = ", ".join(f"{n} {name}" for name, n in summary.get("left_out", {}).items())
    lines = [
        "# Card of the force network",
        "",
        f"Predicts log10 of the slope of the mobile ion's mean squared displacement {_at(header)}, "
        "in A^2/ps, from positions and accelerations of a shaken crystal. It never sees species."
        f"{informed} "
        f"Written by superionic {header.superionic_version}.",
        "",
        "| | |",
        "| --- | --- |",
        f"| file | force_network.pt, SHA-256 `{file_sha256}` |",
        f"| training set | {header.n_crystals} crystals of {data}"
        + (f" ({left_out} left out)" if left_out else "")
        + f", hash `{header.training_set_sha256[:16]}` |",
        *_learned_further(header, labels),
        f"| labels | molecular dynamics {_at(header)} with {_potentials(header, labels)}, slopes "
        f"clipped from below at {key} A^2/ps |",
        f"| accelerations | {header.potential.label}, {shakes.n_shakes} shakes of {amplitudes} A"
        f"{by_mass} |",
        f"| network | l up to {network.l_max}, {network.n_layers} layers, {network.channels} "
        f"channels, neighbours up to {network.cutoff_A:g} A |",
    ]
    if header.calibration is not None:
        found = header.calibration
        lines.append(
            f"| 95 % interval | +- {_half_width(found)} decades, from {found.n_crystals} "
            f"cross-validated crystals, folds {SPLIT_TEXT[found.folds]} |"
        )
    lines += ["", "## Quality", ""]
    lines += _quality(summary, variant, key)
    lines += [
        "",
        "Intervals: 95 %, bootstrap over chemical systems. Prediction of crystals that were not "
        "learned, mean over seeds and shakes.",
        "",
        "## When not to believe it",
        "",
        f"- A prediction near log10({key}) = {math.log10(header.labels.floor_A2_per_ps):.1f} means "
        "at most that slope.",
        "- Crystals unlike those learned (flag `far_from_training_set`), accelerations of another "
        "potential (`other_potential`), other shakes (`other_shakes`), crystals that were not "
        "relaxed and need it (`not_at_rest`).",
        f"- Labels are those of {_potentials(header, labels)}, of small cells and of "
        f"{_length(labels)}; where the potential is wrong, so is the network.",
        "- Neither the interval nor the flags are a promise: how they did on crystals that were "
        "predicted first and labelled then, by networks that came with superionic, stands in "
        f"[{DOCUMENTATION}](../../../../{DOCUMENTATION}).",
        "- Where a control of the table is better, use the control.",
    ]
    return "\n".join(lines) + "\n"


def _at(header: NetworkHeader) -> str:
    """Return the temperature of the labels as words."""
    temperature_K = header.labels.temperature_K
    return "at the labels' temperature" if temperature_K is None else f"at {temperature_K:g} K"


def _potentials(header: NetworkHeader, labels: LabelSet) -> str:
    """Return what gave the labels, which need not be what shakes."""
    names = " and ".join(sorted(labels.potentials))
    other = labels.n_not_of(header.potential.weights_sha256)
    if not other:
        return names
    return f"{names} ({other} of another potential than the accelerations)"


def _length(labels: LabelSet) -> str:
    longest_ps = labels.longest_ps
    return "tens of picoseconds" if longest_ps is None else f"{longest_ps:g} ps at most"


def _half_width(found: IntervalCalibration) -> str:
    if not (found.per_shake_spread or found.per_ensemble_spread):
        return f"{found.half_width_95:.2f}"
    return (
        f"({found.half_width_95:.2f} + {found.per_shake_spread:.2f} x spread over shakes + "
        f"{found.per_ensemble_spread:.2f} x spread over networks)"
    )


def _learned_further(header: NetworkHeader, labels: LabelSet) -> list[str]:
    """Return what was learned besides the slopes, as rows of a table."""
    lines, rules = [], header.labels
    if len(header.targets) > 1:
        names = ", ".join(f"`{name}`" for name in header.targets[1:])
        lines.append(f"| further targets | {names} |")
    if header.n_unlabelled:
        kinds = []
        if n_colder := len(labels.train_only):
            kinds.append(
                f"{n_colder} without a label {_at(header)} ({', '.join(rules.exclude_verdicts)}), "
                f"by their slope at a lower temperature, taken up with an activation energy of "
                f"{rules.activation_energy_eV:g} eV"
            )
        if n_further := header.n_unlabelled - n_colder:
            kinds.append(f"{n_further} without any label, by their further targets")
        lines.append(
            f"| crystals for training only | {'; '.join(kinds)}; hash "
            f"`{header.unlabelled_sha256[:16]}` |"
        )
    return lines


def _quality(summary: dict[str, Any], variant: str, key: str) -> list[str]:
    """Return the ensemble's variant beside the controls that learned the same labels."""
    rows = [
        row
        for row in summary["models"]
        if math.isclose(row["floor_A2_per_ps"], float(key))
        and (row["variant"] == variant or row["kind"] not in ("network", "network with species"))
    ]
    rows.sort(key=lambda row: (row["split"], row["variant"] != variant))
    lines = [
        f"| model | folds | {' | '.join(MEASURES.values())} |",
        f"| --- | --- |{' --- |' * len(MEASURES)}",
    ]
    for row in rows:
        cells = [metric_cell(row["metrics"][key][name]) for name in MEASURES]
        name = "**this network**" if row["variant"] == variant else row["variant"]
        lines.append(f"| {name} | {SPLIT_TEXT[row['split']]} | {' | '.join(cells)} |")
    return lines
