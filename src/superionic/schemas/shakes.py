"""A shaken crystal and the accelerations that answered."""

from typing import Any, Literal

import numpy as np
from pydantic import Field

from superionic.network.shakes import Shakes
from superionic.potentials.base import PotentialInfo
from superionic.schemas.common import (
    Crystal,
    Document,
    PackedArray,
    PotentialDocument,
    SourcedDocument,
)


class ShakesArrays(Document):
    """Arrays of a shaken crystal; kept in the additional store ``data``."""

    cell_A: PackedArray = Field(description="Vectors of the supercell as rows, (3, 3), in A.")
    positions_A: PackedArray = Field(
        description="Displaced positions, (n_shakes, n_atoms, 3), in A."
    )
    accelerations_A_per_ps2: PackedArray = Field(
        description="Force over mass, that of the undisplaced crystal subtracted, "
        "(n_shakes, n_atoms, 3), in A/ps^2."
    )


class ShakesDocument(SourcedDocument):
    """Random displacements of a crystal's atoms, and the accelerations that answer.

    Nothing in it depends on the network that reads it: ``task_key`` is the same for all networks
    that were trained on shakes of the same settings.
    """

    kind: Literal["shakes"] = Field("shakes", description="Kind of document.")
    potential: PotentialDocument = Field(description="Potential that gave the forces.")
    structure: Crystal = Field(
        description="Undisplaced crystal, from which the supercell was made."
    )
    relaxed: bool = Field(description="Whether the crystal was relaxed before.")
    n_supercell_atoms: int = Field(description="Atoms in the supercell that was shaken.")
    n_shakes: int = Field(description="Random displacements of the crystal (shakes).")
    seed: int = Field(description="Seed of the displacements.")
    amplitudes_A: list[float] = Field(
        description="Root mean square length of an atom's displacement in each shake, in A (of "
        "an atom of 7 u, where it depends on the mass)."
    )
    mass_exponent: float = Field(
        0.0, description="Displacements are proportional to mass ** -mass_exponent."
    )
    residual_force_eV_per_A: float = Field(
        description="Largest force on an atom of the undisplaced crystal, in eV/A; subtracted."
    )
    max_acceleration_A_per_ps2: float = Field(
        description="Largest acceleration of an atom in any shake, in A/ps^2; none is left out."
    )
    n_evaluations_before: int = Field(
        description="Force evaluations that brought the crystal to rest."
    )
    total_wall_time_s: float = Field(
        description="Wall time of preparation, relaxation and shakes in s."
    )
    arrays: ShakesArrays = Field(description="Arrays, in the additional store `data`.")

    @classmethod
    def from_shakes(cls, shakes: Shakes, **fields: Any) -> "ShakesDocument":
        """Return the document of a shaken crystal.

        Parameters
        ----------
        shakes : Shakes
            What was computed.
        **fields
            The fields that the shakes do not know: the crystal, its origin, key and times.
        """
        accelerations = shakes.accelerations_A_per_ps2
        return cls(
            **fields,
            potential=PotentialDocument.from_info(shakes.potential),
            n_supercell_atoms=accelerations.shape[1],
            n_shakes=len(shakes),
            seed=shakes.seed,
            amplitudes_A=shakes.amplitudes_A.tolist(),
            mass_exponent=shakes.mass_exponent,
            residual_force_eV_per_A=shakes.residual_force_eV_per_A,
            max_acceleration_A_per_ps2=float(np.linalg.norm(accelerations, axis=2).max()),
            n_evaluations=shakes.n_evaluations,
            arrays=ShakesArrays(
                cell_A=PackedArray.pack(shakes.cell_A),
                positions_A=PackedArray.pack(shakes.positions_A),
                accelerations_A_per_ps2=PackedArray.pack(accelerations),
            ),
        )

    def shakes(self) -> Shakes:
        """Return the shaken crystal."""
        return Shakes(
            cell_A=self.arrays.cell_A.unpack(),
            positions_A=self.arrays.positions_A.unpack(),
            accelerations_A_per_ps2=self.arrays.accelerations_A_per_ps2.unpack(),
            amplitudes_A=np.array(self.amplitudes_A),
            mass_exponent=self.mass_exponent,
            residual_force_eV_per_A=self.residual_force_eV_per_A,
            n_evaluations=self.n_evaluations,
            seed=self.seed,
            potential=PotentialInfo(**self.potential.model_dump()),
        )
