"""Signs of a framework that will not last, on crystals whose stiffness is known."""

import numpy as np
import pytest
from ase.units import kB
from pymatgen.core import Lattice, Structure

from studies.soft_crystals import (
    LARGEST_MODE_A,
    TABLE,
    _covariance,
    _forces,
    _supercell,
    _whole,
    policy_scores,
    softness,
    table,
)
from superionic.network.shakes import atoms_of

SALT = Structure(Lattice.cubic(4.2), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


class Alone:
    """Each atom on a spring of its own, as stiff as given."""

    label = "springs"

    def __init__(self, systems, stiffness):
        self.rest = [atoms.get_positions() for atoms in systems]
        self.stiffness = stiffness

    def evaluate(self, positions):
        pairs = zip(positions, self.rest, strict=True)
        return np.zeros(len(positions)), [-self.stiffness * (now - rest) for now, rest in pairs]


def test_ions_on_springs_move_as_equipartition_says():
    found = softness(SALT, "Li", 1000.0, lambda systems: Alone(systems, 2.5))
    supercell, _ = _supercell(atoms_of(SALT), 8.0)
    distance = 4.2 * np.sqrt(3) / 2
    alone = np.sqrt(3 * kB * 1000.0 / 2.5) / distance
    assert found.einstein == found.einstein_largest == pytest.approx(alone)
    # The crystal as a whole does not move.
    together = alone * np.sqrt(1 - 1 / len(supercell))
    assert found.harmonic == found.harmonic_largest == pytest.approx(together)
    # Six displacements of the one ion of the framework, three of each ion, and the crystal at rest.
    assert found.n_forces == 6 + 6 + 1
    colder = softness(SALT, "Li", 250.0, lambda systems: Alone(systems, 2.5))
    assert colder.harmonic == pytest.approx(found.harmonic / 2)


def test_the_rows_of_one_cell_give_the_hessian_of_the_supercell(springs):
    atoms = atoms_of(SALT.copy().perturb(0.1))
    supercell, first = _supercell(atoms, 8.0)
    n_atoms = len(supercell)
    every = [(i, axis, 0.01) for i in range(n_atoms) for axis in range(3)]
    forces, rest = _forces(supercell, every, springs.force_field)
    rows = (-(forces - rest) / 0.01).reshape(n_atoms, 3, -1)
    direct = rows.reshape(3 * n_atoms, -1)
    np.testing.assert_allclose(
        _whole(rows[first], supercell, first),
        (direct + direct.T) / 2,
        atol=1e-6 * abs(direct).max(),
    )


def test_an_unstable_mode_is_large_and_finite():
    hessian = np.diag([10.0, 10.0, 1e-9, -3.0, 10.0, 10.0])[:3, :3]
    found = np.diag(_covariance(hessian, 0.086))
    assert found == pytest.approx([0.0086, 0.0086, LARGEST_MODE_A**2])


def test_a_sign_that_knows_what_melts_is_used_and_one_that_does_not_is_not(monkeypatch):
    monkeypatch.setattr("studies.soft_crystals.SIGNS", {"good": "good", "noise": "noise"})
    monkeypatch.setattr("studies.soft_crystals.feature_matrix", lambda rows, _: (rows, rows))
    rng = np.random.default_rng(0)
    n = 120
    free = np.sort(rng.uniform(size=n))[::-1]
    melts = np.zeros(n, dtype=bool)
    melts[: n // 3 : 2] = True  # half of those that have room
    conducts = (np.arange(n) < n // 3) & ~melts
    signs = {
        "good": np.where(melts, 0.3, 0.1) + rng.uniform(0, 0.05, n),
        "noise": rng.uniform(0.1, 0.3, n),
    }
    systems = [f"system {i // 2}" for i in range(n)]
    scores, words = policy_scores(
        free[:, None], free, signs, np.ones(n, dtype=bool), conducts, melts, systems
    )
    assert "noise" not in words
    for title, values in scores.items():
        first = np.argsort(-values, kind="stable")[:10]
        if "sign" in title or "soft" in title:
            assert melts[first].sum() == 0
        else:
            assert melts[first].sum() >= 4


def test_the_table_is_that_of_the_published_numbers():
    assert TABLE.read_text() == table()
