"""``superionic query``: read the screening collection."""

from enum import StrEnum
from typing import Annotated

import typer

from superionic.cli.options import DatabaseURI


class Format(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    json = "json"


class SortField(StrEnum):
    """What rows can be sorted by."""

    rank = "rank"
    xi = "xi"
    mpe_eV = "mpe_eV"
    barrier_3d_eV = "barrier_3d_eV"
    fv_connected = "fv_connected"
    fv_disconnected = "fv_disconnected"
    formula = "formula"
    material_id = "material_id"
    last_updated = "last_updated"


def query(
    max_barrier: Annotated[
        float | None, typer.Option("--max-barrier", help="Largest percolation barrier in eV.")
    ] = None,
    formula: Annotated[
        str | None, typer.Option("--formula", help="Formula; it is reduced, so Li2Cl2 finds LiCl.")
    ] = None,
    elements: Annotated[
        str | None, typer.Option("--elements", help="Elements that must be there: Li,S.")
    ] = None,
    mobile: Annotated[
        str | None, typer.Option("--mobile", "-m", help="Mobile ion, such as Li.")
    ] = None,
    potential: Annotated[
        str | None, typer.Option("--potential", "-p", help="Potential, such as chgnet:0.3.0.")
    ] = None,
    sort: Annotated[SortField, typer.Option(help="Field to sort by.")] = SortField.rank,
    descending: Annotated[bool, typer.Option("--descending", help="Largest first.")] = False,
    top: Annotated[int, typer.Option("--top", "-n", min=0, help="Most rows; 0: all.")] = 0,
    output: Annotated[Format, typer.Option("--format", "-f", help="How to write.")] = Format.table,
    database: DatabaseURI = None,
) -> None:
    """Read the screening collection: filter, sort, print as a table, CSV or JSON."""
    from superionic.builders.screening import query_screening
    from superionic.campaign.run import database_errors
    from superionic.database.stores import resolve_database
    from superionic.report.ranking import ranking_csv, ranking_json, ranking_table
    from superionic.settings import get_settings
    from superionic.structures.species import parse_mobile_species

    settings = get_settings()
    if database is not None:
        settings = settings.model_copy(update={"database_uri": database})
    with (
        resolve_database(settings, prefer_uri=database is not None) as opened,
        database_errors(opened),
    ):
        rows = query_screening(
            opened.screening,
            mobile_species=None if mobile is None else parse_mobile_species(mobile).element,
            potential=potential,
            max_barrier_eV=max_barrier,
            formula=None if formula is None else _reduced_formula(formula),
            elements=[] if elements is None else _elements(elements),
            sort=f"-{sort}" if descending else str(sort),
            limit=top,
        )
    writers = {Format.table: ranking_table, Format.csv: ranking_csv, Format.json: ranking_json}
    typer.echo(writers[output](rows))


def _reduced_formula(text: str) -> str:
    from pymatgen.core import Composition

    try:
        return str(Composition(text).reduced_formula)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a formula.", param_hint="--formula") from None


def _elements(text: str) -> list[str]:
    from pymatgen.core import Element

    symbols = [symbol for symbol in text.replace(",", " ").replace("-", " ").split() if symbol]
    unknown = [symbol for symbol in symbols if not Element.is_valid_symbol(symbol)]
    if unknown or not symbols:
        raise typer.BadParameter(
            f"{text!r} is not a list of elements such as Li,S.", param_hint="--elements"
        )
    return symbols
