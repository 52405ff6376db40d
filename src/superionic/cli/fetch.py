"""``superionic fetch``: candidates from databases."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superionic.cli.console import echo

if TYPE_CHECKING:
    from superionic.structures.sources.download import Download, Source

app = typer.Typer(
    help="Fetch candidates from the Materials Project, or any database that speaks OPTIMADE.",
    no_args_is_help=True,
)

Out = Annotated[
    Path, typer.Option("--out", "-o", help="File of JSON lines to write; 'screen' reads it.")
]
Restart = Annotated[
    bool,
    typer.Option("--restart", help="Drop what is there, an interrupted download included."),
]


@app.command()
def mp(
    out: Out,
    mobile: Annotated[
        str, typer.Option("--mobile", "-m", help="The mobile ion; every crystal holds it.")
    ] = "Li",
    min_gap: Annotated[
        float | None, typer.Option("--min-gap", help="Smallest band gap in eV.", min=0.0)
    ] = None,
    max_hull: Annotated[
        float | None,
        typer.Option("--max-hull", help="Largest energy above the hull in eV/atom.", min=0.0),
    ] = None,
    chemsys: Annotated[
        list[str] | None,
        typer.Option("--chemsys", help="Only this chemical system, such as Li-P-S; repeatable."),
    ] = None,
    ids: Annotated[
        list[str] | None, typer.Option("--ids", help="Only these ids; repeat, or join by commas.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Address of the API.", show_default="public")
    ] = None,
    page_size: Annotated[
        int, typer.Option("--page-size", help="Crystals in one answer.", min=1, max=1000)
    ] = 500,
    restart: Restart = False,
) -> None:
    """Fetch crystals of the Materials Project with their gap, hull energy and provenance.

    Needs a key (free of charge): MP_API_KEY, or PMG_MAPI_KEY in pymatgen's settings. Stopped in
    the middle, the same command goes on where it was.
    """
    from superionic.structures.sources.materials_project import (
        MaterialsProject,
        MaterialsProjectQuery,
        find_api_key,
    )
    from superionic.structures.species import parse_mobile_species

    query = MaterialsProjectQuery(
        elements=(parse_mobile_species(mobile).element,),
        min_gap_eV=min_gap,
        max_hull_eV_per_atom=max_hull,
        chemical_systems=tuple(chemsys or ()),
        material_ids=tuple(one.strip() for group in ids or () for one in group.split(",")),
    )
    source = MaterialsProject(query, find_api_key(), endpoint=endpoint, page_size=page_size)
    _fetch(source, out, restart)


@app.command()
def optimade(
    out: Out,
    filter_: Annotated[
        str | None,
        typer.Option(
            "--filter",
            "-f",
            help="What is asked, in OPTIMADE's language.",
            show_default='elements HAS "<mobile>"',
        ),
    ] = None,
    mobile: Annotated[
        str, typer.Option("--mobile", "-m", help="The mobile ion; joined to the filter.")
    ] = "Li",
    provider: Annotated[
        str | None, typer.Option("--provider", help="A registered provider: mp, cod, oqmd, ...")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Address of a database, without /v1.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", help="A further field to keep, such as _mp_band_gap; repeatable."),
    ] = None,
    page_size: Annotated[
        int | None,
        typer.Option(
            "--page-size", help="Structures in one answer.", min=1, show_default="the server's"
        ),
    ] = None,
    restart: Restart = False,
) -> None:
    """Fetch crystals of any database that speaks OPTIMADE.

    Stopped in the middle, the same command goes on where it was.
    """
    from superionic.errors import SettingsError
    from superionic.structures.sources.optimade import Optimade, provider_databases
    from superionic.structures.species import parse_mobile_species

    if (provider is None) == (url is None):
        raise SettingsError("Name one database.", hint="Give either --provider or --url.")
    if url is None:
        assert provider is not None
        databases = provider_databases(provider)
        if len(databases) > 1:
            raise SettingsError(
                f"The provider {provider} has {len(databases)} databases.",
                hint=f"Choose one with --url: {', '.join(databases)}.",
            )
        url = databases[0]
    holds = f'elements HAS "{parse_mobile_species(mobile).element}"'
    wanted = holds if filter_ is None else f"{holds} AND ({filter_})"
    source = Optimade(url, wanted, extra_fields=field or (), page_size=page_size)
    _fetch(source, out, restart)


def _fetch(source: "Source", out: Path, restart: bool) -> None:
    from superionic.structures.sources.download import download

    result = download(source, out, restart=restart, report=_say)
    echo(summary(result))


def _say(done: int, total: int | None) -> None:
    echo(f"{done} of {'?' if total is None else total} crystals", err=True)


def summary(result: "Download") -> str:
    """Return what a download gave, as text."""
    lines = [f"{result.n_records} crystals in {result.path}, from version {result.version}."]
    if result.n_resumed:
        lines.append(f"{result.n_resumed} of them were fetched by an earlier run.")
    if result.left_out:
        lines.append(f"{len(result.left_out)} were left out:")
        lines += [f"  {name}: {reason}" for name, reason in sorted(result.left_out.items())]
    return "\n".join(lines)
