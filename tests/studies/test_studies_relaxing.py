"""Landscapes on which the other mobile ions make way."""

import numpy as np
import pytest
from ase import Atoms

from studies import relaxing
from studies.relaxing import RelaxingFramework
from superionic.potentials.base import Potential, PotentialInfo


class Springs(Potential):
    """Mobile ions on springs at home, which push each other; the framework is an anchor."""

    info = PotentialInfo("springs", "springs", "springs 1", "0" * 64)
    elements = None

    def __init__(self, homes, stiffness=1.0, push=2.0):
        self.homes, self.stiffness, self.push = homes, stiffness, push

    def energies(self, configurations):
        return self.energies_and_forces(configurations)[0]

    def energies_and_forces(self, configurations):
        energies, forces = [], []
        for atoms in configurations:
            x = atoms.positions[1:] - self.homes
            apart = atoms.positions[1] - atoms.positions[2]
            pushed = self.push * np.exp(-0.5 * apart @ apart)
            force = np.zeros((3, 3))
            force[1:] = -self.stiffness * x
            force[1] += pushed * apart
            force[2] -= pushed * apart
            energies.append(0.5 * self.stiffness * (x**2).sum() + pushed)
            forces.append(force)
        return np.array(energies), forces


@pytest.fixture
def crystal():
    positions = [[0.0, 0, 0], [4.0, 4, 4], [6.0, 4, 4]]
    return Atoms("ILi2", positions=positions, cell=8 * np.eye(3), pbc=True)


def test_energies_are_those_of_the_relaxed_neighbour(crystal, monkeypatch):
    monkeypatch.setattr(relaxing, "N_STEPS", 100)
    potential = Springs(crystal.positions[1:])
    at = np.array([[4.0, 4, 4], [5.5, 4, 4], [6.2, 4, 4]])
    found = RelaxingFramework(potential, crystal, 1).energies(at)
    x = np.linspace(4.0, 12.0, 8001)
    for place, energy in zip(at, found, strict=True):
        still = 0.5 * (place[0] - 4) ** 2 + 0.5 * (x - 6) ** 2
        exact = (still + 2.0 * np.exp(-0.5 * (x - place[0]) ** 2)).min()
        assert energy == pytest.approx(exact, abs=2e-3)


def test_the_ion_itself_and_the_framework_stay(crystal):
    potential = Springs(crystal.positions[1:])
    seen = []
    original = potential.energies_and_forces

    def watched(configurations):
        seen.extend(atoms.positions.copy() for atoms in configurations)
        return original(configurations)

    potential.energies_and_forces = watched
    RelaxingFramework(potential, crystal, 1).energies(np.array([[5.7, 4, 4]]))
    assert len(seen) > 3
    for positions in seen:
        np.testing.assert_allclose(positions[0], crystal.positions[0])
        np.testing.assert_allclose(positions[1], [5.7, 4, 4])
    assert seen[-1][2, 0] > 6.2  # pushed along
