"""``superionic plot``: figures of materials and campaigns."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superionic import defaults
from superionic.cli.console import echo
from superionic.cli.options import DatabaseURI, MobileOfRows, Policy, PotentialOfRows

if TYPE_CHECKING:
    from superionic.report.figures.kinds import FigureKind
    from superionic.schemas.screening import ScreeningDocument
    from superionic.structures.selection import Selection


def plot(
    kind: Annotated[
        str | None, typer.Argument(help="Kind of figure; --list shows them.", show_default=False)
    ] = None,
    material_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="Identifier of the material, for a figure of one material.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File: .html to turn and zoom, .png, .pdf or .svg for print.",
            show_default="KIND-ID.html",
        ),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            "-d",
            exists=True,
            dir_okay=False,
            help="File in place of the database, or beside it: labels or rows (.jsonl), the JSON "
            "of 'superionic train', 'evaluate' or 'validate', a campaign (.yaml); may be given "
            "several times.",
        ),
    ] = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option(
            "--held-out",
            exists=True,
            dir_okay=False,
            help="Predictions by networks that had not seen the chemical system, in place of those "
            "of the rows of --data, as 'superionic evaluate' takes them (ranking, parity, "
            "precision).",
        ),
    ] = None,
    levels: Annotated[
        list[float] | None,
        typer.Option(
            "--level-eV",
            min=1e-3,
            help="Energy of an isosurface in eV; may be given several times.",
        ),
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="One cell on a coarser grid: a smaller landscape.")
    ] = False,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Temperature of the dynamics in K (msd).")
    ] = None,
    dpi: Annotated[
        int, typer.Option("--dpi", min=30, max=1200, help="Dots per inch of a .png.")
    ] = 300,
    policy: Policy = defaults.POLICY,
    top: Annotated[int, typer.Option("--top", "-n", min=1, help="Most materials (ranking).")] = 25,
    mobile: MobileOfRows = None,
    potential: PotentialOfRows = None,
    list_kinds: Annotated[bool, typer.Option("--list", help="List the kinds of figures.")] = False,
    database: DatabaseURI = None,
) -> None:
    """Draw a figure of a material or a campaign."""
    from superionic.report.figures.kinds import KINDS, Request, get_kind

    if list_kinds or kind is None:
        echo("\n".join(_lines(list(KINDS.values()))))
        return
    from superionic.report.figures.sources import read_sources
    from superionic.report.figures.write import is_interactive, write_figure
    from superionic.structures.species import parse_mobile_species

    chosen = get_kind(kind)
    path = out or Path("-".join([chosen.name, *([material_id] if material_id else [])]) + ".html")
    interactive = is_interactive(_checked(path))
    request = Request(
        kind=chosen.name,
        material_id=material_id,
        mobile_species=None if mobile is None else parse_mobile_species(mobile).element,
        potential=potential,
        policy=policy,
        limit=top,
        temperature_K=temperature,
    )
    options = _options(chosen, levels, compact, interactive)
    sources = read_sources(files or [], selection_of)
    if held_out:
        sources.rows = _with_held_out(sources.rows, held_out, chosen.name)
    data = sources.without_database(request)
    if data is None:
        from superionic.store.collection.query import opened

        with opened(database) as found:
            data = sources.with_database(request, found)
    figure = (chosen.plotly if interactive else chosen.static)(data, **options)
    write_figure(figure, path, dpi=dpi)
    echo(f"Wrote {path} ({path.stat().st_size / 1000:.0f} kB).", err=True)


def _options(
    kind: "FigureKind", levels: list[float] | None, compact: bool, interactive: bool
) -> dict[str, Any]:
    """Return the options that a kind takes; others that were given are an error."""
    from superionic.errors import FigureError

    options: dict[str, Any] = {}
    if levels:
        options["levels_eV"] = levels
    if compact and interactive:
        options["compact"] = True
    if options and kind.name != "landscape":
        raise FigureError(
            f"A figure of the kind '{kind.name}' has no isosurfaces.",
            hint="--level-eV and --compact are for 'superionic plot landscape'.",
        )
    return options


def _with_held_out(
    rows: "list[ScreeningDocument]", held_out: list[Path], kind: str
) -> "list[ScreeningDocument]":
    """Return rows of files with predictions of networks that had not seen them."""
    from superionic.errors import FigureError
    from superionic.evaluation.readers import read_held_out
    from superionic.evaluation.scorers import with_held_out

    if not rows or kind not in ("ranking", "parity", "precision"):
        raise FigureError(
            "Predictions of --held-out stand in for those of rows of --data.",
            hint="Name rows that 'superionic query --format jsonl' wrote: superionic plot "
            "precision --data ROWS.jsonl --data LABELS.jsonl --held-out FILE.",
        )
    return with_held_out(rows, read_held_out(held_out))


def selection_of(file: Path) -> "Selection":
    """Return which crystals a campaign file chooses, and what became of the rest."""
    from superionic.settings import get_settings
    from superionic.workflows.campaign.definition import read_campaign
    from superionic.workflows.campaign.selection import select

    campaign = read_campaign(file)
    (chosen,) = select(campaign, [campaign.maker(get_settings().potential)])
    return chosen


def _checked(path: Path) -> Path:
    """Refuse a file that cannot be written before anything is read."""
    if not path.parent.is_dir():
        raise typer.BadParameter(f"There is no directory {path.parent}.", param_hint="--out")
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a directory.", param_hint="--out")
    return path


def _lines(kinds: "list[FigureKind]") -> list[str]:
    lines = []
    for kind in kinds:
        of = "ID" if kind.scope == "material" else ""
        lines.append(f"{f'{kind.name} {of}'.strip():18}{kind.text}")
        lines.append(f"{'':18}needs {kind.needs}" + (f"; or {kind.files}" if kind.files else ""))
    return lines
