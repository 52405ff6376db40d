import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import primitive_neighbor_list

from superionic.dynamics.runner import MDTask, run_md
from superionic.dynamics.settings import MDSettings
from superionic.dynamics.stopping import StopRules
from superionic.dynamics.trajectory import read_frames
from superionic.errors import PotentialError, UnknownElementError
from superionic.potentials.base import Potential, PotentialForceField, PotentialInfo
from superionic.potentials.chgnet.neighbours import VerletList, find_angles, find_pairs

LICL = bulk("LiCl", "rocksalt", a=5.1)


def sulfide(seed=0, n_repeat=1):
    """Antifluorite Li2S with a phosphorus in it, shaken; bonds below 3 A, angles of all kinds."""
    atoms = bulk("SLi2", "fluorite", a=5.7, cubic=True).repeat((n_repeat, 1, 1))
    atoms.symbols[0] = "P"
    atoms.positions += np.random.default_rng(seed).normal(0.0, 0.12, atoms.positions.shape)
    return atoms


def random_crystal(seed, n_atoms=7):
    rng = np.random.default_rng(seed)
    cell = rng.normal(size=(3, 3)) + 4.0 * np.eye(3)
    return rng.uniform(-9.0, 9.0, (n_atoms, 3)), cell


@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_those_of_ase(seed):
    positions, cell = random_crystal(seed)
    pairs = find_pairs(positions, cell, 5.0)
    i, _, vectors = primitive_neighbor_list("ijD", [True] * 3, cell, positions, 5.0)
    assert 2 * len(pairs) == len(i)
    ours = np.linalg.norm(pairs.vectors(positions), axis=1)
    theirs = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(np.sort(np.repeat(ours, 2)), np.sort(theirs), atol=1e-9)
    ours_by_atom = np.bincount(np.r_[pairs.first, pairs.second], minlength=len(positions))
    np.testing.assert_array_equal(ours_by_atom, np.bincount(i, minlength=len(positions)))


def test_angles_are_all_pairs_of_bond_ends_at_an_atom():
    positions, cell = random_crystal(1)
    pairs = find_pairs(positions, cell, 4.5)
    short = np.linalg.norm(pairs.vectors(positions), axis=1) < 3.5
    angles = find_angles(pairs, short, len(positions))
    ends = np.bincount(np.r_[pairs.first[short], pairs.second[short]], minlength=len(positions))
    np.testing.assert_array_equal(
        np.bincount(angles.centre, minlength=len(positions)), ends * (ends - 1) // 2
    )
    vectors = pairs.vectors(positions)
    for c, a, b, sign in zip(angles.centre, angles.bond_a, angles.bond_b, angles.sign, strict=True):
        away = [
            (1.0 if pairs.first[bond] == c else -1.0) for bond in (a, b)
        ]  # an atom's bond to its own image has both ends there
        if pairs.first[a] != pairs.second[a] and pairs.first[b] != pairs.second[b]:
            assert sign == away[0] * away[1]
        assert vectors[a] @ vectors[a] < 3.5**2


def test_a_pruned_list_equals_a_fresh_one():
    positions, cell = random_crystal(3)
    verlet = VerletList(cell, 5.0, 3.0, 1.0)
    rng = np.random.default_rng(0)
    for _ in range(30):
        positions = positions + rng.normal(0.0, 0.1, positions.shape)
        old = verlet.graph(positions)
        new = VerletList(cell, 5.0, 3.0, 1.0).graph(positions)
        for one, other in zip(old[0:1] + old[3:4], new[0:1] + new[3:4], strict=True):
            for name in one.__dataclass_fields__:
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_array_equal(old[1], new[1])
        np.testing.assert_array_equal(old[2], new[2])
    assert 1 < verlet.n_searches < 20


@pytest.fixture(scope="module")
def model():
    from superionic.potentials.chgnet.force_field import _load_default

    return _load_default()


@pytest.fixture(scope="module")
def calculator(model):
    from chgnet.model import CHGNetCalculator

    return CHGNetCalculator(model, use_device="cpu", on_isolated_atoms="ignore")


def fast(systems, model, **kwargs):
    from superionic.potentials.chgnet.force_field import CHGNetForceField

    return CHGNetForceField(systems, model, **kwargs)


CRYSTALS = {
    "two atoms, every bond to an image": LICL,
    "shaken Li2S with P": sulfide(),
    "an overlap": Atoms("Li2", positions=[[0, 0, 0], [0.4, 0, 0]], cell=[7, 7, 7], pbc=True),
    "no angles": Atoms("LiCl", positions=[[0, 0, 0], [0, 0, 4.0]], cell=[9, 9, 9], pbc=True),
    "isolated": Atoms("Li", cell=[9, 9, 9], pbc=True),
    "outside the cell": Atoms(
        "LiCl", positions=[[-30, 2, 50], [0.3, 0.2, 60.0]], cell=LICL.cell, pbc=True
    ),
}


@pytest.mark.real_potential
@pytest.mark.parametrize("name", CRYSTALS)
def test_energies_and_forces_are_those_of_chgnet(name, model, calculator):
    atoms = CRYSTALS[name].copy()
    energies, forces = fast([atoms], model).evaluate([atoms.positions])
    if name == "isolated":  # the package cannot take forces there
        np.testing.assert_array_equal(forces[0], 0.0)
        return
    atoms.wrap()
    atoms.calc = calculator
    expected = atoms.get_forces()
    # single precision: CHGNet holds fractional coordinates in it
    scale = max(1.0, np.abs(expected).max())
    assert energies[0] == pytest.approx(atoms.get_potential_energy(), abs=1e-5 * len(atoms))
    np.testing.assert_allclose(forces[0], expected, atol=2e-5 * scale)


