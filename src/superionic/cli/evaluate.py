"""``superionic evaluate``: how well descriptors, the network and policies find conductors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superionic.cli.console import echo
from superionic.cli.options import (
    CrystalPaths,
    DatabaseURI,
    JsonFile,
    MobileOfRows,
    PotentialOfRows,
)

if TYPE_CHECKING:
    from superionic.evaluation.evaluate import EvaluationSettings
    from superionic.evaluation.scorers import Group
    from superionic.evaluation.truth import Measurement
    from superionic.schemas.label import LabelRow
    from superionic.schemas.screening import ScreeningDocument


def evaluate(
    paths: CrystalPaths = None,
    measured: Annotated[
        Path | None,
        typer.Option(
            "--conductivities",
            exists=True,
            dir_okay=False,
            help="Your own measured conductivities, as CSV (material_id, conductivity_S_per_cm, "
            "temperature_K): say how well every policy finds these, and nothing else. Name the "
            "crystals, too, so that they are looked up as they were published.",
        ),
    ] = None,
    rows_file: Annotated[
        list[Path] | None,
        typer.Option(
            "--rows",
            exists=True,
            dir_okay=False,
            help="Rows that 'superionic query --format jsonl' wrote, in place of the database.",
        ),
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            "--labels",
            exists=True,
            dir_okay=False,
            help="Labels that 'superionic label --export' wrote, besides those of the rows; of "
            "several runs of one crystal the longest counts.",
        ),
    ] = None,
    obelix: Annotated[
        Path | None,
        typer.Option(
            "--obelix", exists=True, dir_okay=False, help="Measured conductivities, as CSV."
        ),
    ] = None,
    matches: Annotated[
        Path | None,
        typer.Option(
            "--obelix-match",
            exists=True,
            dir_okay=False,
            help="Measured conductivities of crystals of other sources, as CSV.",
        ),
    ] = None,
    bond_valence: Annotated[
        list[Path] | None,
        typer.Option("--bvse", exists=True, dir_okay=False, help="Bond-valence barriers, as CSV."),
    ] = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option(
            "--held-out",
            exists=True,
            dir_okay=False,
            help="Predictions by networks that had not seen the chemical system, in place of those "
            "of the rows: CSV with material_id and log10_msd_slope, or JSON of 'superionic "
            "train': of a study, or result.json of a fold by chemical system.",
        ),
    ] = None,
    mobile: MobileOfRows = None,
    potential: PotentialOfRows = None,
    labels_of: Annotated[
        str | None,
        typer.Option(
            "--labels-of", help="Potential whose dynamics judge, in place of that of the rows."
        ),
    ] = None,
    slopes: Annotated[
        list[float] | None,
        typer.Option("--slope", min=1e-4, help="Threshold of MSD slopes in A^2/ps."),
    ] = None,
    conductivities: Annotated[
        list[float] | None,
        typer.Option("--conductivity", min=1e-20, help="Threshold of conductivities in S/cm."),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=10, help="Resamples of the bootstrap intervals.")
    ] = 1000,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            dir_okay=False,
            help="Page whose short tables are replaced (docs/evaluation.md).",
        ),
    ] = None,
    headline: Annotated[
        Path | None,
        typer.Option(
            "--headline", dir_okay=False, help="Page whose headline is replaced (README.md)."
        ),
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", dir_okay=False, help="File for all tables, as CSV."),
    ] = None,
    json_file: JsonFile = None,
    fit_calibrated: Annotated[
        Path | None,
        typer.Option(
            "--fit-calibrated",
            help="Fit the policy 'calibrated' on the labels and write its coefficients here; "
            "'package': where the installed package reads them.",
        ),
    ] = None,
    fit_conductivity: Annotated[
        Path | None,
        typer.Option(
            "--fit-conductivity",
            help="Fit the policy 'conductivity' on the measurements of --obelix, write it here "
            "('package': where the package reads it), and print its table.",
        ),
    ] = None,
    conductivity_csv: Annotated[
        Path | None,
        typer.Option(
            "--conductivity-csv", dir_okay=False, help="File for the table of that fit, as CSV."
        ),
    ] = None,
    database: DatabaseURI = None,
) -> None:
    """Say how well each descriptor, the network and the policies find conductors.

    With --conductivities: against your own measurements, of crystals that were screened. Else
    against the labels of molecular dynamics, and against measured conductivities where they are
    given; with bootstrap intervals, and the cost of each. Prints the scores that matter most; --csv
    and --json have all.
    """
    from superionic.errors import SettingsError
    from superionic.evaluation.evaluate import EvaluationSettings
    from superionic.evaluation.evaluate import evaluate as evaluated
    from superionic.evaluation.readers import (
        read_bond_valence,
        read_held_out,
        read_matches,
        read_obelix,
    )
    from superionic.evaluation.scorers import group_of, with_held_out
    from superionic.report.tables.evaluation import (
        WRITTEN_BY,
        evaluation_csv,
        evaluation_markdown,
        headline_markdown,
        numbers_json,
    )
    from superionic.report.tables.export import read_rows_file
    from superionic.report.tables.labels import read_data_sets
    from superionic.report.tables.text_table import write_page
    from superionic.structures.species import parse_mobile_species

    default = EvaluationSettings()
    settings = EvaluationSettings(
        slopes_A2_per_ps=tuple(slopes or default.slopes_A2_per_ps),
        conductivities_S_per_cm=tuple(conductivities or default.conductivities_S_per_cm),
        n_resamples=resamples,
    )
    mobile_species = None if mobile is None else parse_mobile_species(mobile).element
    if rows_file:
        rows = [row for file in rows_file for row in read_rows_file(file)]
    else:
        from superionic.api.rows import query

        rows = query(mobile_species=mobile_species, potential=potential, database_uri=database)
    if held_out:
        rows = with_held_out(rows, read_held_out(held_out))
    if measured is not None:
        of_crystals = read_bond_valence(*bond_valence) if bond_valence else None
        _measured(
            rows,
            measured,
            paths or [],
            of_crystals,
            mobile_species,
            potential,
            conductivities,
            resamples,
            csv_file,
            json_file,
        )
        return
    if paths:
        raise SettingsError(
            "Crystals are compared with measurements only.",
            hint="Name the table of measurements with --conductivities FILE.",
        )
    known = read_data_sets(labels or [])
    if fit_calibrated is not None:
        names = [file.name for file in labels or []] or ["the rows' own labels"]
        said = _fit(rows, known, mobile_species, potential, settings, fit_calibrated, names)
        echo(said, err=True)
    measurements = [
        *(read_obelix(obelix) if obelix is not None else []),
        *(read_matches(matches) if matches is not None else []),
    ]
    if fit_conductivity is not None:
        barriers = read_bond_valence(*bond_valence) if bond_valence else None
        table = _fit_conductivities(
            group_of(rows, mobile_species, potential),
            obelix,
            measurements,
            barriers,
            fit_conductivity,
        )
        if conductivity_csv is not None:
            conductivity_csv.write_text(table)
        echo(table)
        return
    found = evaluated(
        rows,
        labels=known,
        measurements=measurements,
        bond_valence=read_bond_valence(*bond_valence) if bond_valence else None,
        mobile_species=mobile_species,
        potential=potential,
        labels_of=labels_of,
        settings=settings,
    )
    text = evaluation_markdown(found)
    if write is not None:
        write_page(write, text, WRITTEN_BY)
    if headline is not None:
        write_page(headline, headline_markdown(found), WRITTEN_BY)
    if csv_file is not None:
        csv_file.write_text(evaluation_csv(found))
    _say(text, numbers_json(found), json_file)


def _say(text: str, as_json: str, json_file: Path | None) -> None:
    """Print a text and write a file of JSON, or print that where its file is ``-``."""
    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        json_file.write_text(f"{as_json}\n")
    echo(as_json if to_stdout else text)


def _measured(
    rows: "list[ScreeningDocument]",
    path: Path,
    crystals: list[Path],
    bond_valence: dict[str, dict[int, float]] | None,
    mobile_species: str | None,
    potential: str | None,
    thresholds: list[float] | None,
    n_resamples: int,
    csv_file: Path | None,
    json_file: Path | None,
) -> None:
    """Say what scores are worth on a user's measurements."""
    from superionic.errors import InputError
    from superionic.evaluation.measured import evaluate_measured, read_measured
    from superionic.report.tables.evaluation import numbers_json
    from superionic.report.tables.measured import measured_csv, measured_markdown
    from superionic.structures.readers import read_candidates

    samples, left_out = read_measured(path)
    formulas, unreadable = {}, {}
    for one in read_candidates(crystals):
        if isinstance(one, InputError):
            unreadable[Path(one.material_id or "").stem] = (
                f"the crystal cannot be read: {one.message}"
            )
        else:
            formulas[one.material_id] = one.structure.composition.formula
    found = evaluate_measured(
        samples,
        rows,
        formulas=formulas,
        bond_valence=bond_valence,
        mobile_species=mobile_species,
        potential=potential,
        thresholds_S_per_cm=tuple(thresholds or (1e-5, 1e-4)),
        n_resamples=n_resamples,
        left_out=left_out,
        unreadable=unreadable,
    )
    if csv_file is not None:
        csv_file.write_text(measured_csv(found))
    named = " ".join(map(str, crystals)) or "CRYSTALS"
    _say(measured_markdown(found, named), numbers_json(found), json_file)


