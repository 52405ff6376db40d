"""What is kept of a material that could not be computed."""

from pydantic import Field

from superionic import __version__
from superionic.schemas.document import SCHEMA_VERSION, Document


class FailureDocument(Document):
    """One material that failed, and why."""

    schema_version: str = Field(SCHEMA_VERSION, description="Version of the document's schema.")
    superionic_version: str = Field(__version__, description="Version of superionic.")
    key: str = Field(description="Task key, or the file's path when nothing could be read.")
    material_id: str = Field(description="Identifier of the material, or the file's name.")
    mobile_species: str | None = Field(
        None, description="Element symbol of the mobile ion; None for a file that cannot be read."
    )
    potential: str | None = Field(
        None, description="Family and name of the potential; None for such a file."
    )
    source: str = Field(description="File or database that the crystal came from.")
    code: str = Field(description="Stable name of the cause; failures are grouped by it.")
    message: str = Field(description="What is wrong.")
    hint: str = Field(description="What to do about it.")
    traceback: str | None = Field(None, description="Python traceback of an unexpected error.")
    last_updated: str = Field(description="Time of the failure, ISO 8601, UTC.")

    def concerns(self, mobile_species: str, potential: str) -> bool:
        """Say whether it is of work with an ion and a potential; what does not say is of any."""
        same_ion = self.mobile_species in (None, mobile_species)
        return same_ion and self.potential in (None, potential)
