"""The screening collection: one row a material, mobile species, potential and set of settings."""

from collections.abc import Iterable
from itertools import combinations
from typing import Literal

from pydantic import Field

from superionic.schemas.document import Document, Interval, OrderingsSummary, Origins, Warning_
from superionic.schemas.settings_label import settings_label

ROW_VERSION = "2.6"
"""Version of the rows; a row of another version is built again."""

_COMPLETE_SINCE = (2, 2)
"""First version with all numbers of today: later ones have other keys and percentiles, and the
intervals of learned landscapes, which are younger."""

Part = Literal["landscape", "prediction", "label", "validation"]
PARTS: tuple[Part, ...] = ("landscape", "prediction", "label", "validation")
"""What can be known of a material, cheapest but for the prediction first."""

LARGEST_ELEMENT_SET = 3
"""Elements in the largest of the sets that a row has an index for."""

LANDSCAPE_FIELDS = (
    *("mpe_eV", "barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV"),
    *("diffusivity_ratio_1000K", "diffusivity_ratio_min_1000K"),
    *("fv_connected", "fv_disconnected", "fv_disconnected_2eV"),
    *("free_volume_A3_per_ion", "free_volume_2eV_A3_per_ion", "xi"),
)
"""Numbers of a row that come from the landscape, whatever they cost."""

INTERVAL_FIELDS = tuple(name for name in LANDSCAPE_FIELDS if name != "diffusivity_ratio_1000K")
"""Those that have an interval where the landscape is learned."""


def element_set(elements: Iterable[str]) -> str:
    """Return several elements as one word: in alphabetical order, joined by hyphens."""
    return "-".join(sorted(elements))


def element_sets(elements: Iterable[str]) -> list[str]:
    """Return all sets of two to :data:`LARGEST_ELEMENT_SET` of the elements, each as a word."""
    own = sorted(set(elements))
    sizes = range(2, LARGEST_ELEMENT_SET + 1)
    return [element_set(some) for size in sizes for some in combinations(own, size)]


class RunSummary(Document):
    """One run of a job whose document belongs to a row."""

    kind: str = Field(description="Kind of the document.")
    job_uuid: str | None = Field(description="uuid of the job.")
    last_updated: str = Field(description="Time of writing, ISO 8601, UTC.")
    used: bool = Field(description="Whether the row's numbers are this run's.")
    readable: bool = Field(True, description="Whether the document could be read.")
    settings_sha256: str | None = Field(None, description="SHA-256 of its settings.")
    weights_sha256: str | None = Field(None, description="SHA-256 of the potential's parameters.")
    superionic_version: str | None = Field(None, description="Version of superionic.")
    n_evaluations: int = Field(0, description="Energy or force evaluations.")
    wall_time_s: float = Field(0.0, description="Wall time in s.")


class LabelSummary(Document):
    """Molecular dynamics of the material at one temperature, from one seed."""

    temperature_K: float = Field(description="Temperature in K.")
    seed: int = Field(description="Seed of velocities and thermostat.")
    verdict: str = Field(description="diffusing, not_diffusing, melted or unconverged.")
    msd_slope_A2_per_ps: float | None = Field(description="Slope of the MSD in A^2/ps.")
    msd_slope_low_A2_per_ps: float | None = Field(description="Lower end of its 95 % interval.")
    msd_slope_high_A2_per_ps: float | None = Field(description="Upper end of its 95 % interval.")
    msd_slope_upper_bound_A2_per_ps: float | None = Field(description="95 % upper bound.")
    label_A2_per_ps: float | None = Field(description="Slope clipped from below at 1e-4 A^2/ps.")
    conductivity_S_per_cm: float | None = Field(description="At the temperature, in S/cm.")
    conductivity_error_S_per_cm: float | None = Field(description="Its standard error.")
    production_ps: float = Field(description="Time analysed in ps.")
    n_atoms: int = Field(description="Atoms in the supercell.")
    n_evaluations: int = Field(description="Force evaluations.")
    wall_time_s: float = Field(description="Wall time in s.")
    weights_sha256: str = Field(description="SHA-256 of the potential's parameters.")
    job_uuid: str | None = Field(description="uuid of the job.")
    trajectory: str = Field(description="Folder of the trajectory in the data directory.")


