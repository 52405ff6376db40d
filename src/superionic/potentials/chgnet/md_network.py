"""CHGNet's energy and its gradient for one crystal, compiled (chgnet 0.3.0's architecture).

The network is that of Deng et al., Nat. Mach. Intell. 5, 1031 (2023). Forward, then backward, one
layer after the other; pairs and angles pass through in tiles of :data:`TILE` rows, which the
processor's caches hold. What depends on a length or an angle alone is differentiated forwards:
the derivative of a basis takes the same way as the basis, and what comes back meets it there.
Geometry and the last sums are float64, the rest float32.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from superionic.potentials.chgnet.compiled import WIDTH, Float, linear, multiply_add
from superionic.potentials.chgnet.layout import Int
from superionic.potentials.chgnet.md_kernels import (
    BASIS,
    add,
    clear,
    copy,
    dot,
    fourier,
    padded,
    radial,
)
from superionic.potentials.chgnet.md_layers import (
    angle_layer,
    angle_layer_back,
    atom_convolution,
    atom_convolution_back,
    readout,
)
from superionic.potentials.chgnet.md_layout import (
    TILE,
    Bases,
    Double,
    Features,
    MdWeights,
    MdWorkspace,
    NeighbourGraph,
    Rows,
)
from superionic.potentials.vectors import LANES, inner, load, store

BUILT_ON = "d51ef935293f"
"""First digits of the SHA-256 of the sources that are compiled into this module, kept by a test.

