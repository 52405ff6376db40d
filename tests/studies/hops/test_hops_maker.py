"""Barriers of single hops by all methods, with a real potential."""

import numpy as np
import pytest
from jobflow import run_locally
from monty.json import MontyDecoder
from pymatgen.core import Lattice, Structure

from studies.hops.elastic_band import BandSettings, elastic_band, relax_positions
from studies.hops.maker import HopMaker, _ion_at
from superionic.errors import InputError
from superionic.potentials.force_field import CalculatorForceField


@pytest.fixture
def vacancy():
    """Rock salt LiCl, 16 ions, without the lithium at the origin; its neighbour and the origin."""
    crystal = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.11), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ).make_supercell([2, 1, 1], in_place=False)
    origin = int(np.argmin(np.linalg.norm(crystal.frac_coords % 1, axis=1)))
    assert crystal[origin].specie.symbol == "Li"
    end = crystal[origin].frac_coords.tolist()
    crystal.remove_sites([origin])
    start = [0.25, 0.5, 0.0]
    return crystal, start, end


@pytest.mark.real_potential
def test_freedom_lowers_the_barrier(vacancy):
    crystal, start, end = vacancy
    maker = HopMaker(band=True, band_settings=BandSettings(n_images=3, band_steps=60))
    hop = maker.make(crystal, start, end, "chgnet", material_id="LiCl vacancy")
    answer = run_locally(hop, ensure_success=True)
    found = answer[hop.uuid][1].output
    assert found.hop_A == pytest.approx(5.11 / np.sqrt(2), abs=1e-3)
    # The vacancy hops from a site to an equivalent one.
    assert found.ends_differ_eV == pytest.approx(0.0, abs=0.02)
    assert found.band_reverse_eV == pytest.approx(found.band_eV, abs=0.05)
    assert 0.1 < found.band_eV < found.halfway_eV + 0.05
    assert found.halfway_eV < found.relaxed_eV
    assert found.warnings == []


def test_start_and_end_have_to_be_what_they_are_called(vacancy):
    crystal, start, end = vacancy
    assert crystal[_ion_at(crystal, start, end)].specie.symbol == "Li"
    with pytest.raises(InputError, match="nearest ion"):
        _ion_at(crystal, [0.125, 0.25, 0.25], end)
    with pytest.raises(InputError, match="from the end"):
        _ion_at(crystal, start, [0.5, 0.5, 0.5])


def test_a_band_finds_a_known_saddle():
    """Two atoms tied to a double well: the saddle of x^4 - 2 x^2 lies 1 above its minima."""
    from ase import Atoms
    from ase.calculators.calculator import Calculator

    class DoubleWell(Calculator):
        implemented_properties = ("energy", "forces")

        def calculate(self, atoms=None, properties=(), system_changes=()):
            super().calculate(atoms, properties, system_changes)
            x, y, z = (self.atoms.positions[0] - 10.0).T
            energy = x**4 - 2 * x**2 + (y - 0.3 * (1 - x**2)) ** 2 + z**2
            slope = 2 * (y - 0.3 * (1 - x**2))
            force = -np.array([4 * x**3 - 4 * x + slope * 0.6 * x, slope, 2 * z])
            self.results = {"energy": energy, "forces": np.array([force, np.zeros(3)])}

    def make(systems):
        return CalculatorForceField(DoubleWell(), systems)

    start = Atoms("LiCl", [[9.1, 10.1, 10], [1, 1, 1]], cell=[20, 20, 20], pbc=True)
    end = Atoms("LiCl", [[10.9, 10.1, 10], [1, 1, 1]], cell=[20, 20, 20], pbc=True)
    settings = BandSettings(relax_fmax_eV_per_A=1e-3, band_fmax_eV_per_A=0.02, band_steps=400)
    relaxed = [relax_positions(one, make, settings).atoms for one in (start, end)]
    assert relaxed[0].positions[0, 0] == pytest.approx(9.0, abs=1e-3)
    band = elastic_band(*relaxed, make, settings)
    assert band.converged
    assert band.barrier_eV == pytest.approx(1.0, abs=2e-3)
    assert band.reverse_barrier_eV == pytest.approx(1.0, abs=2e-3)
    with pytest.raises(InputError, match="same atoms"):
        elastic_band(
            start, Atoms("LiBr", start.positions, cell=start.cell, pbc=True), make, settings
        )


def test_documents_of_when_hops_were_in_the_package_are_read():
    stored = HopMaker(band=True).as_dict() | {"@module": "superionic.jobs.hop"}
    assert MontyDecoder().process_decoded(stored) == HopMaker(band=True)
