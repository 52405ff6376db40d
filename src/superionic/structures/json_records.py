"""Crystals in JSON and JSON lines: pymatgen, the Materials Project, Alexandria, OPTIMADE, JARVIS.

Everything is read by its keys (:mod:`superionic.structures.plain`); what a record says of its own
class is not followed.
"""

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pymatgen.core import Structure

from superionic.errors import NoCrystalsError, UnreadableFileError
from superionic.structures.cif import read_cif
from superionic.structures.formats import ID_KEYS, Record
from superionic.structures.plain import (
    lattice_from_data,
    plain_provenance,
    plain_text,
    structure_from_dict,
)

_LISTS = ("entries", "data", "structures", "materials", "results", "records", "docs")
_WHERE = (
    "a crystal is looked for under structure (of pymatgen, or CIF text), sites, lattice with"
    " species and frac_coords, atoms (JARVIS), attributes (OPTIMADE), cif, output.structure, in"
    f" lists under {', '.join(_LISTS)}, and in objects by identifier"
)


def read_json(text: str) -> Iterator[Record]:
    """Yield the crystal of each entry: a structure, a record with one, or many of either.

    Many are a list; an object with a list under ``entries`` (Alexandria), ``data`` (OPTIMADE) or
    the like; an object that holds crystals by their identifiers; or a table of pandas
    (``columns``, ``data``; matbench).

    Raises
    ------
    NoCrystalsError
        When nothing in it looks like a crystal; the keys that are there are named.
    UnreadableFileError
        When the text is not JSON.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # one object a line
            yield from read_json_lines(text)
            return
        raise _not_json(error, text) from error
    except RecursionError as error:
        raise _not_json(error, text) from error
    entries = list(_entries(data))
    if not any(_looks_like_crystal(entry) for _, _, entry in entries):
        raise _no_crystals(data)
    for label, name, entry in entries:
        yield _record(label, entry, name)


def read_json_lines(text: str) -> Iterator[Record]:
    """Yield the crystal of each line, each as in a JSON file of its own.

    Raises
    ------
    NoCrystalsError
        When nothing looks like a crystal.
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
            if not held and not streaming and _is_json(text):  # one object over many lines
                yield from read_json(text)
                return
            entry = _not_json(error, line)
        if _is_header(entry):
            continue
        if streaming:
            yield _entry_record(number, entry)
            continue
        held.append((number, entry))
        if isinstance(entry, Exception) or _looks_like_crystal(entry):
            streaming = True
            yield from (_entry_record(*one) for one in held)
            held.clear()
    if held:
        raise _no_crystals(held[0][1])


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


def _is_header(entry: Any) -> bool:
    """Return whether a line only describes a file of OPTIMADE's JSON lines."""
    return isinstance(entry, Mapping) and (
        "x-optimade" in entry or entry.get("type") in ("info", "references", "links")
    )


def _not_json(error: Exception, text: str) -> UnreadableFileError:
    end = text.rstrip()
    if isinstance(error, json.JSONDecodeError) and (error.pos >= len(end) or end[-1:] not in "}]"):
        hint = "It ends in the middle: it was cut short. Copy or export it again."
    elif isinstance(error, RecursionError):
        hint = "Its objects are nested too deeply for a crystal."
    else:
        hint = "Correct it where the message says, or export it again."
    return UnreadableFileError(f"This is not JSON ({error}).", hint=hint)


def _no_crystals(data: Any) -> NoCrystalsError:
    first = data[0] if isinstance(data, list) and data else data
    if not isinstance(first, Mapping):
        what = "It is no object or list of objects"
    elif isinstance(first.get("@class"), str):
        what = f"It is a {plain_text(first['@class'])[:40]}"
    else:
        keys = [plain_text(str(key))[:30] for key in list(first)[:8]]
        what = f"Its keys are {', '.join(keys)}{', ...' if len(first) > 8 else ''}"
    if isinstance(first, Mapping) and any(_is_ase(value) for value in (first, *first.values())):
        hint = "It is a database of ASE: write it as extended XYZ (ase convert FILE FILE.xyz)."
    else:
        hint = f"Name the crystals by a key that is known: {_WHERE}."
    return NoCrystalsError(f"The file holds no crystals. {what}.", hint=hint)


def _no_structure() -> UnreadableFileError:
    return UnreadableFileError(
        "The entry holds no structure.", hint="Complete the record, or leave it out."
    )


def _is_ase(value: Any) -> bool:
    return isinstance(value, Mapping) and {"numbers", "positions"} <= value.keys()