The compiled code is cached beside this file, and numba takes it from there while this file's own
contents are the same, whatever happened to what it imports.
"""


@njit(error_model="numpy", nogil=True, _nrt=False, cache=True)
def find_graph(
    positions_A: Double,
    ends: Int,
    shifts_A: Double,
    centre: Int,
    bond_pairs: Int,
    sign: Double,
    cutoff_A: float,
    short_cutoff_A: float,
    number: Int,
    graph: NeighbourGraph,
) -> tuple[int, int, int]:
    """Fill a graph with those candidates that lie within the cutoffs.

    Parameters
    ----------
    positions_A : ndarray, shape (n_atoms, 3)
        Cartesian positions.
    ends, shifts_A : ndarray, shapes (n, 2) and (n, 3)
        Candidate pairs, and the lattice vectors that are added to their second atoms.
    centre, bond_pairs, sign : ndarray, shapes (m,), (m, 2) and (m,)
        Candidate angles; their bonds are numbers of candidate pairs.
    cutoff_A, short_cutoff_A : float
        Cutoffs of pairs and bonds.
    number : ndarray, shape (n,)
        Overwritten.
    graph : NeighbourGraph
        Filled.

    Returns
    -------
    tuple of int
        Numbers of pairs, bonds and angles.
    """
    n_pairs, n_bonds, n_angles = 0, 0, 0
    for candidate in range(len(ends)):
        i, j = ends[candidate, 0], ends[candidate, 1]
        x = positions_A[i, 0] - positions_A[j, 0] - shifts_A[candidate, 0]
        y = positions_A[i, 1] - positions_A[j, 1] - shifts_A[candidate, 1]
        z = positions_A[i, 2] - positions_A[j, 2] - shifts_A[candidate, 2]
        square = x * x + y * y + z * z
        number[candidate] = -1
        if square >= cutoff_A * cutoff_A:
            continue
        length = np.sqrt(square)
        graph.ends[n_pairs, 0], graph.ends[n_pairs, 1] = i, j
        graph.length_A[n_pairs] = length
        graph.unit[n_pairs, 0] = x / length
        graph.unit[n_pairs, 1] = y / length
        graph.unit[n_pairs, 2] = z / length
        graph.bond_of_pair[n_pairs] = -1
        if square < short_cutoff_A * short_cutoff_A:
            number[candidate] = n_bonds
            graph.bond_of_pair[n_pairs] = n_bonds
            graph.pair_of_bond[n_bonds] = n_pairs
            graph.bond_length_A[n_bonds] = length
            n_bonds += 1
        n_pairs += 1
    for candidate in range(len(centre)):
        a, b = number[bond_pairs[candidate, 0]], number[bond_pairs[candidate, 1]]
        if a < 0 or b < 0:
            continue
        graph.bonds[n_angles, 0], graph.bonds[n_angles, 1] = a, b
        graph.centre[n_angles] = centre[candidate]
        graph.sign[n_angles] = sign[candidate]
        p, r = graph.pair_of_bond[a], graph.pair_of_bond[b]
        cosine = 0.0
        for k in range(3):
            cosine += graph.unit[p, k] * graph.unit[r, k]
        graph.cosine[n_angles] = sign[candidate] * cosine
        n_angles += 1
    return n_pairs, n_bonds, n_angles


@inner
def _begin(
    species: Int,
    n_pairs: int,
    n_bonds: int,
    n_angles: int,
    w: Bases,
    g: NeighbourGraph,
    x: Features,
    basis: Rows,
    weight: Rows,
) -> None:
    """Set the features and weights before the first layer."""
    for i in range(len(species)):
        copy(w.embedding, species[i] * WIDTH, x.atoms, i * WIDTH, WIDTH)
    pairs, short, angles = basis.pairs, basis.bonds, basis.angles
    power = w.envelope_power
    radial(g.length_A, n_pairs, w.cutoff_A, power, w.turns[0], pairs[0], pairs[1])
    linear(pairs[0], 0, 0, w.embed[0], w.no_bias, weight.pairs, 0, 0, padded(n_pairs))
    if n_angles == 0:
        return
    for b in range(n_bonds):
        for k in range(2):
            copy(pairs[k], g.pair_of_bond[b] * BASIS, short[k], b * BASIS, BASIS)
    radial(g.bond_length_A, n_bonds, w.short_cutoff_A, power, w.turns[1], short[2], short[3])
    linear(short[0], 0, 0, w.embed[1], w.no_bias, x.bonds, 0, 0, padded(n_bonds))
    linear(short[2], 0, 0, w.embed[2], w.no_bias, weight.bonds, 0, 0, padded(n_bonds))
    fourier(g.cosine, n_angles, w.turns[2], angles[0], angles[1])
    linear(angles[0], 0, 0, w.embed[3], w.no_bias, x.plain_angles, 0, 0, padded(n_angles))
    for t in range(n_angles):
        a, b = g.bonds[t, 0] * WIDTH, g.bonds[t, 1] * WIDTH
        for q in range(0, WIDTH, LANES):
            product = load(weight.bonds, a + q) * load(weight.bonds, b + q)
            store(weight.angles, t * WIDTH + q, product)


@inner
def _add_lengths(
    n: int,
    embed: Float,
    no_bias: Float,
    slope: Float,
    derivative: Float,
    of_row: Int,
    tangent: Float,
    d_length: Double,
) -> None:
    """Add to ``d_length`` what features or weights that depend on lengths contribute."""
    for t in range(0, n, TILE):
        m = min(TILE, n - t)
        linear(slope, t, 0, embed, no_bias, tangent, 0, 0, padded(m))
        for p in range(m):
            pair = t + p if len(of_row) == 0 else of_row[t + p]
            d_length[pair] += dot(tangent, p * WIDTH, derivative, (t + p) * WIDTH, WIDTH)


@inner
def _end(
    n_pairs: int,
    n_bonds: int,
    n_angles: int,
    w: Bases,
    g: NeighbourGraph,
    d_x: Features,
    basis: Rows,
    weight: Rows,
    d_weight: Rows,
    tangent: Float,
    d_length: Double,
) -> None:
    """Collect the gradient for the pair vectors."""
    _add_lengths(
        n_pairs, w.embed[0], w.no_bias, basis.pairs[1], d_weight.pairs, g.pair_of_bond[:0],
        tangent, d_length,
    )  # fmt: skip
    if n_angles > 0:
        clear(d_weight.bonds, n_bonds * WIDTH)
        for t in range(n_angles):
            a, b = g.bonds[t, 0] * WIDTH, g.bonds[t, 1] * WIDTH
            for q in range(0, WIDTH, LANES):
                d = load(d_weight.angles, t * WIDTH + q)
                to_a, to_b = d * load(weight.bonds, b + q), d * load(weight.bonds, a + q)
                store(d_weight.bonds, a + q, load(d_weight.bonds, a + q) + to_a)
                store(d_weight.bonds, b + q, load(d_weight.bonds, b + q) + to_b)
        for k in range(2):
            derivative = d_x.bonds if k == 0 else d_weight.bonds
            _add_lengths(
                n_bonds, w.embed[1 + k], w.no_bias, basis.bonds[2 * k + 1], derivative,
                g.pair_of_bond, tangent, d_length,
            )  # fmt: skip
    for p in range(n_pairs):
        for k in range(3):
            g.gradient[p, k] = d_length[p] * g.unit[p, k]
    for t in range(0, n_angles, TILE):
        n = min(TILE, n_angles - t)
        linear(basis.angles[1], t, 0, w.embed[3], w.no_bias, tangent, 0, 0, padded(n))
        for p in range(n):
            slope = dot(tangent, p * WIDTH, d_x.plain_angles, (t + p) * WIDTH, WIDTH)
            a, b = g.pair_of_bond[g.bonds[t + p, 0]], g.pair_of_bond[g.bonds[t + p, 1]]
            sign, cosine = g.sign[t + p], g.cosine[t + p]
            for k in range(3):
                y, z = g.unit[a, k], g.unit[b, k]
                g.gradient[a, k] += slope * (sign * z - cosine * y) / g.length_A[a]
                g.gradient[b, k] += slope * (sign * y - cosine * z) / g.length_A[b]


@njit(error_model="numpy", nogil=True, _nrt=False, cache=True)
def energy_and_forces(
    species: Int,
    n_pairs: int,
    n_bonds: int,
    n_angles: int,
    w: MdWeights,
    g: NeighbourGraph,
    ws: MdWorkspace,
    forces_eV_per_A: NDArray[np.float64],
) -> float:
    """Return the energy in eV without atomic references and set the forces.

    Parameters
    ----------
    species : ndarray, shape (n_atoms,)
        Atomic numbers less one.
    n_pairs, n_bonds, n_angles : int
        What :func:`find_graph` returned.
    w : MdWeights
        The network.
    g : NeighbourGraph
        The crystal.
    ws : MdWorkspace
        Room for it.
    forces_eV_per_A : ndarray, shape (n_atoms, 3)
        Overwritten.
    """
    n_atoms = len(species)
    n_layers = len(w.atom.bias)
    n_updates = n_layers - 1 if n_angles > 0 else 0
    # No energy depends on the last update of the angles.
    n_angle_updates = n_updates - 1
    x, d_x, parts, d_parts = ws.x, ws.d_x, ws.parts, ws.d_parts
    sums, d_sums, tile, d_length = ws.sums, ws.d_sums, ws.tile, ws.d_length
    weight, d_weight, basis = ws.weight, ws.d_weight, ws.basis
    of_basis, no_bias, unused = w.radial_parts, w.bases.no_bias, ws.tile[1]
    _begin(species, n_pairs, n_bonds, n_angles, w.bases, g, x, basis, weight)
    for layer in range(n_layers):
        n_changed = n_bonds if layer > 0 and n_angles > 0 else 0
        atom_convolution(
            layer, n_atoms, n_pairs, n_changed, w.atom, of_basis, no_bias, g.ends, g.bond_of_pair,
            basis.pairs, weight.pairs, ws.atom, x, parts, tile, sums,
        )  # fmt: skip
        for two_layers in (True, False):
            if layer >= (n_updates if two_layers else n_angle_updates):
                continue
            if two_layers:
                clear(sums, n_bonds * WIDTH)
            elif layer == 0:
                for t in range(n_angles):
                    for side in range(2):
                        copy(x.plain_angles, t * WIDTH, x.angles, (2 * t + side) * WIDTH, WIDTH)
            angle_layer(
                layer, two_layers, n_atoms, n_bonds, n_angles, w.bond if two_layers else w.angle,
                no_bias, g.bonds, g.centre, g.bonds if two_layers else g.rows,
                weight.angles if two_layers else w.ones, WIDTH if two_layers else 0,
                ws.bond if two_layers else ws.angle, x, parts, tile,
                sums if two_layers else x.angles,
            )  # fmt: skip
            if two_layers:
                multiply_add(sums, 0, 0, w.bond.out[layer], x.bonds, 0, 0, padded(n_bonds))
    energy = readout(
        n_atoms, w.readout, no_bias, x.atoms, ws.readout, ws.readout_scale, d_x.atoms, sums
    )
    clear(d_weight.pairs, n_pairs * WIDTH)
    clear(d_weight.angles, n_angles * WIDTH)
    clear(d_x.bonds, n_bonds * WIDTH)
    clear(d_x.angles, 2 * n_angles * WIDTH)
    clear(d_x.plain_angles, n_angles * WIDTH)
    d_length[:n_pairs] = 0.0
    for layer in range(n_layers - 1, -1, -1):
        for two_layers in (False, True):
            if layer >= (n_updates if two_layers else n_angle_updates):
                continue
            if two_layers:
                linear(
                    d_x.bonds, 0, 0, w.bond_back.out[layer], no_bias, d_sums, 0, 0, padded(n_bonds)
                )
            elif layer == 0:
                for t in range(n_angles):
                    for side in range(2):
                        add(d_x.angles, (2 * t + side) * WIDTH, d_x.plain_angles, t * WIDTH, WIDTH)
            angle_layer_back(
                layer, two_layers, n_atoms, n_bonds, n_angles, w.bond if two_layers else w.angle,
                w.bond_back if two_layers else w.angle_back, no_bias, g.bonds, g.centre,
                g.bonds if two_layers else g.rows, weight.angles if two_layers else w.ones,
                WIDTH if two_layers else 0, d_weight.angles if two_layers else unused,
                ws.bond if two_layers else ws.angle, d_x, d_parts, tile,
                d_sums if two_layers else d_x.angles,
            )  # fmt: skip
        n_changed = n_bonds if layer > 0 and n_angles > 0 else 0
        atom_convolution_back(
            layer, n_atoms, n_pairs, n_changed, w.atom, w.atom_back, of_basis, no_bias, g.ends,
            g.bond_of_pair, basis.pairs, weight.pairs, d_weight.pairs, d_length, ws.atom, d_x,
            d_parts, tile, d_sums,
        )  # fmt: skip
    _end(n_pairs, n_bonds, n_angles, w.bases, g, d_x, basis, weight, d_weight, ws.tangent, d_length)
    forces_eV_per_A[:] = 0.0
    for p in range(n_pairs):
        i, j = g.ends[p, 0], g.ends[p, 1]
        for k in range(3):
            forces_eV_per_A[i, k] -= g.gradient[p, k]
            forces_eV_per_A[j, k] += g.gradient[p, k]
    return energy
