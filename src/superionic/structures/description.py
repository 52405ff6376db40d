"""What was read of a crystal, in numbers that its owner can check."""

from dataclasses import dataclass

import numpy as np
from pymatgen.core import Structure

from superionic.structures.candidate import Candidate
from superionic.structures.prepare import PrepareSettings, prepare

_REACHES_A = (4.0, 8.0, 16.0)


@dataclass(frozen=True)
class Description:
    """A crystal as it was read, and what preparation makes of it.

    Parameters
    ----------
    material_id : str
        Identifier.
    mobile_species : str
        Element of the mobile ion.
    formula_as_read : str
        Formula of the cell as it was read.
    formula : str
        Reduced formula of the crystal that is computed.
    spacegroup : str
        Its space group.
    n_atoms : int
        Atoms in the cell that is computed.
    shortest_distances_A : dict of str to float
        For each element the shortest distance in A of a mobile ion to another atom of it.
    changes : tuple of str
        What readers and preparation remarked and changed, in words.
    source : str
        File or database that it came from.
    """

    material_id: str
    mobile_species: str
    formula_as_read: str
    formula: str
    spacegroup: str
    n_atoms: int
    shortest_distances_A: dict[str, float]
    changes: tuple[str, ...]
    source: str

    @property
    def ion_and_distances(self) -> str:
        """Return the ion and its distances as text, the shortest first."""
        distances = ", ".join(f"{el} {r:.2f}" for el, r in self.shortest_distances_A.items())
        return f"{self.mobile_species}: {distances}"


def describe(
    candidate: Candidate, mobile_species: str, settings: PrepareSettings | None = None
) -> Description:
    """Return what was read of a candidate; nothing is computed but its preparation.

    Parameters
    ----------
    candidate : Candidate
        The crystal.
    mobile_species : str
        Element of the mobile ion.
    settings : PrepareSettings, optional
        How it is made calculable.

    Raises
    ------
    InputError
        When it cannot be.
    """
    prepared = prepare(candidate, mobile_species, settings)
    said = [remark.text for remark in prepared.warnings]
    return Description(
        material_id=candidate.material_id,
        mobile_species=prepared.mobile_species,
        formula_as_read=candidate.structure.composition.formula,
        formula=prepared.formula,
        spacegroup=prepared.spacegroup_symbol,
        n_atoms=len(prepared.structure),
        shortest_distances_A=shortest_distances(prepared.structure, prepared.mobile_species),
        changes=tuple(dict.fromkeys([*prepared.steps, *said])),
        source=candidate.source,
    )


def shortest_distances(structure: Structure, element: str) -> dict[str, float]:
    """Return, for each element, the shortest distance in A of an ion to another atom of it.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        An ordered crystal.
    element : str
        The ion; its own periodic images count as other atoms.

    Returns
    -------
    dict of str to float
        The nearest element first; elements farther than 16 A are left out.
    """
    symbols = np.array([site.specie.symbol for site in structure])
    found: dict[str, float] = {}
    for reach_A in _REACHES_A:
        centres, others, _, lengths_A = structure.get_neighbor_list(reach_A)
        near = symbols[centres] == element
        for other in sorted(set(symbols)):
            to_other = lengths_A[near & (symbols[others] == other)]
            if to_other.size:
                found.setdefault(str(other), float(to_other.min()))
        if len(found) == len(set(symbols)):
            break
    return dict(sorted(found.items(), key=lambda item: item[1]))