def _fit(
    rows: "list[ScreeningDocument]",
    labels: "list[LabelRow]",
    mobile_species: str | None,
    potential: str | None,
    settings: "EvaluationSettings",
    path: Path,
    names: list[str],
) -> str:
    """Fit the calibrated probability, write its coefficients, and say how good it is."""
    from superionic.evaluation.evaluate import conductors_of, label_truths
    from superionic.evaluation.fitting import fit_calibration
    from superionic.evaluation.scorers import group_of
    from superionic.store.ranking.calibration import calibration_path, load_calibration

    group = group_of(rows, mobile_species, potential)
    truths = label_truths(group, labels, settings.temperature_K)
    threshold = settings.slopes_A2_per_ps[0]
    calibration = fit_calibration(
        group.rows,
        conductors_of(truths, threshold),
        threshold_A2_per_ps=threshold,
        labels=", ".join(names),
        temperature_K=settings.temperature_K,
        settings=settings.fit,
    )
    target = calibration_path() if str(path) == "package" else path
    target.write_text(calibration.to_json() + "\n")
    load_calibration.cache_clear()
    said = [f"Wrote {target.name}: probability of {calibration.conductor}."]
    for model in calibration.models:
        auc = model.cross_validation["roc_auc"]
        said.append(
            f"  {len(model.features)} features, {model.n_rows} labels, {model.n_positive} "
            f"conductors; cross-validated ROC-AUC {auc[0]} [{auc[1]}, {auc[2]}]"
        )
    return "\n".join(said)


