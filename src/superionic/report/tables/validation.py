"""Verdicts of validations as tables."""

from collections.abc import Sequence

from superionic.report.numbers import between, formatted
from superionic.report.tables.text_table import markdown_table
from superionic.report.tables.view import Cells, View
from superionic.schemas.validation import TemperatureDocument, ValidationDocument

WRITTEN_BY = "superionic validate"
"""What the mark of the tables' place names."""
_NUMERIC = ("S/cm", "95 %", "E eV", "S/cm 300 K", "95 % 300 K", "ps", "atoms")


def validation_cells(documents: Sequence[ValidationDocument]) -> Cells:
    """Return head and cells of a table of verdicts."""
    names = ("id", "formula", "verdict", "T", *_NUMERIC[:5], "fit", *_NUMERIC[5:])
    cells = [
        (
            one.material_id,
            one.formula,
            one.verdict,
            f"{one.deciding_temperature_K:g} K",
            formatted(one.conductivity_S_per_cm, ".2g"),
            _interval(one.conductivity_low_S_per_cm, one.conductivity_high_S_per_cm),
            _energy(one),
            formatted(one.conductivity_300K_S_per_cm, ".2g"),
            _interval(one.conductivity_300K_low_S_per_cm, one.conductivity_300K_high_S_per_cm),
            f"{one.n_values} values, {one.n_bounds} bounds",
            f"{sum(run.production_ps for run in one.runs):.0f}",
            str(one.n_atoms),
        )
        for one in documents
    ]
    return [(name, name in (*_NUMERIC, "T")) for name in names], cells


VIEW = View(cells=validation_cells, verdict="verdict")
"""Verdicts, in the order given."""


def validations_markdown(documents: Sequence[ValidationDocument]) -> str:
    """Return verdicts, and conductivities at every temperature, as Markdown, in the order given."""
    counts = ", ".join(f"{n} {name}" for name, n in verdict_counts(documents).items())
    heads = ["", "formula", "id", "verdict", "at", "S/cm", "activation energy (eV)"]
    verdicts = []
    for place, one in enumerate(documents, start=1):
        cells = (
            str(place),
            one.formula,
            one.material_id,
            one.verdict,
            f"{one.deciding_temperature_K:g} K",
            _with_interval(
                one.conductivity_S_per_cm,
                one.conductivity_low_S_per_cm,
                one.conductivity_high_S_per_cm,
            ),
            _energy(one).replace("+-", "±"),
            _with_interval(
                one.conductivity_300K_S_per_cm,
                one.conductivity_300K_low_S_per_cm,
                one.conductivity_300K_high_S_per_cm,
            ),
        )
        verdicts.append(cells)
    temperatures = sorted({run.temperature_K for one in documents for run in one.runs})
    runs = []
    for one in documents:
        by_temperature = {run.temperature_K: _run(run) for run in one.runs}
        found = (
            one.formula,
            *(by_temperature.get(temperature, "-") for temperature in temperatures),
            str(one.n_atoms),
            f"{sum(run.production_ps for run in one.runs):.0f}",
            f"{sum(run.wall_time_s for run in one.runs) / 60:.0f}",
        )
        runs.append(found)
    columns = [f"{temperature:g} K" for temperature in temperatures]
    return "\n\n".join(
        [
            f"{len(documents)} materials: {counts or 'none'}. In brackets 95 % intervals.",
            markdown_table([*heads, "S/cm at 300 K"], verdicts),
            "Conductivity of each run in S/cm with its standard error, or what stands for it:",
            markdown_table(["formula", *columns, "atoms", "ps, all runs", "core-minutes"], runs),
        ]
    )


def verdict_counts(documents: Sequence[ValidationDocument]) -> dict[str, int]:
    """Return how many materials have which verdict."""
    names = ("confirmed", "not_confirmed", "melts", "undecided")
    counts = {name: sum(one.verdict == name for one in documents) for name in names}
    return {name: count for name, count in counts.items() if count}


def _interval(low: float | None, high: float | None) -> str:
    if high is None:
        return "-"
    return f"< {high:.2g}" if low is None else between(low, high, "{:.2g}".format)


def _with_interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return _interval(low, high)
    return f"{value:.2g} {_interval(low, high)}"


def _run(run: TemperatureDocument) -> str:
    if run.evidence == "value" and run.conductivity_S_per_cm is not None:
        error = run.conductivity_error_S_per_cm
        return f"{run.conductivity_S_per_cm:.2g}" + (f" ± {error:.1g}" if error else "")
    if run.evidence == "bound" and run.conductivity_upper_bound_S_per_cm is not None:
        return f"< {run.conductivity_upper_bound_S_per_cm:.2g}"
    return run.verdict.replace("_", " ")


def _energy(one: ValidationDocument) -> str:
    if one.activation_energy_eV is None or one.activation_energy_error_eV is None:
        return "-"
    return f"{one.activation_energy_eV:.2f} +- {one.activation_energy_error_eV:.2f}"
