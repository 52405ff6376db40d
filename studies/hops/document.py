"""The document of a single hop."""

from typing import Literal

from pydantic import Field

from superionic.schemas.common import MaterialDocument, PotentialDocument


class HopDocument(MaterialDocument):
    """Barriers of one hop of one ion, by several methods with the same potential."""

    kind: Literal["hop"] = Field("hop", description="Kind of document.")
    potential: PotentialDocument = Field(description="Potential that gave the energies.")
    n_atoms: int = Field(description="Atoms in the cell.")
    hop_A: float = Field(description="Distance of start and end in A.")
    frozen_eV: float | None = Field(
        description="Barrier in the framework as given, above the lowest energy on the side of the "
        "start, in eV; None above the ceiling of the flood."
    )
    frozen_reverse_eV: float | None = Field(description="The same from the end.")
    frozen_core_s: float = Field(description="Core-seconds of the frozen barrier.")
    relaxed_eV: float | None = Field(
        None, description="Barrier in the framework relaxed with the ion at its start, in eV."
    )
    halfway_eV: float | None = Field(
        None,
        description="Lowest pass in the framework half-way between the two relaxed ends, above the "
        "energy of the relaxed start, in eV.",
    )
    band_eV: float | None = Field(
        None, description="Barrier of the nudged elastic band, all ions free, in eV."
    )
    band_reverse_eV: float | None = Field(None, description="The same from the end.")
    band_converged: bool | None = Field(None, description="Whether the band converged.")
    ends_differ_eV: float | None = Field(
        None, description="Energy of the relaxed end above that of the relaxed start, in eV."
    )
    max_displacement_A: float | None = Field(
        None, description="Largest displacement of another ion between the relaxed ends, in A."
    )
    n_energies: int = Field(description="Energies of the floods.")
    n_forces: int = Field(0, description="Force evaluations of relaxations and band.")