@pytest.mark.real_potential
def test_forces_along_a_trajectory_do_not_depend_on_its_history(model):
    atoms = sulfide()
    positions, rng = atoms.positions.copy(), np.random.default_rng(1)
    field = fast([atoms], model)
    for _ in range(12):
        positions = positions + rng.normal(0.0, 0.1, positions.shape)
        energies, forces = field.evaluate([positions])
    fresh_energies, fresh_forces = fast([atoms], model).evaluate([positions])
    assert field._verlet[0].n_searches > 2
    assert energies[0] == fresh_energies[0]
    np.testing.assert_array_equal(forces[0], fresh_forces[0])


@pytest.mark.real_potential
def test_forces_are_the_gradient_of_the_energy_and_add_up_to_zero(model):
    atoms = sulfide(3)
    field = fast([atoms], model)
    _, forces = field.evaluate([atoms.positions])
    np.testing.assert_allclose(forces[0].sum(axis=0), 0.0, atol=1e-12)
    direction = np.random.default_rng(0).normal(size=atoms.positions.shape)
    direction /= np.linalg.norm(direction)
    step = 0.02
    (plus,), (minus,) = (
        field.evaluate([atoms.positions + sign * step * direction])[0] for sign in (1, -1)
    )
    slope = (plus - minus) / (2 * step)
    assert slope == pytest.approx(-np.sum(forces[0] * direction), abs=5e-3)


@pytest.mark.real_potential
def test_a_batch_equals_its_members(model):
    systems = [LICL, sulfide(), CRYSTALS["no angles"], CRYSTALS["isolated"], sulfide(2)]
    energies, forces = fast(systems, model).evaluate([a.positions for a in systems])
    for atoms, energy, force in zip(systems, energies, forces, strict=True):
        alone_energy, alone_force = fast([atoms], model).evaluate([atoms.positions])
        assert energy == pytest.approx(alone_energy[0], abs=1e-5)
        np.testing.assert_allclose(force, alone_force[0], atol=1e-5)


@pytest.mark.real_potential
def test_unknown_elements_and_other_architectures_are_refused(model):
    with pytest.raises(UnknownElementError, match="95"):
        fast([Atoms("Am", cell=[5, 5, 5], pbc=True)], model)
    import copy

    other = copy.deepcopy(model)
    other.model_args = other.model_args | {"mlp_out_bias": True}
    with pytest.raises(PotentialError, match="mlp_out_bias"):
        fast([LICL], other)


@pytest.mark.real_potential
def test_restarted_chgnet_dynamics_are_the_same_to_the_last_bit(model, tmp_path):
    atoms = sulfide()
    settings = MDSettings(
        thermostat="bussi",
        timestep_fs=1.0,
        n_equilibration_steps=0,
        n_steps=24,
        stride=2,
        checkpoint_interval=8,
    )

    class StoppedError(Exception):
        pass

    class Stopping:
        def __init__(self, systems):
            self.inner, self.label, self.n = fast(systems, model), "chgnet:default", 0

        def evaluate(self, positions_A):
            self.n += 1
            if self.n > 15:
                raise StoppedError
            return self.inner.evaluate(positions_A)

    def task(name):
        return MDTask(atoms, "Li", settings, tmp_path / name, StopRules(early=False))

    run_md(task("whole"), lambda systems: fast(systems, model))
    with pytest.raises(StoppedError):
        run_md(task("cut"), Stopping)
    run_md(task("cut"), lambda systems: fast(systems, model))
    whole, cut = read_frames(tmp_path / "whole"), read_frames(tmp_path / "cut")
    np.testing.assert_array_equal(cut.steps, np.arange(0, 25, 2))
    np.testing.assert_array_equal(whole.positions_A, cut.positions_A)
    np.testing.assert_array_equal(whole.energies_eV, cut.energies_eV)


@pytest.mark.real_potential
def test_nve_with_chgnet_conserves_energy(model, tmp_path):
    from superionic.units import BOLTZMANN_eV_per_K

    atoms = sulfide()
    settings = MDSettings(
        temperature_K=600.0,
        thermostat="nve",
        timestep_fs=1.0,
        n_equilibration_steps=0,
        n_steps=100,
        stride=1,
        checkpoint_interval=50,
    )
    run_md(
        MDTask(atoms, "Li", settings, tmp_path, StopRules(early=False)),
        lambda systems: fast(systems, model),
    )
    frames = read_frames(tmp_path)
    degrees = 3 * len(atoms) - 3
    kinetic = 0.5 * degrees * BOLTZMANN_eV_per_K * frames.temperatures_K
    total = frames.energies_eV + kinetic
    assert np.ptp(kinetic) > 0.1
    assert np.abs(total - total[0]).max() < 0.05 * np.ptp(kinetic)


@pytest.mark.real_potential
def test_chgnet_binds_itself_to_crystals_the_fast_way_and_others_as_they_can(model):
    from superionic.potentials.chgnet.potential import ChgnetPotential

    class Plain(Potential):
        info = PotentialInfo("ase", "plain", "x 1", "0" * 64)
        elements = None

        def energies(self, configurations):
            return np.zeros(len(configurations))

        def energies_and_forces(self, configurations):
            return self.energies(configurations), [0.0 * a.positions for a in configurations]

    chgnet = ChgnetPotential(model, "0.3.0")
    slow, quick = Plain().force_field([LICL]), chgnet.force_field([LICL])
    assert isinstance(slow, PotentialForceField)
    assert type(quick).__name__ == "CHGNetForceField"
    assert quick.label == f"chgnet:0.3.0:{chgnet.info.weights_sha256}"
    energies, forces = slow.evaluate([LICL.positions])
    assert (energies.shape, forces[0].shape) == ((1,), (2, 3))
