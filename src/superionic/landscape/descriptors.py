"""Descriptors of a frozen-framework landscape.

The published ones (minimum percolation energy, connected and disconnected free volume, Xi;
Maevskiy et al., arXiv 2411.06804), and beside them the percolation barriers of the map that all
mobile ions share, free volumes in A^3 per mobile ion, and the effective diffusivity at 1000 K.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import log10

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Lattice
from scipy.special import expit

from superionic.errors import LandscapeError, Remark
from superionic.landscape.grid import GridOperation
from superionic.landscape.levels import (
    TIE_eV,
    flood_window,
    lowest_face,
    neighbour_offsets,
    unite_window,
)
from superionic.landscape.maps import IonMaps, MapSymmetry, as_ion_maps
from superionic.landscape.percolation import READING_STEP_A, lowest_of, shared_barriers
from superionic.landscape.settings import DescriptorSettings as DescriptorSettings
from superionic.landscape.transport import effective_diffusivity
from superionic.structures.checks import cell_widths

TRANSPORT_TEMPERATURE_K = 1000.0
"""That of the labels; the names of the numbers say it."""

FloatArray = NDArray[np.float64]
Folded = tuple[NDArray[np.int16], NDArray[np.int32], NDArray[np.int64]]
"""What :func:`~superionic.landscape.levels.flood_window` fills."""

NARROW_A = 3.5
"""In cells narrower than this barriers depend on the cell (table in docs/candidates.md)."""


def narrow_cell_remarks(lattice: Lattice) -> tuple[Remark, ...]:
    """Return a remark when the images of an ion, which move with it, come near its own path."""
    width_A = float(cell_widths(lattice).min())
    if width_A >= NARROW_A:
        return ()
    text = (
        f"The cell is {width_A:.1f} A wide: the images of an ion move with it and meet it half-way,"
        " so that barriers and Xi depend on the cell; --min-width 5 repeats it."
    )
    return (Remark("narrow_cell", text),)


@dataclass(frozen=True)
class Descriptors:
    """Descriptors of one crystal, one mobile species and one potential.

    Tuples named ``fv_`` or ``free_volume_`` hold one value for each of ``thresholds_eV``.

    Parameters
    ----------
    n_mobile : int
        Mobile ions in the cell.
    cell_volume_A3 : float
        Volume of the cell in A^3.
    mpe_eV : float
        Minimum percolation energy: the lowest level on a face of the window, of the best ion.
    mpe_per_ion_eV : tuple of float
        The same for each mobile ion; ``inf`` if finite energies do not reach a face.
    barrier_1d_eV, barrier_2d_eV, barrier_3d_eV : float
        Percolation barriers of the map of the smallest energy over all mobile ions, with periodic
        boundaries, above its minimum, read between grid points
        (:func:`~superionic.landscape.percolation.shared_barriers`).
    diffusivity_ratios_1000K : tuple of float
        Principal values, ascending, of the effective diffusivity at 1000 K on that map, relative
        to a flat one (:mod:`superionic.landscape.transport`).
    xi_threshold_eV : float
        Threshold of the free volumes in Xi.
    xi : float
        ``s(10 (log10 fv_connected + 2)) s(10 (log10 fv_disconnected + 1.15))``, s the logistic
        function, with unions.
    thresholds_eV : tuple of float
        Energies above an ion's minimum.
    fv_connected_union, fv_connected_sum : tuple of float
        Fraction of the window of two cells along each axis with a level below the threshold: of
        any ion, or summed over the ions.
    fv_disconnected_union, fv_disconnected_sum : tuple of float
        Fraction of the cell with an energy below the threshold: of any ion, or summed.
    free_volume_A3_per_ion : tuple of float
        Volume in A^3 with an energy below the threshold, mean over the mobile ions.
    """

    n_mobile: int
    cell_volume_A3: float
    mpe_eV: float
    mpe_per_ion_eV: tuple[float, ...]
    barrier_1d_eV: float
    barrier_2d_eV: float
    barrier_3d_eV: float
    diffusivity_ratios_1000K: tuple[float, float, float]
    xi_threshold_eV: float
    xi: float
    thresholds_eV: tuple[float, ...]
    fv_connected_union: tuple[float, ...]
    fv_connected_sum: tuple[float, ...]
    fv_disconnected_union: tuple[float, ...]
    fv_disconnected_sum: tuple[float, ...]
    free_volume_A3_per_ion: tuple[float, ...]

    @property
    def fv_connected(self) -> float:
        """Return the connected free volume that enters Xi (union)."""
        return self.at(self.xi_threshold_eV)["fv_connected_union"]

    @property
    def fv_disconnected(self) -> float:
        """Return the disconnected free volume that enters Xi (union)."""
        return self.at(self.xi_threshold_eV)["fv_disconnected_union"]

    def at(self, threshold_eV: float) -> dict[str, float]:
        """Return the free volumes at one threshold, by the name of their field.

        Raises
        ------
        LandscapeError
            When the free volumes were not computed at this threshold.
        """
        if threshold_eV not in self.thresholds_eV:
            raise LandscapeError(
                f"No free volumes at {threshold_eV} eV, only at {self.thresholds_eV}.",
                hint="Add it to DescriptorSettings.thresholds_eV.",
            )
        place = self.thresholds_eV.index(threshold_eV)
        names = [f.name for f in fields(self) if f.name.startswith(("fv_", "free_volume_"))]
        return {name: getattr(self, name)[place] for name in names}


def compute_descriptors(
    energies_eV: IonMaps | Iterable[ArrayLike],
    lattice: ArrayLike,
    settings: DescriptorSettings | None = None,
    *,
    with_diffusivity: bool = True,
    between_points: bool = True,
) -> Descriptors:
    """Return the descriptors of a crystal from the energy maps of its mobile ions.

    What symmetry makes equal is computed once, where the maps come with it.

    Parameters
    ----------
    energies_eV : IonMaps or iterable of array_like, each of shape (n1, n2, n3)
        Energies of each mobile ion in eV, all on the crystal's own grid; each is taken relative
        to its minimum.
    lattice : array_like, shape (3, 3)
        Lattice vectors in A, as rows.
    settings : DescriptorSettings, optional
        Thresholds and averaging; the published ones by default.
    with_diffusivity : bool
        Whether the effective diffusivity is computed, which takes longer than all the rest; NaN
        otherwise.
    between_points : bool
        Whether barriers of the shared map are read between the points of the grid, too
        (:func:`~superionic.landscape.percolation.shared_barriers`); all else is read on them.

    Returns
    -------
    Descriptors
        All descriptors.

    Raises
    ------
    LandscapeError
        When there is no map, the maps differ in shape, or one holds NaN or no finite energy.

    Notes
    -----
    The published connected union shifts each ion's window by its minimum in the cell. Which
    periodic image of a minimum lies in the cell depends on the origin, and so, where maps of
    several ions overlap, does the union, by a few percent; everything else does not.
    """
    settings = settings or DescriptorSettings()
    # Rows: thresholds; columns: offsets.
    cuts = Cuts(np.add.outer(settings.thresholds_eV, settings.threshold_offsets_eV))
    given = as_ion_maps(energies_eV, lattice)
    symmetry = given.symmetry
    above = given.of_orbits - given.of_orbits.min(axis=(1, 2, 3), keepdims=True)
    maps = IonMaps(above, symmetry)

    windows = ConnectedWindows(symmetry, cuts)
    own = windows.unite(maps.values, symmetry.table)
    offsets = neighbour_offsets(lattice, symmetry.shape)
    mpe_eV = {
        window: lowest_face(maps[window.ion], window.minimum, offsets, window.below_eV)
        for window in set(own)
    }
    mpe_per_ion = [mpe_eV[window] for window in own]
    connected_sum = np.sum([window.fractions for window in own], axis=0)
    # A point is in the union below t if the smallest of its values is below t.
    lowest, _ = lowest_of(maps.values, symmetry.table, symmetry.quotient.points)
    shared = lowest[symmetry.quotient.classes].reshape(symmetry.shape)
    of_orbits = np.array([cuts.fractions(cuts.counts(one)) for one in above])
    disconnected_sum = of_orbits[symmetry.owners].sum(axis=0)

    barriers = shared_barriers(maps, lattice, step_A=READING_STEP_A if between_points else np.inf)
    slowest, middle, fastest = np.full(3, np.nan).tolist()
    if with_diffusivity:
        tensor = effective_diffusivity(shared, lattice, TRANSPORT_TEMPERATURE_K)
        slowest, middle, fastest = np.linalg.eigvalsh(tensor).tolist()
    connected_union = cuts.fractions(windows.counts)
    disconnected_union = cuts.fractions(cuts.counts(shared))
    at_xi = settings.thresholds_eV.index(settings.xi_threshold_eV)
    volume = float(abs(np.linalg.det(np.asarray(lattice, dtype=float))))
    return Descriptors(
        n_mobile=len(mpe_per_ion),
        cell_volume_A3=volume,
        mpe_eV=min(mpe_per_ion),
        mpe_per_ion_eV=tuple(mpe_per_ion),
        barrier_1d_eV=barriers[0],
        barrier_2d_eV=barriers[1],
        barrier_3d_eV=barriers[2],
        diffusivity_ratios_1000K=(slowest, middle, fastest),
        xi_threshold_eV=settings.xi_threshold_eV,
        xi=xi(connected_union[at_xi], disconnected_union[at_xi]),
        thresholds_eV=settings.thresholds_eV,
        fv_connected_union=tuple(connected_union.tolist()),
        fv_connected_sum=tuple(connected_sum.tolist()),
        fv_disconnected_union=tuple(disconnected_union.tolist()),
        fv_disconnected_sum=tuple(disconnected_sum.tolist()),
        free_volume_A3_per_ion=tuple((disconnected_sum * volume / len(mpe_per_ion)).tolist()),
    )


def xi(fv_connected: float, fv_disconnected: float) -> float:
    """Return the published ranking score Xi.

    Parameters
    ----------
    fv_connected, fv_disconnected : float
        Free volumes as fractions, unions at 0.5 eV.

    Returns
    -------
    float
        ``s(10 (log10 fv_connected + 2)) s(10 (log10 fv_disconnected + 1.15))`` with the logistic
        function s, between 0 and 1; 0 where a volume is 0.
    """
    if fv_connected <= 0 or fv_disconnected <= 0:
        return 0.0
    return float(
        expit(10 * (log10(fv_connected) + 2)) * expit(10 * (log10(fv_disconnected) + 1.15))
    )


class Cuts:
    """The energies at which volumes are cut off, with the mean over some of them.

    Parameters
    ----------
    cuts_eV : ndarray, shape (n_thresholds, n_offsets)
        Energies in eV; a volume is the mean over a row.
    """

    def __init__(self, cuts_eV: NDArray[np.float64]) -> None:
        ascending, places = np.unique(cuts_eV, return_inverse=True)
        self.ascending_eV: NDArray[np.float64] = ascending
        self._places = places.reshape(cuts_eV.shape)

    def levels(self, energies_eV: NDArray[np.float64]) -> NDArray[np.int16]:
        """Return for each energy the first cut above it; their number if there is none."""
        levels = np.searchsorted(self.ascending_eV, energies_eV.ravel(), side="right")
        return levels.astype(np.int16)

    def counts(self, energies_eV: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the number of energies at each level."""
        return np.bincount(self.levels(energies_eV), minlength=len(self.ascending_eV) + 1)

    def fractions(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return for each threshold the fraction of points below it, from numbers at each level."""
        below = np.cumsum(counts)[:-1][self._places]
        fractions: NDArray[np.float64] = below.mean(axis=1) / counts.sum()
        return fractions


@dataclass(frozen=True, eq=False)
class Window:
    """Where an ion comes from its minimum, in two cells along each axis.

    Parameters
    ----------
    ion : int
        Which ion it is.
    minimum : tuple of int
        Grid index of its minimum.
    fractions : ndarray, shape (n_thresholds,)
        Fraction of the window below each threshold.
    below_eV : float
        The ion leaves its window below this energy, but for rounding the lowest such cut.
    """

    ion: int
    minimum: tuple[int, int, int]
    fractions: FloatArray
    below_eV: float


class ConnectedWindows:
    """Where ions come from their minima below each cut, in a window of two cells along each axis.

    The window lies where the ion does in the crystal, and is periodic: its opposite faces are the
    same points, which take the smaller of their levels.

    Parameters
    ----------
    symmetry : MapSymmetry
        What relates the ions.
    cuts : Cuts
        The cuts.
    """

    def __init__(self, symmetry: MapSymmetry, cuts: Cuts) -> None:
        self.symmetry = symmetry
        self.cuts = cuts
        self._offsets = neighbour_offsets(symmetry.lattice, symmetry.shape)
        self._union = self._empty()
        self.counts = self._union[2]
        """Points of the union of all ions' windows at each level."""

    def unite(self, values_eV: FloatArray, table: NDArray[np.int32]) -> list[Window]:
        """Unite the windows of all ions.

        Parameters
        ----------
        values_eV : ndarray, shape (n_values,)
            Energies, each ion's relative to its minimum.
        table : ndarray of int, shape (n_ions, n_points)
            Which of them each ion has at each point.

        Returns
        -------
        list of Window
            For each ion its own, or that of another one which an operation takes to its own.
        """
        levels, shape = self.cuts.levels(values_eV), np.array(self.symmetry.shape)
        equal = values_eV <= TIE_eV
        found: list[Window] = []
        known: dict[tuple[int, int], tuple[Window, Folded, GridOperation]] = {}
        followers = Counter(leader for leader, _ in self.symmetry.turns)
        for ion, (leader, way) in enumerate(self.symmetry.turns):
            # Within TIE_eV the first point in array order is the minimum, as in minimum_index.
            first = int(np.argmax(equal[table[ion]]))
            minimum = np.array(np.unravel_index(first, self.symmetry.shape))
            back = way.inverse
            of_leader = (back.matrix @ minimum + back.shift) % shape
            key = leader, int(np.ravel_multi_index(tuple(of_leader), self.symmetry.shape))
            one = known.get(key) or (*self._flood(ion, levels[table[ion]], minimum), back)
            if followers[leader] > 1:  # of others eight cells would be kept for nothing
                known[key] = one
            window, folded, undo = one
            found.append(window)
            unite_window(
                self._union,
                folded,
                shape,
                way.matrix @ undo.matrix,
                window.minimum,
                tuple(minimum.tolist()),
            )
        return found

    def _flood(
        self, ion: int, levels: NDArray[np.int16], minimum: NDArray[np.int64]
    ) -> tuple[Window, Folded]:
        folded = self._empty()
        i, j, k = minimum.tolist()
        n_cuts = len(self.cuts.ascending_eV)
        face = flood_window(
            levels, np.array(self.symmetry.shape), (i, j, k), self._offsets, n_cuts, folded
        )
        below_eV = float(self.cuts.ascending_eV[face]) if face >= 0 else np.inf
        return Window(ion, (i, j, k), self.cuts.fractions(folded[2]), below_eV), folded

    def _empty(self) -> Folded:
        n_points, n_cuts = 8 * self.symmetry.n_points, len(self.cuts.ascending_eV)
        counts = np.zeros(n_cuts + 1, dtype=np.int64)
        counts[n_cuts] = n_points
        levels = np.full(n_points, n_cuts, dtype=np.int16)
        return levels, np.empty(n_points, dtype=np.int32), counts
