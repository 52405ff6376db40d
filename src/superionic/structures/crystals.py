"""Crystals as people have them: structures, atoms, files, documents with a structure in them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from ase import Atoms
from pymatgen.core import Structure

from superionic.errors import InputError
from superionic.structures.candidate import Candidate, structure_hash
from superionic.structures.checks import check_crystal
from superionic.structures.readers import nobody, read_candidates

Crystal: TypeAlias = Candidate | Structure | Atoms | str | Path
"""What can be computed: also anything that has a ``structure``, such as an entry of pymatgen."""

_ID_KEYS = ("material_id", "id", "entry_id", "task_id")
_HINT = "Give a Structure, Atoms, a file, or an object with a 'structure'."


def as_candidate(
    crystal: Any,
    material_id: str | None = None,
    *,
    source: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> Candidate:
    """Return one crystal with its name.

    Parameters
    ----------
    crystal : Structure, Atoms, str, Path or Candidate
        The crystal, a file with one, or an object with a ``structure`` such as a
        ``ComputedStructureEntry`` or a task document of atomate2.
    material_id : str, optional
        Its identifier. By default that of the file, of ``structure.properties`` or of
        ``atoms.info`` (``material_id``), else its formula with the start of its hash.
    source : str
        Where it came from.
    provenance : mapping, optional
        What else is known of its origin.

    Raises
    ------
    InputError
        When it is no crystal, or a file holds none or several.

    Examples
    --------
    >>> from pymatgen.core import Lattice
    >>> sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.1), ["Li", "Cl"], sites)
    >>> as_candidate(salt).material_id
    'LiCl-...'
    >>> as_candidate(salt, "mp-22905").material_id
    'mp-22905'
    """
    if isinstance(crystal, Candidate):
        found = crystal
    elif isinstance(crystal, str | Path):
        found = _only(Path(crystal))
    else:
        found = _of_object(crystal)
    changes: dict[str, Any] = {"material_id": material_id} if material_id else {}
    if source:
        changes["source"] = source
    if provenance:
        changes["provenance"] = {**found.provenance, **provenance}
    return replace(found, **changes) if changes else found


def read_structures(crystals: "Crystal | Sequence[Crystal]") -> dict[str, Structure]:
    """Read crystals as ``superionic screen`` does, each under its identifier.

    Parameters
    ----------
    crystals : path, Structure, Atoms, or a sequence of them
        Files and folders: CIF, POSCAR, extended XYZ, pymatgen JSON, JSON lines.

    Raises
    ------
    InputError
        The first crystal that cannot be read.

    Examples
    --------
    >>> import superionic as si
    >>> si.read_structures("workflows/example_crystals/mp-22899.cif")["mp-22899"].formula
    'Li4 I4'
    """
    found = {}
    for one in each_candidate(crystals):
        if isinstance(one, InputError):
            raise one
        found[one.material_id] = one.structure
    return found


def each_candidate(
    crystals: Any, passed_over: Callable[[str], None] = nobody
) -> Iterator[Candidate | InputError]:
    """Yield a candidate or an error for each crystal, whatever form it has.

    Parameters
    ----------
    crystals : path, Structure, Atoms, Candidate, or a sequence of them
        Files and folders give all that they hold. Identifiers are unique, as in
        :func:`~superionic.structures.readers.read_candidates`.
    passed_over : callable
        Hears of files in folders that gave no crystal.
    """
    items = list(crystals) if is_several(crystals) else [crystals]
    paths = [Path(item) for item in items if isinstance(item, str | Path)]
    given = [item for item in items if not isinstance(item, str | Path)]
    if paths:
        yield from read_candidates(paths, passed_over)
    hashes: dict[str, str] = {}
    for item in given:
        try:
            candidate = as_candidate(item)
        except InputError as error:
            yield error
            continue
        digest = structure_hash(candidate.structure)
        if hashes.setdefault(candidate.material_id, digest) != digest:
            name = f"{candidate.material_id}-{digest[:6]}"
            candidate = replace(candidate, material_id=name)
            hashes[name] = digest
        yield candidate


def is_several(value: Any) -> bool:
    """Return whether a value holds crystals; a structure and ASE's atoms are sequences of sites."""
    return isinstance(value, Sequence | Iterator) and not isinstance(value, str | Structure | Atoms)


def _only(path: Path) -> Candidate:
    found = list(read_candidates([path]))
    for one in found:
        if isinstance(one, InputError):
            raise one
    if len(found) != 1 or not isinstance(found[0], Candidate):
        raise InputError(
            f"{path} holds {len(found)} crystals.",
            hint="Name a file with one; si.screen and 'superionic screen' take many.",
        )
    return found[0]


def _of_object(crystal: Any) -> Candidate:
    if isinstance(crystal, Atoms):
        # pymatgen would take the calculator's results along.
        from pymatgen.io.ase import AseAtomsAdaptor  # takes long

        bare = Atoms(crystal.numbers, crystal.positions, cell=crystal.cell, pbc=crystal.pbc)
        structure, known = AseAtomsAdaptor.get_structure(bare), crystal.info
    elif isinstance(crystal, Structure):
        structure, known = crystal, crystal.properties
    else:
        structure = getattr(crystal, "structure", None)
        if not isinstance(structure, Structure):
            raise InputError(
                f"An object of type {type(crystal).__name__} is no crystal.", hint=_HINT
            )
        known = {key: getattr(crystal, key, None) for key in _ID_KEYS} | {
            key: value for key, value in structure.properties.items() if value is not None
        }
    check_crystal(structure)
    name = next((str(known[key]) for key in _ID_KEYS if known.get(key)), None)
    if name is None:
        formula = structure.composition.reduced_formula
        name = f"{formula}-{structure_hash(structure)[:6]}"
    return Candidate(name, structure)
