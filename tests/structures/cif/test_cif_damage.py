"""A file that is cut, or loses or doubles a row, is never taken for another crystal."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import ase.io
import pytest
from cif_texts import contents, is_same, read_one
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter

from superionic.errors import InputError

EXAMPLES = Path(__file__).parents[3] / "workflows" / "example_crystals"
N_CRYSTALS = 50
N_CUTS = 6
N_ROWS = 6


def plain(structure: Structure) -> str:
    return str(CifWriter(structure))


def symmetric(structure: Structure) -> str:
    return str(CifWriter(structure, symprec=0.01))


def by_name(structure: Structure) -> str:
    """Return a file whose operations follow from the name of its space group."""
    loop = r"loop_\n _symmetry_equiv_pos_site_id.*?(?=loop_\n _atom_site)"
    return re.sub(loop, "", symmetric(structure), flags=re.DOTALL)


def operations_last(structure: Structure) -> str:
    head, operations, atoms = re.split(r"(?=loop_\n _(?:sym|atom_site))", symmetric(structure))
    return head + atoms + operations


def by_ase(structure: Structure) -> str:
    buffer = BytesIO()
    ase.io.write(buffer, AseAtomsAdaptor.get_atoms(structure), format="cif")
    return buffer.getvalue().decode()


WRITERS: list[Callable[[Structure], str]] = [plain, symmetric, by_name, operations_last, by_ase]


def damaged(text: str, rng: random.Random, every: bool) -> Iterator[tuple[str, str]]:
    lines = text.splitlines(keepends=True)
    rows = range(len(lines))
    cuts = range(len(text))
    if not every:
        rows, cuts = rng.sample(rows, min(N_ROWS, len(rows))), rng.sample(cuts, N_CUTS)
    for row in rows:
        yield f"lost row {row}", "".join(lines[:row] + lines[row + 1 :])
        yield f"doubled row {row}", "".join(lines[: row + 1] + lines[row:])
    for end in cuts:
        yield f"cut at {end}", text[:end]


def outcomes(text: str, rng: random.Random, every: bool = False) -> Counter[str]:
    """Count what becomes of damaged files; fail where it is another crystal."""
    crystal, _ = read_one(text)
    counts: Counter[str] = Counter()
    for what, changed in damaged(text, rng, every):
        for content in contents(changed):
            if isinstance(content, Structure):
                assert is_same(content, crystal), f"{what} of {crystal.formula}\n{changed}"
                counts["same"] += 1
            else:
                assert isinstance(content, InputError), f"{what}: {content!r}"
                counts["refused"] += 1
    return counts


@pytest.mark.parametrize("write", WRITERS)
def test_example_crystals(write):
    rng = random.Random(0)
    total: Counter[str] = Counter()
    for path in sorted(EXAMPLES.glob("mp-*.cif")):
        total += outcomes(write(Structure.from_file(path)), rng)
    assert total["refused"] > 100
    assert total["same"] > 5


@pytest.mark.parametrize("write", [by_name, operations_last])
def test_every_row_and_every_cut(write):
    rock_salt = Structure.from_spacegroup(
        "P4/nmm", Lattice.tetragonal(3.55, 4.33), ["Li", "O"], [[0, 0, 0], [0, 0.5, 0.1938]]
    )
    counts = outcomes(write(rock_salt), random.Random(0), every=True)
    assert counts["refused"] > 500
    assert counts["same"] > 10


def test_partial_occupancies():
    mixed = Structure(
        Lattice.hexagonal(5.1, 14.2),
        [{"Li": 0.4, "Na": 0.6}, {"Li": 1 / 3}, "Ti", "O", {"O": 0.5, "F": 0.5}],
        [[0, 0, 0], [1 / 3, 2 / 3, 0.1], [0.2, 0.4, 0.25], [0.1, 0.7, 0.6], [0.8, 0.3, 0.9]],
    )
    counts = outcomes(plain(mixed), random.Random(0), every=True)
    assert counts["refused"] > 500


@pytest.mark.parametrize("write", [plain, symmetric, by_name])
def test_crystals_of_many_kinds(shared, write):
    rng = random.Random(write.__name__)
    lines = (shared / "data" / "structures_li.jsonl").read_text().splitlines()
    records = [json.loads(line)["structure"] for line in lines]
    small = [r for r in records if 2 <= len(r["species"]) <= 60]
    total: Counter[str] = Counter()
    for record in rng.sample(small, N_CRYSTALS):
        crystal = Structure(Lattice(record["lattice"]), record["species"], record["frac_coords"])
        total += outcomes(write(crystal), rng)
    assert total["refused"] > 400
    assert total["same"] > 50
