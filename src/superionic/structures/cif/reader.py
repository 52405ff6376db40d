"""From the text of a CIF to its crystals: what is read, and why the rest is refused."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from superionic.errors import InputError, Remark, UnreadableFileError
from superionic.structures.cells import space_group
from superionic.structures.cif.checks import Stated, check_content, read_stated
from superionic.structures.cif.rows import AtomList, read_rows
from superionic.structures.cif.settings import (
    Setting,
    settings_of_choice,
    settings_of_hall,
    settings_of_name,
    settings_of_number,
)
from superionic.structures.cif.sites import build_sites
from superionic.structures.cif.symmetry import IDENTITY, Symmetry, parse_symmetry
from superionic.structures.cif.syntax import Block, parse_blocks, parse_number
from superionic.structures.formats import Record
from superionic.structures.plain import lattice_from_data

_OPERATIONS = (
    "_space_group_symop_magn_operation_xyz",
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
)
_NAMES = (
    "_space_group_name_H-M_alt",
    "_space_group_name_H-M_full",
    "_symmetry_space_group_name_H-M",
    "_space_group_name_H-M",
)
_HALL_NAMES = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_NUMBERS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_GIVE_OPERATIONS = (
    "Add the symmetry operations (_space_group_symop_operation_xyz) or the Hall symbol"
    " (_space_group_name_Hall); most programs export both."
)
_ANGLES = ("alpha", "beta", "gamma")
_MISFIT = 0.01
_SAME_MISFIT = 2e-4
_SAME_VOLUME = 0.02
_SYMPREC_A = 0.01


def read_cif(text: str) -> Iterator[Record]:
    """Yield the crystal of each data block that has a cell.

    Raises
    ------
    UnreadableFileError
        When no block has one.
    """
    found = False
    blocks = list(parse_blocks(text))
    holding_atoms = any(isinstance(b, Block) and b.starts("_atom_site_fract") for b in blocks)
    for block in blocks:
        if isinstance(block, UnreadableFileError):
            found = True
            yield Record("block", block)
            continue
        if "_cell_length_a" not in block:
            continue
        if holding_atoms and not block.starts("_atom_site_fract") and block.starts("_refln_"):
            continue  # reflections have a cell, too
        found = True
        label = block.name or "block"
        try:
            if block is blocks[-1]:
                _check_end(text, block)
            structure, remarks = _crystal(block)
        except Exception as error:  # numbers may be anything
            yield Record(label, error)
        else:
            yield Record(label, structure, remarks=remarks)
    if not found:
        raise UnreadableFileError(
            "The file holds no unit cell.", hint="It may be cut short; export the CIF again."
        )


@dataclass(frozen=True)
class _Choice:
    """Operations that the file may mean, by a name for messages."""

    name: str
    symmetry: Symmetry


@dataclass(frozen=True)
class _Choices:
    """All that the file may mean.

    ``named`` says what the file says; ``unsure`` is what it takes another statement of the file
    to confirm, empty when nothing does; ``larger`` are settings of the symbol that have more
    operations than the file lists.
    """

    choices: tuple[_Choice, ...]
    named: str
    unsure: str = ""
    larger: tuple[Setting, ...] = ()
    remarks: tuple[Remark, ...] = ()


def _crystal(block: Block) -> tuple[Structure, tuple[Remark, ...]]:
    if block.text("_cell_modulation_dimension") not in (None, "0"):
        raise UnreadableFileError(
            "The structure is modulated (_cell_modulation_dimension).",
            hint="Give a periodic approximant.",
        )
    lattice = _lattice(block)
    stated = read_stated(block)
    atoms = read_rows(block, tuple(stated.formula))
    if not atoms.rows:
        raise UnreadableFileError(
            "No row of the list of atoms holds an atom.", hint="Give their occupancies."
        )
    stated = replace(stated, hydrogens_unlisted=atoms.hydrogens_unlisted)
    possible = _possible(block, lattice.metric_tensor)
    structure, remarks = _decide(possible, atoms, lattice, stated)
    unchecked = []
    if not stated.formula:
        what = (
            f"The formula {stated.text!r} cannot be read" if stated.text else "No formula is given"
        )
        unchecked = [Remark("formula", f"{what}; nothing says whether all atoms are listed.")]
    return structure, (*atoms.remarks, *possible.remarks, *remarks, *unchecked)


def _lattice(block: Block) -> Lattice:
    values = []
    for tag in (*(f"length_{axis}" for axis in "abc"), *(f"angle_{name}" for name in _ANGLES)):
        text = block.text(f"_cell_{tag}")
        number = parse_number(text) if text else None
        if number is None or number.value <= 0:
            raise UnreadableFileError(
                f"_cell_{tag} cannot be read: it is {text or 'missing'}.",
                hint="Give it as a number, in A or degrees.",
            )
        values.append(number.value)
    lattice = lattice_from_data(dict(zip(("a", "b", "c", *_ANGLES), values, strict=True)))
    volume = block.number("_cell_volume")
    if volume and abs(volume.value / lattice.volume - 1) > _SAME_VOLUME:
        raise UnreadableFileError(
            f"The cell has a volume of {lattice.volume:.2f} A^3, the file states"
            f" {volume.value:.2f} (_cell_volume).",
            hint="Correct the lengths and angles of the cell, or its volume.",
        )
    return lattice


def _possible(block: Block, metric: NDArray[np.float64]) -> _Choices:
    """Return the operations that the file may mean.

    Raises
    ------
    UnreadableFileError
        When what it names does not fit its cell.
    """
    settings, named, unknown = _named_settings(block)
    fitting = _fitting(settings, metric)
    operations = block.column(*_OPERATIONS)
    if operations is not None:
        centrings = block.column("_space_group_symop_magn_centering_xyz") or ["x,y,z"]
        symmetry = parse_symmetry(tuple(operations), tuple(centrings))
        if symmetry.misfit(metric) > _MISFIT:
            raise UnreadableFileError(
                f"The symmetry operations of the file do not fit its cell ({_cell_text(metric)}).",
                hint="They may be those of other axes; correct them, or the cell.",
            )
        return _listed(symmetry, settings, fitting, named)
    if settings and not fitting:
        raise UnreadableFileError(
            f"The space group {named} does not fit the cell ({_cell_text(metric)}).",
            hint=f"Correct one of them. {_GIVE_OPERATIONS}",
        )
    if not settings:
        named = named or "no space group"
        unsure = (
            f"The space group {named} is not known"
            if unknown
            else "The file names only its magnetic space group"
            if block.starts("_space_group_magn")
            else "The file states no symmetry"
        )
        return _Choices((_Choice("P 1", IDENTITY),), named, unsure)
    unsure = f"The symbol {unknown} is not known" if unknown else ""
    return _Choices(tuple(_Choice(s.name, s.symmetry) for s in fitting), named, unsure)


def _named_settings(block: Block) -> tuple[list[Setting], str, str]:
    """Return the settings that symbols and number allow, what they are, and what is not known."""
    found: list[list[Setting]] = []
    named: list[str] = []
    unknown = ""
    for tags, lookup in ((_HALL_NAMES, settings_of_hall), (_NAMES, settings_of_name)):
        for tag in tags:
            symbol = block.text(tag)
            if symbol is None or symbol in ("?", ".", *named):
                continue
            settings = lookup(symbol)
            named.append(symbol)
            if settings:
                found.append(settings)
            elif not found:
                unknown = symbol
    number = block.number(*_NUMBERS)
    if number and settings_of_number(int(number.value)):
        named.append(f"no. {int(number.value)}")
        found.append(settings_of_number(int(number.value)))
    if len(found) > 1 and any(s.number == 0 for s in found[0]):
        found = found[:1]  # a Hall symbol that no table has: the others cannot tell it
    common = [s for s in found[0] if all(s in other for other in found)] if found else []
    code = block.text("_space_group_IT_coordinate_system_code")
    if code:
        common = settings_of_choice(common, code) or common
    either = list(dict.fromkeys(s for settings in found for s in settings))
    return common or either, ", ".join(named), unknown


def _fitting(settings: Sequence[Setting], metric: NDArray[np.float64]) -> list[Setting]:
    """Return the settings whose operations keep the metric of the cell, the best if some do."""
    misfits = [s.symmetry.misfit(metric) for s in settings]
    best = min(misfits, default=0.0)
    limit = min(_MISFIT, max(_SAME_MISFIT, 2 * best))
    return [s for s, misfit in zip(settings, misfits, strict=True) if misfit <= limit]


def _listed(
    symmetry: Symmetry, settings: Sequence[Setting], fitting: Sequence[Setting], named: str
) -> _Choices:
    """Return the operations of the file, with what its symbol says against them."""
    choice = (_Choice("the operations of the file", symmetry),)
    if not settings or any(s.symmetry.keys == symmetry.keys for s in settings):
        return _Choices(choice, named)
    fewest = min(len(s.symmetry) for s in fitting or settings)
    if len(symmetry) >= fewest:
        text = f"The symmetry operations of the file are not those of {named}; they were used."
        return _Choices(choice, named, remarks=(Remark("symmetry", text),))
    unsure = f"The file lists {len(symmetry)} symmetry operations, {named} has {fewest}"
    return _Choices(choice, named, unsure, tuple(fitting or settings))


def _decide(
    possible: _Choices, atoms: AtomList, lattice: Lattice, stated: Stated
) -> tuple[Structure, tuple[Remark, ...]]:
    """Return the one crystal that the file can mean.

    Raises
    ------
    UnreadableFileError
        When it can mean none, or several.
    """
    results: list[tuple[_Choice, Structure, tuple[Remark, ...]]] = []
    errors: list[tuple[_Choice, InputError]] = []
    unconfirmed = False
    for choice in possible.choices:
        try:
            sites = build_sites(atoms.rows, choice.symmetry, lattice)
            confirmed = check_content(sites, lattice.volume, stated)
        except InputError as error:
            errors.append((choice, error))
            continue
        structure = sites.structure(lattice)
        sure = confirmed or not possible.unsure
        if not sure and not any(
            _is_complete(g, structure, atoms, lattice) for g in possible.larger
        ):
            unconfirmed = True
            continue
        if not any(_same(structure, other) for _, other, _ in results):
            results.append((choice, structure, sites.remarks))
    if len(results) > 1:
        names = " or ".join(choice.name for choice, _, _ in results)
        raise UnreadableFileError(
            f"The space group {possible.named} may mean {names}, which give different crystals.",
            hint=_GIVE_OPERATIONS,
        )
    if not results:
        raise _refusal(possible, errors, unconfirmed)
    choice, structure, remarks = results[0]
    return structure, (*_symmetry_remarks(possible, choice), *remarks)


def _is_complete(setting: Setting, structure: Structure, atoms: AtomList, lattice: Lattice) -> bool:
    """Return whether a crystal that lists fewer operations than a setting has its symmetry."""
    if setting.symmetry.misfit(lattice.metric_tensor) > _MISFIT:  # in a primitive cell, say
        group = space_group(structure, _SYMPREC_A)
        return group is not None and group.number == setting.number
    try:
        made = build_sites(atoms.rows, setting.symmetry, lattice).structure(lattice)
    except InputError:
        return False
    return _same(structure, made)


def _refusal(
    possible: _Choices, errors: Sequence[tuple[_Choice, InputError]], unconfirmed: bool
) -> InputError:
    if unconfirmed:
        return UnreadableFileError(
            f"{possible.unsure}, and nothing in the file confirms that its atoms fill the cell.",
            hint=f"{_GIVE_OPERATIONS} For a list that is complete, state the space group P 1, or"
            " the formula with its Z.",
        )
    if len(errors) == 1:
        error = errors[0][1]
        if possible.unsure:
            error.message = f"{possible.unsure}; taken as {errors[0][0].name}: {error.message}"
            error.hint = _GIVE_OPERATIONS
        return error
    reasons = " ".join(f"{choice.name}: {error.message}" for choice, error in errors[:3])
    return UnreadableFileError(
        f"None of the {len(errors)} settings that {possible.named} may mean agrees with the rest"
        f" of the file. {reasons}",
        hint=_GIVE_OPERATIONS,
    )


def _symmetry_remarks(possible: _Choices, choice: _Choice) -> tuple[Remark, ...]:
    if possible.larger:
        return (Remark("symmetry", f"{possible.unsure}; the list of atoms is complete."),)
    if possible.unsure:
        text = (
            f"{possible.unsure}; {choice.name} was taken, with which the rest of the file agrees."
        )
        return (Remark("symmetry", text),)
    if len(choice.symmetry) > 1 and choice.name != "the operations of the file":
        text = f"The symmetry operations were taken from {possible.named} ({choice.name})."
        return (Remark("symmetry", text),)
    return ()


def _same(one: Structure, other: Structure) -> bool:
    """Return whether two crystals in one cell have the same atoms at the same places."""
    if len(one) != len(other):
        return False
    shifts = one.frac_coords[:, None] - other.frac_coords[None]
    near = np.abs(shifts - np.round(shifts)).max(axis=2) < 1e-3
    kinds = [[site.species_string for site in s] for s in (one, other)]
    alike = np.array(kinds[0])[:, None] == np.array(kinds[1])[None]
    return bool((near & alike).any(axis=1).all())


def _cell_text(metric: NDArray[np.float64]) -> str:
    lattice = Lattice(np.linalg.cholesky(metric))
    lengths = ", ".join(f"{x:.4g}" for x in lattice.abc)
    angles = ", ".join(f"{x:.4g}" for x in lattice.angles)
    return f"{lengths} A; {angles} degrees"


def _check_end(text: str, block: Block) -> None:
    """Refuse a file that ends within a number of its list of atoms: digits may be missing.

    Raises
    ------
    UnreadableFileError
        When the last number has fewer decimals than others of its kind, and no line ends it.
    """
    coordinates = tuple(f"_atom_site_fract_{axis}" for axis in "xyz")
    kinds = next((k for k in (coordinates, ("_atom_site_occupancy",)) if block.last_tag in k), None)
    if kinds is None or text[-1:].isspace():
        return
    columns = [block.column(tag) or [] for tag in kinds]
    numbers = [parse_number(v) for column in columns for v in column if v is not None]
    last = parse_number((block.column(block.last_tag) or [None])[-1] or "")
    if last is None:
        return
    if last.decimals < max(n.decimals for n in numbers if n is not None) and last.value != 1:
        raise UnreadableFileError(
            "The file ends in the middle of a line, with a number that is shorter than others.",
            hint="It may be cut short; export it again, or end its last line with a line break.",
        )
