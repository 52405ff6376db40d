"""Candidates from files and folders.

Every file and every record gives a candidate or an error that names it; one bad file never stops
the rest.
"""

import gzip
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from superionic.errors import InputError, UnreadableFileError
from superionic.structures.candidate import Candidate
from superionic.structures.checks import check_crystal
from superionic.structures.formats import (
    Record,
    read_cif,
    read_extended_xyz,
    read_json,
    read_json_lines,
    read_poscar,
)
from superionic.structures.hashing import structure_hash
from superionic.structures.remark import Remark

Reader = Callable[[str], Iterator[Record]]

_SUFFIXES: dict[str, Reader] = {
    ".cif": read_cif,
    ".mcif": read_cif,
    ".vasp": read_poscar,
    ".poscar": read_poscar,
    ".xyz": read_extended_xyz,
    ".extxyz": read_extended_xyz,
    ".json": read_json,
    ".jsonl": read_json_lines,
}
_POSCAR_NAME = re.compile(r"(POSCAR|CONTCAR)(?:[._-](?P<rest>.+))?", re.IGNORECASE)
_KINDS = "CIF (.cif), POSCAR or CONTCAR (.vasp), extended XYZ (.xyz), JSON (.json), JSON lines"


@dataclass(frozen=True)
class _File:
    """A file to read.

    ``named`` says whether the user named it, or it was found in a folder.
    """

    path: Path
    named: bool


def read_candidates(paths: Sequence[Path]) -> Iterator[Candidate | InputError]:
    """Yield a candidate or an error for each crystal in files and folders.

    Folders are searched recursively in sorted order; what is hidden or of another kind is passed
    over. Kinds: CIF (one crystal a data block), POSCAR and CONTCAR, extended XYZ (one crystal a
    frame), JSON (``Structure.as_dict``, or a list of them), JSON lines; each may be gzipped.

    A material's id is the record's own (``material_id`` or ``id``), else the name of the file
    without suffix (of the folder for a bare POSCAR), with the number of the frame or entry where
    there are several. Ids are unique: the same crystal under the same id is given once; another
    crystal under an id that is taken gets the id with the start of its structure hash appended.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders.

    Yields
    ------
    Candidate or InputError
        Errors carry the name of the file or record in ``material_id``.
    """
    hashes: dict[str, str] = {}
    for found in _files(paths):
        if isinstance(found, InputError):
            yield found
            continue
        for item in _read_file(found):
            if isinstance(item, InputError):
                yield item
                continue
            unique = _with_unique_id(item, hashes)
            if unique is not None:
                yield unique


def _files(paths: Sequence[Path]) -> Iterator[_File | InputError]:
    seen: set[Path] = set()
    for given in map(Path, paths):
        if given.is_dir():
            members = [p for p in sorted(given.rglob("*")) if _is_candidate_file(p, given)]
            files = [_File(p, named=False) for p in members]
            if not files:
                yield UnreadableFileError(
                    "The folder holds no crystal files.",
                    hint=f"Known are {_KINDS}.",
                    material_id=str(given),
                )
        else:
            files = [_File(given, named=True)]
        for file in files:
            resolved = file.path.resolve()
            if resolved not in seen:
                seen.add(resolved)
                yield file


