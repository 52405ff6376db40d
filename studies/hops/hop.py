"""The barrier of one hop: minimax on the landscape of one ion between two given places.

All other ions are frozen. The ion visits a grid of its own, one axis of which runs from start to
end, so that both are grid points; energies are evaluated only where a flood from the start goes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy import ndimage

from superionic.errors import InputError, NonFiniteEnergyError
from superionic.potentials.base import Potential

Energies = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_EVERY_NEIGHBOUR = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class HopSettings:
    """How the landscape of a hop is sampled.

    Parameters
    ----------
    grid_step_A : float
        Largest distance of grid points along each axis in A.
    detour_A : float
        Places are visited whose distances to start and end add up to at most this much more than
        the distance of the two, in A.
    min_distance_A : float
        Places closer than this to another ion are not visited, in A.
    level_step_eV : float
        By how much the level of the flood rises at a time, in eV. It changes what is evaluated, not
        the barrier.
    ceiling_eV : float
        The flood ends at this level, in eV above the start.
    """

    grid_step_A: float = 0.25
    detour_A: float = 2.0
    min_distance_A: float = 1.2
    level_step_eV: float = 0.1
    ceiling_eV: float = 10.0


@dataclass(frozen=True)
class Hop:
    """What the flood found.

    Parameters
    ----------
    barrier_eV : float
        Highest energy on the best path, above the lowest energy on the side of the start;
        infinite when the ceiling is below it.
    reverse_barrier_eV : float
        The same above the lowest energy on the side of the end.
    saddle_A : ndarray, shape (3,), or None
        Where on the path the energy is highest.
    saddle_energy_eV : float
        Total energy there in eV.
    n_evaluations : int
        Energies that were evaluated.
    """

    barrier_eV: float
    reverse_barrier_eV: float
    saddle_A: NDArray[np.float64] | None
    saddle_energy_eV: float
    n_evaluations: int


def hop_barrier(
    atoms: Atoms,
    mobile_index: int,
    end_A: NDArray[np.float64],
    potential: Potential,
    settings: HopSettings | None = None,
) -> Hop:
    """Return the barrier of an ion's hop in the frozen framework of a crystal.

    Parameters
    ----------
    atoms : Atoms
        The crystal with the ion at its start.
    mobile_index : int
        The ion.
    end_A : ndarray, shape (3,)
        Cartesian position of the end in A; the image nearest to the start counts.
    potential : Potential
        Gives the energies.
    settings : HopSettings, optional
        How the landscape is sampled.

    Raises
    ------
    InputError
        When start and end are the same place.
    NonFiniteEnergyError
        When an energy is NaN.
    """
    settings = settings or HopSettings()
    start = atoms.positions[mobile_index]
    cell = atoms.cell.array
    offset = np.linalg.solve(cell.T, np.asarray(end_A) - start)
    # The nearest image is not always that of the rounded coordinates in an oblique cell.
    images = np.array(list(np.ndindex(3, 3, 3))) - 1
    candidates = (offset - np.round(offset) + images) @ cell
    hop = candidates[np.argmin(np.linalg.norm(candidates, axis=1))]
    if np.linalg.norm(hop) < settings.grid_step_A:
        raise InputError(
            f"Start and end of the hop are {np.linalg.norm(hop):.2f} A apart.",
            hint="Give the place of another site as the end.",
        )
    framework = potential.frozen_framework(atoms, mobile_index)
    others = np.delete(np.arange(len(atoms)), mobile_index)
    shifts = np.array(list(np.ndindex(3, 3, 3))) - 1
    around = (atoms.positions[others][None] + (shifts @ cell)[:, None]).reshape(-1, 3)
    return flood_hop(framework.energies, start, hop, around, settings)


def flood_hop(
    energies: Energies,
    start_A: NDArray[np.float64],
    hop_A: NDArray[np.float64],
    obstacles_A: NDArray[np.float64],
    settings: HopSettings,
) -> Hop:
    """Flood from the start until the end is reached.

    Parameters
    ----------
    energies : callable
        Takes positions in A, shape (m, 3), and returns total energies in eV, shape (m,).
    start_A, hop_A : ndarray, shape (3,)
        Start, and the vector from there to the end, in A.
    obstacles_A : ndarray, shape (n, 3)
        Positions of the other ions and their images in A.
    settings : HopSettings
        How the landscape is sampled.

    Raises
    ------
    NonFiniteEnergyError
        When an energy is NaN.
    """
    grid = _Box(start_A, hop_A, settings)
    allowed = grid.inside & grid.clear_of(obstacles_A, settings.min_distance_A)
    allowed[grid.start] = allowed[grid.end] = True
    known = np.full(allowed.shape, np.inf)
    unknown = allowed.copy()

    def learn(wanted: NDArray[np.bool_]) -> None:
        found = energies(grid.positions_A[wanted])
        if not np.isfinite(found).all():
            raise NonFiniteEnergyError(
                "The energies along a hop hold NaN or infinity.",
                hint="Check the crystal for unphysical distances, or use another potential.",
            )
        known[wanted] = found
        unknown[wanted] = False

    ends = np.zeros_like(allowed)
    ends[grid.start] = ends[grid.end] = True
    learn(ends)
    level_eV = known[grid.start]
    ceiling_eV = level_eV + settings.ceiling_eV
    while level_eV < ceiling_eV:
        level_eV = min(level_eV + settings.level_step_eV, ceiling_eV)
        while True:
            pool = _component(known, level_eV, grid.start)
            wanted = ndimage.binary_dilation(pool, _EVERY_NEIGHBOUR) & unknown
            if not wanted.any():
                break
            learn(wanted)
        if pool[grid.end]:
            return _lowest_pass(known, grid, int(allowed.sum() - unknown.sum()))
    n_evaluations = int(allowed.sum() - unknown.sum())
    return Hop(np.inf, np.inf, None, np.inf, n_evaluations)


class _Box:
    """A grid whose first axis runs from start to end."""

    def __init__(
        self, start_A: NDArray[np.float64], hop_A: NDArray[np.float64], settings: HopSettings
    ) -> None:
        step, detour = settings.grid_step_A, settings.detour_A
        length = float(np.linalg.norm(hop_A))
        axis = hop_A / length
        helper = np.eye(3)[np.argmin(np.abs(axis))]
        second = np.cross(axis, helper)
        second /= np.linalg.norm(second)
        frame = np.array([axis, second, np.cross(axis, second)])
        n_hop = int(np.ceil(length / step))
        along = length / n_hop
        n_beyond = int(detour / 2 / along)
        # The half axes of the ellipsoid of all places with that detour.
        n_across = int(np.sqrt((length + detour) ** 2 - length**2) / 2 / step)
        x = np.arange(-n_beyond, n_hop + n_beyond + 1) * along
        y = np.arange(-n_across, n_across + 1) * step
        mesh = np.stack(np.meshgrid(x, y, y, indexing="ij"), axis=-1)
        self.positions_A = start_A + mesh @ frame
        self.start = (n_beyond, n_across, n_across)
        self.end = (n_beyond + n_hop, n_across, n_across)
        to_start = np.linalg.norm(mesh, axis=-1)
        to_end = np.linalg.norm(mesh - [length, 0, 0], axis=-1)
        self.inside = to_start + to_end <= length + detour + 1e-9

    def clear_of(self, obstacles_A: NDArray[np.float64], radius_A: float) -> NDArray[np.bool_]:
        from scipy.spatial import KDTree

        distances, _ = KDTree(obstacles_A).query(self.positions_A, distance_upper_bound=radius_A)
        return ~np.isfinite(distances)


def _component(
    energies_eV: NDArray[np.float64], level_eV: float, point: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Return what is connected with a point at or below a level."""
    labels, _ = ndimage.label(energies_eV <= level_eV, structure=_EVERY_NEIGHBOUR)
    return labels == labels[point] if labels[point] else np.zeros(labels.shape, dtype=bool)


def _lowest_pass(known: NDArray[np.float64], grid: _Box, n_evaluations: int) -> Hop:
    """Bisect for the lowest level at which start and end are connected."""
    levels = np.unique(known[np.isfinite(known)])
    floor = max(known[grid.start], known[grid.end])
    low, high = int(np.searchsorted(levels, floor)), len(levels) - 1
    while low < high:
        middle = (low + high) // 2
        if _component(known, levels[middle], grid.start)[grid.end]:
            high = middle
        else:
            low = middle + 1
    saddle_eV = float(levels[low])
    below = np.nextafter(saddle_eV, -np.inf)
    sides = [
        min(known[_component(known, below, point)].min(initial=np.inf), known[point])
        for point in (grid.start, grid.end)
    ]
    where = np.argwhere(known == saddle_eV)[0]
    return Hop(
        barrier_eV=saddle_eV - sides[0],
        reverse_barrier_eV=saddle_eV - sides[1],
        saddle_A=grid.positions_A[tuple(where)],
        saddle_energy_eV=saddle_eV,
        n_evaluations=n_evaluations,
    )
