"""Descriptors of a frozen-framework landscape.

The published ones (minimum percolation energy, connected and disconnected free volume, Xi;
Maevskiy et al., arXiv 2411.06804), and beside them the percolation barriers of the map that all
mobile ions share, free volumes in A^3 per mobile ion, and the effective diffusivity at 1000 K.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import log10

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Lattice
from scipy.special import expit

from superionic.errors import LandscapeError, Remark
from superionic.landscape.levels import (
    checked_energies,
    flood_window,
    lowest_face,
    minimum_index,
    neighbour_offsets,
)
from superionic.landscape.percolation import READING_STEP_A, shared_barriers
from superionic.landscape.settings import DescriptorSettings as DescriptorSettings
from superionic.landscape.transport import effective_diffusivity
from superionic.structures.checks import cell_widths

TRANSPORT_TEMPERATURE_K = 1000.0
"""That of the labels; the names of the numbers say it."""


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
    energies_eV: Iterable[ArrayLike],
    lattice: ArrayLike,
    settings: DescriptorSettings | None = None,
    *,
    with_diffusivity: bool = True,
    between_points: bool = True,
) -> Descriptors:
    """Return the descriptors of a crystal from the energy maps of its mobile ions.

    Ions are taken one at a time; all maps are kept until the barriers are read.

    Parameters
    ----------
    energies_eV : iterable of array_like, each of shape (n1, n2, n3)
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

    shared: NDArray[np.float64] | None = None
    windows: ConnectedWindows | None = None
    disconnected_sum = np.zeros(len(settings.thresholds_eV))
    connected_sum = np.zeros(len(settings.thresholds_eV))
    mpe_per_ion: list[float] = []
    maps: list[NDArray[np.float64]] = []
    for one in energies_eV:
        energies = checked_energies(one)
        energies = energies - energies.min()
        if shared is None or windows is None:
            windows = ConnectedWindows(energies.shape, lattice, cuts)
            shared = energies
        elif energies.shape != shared.shape:
            raise LandscapeError(
                f"The maps of the mobile ions have different shapes, {shared.shape} and "
                f"{energies.shape}.",
                hint="All mobile ions of a crystal are evaluated on the same grid.",
            )
        connected, below_eV = windows.add(energies)
        mpe_per_ion.append(
            lowest_face(energies, minimum_index(energies), windows.offsets, below_eV)
        )
        disconnected_sum += cuts.fractions(cuts.counts(energies))
        connected_sum += connected
        # A point is in the union below t if the smallest of its values is below t.
        shared = np.minimum(shared, energies)
        maps.append(energies)
    if shared is None or windows is None:
        raise LandscapeError(
            "There is no energy map to describe.", hint="Evaluate at least one mobile ion."
        )

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


class ConnectedWindows:
    """Where ions come from their minima below each cut, in a window of two cells along each axis.

    The window lies where the ion does in the crystal, and is periodic: its opposite faces are the
    same points, which take the smaller of their levels.

    Parameters
    ----------
    shape : tuple of int
        Grid points along each axis.
    lattice : array_like, shape (3, 3)
        Lattice vectors in A, as rows.
    cuts : Cuts
        The cuts.
    """

    def __init__(self, shape: tuple[int, int, int], lattice: ArrayLike, cuts: Cuts) -> None:
        self.shape = shape
        self.offsets = neighbour_offsets(lattice, shape)
        self.cuts = cuts
        n_points, n_cuts = 8 * int(np.prod(shape)), len(cuts.ascending_eV)
        self._union = np.full(n_points, n_cuts, dtype=np.int16)
        self.counts = np.zeros(n_cuts + 1, dtype=np.int64)
        """Points of the union of all ions' windows at each level."""
        self.counts[n_cuts] = n_points

    def add(self, energies_eV: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Add an ion, whose energies are relative to its minimum.

        Returns
        -------
        fractions : ndarray, shape (n_thresholds,)
            Fraction of the ion's own window below each threshold.
        below_eV : float
            The ion leaves its window below this energy, but for rounding the lowest such cut.
        """
        return self.flood(self.cuts.levels(energies_eV), minimum_index(energies_eV))

    def flood(
        self, levels: NDArray[np.int16], minimum: tuple[np.intp, ...] | tuple[int, int, int]
    ) -> tuple[NDArray[np.float64], float]:
        """Add an ion as :meth:`add` does, from the levels of its energies and its minimum."""
        n_cuts = len(self.cuts.ascending_eV)
        own = np.full(len(self._union), n_cuts, dtype=np.int16)
        counts = np.zeros(n_cuts + 1, dtype=np.int64)
        face = flood_window(
            levels,
            np.array(self.shape),
            minimum,
            self.offsets,
            n_cuts,
            (self._union, own, self.counts, counts),
        )
        counts[n_cuts] = len(own) - counts.sum()
        below_eV = float(self.cuts.ascending_eV[face]) if face >= 0 else np.inf
        return self.cuts.fractions(counts), below_eV
