"""Candidates from files and folders.

Every file and every record gives a candidate or an error that names it; one bad file never stops
the rest.
"""

import bz2
import gzip
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from superionic.errors import InputError, NoCrystalsError, Remark, UnreadableFileError
from superionic.structures.candidate import Candidate, structure_hash
from superionic.structures.checks import check_crystal, wrapped
from superionic.structures.cif import read_cif
from superionic.structures.formats import Record, read_extended_xyz, read_trajectory
from superionic.structures.json_records import read_json, read_json_lines
from superionic.structures.plain import plain_text
from superionic.structures.poscar import parse_poscar

Reader = Callable[[str], Iterator[Record]]

MAX_BYTES = 2**30
"""A file is read up to this size, unpacked."""


def _read_poscar(text: str) -> Iterator[Record]:
    yield Record("1", parse_poscar(text))


_SUFFIXES: dict[str, Reader] = {
    ".cif": read_cif,
    ".mcif": read_cif,
    ".vasp": _read_poscar,
    ".poscar": _read_poscar,
    ".xyz": read_extended_xyz,
    ".extxyz": read_extended_xyz,
    ".json": read_json,
    ".jsonl": read_json_lines,
}
_TRAJECTORY = ".traj"
_OPENERS: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_POSCAR_NAME = re.compile(r"(?P<kind>POSCAR|CONTCAR)(?:[._-](?P<rest>.+))?", re.IGNORECASE)
_STAGE_NAME = re.compile(
    r"vasp|poscar|orig|relax\d*|static\d*|precondition|line|uniform|prev|previous|old|new|bak"
    r"|backup|init|initial|start|end|opt|in|out|final|error\.\d+",
    re.IGNORECASE,
)
"""What VASP, custodian and people append to POSCAR and CONTCAR of one and the same run."""
_TRAJECTORY_NAMES = {
    "relax",
    "relaxation",
    "opt",
    "optimization",
    "md",
    "trajectory",
    "final",
    "run",
}
_OTHER_KINDS = {".res", ".cssr", ".xsf", ".pdb", ".gen", ".xtl", ".cell", ".db", ".zip", ".tgz"}
_KINDS = (
    "CIF (.cif), POSCAR or CONTCAR (.vasp), extended XYZ (.xyz), JSON (.json) and JSON lines"
    " (.jsonl), each also packed (.gz, .bz2, .xz), and trajectories of ASE (.traj)"
)


@dataclass(frozen=True)
class _File:
    """A file to read.

    ``without`` is None for a file that the user named; one that was found in a folder is added to
    it when it holds no crystals.
    """

    path: Path
    without: list[Path] | None = None


@dataclass(frozen=True)
class _Run:
    """POSCAR and CONTCAR files of one folder that stand for stages of one run, the last first."""

    folder: Path
    paths: tuple[Path, ...]


def nobody(text: str) -> None:
    """Pass over what is said."""


def read_candidates(
    paths: Sequence[Path], passed_over: Callable[[str], None] = nobody
) -> Iterator[Candidate | InputError]:
    """Yield a candidate or an error for each crystal in files and folders.

    Folders are searched recursively in sorted order; what is hidden is passed over. Kinds: CIF (one
    crystal a data block), POSCAR and CONTCAR, extended XYZ (one crystal a frame), trajectories of
    ASE (the last frame), JSON and JSON lines (:mod:`superionic.structures.json_records`); each text
    may be packed (``.gz``, ``.bz2``, ``.xz``).

    A material's id is the record's own (``material_id`` or ``id``), else the name of the file
    without suffix (of the folder for POSCAR, CONTCAR and their stages, such as
    ``CONTCAR.relax2.gz``), with the number of the frame or entry where there are several. Of the
    stages of one crystal in a folder the last is read. Ids are unique: the same crystal under the
    same id is given once; another crystal under an id that is taken gets the id with the start of
    its structure hash appended.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders.
    passed_over : callable
        Hears, in a sentence, of files in folders that might hold crystals and gave none.

    Yields
    ------
    Candidate or InputError
        Errors carry the name of the file or record in ``material_id``.
    """
    hashes: dict[str, str] = {}
    for found in _files(paths, passed_over):
        if isinstance(found, InputError):
            yield found
            continue
        for item in _read_run(found) if isinstance(found, _Run) else _read_file(found):
            if isinstance(item, InputError):
                yield item
                continue
            unique = _with_unique_id(item, hashes)
            if unique is not None:
                yield unique


