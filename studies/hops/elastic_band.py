"""Nudged elastic bands with the force fields of dynamics, through ASE's implementation.

Henkelman and Jonsson, J. Chem. Phys. 113, 9978 (2000) for the tangent; Henkelman, Uberuaga and
Jonsson, ibid. 9901, for the climbing image.
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from superionic.errors import InputError
from superionic.potentials.calculator import ForceFieldCalculator
from superionic.potentials.force_field import MakeForceField


@dataclass(frozen=True)
class BandSettings:
    """How positions are relaxed and a band is found.

    Parameters
    ----------
    n_images : int
        Images between the end points.
    relax_fmax_eV_per_A : float
        Largest force at which the relaxation of an end point ends, in eV/A.
    band_fmax_eV_per_A : float
        Largest force on the band at which it is converged, in eV/A.
    relax_steps, band_steps : int
        Most steps of each; the band takes half of its steps without climbing image at most.
    spring_eV_per_A2 : float
        Spring constant between images in eV/A^2.
    """

    n_images: int = 5
    relax_fmax_eV_per_A: float = 0.03
    band_fmax_eV_per_A: float = 0.08
    relax_steps: int = 200
    band_steps: int = 150
    spring_eV_per_A2: float = 1.0


@dataclass(frozen=True)
class Relaxation:
    """Positions at equilibrium.

    Parameters
    ----------
    atoms : Atoms
        The crystal, without calculator.
    energy_eV : float
        Its energy.
    converged : bool
        Whether the forces are below the limit.
    n_evaluations : int
        Force evaluations.
    """

    atoms: Atoms
    energy_eV: float
    converged: bool
    n_evaluations: int


@dataclass(frozen=True)
class Band:
    """A nudged elastic band.

    Parameters
    ----------
    energies_eV : ndarray, shape (n_images + 2,)
        Energies of the images, end points included.
    converged : bool
        Whether the forces on the band are below the limit.
    n_evaluations : int
        Force evaluations.
    """

    energies_eV: NDArray[np.float64]
    converged: bool
    n_evaluations: int

    @property
    def barrier_eV(self) -> float:
        """Return the highest energy above that of the start, in eV."""
        return float(self.energies_eV.max() - self.energies_eV[0])

    @property
    def reverse_barrier_eV(self) -> float:
        """Return the highest energy above that of the end, in eV."""
        return float(self.energies_eV.max() - self.energies_eV[-1])


def relax_positions(
    atoms: Atoms, make_force_field: MakeForceField, settings: BandSettings
) -> Relaxation:
    """Relax all positions in the cell as it is.

    Parameters
    ----------
    atoms : Atoms
        The crystal; it is not changed.
    make_force_field : callable
        Binds the potential to a crystal.
    settings : BandSettings
        When to stop.
    """
    from ase.optimize import LBFGS

    relaxed = atoms.copy()
    relaxed.calc = ForceFieldCalculator(make_force_field)
    with LBFGS(relaxed, logfile=None) as optimizer:
        converged = bool(optimizer.run(settings.relax_fmax_eV_per_A, settings.relax_steps))
    energy_eV, n_evaluations = relaxed.get_potential_energy(), relaxed.calc.n_evaluations
    relaxed.calc = None
    return Relaxation(relaxed, energy_eV, converged, n_evaluations)


def elastic_band(
    start: Atoms, end: Atoms, make_force_field: MakeForceField, settings: BandSettings
) -> Band:
    """Find the band between two relaxed configurations.

    Parameters
    ----------
    start, end : Atoms
        End points, atoms in the same order and in the same cell.
    make_force_field : callable
        Binds the potential to a crystal.
    settings : BandSettings
        Number of images, and when to stop.

    Raises
    ------
    InputError
        When the end points do not hold the same atoms.
    NonFiniteEnergyError
        When an energy or a force is NaN.
    """
    from ase.mep import NEB, idpp_interpolate
    from ase.optimize import FIRE

    if start.get_chemical_symbols() != end.get_chemical_symbols():
        raise InputError(
            "The end points of a band do not hold the same atoms in the same order.",
            hint="Make the end from the start by moving the ion.",
        )
    images = [start.copy() for _ in range(settings.n_images + 1)] + [end.copy()]
    band = NEB(images, k=settings.spring_eV_per_A2, method="improvedtangent")
    band.interpolate(mic=True)
    idpp_interpolate(band, traj=None, log=None, mic=True, steps=50)
    for image in images:
        image.calc = ForceFieldCalculator(make_force_field)
    limit = settings.band_fmax_eV_per_A
    with FIRE(band, logfile=None) as optimizer:
        optimizer.run(3 * limit, settings.band_steps // 2)
    band.climb = True
    with FIRE(band, logfile=None) as optimizer:
        converged = bool(optimizer.run(limit, settings.band_steps - settings.band_steps // 2))
    energies = np.array([image.get_potential_energy() for image in images])
    return Band(energies, converged, sum(image.calc.n_evaluations for image in images))
