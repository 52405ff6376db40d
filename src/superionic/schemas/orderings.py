"""What ties a material to others: orderings of one disordered crystal, and further names."""

from typing import Any

from pydantic import Field

from superionic.schemas.document import Document


class Origins(Document):
    """What ties a material to others: the crystal that it is an ordering of, and its other names.

    Empty for most materials.
    """

    parent_id: str | None = Field(
        None, description="The disordered crystal that this is an ordering of."
    )
    ordering_index: int | None = Field(
        None, description="Which of its orderings, from 1, the lowest in Ewald energy first."
    )
    ordering_energy_eV: float | None = Field(
        None, description="Ewald energy of the ordering in eV/atom, above the lowest one."
    )
    aliases: list[str] = Field(
        default_factory=list, description="Other identifiers of the same crystal."
    )

    @classmethod
    def from_provenance(cls, provenance: dict[str, Any]) -> "Origins":
        """Return what a candidate's provenance says of it; files may hold other things there."""
        parent, index, energy_eV = (
            provenance.get(name) for name in ("parent_id", "ordering_index", "ordering_energy_eV")
        )
        aliases = str(provenance.get("aliases", "")).split(",")
        return cls(
            parent_id=parent if isinstance(parent, str) else None,
            ordering_index=index if isinstance(index, int) else None,
            ordering_energy_eV=energy_eV if isinstance(energy_eV, int | float) else None,
            aliases=[name for name in aliases if name],
        )


class Spread(Document):
    """A number of several orderings of one crystal; those that have none are left out."""

    n: int = Field(description="Orderings that have the number.")
    best: float = Field(description="The best of them: lowest barrier, highest Xi or slope.")
    mean: float = Field(description="Their mean.")
    spread: float = Field(description="Largest minus smallest.")


class OrderingsSummary(Document):
    """All computed orderings of one disordered crystal."""

    n_orderings: int = Field(description="Orderings with a result.")
    material_ids: list[str] = Field(description="Their identifiers, lowest Ewald energy first.")
    mpe_eV: Spread | None = Field(description="Published percolation barrier in eV.")
    barrier_3d_eV: Spread | None = Field(description="Barrier in three dimensions in eV.")
    xi: Spread | None = Field(description="Published ranking descriptor.")
    predicted_log10_msd_slope: Spread | None = Field(
        None, description="Logarithm of the slope that the force network predicts."
    )
