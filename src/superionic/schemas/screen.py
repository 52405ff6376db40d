"""Documents of the screening flow, in the order in which its jobs write them."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from superionic.schemas.common import (
    Crystal,
    Document,
    MaterialDocument,
    PackedArray,
    PotentialDocument,
)
from superionic.schemas.document import Interval, OrderingsSummary, Origins, Spread

if TYPE_CHECKING:
    from superionic.landscape.landscape import Landscape

__all__ = [
    "DescriptorIntervals",
    "DescriptorsDocument",
    "Interval",
    "LandscapeArrays",
    "LandscapeDocument",
    "LandscapePartDocument",
    "OrbitDocument",
    "OrderingsSummary",
    "Origins",
    "PointDocument",
    "PreparedDocument",
    "PriorDocument",
    "RelaxedDocument",
    "Spread",
]


class PreparedDocument(MaterialDocument):
    """A crystal made calculable."""

    kind: Literal["prepared"] = Field("prepared", description="Kind of document.")
    structure: Crystal = Field(description="Ordered crystal in the cell that is computed.")
    source: str = Field(description="File or database that the crystal came from.")
    provenance: dict = Field(description="What is known of its origin (licence, record keys).")
    formula_as_read: str = Field(description="Formula of the crystal as it was read.")
    steps: list[str] = Field(description="What preparation did, in order.")
    spacegroup_number: int = Field(description="International number of the space group.")
    spacegroup_symbol: str = Field(description="International symbol of the space group.")
    noisy: bool = Field(
        False,
        description="Whether the crystal as it was read has no symmetry and would have one within "
        "some tenths of an Angstrom, as files from dynamics.",
    )
    shortest_distances_A: dict[str, float] = Field(
        default_factory=dict,
        description="For each element the shortest distance in A of a mobile ion to another atom "
        "of it.",
    )


class RelaxedDocument(MaterialDocument):
    """A crystal at equilibrium under the potential, or near enough to be left alone."""

    kind: Literal["relaxed"] = Field("relaxed", description="Kind of document.")
    potential: PotentialDocument = Field(description="Potential that gave the forces.")
    structure: Crystal = Field(description="Crystal that the next steps use.")
    relaxed: bool = Field(description="Whether a relaxation was run.")
    relax_cell: bool = Field(description="Whether the cell was relaxed, too.")
    max_force_before_eV_per_A: float = Field(description="Largest force as prepared, in eV/A.")
    max_force_after_eV_per_A: float = Field(description="Largest force of the result, in eV/A.")
    max_displacement_A: float = Field(
        description="Largest displacement of an atom by the relaxation, in A."
    )
    n_steps: int = Field(description="Ionic steps of the relaxation.")
    symmetry_tolerance_A: float | None = Field(
        None, description="Tolerance in A within which a noisy crystal was symmetrised."
    )
    symmetrised_by_A: float | None = Field(
        None, description="How far an atom was moved for that at the most, in A."
    )


class OrbitDocument(Document):
    """One symmetry-irreducible mobile ion."""

    representative: int = Field(description="Site index of the ion that was moved.")
    members: list[int] = Field(description="Site indices of all equivalent ions.")
    minimum_eV: float = Field(description="Total energy of the minimum of its landscape, in eV.")
    rotations: list[list[list[int]]] = Field(
        description="For each member the rotation part, in fractional coordinates, of an operation "
        "that maps the representative onto it."
    )
    translations: list[list[float]] = Field(description="The translation parts.")
    fixing_rotations: list[list[list[int]]] = Field(
        default=[],
        description="Rotation parts of the operations that leave the representative where it is; "
        "empty in older documents.",
    )
    fixing_translations: list[list[float]] = Field(
        default=[], description="Their translation parts."
    )
    n_evaluated: int = Field(description="Grid points that are not excluded, equivalent ones too.")


class LandscapeArrays(Document):
    """Grids of one landscape; kept in the additional store ``data``."""

    energies_eV: list[PackedArray] = Field(
        description="For each orbit the landscape in eV relative to its minimum; excluded points "
        "hold the largest evaluated energy."
    )
    evaluated: list[PackedArray] = Field(
        description="For each orbit a mask of the points that are neither excluded nor "
        "interpolated nor learned."
    )
    drawn_columns: list[PackedArray] | None = Field(
        None,
        description="Of a learned landscape for each orbit and grid point the column of its drawn "
        "energies; -1 where it is certain.",
    )
    drawn_eV: list[PackedArray] | None = Field(
        None,
        description="Of a learned landscape for each orbit energies drawn from the posterior, in "
        "eV on the zero of the landscape, one row a map.",
    )


class LandscapePartDocument(MaterialDocument):
    """Energies of one part of a landscape that is spread over several jobs."""

    kind: Literal["landscape part"] = Field("landscape part", description="Kind of document.")
    potential: PotentialDocument = Field(description="Potential that gave the energies.")
    part: int = Field(description="Which part, from 0.")
    n_parts: int = Field(description="Number of parts.")
    grid_origin: list[float] | None = Field(
        None, description="Fractional coordinates of the grid's first point; None in older parts."
    )
    arrays: list[PackedArray] = Field(
        description="For each orbit total energies in eV of this part's points, in the additional "
        "store `data`."
    )


class PriorDocument(Document):
    """The landscape of another potential from which a landscape was refined.

    The crystal is the one of that landscape: at equilibrium under that potential.
    """

    potential: PotentialDocument = Field(description="Potential that gave it.")
    task_key: str = Field(description="Key of the work that gave it.")
    landscape_uuid: str | None = Field(description="Job that made it.")
    used: bool = Field(
        description="Whether the difference to it was learned; it is left out where what surrounds "
        "the ion explains the energies better."
    )


class PointDocument(MaterialDocument):
    """The energy of a crystal with one ion elsewhere: a single point of a landscape."""

    kind: Literal["point"] = Field("point", description="Kind of document.")
    potential: PotentialDocument = Field(description="What gave the energy.")
    point: int = Field(description="Which irreducible point of the landscape.")
    ion: int = Field(description="Site index of the ion that was moved.")
    position_A: list[float] = Field(description="Where it was moved to, in A.")
    energy_eV: float | None = Field(description="Total energy in eV; None where there is none.")
    failure: str | None = Field(None, description="Why there is none.")
    inputs_sha256: str = Field(
        description="SHA-256 of what the program was given: its input files, or the configuration "
        "and the settings."
    )
    program: str = Field(description="Program and version as it says itself, or its package's.")


class LandscapeDocument(MaterialDocument):
    """Frozen-framework landscapes of all mobile ions of a crystal."""

    kind: Literal["landscape"] = Field("landscape", description="Kind of document.")
    potential: PotentialDocument = Field(description="Potential that gave the energies.")
    structure: Crystal = Field(description="Crystal whose framework was frozen.")
    grid_shape: list[int] = Field(description="Grid points along each lattice vector.")
    grid_origin: list[float] = Field(description="Fractional coordinates of grid point (0, 0, 0).")
    spacegroup_number: int = Field(description="Its space group as found for the landscape.")
    spacegroup_symbol: str = Field(description="The international symbol.")
    n_operations: int = Field(description="Symmetry operations that were used.")
    ending: str | None = Field(
        None,
        description="Why a learned landscape took no more energies: settled (every interval as "
        "narrow as asked), budget, or exhausted (every point evaluated); None for others.",
    )
    prior: PriorDocument | None = Field(
        None, description="The landscape it was refined from; None where it stands by itself."
    )
    orbits: list[OrbitDocument] = Field(description="Symmetry-irreducible mobile ions.")
    arrays: LandscapeArrays = Field(description="Grids, in the additional store `data`.")

    @classmethod
    def from_landscape(cls, landscape: "Landscape", **fields: Any) -> "LandscapeDocument":
        """Return the document of a landscape.

        Parameters
        ----------
        landscape : Landscape
            What was computed.
        **fields
            The fields that the landscape does not know: those of :class:`MaterialDocument` and the
            potential.
        """
        orbits = [
            OrbitDocument(
                representative=one.orbit.representative,
                members=one.orbit.members,
                minimum_eV=one.minimum_eV,
                rotations=[op.rotation.tolist() for op in one.orbit.generators],
                translations=[op.translation.tolist() for op in one.orbit.generators],
                fixing_rotations=[op.rotation.tolist() for op in one.orbit.stabiliser],
                fixing_translations=[op.translation.tolist() for op in one.orbit.stabiliser],
                n_evaluated=int(one.evaluated.sum()),
            )
            for one in landscape.orbits
        ]
        drawn = [one.drawn for one in landscape.orbits if one.drawn is not None]
        return cls(
            **fields,
            structure=landscape.structure,
            mobile_species=landscape.mobile_species,
            grid_shape=list(landscape.grid.shape),
            grid_origin=list(landscape.grid.origin),
            spacegroup_number=landscape.space_group.number,
            spacegroup_symbol=landscape.space_group.symbol,
            n_operations=landscape.n_operations,
            wall_time_s=landscape.wall_time_s,
            n_evaluations=landscape.n_evaluations,
            ending=landscape.ending,
            orbits=orbits,
            arrays=LandscapeArrays(
                energies_eV=[PackedArray.pack(one.energies_eV) for one in landscape.orbits],
                evaluated=[PackedArray.pack(one.evaluated) for one in landscape.orbits],
                drawn_columns=[PackedArray.pack(one.column) for one in drawn] or None,
                drawn_eV=[PackedArray.pack(one.energies_eV) for one in drawn] or None,
            ),
        )

    def landscape(self) -> "Landscape":
        """Return the landscape, without the list of its space group's operations."""
        # Whoever reads documents need not compile kernels.
        from superionic.landscape.grid import Grid
        from superionic.landscape.landscape import Landscape, OrbitLandscape
        from superionic.landscape.results import DrawnMaps
        from superionic.landscape.symmetry import Operation, SiteOrbit, SpaceGroup

        shape = (self.grid_shape[0], self.grid_shape[1], self.grid_shape[2])
        origin = (self.grid_origin[0], self.grid_origin[1], self.grid_origin[2])
        drawn: list[DrawnMaps | None] = [None] * len(self.orbits)
        if self.arrays.drawn_columns is not None and self.arrays.drawn_eV is not None:
            drawn = [
                DrawnMaps(columns.unpack(), energies.unpack())
                for columns, energies in zip(
                    self.arrays.drawn_columns, self.arrays.drawn_eV, strict=True
                )
            ]
        orbits = []
        for one, energies, evaluated, other in zip(
            self.orbits, self.arrays.energies_eV, self.arrays.evaluated, drawn, strict=True
        ):
            stabiliser, generators = (
                [
                    Operation(np.array(rotation, dtype=np.int64), np.array(translation))
                    for rotation, translation in zip(rotations, translations, strict=True)
                ]
                for rotations, translations in (
                    (one.fixing_rotations, one.fixing_translations),
                    (one.rotations, one.translations),
                )
            )
            orbit = SiteOrbit(one.representative, stabiliser, one.members, generators)
            orbits.append(
                OrbitLandscape(orbit, energies.unpack(), evaluated.unpack(), one.minimum_eV, other)
            )
        return Landscape(
            structure=self.structure,
            mobile_species=self.mobile_species,
            grid=Grid(np.array(self.structure.lattice.matrix), shape, origin),
            orbits=orbits,
            space_group=SpaceGroup(self.spacegroup_number, self.spacegroup_symbol, []),
            n_operations=self.n_operations,
            n_evaluations=self.n_evaluations,
            wall_time_s=self.wall_time_s,
            ending=self.ending,
        )


