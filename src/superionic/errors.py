"""The exceptions that a user may see, and remarks, which stop nothing.

Every one of them says which material (or file, or setting) it is about, what is wrong and what to
do. ``code`` is stable and short: campaigns group failures by it.
"""

from dataclasses import dataclass
from typing import ClassVar, Self


class SuperionicError(Exception):
    """Base of all errors that superionic raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, with the numbers that show it.
    hint : str
        What the user can do about it.
    material_id : str or None
        The material concerned; prefixed to the text. It may be filled in later, by whoever knows
        it, with :meth:`for_material`.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "", material_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.material_id = material_id

    def __str__(self) -> str:
        text = f"{self.material_id}: {self.message}" if self.material_id else self.message
        return f"{text} {self.hint}".strip()

    def __reduce__(self) -> tuple:
        return _rebuild, (type(self), self.message, self.hint, self.material_id)

    def to_dict(self) -> dict[str, str | None]:
        """Return the parts, as FireWorks keeps them with a failed launch."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "material_id": self.material_id,
        }

    def for_material(self, material_id: str) -> Self:
        """Return this error, naming the material if none was named yet."""
        self.material_id = self.material_id or material_id
        return self


def _rebuild(
    cls: type[SuperionicError], message: str, hint: str, material_id: str | None
) -> SuperionicError:
    return cls(message, hint=hint, material_id=material_id)


@dataclass(frozen=True)
class Remark:
    """A warning that does not stop a computation and is stored with its result.

    Parameters
    ----------
    code : str
        Short and stable; tables group remarks by it.
    text : str
        One sentence for the user.
    """

    code: str
    text: str


class SettingsError(SuperionicError):
    """A setting, option or campaign file is wrong."""

    code = "settings"


class InputError(SuperionicError):
    """A material cannot be computed as it was given."""

    code = "input"


class UnreadableFileError(InputError):
    """A file is missing, empty, broken or of an unknown format."""

    code = "unreadable_file"


class UnwritableFileError(SuperionicError):
    """A file cannot be written: there is no room, or no right to."""

    code = "unwritable_file"


class NoCrystalsError(UnreadableFileError):
    """A file of a known format holds no crystals at all."""

    code = "no_crystals"


class FetchError(SuperionicError):
    """A database of crystals does not answer, refuses, or breaks off."""

    code = "fetch"


class NotACrystalError(InputError):
    """A molecule, or a cell without three periodic directions."""

    code = "not_a_crystal"


class NoMobileIonError(InputError):
    """The crystal does not hold the mobile species."""

    code = "no_mobile_ion"


class NoFrameworkError(InputError):
    """Nothing but the mobile species is there: no framework for it to move in."""

    code = "no_framework"


class UnknownElementError(InputError):
    """The potential was not trained on an element of the crystal."""

    code = "unknown_element"


class IsolatedAtomsError(InputError):
    """An atom has no neighbour that the potential sees."""

    code = "isolated_atoms"


class OverlappingAtomsError(InputError):
    """Two atoms lie closer than any bond."""

    code = "overlapping_atoms"


class DisorderError(InputError):
    """Partial occupancies cannot be ordered within the stated limits."""

    code = "disorder"


class CellTooLargeError(InputError):
    """The cell holds more atoms than the settings allow."""

    code = "cell_too_large"


class OtherVersionError(SuperionicError):
    """A job asks for the numbers of another version of superionic."""

    code = "other_version"


class PotentialError(SuperionicError):
    """A potential cannot be loaded or used."""

    code = "potential"


class PotentialNotFoundError(PotentialError):
    """The name is unknown, or the package or weights are not there."""

    code = "potential_not_found"


class PotentialNotAllowedError(PotentialError):
    """A file or a queued job names code that this site does not run."""

    code = "potential_not_allowed"


class OtherPotentialError(PotentialError):
    """A job asks for other weights, or another release, than are here under the same name."""

    code = "other_potential"


class SelfCheckError(PotentialError):
    """A potential loads but its energies, forces or invariances are wrong."""

    code = "potential_self_check"


class NonFiniteEnergyError(PotentialError):
    """A potential returned NaN or infinity."""

    code = "non_finite_energy"


class LandscapeError(SuperionicError):
    """A landscape cannot be computed."""

    code = "landscape"


class DiffusionError(SuperionicError):
    """A molecular-dynamics run or its analysis cannot go on."""

    code = "diffusion"


class DatabaseError(SuperionicError):
    """No database, or one that does not answer or refuses."""

    code = "database"


class NetworkError(SuperionicError):
    """A force network cannot be read, trained or used."""

    code = "network"


class TrainingError(SuperionicError):
    """A potential cannot be taught."""

    code = "training"


class FigureError(SuperionicError):
    """A figure cannot be drawn: data or a package are missing."""

    code = "figure"
