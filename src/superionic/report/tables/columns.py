"""Columns of the ranking on pages: what each is called and is, in the report and in the browser."""

from dataclasses import dataclass

from superionic.schemas.indexes import SortField


@dataclass(frozen=True)
class Column:
    """One column of the ranking.

    Parameters
    ----------
    key : str
        The field of a row; ``rank`` and ``score`` are those by a policy.
    title, help : str
        Heading with its unit, and what it is.
    is_number : bool
        Whether it sorts as a number.
    is_minor : bool
        Whether narrow screens leave it out.
    largest_first : bool
        Whether the largest is what one looks for.
    """

    key: str
    title: str
    help: str
    is_number: bool = True
    is_minor: bool = False
    largest_first: bool = False

    @property
    def is_indexed(self) -> bool:
        """Whether a database sorts by it."""
        return self.key in SortField.__members__


COLUMNS = {
    one.key: one
    for one in (
        Column("rank", "rank", "by the policy"),
        Column("formula", "formula", "reduced formula", False),
        Column("material_id", "identifier", "of the material", False),
        Column("mobile_species", "ion", "the mobile ion", False, is_minor=True),
        Column("potential", "potential", "that gave the energies", False, is_minor=True),
        Column("score", "score", "what the policy ranks by"),
        Column("xi", "Xi", "published descriptor, 0 to 1", largest_first=True),
        Column("mpe_eV", "barrier (eV)", "published percolation barrier"),
        Column("barrier_3d_eV", "3D barrier (eV)", "in three dimensions", is_minor=True),
        Column("fv_connected", "fv conn.", "share of space in reach below 0.5 eV", is_minor=True),
        Column("fv_disconnected", "fv disc.", "share of space below 0.5 eV", is_minor=True),
        Column(
            *("free_volume_2eV_A3_per_ion", "free volume (Å³/ion)", "below 2 eV, per mobile ion"),
            is_minor=True,
        ),
        Column(
            *("predicted_log10_msd_slope", "network"),
            "log10 of the MSD slope at 1000 K in Å²/ps that the force network predicts, 95 %",
            is_minor=True,
            largest_first=True,
        ),
        Column("label_verdict", "dynamics", "verdict of molecular dynamics", False, is_minor=True),
        Column(
            *("msd_slope_A2_per_ps", "MSD slope (Å²/ps)", "of the run nearest to 1000 K, 95 %"),
            is_minor=True,
            largest_first=True,
        ),
        Column("validation_verdict", "validated", "verdict of the validation", False, True),
        Column("activation_energy_eV", "Eₐ (eV)", "activation energy", is_minor=True),
        Column("warnings", "warnings", "their codes", False, is_minor=True),
    )
}
"""All of them, by their keys."""

BROWSED = tuple(
    COLUMNS[key]
    for key in (
        *("rank", "formula", "material_id", "mobile_species", "score", "mpe_eV", "barrier_3d_eV"),
        *("fv_connected", "fv_disconnected", "xi", "predicted_log10_msd_slope", "label_verdict"),
        *("msd_slope_A2_per_ps", "validation_verdict", "warnings"),
    )
)
"""Those of the table that the server shows."""
