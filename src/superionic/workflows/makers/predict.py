"""The prediction flow of one material: prepare, relax, shake, predict."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from jobflow import Flow, Job, OutputReference

from superionic import defaults
from superionic.potentials.registry import parse_spec
from superionic.schemas.shakes import ShakesDocument
from superionic.structures.candidate import Candidate, structure_hash
from superionic.structures.crystals import Crystal
from superionic.workflows.jobs.prediction import (
    PredictForFlowMaker,
    ShakeMaker,
    load_network,
    network_path,
)
from superionic.workflows.jobs.prepare import PrepareMaker
from superionic.workflows.jobs.relax import RelaxIfNeededMaker, relax_before_forces
from superionic.workflows.keys import task_key
from superionic.workflows.makers.base import MaterialMaker, as_argument


@dataclass
class PredictMaker(MaterialMaker):
    """Predict the diffusion in one material with the force network.

    The output of the flow is a :class:`~superionic.schemas.prediction.PredictionDocument`.

    Parameters
    ----------
    name : str
        Name of the flow.
    mobile_species : str
        Element symbol of the mobile ion. The network does not see it; crystals without it are
        refused.
    potential : str
        Specification of the potential, such as ``chgnet``.
    network : str or None
        File of a trained ensemble; None takes the one that comes with the package.
    n_shakes : int or None
        Random displacements (shakes) of each crystal; None takes as many as the network was
        trained with.
    prepare_maker : PrepareMaker
        Makes the crystal calculable.
    relax_maker : RelaxIfNeededMaker or None
        Brings its positions to equilibrium, as for the labels.
    shake_maker : ShakeMaker or None
        Shakes it; None shakes as the network was trained.

    Examples
    --------
    >>> flow = PredictMaker().make("workflows/example_crystals/mp-22899.cif")
    >>> [job.name for job in flow.jobs]
    ['prepare', 'relax if needed', 'shakes', 'predict diffusion']
    """

    name: str = "predict"
    mobile_species: str = defaults.MOBILE
    potential: str = "chgnet"
    network: str | None = None
    n_shakes: int | None = None
    prepare_maker: PrepareMaker = field(default_factory=PrepareMaker)
    relax_maker: RelaxIfNeededMaker | None = field(default_factory=relax_before_forces)
    shake_maker: ShakeMaker | None = None

    def with_options(
        self,
        *,
        network: str | Path | None = None,
        n_shakes: int | None = None,
        relax: str | None = None,
    ) -> Self:
        """Return the Maker with the options of ``superionic predict``; None leaves what is set."""
        return replace(
            self,
            network=self.network if network is None else str(network),
            n_shakes=self.n_shakes if n_shakes is None else n_shakes,
            relax_maker=self.relax_maker if relax is None else relax_before_forces(relax),
        )

    def bound(self) -> Self:
        """Return the Maker as its jobs are told: what shakes, and where the network is."""
        # Jobs run in another directory, where a relative path would lead nowhere.
        return replace(
            self,
            potential=str(parse_spec(self.potential)),
            network=None if self.network is None else str(network_path(self.network)),
            n_shakes=None,
            shake_maker=self.bound_shake_maker(),
        )

    def key(self, candidate: Candidate) -> str:
        """Return the key of a prediction; the network counts by the content of its file."""
        return self._key(candidate, load_network(self.network).sha256)

    def first_key(self, candidate: Candidate) -> str:
        """Return the key of the shakes, by which another network finds them."""
        return self.shakes_key(candidate)

    def shakes_key(self, candidate: Candidate) -> str:
        """Return the key of the shakes, the same for all networks that are asked about them."""
        return self._key(candidate, None)

    def make(
        self,
        structure: Crystal | OutputReference,
        material_id: str | None = None,
        *,
        shakes: ShakesDocument | OutputReference | None = None,
        source: str = "",
        provenance: Mapping[str, Any] | None = None,
    ) -> Flow:
        """Return the flow of one material, see :meth:`MaterialMaker.make`.

        Parameters
        ----------
        shakes : ShakesDocument or OutputReference, optional
            Its shakes, where they are known; otherwise the flow makes them.
        """
        crystal = as_argument(structure, material_id, source, provenance)
        bound = self.bound()
        jobs: list[Any] = []
        if shakes is None:
            jobs = bound.jobs(crystal)
            shakes = jobs[-1].output
        predict = PredictForFlowMaker(network=bound.network, flow=bound).make(
            shakes,
            crystal["structure"],
            crystal["material_id"],
            network_sha256=load_network(bound.network).sha256,
        )
        return self.flow_of([*jobs, predict], crystal["material_id"])

    def steps(self, crystal: Job, prepare: Job) -> list[Job]:
        """Return the job between relaxation and prediction: it makes the shakes."""
        return [self.bound_shake_maker().make(crystal.output, self.potential, prepare.output)]

    def bound_shake_maker(self) -> ShakeMaker:
        """Return what shakes, with all settings.

        Raises
        ------
        NetworkError
            When the network says how to shake and cannot be loaded.
        SettingsError
            When the number of shakes makes no sense.
        """
        maker = self.shake_maker
        if maker is None:
            maker = ShakeMaker(settings=load_network(self.network).ensemble.header.shakes)
        if self.n_shakes is not None:
            maker = replace(maker, settings=replace(maker.settings, n_shakes=self.n_shakes))
        return maker

    def _key(self, candidate: Candidate, network_sha256: str | None) -> str:
        same = replace(self.bound(), network=network_sha256)
        return task_key(candidate.material_id, structure_hash(candidate.structure), same)
