"""Makers of the flows, and selections, from the few options that commands and functions take."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from superionic import defaults
from superionic.errors import SettingsError
from superionic.landscape.settings import AdaptiveSettings, LandscapeSettings, LearnedSettings
from superionic.settings import get_settings
from superionic.structures.mobile_ions import exclusion_radius_A
from superionic.structures.prepare import PrepareSettings
from superionic.structures.species import MobileSpecies, parse_mobile_species
from superionic.workflows.jobs.landscape import LandscapeMaker
from superionic.workflows.jobs.prepare import PrepareMaker
from superionic.workflows.jobs.relax import (
    relax_before_forces,
    relax_before_landscape,
    relaxes_cell,
)

if TYPE_CHECKING:
    from superionic.workflows.campaign.selection import SelectionSettings
    from superionic.workflows.makers.label import LabelMaker
    from superionic.workflows.makers.predict import PredictMaker
    from superionic.workflows.makers.refine import RefineMaker
    from superionic.workflows.makers.screen import ScreenMaker


def landscape_settings(
    ion: MobileSpecies,
    *,
    step_A: float = defaults.GRID_STEP_A,
    adaptive: bool = False,
    learned: bool = False,
    max_energies: int | None = None,
    radius_A: float | None = None,
    reference: bool = False,
) -> LandscapeSettings:
    """Return how a landscape is sampled.

    Parameters
    ----------
    ion : MobileSpecies
        The mobile ion, which has an exclusion radius.
    step_A : float
        Largest grid step.
    adaptive : bool
        Evaluate a fraction of the grid, where the landscape is low.
    learned : bool
        Evaluate about a hundred points, learn the others, and give intervals.
    max_energies : int, optional
        Energies of a learned landscape at the most.
    radius_A : float, optional
        Another exclusion radius.
    reference : bool
        The published protocol, without any short cut.

    Raises
    ------
    SettingsError
        When a number makes no sense.
    """
    if reference and (adaptive or learned):
        raise SettingsError(
            "The published protocol is not adaptive, and not learned.", hint="Choose one of them."
        )
    if max_energies is not None and not learned:
        raise SettingsError(
            "Only a learned landscape (--learned) has a largest number of energies.",
            hint="Choose the learned mode, or leave the limit (--max-energies) out.",
        )
    limit = {} if max_energies is None else {"max_energies": max_energies}
    settings = (
        LandscapeSettings.reference(grid_step_A=step_A)
        if reference
        else LandscapeSettings(
            grid_step_A=step_A,
            adaptive=AdaptiveSettings() if adaptive else None,
            learned=LearnedSettings(**limit) if learned else None,
        )
    )
    return replace(settings, exclusion_radius_A=exclusion_radius_A(ion, radius_A))


def screen_maker(
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    step_A: float = defaults.GRID_STEP_A,
    adaptive: bool = False,
    learned: bool = False,
    max_energies: int | None = None,
    relax: str = defaults.RELAX,
    min_width_A: float | None = None,
    radius_A: float | None = None,
) -> "ScreenMaker":
    """Return the Maker that ``superionic screen`` runs."""
    from superionic.workflows.makers.screen import ScreenMaker

    ion = parse_mobile_species(mobile)
    relax_cell = relaxes_cell(relax)
    landscape = landscape_settings(
        ion,
        step_A=step_A,
        adaptive=adaptive,
        learned=learned,
        max_energies=max_energies,
        radius_A=radius_A,
    )
    return ScreenMaker(
        mobile_species=ion.element,
        potential=potential or get_settings().potential,
        prepare_maker=PrepareMaker(settings=PrepareSettings(supercell_min_width_A=min_width_A)),
        relax_maker=replace(
            relax_before_landscape(),
            max_force_eV_per_A=None if relax == "never" else defaults.SCREEN_MAX_FORCE_eV_per_A,
            relax_cell=relax_cell,
        ),
        landscape_maker=LandscapeMaker(settings=landscape),
    )


def predict_maker(
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    network: str | Path | None = None,
    n_shakes: int | None = None,
    relax: str = defaults.RELAX,
) -> "PredictMaker":
    """Return the Maker that ``superionic predict`` runs."""
    from superionic.workflows.makers.predict import PredictMaker

    return PredictMaker(
        mobile_species=parse_mobile_species(mobile).element,
        potential=potential or get_settings().potential,
        network=None if network is None else str(network),
        n_shakes=n_shakes,
        relax_maker=relax_before_forces(relax),
    )


def label_maker(
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    temperature_K: float = defaults.TEMPERATURE_K,
    length_ps: float = defaults.LENGTH_ps,
    equilibration_ps: float = defaults.EQUILIBRATION_ps,
    seed: int = defaults.SEED,
    relax: str = defaults.RELAX,
) -> "LabelMaker":
    """Return the Maker that ``superionic label`` runs."""
    from superionic.workflows.jobs.diffusion import DiffusionMDMaker
    from superionic.workflows.makers.label import LabelMaker

    dynamics = DiffusionMDMaker(temperature=temperature_K, mb_velocity_seed=seed)
    step_ps = dynamics.md_settings().timestep_fs * 1e-3
    dynamics.n_steps = max(1, round(length_ps / step_ps))
    dynamics.n_equilibration_steps = round(equilibration_ps / step_ps)
    return LabelMaker(
        mobile_species=parse_mobile_species(mobile).element,
        potential=potential or get_settings().potential,
        relax_maker=relax_before_forces(relax),
        md_maker=dynamics,
    )


def refine_maker(
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    prior: str | None = None,
    max_energies: int | None = None,
    engine: str | None = None,
) -> "RefineMaker":
    """Return the Maker that ``superionic refine`` runs.

    Raises
    ------
    SettingsError
        When no second potential is named, or a setting makes no sense.
    """
    from superionic.workflows.makers.refine import RefineMaker

    first = prior or get_settings().potential
    if potential is None and engine != "vasp":
        raise SettingsError(
            "No second potential is named.", hint="Name it, such as --potential sevennet."
        )
    base = RefineMaker(mobile_species=parse_mobile_species(mobile).element)
    # VASP brings its own; what it starts from is there for certain.
    base = replace(base, potential=potential or first)
    return base.with_options(prior=first, max_energies=max_energies, engine=engine)


def selection(
    *,
    filters: str | Path | Sequence[dict] | None = None,
    orderings: int = defaults.N_ORDERINGS,
    every_copy: bool = False,
) -> "SelectionSettings":
    """Return which crystals are computed.

    Parameters
    ----------
    filters : path or sequence of dict, optional
        A YAML file with a list ``filters``, or the list.
    orderings : int
        Orderings of each disordered crystal.
    every_copy : bool
        Compute crystals again that are the same as another one.

    Raises
    ------
    SettingsError
        When a filter is wrong.
    """
    from superionic.structures.filters import parse_filters, read_filters
    from superionic.workflows.campaign.selection import SelectionSettings

    if filters is None:
        known = []
    elif isinstance(filters, str | Path):
        known = read_filters(Path(filters))
    else:
        known = parse_filters(list(filters), "filters")
    settings = SelectionSettings(tuple(known), orderings)
    return replace(settings, duplicates=None) if every_copy else settings
