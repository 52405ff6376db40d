"""The jobs that compute the landscapes of a crystal, in one piece or in parts."""

import time
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jobflow import Flow, Response, job
from pymatgen.core import Structure

from superionic import __version__
from superionic.errors import LandscapeError
from superionic.files import cache_file
from superionic.landscape.settings import LandscapeSettings
from superionic.potentials.base import PotentialInfo
from superionic.potentials.registry import load_potential, parse_spec
from superionic.potentials.remembering import remembering
from superionic.progress import report_progress, report_stage
from superionic.schemas.common import PackedArray, PotentialDocument, Warning_
from superionic.schemas.document import digest
from superionic.schemas.screen import (
    LandscapeDocument,
    LandscapePartDocument,
    PreparedDocument,
    RelaxedDocument,
)
from superionic.workflows.jobs.given import as_prepared
from superionic.workflows.jobs.maker import SettingsMaker
from superionic.workflows.keys import key_fields

if TYPE_CHECKING:
    from superionic.landscape.landscape import Landscape

Crystal = RelaxedDocument | PreparedDocument


@dataclass
class LandscapeMaker(SettingsMaker):
    """Compute the frozen-framework landscapes of all mobile ions of a crystal.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : LandscapeSettings
        Grid, symmetry, exclusion radius, and whether most points are learned, as they are when
        nothing is said.
    energies_per_job : int or None
        Spread a crystal of which every point is computed over several jobs, if it takes more
        energies than this, so that several workers share it; None computes it in one job.

    Examples
    --------
    >>> from pymatgen.core import Structure
    >>> crystal = Structure.from_file("workflows/example_crystals/mp-22899.cif")
    >>> LandscapeMaker().make(crystal, "chgnet", mobile_species="Li").name
    'landscape'
    """

    name: str = "landscape"
    settings: LandscapeSettings = field(default_factory=LandscapeSettings.usual)
    energies_per_job: int | None = None

    # Without output_schema: jobflow checks it against the reference that a replacement leaves.
    @job(data=["arrays"])
    def make(
        self,
        structure: Crystal | Structure,
        potential: str = "chgnet",
        mobile_species: str = "Li",
        material_id: str | None = None,
    ) -> LandscapeDocument | Response:
        """Compute the landscapes of one crystal.

        Parameters
        ----------
        structure : Structure, RelaxedDocument or PreparedDocument
            The crystal, at equilibrium. A structure is computed in the cell that it has.
        potential : str
            Specification of the potential.
        mobile_species : str
            The mobile ion of a structure; documents know theirs.
        material_id : str, optional
            Identifier of a structure.
        """
        crystal = self._prepared(structure, potential, mobile_species, material_id)
        report_stage("landscape")
        if self.energies_per_job is not None and self.settings.learned is None:
            split = self._split(crystal, potential, self.energies_per_job)
            if split is not None:
                return split
        from superionic.landscape.landscape import compute_landscape  # compiles kernels

        loaded = load_potential(potential)
        with remembering(loaded, _unfinished(crystal, loaded.info, self.settings)) as remembered:
            landscape = compute_landscape(
                crystal.structure,
                crystal.mobile_species,
                remembered,
                self.settings,
                progress=report_progress,
            )
        return _document(landscape, crystal, potential, self.settings)

    def _prepared(
        self, structure: Any, potential: str, mobile_species: str, material_id: str | None
    ) -> Crystal:
        if isinstance(structure, RelaxedDocument | PreparedDocument):
            return structure
        settings = [str(parse_spec(potential)), key_fields(self.settings)]
        return as_prepared(structure, mobile_species, settings, material_id)

    def _split(self, crystal: Crystal, potential: str, energies_per_job: int) -> Response | None:
        from superionic.landscape.evaluation import Evaluation
        from superionic.landscape.shards import settle_symmetry

        start = time.perf_counter()
        evaluation = Evaluation(
            crystal.structure, crystal.mobile_species, load_potential(potential), self.settings
        )
        sampling, settled = settle_symmetry(evaluation)
        n_parts = ceil(evaluation.count(sampling) / energies_per_job)
        if n_parts < 2:
            return None
        part_maker = LandscapePartMaker(settings=settled, n_parts=n_parts)
        parts = [part_maker.make(crystal, potential, part) for part in range(n_parts)]
        assembly = AssembleLandscapeMaker(settings=self.settings, settled=settled).make(
            crystal,
            potential,
            [part.output for part in parts],
            n_checks=evaluation.n_evaluations,
            checks_time_s=time.perf_counter() - start,
            warnings=[w.model_dump() for w in Warning_.from_remarks(sampling.remarks)],
        )
        return Response(replace=Flow([*parts, assembly], output=assembly.output))


