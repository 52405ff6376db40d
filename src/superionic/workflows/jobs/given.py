"""What documents say of a crystal that a job was given as a plain structure."""

from typing import Any

from pymatgen.core import Structure

from superionic.schemas.document import digest
from superionic.schemas.screen import PreparedDocument
from superionic.structures.candidate import structure_hash
from superionic.structures.crystals import as_candidate
from superionic.structures.prepare import PrepareSettings
from superionic.structures.species import parse_mobile_species
from superionic.workflows.jobs.prepare import PrepareMaker


def about_structure(
    structure: Structure,
    mobile_species: str,
    settings: Any,
    material_id: str | None = None,
) -> dict[str, Any]:
    """Return the identity of the material and of the work.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        The crystal.
    mobile_species : str
        Element symbol of the mobile ion.
    settings : object
        All that changes numbers, as keys hold it (:func:`~superionic.workflows.keys.key_fields`).
    material_id : str, optional
        Its identifier; by default the formula.
    """
    formula = structure.composition.reduced_formula
    return {
        "material_id": material_id or formula,
        "formula": formula,
        "mobile_species": mobile_species,
        "task_key": digest([structure_hash(structure), mobile_species, settings]),
    }


def as_prepared(
    crystal: Any, mobile_species: str, settings: Any, material_id: str | None = None
) -> PreparedDocument:
    """Return a crystal that no job has prepared as a prepared one, in the cell that it has.

    Parameters
    ----------
    crystal : Structure, or an object with a structure
        The crystal.
    mobile_species : str
        The mobile ion.
    settings : object
        All that changes numbers, in plain types.
    material_id : str, optional
        Its identifier.

    Raises
    ------
    InputError
        When it is no crystal.
    """
    candidate = as_candidate(crystal, material_id)
    ion = parse_mobile_species(mobile_species).element
    about = about_structure(candidate.structure, ion, settings, candidate.material_id)
    maker = PrepareMaker(settings=PrepareSettings(primitive=False))
    prepared: PreparedDocument = PrepareMaker.make.original(
        maker,
        candidate.structure,
        candidate.material_id,
        ion,
        about["task_key"],
        source=candidate.source,
        provenance=candidate.provenance,
    )
    return prepared