def _is_candidate_file(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return not hidden and path.is_file() and _reader_of(path) is not None


def _reader_of(path: Path) -> Reader | None:
    name = _name_without_gz(path)
    if _POSCAR_NAME.fullmatch(name) and Path(name).suffix.lower() not in _SUFFIXES:
        return read_poscar
    return _SUFFIXES.get(Path(name).suffix.lower())


def _name_without_gz(path: Path) -> str:
    return path.name[:-3] if path.name.lower().endswith(".gz") else path.name


def _read_file(file: _File) -> Iterator[Candidate | InputError]:
    path = file.path
    try:
        read = _reader_of(path)
        if not path.exists():
            raise UnreadableFileError("The file does not exist.", hint="Check the path.")
        if read is None:
            raise UnreadableFileError(
                "This kind of file is not known.", hint=f"Known are {_KINDS}."
            )
        text, remarks = _read_text(path)
    except InputError as error:
        error.for_material(str(path))
        yield error
        return
    except Exception as error:  # an archive may be broken in many ways
        yield _unreadable(error, str(path))
        return
    records = _records(read, text, path)
    first = list(islice(records, 2))
    if not first and file.named:
        yield UnreadableFileError(
            "The file holds no crystals.",
            hint="Records need a structure with lattice, species and coordinates.",
            material_id=str(path),
        )
    for record in chain(first, records):
        if isinstance(record, InputError):
            yield record
        else:
            yield _candidate(record, path, remarks, single=len(first) == 1)


def _records(read: Reader, text: str, path: Path) -> Iterator[Record | InputError]:
    """Yield the records of a file, and at the end what makes the rest of it unreadable."""
    try:
        yield from read(text)
    except InputError as error:
        error.for_material(str(path))
        yield error
    except Exception as error:  # parsers raise whatever they like on bad input
        yield _unreadable(error, str(path))


def _read_text(path: Path) -> tuple[str, tuple[Remark, ...]]:
    try:
        data = path.read_bytes()
        if path.name.lower().endswith(".gz"):
            data = gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise UnreadableFileError(
            f"The file cannot be opened ({error.__class__.__name__}: {error}).",
            hint="Check its permissions, and that it was copied completely.",
        ) from error
    if not data.strip():
        raise UnreadableFileError("The file is empty.", hint="Export or copy it again.")
    if b"\0" in data:
        raise UnreadableFileError(
            "The file is not text.", hint="Save it as plain text in UTF-8, or unpack it."
        )
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        text = f"The file is not UTF-8 (byte {error.start + 1}) and was read as Latin-1."
        return data.decode("latin-1"), (Remark("encoding", text),)


def _candidate(
    record: Record, path: Path, remarks: tuple[Remark, ...], single: bool
) -> Candidate | InputError:
    name = record.material_id or (_stem(path) if single else f"{_stem(path)}-{record.label}")
    where = str(path) if single else f"{path} ({record.label})"
    if isinstance(record.content, InputError):
        record.content.for_material(where)
        return record.content
    if isinstance(record.content, Exception):
        return _unreadable(record.content, where)
    try:
        check_crystal(record.content)
    except InputError as error:
        error.for_material(where)
        return error
    provenance = dict(record.provenance)
    all_remarks = [*remarks, *record.remarks]
    if all_remarks:
        said = provenance.get("remarks", [])
        provenance["remarks"] = [*said, *({"code": r.code, "text": r.text} for r in all_remarks)]
    return Candidate(name, record.content, source=str(path), provenance=provenance)


def _stem(path: Path) -> str:
    name = _name_without_gz(path)
    poscar = _POSCAR_NAME.fullmatch(name)
    if poscar is None:
        return Path(name).stem
    rest = poscar["rest"] or ""
    if rest.lower() in ("", "vasp", "poscar"):
        return path.resolve().parent.name or name
    return rest.removesuffix(".vasp").removesuffix(".poscar")


def _with_unique_id(candidate: Candidate, hashes: dict[str, str]) -> Candidate | None:
    """Return the candidate with an id of its own, or None when it was there before."""
    digest = structure_hash(candidate.structure)
    name = candidate.material_id
    if name not in hashes:
        hashes[name] = digest
        return candidate
    unique = f"{name}-{digest[:6]}"
    if hashes[name] == digest or unique in hashes:
        return None
    hashes[unique] = digest
    text = f"Another crystal has the id {name}; this one from {candidate.source} is {unique}."
    remarks = [*candidate.provenance.get("remarks", ()), {"code": "repeated_id", "text": text}]
    return replace(
        candidate, material_id=unique, provenance={**candidate.provenance, "remarks": remarks}
    )


def _unreadable(error: Exception, where: str) -> UnreadableFileError:
    text = " ".join(str(error).split()) or "no further message"
    if len(text) > 200:
        text = text[:200] + " ..."
    return UnreadableFileError(
        f"The file cannot be read ({type(error).__name__}: {text}).",
        hint="It may be cut short or damaged; export it again, or leave it out.",
        material_id=where,
    )
