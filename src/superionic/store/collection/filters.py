"""What can be asked of the screening collection: typed filters and the order of the rows.

A filter is a value of a type, and this module alone writes MongoDB criteria from it: no operator,
no expression and no regular expression of a client reaches the database.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from superionic import defaults
from superionic.errors import SettingsError
from superionic.schemas.indexes import SortField, rank_field
from superionic.schemas.screening import LARGEST_ELEMENT_SET, PARTS, Part, element_set

LONGEST_KEY = 4000
_LAST_CHARACTER = "\U0010ffff"

_FIELD_OF_PART = {
    "landscape": "xi",
    "prediction": "predicted_log10_msd_slope",
    "label": "label_verdict",
    "validation": "validation_verdict",
}
"""A field that a row has with each part."""


TEXT_FIELDS = frozenset({"key", "formula", "material_id", "last_updated"})
"""Fields that rows can be ordered by and that hold text; the others hold numbers."""


class LabelVerdict(StrEnum):
    """What molecular dynamics said."""

    diffusing = "diffusing"
    not_diffusing = "not_diffusing"
    melted = "melted"
    unconverged = "unconverged"


class ValidationVerdict(StrEnum):
    """What a validation said."""

    confirmed = "confirmed"
    not_confirmed = "not_confirmed"
    melts = "melts"
    undecided = "undecided"


def reduced_formula(text: str) -> str:
    """Return a formula as rows have it.

    Raises
    ------
    SettingsError
        When it is no formula.
    """
    from pymatgen.core import Composition

    try:
        return str(Composition(text).reduced_formula)
    except ValueError:
        raise SettingsError(f"{text!r} is not a formula.") from None


def _reduced(text: str) -> str:
    try:
        return reduced_formula(text)
    except (SettingsError, ArithmeticError, RecursionError):
        raise ValueError("this is no formula") from None


def _symbols(text: str) -> str:
    from pymatgen.core import Element

    for symbol in text.split(","):
        if not Element.is_valid_symbol(symbol):
            raise ValueError(f"{symbol} is no element")
    return text


Symbol = Annotated[str, Field(pattern=r"^[A-Z][a-z]?$")]
Symbols = Annotated[
    str, Field(pattern=r"^[A-Z][a-z]?(,[A-Z][a-z]?){0,9}$"), AfterValidator(_symbols)
]
Formula = Annotated[str, Field(pattern=r"^[A-Za-z0-9.()\[\]]{1,60}$"), AfterValidator(_reduced)]
EnergyeV = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Key = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_KEY,
        description="Key of a row: material, mobile species, potential and the first digits of the "
        "hash of its weights, joined by '|'.",
    ),
]


class Filters(BaseModel):
    """What rows must have; all of it must hold."""

    model_config = ConfigDict(extra="forbid")

    mobile_species: Symbol | None = Field(None, description="Mobile ion, such as Li.")
    potential: str | None = Field(
        None, min_length=1, max_length=LONGEST_KEY, description="Potential, such as chgnet:0.3.0."
    )
    settings: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_KEY,
        description="Settings of the landscapes, such as '0.25 A exact', or how they begin.",
    )
    all_rankings: bool = Field(
        False,
        description="Rows of all rankings; else of one: one mobile ion, one potential and one set "
        "of settings, of those that fit the one with the most rows.",
    )
    formula: Formula | None = Field(
        None, description="Formula; it is reduced, so Li2Cl2 finds LiCl."
    )
    elements: Symbols | None = Field(None, description="Elements that must be there: Li,S.")
    without_elements: Symbols | None = Field(None, description="Elements that must not be there.")
    material_id: str | None = Field(
        None, min_length=1, max_length=LONGEST_KEY, description="How the identifier begins."
    )
    min_barrier_eV: EnergyeV | None = Field(None, description="Smallest published barrier in eV.")
    max_barrier_eV: EnergyeV | None = Field(None, description="Largest published barrier in eV.")
    max_barrier_3d_eV: EnergyeV | None = Field(
        None, description="Largest barrier in three dimensions in eV."
    )
    min_xi: float | None = Field(None, ge=0, le=1, allow_inf_nan=False, description="Smallest Xi.")
    present: list[Part] = Field(
        default_factory=list, max_length=len(PARTS), description="Parts that must be there."
    )
    label_verdict: LabelVerdict | None = Field(
        None, description="What molecular dynamics must have said."
    )
    validation_verdict: ValidationVerdict | None = Field(
        None, description="What a validation must have said."
    )

    def criteria(self, *, by_element_sets: bool = False) -> dict[str, Any]:
        """Return the same as MongoDB criteria.

        Parameters
        ----------
        by_element_sets : bool
            Ask for several elements by the field ``element_sets``, whose index finds all of them at
            once. Rows of old versions lack it.
        """
        found: dict[str, Any] = {}
        wanted = [] if self.elements is None else list(dict.fromkeys(self.elements.split(",")))
        if by_element_sets and len(wanted) > 1:
            # The local server takes the first condition that has an index; this leaves few rows.
            found["element_sets"] = element_set(wanted[:LARGEST_ELEMENT_SET])
            wanted = wanted[LARGEST_ELEMENT_SET:]
        for name in ("mobile_species", "potential", "formula"):
            if (value := getattr(self, name)) is not None:
                found[name] = value
        for name in ("label_verdict", "validation_verdict"):
            if (value := getattr(self, name)) is not None:
                found[name] = value.value
        if self.material_id is not None:
            found["material_id"] = {
                "$gte": self.material_id,
                "$lt": self.material_id + _LAST_CHARACTER,
            }
        if self.without_elements is not None:
            found["elements"] = {"$nin": self.without_elements.split(",")}
        if wanted:
            one = len(wanted) == 1 and "elements" not in found
            every = {"$all": wanted}
            found["elements"] = wanted[0] if one else found.get("elements", {}) | every
        barrier = {"$gte": self.min_barrier_eV, "$lte": self.max_barrier_eV}
        if barrier := {name: value for name, value in barrier.items() if value is not None}:
            found["mpe_eV"] = barrier
        if self.max_barrier_3d_eV is not None:
            found["barrier_3d_eV"] = {"$lte": self.max_barrier_3d_eV}
        if self.min_xi is not None:
            found["xi"] = {"$gte": self.min_xi}
        parts = set(self.present)
        # A verdict is part of a part, for which there is an index.
        if self.label_verdict is not None:
            parts.add("label")
        if self.validation_verdict is not None:
            parts.add("validation")
        # The last part is the rarest; of the others the row has a value.
        for i, part in enumerate(sorted(parts, key=PARTS.index, reverse=True)):
            if i == 0:
                found["present"] = part
            else:
                found.setdefault(_FIELD_OF_PART[part], {"$ne": None})
        return found


@dataclass(frozen=True)
class Order:
    """How rows are ordered: by a field, nulls last, then by key.

    Parameters
    ----------
    field : str
        Path of the field.
    descending : bool
        Largest first.
    """

    field: str
    descending: bool = False


_SAME_ORDER = {
    ("xi", True): "rank",
    ("mpe_eV", False): "ranks.barrier",
    ("predicted_log10_msd_slope", True): "ranks.network",
}
"""Ranks that order rows of one species and potential as a field does; they have indexes."""


def order_of(sort: str, policy: str = defaults.POLICY, *, descending: bool, grouped: bool) -> Order:
    """Return the order that was asked for.

    Parameters
    ----------
    sort : str
        The field.
    policy : str
        Whose rank ``rank`` is.
    descending : bool
        Largest first.
    grouped : bool
        Whether all rows are of one species and potential, so that ranks order them all.
    """
    if sort == SortField.rank:
        return Order(rank_field(str(policy)), descending)
    if grouped and (rank := _SAME_ORDER.get((str(sort), descending))):
        return Order(rank)
    return Order(str(sort), descending)
