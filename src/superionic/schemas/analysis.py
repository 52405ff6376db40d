"""Document of the analysis of a trajectory that the user brings."""

from typing import Any, Literal

from pydantic import Field

from superionic import __version__
from superionic.schemas.common import SCHEMA_VERSION, Warning_
from superionic.schemas.label import DiffusionFindings


class AnalysisDocument(DiffusionFindings):
    """What a trajectory of any program says of the diffusion of an ion."""

    kind: Literal["analysis"] = Field("analysis", description="Kind of document.")
    schema_version: str = Field(SCHEMA_VERSION, description="Version of the document's schema.")
    superionic_version: str = Field(__version__, description="Version of superionic.")
    material_id: str = Field(description="Name of the file or folder of the trajectory.")
    formula: str = Field(description="Reduced formula.")
    mobile_species: str = Field(description="Element symbol of the mobile ion.")
    structure: dict[str, Any] = Field(
        description="The first frame: lattice (A), species, frac_coords."
    )
    n_atoms: int = Field(description="Atoms in the cell.")
    temperature_K: float | None = Field(
        description="Temperature as given, in K; without one there are no conductivities."
    )
    charge_e: float = Field(description="Charge of the mobile ion in elementary charges.")
    n_frames: int = Field(description="Frames analysed.")
    frame_interval_ps: float = Field(description="Time between frames in ps.")
    skipped_ps: float = Field(description="Time left out at the start, in ps.")
    settings: dict[str, Any] = Field(description="Rules of slope and verdict.")
    warnings: list[Warning_] = Field(default_factory=list, description="What the user should know.")

    @property
    def potential(self) -> str:
        """What gave the forces is not known."""
        return "trajectory"

    @property
    def stop_reason(self) -> str:
        """How a run ended is not known."""
        return "not known"