class ScreeningDocument(Origins):
    """One row of the screening collection: all that is known of a material.

    Fields of a part that is missing are None. Rows that older versions wrote can be read.
    """

    key: str = Field(
        description="The unique key: material_id, mobile species, potential, the first 16 digits "
        "of the hash of its weights and, with a landscape, the label of its settings, joined by "
        "'|'; a '|' or '%' within one of them is written as '%7C' or '%25'."
    )
    schema_version: str = Field(ROW_VERSION, description="Version of the row.")
    superionic_version: str = Field(description="Version of superionic of the newest run.")
    material_id: str = Field(description="Identifier of the material.")
    formula: str = Field(description="Reduced formula.")
    elements: list[str] = Field(description="Elements of the crystal.")
    chemical_system: str = Field(description="Elements in alphabetical order, joined by hyphens.")
    element_sets: list[str] = Field(
        default_factory=lambda row: element_sets(row.get("elements", ())),
        description="Pairs and triples of the elements, as Cl-Li-P; an index finds rows by them.",
    )
    n_atoms: int = Field(description="Atoms in the cell.")
    n_mobile: int = Field(description="Mobile ions in the cell.")
    volume_A3: float | None = Field(None, description="Volume of the cell in A^3.")
    volume_A3_per_atom: float | None = Field(None, description="Volume per atom in A^3.")
    mobile_fraction: float | None = Field(None, description="Mobile ions per atom.")
    mobile_species: str = Field(description="Element symbol of the mobile ion.")
    potential: str = Field(description="Family and name of the potential.")
    potential_weights_sha256: str = Field(description="SHA-256 of the potential's parameters.")
    potential_package_version: str = Field(description="Package and version that evaluated it.")
    task_key: str = Field(description="Key of the work that the row was made from.")
    settings: dict = Field(description="Settings of the work that the row was made from.")
    settings_label: str = Field(
        default_factory=lambda row: settings_label(
            row.get("settings", {}), row.get("mobile_species", "")
        ),
        description="The settings of the landscape in words, such as '0.25 A exact'; empty without "
        "a landscape.",
    )
    source: str = Field(description="File or database that the crystal came from.")
    relaxed: bool = Field(description="Whether the crystal was relaxed before.")
    duplicate_of: str | None = Field(
        None, description="The same crystal, which was computed in place of this one."
    )
    orderings: OrderingsSummary | None = Field(
        None, description="All orderings of the parent, where there are several."
    )
    present: list[Part] = Field(["landscape"], description="Parts that are there.")
    missing: list[Part] = Field(
        ["prediction", "label", "validation"], description="Parts that are not there."
    )

    # The landscape.
    mpe_eV: float | None = Field(
        None,
        description="Published percolation barrier in eV; None, too, without a percolating path.",
    )
    barrier_1d_eV: float | None = Field(None, description="Barrier in one dimension, in eV.")
    barrier_2d_eV: float | None = Field(None, description="Barrier in two dimensions, in eV.")
    barrier_3d_eV: float | None = Field(None, description="Barrier in three dimensions, in eV.")
    diffusivity_ratio_1000K: float | None = Field(
        None,
        description="Effective diffusivity at 1000 K on the frozen landscape relative to a flat "
        "one, mean over directions, 0 to 1.",
    )
    diffusivity_ratio_min_1000K: float | None = Field(
        None, description="The same in the slowest direction."
    )
    fv_connected: float | None = Field(
        None, description="Connected free volume at 0.5 eV, union of the ions."
    )
    fv_disconnected: float | None = Field(
        None, description="Disconnected free volume at 0.5 eV, union, fraction of the cell."
    )
    fv_disconnected_2eV: float | None = Field(None, description="The same at 2 eV.")
    free_volume_A3_per_ion: float | None = Field(
        None, description="Disconnected free volume at 0.5 eV, mean over the ions, in A^3."
    )
    free_volume_2eV_A3_per_ion: float | None = Field(None, description="The same at 2 eV.")
    xi: float | None = Field(None, description="Published ranking descriptor, 0 to 1.")
    intervals: dict[str, Interval] = Field(
        default_factory=dict,
        description="95 % intervals of a learned landscape, by the names of the numbers above; "
        "empty where every point is evaluated.",
    )
    ending: str | None = Field(
        None,
        description="Why a learned landscape took no more energies: settled, budget or exhausted; "
        "None for others.",
    )
    prior_potential: str | None = Field(
        None,
        description="Potential whose landscape it was refined from, and under which the crystal is "
        "at equilibrium; None for others.",
    )
    n_evaluations: int = Field(0, description="Evaluations of the flow that gave the landscape.")
    wall_time_s: float = Field(0.0, description="Its wall time in s.")

    # The force network.
    predicted_log10_msd_slope: float | None = Field(
        None, description="Decimal logarithm of the predicted MSD slope in A^2/ps."
    )
    predicted_log10_msd_slope_low: float | None = Field(
        None, description="Lower end of its 95 % interval."
    )
    predicted_log10_msd_slope_high: float | None = Field(None, description="Upper end.")
    prediction_spread_shakes: float | None = Field(
        None, description="Standard deviation of the prediction over shakes."
    )
    prediction_spread_ensemble: float | None = Field(
        None, description="Standard deviation over the networks of an ensemble."
    )
    prediction_in_training: bool | None = Field(
        None, description="Whether the network was trained on this chemical system."
    )
    prediction_flags: list[str] = Field(
        default_factory=list, description="What is unusual about the crystal for the network."
    )
    network: str | None = Field(None, description="Name of the network.")
    network_sha256: str | None = Field(None, description="SHA-256 of its parameters.")

    # Molecular dynamics: the label is the newest run at the temperature nearest to 1000 K.
    label_verdict: str | None = Field(None, description="What the trajectory says.")
    label_temperature_K: float | None = Field(None, description="Its temperature in K.")
    msd_slope_A2_per_ps: float | None = Field(None, description="Slope of the MSD in A^2/ps.")
    msd_slope_low_A2_per_ps: float | None = Field(None, description="Lower 95 % end.")
    msd_slope_high_A2_per_ps: float | None = Field(None, description="Upper 95 % end.")
    labels: list[LabelSummary] = Field(
        default_factory=list,
        description="The newest run of each temperature and seed, hottest first.",
    )

    # Validation: molecular dynamics at several temperatures.
    validation_verdict: str | None = Field(
        None, description="confirmed, not_confirmed, melts or undecided."
    )
    validation_reason: str | None = Field(None, description="What decided, with numbers.")
    validation_temperature_K: float | None = Field(None, description="Temperature of the verdict.")
    conductivity_S_per_cm: float | None = Field(
        None, description="Conductivity at the temperature of the verdict, by the Arrhenius fit."
    )
    conductivity_low_S_per_cm: float | None = Field(
        None, description="Lower end of its 95 % interval."
    )
    conductivity_high_S_per_cm: float | None = Field(None, description="Upper end, or a bound.")
    activation_energy_eV: float | None = Field(None, description="Activation energy in eV.")
    activation_energy_error_eV: float | None = Field(None, description="Its standard error.")
    conductivity_300K_S_per_cm: float | None = Field(
        None, description="Conductivity at 300 K in S/cm, extrapolated."
    )
    conductivity_300K_low_S_per_cm: float | None = Field(
        None, description="Lower end of its 95 % interval."
    )
    conductivity_300K_high_S_per_cm: float | None = Field(None, description="Upper end.")

    # Ranking, among rows of one species, potential and set of settings; rows without a score come
    # last.
    ranking_settings: str = Field(
        default_factory=lambda row: row.get("settings_label", ""),
        description="Settings of the landscapes in the ranking that the row is in: its own; "
        "without a landscape, those of the largest ranking of its ion and potential.",
    )
    rank: int | None = Field(None, description="Rank by Xi, the published policy.")
    ranks: dict[str, int] = Field(
        default_factory=dict, description="Rank by each policy, from 1; see ``scores``."
    )
    scores: dict[str, float] = Field(
        default_factory=dict,
        description="What each policy ranks by; a policy that lacks something has none.",
    )
    percentiles: dict[str, dict[str, float]] = Field(
        default_factory=dict,
        description="For each policy whose score is a mean of percentiles, the percentile of each "
        "of its members.",
    )

    # Where it comes from.
    warnings: list[Warning_] = Field(description="What the user should know.")
    descriptors_uuid: str | None = Field(None, description="Job that made the descriptors.")
    descriptors_version: int | None = Field(
        None,
        description="Version of the rules by which barriers in one to three dimensions and the "
        "effective diffusivity are read from maps; None, too, in rows of before, which have 1.",
    )
    landscape_uuid: str | None = Field(
        None, description="Job that made the landscape; its arrays are in the store ``data``."
    )
    prediction_uuid: str | None = Field(None, description="Job that made the prediction.")
    label_uuid: str | None = Field(None, description="Job that made the label.")
    validation_uuid: str | None = Field(None, description="Job that made the validation.")
    runs: list[RunSummary] = Field(
        default_factory=list, description="All runs that belong to the row, oldest first."
    )
    n_runs: int = Field(description="Runs of this material, species and potential in the store.")
    last_updated: str = Field(description="Time of the newest run, ISO 8601, UTC.")

    @property
    def lacks_numbers(self) -> bool:
        """Whether the row is of a version that holds less than those of today."""
        version = tuple(int(part) for part in self.schema_version.split(".") if part.isdigit())
        return version < _COMPLETE_SINCE

    @property
    def ranked_among(self) -> tuple[str, str, str, str]:
        """Mobile species, potential, hash of its weights, settings: rows of the same are ranked."""
        named = self.mobile_species, self.potential, self.potential_weights_sha256
        return *named, self.ranking_settings

    @property
    def made_with(self) -> tuple[str, str, str, str]:
        """The same with the settings of its own landscape: what else than a material it is of."""
        return *self.ranked_among[:3], self.settings_label
