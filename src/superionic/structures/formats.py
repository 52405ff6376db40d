"""The file formats: from the text of a file to its records.

A reader yields one record for each crystal it finds, or for each that it cannot read. It raises
when the text as a whole makes no sense.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymatgen.core import Composition, Lattice, Structure

from superionic.errors import NotACrystalError, UnreadableFileError
from superionic.structures.checks import check_lattice, check_number_of_sites
from superionic.structures.plain import plain_text
from superionic.structures.remark import Remark

if TYPE_CHECKING:
    from ase import Atoms

ID_KEYS = ("material_id", "id", "entry_id", "mat_id", "jid", "task_id")
"""Where a record's own identifier is looked for, in this order."""

_MAX_OCCUPANCY = 1.02
_FORMULA_MISMATCH = 0.10
_FORMULA_REMARK = 0.01
_HARMLESS = ("Issues encountered", "No _symmetry_equiv_pos_as_xyz", "rounded to ideal values")


@dataclass(frozen=True)
class Record:
    """One crystal of a file.

    Parameters
    ----------
    label : str
        What tells it from the others of its file, such as ``3``.
    content : pymatgen.core.Structure or Exception
        The crystal, or why there is none.
    material_id : str or None
        The record's own id.
    provenance : dict
        What else the record says of its origin.
    remarks : tuple of Remark
        Warnings of the parser.
    """

    label: str
    content: Structure | Exception
    material_id: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


def read_cif(text: str) -> Iterator[Record]:
    """Yield the crystal of each data block that has a cell.

    Raises
    ------
    UnreadableFileError
        When no block has one.
    """
    blocks = [b for b in re.split(r"(?im)^(?=data_)", text) if "_cell_length_a" in b.lower()]
    if not blocks:
        raise UnreadableFileError(
            "The file holds no unit cell.", hint="It may be cut short; export the CIF again."
        )
    for block in blocks:
        label = block.split(maxsplit=1)[0].removeprefix("data_") or "block"
        try:
            structure, remarks = _cif_structure(block)
        except Exception as error:  # parsers raise whatever they like on bad input
            yield Record(label, error)
        else:
            yield Record(label, structure, remarks=remarks)


def _cif_structure(block: str) -> tuple[Structure, tuple[Remark, ...]]:
    from pymatgen.io.cif import CifParser

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        parser = CifParser.from_str(block, occupancy_tolerance=_MAX_OCCUPANCY)
        structures = parser.parse_structures(primitive=False, on_error="raise")
    texts = [*parser.warnings, *(str(w.message) for w in caught if w.category is UserWarning)]
    texts = [" ".join(t.split()) for t in texts if not any(h in t for h in _HARMLESS)]
    remarks = [Remark("cif", t) for t in dict.fromkeys(texts)]
    data = next(iter(parser.as_dict().values()))
    remarks += _check_formula(data.get("_chemical_formula_sum"), structures[0].composition)
    return structures[0], tuple(remarks)


def _check_formula(stated: Any, found: Composition) -> list[Remark]:
    """Compare the formula that a CIF states with its atoms: a file that is cut short lacks some.

    Raises
    ------
    UnreadableFileError
        When an element of the formula is missing or fractions differ by more than 10 %.
    """
    try:
        expected = Composition(stated)
    except Exception:  # an absent or fanciful formula says nothing
        return []
    if not expected:
        return []
    atoms = found.element_composition
    expected = expected.element_composition
    missing = sorted(el.symbol for el in expected if atoms[el] == 0)
    difference = 0.5 * sum(
        abs(expected.get_atomic_fraction(el) - atoms.get_atomic_fraction(el))
        for el in {*expected, *atoms}
    )
    text = (
        f"The stated formula is {expected.reduced_formula}, the atoms make {atoms.reduced_formula}"
    )
    if missing or difference > _FORMULA_MISMATCH:
        raise UnreadableFileError(
            text + (f" (no {', '.join(missing)})." if missing else "."),
            hint="The file may be cut short or lack atoms; complete it, or correct its"
            " _chemical_formula_sum.",
        )
    return [Remark("formula", text + ".")] if difference > _FORMULA_REMARK else []


def read_extended_xyz(text: str) -> Iterator[Record]:
    """Yield the crystal of each frame; a frame without a lattice is a molecule."""
    from ase.io import iread

    frames = iread(io.StringIO(text), index=":", format="extxyz")
    number = 0
    while True:
        number += 1
        try:
            atoms = next(frames)
        except StopIteration:
            return
        except Exception as error:  # the rest of the file cannot be trusted
            yield Record(str(number), error)
            return
        given = next((plain_text(str(atoms.info[k])) for k in ID_KEYS if k in atoms.info), None)
        try:
            yield Record(str(number), crystal_of_atoms(atoms), given)
        except Exception as error:  # ghost atoms, singular cells
            yield Record(str(number), error, given)


def read_trajectory(path: Path) -> Record:
    """Return the last frame of a trajectory of ASE (``.traj``).

    Raises
    ------
    UnreadableFileError
        When it is none, or holds no frame.
    """
    from ase.io.trajectory import TrajectoryReader
    from ase.io.ulm import InvalidULMFileError

    try:
        with TrajectoryReader(str(path)) as trajectory:
            n_frames = len(trajectory)
            atoms = trajectory[-1] if n_frames else None
    except InvalidULMFileError:
        raise UnreadableFileError(
            "The file is no trajectory of ASE.",
            hint="Write its last frame as CIF or extended XYZ, and give that.",
        ) from None
    if atoms is None:
        raise UnreadableFileError("The trajectory holds no frames.", hint="Leave it out.")
    remarks = []
    if n_frames > 1:
        remarks.append(Remark("last_frame", f"The last of the {n_frames} frames was read."))
    return Record(str(n_frames), crystal_of_atoms(atoms), remarks=tuple(remarks))


def crystal_of_atoms(atoms: "Atoms") -> Structure:
    """Return the crystal of ASE's atoms.

    Raises
    ------
    NotACrystalError
        When they are a molecule, or not periodic in three directions.
    CellTooLargeError
        When there are too many.
    """
    check_number_of_sites(len(atoms))
    if not atoms.cell.any():
        raise NotACrystalError(
            f"{atoms.get_chemical_formula()} has no lattice: it is a molecule.",
            hint='Give a crystal; extended XYZ has Lattice="..." in its second line.',
        )
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise NotACrystalError(
            f"{atoms.get_chemical_formula()} is not periodic in three directions.",
            hint='Give a crystal, with three lattice vectors and pbc="T T T".',
        )
    check_lattice(atoms.cell.array)
    return Structure(
        Lattice(atoms.cell.array),
        atoms.get_chemical_symbols(),
        atoms.positions,
        coords_are_cartesian=True,
    )
