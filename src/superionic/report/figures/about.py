"""Which material a figure is of."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from superionic.report.figures.style import formula_text

if TYPE_CHECKING:
    from superionic.schemas.analysis import AnalysisDocument
    from superionic.schemas.label import DiffusionDocument, LabelRow
    from superionic.schemas.screen import DescriptorsDocument, LandscapeDocument
    from superionic.schemas.screening import ScreeningDocument
    from superionic.schemas.validation import ValidationDocument

    Of: TypeAlias = (
        ScreeningDocument
        | LabelRow
        | DiffusionDocument
        | AnalysisDocument
        | DescriptorsDocument
        | LandscapeDocument
        | ValidationDocument
    )


@dataclass(frozen=True)
class About:
    """Name of a material, and under which potential which ion moves.

    Parameters
    ----------
    material_id, formula, mobile_species : str
        Of the material.
    potential : str
        Family and name.
    """

    material_id: str
    formula: str
    mobile_species: str
    potential: str

    @property
    def title(self) -> str:
        """Formula and identifier, as text without markup."""
        return f"{formula_text(self.formula)} ({self.material_id})"

    @classmethod
    def of(cls, document: "Of") -> "About":
        """Return what a document says of its material."""
        potential = document.potential
        return cls(
            material_id=document.material_id,
            formula=document.formula,
            mobile_species=document.mobile_species,
            potential=potential if isinstance(potential, str) else potential.label,
        )
