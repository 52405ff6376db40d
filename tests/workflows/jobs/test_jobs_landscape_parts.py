"""Landscapes as jobs: parts equal the whole, and learned ones keep draws and intervals."""

from dataclasses import replace

import numpy as np
import pytest
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.schemas.screen import DescriptorsDocument, LandscapeDocument
from superionic.structures.candidate import Candidate
from superionic.workflows.jobs.landscape import LandscapeMaker
from superionic.workflows.makers.screen import ScreenMaker

POTENTIAL = 'ase:ase.calculators.lj.LennardJones?{"sigma": 2.2, "epsilon": 0.05, "rc": 6.0}'


def crystal(noise_A: float = 0.0) -> Structure:
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.1), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    if noise_A:
        rng = np.random.default_rng(3)
        structure.translate_sites([1], rng.normal(0, noise_A, 3), frac_coords=False)
    return structure


def run(maker: ScreenMaker, structure: Structure, tmp_path) -> tuple[JobStore, list]:
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    store.connect()
    flow = maker.make(Candidate("salt", structure))
    run_locally(flow, store=store, log=False, raise_immediately=True, root_dir=tmp_path)
    return store, flow


def document(store: JobStore, kind: str, model: type):
    row = store.query_one({"output.kind": kind}, load=True)
    keys = {k: v for k, v in row["output"].items() if not k.startswith("@")}
    return model.model_validate(keys)


@pytest.mark.parametrize(
    ("noise_A", "per_job", "carrier"), [(0.0, 6, None), (0.1, 250, None), (0.0, 6, "interstitial")]
)
def test_parts_equal_the_whole(tmp_path, noise_A, per_job, carrier):
    # With the loose tolerance the displaced crystal is taken for cubic, the check finds out, and
    # the parts have to know.
    settings = LandscapeSettings(
        grid_step_A=0.8 if noise_A else 0.6,
        symprec_A=0.4 if noise_A else 1e-3,
        carrier=carrier,
    )
    maker = ScreenMaker(
        potential=POTENTIAL, relax_maker=None, landscape_maker=LandscapeMaker(settings=settings)
    )
    whole, _ = run(maker, crystal(noise_A), tmp_path)
    split_maker = replace(
        maker, landscape_maker=LandscapeMaker(settings=settings, energies_per_job=per_job)
    )
    split, _ = run(split_maker, crystal(noise_A), tmp_path)
    parts = list(split.query({"output.kind": "landscape part"}))
    assert len(parts) >= 2
    assert max(part["output"]["n_evaluations"] for part in parts) <= per_job + 2

    one = document(whole, "landscape", LandscapeDocument)
    other = document(split, "landscape", LandscapeDocument)
    assert other.n_evaluations == one.n_evaluations
    assert other.settings == one.settings
    assert [w.code for w in other.warnings] == [w.code for w in one.warnings]
    assert bool(one.warnings) == bool(noise_A or carrier)
    assert other.n_operations == one.n_operations
    for mine, theirs in zip(one.landscape().maps(), other.landscape().maps(), strict=True):
        np.testing.assert_allclose(mine[1], theirs[1], atol=1e-9)
    one = document(whole, "descriptors", DescriptorsDocument)
    other = document(split, "descriptors", DescriptorsDocument)
    assert (other.mpe_eV, other.xi) == pytest.approx((one.mpe_eV, one.xi))


def test_a_small_crystal_stays_in_one_job(tmp_path):
    maker = ScreenMaker(
        potential=POTENTIAL,
        relax_maker=None,
        landscape_maker=LandscapeMaker(
            settings=LandscapeSettings(grid_step_A=0.8), energies_per_job=10_000
        ),
    )
    store, _ = run(maker, crystal(), tmp_path)
    assert not list(store.query({"output.kind": "landscape part"}))
    assert store.query_one({"output.kind": "landscape"})


def test_a_learned_landscape_keeps_its_draws_and_intervals(tmp_path):
    learned = LearnedSettings(n_draws=16, max_energies=60)
    settings = LandscapeSettings(grid_step_A=0.5, learned=learned, exclusion_radius_A=1.5)
    # Energies decide on the next ones: it is not spread over jobs.
    landscape_maker = LandscapeMaker(settings=settings, energies_per_job=5)
    maker = ScreenMaker(potential=POTENTIAL, relax_maker=None, landscape_maker=landscape_maker)
    store, _ = run(maker, crystal(0.1), tmp_path)
    stored = document(store, "landscape", LandscapeDocument)
    landscape = stored.landscape()
    assert stored.ending == landscape.ending
    assert stored.ending in ("settled", "budget", "exhausted")
    assert landscape.n_draws == 16
    assert len(list(landscape.drawn_maps(0))) == landscape.n_mobile
    for orbit in landscape.orbits:
        one, other = orbit.draw(0), orbit.draw(1)
        known = orbit.evaluated
        np.testing.assert_array_equal(one[known], orbit.energies_eV[known])
        np.testing.assert_array_equal(other[known], orbit.energies_eV[known])
        assert np.abs(one - other).max() > 0
    found = document(store, "descriptors", DescriptorsDocument)
    assert found.ending == stored.ending
    assert found.intervals is not None
    assert found.intervals.xi.low <= found.xi <= found.intervals.xi.high
    assert len(found.intervals.fv_disconnected_union) == len(found.thresholds_eV)
    assert len(found.intervals.mpe_per_ion_eV) == found.n_mobile