def _files(
    paths: Sequence[Path], passed_over: Callable[[str], None]
) -> Iterator[_File | _Run | InputError]:
    seen: set[Path] = set()
    for given in map(Path, paths):
        if given.is_dir():
            yield from _folder(given, seen, passed_over)
        elif _is_new(given, seen):
            yield _File(given)


def _is_new(path: Path, seen: set[Path]) -> bool:
    resolved = path.resolve()
    if resolved in seen:
        return False
    seen.add(resolved)
    return True


def _folder(
    folder: Path, seen: set[Path], passed_over: Callable[[str], None]
) -> Iterator[_File | _Run | InputError]:
    members = [path for path in sorted(folder.rglob("*")) if _is_visible_file(path, folder)]
    files = [path for path in members if _is_known(path)]
    others = [path for path in members if _suffix(path) in _OTHER_KINDS]
    if others:
        passed_over(f"{folder}: {_counted(others)} cannot be read; write crystals as CIF.")
    if not files:
        yield UnreadableFileError(
            "The folder holds no crystal files.",
            hint=f"Known are {_KINDS}.",
            material_id=str(folder),
        )
    runs: dict[Path, list[Path]] = {}
    for path in files:
        if _is_stage(path):
            runs.setdefault(path.parent, []).append(path)
    without: list[Path] = []
    for path in files:
        if not _is_new(path, seen):
            continue
        run = [path]
        if _is_stage(path):
            run += [other for other in runs[path.parent] if _is_new(other, seen)]
        if len(run) > 1:
            yield _Run(path.parent, tuple(sorted(run, key=_lateness, reverse=True)))
        else:
            yield _File(path, without)
    if without:
        names = ", ".join(str(path.relative_to(folder)) for path in without[:5])
        more = ", ..." if len(without) > 5 else ""
        passed_over(f"{folder}: no crystals in {_counted(without)} ({names}{more}).")


def _counted(paths: Sequence[Path]) -> str:
    counts = Counter(_suffix(path) for path in paths)
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common())
    return f"{kinds} file{'s' if len(paths) > 1 else ''}"


