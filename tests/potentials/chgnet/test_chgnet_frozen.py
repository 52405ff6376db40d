"""The frozen-framework path against CHGNet's own calculator."""

import copy
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.geometry import get_distances

from superionic.errors import PotentialError
from superionic.potentials.chgnet import kernels as chgnet_kernels
from superionic.potentials.chgnet.frozen import ChgnetFrozenFramework, supports

pytestmark = pytest.mark.real_potential

TOLERANCE_EV = 1e-4


@pytest.fixture(scope="module")
def model():
    from chgnet.model import CHGNet

    return CHGNet.load(use_device="cpu", verbose=False)


def licl() -> Atoms:
    return Atoms(
        "Li2Cl2",
        cell=[[1.962441, -3.399048, 0], [1.962441, 3.399048, 0], [0, 0, 6.357161]],
        positions=[
            [0, 0, 2.39040061],
            [1.96243315, 1.13301147, 5.56898111],
            [0, 0, 6.35070212],
            [1.96243315, 1.13301147, 3.17211527],
        ],
        pbc=True,
    )


def skewed() -> Atoms:
    """A very oblique cell, so that images reach far in fractional coordinates."""
    atoms = bulk("LiF", "rocksalt", a=4.03)
    atoms.set_cell(np.array([[1, 0, 0], [2, 1, 0], [-1, 3, 1]]) @ atoms.cell.array)
    return atoms


CRYSTALS = {
    "LiCl": (licl(), 0),
    "LiCl, the other ion, counted from the end": (licl(), -3),
    "rock salt, one mobile ion and one framework atom": (bulk("LiF", "rocksalt", a=4.03), 0),
    "rock salt, cubic": (bulk("LiBr", "rocksalt", a=5.5, cubic=True), 3),
    "oblique": (skewed(), 0),
    # Cell edges below 3 A: the ion's bonds to its own images carry angles, collinear ones too.
    "self images in the bond graph": (
        Atoms(
            "LiAl", cell=[2.8, 2.9, 5.2], scaled_positions=[[0, 0, 0], [0.4, 0.5, 0.5]], pbc=True
        ),
        0,
    ),
    # No framework bond below 3 A, so that the mobile ion makes the only angles, or none.
    "sparse framework": (
        Atoms(
            "LiCs", cell=[5.5, 5.6, 5.7], scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], pbc=True
        ),
        0,
    ),
}


def random_positions(atoms: Atoms, mobile: int, n: int, seed: int) -> np.ndarray:
    """Positions in this and neighbouring cells, at least 1.2 A from other atoms."""
    rng = np.random.default_rng(seed)
    framework = np.delete(atoms.positions, mobile, axis=0)
    result: list[np.ndarray] = []
    while len(result) < n:
        position = rng.uniform(-1, 2, 3) @ atoms.cell.array
        _, d = get_distances([position], framework, cell=atoms.cell, pbc=True)
        if d.min() >= 1.2:
            result.append(position)
    return np.array(result)


def calculator_energies(model, atoms: Atoms, mobile: int, positions_A: np.ndarray) -> np.ndarray:
    from chgnet.model.dynamics import CHGNetCalculator

    atoms = atoms.copy()
    atoms.calc = CHGNetCalculator(model, use_device="cpu")
    result = []
    for position in positions_A:
        atoms.positions[mobile] = position
        result.append(atoms.get_potential_energy())
    return np.array(result)


@pytest.mark.parametrize("name", CRYSTALS)
def test_equals_calculator(model, name):
    atoms, mobile = CRYSTALS[name]
    positions = random_positions(atoms, mobile, 8, seed=1)
    energies = ChgnetFrozenFramework(model, atoms, mobile).energies(positions)
    assert np.ptp(energies) > 0.01
    expected = calculator_energies(model, atoms, mobile, positions)
    assert energies == pytest.approx(expected, abs=TOLERANCE_EV, rel=0)


