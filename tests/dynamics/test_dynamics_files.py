"""Trajectories of other programs, good and bad ones, written small."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from superionic.dynamics.files import read_trajectory, unwrap
from superionic.errors import DiffusionError

CELL_A = np.array([[9.0, 0.0, 0.0], [1.0, 8.0, 0.0], [0.0, 0.5, 10.0]])
SYMBOLS = ["Li", "Li", "P", "S"]
N_FRAMES = 40


@pytest.fixture(scope="module")
def path_A():
    """Unwrapped paths that leave the cell."""
    rng = np.random.default_rng(0)
    start = np.array([[0.3, 0.3, 0.3], [8.0, 7.0, 9.5], [4, 4, 4], [4, 4, 6.0]])
    steps = rng.normal(0.0, 0.05, (N_FRAMES, 4, 3))
    steps[:, :2] += [0.4, 0.1, 0.3]
    return start + np.cumsum(steps, axis=0)


@pytest.fixture(scope="module")
def frames(path_A):
    """The same, moved back into the cell as most programs write it."""
    found = [Atoms(SYMBOLS, positions, cell=CELL_A, pbc=True) for positions in path_A]
    for atoms in found:
        atoms.wrap()
    return found


def steps_of(positions):
    return np.diff(positions, axis=0)


def lammps(path, frames, *, steps=None, element=True):
    lines = []
    for number, atoms in enumerate(frames):
        step = 10 * number if steps is None else steps[number]
        cell = atoms.cell.array
        xy, xz, yz = cell[1, 0], cell[2, 0], cell[2, 1]
        corners = [0.0, xy, xz, xy + xz]
        lines += ["ITEM: TIMESTEP", str(step), "ITEM: NUMBER OF ATOMS", str(len(atoms))]
        lines += [
            "ITEM: BOX BOUNDS xy xz yz pp pp pp",
            f"{min(corners)} {cell[0, 0] + max(corners)} {xy}",
            f"{min(0.0, yz)} {cell[1, 1] + max(0.0, yz)} {xz}",
            f"0.0 {cell[2, 2]} {yz}",
            "ITEM: ATOMS id type " + ("element " if element else "") + "x y z",
        ]
        for i in reversed(range(len(atoms))):  # LAMMPS writes in any order
            symbol = f"{atoms[i].symbol} " if element else ""
            x, y, z = atoms.positions[i]
            lines.append(f"{i + 1} {1 + i // 2} {symbol}{x:.8f} {y:.8f} {z:.8f}")
    path.write_text("\n".join(lines) + "\n")


def cp2k(path, frames, steps=None):
    lines = []
    for number, atoms in enumerate(frames):
        step = number if steps is None else steps[number]
        lines += [
            f"{len(atoms):8d}",
            f" i = {step:8d}, time = {0.5 * step:12.3f}, E = {-1.0:20.10f}",
        ]
        lines += [f"{a.symbol} {a.x:.10f} {a.y:.10f} {a.z:.10f}" for a in atoms]
    path.write_text("\n".join(lines) + "\n")


def vasprun(path, frames):
    def vectors(name, rows):
        lines = "".join(f"<v> {x:.8f} {y:.8f} {z:.8f} </v>" for x, y, z in rows)
        return f'<varray name="{name}">{lines}</varray>'

    atoms = frames[0]
    rows = "".join(f"<rc><c>{s}</c><c>1</c></rc>" for s in SYMBOLS)
    text = '<?xml version="1.0"?><modeling><incar><i name="POTIM"> 2.5 </i></incar><parameters>'
    text += '<separator name="electronic"><i name="ENMAX"> 300 </i></separator></parameters>'
    text += '<kpoints><varray name="kpointlist"><v> 0 0 0 </v></varray>'
    text += '<varray name="weights"><v> 1 </v></varray></kpoints>'
    text += f"<atominfo><atoms> {len(atoms)} </atoms><types> 3 </types>"
    text += f'<array name="atoms"><set>{rows}</set></array></atominfo>'
    structure = "<structure{}><crystal>{}</crystal>{}</structure>"
    initial = (vectors("basis", CELL_A), vectors("positions", atoms.get_scaled_positions()))
    text += structure.format(' name="initialpos"', *initial)
    for one in frames:
        parts = (vectors("basis", CELL_A), vectors("positions", one.get_scaled_positions()))
        names = ("e_fr_energy", "e_wo_entrp", "e_0_energy")
        energy = "".join(f'<i name="{name}"> -1 </i>' for name in names)
        text += f"<calculation><scstep><energy>{energy}</energy></scstep>"
        text += structure.format("", *parts) + vectors("forces", np.zeros((4, 3)))
        text += f"<energy>{energy}</energy></calculation>"
    path.write_text(text + "</modeling>")


@pytest.mark.parametrize("name", ["run.traj", "run.extxyz", "XDATCAR", "run.lammpstrj", "run.xyz"])
def test_formats_give_the_same_unwrapped_path(tmp_path, frames, path_A, name):
    file, options = tmp_path / name, {"timestep_fs": 5.0}
    if name == "run.lammpstrj":
        lammps(file, frames)
    elif name == "run.xyz":
        cp2k(file, frames)
        options = {"structure": frames[0]}
    elif name == "XDATCAR":
        write(file, frames, format="vasp-xdatcar")
    else:
        write(file, frames)
    found = read_trajectory(file, **options)
    assert found.atoms.get_chemical_symbols() == SYMBOLS
    assert found.frame_interval_ps == pytest.approx(0.0005 if name == "run.xyz" else 0.005)
    np.testing.assert_allclose(steps_of(found.positions_A), steps_of(path_A), atol=2e-6)
    assert np.ptp(found.positions_A[:, 0, 0]) > 9.0  # it left the cell
    later = found.since(10 * found.frame_interval_ps)
    assert len(later.positions_A) == N_FRAMES - 10


def test_vasprun_says_its_time_step(tmp_path, frames, path_A):
    vasprun(tmp_path / "vasprun.xml", frames)
    found = read_trajectory(tmp_path / "vasprun.xml")
    assert found.frame_interval_ps == pytest.approx(0.0025)
    np.testing.assert_allclose(steps_of(found.positions_A), steps_of(path_A), atol=2e-6)


def test_types_of_lammps_take_their_elements_from_a_structure(tmp_path, frames):
    lammps(tmp_path / "dump.run", frames, element=False)
    with pytest.raises(DiffusionError, match="no elements") as caught:
        read_trajectory(tmp_path / "dump.run", timestep_fs=1.0)
    assert "--structure" in caught.value.hint
    found = read_trajectory(tmp_path / "dump.run", timestep_fs=1.0, structure=frames[0])
    assert found.atoms.get_chemical_symbols() == SYMBOLS
    with pytest.raises(DiffusionError, match="4 atoms, the structure 3"):
        read_trajectory(tmp_path / "dump.run", timestep_fs=1.0, structure=frames[0][:3])


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([*range(0, 200, 10), *range(300, 500, 10)], "leaves frames out"),
        ([*range(0, 200, 10), *range(190, 390, 10)], "repeats or goes back"),
        ([*range(0, 200, 10), *range(205, 305, 5)], "changes the time between frames"),
    ],
)
@pytest.mark.parametrize("program", ["lammps", "cp2k"])
def test_frames_that_are_not_evenly_spaced_are_refused(tmp_path, frames, steps, words, program):
    file = tmp_path / ("run.dump" if program == "lammps" else "run.xyz")
    (lammps if program == "lammps" else cp2k)(file, frames, steps=steps)
    with pytest.raises(DiffusionError, match=words) as caught:
        read_trajectory(file, timestep_fs=1.0, structure=frames[0])
    assert "190" in str(caught.value)


def changed(frames, number, change):
    found = [atoms.copy() for atoms in frames]
    change(found[number])
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda atoms: atoms.set_cell(1.01 * CELL_A), "the cell changes .frame 20"),
        (lambda atoms: atoms.pop(), "frame 20 holds other atoms"),
        (lambda atoms: atoms.set_chemical_symbols(["Li", "P", "Li", "S"]), "frame 20 holds other"),
        (lambda atoms: atoms.positions.__setitem__((1, 1), np.nan), "not a finite number"),
        (
            lambda atoms: atoms.positions.__iadd__([4.4, 0, 0]),
            r"moves by 0.\d+ of the cell from frame",
        ),
    ],
)
def test_what_cannot_be_analysed_is_refused_with_its_frame(tmp_path, frames, change, words):
    write(tmp_path / "run.traj", changed(frames, 20, change))
    with pytest.raises(DiffusionError, match=words):
        read_trajectory(tmp_path / "run.traj", timestep_fs=5.0)


def test_missing_words_and_files_are_named(tmp_path, frames):
    write(tmp_path / "run.traj", frames)
    with pytest.raises(DiffusionError, match="does not say how much time") as caught:
        read_trajectory(tmp_path / "run.traj")
    assert "--timestep" in caught.value.hint
    write(tmp_path / "one.traj", frames[:1])
    with pytest.raises(DiffusionError, match="holds 1 frame;"):
        read_trajectory(tmp_path / "one.traj", timestep_fs=5.0)
    cp2k(tmp_path / "run.xyz", frames)
    with pytest.raises(DiffusionError, match="says no cell") as caught:
        read_trajectory(tmp_path / "run.xyz")
    assert "--structure" in caught.value.hint
    (tmp_path / "broken.traj").write_bytes(b"not a trajectory")
    with pytest.raises(DiffusionError, match="cannot be read as traj"):
        read_trajectory(tmp_path / "broken.traj", timestep_fs=5.0)
    (tmp_path / "run.dcd").write_bytes(b"")
    with pytest.raises(DiffusionError, match="no trajectory that is known"):
        read_trajectory(tmp_path / "run.dcd", timestep_fs=5.0)
    with pytest.raises(DiffusionError, match="no file"):
        read_trajectory(tmp_path / "nowhere.traj", timestep_fs=5.0)
    with pytest.raises(DiffusionError, match="without a run"):
        read_trajectory(tmp_path)


def test_unwrapping_undoes_wrapping():
    rng = np.random.default_rng(1)
    path = np.cumsum(rng.uniform(-0.35, 0.35, (200, 5, 3)), axis=0)
    np.testing.assert_allclose(unwrap(path % 1.0) - (path[0] % 1.0), path - path[0], atol=1e-9)
