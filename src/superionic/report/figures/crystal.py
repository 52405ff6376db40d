"""Crystals as the field draws them: cell, atoms, bonds and coordination polyhedra as triangles.

Colours are those of VESTA (K. Momma, F. Izumi, J. Appl. Cryst. 44, 1272 (2011)), the same for an
element in every picture; radii are a third of the atomic radii, neighbours those of pymatgen's
CrystalNN. pymatviz draws every atom and half a bond as a trace of its own (2376 traces, 660 kB and
1.7 s for 50 atoms) and has neither polyhedra nor isosurfaces.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from pymatgen.core import Structure

FloatArray = NDArray[np.float64]
Bond = tuple[int, NDArray[np.int64]]
"""The neighbour's site and the cell that it lies in."""

SHORTEST_EDGE_A = 4.5
MOST_ATOMS = 300
RADIUS_SCALE, MOBILE_SCALE, OTHER_RADIUS_A = 0.33, 0.25, 1.2
BOND_RADIUS_A = 0.11
MOST_BONDS = 8
"""Ions with more neighbours, such as caesium, are drawn without bonds."""
POLYHEDRA = range(4, 7)
"""Neighbours of an ion that is drawn within its polyhedron."""
_ON_FACE = 1e-4


@dataclass(frozen=True)
class Mesh:
    """Triangles.

    Parameters
    ----------
    vertices_A : ndarray, shape (n, 3)
        Corners in A.
    faces : ndarray of int, shape (m, 3)
        Which three of them each triangle joins.
    """

    vertices_A: NDArray[np.float32]
    faces: NDArray[np.int64]

    @property
    def area_A2(self) -> float:
        """Return the area in A^2."""
        a, b, c = (self.vertices_A[self.faces[:, i]].astype(np.float64) for i in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@dataclass(frozen=True)
class Block:
    """The part of a crystal that is drawn: a cell, repeated where its edges are short.

    Parameters
    ----------
    name : str
        conventional cell or computed cell.
    rows : ndarray, shape (3, 3)
        Edges of the block in vectors of the computed cell.
    origin : ndarray, shape (3,)
        Its corner in fractional coordinates of the computed cell.
    lattice : ndarray, shape (3, 3)
        Vectors of the computed cell as rows, in A.
    """

    name: str
    rows: FloatArray
    origin: FloatArray
    lattice: FloatArray

    @property
    def edges_A(self) -> FloatArray:
        """Edges as rows, turned so that the first lies along x and the second in the xy plane."""
        edges = self.rows @ self.lattice
        turn, upper = np.linalg.qr(edges.T)
        turn = turn * np.sign(np.diag(upper))
        if np.linalg.det(turn) < 0:  # a left-handed cell is turned, not mirrored
            turn[:, 2] *= -1
        turned: FloatArray = edges @ turn
        return turned

    def inside(self, fractional: ArrayLike) -> FloatArray:
        """Return fractional coordinates of the computed cell as those of the block."""
        found: FloatArray = (np.asarray(fractional) - self.origin) @ np.linalg.inv(self.rows)
        return found

    def cartesian(self, fractional: ArrayLike) -> FloatArray:
        """Return fractional coordinates of the computed cell as drawn, in A."""
        found: FloatArray = self.inside(fractional) @ self.edges_A
        return found

    def translations(self) -> NDArray[np.int64]:
        """Return the cells from which an atom at 0 <= x < 1 may lie in the block."""
        corners = np.array(list(product((0, 1), repeat=3))) @ self.rows + self.origin
        low = np.floor(corners.min(axis=0) - 1).astype(int)
        high = np.ceil(corners.max(axis=0)).astype(int)
        return np.array(list(product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))))


def blocks_of(structure: "Structure", *, one_cell: bool = False) -> tuple[Block, ...]:
    """Return the conventional cell, where it is another and not too large, and the computed one.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        The crystal as it was computed.
    one_cell : bool
        Whether cells with short edges are not repeated.
    """
    lattice = np.array(structure.lattice.matrix)
    computed = Block("computed cell", np.eye(3), np.zeros(3), lattice)
    conventional = _conventional(structure, lattice)
    found = (computed,) if conventional is None else (conventional, computed)
    return found if one_cell else tuple(map(_repeated, found))


def repeated(block: Block, repeats: Sequence[int]) -> Block:
    """Return a block of some times as many cells along each of its edges."""
    return Block(block.name, np.diag(repeats) @ block.rows, block.origin, block.lattice)


def _repeated(block: Block) -> Block:
    lengths = np.linalg.norm(block.rows @ block.lattice, axis=1)
    return repeated(block, np.ceil(SHORTEST_EDGE_A / lengths - 1e-6).astype(int).tolist())