class DescriptorIntervals(Document):
    """95 % intervals of the descriptors of a learned landscape, by the name of the descriptor."""

    mpe_eV: Interval = Field(description="Of the published percolation barrier, in eV.")
    mpe_per_ion_eV: list[Interval] = Field(description="The same for each mobile ion, in eV.")
    barrier_1d_eV: Interval = Field(description="Of the barrier in one dimension, in eV.")
    barrier_2d_eV: Interval = Field(description="Of the barrier in two dimensions, in eV.")
    barrier_3d_eV: Interval = Field(description="Of the barrier in three dimensions, in eV.")
    diffusivity_ratios_1000K: list[Interval] = Field(
        description="Of the principal values of the effective diffusivity at 1000 K."
    )
    xi: Interval = Field(description="Of the published ranking descriptor.")
    fv_connected_union: list[Interval] = Field(
        description="Of the connected free volume at each threshold, union of the ions."
    )
    fv_connected_sum: list[Interval] = Field(description="The same, sum over the ions.")
    fv_disconnected_union: list[Interval] = Field(
        description="Of the disconnected free volume at each threshold, union of the ions."
    )
    fv_disconnected_sum: list[Interval] = Field(description="The same, sum over the ions.")
    free_volume_A3_per_ion: list[Interval] = Field(
        description="Of the disconnected free volume, mean over the mobile ions, in A^3."
    )


