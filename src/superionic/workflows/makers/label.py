"""The labelling flow of one material: prepare, relax, molecular dynamics."""

from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Self

from jobflow import Job

from superionic import defaults
from superionic.errors import SettingsError
from superionic.potentials.registry import parse_spec
from superionic.structures.candidate import Candidate, structure_hash
from superionic.workflows.jobs.diffusion import DiffusionMDMaker
from superionic.workflows.jobs.prepare import PrepareMaker
from superionic.workflows.jobs.relax import RelaxIfNeededMaker, relax_before_forces
from superionic.workflows.keys import task_key
from superionic.workflows.makers.base import MaterialMaker

_USUAL_SUPERCELL_A3 = 420.0


@dataclass
class LabelMaker(MaterialMaker):
    """Label one material with the diffusion of its mobile ion.

    The output of the flow is a :class:`~superionic.schemas.label.DiffusionDocument`.

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
        Brings its positions to equilibrium, at the cell as given: rules that stop a run compare
        with the energy at its start.
    md_maker : DiffusionMDMaker
        Runs the dynamics; potential and mobile ion are those of the flow.

    Examples
    --------
    >>> flow = LabelMaker().make("workflows/example_crystals/mp-22899.cif")
    >>> [job.name for job in flow.jobs]
    ['prepare', 'relax if needed', 'diffusion MD']
    """

    name: str = "label"
    mobile_species: str = defaults.MOBILE
    potential: str = "chgnet"
    prepare_maker: PrepareMaker = field(default_factory=PrepareMaker)
    relax_maker: RelaxIfNeededMaker | None = field(default_factory=relax_before_forces)
    md_maker: DiffusionMDMaker = field(default_factory=DiffusionMDMaker)

    def with_options(
        self,
        *,
        temperature_K: float | None = None,
        length_ps: float | None = None,
        equilibration_ps: float | None = None,
        seed: int | None = None,
        relax: str | None = None,
    ) -> Self:
        """Return the Maker with the options of ``superionic label``; None leaves what is set."""
        changes: dict[str, Any] = {"temperature": temperature_K, "mb_velocity_seed": seed}
        changes = {name: value for name, value in changes.items() if value is not None}
        dynamics = replace(self.md_maker, **changes)
        if length_ps is not None or equilibration_ps is not None:
            step_ps = dynamics.md_settings().timestep_fs * 1e-3
            if length_ps is not None:
                dynamics.n_steps = max(1, round(length_ps / step_ps))
            if equilibration_ps is not None:
                dynamics.n_equilibration_steps = round(equilibration_ps / step_ps)
        relax_maker = self.relax_maker if relax is None else relax_before_forces(relax)
        return replace(self, md_maker=dynamics, relax_maker=relax_maker)

    def bound(self) -> Self:
        """Return the Maker as its jobs are told: the dynamics know potential and mobile ion."""
        potential = str(parse_spec(self.potential))
        own = self.md_maker.potential
        if own is not None and str(parse_spec(own)) != potential:
            raise SettingsError(
                f"The dynamics are to use {own}, the flow {self.potential}.",
                hint="Name the potential once, in LabelMaker.",
            )
        dynamics = replace(self.md_maker, potential=potential, mobile_species=self.mobile_species)
        dynamics.md_settings()
        return replace(self, potential=potential, md_maker=dynamics)

    def key(self, candidate: Candidate) -> str:
        """Return the key under which the label of a candidate is found again."""
        same = copy(self.bound())
        content: Any = same.md_maker.key_content()
        same.md_maker = content
        return task_key(candidate.material_id, structure_hash(candidate.structure), same)

    def steps(self, crystal: Job, prepare: Job) -> list[Job]:
        """Return the jobs after preparation and relaxation."""
        return [self.md_maker.make(crystal.output, prepared=prepare.output)]


def n_atoms_supercell(candidate: Candidate) -> float:
    """Return the atoms of the supercell: as the crystal's record says, or a rough estimate."""
    stated = candidate.provenance.get("n_atoms_supercell")
    if isinstance(stated, int | float):
        return float(stated)
    volume_A3 = float(candidate.structure.volume)
    return len(candidate.structure) / volume_A3 * max(volume_A3, _USUAL_SUPERCELL_A3)
