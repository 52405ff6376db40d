"""One crystal's landscape in parts, for several workers.

The points of every orbit are dealt out in turn: part k of n takes each n-th point from the k-th on.
Which points there are follows from the crystal and the settings alone, so that parts that were
computed anywhere can be put together again.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from superionic.errors import LandscapeError
from superionic.landscape.evaluation import SYMMETRY_BROKEN, Evaluation, ProgressCallback, Sampling
from superionic.landscape.grid import Origin
from superionic.landscape.results import Landscape, refuse_flat
from superionic.landscape.settings import LandscapeSettings
from superionic.potentials.base import Potential


def settle_symmetry(evaluation: Evaluation) -> tuple[Sampling, LandscapeSettings]:
    """Check the symmetry once for all parts.

    Parameters
    ----------
    evaluation : Evaluation
        Of the crystal, with the settings asked for.

    Returns
    -------
    sampling : Sampling
        Grid and symmetry that all parts use.
    settings : LandscapeSettings
        The settings with which each part comes to the same grid without another check.
    """
    sampling = evaluation.sampling()
    broken = any(remark.code == SYMMETRY_BROKEN for remark in sampling.remarks)
    kept = evaluation.settings.symmetry and not broken
    return sampling, replace(evaluation.settings, symmetry=kept, n_symmetry_checks=0)


def evaluate_part(
    structure: Structure,
    mobile_species: str,
    potential: Potential,
    settings: LandscapeSettings,
    part: int,
    n_parts: int,
    *,
    progress: ProgressCallback | None = None,
) -> tuple[Origin, list[NDArray[np.float64]]]:
    """Evaluate one part of a landscape.

    Parameters
    ----------
    structure, mobile_species, potential
        As for :func:`~superionic.landscape.landscape.compute_landscape`.
    settings : LandscapeSettings
        From :func:`settle_symmetry`; every point is evaluated, so not learned.
    part : int
        Which part, from 0.
    n_parts : int
        How many there are.
    progress : callable, optional
        Called now and then with (done, planned) numbers of energies.

    Returns
    -------
    origin : tuple of float
        That of the grid, in fractional coordinates.
    energies : list of ndarray
        For each orbit total energies in eV of this part's points.
    """
    if settings.learned is not None:
        raise LandscapeError(
            "A learned landscape cannot be split into parts: each energy decides on the next.",
            hint="Leave out one of the two.",
        )
    evaluation = Evaluation(structure, mobile_species, potential, settings, progress)
    sampling = evaluation.sampling()
    planned = evaluation.count(sampling) // n_parts
    return sampling.grid.origin, [
        evaluation.at_points(sampling.grid, plan, plan.points[part::n_parts], planned)
        for plan in evaluation.plans(sampling)
    ]


def assemble(
    structure: Structure,
    mobile_species: str,
    potential: Potential,
    settings: LandscapeSettings,
    parts: Sequence[Sequence[NDArray[np.float64]]],
) -> Landscape:
    """Put the parts of a landscape together.

    Parameters
    ----------
    structure, mobile_species, potential, settings
        As they were given to :func:`evaluate_part`; no energy is evaluated.
    parts : sequence of sequence of ndarray
        The energies that it returned for each part, in order.

    Raises
    ------
    LandscapeError
        When the parts do not belong to this crystal and these settings.
    """
    start = time.perf_counter()
    evaluation = Evaluation(structure, mobile_species, potential, settings)
    sampling = evaluation.sampling()
    orbits = []
    for index, plan in enumerate(evaluation.plans(sampling)):
        energies_eV = np.full(len(plan.points), np.nan)
        for k, part in enumerate(parts):
            share = energies_eV[k :: len(parts)]
            if len(part) != len(sampling.orbits) or len(part[index]) != len(share):
                raise LandscapeError(
                    f"Part {k + 1} of {len(parts)} has other points than the grid asks for.",
                    hint="All parts must be computed with the same version and settings.",
                )
            share[:] = part[index]
        orbits.append(plan.place(sampling.grid, energies_eV))
    refuse_flat(orbits)
    return Landscape(
        structure=structure,
        mobile_species=mobile_species,
        grid=sampling.grid,
        orbits=orbits,
        space_group=sampling.space_group,
        n_operations=sampling.n_operations,
        n_evaluations=sum(len(share) for part in parts for share in part),
        wall_time_s=time.perf_counter() - start,
        remarks=sampling.remarks,
    )
