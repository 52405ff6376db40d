"""Indexes of the screening collection: what rankings and the columns of the page are sorted by.

The first page of a ranking is a range of ranks, which every server finds by an index; sorting by
``key`` where ranks are equal is why the indexes of ranks have both. The database makes them;
rankings and pages ask by them.
"""

from enum import StrEnum


class PolicyName(StrEnum):
    """Ranking policies."""

    xi = "xi"
    barrier = "barrier"
    free_volume = "free_volume"
    network = "network"
    consensus = "consensus"
    calibrated = "calibrated"
    conductivity = "conductivity"


POLICY_NAMES = tuple(one.value for one in PolicyName)
"""Names of the policies, the published one first."""


def rank_field(policy: str) -> str:
    """Return the field of a row that holds its rank by a policy."""
    return "rank" if policy == "xi" else f"ranks.{policy}"


class SortField(StrEnum):
    """What rows can be sorted by."""

    rank = "rank"
    formula = "formula"
    material_id = "material_id"
    last_updated = "last_updated"
    xi = "xi"
    mpe_eV = "mpe_eV"
    barrier_3d_eV = "barrier_3d_eV"
    fv_connected = "fv_connected"
    fv_disconnected = "fv_disconnected"
    predicted_log10_msd_slope = "predicted_log10_msd_slope"
    msd_slope_A2_per_ps = "msd_slope_A2_per_ps"
    conductivity_S_per_cm = "conductivity_S_per_cm"


SORTED_BY = ("rank", *(f"ranks.{name}" for name in POLICY_NAMES if name != "xi"))
"""Fields that hold ranks: by Xi, and by the other policies."""

SCREENING_INDEXES: tuple[tuple[str, ...], ...] = (
    ("material_id",),
    ("formula",),
    ("elements",),
    ("element_sets",),
    ("mobile_species", "potential"),
    ("mpe_eV",),
    ("barrier_3d_eV",),
    ("xi",),
    ("fv_connected",),
    ("fv_disconnected",),
    ("predicted_log10_msd_slope",),
    ("present",),
    ("last_updated",),
    *((name, "key") for name in SORTED_BY),
)
"""Fields of each index, all ascending; each costs at every write."""
