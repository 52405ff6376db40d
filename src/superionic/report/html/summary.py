"""What a report says of a campaign as a whole."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from superionic.report.html.scope import COMMAND_OF_PART
from superionic.schemas.document import FailureDocument, digest
from superionic.schemas.screening import PARTS, RunSummary, ScreeningDocument


class PotentialUse(NamedTuple):
    """A potential with one set of weights, for one mobile ion, and how many rows are of it."""

    potential: str
    package_version: str
    mobile_species: str
    weights_sha256: str
    n_rows: int


class SettingsGroup(NamedTuple):
    """Hash of settings, rows that were made with them, and their paths and values."""

    sha256: str
    n_rows: int
    values: list[tuple[str, str]]


class Missing(NamedTuple):
    """A part that materials lack, how many do, and the command that makes it."""

    part: str
    n_without: int
    command: str


@dataclass(frozen=True)
class RunsOfKind:
    """All runs of one kind of document behind the rows.

    Parameters
    ----------
    kind : str
        Kind of the document.
    n_runs, n_used, n_unreadable : int
        Runs, those whose numbers the rows have, those that cannot be read.
    n_settings : int
        Different settings among those that are used.
    versions : list of str
        Versions of superionic.
    first, last : str
        Dates of the first and the last one, ISO 8601.
    n_evaluations : int
        Energy or force evaluations in all.
    wall_time_s : float
        Wall time in all, in s.
    """

    kind: str
    n_runs: int
    n_used: int
    n_unreadable: int
    n_settings: int
    versions: list[str]
    first: str
    last: str
    n_evaluations: int
    wall_time_s: float


def potentials_used(rows: Sequence[ScreeningDocument]) -> list[PotentialUse]:
    """Return the potentials behind rows, the most frequent first."""
    counted = Counter(
        (
            row.potential,
            row.potential_package_version,
            row.mobile_species,
            row.potential_weights_sha256,
        )
        for row in rows
        if row.duplicate_of is None
    )
    return [PotentialUse(*names, n) for names, n in counted.most_common()]


def runs_by_kind(rows: Sequence[ScreeningDocument]) -> list[RunsOfKind]:
    """Return what was run for rows, by kind of document."""
    groups: dict[str, list[RunSummary]] = defaultdict(list)
    flow_times_s: dict[str, float] = defaultdict(float)
    for row in rows:
        if row.duplicate_of is None:
            for run in row.runs:
                groups[run.kind].append(run)
                # Evaluations of descriptors are those of their flow; so shall be the time.
                is_flow = run.used and run.kind == "descriptors"
                flow_times_s[run.kind] += row.wall_time_s if is_flow else run.wall_time_s
    order = {"descriptors": 0, "prediction": 1, "diffusion": 2, "validation": 3}
    found = []
    for kind, runs in sorted(groups.items(), key=lambda item: order.get(item[0], len(order))):
        dates = sorted(run.last_updated[:10] for run in runs)
        found.append(
            RunsOfKind(
                kind=kind,
                n_runs=len(runs),
                n_used=sum(run.used for run in runs),
                n_unreadable=sum(not run.readable for run in runs),
                n_settings=len({run.settings_sha256 for run in runs if run.used}),
                versions=sorted({run.superionic_version for run in runs if run.superionic_version}),
                first=dates[0],
                last=dates[-1],
                n_evaluations=sum(run.n_evaluations for run in runs),
                wall_time_s=flow_times_s[kind],
            )
        )
    return found


def settings_groups(rows: Sequence[ScreeningDocument]) -> list[SettingsGroup]:
    """Return the settings that rows were made with, the most frequent first."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row.duplicate_of is None:
            groups[digest(row.settings)].append(row.settings)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [SettingsGroup(sha256, len(all_), flat(all_[0])) for sha256, all_ in ordered]


def missing_parts(rows: Sequence[ScreeningDocument], policy: str) -> list[Missing]:
    """Return the parts that some rows lack, with the command that makes each."""
    counts = Counter(part for row in rows if row.duplicate_of is None for part in row.missing)
    return [
        Missing(part, counts[part], COMMAND_OF_PART[part].format(policy=policy))
        for part in PARTS
        if counts[part]
    ]


def failure_causes(
    failures: Sequence[FailureDocument],
) -> list[tuple[str, list[FailureDocument]]]:
    """Return failures by the code of their cause, the most frequent first."""
    groups: dict[str, list[FailureDocument]] = defaultdict(list)
    for failure in failures:
        groups[failure.code].append(failure)
    return sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))


def warning_counts(rows: Sequence[ScreeningDocument]) -> list[tuple[str, int, str]]:
    """Return for each warning its code, the materials that have it, and one example."""
    materials: dict[str, set[str]] = defaultdict(set)
    examples: dict[str, str] = {}
    for row in rows:
        if row.duplicate_of is None:
            for warning in row.warnings:
                materials[warning.code].add(row.material_id)
                examples.setdefault(warning.code, f"{row.material_id}: {warning.text}")
    ordered = sorted(materials, key=lambda code: (-len(materials[code]), code))
    return [(code, len(materials[code]), examples[code]) for code in ordered]


def verdict_counts(rows: Sequence[ScreeningDocument]) -> list[tuple[str, str, int]]:
    """Return how many materials have which verdict of dynamics and of validation."""
    computed = [row for row in rows if row.duplicate_of is None]
    found = []
    for source, name in (("dynamics", "label_verdict"), ("validation", "validation_verdict")):
        counted = Counter(getattr(row, name) for row in computed if getattr(row, name) is not None)
        found += [(source, verdict, n) for verdict, n in counted.most_common()]
    return found


def flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as pairs of dotted path and value."""
    found: list[tuple[str, str]] = []
    for name, value in settings.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            found += flat(value, f"{path}.")
        else:
            text = json.dumps(value, default=str) if isinstance(value, list | dict) else str(value)
            found.append((path, text))
    return found
