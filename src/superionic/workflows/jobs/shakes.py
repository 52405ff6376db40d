"""The job that shakes a crystal and asks the potential how its atoms answer."""

import time
from dataclasses import dataclass, field

from jobflow import job

from superionic.network.settings import ShakeSettings, settings_to_dict
from superionic.network.shakes import atoms_of, shake_crystal
from superionic.potentials.registry import load_potential
from superionic.progress import report_stage
from superionic.schemas.screen import PreparedDocument, RelaxedDocument
from superionic.schemas.shakes import ShakesDocument
from superionic.workflows.jobs.maker import SettingsMaker


@dataclass
class ShakeMaker(SettingsMaker):
    """Displace all atoms of a crystal at random, a few times, and evaluate the forces.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : ShakeSettings
        Amplitude, number, seed, size of the supercell.
    """

    name: str = "shakes"
    settings: ShakeSettings = field(default_factory=ShakeSettings)

    @job(data=["arrays"], output_schema=ShakesDocument)
    def make(
        self,
        crystal: RelaxedDocument | PreparedDocument,
        potential: str,
        prepared: PreparedDocument | None = None,
    ) -> ShakesDocument:
        """Shake one crystal.

        Parameters
        ----------
        crystal : RelaxedDocument or PreparedDocument
            The crystal, at equilibrium under the potential or near it.
        potential : str
            Specification of the potential.
        prepared : PreparedDocument, optional
            How it was prepared, where ``crystal`` is relaxed: it knows where it came from.

        Raises
        ------
        UnknownElementError
            When the potential does not know an element.
        NonFiniteEnergyError
            When a force is NaN or infinite. One that is merely enormous is kept.
        CellTooLargeError
            When the supercell is larger than the settings or the memory allow.
        """
        report_stage("shakes")
        start = time.perf_counter()
        shakes = shake_crystal(
            atoms_of(crystal.structure), load_potential(potential), self.settings
        )
        if prepared is None and isinstance(crystal, PreparedDocument):
            prepared = crystal
        steps = [prepared] if prepared is not None else []
        relaxed = crystal if isinstance(crystal, RelaxedDocument) else None
        before = [*steps, relaxed] if relaxed is not None else steps
        elapsed = time.perf_counter() - start
        return ShakesDocument.from_shakes(
            shakes,
            material_id=crystal.material_id,
            formula=crystal.formula,
            mobile_species=crystal.mobile_species,
            task_key=crystal.task_key,
            settings={step.kind: step.settings for step in before}
            | {"shakes": settings_to_dict(self.settings)},
            wall_time_s=elapsed,
            warnings=[warning for step in before for warning in step.warnings],
            source=prepared.source if prepared is not None else "",
            provenance=prepared.provenance if prepared is not None else {},
            structure=crystal.structure,
            relaxed=relaxed is not None and relaxed.relaxed,
            n_evaluations_before=sum(step.n_evaluations for step in before),
            total_wall_time_s=elapsed + sum(step.wall_time_s for step in before),
        )
