"""What an ion sees at a point of the cell, in numbers that no symmetry changes.

The surroundings of a point **r** are the ions of the frozen framework within a radius, as a density
on spherical harmonics, one for each species *s* (the smooth overlap of atomic positions; Bartok,
Kondor & Csanyi, Phys. Rev. B 87, 184115, 2013):

    c_snlm(r) = sum_j  g_nl(d_j) Y_lm(d_j / |d_j|),      d_j = r_j - r,  species of j = s,
    g_nl(d)   = g_n(d) exp(-l (l + 1) sigma^2 / 2 d^2) / (1 + (d / d_0)^4),

and their rotational invariants, the power spectrum

    p_(sn)(s'n')l(r) = (2 l + 1)^(-1/2) sum_m c_snlm c_s'n'lm.

Translations, rotations, reflections, the order of the ions and the choice of the cell leave it as
it is, so that equivalent points have equal features, and what is learned at one mobile ion holds at
all others.

| symbol | meaning | value |
| --- | --- | --- |
| r_cut | radius of the surroundings | 6 A |
| n | radial functions g_n, Gaussians with a cutoff, made orthonormal | 4 |
| l | angular momentum | 0 to 3 |
| sigma | width of an ion: damps the harmonics as those of a Gaussian at distance d | 0.7 A |
| d_0 | from here on ions count for less | 2.2 A |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]

TABLE_STEP_A = 0.002
"""Radial functions are read from a table, by linear interpolation."""

BLOCK = 4096
"""Points whose features are in memory at once."""

N_SAMPLE = 500
"""Points from which the principal components are taken."""


@dataclass(frozen=True)
class SurroundingsSettings:
    """How the surroundings of a point are described.

    Parameters
    ----------
    cutoff_A : float
        Radius, in A.
    n_radial : int
        Radial functions.
    l_max : int
        Highest angular momentum, at most 4.
    width_A : float
        Width of an ion, in A.
    near_A : float
        Distance from which on ions count for less, in A.
    n_components : int
        Principal components that are kept.
    """

    cutoff_A: float = 6.0
    n_radial: int = 4
    l_max: int = 3
    width_A: float = 0.7
    near_A: float = 2.2
    n_components: int = 120


def radial_table(settings: SurroundingsSettings) -> FloatArray:
    """Return the functions g_nl(d), shape (n_distances, l_max + 1, n_radial).

    Gaussians with centres from 1 A to the cutoff times (1 + cos(pi d / r_cut)) / 2, made
    orthonormal in d^2 dd by the inverse square root of their overlaps.
    """
    d = np.arange(0.0, settings.cutoff_A + 2 * TABLE_STEP_A, TABLE_STEP_A)
    centres = np.linspace(1.0, settings.cutoff_A, settings.n_radial + 1)[:-1]
    spread = (settings.cutoff_A - 1.0) / settings.n_radial
    gaussians = np.exp(-0.5 * ((d[:, None] - centres) / spread) ** 2)
    cutoff = np.where(d < settings.cutoff_A, 0.5 + 0.5 * np.cos(np.pi * d / settings.cutoff_A), 0)
    raw = gaussians * cutoff[:, None]
    values, axes = np.linalg.eigh((raw * d[:, None] ** 2).T @ raw * TABLE_STEP_A)
    radial = raw @ (axes / np.sqrt(values)) @ axes.T
    radial /= (1.0 + (d / settings.near_A) ** 4)[:, None]
    momentum = np.arange(settings.l_max + 1)
    safe = np.maximum(d, 0.3)[:, None]
    damping = np.exp(-momentum * (momentum + 1) * settings.width_A**2 / (2 * safe**2))
    return np.ascontiguousarray(radial[:, None, :] * damping[:, :, None])


class Seen(Protocol):
    """What an ion sees at points, by features and by distances: see :class:`Surroundings`."""

    settings: SurroundingsSettings

    def features(self, positions_A: FloatArray) -> NDArray[np.float32]:
        """Return the power spectrum at Cartesian positions, shape (m, n_features)."""

    def distances(self, positions_A: FloatArray) -> FloatArray:
        """Return the distance in A to the nearest ion of each species, shape (m, n_species)."""


class Surroundings:
    """The features of points among the ions of a frozen framework.

    Parameters
    ----------
    lattice : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    fractional : ndarray, shape (n, 3)
        Fractional coordinates of the ions of the framework: all but the one that moves.
    species : ndarray of int, shape (n,)
        For each ion the number of its species, from 0.
    n_species : int
        Species that any framework of the crystal holds.
    settings : SurroundingsSettings
        Radius and basis.

    Examples
    --------
    >>> import numpy as np
    >>> around = Surroundings(4.0 * np.eye(3), np.zeros((1, 3)), np.zeros(1, dtype=int), 1)
    >>> one, other = around.features(np.array([[1.0, 0.5, 0.0], [0.0, -0.5, 5.0]]))
    >>> bool(np.allclose(one, other))
    True
    """

    def __init__(
        self,
        lattice: FloatArray,
        fractional: FloatArray,
        species: NDArray[np.int64],
        n_species: int,
        settings: SurroundingsSettings | None = None,
    ) -> None:
        self.settings = settings or SurroundingsSettings()
        self.lattice = np.asarray(lattice, dtype=float)
        self.inverse = np.linalg.inv(self.lattice)
        reach = self.settings.cutoff_A * np.linalg.norm(self.inverse, axis=0)
        cells = np.array(list(product(*(range(-n, n + 1) for n in np.ceil(reach).astype(int) + 1))))
        wrapped = fractional - np.floor(fractional)
        images = (wrapped[:, None] + cells).reshape(-1, 3)
        # Points are brought into the cell: only ions within reach of it count.
        near = np.all((images > -reach - 1e-9) & (images < 1 + reach + 1e-9), axis=1)
        self.ions = np.ascontiguousarray(images[near] @ self.lattice)
        self.species = np.repeat(species, len(cells))[near]
        self.n_species = n_species
        self.table = radial_table(self.settings)

    @property
    def n_features(self) -> int:
        """Return the number of invariants of a point."""
        channels = self.n_species * self.settings.n_radial
        return channels * (channels + 1) // 2 * (self.settings.l_max + 1)

    def features(self, positions_A: FloatArray) -> NDArray[np.float32]:
        """Return the power spectrum at Cartesian positions, shape (m, n_features)."""
        fractional = positions_A @ self.inverse
        inside = (fractional - np.floor(fractional)) @ self.lattice
        result = np.empty((len(inside), self.n_features), dtype=np.float32)
        _power_spectra(
            np.ascontiguousarray(inside),
            self.ions,
            self.species,
            self.n_species,
            self.settings.cutoff_A,
            self.settings.l_max,
            self.table,
            result,
        )
        return result

    def distances(self, positions_A: FloatArray) -> FloatArray:
        """Return the distance in A to the nearest ion of each species, shape (m, n_species).

        Infinite where there is none within the cutoff.
        """
        fractional = positions_A @ self.inverse
        inside = (fractional - np.floor(fractional)) @ self.lattice
        result = np.full((len(inside), self.n_species), np.inf)
        for species in range(self.n_species):
            ions = self.ions[self.species == species]
            if len(ions):
                result[:, species] = cKDTree(ions).query(
                    inside, distance_upper_bound=self.settings.cutoff_A
                )[0]
        return result


def principal_components(
    surroundings: Sequence[Seen], positions_A: Sequence[FloatArray]
) -> NDArray[np.float32]:
    """Return the features of a crystal's points by their principal components.

    The components are those of a regular sample of the points; lengths between features are kept,
    in units of the deviation along the first component.

    Parameters
    ----------
    surroundings : sequence of Seen
        One for each mobile ion that is looked at.
    positions_A : sequence of ndarray, shape (m, 3)
        For each of them the points.

    Returns
    -------
    ndarray, shape (n, n_components)
        For all points, one ion after the other.
    """
    n_points = sum(len(one) for one in positions_A)
    stride = -(-n_points // N_SAMPLE)
    sample = np.vstack(
        [
            one.features(positions[::stride])
            for one, positions in zip(surroundings, positions_A, strict=True)
        ]
    ).astype(float)
    mean = sample.mean(axis=0)
    values, axes = _principal_axes(sample - mean, surroundings[0].settings.n_components)
    axes /= np.sqrt(max(values[0], 1e-300))
    narrow, offset = axes.astype(np.float32), (mean @ axes).astype(np.float32)
    parts = [
        one.features(positions[first : first + BLOCK]) @ narrow - offset
        for one, positions in zip(surroundings, positions_A, strict=True)
        for first in range(0, len(positions), BLOCK)
    ]
    return np.vstack(parts)


def _principal_axes(centred: FloatArray, n_axes: int) -> tuple[FloatArray, FloatArray]:
    """Return the largest variances and their axes as columns, from the smaller of two matrices."""
    n, d = centred.shape
    wide = d > n
    values, vectors = np.linalg.eigh((centred @ centred.T if wide else centred.T @ centred) / n)
    order = np.argsort(values)[::-1][:n_axes]
    # Components that rounding alone has made are none.
    order = order[values[order] > 1e-9 * max(values[order[0]], 1e-300)]
    if not len(order):
        return np.ones(1), np.zeros((d, 1))
    values, vectors = values[order], vectors[:, order]
    if wide:
        vectors = centred.T @ vectors / np.sqrt(n * values)
    return values, vectors


@njit(cache=True, nogil=True)
def _harmonics(x: float, y: float, z: float, out: FloatArray) -> None:
    """Set the 25 real spherical harmonics of a unit vector up to l = 4, in the order of l, m."""
    xx, yy, zz = x * x, y * y, z * z
    out[0] = 0.28209479177387814
    out[1] = 0.4886025119029199 * y
    out[2] = 0.4886025119029199 * z
    out[3] = 0.4886025119029199 * x
    out[4] = 1.0925484305920792 * x * y
    out[5] = 1.0925484305920792 * y * z
    out[6] = 0.31539156525252005 * (3 * zz - 1)
    out[7] = 1.0925484305920792 * x * z
    out[8] = 0.5462742152960396 * (xx - yy)
    out[9] = 0.5900435899266435 * y * (3 * xx - yy)
    out[10] = 2.890611442640554 * x * y * z
    out[11] = 0.4570457994644658 * y * (5 * zz - 1)
    out[12] = 0.3731763325901154 * z * (5 * zz - 3)
    out[13] = 0.4570457994644658 * x * (5 * zz - 1)
    out[14] = 1.445305721320277 * z * (xx - yy)
    out[15] = 0.5900435899266435 * x * (xx - 3 * yy)
    out[16] = 2.5033429417967046 * x * y * (xx - yy)
    out[17] = 1.7701307697799304 * y * z * (3 * xx - yy)
    out[18] = 0.9461746957575601 * x * y * (7 * zz - 1)
    out[19] = 0.6690465435572892 * y * z * (7 * zz - 3)
    out[20] = 0.10578554691520431 * (35 * zz * zz - 30 * zz + 3)
    out[21] = 0.6690465435572892 * x * z * (7 * zz - 3)
    out[22] = 0.47308734787878004 * (xx - yy) * (7 * zz - 1)
    out[23] = 1.7701307697799304 * x * z * (xx - 3 * yy)
    out[24] = 0.6258357354491761 * (xx * (xx - 3 * yy) - yy * (3 * xx - yy))


@njit(cache=True, nogil=True)
def _power_spectra(
    points: FloatArray,
    ions: FloatArray,
    species: NDArray[np.int64],
    n_species: int,
    cutoff: float,
    l_max: int,
    table: FloatArray,
    result: NDArray[np.float32],
) -> None:
    """Set the power spectrum of each point."""
    n_radial = table.shape[2]
    channels = n_species * n_radial
    size = (l_max + 1) ** 2
    c = np.empty((size, channels))
    g = np.empty((l_max + 1, n_radial))
    products = np.empty((channels, channels))
    harmonics = np.empty(25)
    for p in range(len(points)):
        c[:] = 0.0
        for j in range(len(ions)):
            x = ions[j, 0] - points[p, 0]
            y = ions[j, 1] - points[p, 1]
            z = ions[j, 2] - points[p, 2]
            squared = x * x + y * y + z * z
            if squared >= cutoff * cutoff:
                continue
            d = np.sqrt(squared)
            safe = max(d, 1e-9)
            _harmonics(x / safe, y / safe, z / safe, harmonics)
            place = d / TABLE_STEP_A
            row = int(place)
            part = place - row
            first = species[j] * n_radial
            for l in range(l_max + 1):  # noqa: E741
                for n in range(n_radial):
                    g[l, n] = (1 - part) * table[row, l, n] + part * table[row + 1, l, n]
                for m in range(l * l, (l + 1) * (l + 1)):
                    for n in range(n_radial):
                        c[m, first + n] += g[l, n] * harmonics[m]
        k = 0
        for l in range(l_max + 1):  # noqa: E741
            scale = 1.0 / np.sqrt(2.0 * l + 1.0)
            products[:] = 0.0
            for m in range(l * l, (l + 1) * (l + 1)):
                for a in range(channels):
                    for b in range(a + 1):
                        products[a, b] += c[m, a] * c[m, b]
            for a in range(channels):
                for b in range(a):
                    result[p, k + b] = products[a, b] * scale * 1.4142135623730951
                result[p, k + a] = products[a, a] * scale
                k += a + 1
