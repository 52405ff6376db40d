"""The jobs that shake a crystal and read the diffusion of its ions from how it answers."""

import hashlib
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from jobflow import Maker, job

from superionic.errors import NetworkError, SettingsError
from superionic.network.inference import Ensemble, shipped_ensemble
from superionic.network.settings import ShakeSettings, settings_to_dict
from superionic.network.shakes import atoms_of, shake_crystal
from superionic.potentials.registry import load_potential
from superionic.progress import report_stage
from superionic.schemas.common import LABEL_TEMPERATURE_K, Warning_
from superionic.schemas.prediction import PredictionDocument
from superionic.schemas.screen import PreparedDocument, RelaxedDocument
from superionic.schemas.shakes import ShakesDocument
from superionic.settings import get_settings
from superionic.structures.crystals import as_candidate
from superionic.workflows.jobs.maker import SettingsMaker


@dataclass(frozen=True)
class NamedNetwork:
    """An ensemble with what identifies it.

    Parameters
    ----------
    name : str
        Name of its file, without the ending.
    sha256 : str
        Hash of its file.
    ensemble : Ensemble
        The networks.
    """

    name: str
    sha256: str
    ensemble: Ensemble


def network_path(network: str | None = None) -> Path:
    """Return the file of a network.

    Parameters
    ----------
    network : str or None
        A path; None means the ensemble that comes with the package.

    Raises
    ------
    NetworkError
        When there is no such file, or the package comes without one.
    """
    if network is None:
        return shipped_ensemble()
    path = Path(network).expanduser().resolve()
    if not path.is_file():
        raise NetworkError(f"There is no file {path}.", hint="Name a trained network.")
    return path


def load_network(network: str | None = None) -> NamedNetwork:
    """Load a network, once per process as long as its file does not change.

    Parameters
    ----------
    network : str or None
        A path; None means the ensemble that comes with the package.

    Raises
    ------
    NetworkError
        When there is no such file, it is none of ours, of another version, or damaged.
    """
    path = network_path(network)
    stat = path.stat()
    return _load(path, stat.st_mtime_ns, stat.st_size, get_settings().device)


@lru_cache(maxsize=4)
def _load(path: Path, modified_ns: int, size: int, device: str) -> NamedNetwork:
    from superionic.potentials.batched import resolve_device

    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return NamedNetwork(path.stem, sha256, Ensemble.load(path, resolve_device(device)))


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
            **crystal.identity,
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
