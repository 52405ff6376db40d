"""``superionic query``: read the screening collection."""

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from superionic import defaults
from superionic.cli.console import echo, note
from superionic.cli.options import DatabaseURI, MobileOfRows, Policy, PotentialOfRows, settings_with
from superionic.schemas.indexes import SortField

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from superionic.schemas.screening import ScreeningDocument


class Format(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    optimade = "optimade"


class Part(StrEnum):
    """What can be known of a material."""

    landscape = "landscape"
    prediction = "prediction"
    label = "label"
    validation = "validation"


def query(
    policy: Policy = defaults.POLICY,
    max_barrier: Annotated[
        float | None, typer.Option("--max-barrier", help="Largest percolation barrier in eV.")
    ] = None,
    formula: Annotated[
        str | None, typer.Option("--formula", help="Formula; it is reduced, so Li2Cl2 finds LiCl.")
    ] = None,
    elements: Annotated[
        str | None, typer.Option("--elements", help="Elements that must be there: Li,S.")
    ] = None,
    mobile: MobileOfRows = None,
    potential: Annotated[
        str | None,
        typer.Option("--potential", "-p", help="Potential, such as chgnet:0.3.0, or chgnet."),
    ] = None,
    of_settings: Annotated[
        str | None,
        typer.Option(
            "--settings", help="Settings of the landscapes, such as '0.25 A exact', or '0.4 A'."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Rows of all rankings, each with the rank of its own.")
    ] = False,
    with_part: Annotated[
        list[Part] | None,
        typer.Option("--with", help="A part that must be there; may be given several times."),
    ] = None,
    across: Annotated[
        str | None,
        typer.Option(
            "--across",
            help="One row for each material where several potentials have one: worst or best in "
            "the eyes of any by the policy, their mean, or the name of a potential.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        SortField, typer.Option(help="Field to sort by; rank is that of the policy.")
    ] = SortField.rank,
    descending: Annotated[bool, typer.Option("--descending", help="Largest first.")] = False,
    top: Annotated[int, typer.Option("--top", "-n", min=0, help="Most rows; 0: all.")] = 0,
    output: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            help="How to write: jsonl has complete rows, optimade the crystals, too.",
        ),
    ] = Format.table,
    database: DatabaseURI = None,
) -> None:
    """Read a ranking: filter it, print it as a table, CSV, JSON or OPTIMADE.

    A ranking has one mobile ion, one potential and one set of settings. Of those that --mobile,
    --potential and --settings leave, the one with the most rows is read; a note says which, and
    which others there are.
    """
    from superionic.schemas.indexes import rank_field
    from superionic.store.collection.ranking import elsewhere_note, rankings_of_potentials
    from superionic.store.collection.rows import find_ranking, iter_screening
    from superionic.store.database.reading import screening_rows

    field = rank_field(policy) if sort is SortField.rank else str(sort)
    with screening_rows(settings_with(database), prefer_uri=database is not None) as found:
        element = None if mobile is None else _element(mobile)
        ranking = find_ranking(
            found, mobile_species=element, potential=potential, settings=of_settings, every=every
        )
        together = rankings_of_potentials(ranking) if across else []
        read = partial(
            iter_screening,
            found,
            mobile_species=element,
            potential=potential,
            max_barrier_eV=max_barrier,
            formula=None if formula is None else _reduced_formula(formula),
            elements=[] if elements is None else _elements(elements),
            present=[part.value for part in with_part or []],
        )
        counted = _Counted(
            read(
                ranking=None if across else ranking,
                sort=f"-{field}" if descending else field,
                limit=0 if across else top,
            )
        )
        rows: Iterator[ScreeningDocument] = counted
        if across:
            from superionic.store.ranking.across import across_potentials

            chosen = (row for row in rows if any(one.holds(row) for one in together))
            rows = iter(across_potentials(chosen, across, policy)[: top or None])
        if output is not Format.optimade:
            for text in _written(rows, output, policy, several=every):
                echo(text)
        left = list(rows)
        others = [] if across or counted.n else ranking.others()
        elsewhere = [one for one in others if next(read(ranking=one, limit=1), None)]
    if output is Format.optimade:
        _write_optimade(left, database)
    for said in [line for one in together for line in one.notes()[:1]] or ranking.notes():
        note(said)
    if said := elsewhere_note(elsewhere):
        note(said)
    if ranking.left_out and not across:
        note("--mobile, --potential and --settings choose another; --all shows every row.")


class _Counted:
    """Rows as they are read, and how many there were."""

    def __init__(self, rows: "Iterable[ScreeningDocument]") -> None:
        self.rows, self.n = iter(rows), 0

    def __iter__(self) -> "Iterator[ScreeningDocument]":
        return self

    def __next__(self) -> "ScreeningDocument":
        row = next(self.rows)
        self.n += 1
        return row


def _write_optimade(rows: "list[ScreeningDocument]", database: str | None) -> None:
    import json

    from superionic.report.tables.export import optimade_response
    from superionic.store.collection.query import opened, structures_of

    with opened(database) as found:
        structures = structures_of(found.job_store.docs_store, rows)
    echo(json.dumps(optimade_response(rows, structures), allow_nan=False))
    if left_out := [row.key for row in rows if row.key not in structures]:
        echo(f"Without a structure, left out: {', '.join(left_out)}", err=True)


def _written(
    rows: "Iterable[ScreeningDocument]", output: Format, policy: str, *, several: bool
) -> "Iterable[str]":
    """Return texts that together are the rows, as they are read."""
    from superionic.report.tables.export import rows_jsonl
    from superionic.report.tables.ranking import ranking_csv_lines, ranking_json, ranking_tables

    if output is Format.jsonl:
        return (rows_jsonl([row]) for row in rows)
    if output is Format.csv:
        return (line.rstrip("\n") for line in ranking_csv_lines(rows, policy))
    if output is Format.json:
        return [ranking_json(list(rows), policy)]
    return ranking_tables(rows, policy, several=several)


def _element(mobile: str) -> str:
    from superionic.structures.species import parse_mobile_species

    return parse_mobile_species(mobile).element


def _reduced_formula(text: str) -> str:
    from superionic.errors import SettingsError
    from superionic.store.collection.filters import reduced_formula

    try:
        return reduced_formula(text)
    except SettingsError as error:
        raise typer.BadParameter(error.message, param_hint="--formula") from None


def _elements(text: str) -> list[str]:
    from pymatgen.core import Element

    symbols = [symbol for symbol in text.replace(",", " ").replace("-", " ").split() if symbol]
    unknown = [symbol for symbol in symbols if not Element.is_valid_symbol(symbol)]
    if unknown or not symbols:
        raise typer.BadParameter(
            f"{text!r} is not a list of elements such as Li,S.", param_hint="--elements"
        )
    return symbols


def explain(
    material_id: Annotated[str, typer.Argument(help="Identifier of the material.")],
    mobile: MobileOfRows = None,
    potential: PotentialOfRows = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
    database: DatabaseURI = None,
) -> None:
    """Say why a material stands where it stands: by each policy its value, rank and neighbours."""
    from superionic.report.tables.explanation import explanation_text, explanations_json
    from superionic.report.tables.potentials import potentials_table
    from superionic.store.collection.query import explain as explained
    from superionic.structures.species import parse_mobile_species

    found = explained(
        material_id,
        mobile_species=None if mobile is None else parse_mobile_species(mobile).element,
        potential=potential,
        database_uri=database,
    )
    if as_json:
        echo(explanations_json(found))
    else:
        parts = [potentials_table([one.row for one in found])]
        parts += [explanation_text(one) for one in found]
        echo("\n\n".join(part for part in parts if part))
