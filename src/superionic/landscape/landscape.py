"""Frozen-framework landscape of a crystal: one ion moves, all others stay.

The protocol is that of Maevskiy et al., arXiv:2411.06804: for each mobile ion in turn, the total
energy on a regular grid over the cell while every other ion, the other mobile ones included, stays
at its equilibrium position.
"""

import time

from pymatgen.core import Structure

from superionic.landscape.evaluation import Evaluation, ProgressCallback
from superionic.landscape.results import Landscape, OrbitLandscape, refuse_flat
from superionic.landscape.settings import LandscapeSettings
from superionic.potentials.base import Potential

__all__ = ["Landscape", "OrbitLandscape", "compute_landscape"]


def compute_landscape(
    structure: Structure,
    mobile_species: str,
    potential: Potential,
    settings: LandscapeSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    prior: Landscape | None = None,
) -> Landscape:
    """Compute the frozen-framework landscape of every mobile ion.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        An ordered crystal at equilibrium.
    mobile_species : str
        Element symbol of the mobile ions.
    potential : Potential
        Where energies come from.
    settings : LandscapeSettings, optional
        Grid, symmetry, exclusion radius.
    progress : callable, optional
        Called now and then with (done, planned) numbers of energies.
    prior : Landscape, optional
        Another potential's landscape of the same crystal on the same grid, from which a learned
        landscape starts: only the difference is learned.

    Raises
    ------
    DisorderError
        When a site is partially occupied.
    NoMobileIonError
        When the crystal does not hold the mobile species.
    NoFrameworkError
        When it holds nothing else.
    UnknownElementError
        When the potential does not know an element.
    NonFiniteEnergyError
        When an energy is NaN or infinite.
    LandscapeError
        When no grid point can be evaluated, the energy is the same at all of them, or the other
        landscape has another grid.
    """
    start = time.perf_counter()
    evaluation = Evaluation(
        structure, mobile_species, potential, settings or LandscapeSettings(), progress, prior
    )
    sampling = evaluation.sampling()
    orbits = evaluation.evaluate(sampling)
    refuse_flat(orbits)
    return Landscape(
        structure=structure,
        mobile_species=mobile_species,
        grid=sampling.grid,
        orbits=orbits,
        space_group=sampling.space_group,
        n_operations=sampling.n_operations,
        n_evaluations=evaluation.n_evaluations,
        wall_time_s=time.perf_counter() - start,
        remarks=sampling.remarks,
        ending=evaluation.ending,
    )
