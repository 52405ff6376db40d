"""Options that several commands share."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from superionic.settings import SuperionicSettings


class Relax(StrEnum):
    """When a crystal is relaxed before it is computed."""

    auto = "auto"
    cell = "cell"
    never = "never"


class CarrierKind(StrEnum):
    """What a landscape is given beside the ions of the formula."""

    vacancy = "vacancy"
    interstitial = "interstitial"


Potential = Annotated[
    str | None,
    typer.Option(
        "--potential",
        "-p",
        help="chgnet, sevennet, matgl:FOLDER, ase:package.module.Calculator.",
        show_default="chgnet",
    ),
]
Mobile = Annotated[
    str, typer.Option("--mobile", "-m", help="The mobile ion, such as Li, Na, Ag or F.")
]
MobileIons = Annotated[
    str,
    typer.Option(
        "--mobile",
        "-m",
        help="The mobile ion, such as Li, Na+, Ag or F-. Several, joined by commas, give results "
        "each, of the crystals that hold it.",
    ),
]
MobileOfRows = Annotated[str | None, typer.Option("--mobile", "-m", help="Mobile ion, such as Li.")]
PotentialOfRows = Annotated[
    str | None, typer.Option("--potential", "-p", help="Potential, such as chgnet:0.3.0.")
]
CrystalPaths = Annotated[
    list[Path] | None,
    typer.Argument(
        exists=True,
        help="Files and folders: CIF, POSCAR/CONTCAR, extended XYZ, pymatgen JSON, JSON lines.",
        show_default=False,
    ),
]
CampaignFile = Annotated[
    Path | None,
    typer.Option(
        "--campaign",
        "-c",
        exists=True,
        dir_okay=False,
        help="A YAML file that says which crystals and which settings, instead of paths; options "
        "go before what it says.",
        show_default=False,
    ),
]
FilterFile = Annotated[
    Path | None,
    typer.Option(
        "--filters",
        exists=True,
        dir_okay=False,
        help="YAML file with a list 'filters': which crystals go on.",
        show_default=False,
    ),
]
Orderings = Annotated[
    int,
    typer.Option(
        "--orderings", min=1, help="Orderings of each disordered crystal that are computed."
    ),
]
EveryCopy = Annotated[
    bool,
    typer.Option("--every-copy", help="Take crystals again that are the same as another one."),
]
Top = Annotated[
    int | None,
    typer.Option(
        "--top",
        "-n",
        min=1,
        help="As many of the best of the screening collection, by the policy.",
        show_default=False,
    ),
]
Ids = Annotated[
    list[str] | None,
    typer.Option(
        "--id",
        help="Identifier of a material of the screening collection; may be given several times.",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", "-w", min=1, help="Worker processes.", show_default="cores"),
]
Collect = Annotated[
    bool, typer.Option("--collect", help="Compute nothing; show and export what is there.")
]
RelaxFirst = Annotated[
    Relax,
    typer.Option(
        "--relax",
        help="auto: relax positions where a force is large (above 0.5 eV/A for a landscape, 0.1 "
        "for what needs forces); cell: the cell, too; never: take crystals as they come.",
    ),
]
Temperature = Annotated[
    float, typer.Option("--temperature", "-T", min=1.0, help="Temperature of a label in K.")
]
Length = Annotated[
    float, typer.Option("--length", min=0.1, help="Longest production of dynamics in ps.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of velocities and thermostat.")]
Network = Annotated[
    Path | None,
    typer.Option(
        "--network",
        help="A network that 'superionic train' wrote.",
        show_default="the one that comes with the package",
    ),
]
Shakes = Annotated[
    int | None,
    typer.Option(
        "--shakes",
        min=1,
        help="Random displacements (shakes) of each crystal, a force evaluation each.",
        show_default="as the network was trained",
    ),
]
Temperatures = Annotated[
    str, typer.Option("--temperatures", "-T", help="Temperatures of a validation in K.")
]
Engine = Annotated[
    str, typer.Option("--engine", help="What runs the dynamics of a validation: ase or vasp.")
]
Calculator = Annotated[
    str | None,
    typer.Option(
        "--calculator",
        help="What gives the forces of a validation, where it is not the potential: a potential "
        'or ase:package.module.Calculator?{"setting": 1}.',
        show_default=False,
    ),
]


def _known_policy(name: str) -> str:
    from superionic.schemas.indexes import POLICY_NAMES

    if name not in POLICY_NAMES:
        raise typer.BadParameter(f"{name!r} is none of: {', '.join(POLICY_NAMES)}.")
    return name


Policy = Annotated[
    str,
    typer.Option(
        "--policy",
        help="What ranks: xi (published), barrier, free_volume, network, consensus, calibrated, "
        "conductivity.",
        callback=_known_policy,
    ),
]
Step = Annotated[float, typer.Option("--step", help="Largest grid step in A.", min=0.03, max=2.0)]


def _refused(value: bool) -> bool:
    if value:
        raise typer.BadParameter(
            "there is no adaptive mode any more. The learned mode, which is the default, takes "
            "fewer energies and gives every number an interval."
        )
    return value


Adaptive = Annotated[
    bool,
    typer.Option(
        "--adaptive", hidden=True, callback=_refused, help="Refused: --learned is in its place."
    ),
]
_LEARNED = typer.Option(
    "--learned/--exact",
    help="Evaluate about a hundred points of the grid, learn the others, and give every descriptor "
    "with a 95 % interval; or evaluate every point.",
)
Learned = Annotated[bool, _LEARNED]
LearnedUnlessReference = Annotated[bool | None, _LEARNED]
MaxEnergies = Annotated[
    int | None,
    typer.Option(
        "--max-energies",
        min=1,
        help="Of a learned landscape: energies of one crystal at the most; 2000 without it.",
        show_default=False,
    ),
]
MinWidth = Annotated[
    float | None,
    typer.Option(
        "--min-width",
        min=1.0,
        help="Repeat the cell until it is this wide in every direction, in A; without it, the "
        "primitive cell, as published.",
        show_default=False,
    ),
]
ExclusionRadius = Annotated[
    float | None,
    typer.Option(
        "--exclusion-radius",
        help="Points nearer than this to another ion, in A, are not evaluated.",
        show_default="by the ion: 1.2 for Li",
    ),
]
Carrier = Annotated[
    CarrierKind | None,
    typer.Option(
        "--carrier",
        help="Make a vacancy, or an interstitial ion, in cells 8 A wide (or --min-width): for "
        "crystals that conduct only with it.",
        show_default=False,
    ),
]
DatabaseURI = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="MongoDB URI; without it, jobflow's configuration, the setting database_uri, or a "
        "local server. Better keep a password in the setting than in a command.",
        show_default=False,
    ),
]


def writable(path: Path | None) -> Path | None:
    """Refuse a file that cannot be written: nobody wants to hear of it after hours."""
    if path is None or str(path) == "-":
        return path
    if not path.parent.is_dir():
        raise typer.BadParameter(f"There is no directory {path.parent}.")
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a directory.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise typer.BadParameter(f"{path} cannot be written.")
    return path


JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json",
        help="Write the result as JSON, too ('-': to standard output).",
        callback=writable,
    ),
]


LaunchpadFile = Annotated[
    Path | None,
    typer.Option(
        "--launchpad",
        "-l",
        help="FireWorks' my_launchpad.yaml; without it, the one that FireWorks finds, or the "
        "results database itself.",
        show_default=False,
    ),
]
SpoolDirectory = Annotated[
    Path | None,
    typer.Option(
        "--spool",
        help="Directory of results that are not sent yet; default: 'spool' in data_dir.",
        show_default=False,
    ),
]


def settings_with(database: str | None) -> "SuperionicSettings":
    """Return the settings, with the database of the command line where one is given."""
    from superionic.settings import get_settings

    settings = get_settings()
    return settings.model_copy(update={"database_uri": database}) if database else settings


def spool_directory(settings: "SuperionicSettings", named: Path | None) -> Path:
    """Return the directory of results that are not sent yet."""
    return (named or settings.data_dir / "spool").expanduser().absolute()
