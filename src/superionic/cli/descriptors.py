"""``superionic descriptors``: one crystal, no database."""

from pathlib import Path
from typing import Annotated

import typer

from superionic.cli.console import echo
from superionic.cli.options import (
    Adaptive,
    ExclusionRadius,
    MinWidth,
    Mobile,
    Potential,
    Step,
)


def descriptors(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A file with one crystal.")
    ],
    potential: Potential = None,
    mobile: Mobile = "Li",
    step: Step = 0.25,
    adaptive: Adaptive = False,
    min_width: MinWidth = None,
    exclusion_radius: ExclusionRadius = None,
    reference: Annotated[
        bool,
        typer.Option(
            "--reference",
            help="The published protocol: the cell as it is, every point through complete "
            "configurations, no symmetry, no approximation.",
        ),
    ] = False,
) -> None:
    """Compute one crystal without a database and print every descriptor as JSON."""
    import json
    from dataclasses import replace

    from superionic.campaign.single import describe_crystal
    from superionic.errors import InputError
    from superionic.landscape.settings import AdaptiveSettings, LandscapeSettings
    from superionic.settings import get_settings
    from superionic.structures.mobile_ions import exclusion_radius_A
    from superionic.structures.prepare import PrepareSettings
    from superionic.structures.readers import read_candidates
    from superionic.structures.species import parse_mobile_species

    candidates = []
    for found in read_candidates([file]):
        if isinstance(found, InputError):
            raise found
        candidates.append(found)
    if len(candidates) != 1:
        raise InputError(
            f"{file} holds {len(candidates)} crystals.",
            hint="Name a file with one, or use 'superionic screen' for many.",
        )
    landscape = (
        LandscapeSettings.reference(grid_step_A=step)
        if reference
        else LandscapeSettings(grid_step_A=step, adaptive=AdaptiveSettings() if adaptive else None)
    )
    ion = parse_mobile_species(mobile)
    result = describe_crystal(
        candidates[0],
        ion.element,
        potential or get_settings().potential,
        PrepareSettings(primitive=not reference, supercell_min_width_A=min_width),
        replace(landscape, exclusion_radius_A=exclusion_radius_A(ion, exclusion_radius)),
    )
    echo(json.dumps(result, indent=2, allow_nan=False))