def _conventional(structure: "Structure", lattice: FloatArray) -> Block | None:
    """Return the conventional cell of International Tables; None where it is the computed one."""
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    try:
        found = SpacegroupAnalyzer(structure, symprec=0.05).get_symmetry_dataset()
        to_computed = np.linalg.inv(found.transformation_matrix)
    except Exception:  # a crystal without a space group is drawn as it is
        return None
    rows = np.rint(to_computed.T)
    n_cells = abs(np.linalg.det(rows))
    if (
        np.abs(rows - to_computed.T).max() > 1e-3  # the computed cell is larger
        or _has_shape(rows @ lattice, lattice)
        or not 0.5 < n_cells * len(structure) <= MOST_ATOMS
    ):
        return None
    return Block("conventional cell", rows, -to_computed @ found.origin_shift, lattice)


def _has_shape(one: FloatArray, other: FloatArray) -> bool:
    """Return whether two cells have the same edges and angles, in any order."""
    metrics = [np.abs(cell @ cell.T) for cell in (one, other)]
    parts = [np.sort(np.concatenate([np.diag(m), m[np.triu_indices(3, 1)]])) for m in metrics]
    return bool(np.allclose(parts[0], parts[1], rtol=1e-3, atol=1e-3))


@dataclass(frozen=True)
class Crystal:
    """A crystal with the bonds of its framework.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        As it was computed.
    mobile_species : str
        Element whose bonds are not drawn.
    bonds : tuple of tuple
        Of each site its neighbours, without those that are not drawn.
    """

    structure: "Structure"
    mobile_species: str
    bonds: tuple[tuple[Bond, ...], ...]

    @classmethod
    def of(cls, structure: "Structure", mobile_species: str) -> "Crystal":
        """Return a crystal with its bonds; one of which CrystalNN makes nothing has none."""
        from pymatgen.analysis.local_env import CrystalNN

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                near = CrystalNN().get_all_nn_info(structure)
        except Exception:  # a picture without bonds is better than none
            near = [[] for _ in structure]
        symbols = [site.specie.symbol for site in structure]
        return cls(
            structure,
            mobile_species,
            tuple(
                tuple(
                    (one["site_index"], np.array(one["image"]))
                    for one in neighbours
                    if mobile_species not in (symbol, symbols[one["site_index"]])
                )
                if len(neighbours) <= MOST_BONDS
                else ()
                for symbol, neighbours in zip(symbols, near, strict=True)
            ),
        )

    def symbol(self, site: int) -> str:
        """Return the element of a site."""
        return str(self.structure[site].specie.symbol)

    def drawn(self, block: Block) -> list[tuple[int, NDArray[np.int64]]]:
        """Return site and cell of the atoms in a block, and of those that complete polyhedra."""
        cells = block.translations()
        found: dict[tuple[int, ...], None] = {}
        for site, fractional in enumerate(self.structure.frac_coords):
            wrapped = fractional - np.floor(fractional)
            shift = np.rint(wrapped - fractional).astype(int)
            inside = block.inside(wrapped + cells)
            there = ((inside > -_ON_FACE) & (inside < 1 + _ON_FACE)).all(axis=1)
            found |= {(site, *(cell + shift)): None for cell in cells[there]}
        for site, *cell in list(found):
            if self.has_polyhedron(site):
                found |= {(other, *(cell + image)): None for other, image in self.bonds[site]}
        return [(site, np.array(cell)) for site, *cell in found]

    def has_polyhedron(self, site: int) -> bool:
        """Return whether a site is a cation that its neighbours surround."""
        near = self.bonds[site]
        own = self.structure[site].specie.X
        return len(near) in POLYHEDRA and all(
            own < self.structure[other].specie.X for other, _ in near
        )

    def meshes(self, block: Block, detail: int = 2) -> dict[str, Mesh]:
        """Return for each element its atoms, with the halves of bonds that belong to them."""
        parts: dict[str, list[Mesh]] = {}
        atoms = self.drawn(block)
        known = {(site, *cell) for site, cell in atoms}
        sphere = icosphere(detail)
        for site, cell in atoms:
            symbol = self.symbol(site)
            at = block.cartesian(self.structure.frac_coords[site] + cell)
            own = parts.setdefault(symbol, [])
            own.append(_moved(sphere, radius_A(symbol, self.mobile_species), at))
            for other, image in self.bonds[site]:
                if (other, *(cell + image)) in known:
                    end = block.cartesian(self.structure.frac_coords[other] + cell + image)
                    own.append(tube([at, (at + end) / 2], BOND_RADIUS_A, 6))
        return {symbol: joined(some) for symbol, some in parts.items()}

    def polyhedra(self, block: Block) -> dict[str, Mesh]:
        """Return for each element that has some the polyhedra around it."""
        from scipy.spatial import ConvexHull, QhullError

        parts: dict[str, list[Mesh]] = {}
        for site, cell in self.drawn(block):
            inside = block.inside(self.structure.frac_coords[site] + cell)
            if not self.has_polyhedron(site) or abs(inside - 0.5).max() > 0.5 + _ON_FACE:
                continue
            corners = np.array(
                [
                    block.cartesian(self.structure.frac_coords[other] + cell + image)
                    for other, image in self.bonds[site]
                ]
            )
            try:
                faces = ConvexHull(corners).simplices
            except QhullError:  # neighbours in a plane
                continue
            parts.setdefault(self.symbol(site), []).append(
                Mesh(corners.astype(np.float32), faces.astype(np.int64))
            )
        return {symbol: joined(some) for symbol, some in parts.items()}