class DescriptorsDocument(MaterialDocument, Origins):
    """Descriptors of one material's landscape: the result of the screening flow."""

    kind: Literal["descriptors"] = Field("descriptors", description="Kind of document.")
    potential: PotentialDocument = Field(description="Potential that gave the energies.")
    source: str = Field("", description="File or database that the crystal came from.")
    n_atoms: int = Field(description="Atoms in the cell.")
    n_mobile: int = Field(description="Mobile ions in the cell.")
    elements: list[str] = Field(description="Elements of the crystal.")
    chemical_system: str = Field(description="Elements in alphabetical order, joined by hyphens.")
    volume_A3: float = Field(description="Volume of the cell in A^3.")
    relaxed: bool = Field(description="Whether the crystal was relaxed before the landscape.")
    mpe_eV: float | None = Field(
        description="Published percolation barrier in eV: lowest level at which an ion reaches a "
        "face of the two-cell window round its minimum; None if it never does."
    )
    mobile_sites: list[int] = Field(description="Site indices of the mobile ions.")
    mpe_per_ion_eV: list[float | None] = Field(description="The barrier of each of them, in eV.")
    barrier_1d_eV: float | None = Field(
        description="Percolation barrier in one dimension on the shared periodic map, in eV."
    )
    barrier_2d_eV: float | None = Field(description="The same in two dimensions, in eV.")
    barrier_3d_eV: float | None = Field(description="The same in three dimensions, in eV.")
    diffusivity_ratios_1000K: list[float] | None = Field(
        None,
        description="Principal values, ascending, of the effective diffusivity at 1000 K on that "
        "map, relative to a flat one; None in documents of before.",
    )
    fv_connected: float = Field(description="Connected free volume at 0.5 eV, union of the ions.")
    fv_disconnected: float = Field(
        description="Disconnected free volume at 0.5 eV, union of the ions, fraction of the cell."
    )
    xi: float = Field(description="Published ranking descriptor at 0.5 eV, 0 to 1.")
    thresholds_eV: list[float] = Field(description="Thresholds of the free volumes, in eV.")
    fv_connected_union: list[float] = Field(description="Connected free volume, union.")
    fv_connected_sum: list[float] = Field(description="Connected free volume, sum over ions.")
    fv_disconnected_union: list[float] = Field(description="Disconnected free volume, union.")
    fv_disconnected_sum: list[float] = Field(description="Disconnected free volume, sum.")
    free_volume_A3_per_ion: list[float] = Field(
        description="Disconnected free volume, mean over the mobile ions, in A^3."
    )
    intervals: DescriptorIntervals | None = Field(
        None, description="95 % intervals, where the landscape is learned; None elsewhere."
    )
    ending: str | None = Field(
        None,
        description="Why a learned landscape took no more energies: settled, budget or exhausted.",
    )
    prior: PriorDocument | None = Field(
        None, description="The landscape it was refined from; None where it stands by itself."
    )
    descriptors_version: int = Field(
        1,
        description="Version of the rules by which barriers in one to three dimensions and the "
        "effective diffusivity are read from the maps.",
    )
    landscape_uuid: str | None = Field(description="uuid of the job that made the landscape.")
    total_wall_time_s: float = Field(description="Wall time of all jobs of the flow, in s.")
