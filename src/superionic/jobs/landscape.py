"""The job that computes the landscapes of a crystal."""

from dataclasses import asdict, dataclass, field

from jobflow import Maker, job

from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import LandscapeSettings
from superionic.potentials.registry import load_potential
from superionic.progress import report_progress
from superionic.schemas.common import PotentialDocument, Warning_
from superionic.schemas.screen import LandscapeDocument, PreparedDocument, RelaxedDocument


@dataclass
class LandscapeMaker(Maker):
    """Compute the frozen-framework landscapes of all mobile ions of a crystal.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : LandscapeSettings
        Grid, symmetry, exclusion radius.
    """

    name: str = "landscape"
    settings: LandscapeSettings = field(default_factory=LandscapeSettings)

    @job(output_schema=LandscapeDocument, data=["arrays"])
    def make(
        self, crystal: RelaxedDocument | PreparedDocument, potential: str
    ) -> LandscapeDocument:
        """Compute the landscapes of one crystal.

        Parameters
        ----------
        crystal : RelaxedDocument or PreparedDocument
            The crystal, at equilibrium.
        potential : str
            Specification of the potential.
        """
        loaded = load_potential(potential)
        landscape = compute_landscape(
            crystal.structure,
            crystal.mobile_species,
            loaded,
            self.settings,
            progress=report_progress,
        )
        return LandscapeDocument.from_landscape(
            landscape,
            material_id=crystal.material_id,
            formula=crystal.formula,
            task_key=crystal.task_key,
            settings=asdict(self.settings),
            warnings=Warning_.from_remarks(landscape.remarks),
            potential=PotentialDocument.from_info(loaded.info),
        )
