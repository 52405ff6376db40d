"""The file formats: from the text of a file to its records.

A reader yields one record for each crystal it finds, or for each that it cannot read. It raises
when the text as a whole makes no sense.
"""

import io
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pymatgen.core import Composition, Lattice, Structure

from superionic.errors import NotACrystalError, UnreadableFileError
from superionic.structures.remark import Remark

_ID_KEYS = ("material_id", "id", "entry_id")
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


def read_poscar(text: str) -> Iterator[Record]:
    """Yield the crystal of a POSCAR or CONTCAR.

    Raises
    ------
    UnreadableFileError
        When the elements are not named (VASP 4): they would have to be guessed.
    """
    from pymatgen.io.vasp.inputs import Poscar

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        structure = Poscar.from_str(text, read_velocities=False).structure
    if any("cannot be determined" in str(w.message) for w in caught):
        raise UnreadableFileError(
            "The file does not name its elements.",
            hint="Write the element symbols in the sixth line, above the numbers of atoms.",
        )
    yield Record("1", structure)


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
        given = next((str(atoms.info[k]) for k in _ID_KEYS if k in atoms.info), None)
        content: Structure | Exception
        if not atoms.cell.any():
            content = NotACrystalError(
                f"{atoms.get_chemical_formula()} has no lattice: it is a molecule.",
                hint='Give a crystal; extended XYZ has Lattice="..." in its second line.',
            )
        elif not atoms.pbc.all() or atoms.cell.rank < 3:
            content = NotACrystalError(
                f"{atoms.get_chemical_formula()} is not periodic in three directions.",
                hint='Give a crystal, with three lattice vectors and pbc="T T T".',
            )
        else:
            try:
                content = Structure(
                    Lattice(atoms.cell.array),
                    atoms.get_chemical_symbols(),
                    atoms.positions,
                    coords_are_cartesian=True,
                )
            except Exception as error:  # ghost atoms, singular cells
                content = error
        yield Record(str(number), content, given)


def read_json(text: str) -> Iterator[Record]:
    """Yield the crystal of each entry: a structure, a record with one, or a list of either.

    Nothing is yielded when the text is JSON but nothing in it looks like a crystal.

    Raises
    ------
    UnreadableFileError
        When the text is not JSON.
    """
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise _not_json(error) from error
    entries = data if isinstance(data, list) else [data]
    return _records(enumerate(entries, start=1))


def read_json_lines(text: str) -> Iterator[Record]:
    """Yield the crystal of each line: a structure, or a record with the key ``structure``.

    A structure is ``Structure.as_dict`` or an object with ``lattice`` (3 x 3, A), ``species`` and
    ``frac_coords``. Nothing is yielded when nothing looks like a crystal.
    """
    held: list[tuple[int, Any]] = []  # until one of them looks like a crystal
    streaming = False
    # Line by line: a file may hold more crystals than memory.
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            entry = _not_json(error)
        if streaming:
            yield _entry_record(number, entry)
            continue
        held.append((number, entry))
        if isinstance(entry, Exception) or _looks_like_crystal(entry):
            streaming = True
            yield from (_entry_record(*one) for one in held)
            held.clear()


def _not_json(error: Exception) -> UnreadableFileError:
    return UnreadableFileError(
        f"This is not JSON ({error}).", hint="It may be cut short; export it again."
    )


def _records(entries: Iterator[tuple[int, Any]]) -> Iterator[Record]:
    numbered = list(entries)
    if not any(isinstance(e, Exception) or _looks_like_crystal(e) for _, e in numbered):
        return
    for number, entry in numbered:
        yield _entry_record(number, entry)


def _entry_record(number: int, entry: Any) -> Record:
    if isinstance(entry, Exception):
        return Record(str(number), entry)
    return _record(str(number), entry)


def _looks_like_crystal(entry: Any) -> bool:
    return isinstance(entry, dict) and (
        "structure" in entry or "sites" in entry or {"lattice", "species"} <= entry.keys()
    )


def _are_remarks(value: Any) -> bool:
    """Return whether a value is a list of remarks, as candidates are written with."""
    return isinstance(value, list) and all(
        isinstance(one, dict)
        and one.keys() == {"code", "text"}
        and all(isinstance(text, str) for text in one.values())
        for one in value
    )


def _record(label: str, entry: Any) -> Record:
    if not _looks_like_crystal(entry):
        return Record(label, UnreadableFileError("The entry holds no structure."))
    own_id = next((str(entry[k]) for k in _ID_KEYS if entry.get(k) not in (None, "")), None)
    if "structure" in entry:
        data = entry["structure"]
        provenance = {k: v for k, v in entry.items() if isinstance(v, str | int | float)}
        provenance = {k: v for k, v in provenance.items() if k not in _ID_KEYS}
        if _are_remarks(entry.get("remarks")):
            provenance["remarks"] = entry["remarks"]
    else:
        data, provenance = entry, {}
    try:
        return Record(label, _structure_from_dict(data), own_id, provenance)
    except KeyError as error:
        missing = UnreadableFileError(
            f"The structure lacks {error}.", hint="Complete the record, or leave it out."
        )
        return Record(label, missing, own_id)
    except Exception as error:  # parsers raise whatever they like on bad input
        return Record(label, error, own_id)


def _structure_from_dict(data: dict[str, Any]) -> Structure:
    if "sites" in data:
        if "lattice" not in data:
            raise NotACrystalError(
                "The entry has sites but no lattice: it is a molecule.", hint="Give a crystal."
            )
        return Structure.from_dict(data)
    species, coords = data["species"], data["frac_coords"]
    if len(species) != len(coords):
        raise UnreadableFileError(
            f"The record has {len(species)} species but {len(coords)} coordinates.",
            hint="Complete the record, or leave it out.",
        )
    return Structure(Lattice(data["lattice"]), species, coords)
