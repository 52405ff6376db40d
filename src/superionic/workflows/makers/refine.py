"""The flow that refines the landscape of one material with a second potential."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from jobflow import Flow, OutputReference

from superionic import defaults
from superionic.errors import InputError, SettingsError
from superionic.potentials.base import PotentialInfo
from superionic.potentials.registry import parse_spec
from superionic.schemas.screen import LandscapeDocument
from superionic.schemas.screening import ScreeningDocument
from superionic.structures.candidate import Candidate
from superionic.workflows.jobs.descriptors import DescriptorsMaker
from superionic.workflows.jobs.points import PointMaker, engine_named
from superionic.workflows.jobs.prepare import PrepareMaker
from superionic.workflows.jobs.refine import RefineLandscapeMaker, refined_key
from superionic.workflows.keys import key_fields
from superionic.workflows.makers.base import MaterialMaker


@dataclass(frozen=True)
class ScreenedCandidate(Candidate):
    """A crystal whose landscape is in the database.

    Parameters
    ----------
    landscape_uuid : str
        Job that stored the landscape.
    task_key, weights_sha256 : str
        Key of the work that gave it, and weights of its potential.
    prepared_uuid, relaxed_uuid : str or None
        Jobs that stored how the crystal was prepared and relaxed.
    row : ScreeningDocument, optional
        Row of the first potential.
    """

    landscape_uuid: str = ""
    task_key: str = ""
    weights_sha256: str = ""
    prepared_uuid: str | None = None
    relaxed_uuid: str | None = None
    row: ScreeningDocument | None = None


@dataclass
class RefineMaker(MaterialMaker):
    """Refine the landscape of one material: a second potential from some thirty energies.

    The output of the flow is a :class:`~superionic.schemas.screen.DescriptorsDocument` of the
    second potential, with intervals.

    Parameters
    ----------
    name : str
        Name of the flow.
    mobile_species : str
        Element symbol of the mobile ion.
    potential : str
        Specification of the second potential; an engine may have its own.
    prior : str
        Specification of the first potential, whose landscapes are refined.
    prepare_maker : PrepareMaker
        Not run: the crystals are prepared.
    refine_maker : RefineLandscapeMaker
        Computes the landscape.
    descriptors_maker : DescriptorsMaker
        Reads descriptors from it.

    Examples
    --------
    >>> from superionic.workflows.makers.screen import ScreenMaker
    >>> from pymatgen.core import Structure
    >>> crystal = Structure.from_file("workflows/example_crystals/mp-22899.cif")
    >>> screen = ScreenMaker().make(crystal, "mp-22899")
    >>> second = RefineMaker(potential="sevennet").make(screen.jobs[2].output, "mp-22899")
    >>> [job.name for job in second.jobs]
    ['refine landscape', 'descriptors']
    """

    name: str = "refine"
    mobile_species: str = defaults.MOBILE
    potential: str = "sevennet"
    prior: str = "chgnet"
    prepare_maker: PrepareMaker = field(default_factory=PrepareMaker)
    refine_maker: RefineLandscapeMaker = field(default_factory=RefineLandscapeMaker)
    descriptors_maker: DescriptorsMaker = field(default_factory=DescriptorsMaker)

    def with_options(
        self,
        *,
        prior: str | None = None,
        max_energies: int | None = None,
        engine: str | None = None,
    ) -> Self:
        """Return the Maker with the options of ``superionic refine``; None leaves what is set."""
        refine = self.refine_maker
        if max_energies is not None:
            refine = replace(refine, settings=replace(refine.settings, max_energies=max_energies))
        if engine is not None:
            named: Any = engine_named(engine)
            if type(named) is not type(refine.engine):
                refine = replace(refine, engine=named)
        return replace(self, prior=prior or self.prior, refine_maker=refine)

    def bound(self) -> Self:
        """Return the Maker as its jobs are told: the engine knows its calculator."""
        potential = str(parse_spec(self.potential))
        refine: RefineLandscapeMaker = self.refine_maker
        if isinstance(refine.engine, PointMaker):
            refine = replace(refine, engine=refine.engine.bound(potential))
        prior = str(parse_spec(self.prior))
        return replace(self, potential=potential, prior=prior, refine_maker=refine)

    def identity(self) -> PotentialInfo:
        """Return the identity of what gives the energies."""
        return self.info()

    def info(self) -> PotentialInfo:
        """Return the identity of what gives the energies; an engine's does not prove itself."""
        engine = self.bound().refine_maker.engine
        if not isinstance(engine, PointMaker):
            return super().info()
        return PotentialInfo(**engine.identity().model_dump())

    def key(self, candidate: Candidate) -> str:
        """Return the key under which the result of a candidate is found again."""
        found = _screened(candidate)
        return refined_key(found.material_id, found.task_key, found.weights_sha256, self._in_key())

    def make(
        self,
        structure: Any,
        material_id: str | None = None,
        *,
        source: str = "",
        provenance: Mapping[str, Any] | None = None,
    ) -> Flow:
        """Return the flow of one material, see :meth:`MaterialMaker.make`.

        Parameters
        ----------
        structure : ScreenedCandidate, LandscapeDocument or OutputReference
            A crystal whose landscape is in the database, as ``superionic refine`` finds them; a
            landscape; or the output of a job that gives one. It knows where it came from.
        """
        bound = self.bound()
        landscape: Any = structure
        before: dict[str, Any] = {}
        if not isinstance(structure, LandscapeDocument | OutputReference):
            found = _screened(structure)
            landscape, material_id = found.landscape_uuid, found.material_id
            uuids = {"prepared": found.prepared_uuid, "relaxed": found.relaxed_uuid}
            before = {name: OutputReference(uuid) for name, uuid in uuids.items() if uuid}
        refine = bound.refine_maker.job_of(landscape, bound.potential, bound._in_key())
        descriptors = bound.descriptors_maker.make(refine.output, **before)
        return self.flow_of([refine, descriptors], material_id)

    def _in_key(self) -> Any:
        """Return all settings that can change numbers; which landscape it is says the rest."""
        return key_fields(self.bound())


def _screened(candidate: Any) -> ScreenedCandidate:
    if isinstance(candidate, ScreenedCandidate):
        return candidate
    name = getattr(candidate, "material_id", None)
    raise InputError(
        f"{name or 'The crystal'} has no landscape to be refined.",
        hint="Screen it with the first potential, then refine it.",
        material_id=name,
    )


def require_other(maker: RefineMaker, prior: PotentialInfo) -> PotentialInfo:
    """Return the identity of the second potential, which must not be the first.

    Raises
    ------
    SettingsError
        When it is.
    """
    info = maker.info()
    if (info.label, info.weights_sha256) == (prior.label, prior.weights_sha256):
        raise SettingsError(
            f"The landscapes of {prior.label} cannot be refined with {prior.label} itself.",
            hint="Name another potential (--potential), or the one to start from (--prior).",
        )
    return info