@dataclass
class LandscapePartMaker(SettingsMaker):
    """Evaluate one part of a landscape.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : LandscapeSettings
        Settings with the symmetry settled.
    n_parts : int
        Number of parts.
    """

    name: str = "landscape part"
    settings: LandscapeSettings = field(default_factory=LandscapeSettings)
    n_parts: int = 1

    @job(output_schema=LandscapePartDocument, data=["arrays"])
    def make(self, crystal: Crystal, potential: str, part: int) -> LandscapePartDocument:
        """Evaluate one part.

        Parameters
        ----------
        crystal : RelaxedDocument or PreparedDocument
            The crystal.
        potential : str
            Specification of the potential.
        part : int
            Which part, from 0.
        """
        from superionic.landscape.shards import evaluate_part

        start = time.perf_counter()
        loaded = load_potential(potential)
        origin, energies = evaluate_part(
            crystal.structure,
            crystal.mobile_species,
            loaded,
            self.settings,
            part,
            self.n_parts,
            progress=report_progress,
        )
        return LandscapePartDocument(
            **crystal.identity,
            settings=asdict(self.settings),
            wall_time_s=time.perf_counter() - start,
            n_evaluations=sum(len(share) for share in energies),
            potential=PotentialDocument.from_info(loaded.info),
            part=part,
            n_parts=self.n_parts,
            grid_origin=list(origin),
            arrays=[PackedArray.pack(share) for share in energies],
        )


@dataclass
class AssembleLandscapeMaker(SettingsMaker):
    """Put the parts of a landscape together.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : LandscapeSettings
        Settings that were asked for; they are stored.
    settled : LandscapeSettings
        Settings with which the parts were computed.
    """

    name: str = "assemble landscape"
    settings: LandscapeSettings = field(default_factory=LandscapeSettings)
    settled: LandscapeSettings = field(default_factory=LandscapeSettings)

    @job(output_schema=LandscapeDocument, data=["arrays"])
    def make(
        self,
        crystal: Crystal,
        potential: str,
        parts: list[LandscapePartDocument],
        n_checks: int,
        checks_time_s: float,
        warnings: list[dict[str, str]],
    ) -> LandscapeDocument:
        """Put the parts of one crystal together.

        Parameters
        ----------
        crystal : RelaxedDocument or PreparedDocument
            The crystal.
        potential : str
            Specification of the potential.
        parts : list of LandscapePartDocument
            All parts, in order.
        n_checks : int
            Energies that the check of the symmetry took.
        checks_time_s : float
            Wall time of the check in s.
        warnings : list of dict
            Code and text of what the check found.
        """
        from superionic.landscape.shards import assemble

        energies = [[share.unpack() for share in part.arrays] for part in parts]
        loaded = load_potential(potential)
        landscape = assemble(
            crystal.structure, crystal.mobile_species, loaded, self.settled, energies
        )
        origins = [part.grid_origin for part in parts]
        if any(one is None or not np.allclose(one, landscape.grid.origin) for one in origins):
            raise LandscapeError(
                "The parts were computed on a grid with another origin than that of this version.",
                hint="Submit the crystal again.",
                material_id=crystal.material_id,
            )
        document = _document(landscape, crystal, potential, self.settings)
        return document.model_copy(
            update={
                "n_evaluations": document.n_evaluations + n_checks,
                "wall_time_s": document.wall_time_s
                + checks_time_s
                + sum(part.wall_time_s for part in parts),
                "warnings": [Warning_(**warning) for warning in warnings],
            }
        )


def _unfinished(crystal: Crystal, info: PotentialInfo, settings: LandscapeSettings) -> Path:
    """Return where the energies of a landscape are kept while it is computed."""
    lattice, places = crystal.structure.lattice.matrix, crystal.structure.frac_coords
    content = [
        *(__version__, asdict(info), crystal.mobile_species, asdict(settings)),
        *([str(one) for one in crystal.structure.species], lattice.tolist(), places.tolist()),
    ]
    return cache_file("unfinished", f"{digest(content)[:32]}.energies")


def _document(
    landscape: "Landscape", crystal: Crystal, potential: str, settings: LandscapeSettings
) -> LandscapeDocument:
    return LandscapeDocument.from_landscape(
        landscape,
        **{k: v for k, v in crystal.identity.items() if k != "mobile_species"},
        settings=asdict(settings),
        warnings=Warning_.from_remarks(landscape.remarks),
        potential=PotentialDocument.from_info(load_potential(potential).info),
    )
