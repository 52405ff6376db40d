"""The job that predicts the diffusion of a shaken crystal."""

import hashlib
import time
from dataclasses import dataclass
from typing import Any

from jobflow import Maker, job

from superionic.errors import NetworkError, SettingsError
from superionic.progress import report_stage
from superionic.schemas.common import LABEL_TEMPERATURE_K, Warning_
from superionic.schemas.prediction import PredictionDocument
from superionic.schemas.shakes import ShakesDocument
from superionic.structures.crystals import as_candidate
from superionic.workflows.jobs.network import NamedNetwork, load_network


@dataclass
class PredictDiffusionMaker(Maker):
    """Read the diffusion of a crystal's mobile ions from how its atoms answer shakes.

    Parameters
    ----------
    name : str
        Name of the job.
    network : str or None
        File of a trained ensemble; None takes the one that comes with the package.
    """

    name: str = "predict diffusion"
    network: str | None = None

    @job(output_schema=PredictionDocument)
    def make(
        self,
        shakes: ShakesDocument,
        task_key: str | None = None,
        network_sha256: str | None = None,
    ) -> PredictionDocument:
        """Predict the diffusion in one crystal.

        Parameters
        ----------
        shakes : ShakesDocument
            The shaken crystal, arrays included.
        task_key : str, optional
            Key of the flow that the job belongs to; by default made from those of shakes and
            network.
        network_sha256 : str, optional
            What the network's file has to be: it may have been replaced since the flow was made.

        Raises
        ------
        NetworkError
            When the network cannot be read, or is another one.
        CellTooLargeError
            When one shake does not fit in memory.
        """
        report_stage("network")
        start = time.perf_counter()
        network = load_network(self.network)
        if network_sha256 not in (None, network.sha256):
            raise NetworkError(
                f"The network {network.name} is another one than that of the flow: the SHA-256 of "
                f"its file begins with {network.sha256[:8]}, not {str(network_sha256)[:8]}.",
                hint="Put the file back, or start the predictions anew.",
                material_id=shakes.material_id,
            )
        return _document(shakes, network, task_key, start)


@dataclass
class PredictForFlowMaker(PredictDiffusionMaker):
    """Predict as the last job of a flow, under the key that the flow has then.

    Parameters
    ----------
    name : str
        Name of the job.
    network : str or None
        File of the flow's network.
    flow : Maker
        Maker of the flow.
    """

    flow: Any = None

    def __post_init__(self) -> None:
        """Refuse another network than that of the flow."""
        if self.network != self.flow.network:
            raise SettingsError(
                "The flow is made already: network cannot be changed in it any more.",
                hint="Change the Maker before: maker.update_kwargs(...).make(structure).",
            )

    @job(output_schema=PredictionDocument)
    def make(
        self,
        shakes: ShakesDocument,
        structure: Any,
        material_id: str | None = None,
        network_sha256: str | None = None,
    ) -> PredictionDocument:
        """Predict the diffusion in one crystal; see :meth:`PredictDiffusionMaker.make`.

        Parameters
        ----------
        structure : Structure, or an object with a structure
            The crystal as the flow was given it; the key is made from it.
        """
        key = self.flow.key(as_candidate(structure, material_id))
        plain = PredictDiffusionMaker(network=self.network)
        return PredictDiffusionMaker.make.original(plain, shakes, key, network_sha256)


def _document(
    shakes: ShakesDocument, network: NamedNetwork, task_key: str | None, start_s: float
) -> PredictionDocument:
    header = network.ensemble.header
    found = network.ensemble.predict(shakes.shakes())
    composition = shakes.structure.composition
    temperature_K = header.labels.temperature_K
    joined = f"{shakes.task_key} {network.sha256}"
    return PredictionDocument(
        material_id=shakes.material_id,
        formula=shakes.formula,
        mobile_species=shakes.mobile_species,
        task_key=task_key or hashlib.sha256(joined.encode()).hexdigest(),
        settings=shakes.settings | {"network": network.sha256},
        wall_time_s=shakes.total_wall_time_s + time.perf_counter() - start_s,
        n_evaluations=shakes.n_evaluations_before + shakes.n_evaluations,
        warnings=[*shakes.warnings, *Warning_.from_remarks(found.remarks)],
        potential=shakes.potential,
        source=shakes.source,
        provenance=shakes.provenance,
        elements=sorted(element.symbol for element in composition.elements),
        chemical_system=composition.chemical_system,
        n_atoms=len(shakes.structure),
        n_mobile=round(composition[shakes.mobile_species]),
        volume_A3=float(shakes.structure.volume),
        relaxed=shakes.relaxed,
        network=network.name,
        network_sha256=network.sha256,
        training_set_sha256=header.training_set_sha256,
        # A network whose labels are of one temperature need not say which: it was that of all.
        temperature_K=LABEL_TEMPERATURE_K if temperature_K is None else temperature_K,
        log10_msd_slope=found.log10_msd_slope,
        log10_msd_slope_low=found.low,
        log10_msd_slope_high=found.high,
        log10_msd_slope_by_shake=found.by_shake.tolist(),
        n_shakes=shakes.n_shakes,
        spread_shakes=found.shake_spread,
        n_networks=len(network.ensemble.members),
        spread_ensemble=found.ensemble_spread if len(network.ensemble.members) > 1 else None,
        other_targets=found.others,
        novelty=found.novelty,
        far_from_training_set=found.far,
        in_training=header.has_learned(composition.chemical_system),
        residual_force_eV_per_A=shakes.residual_force_eV_per_A,
        flags=[remark.code for remark in found.remarks],
        shakes_uuid=shakes.job_uuid,
    )