def colour_of(symbol: str) -> str:
    """Return the colour of an element, as VESTA has it."""
    red, green, blue = _colours().get(symbol, (128, 128, 128))
    return f"#{red:02X}{green:02X}{blue:02X}"


@cache
def _colours() -> dict[str, tuple[int, int, int]]:
    from importlib.resources import files

    import yaml

    text = (files("pymatgen.vis") / "ElementColorSchemes.yaml").read_text(encoding="utf-8")
    found: dict[str, tuple[int, int, int]] = yaml.safe_load(text)["VESTA"]
    return found


def radius_A(symbol: str, mobile_species: str) -> float:
    """Return the radius that an atom is drawn with; mobile ions are smaller."""
    from pymatgen.core import Element

    radius = Element(symbol).atomic_radius or OTHER_RADIUS_A
    return float(radius) * (MOBILE_SCALE if symbol == mobile_species else RADIUS_SCALE)


def joined(parts: Sequence[Mesh]) -> Mesh:
    """Return several meshes as one."""
    starts = np.cumsum([0, *(len(one.vertices_A) for one in parts[:-1])])
    vertices = np.concatenate([one.vertices_A for one in parts])
    faces = [one.faces + start for one, start in zip(parts, starts, strict=True)]
    return Mesh(vertices.astype(np.float32), np.concatenate(faces))


def _moved(unit: Mesh, radius: float, at_A: FloatArray) -> Mesh:
    return Mesh((radius * unit.vertices_A + at_A).astype(np.float32), unit.faces)


def ball(radius: float, at_A: FloatArray) -> Mesh:
    """Return a sphere."""
    return _moved(icosphere(2), radius, at_A)


@cache
def icosphere(detail: int) -> Mesh:
    """Return a sphere of radius one: an icosahedron whose triangles were cut in four."""
    golden = (1 + 5**0.5) / 2
    ends = [(0, a, b * golden) for a, b in product((-1, 1), repeat=2)]
    points = np.array([(p[i], p[(i + 1) % 3], p[(i + 2) % 3]) for i in range(3) for p in ends])
    from scipy.spatial import ConvexHull

    for level in range(detail + 1):
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
        faces = ConvexHull(points).simplices
        if level < detail:
            sides = np.unique(np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)), axis=0)
            points = np.concatenate([points, points[sides].mean(axis=1)])
    return Mesh(points.astype(np.float32), _outward(points, faces.astype(np.int64)))


def _outward(points: FloatArray, faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return triangles around the origin, their corners in one sense of turning."""
    a, b, c = (points[faces[:, i]] for i in range(3))
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
    faces[inward] = faces[inward][:, ::-1]
    return faces


def tube(points_A: Sequence[FloatArray] | FloatArray, radius: float, sides: int) -> Mesh:
    """Return a tube along a line; ``sides`` vertices for each of its points, in order."""
    line = np.asarray(points_A, dtype=float)
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
    across = np.cross(along[0], np.eye(3)[np.argmin(abs(along[0]))])
    angles = 2 * np.pi * np.arange(sides) / sides
    rings = []
    for point, direction in zip(line, along, strict=True):
        across = across - (across @ direction) * direction  # carried along without turning
        across /= np.linalg.norm(across) + 1e-12
        other = np.cross(direction, across)
        ring = np.outer(np.cos(angles), across) + np.outer(np.sin(angles), other)
        rings.append(point + radius * ring)
    start = sides * np.arange(len(line) - 1)[:, None]
    a, b = start + np.arange(sides), start + (np.arange(sides) + 1) % sides
    faces = np.stack([a, b, a + sides, b, b + sides, a + sides], axis=-1).reshape(-1, 3)
    return Mesh(np.concatenate(rings).astype(np.float32), faces)


def cell_edges(block: Block) -> Iterator[FloatArray]:
    """Yield both ends of each edge of a block, in A."""
    for start in product((0, 1), repeat=3):
        for axis in range(3):
            if start[axis] == 0:
                end = [*start]
                end[axis] = 1
                yield np.array([start, end]) @ block.edges_A
