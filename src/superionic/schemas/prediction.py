"""What the force network says of one crystal."""

from typing import Literal

from pydantic import Field

from superionic.schemas.common import LABEL_TEMPERATURE_K, PotentialDocument, SourcedDocument


class PredictionDocument(SourcedDocument):
    """Diffusion of one crystal as the force network predicts it.

    ``n_evaluations`` counts the force evaluations of the shakes and of the relaxation before,
    ``settings`` holds number, amplitude and seed of the shakes, ``warnings`` the reasons to doubt
    the prediction.
    """

    kind: Literal["prediction"] = Field("prediction", description="Kind of document.")
    wall_time_s: float = Field(
        description="Wall time in s from preparation to prediction; shakes that were found again "
        "count with the time that they took."
    )
    potential: PotentialDocument = Field(description="Potential that gave the forces.")
    elements: list[str] = Field(description="Elements of the crystal.")
    chemical_system: str = Field(description="Elements in alphabetical order, joined by hyphens.")
    n_atoms: int = Field(description="Atoms in the crystal's cell, not in the supercell.")
    n_mobile: int = Field(description="Mobile ions in that cell.")
    volume_A3: float = Field(description="Volume of that cell in A^3.")
    relaxed: bool = Field(False, description="Whether the crystal was relaxed before.")
    network: str = Field(description="Name of the network.")
    network_sha256: str = Field(description="SHA-256 of the network's file.")
    training_set_sha256: str = Field("", description="Hash of what the network was trained on.")
    temperature_K: float = Field(
        LABEL_TEMPERATURE_K, description="Temperature of the predicted diffusion in K."
    )
    log10_msd_slope: float = Field(
        description="Decimal logarithm of the predicted MSD slope in A^2/ps; mean over shakes and "
        "over the networks of the ensemble."
    )
    log10_msd_slope_low: float | None = Field(
        None, description="Lower end of its 95 % interval; None where the network is uncalibrated."
    )
    log10_msd_slope_high: float | None = Field(None, description="Upper end of that interval.")
    log10_msd_slope_by_shake: list[float] = Field(
        default_factory=list, description="The prediction of each shake, mean over the networks."
    )
    n_shakes: int = Field(description="Shakes that were averaged.")
    spread_shakes: float = Field(description="Standard deviation over the shakes.")
    n_networks: int = Field(1, description="Networks of the ensemble.")
    spread_ensemble: float | None = Field(
        None, description="Standard deviation over the networks of an ensemble; None for one."
    )
    other_targets: dict[str, float] = Field(
        default_factory=dict, description="What else the network predicts, by name."
    )
    novelty: float | None = Field(
        None,
        description="Distance from the training set in the networks' last features, in units of "
        "the median distance within it.",
    )
    far_from_training_set: bool | None = Field(
        None,
        description="Whether that is more than cross-validated crystals had; None where the "
        "network is uncalibrated.",
    )
    residual_force_eV_per_A: float | None = Field(
        None, description="Largest force on an atom of the undisplaced crystal, in eV/A."
    )
    in_training: bool | None = Field(
        None,
        description="Whether the network was trained on this chemical system, so that the "
        "prediction says nothing of its quality; None where that is not known.",
    )
    flags: list[str] = Field(
        default_factory=list,
        description="Short names of what is unusual about the prediction; `warnings` has the text.",
    )
    shakes_uuid: str | None = Field(None, description="uuid of the job that made the shakes.")
