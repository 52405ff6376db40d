"""``superionic analyse``: what a trajectory of any program says of the diffusion of an ion."""

from pathlib import Path
from typing import Annotated

import typer

from superionic import defaults
from superionic.cli.console import echo
from superionic.cli.options import JsonFile, Mobile


def analyse(
    trajectory: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="ASE .traj, extended XYZ, XDATCAR, vasprun.xml, a text dump of LAMMPS, XYZ of "
            "CP2K, or the folder of a run of ours.",
        ),
    ],
    mobile: Mobile = defaults.MOBILE,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            "-T",
            min=1.0,
            help="Temperature of the run in K; without it there are no conductivities.",
        ),
    ] = None,
    timestep: Annotated[
        float | None,
        typer.Option(
            "--timestep",
            min=1e-3,
            help="Time between frames of the file in fs: time step times stride. vasprun.xml, CP2K "
            "and our runs say it themselves.",
        ),
    ] = None,
    skip: Annotated[
        float, typer.Option("--skip", min=0.0, help="Time to leave out at the start, in ps.")
    ] = 0.0,
    structure: Annotated[
        Path | None,
        typer.Option(
            "--structure",
            exists=True,
            help="The crystal of the run, for files without a cell (CP2K) or elements (LAMMPS).",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Draw the mean squared displacement: .html to zoom, .png, .pdf or .svg for print.",
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Judge a trajectory of your own: diffusion, conductivity, Haven ratio, melting."""
    from superionic.api.analysis import analyse as analyse_file

    found = analyse_file(
        trajectory,
        mobile,
        temperature,
        timestep_fs=timestep,
        skip_ps=skip,
        structure=structure,
    )
    if out is not None:
        from superionic.report.figures.write import is_interactive, write_figure

        write_figure(found.plot(static=not is_interactive(out)), out)
        echo(f"Wrote {out}.", err=True)
    text = found.document.model_dump_json(indent=2)
    if json_file is not None and str(json_file) == "-":
        echo(text)
        return
    if json_file is not None:
        json_file.write_text(text + "\n")
    echo(repr(found))
    for name, value in found.lines():
        echo(f"{name}: {value}")
