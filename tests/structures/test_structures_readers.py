"""Reading: every format, every bad file, ids."""

import gzip
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Molecule, Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from superionic.errors import InputError, NotACrystalError, UnreadableFileError
from superionic.structures import Candidate, read_candidates


@pytest.fixture
def licl() -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.07), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


@pytest.fixture
def li3n() -> Structure:
    return Structure(
        Lattice.hexagonal(3.648, 3.875),
        ["Li", "Li", "Li", "N"],
        [[0, 0, 0.5], [2 / 3, 1 / 3, 0], [1 / 3, 2 / 3, 0], [0, 0, 0]],
    )


def read(*paths: Path) -> tuple[list[Candidate], list[InputError]]:
    items = list(read_candidates(paths))
    return (
        [i for i in items if isinstance(i, Candidate)],
        [i for i in items if isinstance(i, InputError)],
    )


def only_error(*paths: Path) -> InputError:
    good, bad = read(*paths)
    assert good == []
    assert len(bad) == 1
    assert bad[0].hint
    return bad[0]


def same(a: Structure, b: Structure) -> None:
    assert [s.specie.symbol for s in a] == [s.specie.symbol for s in b]
    np.testing.assert_allclose(a.lattice.parameters, b.lattice.parameters, atol=1e-5)
    np.testing.assert_allclose(a.distance_matrix, b.distance_matrix, atol=1e-4)


def extended_xyz(structure: Structure) -> str:
    lattice = " ".join(f"{x:.8f}" for x in structure.lattice.matrix.ravel())
    lines = [
        str(len(structure)),
        f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T"',
        *(f"{s.specie.symbol} {s.x:.8f} {s.y:.8f} {s.z:.8f}" for s in structure),
    ]
    return "\n".join(lines) + "\n"


def record(structure: Structure, **keys: object) -> dict:
    return {
        **keys,
        "structure": {
            "lattice": structure.lattice.matrix.tolist(),
            "species": [s.specie.symbol for s in structure],
            "frac_coords": structure.frac_coords.tolist(),
        },
    }


WRITERS = {
    "x.cif": lambda s: str(CifWriter(s)),
    "POSCAR": lambda s: Poscar(s).get_str(),
    "CONTCAR.new": lambda s: Poscar(s).get_str(),
    "x.vasp": lambda s: Poscar(s).get_str(),
    "x.extxyz": extended_xyz,
    "x.xyz": extended_xyz,
    "x.json": lambda s: json.dumps(s.as_dict()),
    "y.json": lambda s: json.dumps([record(s)]),
    "x.jsonl": lambda s: json.dumps(record(s)) + "\n\n",
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("packed", [False, True])
def test_round_trip_of_every_format(tmp_path, licl, name, packed):
    path = tmp_path / (name + ".gz" if packed else name)
    data = WRITERS[name](licl).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    good, bad = read(path)
    assert bad == []
    (candidate,) = good
    assert candidate.source == str(path)
    same(candidate.structure, licl)


def test_partial_occupancies_and_charges_survive(tmp_path):
    mixed = Structure(
        Lattice.cubic(4.0), [{"Li+": 0.5}, {"Cl-": 0.25, "Br-": 0.75}], [[0, 0, 0], [0.5] * 3]
    )
    (tmp_path / "a.cif").write_text(str(CifWriter(mixed)))
    (tmp_path / "b.json").write_text(mixed.to_json())
    good, bad = read(tmp_path)
    assert bad == []
    for candidate in good:
        assert candidate.structure.composition.almost_equals(mixed.composition)


def test_several_frames_blocks_and_entries_get_numbered_ids(tmp_path, licl, li3n):
    (tmp_path / "a.xyz").write_text(extended_xyz(licl) + extended_xyz(li3n))
    (tmp_path / "b.json").write_text(json.dumps([licl.as_dict(), li3n.as_dict()]))
    blocks = "\n".join(str(CifWriter(s)) for s in (licl, li3n))
    (tmp_path / "c.cif").write_text(blocks)
    good, bad = read(tmp_path)
    assert bad == []
    formulas = {c.material_id: c.structure.composition.reduced_formula for c in good}
    assert formulas == {
        "a-1": "LiCl",
        "a-2": "Li3N",
        "b-1": "LiCl",
        "b-2": "Li3N",
        "c-LiCl": "LiCl",
        "c-Li3N": "Li3N",
    }


def test_own_ids_and_provenance_of_records(tmp_path, licl, li3n):
    path = tmp_path / "set.jsonl"
    lines = [record(licl, id="mp-1", licence="CC-BY-4.0"), record(li3n, material_id="mp-2")]
    path.write_text("\n".join(map(json.dumps, lines)))
    good, _ = read(path)
    assert [c.material_id for c in good] == ["mp-1", "mp-2"]
    assert good[0].provenance["licence"] == "CC-BY-4.0"


def test_poscars_in_folders_take_the_folders_name(tmp_path, licl, li3n):
    for name, structure in (("salt", licl), ("nitride", li3n)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "POSCAR").write_text(Poscar(structure).get_str())
    good, _ = read(tmp_path)
    assert [c.material_id for c in good] == ["nitride", "salt"]


def test_the_same_file_counts_once(tmp_path, licl):
    path = tmp_path / "x.cif"
    path.write_text(str(CifWriter(licl)))
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "x.cif").write_text(path.read_text())
    good, bad = read(path, path, tmp_path)
    assert bad == []
    assert len(good) == 1


