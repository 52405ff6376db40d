"""Indexes of the screening collection that the first page of each ranking needs.

Sorting is by one field and then by ``key``, so each index has both. It imports nothing, since the
database reads it.
"""

POLICY_NAMES = ("xi", "barrier", "free_volume", "network", "consensus", "calibrated")
"""Names of the policies, the published one first."""

SORTED_BY = ("rank", *(f"ranks.{name}" for name in POLICY_NAMES if name != "xi"))
"""Fields that hold ranks: by Xi, and by the other policies."""

SCREENING_INDEXES: tuple[tuple[str, ...], ...] = (
    ("material_id",),
    ("formula",),
    ("elements",),
    ("mobile_species", "potential"),
    ("last_updated", "key"),
    ("mpe_eV", "key"),
    ("xi", "key"),
    ("predicted_log10_msd_slope", "key"),
    *((name, "key") for name in SORTED_BY),
)
"""Fields of each index, all ascending."""
