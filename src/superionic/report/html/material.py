"""The section of one material: numbers with errors, warnings, where it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field
from pymatgen.core import Structure

from superionic.report.documents import MaterialDocuments, Problem, cif_text, file_name
from superionic.report.figures.style import plain_name
from superionic.report.html.repeat import Command, repeat_commands
from superionic.report.html.summary import flat
from superionic.report.numbers import NOTHING, Number, of_row, plain, with_error, with_interval
from superionic.schemas.label import DiffusionDocument, LabelRow
from superionic.schemas.screening import LabelSummary, ScreeningDocument
from superionic.schemas.validation import TemperatureDocument
from superionic.text import duration

_NO_PATH = "no percolating path"
_GRID_NOTE = "from one grid: its error is that of potential, grid and frozen framework"


@dataclass(frozen=True)
class NumberGroup:
    """Numbers that belong together."""

    title: Annotated[str, Field(description="What they describe.")]
    numbers: Annotated[list[Number], Field(description="The lines.")]
    remark: Annotated[str, Field(description="What is missing, or how to read them.")] = ""


@dataclass(frozen=True)
class Section:
    """All that a report shows of one material, figures aside.

    Parameters
    ----------
    anchor : str
        Identifier within the page.
    row : ScreeningDocument
        The row.
    groups : list of NumberGroup
        Numbers.
    others : list of ByPotential
        The same material by other potentials.
    dynamics : list of tuple of str
        One line for each run of molecular dynamics, as :data:`DYNAMICS_COLUMNS`.
    commands : list of Command
        What computes it again.
    settings : list of tuple
        For each document its kind, and path and value of its settings.
    provenance : list of tuple
        Name and value of what is known of the origin.
    cif : str or None
        The crystal that was computed.
    cif_name : str
        Name of its file.
    problems : list of Problem
        What cannot be shown.
    """

    anchor: str
    row: ScreeningDocument
    groups: list[NumberGroup]
    others: list["ByPotential"]
    dynamics: list[tuple[str, ...]]
    commands: list[Command]
    settings: list[tuple[str, list[tuple[str, str]]]]
    provenance: list[tuple[str, str]]
    cif: str | None
    cif_name: str
    problems: list[Problem] = field(default_factory=list)


DYNAMICS_COLUMNS = (
    *("T (K)", "seed", "verdict", "MSD slope (Å²/ps)", "conductivity (S/cm)", "ions that hopped"),
    *("time (ps)", "why"),
)


def section(found: MaterialDocuments, anchor: str) -> Section:
    """Return the section of one material.

    Parameters
    ----------
    found : MaterialDocuments
        Its documents.
    anchor : str
        Identifier within the page.
    """
    row = found.row
    cif, cif_problem = _cif(found.structure)
    return Section(
        anchor=anchor,
        row=row,
        groups=number_groups(found),
        others=same_by_others(row, found.others),
        dynamics=_dynamics(found),
        commands=repeat_commands(found, _file_name(row)),
        settings=_settings(found),
        provenance=_provenance(found),
        cif=cif,
        cif_name=_file_name(row),
        problems=[*found.problems, *cif_problem],
    )


def number_groups(found: MaterialDocuments) -> list[NumberGroup]:
    """Return the numbers of a material, with what its documents say beyond the row."""
    row = found.row
    groups = [_crystal(found), _landscape(found), _prediction(found)]
    if row.label_verdict is None:
        text = f"None. 'superionic label {_file_name(row)}' runs it."
        groups.append(NumberGroup("Molecular dynamics", [], text))
    else:
        ends = (row.msd_slope_low_A2_per_ps, row.msd_slope_high_A2_per_ps)
        slope = with_interval(row.msd_slope_A2_per_ps, *ends)
        numbers = [
            Number("verdict", plain_name(row.label_verdict)),
            Number("MSD slope", slope, "Å²/ps", "95 % interval"),
            Number("temperature", plain(row.label_temperature_K), "K"),
        ]
        groups.append(NumberGroup("Molecular dynamics", numbers))
    return [*groups, _validation(found)]


@dataclass(frozen=True)
class ByPotential:
    """The same material and ion by one potential, beside those by others; numbers as texts."""

    key: Annotated[str, Field(description="Key of the row.")]
    this_one: Annotated[bool, Field(description="Whether it is the row that is shown.")]
    potential: Annotated[str, Field(description="The potential.")]
    barrier: Annotated[
        str, Field(description="Published barrier in eV, with its interval if it has one.")
    ]
    barrier_3d: Annotated[str, Field(description="Barrier in three dimensions in eV.")]
    free_volume: Annotated[str, Field(description="Free volume below 2 eV in A^3 per ion.")]
    verdict: Annotated[str, Field(description="Of molecular dynamics.")]


def same_by_others(
    row: ScreeningDocument, others: Sequence[ScreeningDocument]
) -> list[ByPotential]:
    """Return a material by all potentials, this one first; nothing where it is the only one."""
    return [
        ByPotential(
            one.key,
            one is row,
            one.potential,
            of_row(one, "mpe_eV"),
            of_row(one, "barrier_3d_eV"),
            of_row(one, "free_volume_2eV_A3_per_ion"),
            plain_name(one.label_verdict or NOTHING),
        )
        for one in ([row, *others] if others else [])
    ]


def _crystal(found: MaterialDocuments) -> NumberGroup:
    row = found.row
    numbers = [
        Number("atoms in the cell", str(row.n_atoms)),
        Number(f"of them {row.mobile_species}", str(row.n_mobile)),
        Number("volume of the cell", plain(row.volume_A3, 5), "Å³"),
        Number("relaxed before", "yes" if row.relaxed else "no"),
    ]
    for document in (found.landscape, found.prepared, *found.labels):
        if document is not None and document.spacegroup_symbol is not None:
            text = f"{document.spacegroup_symbol} ({document.spacegroup_number})"
            numbers.insert(0, Number("space group", text))
            break
    if row.orderings is not None:
        text = f"{row.ordering_index or '?'} of {row.orderings.n_orderings} of {row.parent_id}"
        numbers.append(Number("ordering", text))
        if row.ordering_energy_eV is not None:
            numbers.append(Number("its Ewald energy", plain(row.ordering_energy_eV), "eV/atom"))
    return NumberGroup("Crystal", numbers)


def _landscape(found: MaterialDocuments) -> NumberGroup:
    row = found.row
    title = "Landscape of the frozen framework"
    if row.xi is None:
        return NumberGroup(title, [], f"None. 'superionic screen {_file_name(row)}' computes it.")
    barriers = [
        Number(name, of_row(row, field, no_path=_NO_PATH), _unit(row, field), note)
        for name, field, note in (
            ("barrier, as published", "mpe_eV", "lowest of all ions"),
            ("barrier in one dimension", "barrier_1d_eV", ""),
            ("barrier in two dimensions", "barrier_2d_eV", ""),
            ("barrier in three dimensions", "barrier_3d_eV", ""),
        )
    ]
    if found.descriptors is not None and len(found.descriptors.mpe_per_ion_eV) > 1:
        per_ion = [value for value in found.descriptors.mpe_per_ion_eV if value is not None]
        if per_ion:
            text = f"{plain(min(per_ion))} to {plain(max(per_ion))}"
            note = f"{len(per_ion)} of {len(found.descriptors.mpe_per_ion_eV)} ions percolate"
            barriers.insert(1, Number("barriers of the ions", text, "eV", note))
    volumes = [
        *(
            Number(name, of_row(row, field), unit)
            for name, field, unit in (
                ("connected free volume, 0.5 eV", "fv_connected", "of the window"),
                ("free volume, 0.5 eV", "fv_disconnected", "of the cell"),
                ("free volume, 0.5 eV", "free_volume_A3_per_ion", "Å³ per ion"),
                ("free volume, 2 eV", "fv_disconnected_2eV", "of the cell"),
                ("free volume, 2 eV", "free_volume_2eV_A3_per_ion", "Å³ per ion"),
                ("Xi", "xi", ""),
            )
        ),
        Number(
            "effective diffusivity, 1000 K", plain(row.diffusivity_ratio_1000K), "of a flat map"
        ),
    ]
    grid = found.landscape.grid_shape if found.landscape is not None else None
    cost = [
        *([Number("grid", " x ".join(map(str, grid)), "points")] if grid else []),
        Number("energies", str(row.n_evaluations), "", f"in {duration(row.wall_time_s)}"),
    ]
    return NumberGroup(title, [*barriers, *volumes, *cost], f"Numbers {_GRID_NOTE}.")


def _unit(row: ScreeningDocument, field: str) -> str:
    return "" if getattr(row, field) is None else "eV"


def _prediction(found: MaterialDocuments) -> NumberGroup:
    row, document = found.row, found.prediction
    title = "Prediction of the force network"
    if row.predicted_log10_msd_slope is None:
        return NumberGroup(title, [], f"None. 'superionic predict {_file_name(row)}' makes it.")
    low, high = row.predicted_log10_msd_slope_low, row.predicted_log10_msd_slope_high
    numbers = [
        Number(
            "log10 of the MSD slope at 1000 K",
            with_interval(row.predicted_log10_msd_slope, low, high),
            "Å²/ps",
            "95 % interval" if low is not None else "the network is not calibrated",
        ),
        Number("spread over shakes", plain(row.prediction_spread_shakes), "decades"),
        Number("spread over networks", plain(row.prediction_spread_ensemble), "decades"),
        Number("network", f"{row.network}", "", f"SHA-256 {row.network_sha256}"),
    ]
    if document is not None:
        numbers.append(Number("shakes", str(document.n_shakes)))
        numbers.append(Number("distance from the training set", plain(document.novelty)))
    known = {True: "yes: it says nothing of its quality", False: "no", None: "not known"}
    numbers.append(Number("trained on this chemistry", known[row.prediction_in_training]))
    if row.prediction_flags:
        numbers.append(Number("flags", ", ".join(row.prediction_flags)))
    return NumberGroup(title, numbers)


def _validation(found: MaterialDocuments) -> NumberGroup:
    row, document = found.row, found.validation
    title = "Validation"
    if row.validation_verdict is None:
        return NumberGroup(title, [], f"None. 'superionic validate {_file_name(row)}' runs it.")
    at = "" if row.validation_temperature_K is None else f" at {row.validation_temperature_K:g} K"
    numbers = [
        Number("verdict", row.validation_verdict, "", row.validation_reason or ""),
        Number(
            f"conductivity{at}",
            with_interval(
                row.conductivity_S_per_cm,
                row.conductivity_low_S_per_cm,
                row.conductivity_high_S_per_cm,
            ),
            "S/cm",
            "95 % interval",
        ),
        Number(
            "activation energy",
            with_error(row.activation_energy_eV, row.activation_energy_error_eV),
            "eV",
            "standard error",
        ),
        Number(
            "conductivity at 300 K",
            with_interval(
                row.conductivity_300K_S_per_cm,
                row.conductivity_300K_low_S_per_cm,
                row.conductivity_300K_high_S_per_cm,
            ),
            "S/cm",
            "extrapolated; 95 % interval",
        ),
    ]
    if document is not None:
        fit = f"{document.n_values} values and {document.n_bounds} upper bounds"
        numbers.append(Number("temperatures in the fit", fit))
        numbers.append(Number("atoms in the supercell", str(document.n_atoms)))
        numbers.append(Number("forces from", f"{document.dynamics.label} ({document.engine})"))
    return NumberGroup(title, numbers)


def _dynamics(found: MaterialDocuments) -> list[tuple[str, ...]]:
    """Return one line for each run; from the row where its document cannot be read."""
    known = {(label.temperature_K, label.seed): _run_line(label) for label in found.all_labels}
    lines = [
        known.get((one.temperature_K, one.seed), _summary_line(one)) for one in found.row.labels
    ]
    if found.validation is not None:
        lines += [_validation_line(run) for run in found.validation.runs]
    return lines


def _line(
    run: DiffusionDocument | LabelRow | LabelSummary | TemperatureDocument,
    of: str,
    slope: str,
    conductivity: str,
    hopped: str = NOTHING,
    why: str = "",
) -> tuple[str, ...]:
    """Return a line of the table of dynamics, as :data:`DYNAMICS_COLUMNS`."""
    start = (f"{run.temperature_K:g}", str(run.seed), f"{run.verdict}{of}")
    return (*start, slope, conductivity, hopped, f"{run.production_ps:g}", why)


def _run_line(label: DiffusionDocument | LabelRow) -> tuple[str, ...]:
    if isinstance(label, LabelRow):
        value, error = label.msd_slope_A2_per_ps, label.msd_slope_error_A2_per_ps
        bound, conductivity_error = label.msd_slope_upper_bound_A2_per_ps, None
    else:
        value = None if label.slope is None else label.slope.slope_A2_per_ps
        error = None if label.slope is None else label.slope.error_A2_per_ps
        bound = label.slope_upper_bound_A2_per_ps
        conductivity_error = label.conductivity_error_S_per_cm
    return _line(
        label,
        " (data set)" * isinstance(label, LabelRow),
        _or_bound(value, error, bound if value is None else None),
        with_error(label.conductivity_S_per_cm, conductivity_error),
        NOTHING if label.n_hopped is None else f"{label.n_hopped} of {label.n_mobile}",
        label.verdict_reason,
    )


def _summary_line(label: LabelSummary) -> tuple[str, ...]:
    ends = (label.msd_slope_low_A2_per_ps, label.msd_slope_high_A2_per_ps)
    slope = with_interval(label.msd_slope_A2_per_ps, *ends)
    conductivity = with_error(label.conductivity_S_per_cm, label.conductivity_error_S_per_cm)
    return _line(label, "", slope, conductivity)


def _validation_line(run: TemperatureDocument) -> tuple[str, ...]:
    slope = NOTHING
    if run.slope is not None:
        slope = with_error(run.slope.slope_A2_per_ps, run.slope.error_A2_per_ps)
    bound = run.conductivity_upper_bound_S_per_cm if run.evidence == "bound" else None
    conductivity = _or_bound(run.conductivity_S_per_cm, run.conductivity_error_S_per_cm, bound)
    hopped = NOTHING if run.n_hopped is None else str(run.n_hopped)
    return _line(run, " (validation)", slope, conductivity, hopped, run.verdict_reason)


def _or_bound(value: float | None, error: float | None, bound: float | None) -> str:
    return with_error(value, error) if bound is None else f"< {plain(bound)} (95 % bound)"


def _settings(found: MaterialDocuments) -> list[tuple[str, list[tuple[str, str]]]]:
    documents: Sequence[tuple[str, Any]] = [
        ("landscape", found.descriptors),
        ("prediction", found.prediction),
        *(
            (f"dynamics at {one.temperature_K:g} K, seed {one.seed}", one)
            for one in found.all_labels
        ),
        ("validation", found.validation),
    ]
    groups = [(name, flat(one.settings)) for name, one in documents if one is not None]
    return groups or [("settings", flat(found.row.settings))]


def _provenance(found: MaterialDocuments) -> list[tuple[str, str]]:
    row = found.row
    pairs = [
        ("identifier", row.material_id),
        ("source", row.source),
        ("task key", row.task_key),
        ("potential", f"{row.potential}, {row.potential_package_version}"),
        ("weights SHA-256", row.potential_weights_sha256),
        ("superionic", row.superionic_version),
        ("last updated", row.last_updated),
    ]
    if row.aliases:
        pairs.append(("further names", ", ".join(row.aliases)))
    if row.duplicate_of is not None:
        pairs.append(("the same crystal as", row.duplicate_of))
    origin: dict[str, Any] = {}
    documents: list[Any] = [found.prepared, found.prediction, *found.labels, found.validation]
    for document in documents:
        if document is not None:
            origin = {**document.provenance, **origin}
    pairs += [(f"origin: {name}", str(value)) for name, value in sorted(origin.items())]
    if found.prepared is not None:
        pairs.append(("preparation", "; ".join(found.prepared.steps) or "as read"))
    return pairs


def _cif(structure: Structure | None) -> tuple[str | None, list[Problem]]:
    if structure is None:
        return None, []
    try:
        return cif_text(structure), []
    except Exception as error:  # an odd crystal must not stop the report
        return None, [Problem("crystal as CIF", f"{type(error).__name__}: {error}")]


def _file_name(row: ScreeningDocument) -> str:
    return file_name(row.material_id, suffix=".cif")
