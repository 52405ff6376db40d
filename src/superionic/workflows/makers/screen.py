"""The screening flow of one material: prepare, relax, landscape, descriptors."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

from jobflow import Job

from superionic import defaults
from superionic.errors import SettingsError
from superionic.landscape.settings import LearnedSettings, refuse_former_modes
from superionic.structures.candidate import Candidate, structure_hash
from superionic.structures.noise import is_noisy
from superionic.structures.species import exclusion_radius_A, parse_mobile_species
from superionic.workflows.jobs.descriptors import DescriptorsMaker
from superionic.workflows.jobs.landscape import LandscapeMaker
from superionic.workflows.jobs.prepare import PrepareMaker
from superionic.workflows.jobs.relax import RelaxIfNeededMaker, relax_before_landscape, relaxes_cell
from superionic.workflows.keys import task_key
from superionic.workflows.makers.base import MaterialMaker


@dataclass
class ScreenMaker(MaterialMaker):
    """Rank one material by its frozen-framework landscape.

    The output of the flow is a :class:`~superionic.schemas.screen.DescriptorsDocument`.

    Parameters
    ----------
    name : str
        Name of the flow.
    mobile_species : str
        Element symbol of the mobile ion.
    potential : str
        Specification of the potential, such as ``chgnet``.
    prepare_maker : PrepareMaker
        Makes the crystal calculable.
    relax_maker : RelaxIfNeededMaker or None
        Brings it to equilibrium; None takes the crystal as it is.
    landscape_maker : LandscapeMaker
        Computes the landscapes.
    descriptors_maker : DescriptorsMaker
        Reads descriptors from them.

    Examples
    --------
    >>> from pymatgen.core import Structure
    >>> crystal = Structure.from_file("workflows/example_crystals/mp-22899.cif")
    >>> flow = ScreenMaker().make(crystal, "mp-22899")
    >>> flow.name, [job.name for job in flow.jobs]
    ('screen mp-22899', ['prepare', 'relax if needed', 'landscape', 'descriptors'])
    """

    name: str = "screen"
    mobile_species: str = defaults.MOBILE
    potential: str = "chgnet"
    prepare_maker: PrepareMaker = field(default_factory=PrepareMaker)
    relax_maker: RelaxIfNeededMaker | None = field(default_factory=relax_before_landscape)
    landscape_maker: LandscapeMaker = field(default_factory=LandscapeMaker)
    descriptors_maker: DescriptorsMaker = field(default_factory=DescriptorsMaker)

    def with_options(
        self,
        *,
        step_A: float | None = None,
        learned: bool | None = None,
        max_energies: int | None = None,
        relax: str | None = None,
        min_width_A: float | None = None,
        radius_A: float | None = None,
        carrier: defaults.Carrier | None = None,
    ) -> Self:
        """Return the Maker with the options of ``superionic screen``; None leaves what is set.

        With a carrier cells are at least 8 A wide, unless another width is set.
        """
        found = self
        changes: dict[str, Any] = {}
        if step_A is not None:
            changes["grid_step_A"] = step_A
        if learned is not None:
            changes["learned"] = LearnedSettings() if learned else None
        if max_energies is not None:
            sampler = changes.get("learned", self.landscape_maker.settings.learned)
            if sampler is None:
                raise SettingsError(
                    "Only a learned landscape has a largest number of energies.",
                    hint="Leave out --exact (learned=False), or the limit (--max-energies).",
                )
            changes["learned"] = replace(sampler, max_energies=max_energies)
        if radius_A is not None:
            ion = parse_mobile_species(self.mobile_species)
            changes["exclusion_radius_A"] = exclusion_radius_A(ion, radius_A)
        if carrier is not None:
            changes["carrier"] = carrier
            if min_width_A is self.prepare_maker.settings.supercell_min_width_A is None:
                min_width_A = defaults.CARRIER_MIN_WIDTH_A
        if changes:
            settings = replace(self.landscape_maker.settings, **changes)
            landscape = replace(self.landscape_maker, settings=settings)
            found = replace(found, landscape_maker=landscape)
        refuse_former_modes(found.landscape_maker.settings)
        if relax is not None:
            relax_maker = replace(
                relax_before_landscape(),
                max_force_eV_per_A=None if relax == "never" else defaults.SCREEN_MAX_FORCE_eV_per_A,
                relax_cell=relaxes_cell(relax),
            )
            found = replace(found, relax_maker=relax_maker)
        if min_width_A is not None:
            preparing = replace(self.prepare_maker.settings, supercell_min_width_A=min_width_A)
            prepare = replace(self.prepare_maker, settings=preparing)
            found = replace(found, prepare_maker=prepare)
        return found

    def answering(self) -> Self | None:
        """Return the Maker that computes every point, where most are learned."""
        landscape: LandscapeMaker = self.landscape_maker
        if landscape.settings.learned is None:
            return None
        exact = replace(landscape, settings=replace(landscape.settings, learned=None))
        return replace(self, landscape_maker=exact)

    def key(self, candidate: Candidate) -> str:
        """Return the key under which the result of a candidate is found again."""
        maker = self.bound()
        relax = maker.relax_maker
        if relax is not None and not (relax.symmetrises and is_noisy(candidate.structure)):
            # Of other crystals the tolerance changes nothing.
            maker = replace(maker, relax_maker=replace(relax, symmetry_tolerance_A=None))
        return task_key(candidate.material_id, structure_hash(candidate.structure), maker)

    def steps(self, crystal: Job, prepare: Job) -> list[Job]:
        """Return the jobs after preparation and relaxation."""
        landscape = self.landscape_maker.make(crystal.output, self.potential)
        relaxed = None if crystal is prepare else crystal.output
        return [
            landscape,
            self.descriptors_maker.make(landscape.output, prepare.output, relaxed),
        ]