@pytest.mark.parametrize("material_id", ["mp-10103", "mp-696128"])
def test_equals_calculator_on_real_crystals(model, material_id):
    shared = os.environ.get("SUPERIONIC_TEST_SHARED")
    if not shared:
        pytest.skip("SUPERIONIC_TEST_SHARED is not set")
    for line in (Path(shared) / "data" / "structures_li.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["id"] == material_id:
            break
    crystal = record["structure"]
    atoms = Atoms(
        crystal["species"],
        cell=crystal["lattice"],
        scaled_positions=crystal["frac_coords"],
        pbc=True,
    )
    mobile = crystal["species"].index("Li")
    positions = random_positions(atoms, mobile, 6, seed=2)
    energies = ChgnetFrozenFramework(model, atoms, mobile).energies(positions)
    expected = calculator_energies(model, atoms, mobile, positions)
    assert energies == pytest.approx(expected, abs=TOLERANCE_EV, rel=0)


def test_equals_the_model_in_double_precision(model, monkeypatch):
    # CHGNet's own float32 energies are off by up to 1e-4 eV in cells with many equal bonds.
    import chgnet.graph.converter
    import chgnet.model.model
    from pymatgen.io.ase import AseAtomsAdaptor

    atoms, mobile = bulk("LiF", "rocksalt", a=4.03, cubic=True), 0
    positions = random_positions(atoms, mobile, 4, seed=8)
    energies = ChgnetFrozenFramework(model, atoms, mobile).energies(positions)
    for module in (chgnet.graph.converter, chgnet.model.model):
        monkeypatch.setattr(module, "TORCH_DTYPE", torch.float64)
    double = copy.deepcopy(model).double()
    double.composition_model.float()
    torch.set_default_dtype(torch.float64)
    try:
        expected = []
        for position in positions:
            atoms.positions[mobile] = position
            graph = double.graph_converter(AseAtomsAdaptor.get_structure(atoms))
            expected.append(double([graph], task="e")["e"].item() * len(atoms))
    finally:
        torch.set_default_dtype(torch.float32)
    assert energies == pytest.approx(np.array(expected), abs=2e-5, rel=0)


def test_at_the_published_distance_and_at_cutoffs(model):
    # Bonds enter and leave the two graphs at 3 A and 6 A; the energy must not jump there.
    atoms, mobile = licl(), 0
    chlorine = atoms.positions[2]
    direction = np.array([0.3, 0.5, 0.81])
    direction /= np.linalg.norm(direction)
    frozen = ChgnetFrozenFramework(model, atoms, mobile)
    distances = np.array([1.2, 3 - 1e-7, 3, 3 + 1e-7, 6 - 1e-7, 6, 6 + 1e-7])
    positions = chlorine + distances[:, None] * direction
    energies = frozen.energies(positions)
    assert energies == pytest.approx(
        calculator_energies(model, atoms, mobile, positions), abs=TOLERANCE_EV, rel=0
    )
    assert np.ptp(energies[1:4]) < 1e-5
    assert np.ptp(energies[4:]) < 1e-5


def test_periodic(model):
    atoms, mobile = licl(), 1
    positions = random_positions(atoms, mobile, 4, seed=3)
    frozen = ChgnetFrozenFramework(model, atoms, mobile)
    shifts = np.array([[1, 0, 0], [0, -2, 0], [3, 1, -4], [0, 0, 7]]) @ atoms.cell.array
    assert frozen.energies(positions + shifts) == pytest.approx(
        frozen.energies(positions), abs=1e-5, rel=0
    )


def test_framework_outside_the_home_cell(model):
    atoms, mobile = licl(), 0
    positions = random_positions(atoms, mobile, 4, seed=4)
    moved = atoms.copy()
    moved.positions[2] += atoms.cell.array[0] - 2 * atoms.cell.array[2]
    expected = ChgnetFrozenFramework(model, atoms, mobile).energies(positions)
    energies = ChgnetFrozenFramework(model, moved, mobile).energies(positions)
    assert energies == pytest.approx(expected, abs=1e-5, rel=0)


def test_order_batches_and_threads_do_not_matter(model):
    atoms, mobile = licl(), 0
    positions = random_positions(atoms, mobile, 24, seed=5)
    expected = ChgnetFrozenFramework(model, atoms, mobile).energies(positions)
    backwards = ChgnetFrozenFramework(model, atoms, mobile, batch_size=5).energies(positions[::-1])
    assert np.array_equal(backwards[::-1], expected)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        parallel = ChgnetFrozenFramework(model, atoms, mobile, batch_size=2).energies(positions)
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(parallel, expected)


def test_cached_code_is_that_of_the_sources():
    folder = Path(chgnet_kernels.__file__).parent
    sources = [(folder / name).read_bytes() for name in ("compiled.py", "layout.py")]
    digest = hashlib.sha256(b"".join(sources)).hexdigest()[:12]
    assert digest == chgnet_kernels.BUILT_ON, "set BUILT_ON in kernels.py"


def test_no_positions(model):
    assert ChgnetFrozenFramework(model, licl(), 0).energies(np.empty((0, 3))).shape == (0,)


def test_impossible_positions_are_not_finite(model):
    frozen = ChgnetFrozenFramework(model, licl(), 0)
    good = licl().positions[0]
    energies = frozen.energies(np.array([licl().positions[2], good, [np.nan, 0, 0]]))
    assert list(np.isfinite(energies)) == [False, True, False]
    # What came before leaves no trace.
    assert energies[1] == frozen.energies(good[None])[0]


def test_leaves_the_crystal_alone(model):
    atoms = licl()
    before = atoms.positions.copy()
    ChgnetFrozenFramework(model, atoms, 0).energies(before[:1] + 0.1)
    assert np.array_equal(atoms.positions, before)


def test_refuses_other_architectures():
    from chgnet.model import CHGNet

    other = CHGNet.load(model_name="0.2.0", use_device="cpu", verbose=False)
    assert not supports(other)
    with pytest.raises(PotentialError, match="architecture"):
        ChgnetFrozenFramework(other, licl(), 0)


def test_r2scan_variant():
    from chgnet.model import CHGNet

    other = CHGNet.load(model_name="r2scan", use_device="cpu", verbose=False)
    if not supports(other):
        pytest.skip("this version's r2SCAN model has another architecture")
    positions = random_positions(licl(), 0, 4, seed=6)
    energies = ChgnetFrozenFramework(other, licl(), 0).energies(positions)
    expected = calculator_energies(other, licl(), 0, positions)
    assert energies == pytest.approx(expected, abs=TOLERANCE_EV, rel=0)
