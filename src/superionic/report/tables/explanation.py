"""Why a material stands where it stands, as text and JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from superionic.report.numbers import TEXT, XI_TEXT, between, of_row
from superionic.report.tables.text_table import text_table
from superionic.schemas.screening import ScreeningDocument
from superionic.store.builders.relations import orderings_range
from superionic.store.ranking.conductivity import estimate_conductivity
from superionic.store.ranking.explain import Standing

if TYPE_CHECKING:
    from superionic.store.collection.query import Explanation


_ENDINGS = {
    "settled": "every interval is as narrow as was asked for",
    "budget": "it stopped at its budget, with the intervals that it had",
    "exhausted": "every point is evaluated",
}


def explanation_text(explanation: "Explanation") -> str:
    """Return an explanation as text."""
    row = explanation.row
    lines = [
        f"{row.formula}  {row.material_id}  mobile {row.mobile_species}  {row.potential}  "
        f"{row.ranking_settings}",
        f"There: {', '.join(row.present)}. Missing: {', '.join(row.missing) or 'nothing'}.",
    ]
    if row.duplicate_of is not None:
        lines.append(f"The same crystal as {row.duplicate_of}, whose results these are.")
    lines += ["", _standings(explanation.standings), ""]
    lines += [_sum(standing) for standing in explanation.standings if standing.parts]
    lines += [
        f"{standing.policy}: {standing.tie}." for standing in explanation.standings if standing.tie
    ]
    lines += _parts(row)
    if row.orderings is not None:
        text = f"One of {row.orderings.n_orderings} orderings of {row.parent_id}"
        spans = orderings_range(row.orderings)
        lines.append(f"{text}: {spans}." if spans else f"{text}, which hardly differ.")
    lines += [f"Warning [{one.code}]: {one.text}" for one in row.warnings]
    lines += [f"Failure [{one.code}]: {one.message} {one.hint}" for one in explanation.failures]
    used = [f"{run.kind} {run.job_uuid} ({run.last_updated[:19]})" for run in row.runs if run.used]
    lines += [f"Made from: {'; '.join(used)}."] if used else []
    lines.append(f"Runs in all: {row.n_runs}.")
    return "\n".join(line.rstrip() for line in lines)


def explanations_json(explanations: Sequence["Explanation"]) -> str:
    """Return explanations as a JSON list: the row, what each policy says, failures."""
    content = [
        {
            "row": one.row.model_dump(mode="json"),
            "standings": [_record(standing) for standing in one.standings],
            "failures": [failure.model_dump(mode="json") for failure in one.failures],
        }
        for one in explanations
    ]
    return json.dumps(content, indent=2, allow_nan=False)


def _record(standing: Standing) -> dict[str, Any]:
    neighbours = {
        name: None if row is None else {"material_id": row.material_id, "formula": row.formula}
        for name, row in (("above", standing.above), ("below", standing.below))
    }
    plain = {k: v for k, v in vars(standing).items() if k not in neighbours}
    parts = [asdict(part) | {"share": part.share} for part in standing.parts]
    return plain | neighbours | {"parts": parts}


def _sum(standing: Standing) -> str:
    """Return what a composite score is made of, in one line."""
    total = sum(part.share for part in standing.parts)
    if standing.parts[0].name != "intercept":
        terms = [
            f"{part.name} {part.relative:.3f} ({_score(part.value)})" for part in standing.parts
        ]
        return f"{standing.policy}: {total:.3f}, the mean of the percentiles of {', '.join(terms)}."
    intercept, *features = standing.parts
    terms = [
        f"{part.share:+.2f} {part.name} ({_score(part.value)}: {part.weight:.2f} x "
        f"{part.relative:.2f} standard deviations)"
        for part in features
    ]
    return f"{standing.policy}: log odds {total:.2f} = {intercept.share:.2f} {', '.join(terms)}."


def _standings(standings: Sequence[Standing]) -> str:
    cells = []
    for one in standings:
        rank = "not ranked yet" if one.rank is None else f"{one.rank} of {one.n_rows}"
        rank = "last" if one.reason else rank
        cells.append(
            (
                one.policy,
                rank,
                "-" if one.percentile is None else f"{one.percentile:.0f} %",
                one.reason or ("-" if one.rank is None else f"{_score(one.score)} {one.quantity}"),
                "-" if one.reason else _neighbour(one.policy, one.above),
                "-" if one.reason else _neighbour(one.policy, one.below),
            )
        )
    names = ("policy", "rank", "better than", "value", "above", "below")
    return text_table([(name, False) for name in names], cells)


def _score(score: float | None) -> str:
    return "infinite" if score is None else f"{score:.4g}"


def _neighbour(policy: str, row: ScreeningDocument | None) -> str:
    if row is None:
        return "-"
    score = row.scores.get(policy)
    return f"{row.material_id} {row.formula}" + ("" if score is None else f" ({score:.4g})")


def _parts(row: ScreeningDocument) -> list[str]:
    lines = []
    if row.xi is not None:
        barrier, *texts = (
            of_row(row, name, TEXT)
            for name in ("mpe_eV", "barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV")
        )
        unit = "" if row.mpe_eV is None else " eV"
        lines.append(
            f"Landscape: barrier {barrier}{unit}; in one, two and three dimensions "
            f"{', '.join(texts)} eV; Xi {of_row(row, 'xi', XI_TEXT)}."
        )
        if row.ending is not None:
            origin = "" if row.prior_potential is None else f" from that of {row.prior_potential}"
            lines.append(
                f"Learned{origin} from {row.n_evaluations} evaluations: {_ENDINGS[row.ending]}."
            )
    if row.predicted_log10_msd_slope is not None:
        flags = f" Flags: {', '.join(row.prediction_flags)}." if row.prediction_flags else ""
        trained = " The network was trained on this chemical system." * bool(
            row.prediction_in_training
        )
        ends = (row.predicted_log10_msd_slope_low, row.predicted_log10_msd_slope_high)
        lines.append(
            f"Network {row.network}: log10 slope {row.predicted_log10_msd_slope:.2f} "
            f"{between(*ends, '{:.2f}'.format)}.{trained}{flags}"
        )
    expected = estimate_conductivity(row)
    if expected is not None:
        strange = ", ".join(expected.strange)
        lines.append(
            f"Conductivity at 300 K to be expected, from the {expected.model}: 10^"
            f"{expected.log10_S_per_cm:.1f} S/cm [10^{expected.low:.1f}, 10^{expected.high:.1f}]."
            + f" No sample that it learned has {strange}."
            * bool(strange)
        )
    for label in row.labels:
        slope = label.msd_slope_A2_per_ps
        lines.append(
            f"Molecular dynamics at {label.temperature_K:g} K, seed {label.seed}: {label.verdict}, "
            f"slope {'none' if slope is None else f'{slope:.4g} A^2/ps'} in "
            f"{label.production_ps:g} ps."
        )
    if row.validation_verdict is not None:
        lines.append(f"Validation: {row.validation_verdict}; {row.validation_reason}.")
    return lines
