"""Indexes of the screening collection: what rankings and the columns of the page are sorted by.

The first page of a ranking is a range of ranks, which every server finds by an index; sorting by
``key`` where ranks are equal is why the indexes of ranks have both. The database makes them;
rankings and pages ask by them.
"""

POLICY_NAMES = ("xi", "barrier", "free_volume", "network", "consensus", "calibrated")
"""Names of the policies, the published one first."""


def rank_field(policy: str) -> str:
    """Return the field of a row that holds its rank by a policy."""
    return "rank" if policy == "xi" else f"ranks.{policy}"


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
