"""The prediction flow of one material: prepare, relax, shake, predict."""

from dataclasses import dataclass, field, replace
from typing import Any

from jobflow import Flow, Maker, OutputReference

from superionic.jobs.keys import task_key
from superionic.jobs.network import load_network, network_path
from superionic.jobs.prediction import PredictDiffusionMaker
from superionic.jobs.prepare import PrepareMaker
from superionic.jobs.relax import RelaxIfNeededMaker
from superionic.jobs.shakes import ShakeMaker
from superionic.potentials.registry import parse_spec
from superionic.schemas.shakes import ShakesDocument
from superionic.structures.candidate import Candidate
from superionic.structures.hashing import structure_hash


@dataclass
class PredictMaker(Maker):
    """Predict the diffusion in one material with the force network.

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
        Shakes of each crystal; None takes as many as the network was trained with.
    prepare_maker : PrepareMaker
        Makes the crystal calculable.
    relax_maker : RelaxIfNeededMaker or None
        Brings its positions to equilibrium, as for the labels.
    shake_maker : ShakeMaker or None
        Shakes it; None shakes as the network was trained.
    """

    name: str = "predict"
    mobile_species: str = "Li"
    potential: str = "chgnet"
    network: str | None = None
    n_shakes: int | None = None
    prepare_maker: PrepareMaker = field(default_factory=PrepareMaker)
    relax_maker: RelaxIfNeededMaker | None = field(
        default_factory=lambda: RelaxIfNeededMaker(max_force_eV_per_A=0.1)
    )
    shake_maker: ShakeMaker | None = None

    def key(self, candidate: Candidate) -> str:
        """Return the key under which the prediction for a candidate is found again.

        It changes with the content of the network's file and not with its place.

        Raises
        ------
        PotentialError
            When ``potential`` is not a specification.
        NetworkError
            When the network cannot be loaded.
        """
        return self._key(candidate, load_network(self.network).sha256)

    def shakes_key(self, candidate: Candidate) -> str:
        """Return the key under which the shakes of a candidate are found again.

        It is the same for all networks that are asked about the same shakes.

        Raises
        ------
        PotentialError, NetworkError
            As :meth:`key` does.
        """
        return self._key(candidate, None)

    def make(
        self, candidate: Candidate, shakes: ShakesDocument | OutputReference | None = None
    ) -> Flow:
        """Return the flow of one candidate.

        Parameters
        ----------
        candidate : Candidate
            A crystal, as it was read.
        shakes : ShakesDocument or OutputReference, optional
            Its shakes, where they are known; otherwise the flow makes them.

        Returns
        -------
        jobflow.Flow
            Its output is a :class:`~superionic.schemas.prediction.PredictionDocument`.
        """
        jobs: list[Any] = []
        if shakes is None:
            jobs = self._shake_jobs(candidate)
            shakes = jobs[-1].output
        # Jobs run in another directory, where a relative path would lead nowhere.
        path = None if self.network is None else str(network_path(self.network))
        predict = PredictDiffusionMaker(network=path).make(
            shakes,
            task_key=self.key(candidate),
            network_sha256=load_network(self.network).sha256,
        )
        flow = Flow(
            [*jobs, predict], output=predict.output, name=f"{self.name} {candidate.material_id}"
        )
        flow.update_metadata({"material_id": candidate.material_id})
        return flow

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

    def _shake_jobs(self, candidate: Candidate) -> list[Any]:
        # Their documents carry the key of the shakes, by which another network finds them.
        prepare = self.prepare_maker.make(
            candidate.structure,
            candidate.material_id,
            self.mobile_species,
            self.shakes_key(candidate),
            source=candidate.source,
            provenance=candidate.provenance,
        )
        jobs = [prepare]
        if self.relax_maker is not None:
            jobs.append(self.relax_maker.make(prepare.output, self.potential))
        crystal = jobs[-1].output
        jobs.append(self.bound_shake_maker().make(crystal, self.potential, prepare.output))
        return jobs

    def _key(self, candidate: Candidate, network_sha256: str | None) -> str:
        same = replace(
            self,
            potential=str(parse_spec(self.potential)),
            network=network_sha256,
            n_shakes=None,
            shake_maker=self.bound_shake_maker(),
        )
        return task_key(candidate.material_id, structure_hash(candidate.structure), same)