def test_an_id_that_is_taken_gets_a_suffix_that_does_not_depend_on_the_order(tmp_path, licl, li3n):
    other = licl.copy()
    other.scale_lattice(licl.volume * 1.1)
    for folder, structure in (("a", licl), ("b", li3n), ("c", other)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.cif").write_text(str(CifWriter(structure)))
    paths = {f: tmp_path / f for f in "abc"}
    first, _ = read(*(paths[f] for f in "abc"))
    second, _ = read(*(paths[f] for f in "acb"))
    ids = [c.material_id for c in first]
    assert ids[0] == "x"
    assert len(set(ids)) == 3
    assert set(ids) == {c.material_id for c in second}
    assert first[1].provenance["remarks"][0]["code"] == "repeated_id"


def test_folders_pass_over_other_kinds_and_hidden_files(tmp_path, licl):
    (tmp_path / "x.cif").write_text(str(CifWriter(licl)))
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "ranking.json").write_text('[{"rank": 1}]')
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "y.cif").write_text("data_")
    good, bad = read(tmp_path)
    assert len(good) == 1
    assert bad == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", "hello", "not known"),
        ("ranking.json", '[{"rank": 1}]', "no crystals"),
        ("empty.cif", "", "empty"),
        ("blank.vasp", " \n\n", "empty"),
        ("cut.json", '{"lattice": {"mat', "not JSON"),
        ("POSCAR", "Li Cl\n1.0\n5 0 0\n0 5 0\n", "ends at row 4"),
        ("broken.xyz", "3\nno lattice\nLi 0 0 0\n", "cannot be read"),
        ("words.cif", "data_x\n_cell_length_a abc\n", "cannot be read"),
        ("head.cif", "data_x\n_symmetry_Int_Tables_number 1\n", "no unit cell"),
        ("short.jsonl", '{"id": "q", "structure": {"lattice": [[1,0,0]]}}', "lacks"),
    ],
)
def test_bad_files_named_explicitly(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_text(content)
    error = only_error(path)
    assert isinstance(error, UnreadableFileError)
    assert words in error.message
    assert name in str(error)


def test_missing_path_and_empty_folder(tmp_path):
    assert "does not exist" in only_error(tmp_path / "nothing.cif").message
    assert "no crystal files" in only_error(tmp_path).message


def test_binary_and_damaged_gzip(tmp_path, licl):
    binary = tmp_path / "a.cif"
    binary.write_bytes(b"\x7fELF\0\0\xff\xfe")
    assert "not text" in only_error(binary).message
    cut = tmp_path / "b.cif.gz"
    cut.write_bytes(gzip.compress(str(CifWriter(licl)).encode())[:60])
    assert "ends in the middle" in only_error(cut).message
    utf16 = tmp_path / "c.cif"
    utf16.write_bytes(str(CifWriter(licl)).encode("utf-16"))
    assert isinstance(only_error(utf16), UnreadableFileError)


def test_latin_1_comments_are_read_with_a_remark(tmp_path, licl):
    path = tmp_path / "a.cif"
    path.write_bytes("# Zürich, 5 Å\n".encode("latin-1") + str(CifWriter(licl)).encode())
    (candidate,), bad = read(path)
    assert bad == []
    assert [r["code"] for r in candidate.provenance["remarks"]] == ["encoding"]


def test_a_cif_cut_anywhere_never_gives_another_crystal(tmp_path):
    crystal = Structure.from_spacegroup(
        "Pm-3m",
        Lattice.cubic(3.9),
        ["Li", "O", "Br"],
        [[0.5, 0, 0], [0, 0, 0], [0.5, 0.5, 0.5]],
    )
    text = str(CifWriter(crystal))
    path = tmp_path / "x.cif"
    for percent in range(5, 98, 4):
        path.write_text(text[: len(text) * percent // 100])
        good, bad = read(path)
        assert len(good) + len(bad) == 1
        for candidate in good:  # a cut within the last number only
            same(candidate.structure, crystal)


def test_molecules_are_refused(tmp_path):
    (tmp_path / "a.xyz").write_text("3\nwater\nO 0 0 0\nH 0 0 0.96\nH 0 0.93 -0.24\n")
    water = Molecule(["O", "H", "H"], [[0, 0, 0], [0, 0, 0.96], [0, 0.93, -0.24]])
    (tmp_path / "b.json").write_text(water.to_json())
    slab = 'Lattice="3 0 0 0 3 0 0 0 30" Properties=species:S:1:pos:R:3 pbc="T T F"'
    (tmp_path / "c.xyz").write_text(f"1\n{slab}\nLi 0 0 0\n")
    good, bad = read(tmp_path)
    assert good == []
    assert [type(e) for e in bad] == [NotACrystalError] * 3


def test_numbers_that_are_not_finite_are_refused(tmp_path, licl):
    bad_coords = record(licl, id="nan")
    bad_coords["structure"]["frac_coords"][2][1] = float("nan")
    bad_lattice = record(licl, id="inf")
    bad_lattice["structure"]["lattice"][0][0] = float("inf")
    flat = record(licl, id="flat")
    flat["structure"]["lattice"][2] = flat["structure"]["lattice"][1]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in (bad_coords, bad_lattice, flat)))
    good, bad = read(path)
    assert good == []
    assert len(bad) == 3
    assert all(isinstance(e, InputError) for e in bad)


@pytest.mark.parametrize("x", ["nan", "inf", "1e18", "1e200"])
def test_positions_of_extended_xyz_without_bounds_are_refused_without_a_warning(tmp_path, licl, x):
    lines = extended_xyz(licl).splitlines()
    lines[3] = f"Li {x} 0 0"
    (tmp_path / "x.xyz").write_text("\n".join(lines) + "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(only_error(tmp_path / "x.xyz"), NotACrystalError)


def test_poscar_without_element_names_is_refused(tmp_path, licl):
    lines = Poscar(licl).get_str().splitlines()
    vasp4 = ["no elements here", *lines[1:5], *lines[6:7], "direct"]
    vasp4 += [" ".join(line.split()[:3]) for line in lines[8:]]
    path = tmp_path / "POSCAR"
    path.write_text("\n".join(vasp4) + "\n")
    assert "does not name its elements" in only_error(path).message


def test_one_bad_file_or_line_never_stops_the_rest(tmp_path, licl, li3n):
    (tmp_path / "a.cif").write_text(str(CifWriter(licl))[:120])
    (tmp_path / "b.cif").write_text(str(CifWriter(licl)))
    text = json.dumps(record(li3n, id="good"))
    (tmp_path / "c.jsonl").write_text(f"{text[:50]}\n{text}\n[1, 2]\n")
    good, bad = read(tmp_path)
    assert [c.material_id for c in good] == ["b", "good"]
    assert len(bad) == 3
    assert {Path(str(e).split(" ")[0].rstrip(":")).name for e in bad} == {"a.cif", "c.jsonl"}


def test_nothing_is_printed_or_warned(tmp_path, licl, capfd):
    text = str(CifWriter(licl)).replace("Li  Li0", "Li0+  Li0").replace("'P 1'", "'P 1'\n_odd ?")
    (tmp_path / "a.cif").write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        list(read_candidates([tmp_path]))
    assert capfd.readouterr() == ("", "")


def poscar_text(structure: Structure, scale: float = 1.0) -> str:
    scaled = structure.copy()
    scaled.scale_lattice(structure.volume * scale**3)
    return Poscar(scaled).get_str()


def test_ids_of_run_folders_and_the_last_stage_of_each(tmp_path, licl, li3n):
    """As custodian and atomate2 leave them: two relaxations, the input kept aside, all packed."""
    for folder, structure in (("run_a", licl), ("run_b", li3n)):
        (tmp_path / folder).mkdir()
        for number, name in enumerate(["POSCAR.orig", "CONTCAR.relax1", "CONTCAR.relax2"]):
            text = poscar_text(structure, 1.02 - 0.01 * number)
            (tmp_path / folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "run_c").mkdir()
    (tmp_path / "run_c" / "CONTCAR.relax2.gz").write_bytes(
        gzip.compress(poscar_text(licl, 1.1).encode())
    )
    good, bad = read(tmp_path)
    assert bad == []
    assert [c.material_id for c in good] == ["run_a", "run_b", "run_c"]
    same(good[0].structure, licl)  # the second relaxation
    (remark,) = good[0].provenance["remarks"]
    assert remark["code"] == "run_folder"
    for name in ("CONTCAR.relax2.gz", "CONTCAR.relax1.gz", "POSCAR.orig.gz"):
        assert name in remark["text"]
    assert "remarks" not in good[2].provenance
    assert [c.material_id for c in read(tmp_path / "run_a" / "CONTCAR.relax1.gz")[0]] == ["run_a"]


def test_an_empty_contcar_and_another_crystal_in_a_run_folder(tmp_path, licl, li3n):
    run = tmp_path / "run"
    run.mkdir()
    (run / "POSCAR").write_text(poscar_text(licl))
    (run / "CONTCAR").write_text("")  # the run has died
    good, bad = read(tmp_path)
    assert (bad, [c.material_id for c in good]) == ([], ["run"])
    assert "cannot be read: CONTCAR" in good[0].provenance["remarks"][0]["text"]
    (run / "CONTCAR").write_text(poscar_text(li3n))
    good, bad = read(tmp_path)
    assert (bad, [c.material_id for c in good]) == ([], ["run", "run-POSCAR"])
    (run / "CONTCAR").write_text("")
    (run / "POSCAR").write_text("")
    good, bad = read(tmp_path)
    assert (len(good), len(bad)) == (0, 1)


def test_numbered_poscars_of_one_folder_are_crystals_of_their_own(tmp_path, licl, li3n):
    folder = tmp_path / "displaced"
    folder.mkdir()
    (folder / "POSCAR-001").write_text(poscar_text(licl))
    (folder / "POSCAR-002").write_text(poscar_text(li3n))
    (folder / "POSCAR_mp-1").write_text(poscar_text(li3n, 1.1))
    good, bad = read(folder)
    assert bad == []
    assert [c.material_id for c in good] == ["displaced-001", "displaced-002", "mp-1"]


def test_the_last_frame_of_a_trajectory_of_ase(tmp_path, licl):
    from ase.io.trajectory import Trajectory
    from pymatgen.io.ase import AseAtomsAdaptor

    run = tmp_path / "LiCl_run"
    run.mkdir()
    with Trajectory(run / "relax.traj", "w") as trajectory:
        for scale in (1.1, 1.05, 1.0):
            atoms = AseAtomsAdaptor.get_atoms(licl)
            atoms.set_cell(atoms.cell * scale, scale_atoms=True)
            trajectory.write(atoms)
    for paths in ([run], [run / "relax.traj"]):
        (candidate,), bad = read(*paths)
        assert bad == []
        assert candidate.material_id == "LiCl_run"
        assert candidate.provenance["remarks"][0]["code"] == "last_frame"
        same(candidate.structure, licl)
    (run / "relax.traj").write_bytes(b"no trajectory")
    assert "no trajectory of ASE" in only_error(run / "relax.traj").message
    (run / "relax.traj").write_bytes(b"")
    assert only_error(run / "relax.traj").hint


def test_what_is_passed_over_is_said_with_counts(tmp_path, licl):
    (tmp_path / "x.cif").write_text(str(CifWriter(licl)))
    (tmp_path / "ranking.json").write_text('[{"rank": 1}]')
    (tmp_path / "settings.json").write_text('{"a": 1}')
    (tmp_path / "y.xsf").write_text("CRYSTAL")
    (tmp_path / "notes.txt").write_text("hello")
    said: list[str] = []
    items = list(read_candidates([tmp_path], said.append))
    assert [type(i) for i in items] == [Candidate]
    assert len(said) == 2
    assert "1 .xsf file cannot be read" in said[0]
    assert "no crystals in 2 .json files (ranking.json, settings.json)" in said[1]


def test_archives_are_unpacked_up_to_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("superionic.structures.readers.MAX_BYTES", 2**21)
    (tmp_path / "a.cif.gz").write_bytes(gzip.compress(b" " * 2**23))
    assert "more than" in only_error(tmp_path / "a.cif.gz").message
    (tmp_path / "b.cif.gz").write_bytes(gzip.compress(b"\0" * 2**23))
    assert "not text" in only_error(tmp_path / "b.cif.gz").message
    (tmp_path / "c.cif.gz").write_bytes(b"data_x")
    assert "cannot be opened" in only_error(tmp_path / "c.cif.gz").message


def test_only_what_is_cut_is_called_cut(tmp_path):
    broken = tmp_path / "x.xyz"
    broken.write_text("3\nno lattice\nLi 0 0 0\n")
    assert "cut short" not in only_error(broken).hint