def _fit_conductivities(
    group: "Group",
    obelix: Path | None,
    measurements: "list[Measurement]",
    bond_valence: dict[str, dict[int, float]] | None,
    path: Path,
) -> str:
    """Fit the model of conductivities, write it, and return what nested folds say of it."""
    from dataclasses import replace

    from superionic.errors import SettingsError
    from superionic.evaluation.conductivity import (
        conductivity_csv,
        held_out_conductivities,
        lines_of,
        read_samples,
    )
    from superionic.evaluation.conductivity import fit_conductivity as fitted
    from superionic.evaluation.scorers import package_scorers
    from superionic.store.ranking.conductivity import conductivity_path, load_conductivity

    if obelix is None:
        raise SettingsError(
            "There are no measured conductivities to fit on.", hint="Name them with --obelix FILE."
        )
    samples = read_samples(obelix, group.rows, measurements)
    by_group = {
        "chemical system": held_out_conductivities(samples, lambda one: one.system, bond_valence),
        "family": held_out_conductivities(samples, lambda one: one.family, bond_valence),
    }
    model = fitted(
        samples,
        by_group["chemical system"],
        "OBELiX, training part (F. Therrien et al., arXiv:2502.14234), CC BY 4.0",
    )
    model = replace(model, lines=lines_of(samples, package_scorers(group, None, bond_valence)))
    target = conductivity_path() if str(path) == "package" else path
    target.write_text(model.to_json() + "\n")
    load_conductivity.cache_clear()
    return conductivity_csv(by_group)
