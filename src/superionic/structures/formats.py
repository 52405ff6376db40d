"""The file formats: from the text of a file to its records.

A reader yields one record for each crystal it finds, or for each that it cannot read. It raises
when the text as a whole makes no sense.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Lattice, Structure

from superionic.errors import NotACrystalError, Remark, UnreadableFileError
from superionic.structures.checks import check_lattice, check_number_of_sites
from superionic.structures.plain import plain_text

if TYPE_CHECKING:
    from ase import Atoms

ID_KEYS = ("material_id", "id", "entry_id", "mat_id", "jid", "task_id")
"""Where a record's own identifier is looked for, in this order."""


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
    if not np.isfinite(atoms.positions).all():
        raise NotACrystalError("Positions are NaN or infinite.", hint="Correct the coordinates.")
    return Structure(
        Lattice(atoms.cell.array),
        atoms.get_chemical_symbols(),
        atoms.positions,
        coords_are_cartesian=True,
    )
