"""``superionic explain``: why a material stands where it stands."""

from typing import Annotated

import typer

from superionic.cli.console import echo
from superionic.cli.options import DatabaseURI


def explain(
    material_id: Annotated[str, typer.Argument(help="Identifier of the material.")],
    mobile: Annotated[
        str | None, typer.Option("--mobile", "-m", help="Mobile ion, such as Li.")
    ] = None,
    potential: Annotated[
        str | None, typer.Option("--potential", "-p", help="Potential, such as chgnet:0.3.0.")
    ] = None,
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
