"""Whether the framework holds: which of its atoms move on, and whether all of them do.

Atoms that rotate with a group, such as the hydrogen of BH4 or the sulfur of PS4, go far and stay
where they are. So an atom that is bonded to one other framework atom only, in a group that is not
bonded to its own image, moves here as the centre of mass of its group.

An element *moves on* when its mean squared displacement goes on growing: at half the production it
is at least ``growth`` times that at a quarter (diffusion doubles it; what rattles or turns has
long reached its plateau).

The framework has *melted* when every element moves on, and in each half of the run, or of its last
half, its atoms, vibrations averaged out, have gone farther (root mean square) than halfway to the
next atom of their kind: one rearrangement, as that of an unstable crystal into a stable one, is not
melting.

An element *diffuses* when it moves on and at least a quarter of its atoms have left their places.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superionic.dynamics.crystal import Crystal
from superionic.dynamics.msd import farthest_displacements, hop_length, mean_squared_displacement

FloatArray = NDArray[np.float64]

# Covalent radii times this: longer than any bond, shorter than a distance between groups.
_BOND_FACTOR = 1.15
_LEFT_FRACTION = 0.25
# Large ions that bond to nothing: their covalent radii would join groups such as SO4 to a lattice.
_UNBONDED = frozenset({"Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba"})


@dataclass(frozen=True)
class FrameworkRules:
    """When an element has left its places.

    Parameters
    ----------
    fraction : float
        Part of the distance to the next atom of its kind that an atom has gone.
    min_distance_A, max_distance_A : float
        Limits of this distance.
    growth : float
        Factor by which the mean squared displacement of what moves on grows when the lag doubles.
    average_ps : float
        Time over which positions are averaged.
    """

    fraction: float
    min_distance_A: float
    max_distance_A: float
    growth: float
    average_ps: float


@dataclass(frozen=True)
class FrameworkElement:
    """How far the atoms of one element of the framework went.

    Parameters
    ----------
    n_atoms, n_left : int
        Its atoms, and those that have left their places.
    left_A : float
        How far an atom has to go for that.
    rms_A : float
        Root mean squared displacement over half the production.
    steady_rms_A : float
        What each half of the production (or of its last half) adds at least, vibrations averaged
        out.
    moves_on : bool
        Whether the mean squared displacement goes on growing.
    """

    n_atoms: int
    n_left: int
    left_A: float
    rms_A: float
    steady_rms_A: float
    moves_on: bool

    @property
    def melted(self) -> bool:
        """Whether its atoms have left their places in both halves of the run."""
        return self.moves_on and self.steady_rms_A > self.left_A

    @property
    def diffuses(self) -> bool:
        """Whether many of its atoms have left their places."""
        return self.moves_on and self.n_left >= max(1.0, _LEFT_FRACTION * self.n_atoms)


def judge_framework(
    positions_A: FloatArray, frame_interval_ps: float, crystal: Crystal, rules: FrameworkRules
) -> dict[str, FrameworkElement]:
    """Return how far each element of the framework went.

    Parameters
    ----------
    positions_A : ndarray, shape (n_frames, n_atoms, 3)
        Unwrapped positions in A, drift removed.
    frame_interval_ps : float
        Time between frames in ps.
    crystal : Crystal
        The crystal.
    rules : FrameworkRules
        The rules.
    """
    n_average = max(1, round(rules.average_ps / frame_interval_ps))
    moved = with_group_centres(positions_A, crystal)
    half = len(moved) // 2
    found = {}
    for symbol in sorted(set(crystal.symbols) - {crystal.mobile}):
        atoms = crystal.is_element(symbol)
        path = moved[:, atoms]
        curve = mean_squared_displacement(path, max(half, 1)).sum(axis=1)
        left_A = hop_length(
            crystal.nearest_distance(atoms),
            rules.fraction,
            rules.min_distance_A,
            rules.max_distance_A,
        )
        found[symbol] = FrameworkElement(
            n_atoms=int(atoms.sum()),
            n_left=int(np.count_nonzero(farthest_displacements(path, n_average) > left_A)),
            left_A=left_A,
            rms_A=float(np.sqrt(curve[-1])),
            steady_rms_A=max(_steady_rms(path, n_average), _steady_rms(path[half:], n_average)),
            moves_on=bool(curve[-1] > rules.growth * curve[len(curve) // 2]),
        )
    return found


def has_melted(elements: dict[str, FrameworkElement], production_ps: float, min_ps: float) -> bool:
    """Return whether all of the framework has left its places."""
    enough = bool(elements) and production_ps >= min_ps
    return enough and all(one.melted for one in elements.values())


def with_group_centres(positions_A: FloatArray, crystal: Crystal) -> FloatArray:
    """Return positions in which atoms at the ends of groups stand at the centre of their group.

    Up to a constant: only displacements have a meaning.
    """
    found = positions_A.copy()
    for group, ends in groups(crystal):
        masses = crystal.masses_u[group]
        centre = np.einsum("fai,a->fi", positions_A[:, group], masses / masses.sum())
        found[:, ends] = centre[:, None]
    return found


def groups(crystal: Crystal) -> list[tuple[NDArray[np.int_], NDArray[np.int_]]]:
    """Return the atoms of each group of the framework, and those that have one bond only.

    A group is of bonded framework atoms and not bonded to its own periodic image. Ions of alkali
    and alkaline earth metals have no bonds.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from superionic.dynamics.crystal import crystal_of
    >>> atoms = molecule("CH4", cell=[8, 8, 8], pbc=True)
    >>> [(atoms, ends)] = groups(crystal_of(atoms, "Li"))
    >>> sorted(atoms.tolist()), sorted(ends.tolist())
    ([0, 1, 2, 3, 4], [1, 2, 3, 4])
    """
    from ase import Atoms
    from ase.neighborlist import natural_cutoffs, neighbor_list

    bonding = np.array([symbol not in _UNBONDED for symbol in crystal.symbols])
    indices = np.flatnonzero(~crystal.is_mobile & bonding)
    atoms = Atoms(
        [crystal.symbols[int(i)] for i in indices],
        positions=crystal.positions_A[indices],
        cell=crystal.cell_A,
        pbc=True,
    )
    if not len(atoms):
        return []
    here, there, images = neighbor_list(
        "ijS", atoms, natural_cutoffs(atoms, mult=_BOND_FACTOR), self_interaction=False
    )
    bonds: list[list[tuple[int, NDArray[np.int_]]]] = [[] for _ in indices]
    for i, j, image in zip(here, there, images, strict=True):
        bonds[i].append((int(j), image))
    place: dict[int, NDArray[np.int_]] = {}
    found = []
    for start in range(len(indices)):
        if start in place:
            continue
        members, finite = _connected(start, bonds, place)
        ends = [i for i in members if len(bonds[i]) == 1]
        if finite and ends:
            found.append((indices[members], indices[ends]))
    return found


def _connected(
    start: int,
    bonds: list[list[tuple[int, NDArray[np.int_]]]],
    place: dict[int, NDArray[np.int_]],
) -> tuple[list[int], bool]:
    """Return the atoms bonded to one, and whether none is bonded to an image of the group."""
    place[start] = np.zeros(3, dtype=int)
    members, finite = [start], True
    for atom in members:  # grows
        for other, image in bonds[atom]:
            cell = place[atom] + image
            if other not in place:
                place[other] = cell
                members.append(other)
            elif not np.array_equal(place[other], cell):
                finite = False
    return members, finite


def _steady_rms(path_A: FloatArray, n_average: int) -> float:
    """Return what each half adds at least."""
    half = len(path_A) // 2
    return min(_net_rms(path_A[:half], n_average), _net_rms(path_A[half:], n_average))


def _net_rms(path_A: FloatArray, n_average: int) -> float:
    """Return the root mean squared displacement from the first average to the last."""
    n_average = min(n_average, max(len(path_A) // 2, 1))
    if not len(path_A):
        return 0.0
    net = path_A[-n_average:].mean(axis=0) - path_A[:n_average].mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(net**2, axis=1))))
