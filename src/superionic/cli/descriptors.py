"""``superionic descriptors``: one crystal, no database."""

from pathlib import Path
from typing import Annotated

import typer

from superionic import defaults
from superionic.cli.console import echo
from superionic.cli.options import (
    Adaptive,
    Carrier,
    ExclusionRadius,
    LearnedUnlessReference,
    MaxEnergies,
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
    mobile: Mobile = defaults.MOBILE,
    step: Step = defaults.GRID_STEP_A,
    adaptive: Adaptive = False,
    learned: LearnedUnlessReference = None,
    max_energies: MaxEnergies = None,
    min_width: MinWidth = None,
    exclusion_radius: ExclusionRadius = None,
    carrier: Carrier = None,
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

    from superionic.api.crystal import landscape

    found = landscape(
        file,
        mobile,
        potential,
        step_A=step,
        learned=learned,
        max_energies=max_energies,
        min_width_A=min_width,
        radius_A=exclusion_radius,
        carrier=None if carrier is None else carrier.value,
        reference=reference,
    )
    result = found.as_dict()
    echo(json.dumps(result, indent=2, allow_nan=False))