def _entries(data: Any) -> Iterator[tuple[str, str | None, Any]]:
    """Yield a label, an identifier if the container has one, and the entry."""
    if isinstance(data, Mapping) and not _looks_like_crystal(data):
        columns, rows = data.get("columns"), data.get("data")
        if isinstance(columns, list) and isinstance(rows, list):
            names = data.get("index")
            names = (
                names if isinstance(names, list) and len(names) == len(rows) else [None] * len(rows)
            )
            for number, (name, row) in enumerate(zip(names, rows, strict=True), start=1):
                entry = (
                    dict(zip(map(str, columns), row, strict=False))
                    if isinstance(row, list)
                    else row
                )
                yield str(number), name if isinstance(name, str) else None, entry
            return
        for key in _LISTS:
            if isinstance(data.get(key), list) and any(map(_looks_like_crystal, data[key])):
                yield from _entries(data[key])
                return
        for name, entry in data.items():
            if _looks_like_crystal(entry):
                yield str(name), str(name), entry
        return
    for number, entry in enumerate(data if isinstance(data, list) else [data], start=1):
        yield str(number), None, entry


def _looks_like_crystal(entry: Any) -> bool:
    return isinstance(entry, Mapping) and (
        "structure" in entry
        or "sites" in entry
        or {"lattice", "species"} <= entry.keys()
        or isinstance(entry.get("cif"), str)
        or _has(entry, "atoms", "lattice_mat")
        or _has(entry, "attributes", "lattice_vectors")
        or _has(entry, "output", "structure")
    )


def _has(entry: Mapping[str, Any], key: str, inner: str) -> bool:
    return isinstance(entry.get(key), Mapping) and inner in entry[key]


def _entry_record(number: int, entry: Any) -> Record:
    if isinstance(entry, Exception):
        return Record(str(number), entry)
    return _record(str(number), entry)


def _record(label: str, entry: Any, name: str | None = None) -> Record:
    if not _looks_like_crystal(entry):
        return Record(label, _no_structure(), name)
    nested = [entry]
    nested += [entry[key] for key in ("data", "attributes") if isinstance(entry.get(key), Mapping)]
    ids = (_identifier(one.get(key)) for one in nested for key in ID_KEYS)
    own_id = next((found for found in ids if found), None) or _identifier(name)
    provenance: dict[str, Any] = {}
    if "sites" not in entry and "species" not in entry:
        for one in reversed(nested):
            provenance |= plain_provenance(one)
    provenance = {key: value for key, value in provenance.items() if key not in ID_KEYS}
    try:
        return Record(label, _structure(entry), own_id, provenance)
    except Exception as error:  # parsers raise whatever they like on bad input
        return Record(label, error, own_id)


def _identifier(value: Any) -> str | None:
    """Return an identifier as text; the Materials Project also writes objects with ``string``."""
    if isinstance(value, Mapping):
        value = value.get("string")
    if isinstance(value, str):
        return plain_text(value).strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _structure(entry: Mapping[str, Any]) -> Structure:
    if "structure" in entry:
        return _any_structure(entry["structure"])
    if "sites" in entry or {"lattice", "species"} <= entry.keys():
        return structure_from_dict(entry)
    if _has(entry, "attributes", "lattice_vectors"):
        from superionic.structures.sources.optimade import structure_of

        return structure_of(dict(entry["attributes"]))
    if _has(entry, "atoms", "lattice_mat"):
        return _jarvis(entry["atoms"])
    if _has(entry, "output", "structure"):
        return _any_structure(entry["output"]["structure"])
    return _any_structure(entry["cif"])


def _any_structure(data: Any) -> Structure:
    """Return a crystal from an object, or from text that is one, or a CIF."""
    if data is None or data == "":
        raise _no_structure()
    if isinstance(data, str) and "_cell_length_a" in data.lower():
        (record,) = read_cif(data)
        if isinstance(record.content, Exception):
            raise record.content
        return record.content
    if isinstance(data, str) and data.lstrip().startswith("{"):
        return structure_from_dict(json.loads(data))
    return structure_from_dict(data)


def _jarvis(atoms: Mapping[str, Any]) -> Structure:
    coords = atoms.get("coords")
    if atoms.get("cartesian"):
        coords = lattice_from_data(atoms["lattice_mat"]).get_fractional_coords(coords).tolist()
    elements = atoms.get("elements")
    if isinstance(elements, list):
        elements = [one.strip() if isinstance(one, str) else one for one in elements]
    return structure_from_dict(
        {"lattice": atoms["lattice_mat"], "species": elements, "frac_coords": coords}
    )