def _is_visible_file(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return not hidden and path.is_file()


def _is_known(path: Path) -> bool:
    return _reader_of(path) is not None or _suffix(path) == _TRAJECTORY


def _reader_of(path: Path) -> Reader | None:
    name = _unpacked_name(path)
    if _POSCAR_NAME.fullmatch(name) and Path(name).suffix.lower() not in _SUFFIXES:
        return _read_poscar
    return _SUFFIXES.get(Path(name).suffix.lower())


def _unpacked_name(path: Path) -> str:
    return path.name[: -len(path.suffix)] if path.suffix.lower() in _OPENERS else path.name


def _suffix(path: Path) -> str:
    return Path(_unpacked_name(path)).suffix.lower()


def _is_stage(path: Path) -> bool:
    """Return whether a file is POSCAR or CONTCAR, or a stage of one by its name."""
    name = _POSCAR_NAME.fullmatch(_unpacked_name(path))
    return name is not None and (not name["rest"] or bool(_STAGE_NAME.fullmatch(name["rest"])))


def _lateness(path: Path) -> tuple[bool, bool, int, bool, str]:
    """Return what sorts the stages of a run: CONTCAR before POSCAR, then the last relaxation."""
    name = _POSCAR_NAME.fullmatch(_unpacked_name(path))
    assert name is not None
    rest = (name["rest"] or "").lower()
    number = int(re.sub(r"\D", "", rest) or 0) if rest.startswith(("relax", "static")) else 0
    first = rest in ("orig", "old", "prev", "previous", "bak", "backup", "init", "initial", "start")
    return name["kind"].upper() == "CONTCAR", rest in ("", "vasp"), number, not first, path.name


def _read_run(run: _Run) -> Iterator[Candidate | InputError]:
    """Yield the crystal of the last stage that can be read, and what is no stage of it."""
    found = [(path, next(_read_file(_File(path)))) for path in run.paths]
    readable = [(path, item) for path, item in found if isinstance(item, Candidate)]
    if not readable:
        yield found[0][1]
        return
    chosen, candidate = readable[0]
    stages = [
        path
        for path, item in readable[1:]
        if item.structure.composition.almost_equals(candidate.structure.composition)
    ]
    broken = [path for path, item in found if isinstance(item, InputError)]
    text = f"{chosen.name} of the folder was read"
    if stages:
        text += f"; earlier stages: {', '.join(path.name for path in stages)}"
    if broken:
        text += f"; cannot be read: {', '.join(path.name for path in broken)}"
    yield _with_remarks(candidate, Remark("run_folder", f"{text}."))
    for path, item in readable[1:]:
        if path not in stages:
            yield replace(item, material_id=f"{item.material_id}-{_unpacked_name(path)}")


def _read_file(file: _File) -> Iterator[Candidate | InputError]:
    path = file.path
    try:
        if not path.exists():
            raise UnreadableFileError("The file does not exist.", hint="Check the path.")
        if path.suffix.lower() == _TRAJECTORY:
            yield _candidate(read_trajectory(path), path, (), single=True)
            return
        read = _reader_of(path)
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
    records = _records(read, text, file)
    first = list(islice(records, 2))
    for record in chain(first, records):
        if isinstance(record, InputError):
            yield record
        else:
            yield _candidate(record, path, remarks, single=len(first) == 1)


def _records(read: Reader, text: str, file: _File) -> Iterator[Record | InputError]:
    """Yield the records of a file, and at the end what makes the rest of it unreadable."""
    try:
        yield from read(text)
    except InputError as error:
        if isinstance(error, NoCrystalsError) and file.without is not None:
            file.without.append(file.path)
            return
        error.for_material(str(file.path))
        yield error
    except Exception as error:  # parsers raise whatever they like on bad input
        yield _unreadable(error, str(file.path))


def _read_text(path: Path) -> tuple[str, tuple[Remark, ...]]:
    blocks, size = [], 0
    try:
        with _OPENERS.get(path.suffix.lower(), Path.open)(path, "rb") as stream:
            while block := stream.read(2**20):
                # Block by block: a small archive may unpack to more than memory holds.
                size += len(block)
                if b"\0" in block:
                    raise UnreadableFileError(
                        "The file is not text.",
                        hint="Save it as plain text in UTF-8, or unpack it.",
                    )
                if size > MAX_BYTES:
                    raise UnreadableFileError(
                        f"The file holds more than {MAX_BYTES / 2**30:g} GiB.",
                        hint="Split it into smaller ones.",
                    )
                blocks.append(block)
    except EOFError as error:
        raise UnreadableFileError(
            "The archive ends in the middle.", hint="It was cut short; copy it again."
        ) from error
    except (OSError, lzma.LZMAError, zlib.error) as error:
        raise UnreadableFileError(
            f"The file cannot be opened ({error.__class__.__name__}: {error}).",
            hint="Check its permissions, and that it is what its name says.",
        ) from error
    data = b"".join(blocks)
    if not data.strip():
        raise UnreadableFileError("The file is empty.", hint="Export or copy it again.")
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        text = f"The file is not UTF-8 (byte {error.start + 1}) and was read as Latin-1."
        return data.decode("latin-1"), (Remark("encoding", text),)


def _candidate(
    record: Record, path: Path, remarks: tuple[Remark, ...], single: bool
) -> Candidate | InputError:
    stem = _stem(path)
    name = record.material_id or (stem if single else f"{stem}-{record.label}")
    label = f"{record.label}: {record.material_id}" if record.material_id else record.label
    where = plain_text(str(path) if single else f"{path} ({label})")
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
    structure, moved = wrapped(record.content)
    candidate = Candidate(name, structure, plain_text(str(path)), dict(record.provenance))
    return _with_remarks(candidate, *remarks, *record.remarks, *moved)


def _with_remarks(candidate: Candidate, *remarks: Remark) -> Candidate:
    if not remarks:
        return candidate
    said = [
        *candidate.provenance.get("remarks", ()),
        *({"code": remark.code, "text": remark.text} for remark in remarks),
    ]
    return replace(candidate, provenance={**candidate.provenance, "remarks": said})


def _stem(path: Path) -> str:
    name = _unpacked_name(path)
    folder = path.resolve().parent.name
    stem = Path(name).stem
    poscar = _POSCAR_NAME.fullmatch(name)
    if _suffix(path) == _TRAJECTORY and stem.lower() in _TRAJECTORY_NAMES:
        stem = folder or stem
    elif poscar is not None and _is_stage(path):
        stem = folder or name
    elif poscar is not None:
        rest = poscar["rest"].removesuffix(".vasp").removesuffix(".poscar")
        stem = f"{folder}-{rest}" if rest.isdigit() and folder else rest
    return plain_text(stem).strip() or "crystal"


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
    return _with_remarks(replace(candidate, material_id=unique), Remark("repeated_id", text))


def _unreadable(error: Exception, where: str) -> UnreadableFileError:
    text = " ".join(plain_text(str(error)).split()) or "no further message"
    if len(text) > 200:
        text = text[:200] + " ..."
    return UnreadableFileError(
        f"The file cannot be read ({type(error).__name__}: {text}).",
        hint="Open it with the program that wrote it and export it again, as CIF or POSCAR, or"
        " leave it out.",
        material_id=where,
    )
