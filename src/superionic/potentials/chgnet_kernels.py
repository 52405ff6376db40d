"""Compiled kernels of CHGNet's forward pass for one moving ion in a frozen framework.

One position is evaluated at a time, so that all that it touches stays in the processor's caches;
edges and angles pass through in tiles of :data:`TILE` rows. Everything is float32 except for the
geometry (float64). The layers are those of chgnet 0.3.0 (Deng et al., Nat. Mach. Intell. 5, 1031,
2023), with every first linear layer split into its parts: ``W [a_i, b, a_j] = W1 a_i + W2 b + W3
a_j``, so that each part is a product per atom, bond or angle and not per edge.

Nothing here calls BLAS: products are with 64 x 64 blocks, which the compiler turns into code at the
speed of a good BLAS, without its threads.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

WIDTH = 64
"""Features per atom, bond and angle; the kernels are written for this width."""

TILE = 64
"""Edges or angles that pass through a gated layer together."""

Float = NDArray[np.float32]
Int = NDArray[np.int32]

# NaN and infinity keep their meaning; sums may be reordered and fused.
_FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}


class GatedStack(NamedTuple):
    """Weights of the gated layers of one kind, layer by layer.

    Linear maps are stored as blocks ``[core or gate, k, j]`` of 64 x 64, input index first.
    Whatever a LayerNorm follows has the mean over its outputs taken out, so that the norm needs no mean.

    Parameters
    ----------
    inputs : ndarray, shape (n_layers, n_inputs, 2, 64, 64)
        First linear layer, one block per part of the concatenated input.
    bias : ndarray, shape (n_layers, 128)
        Its bias.
    second : ndarray, shape (n_layers, 2, 64, 64)
        Second linear layer; zero where the kind has one layer only.
    second_bias : ndarray, shape (n_layers, 128)
        Its bias.
    gamma, beta : ndarray, shape (n_layers, 128)
        LayerNorm's scale and shift.
    out : ndarray, shape (n_layers, 64, 64)
        Linear layer after aggregation; zero where the kind has none.
    """

    inputs: Float
    bias: Float
    second: Float
    second_bias: Float
    gamma: Float
    beta: Float
    out: Float


class Weights(NamedTuple):
    """All weights that a position needs.

    Parameters
    ----------
    atom, bond, angle : GatedStack
        Atom convolutions (inputs: centre, bond, neighbour), bond convolutions and angle updates
        (inputs: bond i, bond j, angle, centre).
    radial_frequencies, short_frequencies : ndarray, shape (n_radial,)
        Frequencies of the Bessel bases of the atom and the bond graph.
    angular_frequencies : ndarray, shape (n_angular,)
        Frequencies of the Fourier basis.
    embed : ndarray, shape (4, 32, 64)
        Bases to bond weight, bond feature (radial), bond weight of the bond graph (its radial
        basis) and angle feature (Fourier).
    radial_parts : ndarray, shape (n_layers, 2, 32, 64)
        Radial basis to the bond's part of each atom convolution's first linear layer.
    angular_parts : ndarray, shape (2, 2, 32, 64)
        Fourier basis to the angle's part of bond convolution 0 and angle update 0.
    norm : ndarray, shape (2, 64)
        Scale and shift of the LayerNorm before the readout.
    readout : ndarray, shape (3, 64, 64)
        Hidden layers of the readout.
    readout_bias : ndarray, shape (3, 64)
        Their biases.
    last : ndarray, shape (64,)
        The readout's last layer.
    last_bias : float
        Its bias in eV.
    cutoff_A, short_cutoff_A : float
        Cutoffs of the atom and the bond graph in A.
    envelope_power : float
        Exponent p of the polynomial envelope.
    """

    atom: GatedStack
    bond: GatedStack
    angle: GatedStack
    radial_frequencies: Float
    short_frequencies: Float
    angular_frequencies: Float
    embed: Float
    radial_parts: Float
    angular_parts: Float
    norm: Float
    readout: Float
    readout_bias: Float
    last: Float
    last_bias: float
    cutoff_A: float
    short_cutoff_A: float
    envelope_power: float


class Framework(NamedTuple):
    """What does not change when the mobile ion moves.

    Undirected bonds are numbered: long framework bonds, then short ones (shorter than the bond
    graph's cutoff), then (in the workspace) the mobile ion's short and long ones.

    Parameters
    ----------
    lattice, inverse_lattice : ndarray, shape (3, 3)
        Lattice vectors in rows (A) and the inverse.
    image_positions_A : ndarray, shape (n_images, 3)
        Framework atoms and their images within the cutoff of the home cell.
    image_atoms : ndarray, shape (n_images,)
        Which atoms they are.
    mobile_index : int
        Index of the mobile ion.
    n_long, n_short, n_edges, n_angles : int
        Numbers of long and short undirected bonds, directed edges and angles of the framework
        (the mobile ion's bonds to its own images included).
    short_start : ndarray, shape (n_atoms + 1,)
        Where each atom's short directed edges start.
    short_bond : ndarray, shape (n_short_edges,)
        Their undirected bonds, numbered among the short ones.
    short_unit : ndarray, shape (n_short_edges, 3)
        Their unit vectors from the centre.
    embedding : ndarray, shape (n_atoms, 64)
        Atom features before the first layer.
    first_centre, first_neighbour : ndarray, shape (n_atoms, 128)
        Their parts of the first atom convolution's first linear layer.
    first_sum : ndarray, shape (n_atoms, 64)
        Sum of the framework's messages in the first atom convolution.
    """

    lattice: NDArray[np.float64]
    inverse_lattice: NDArray[np.float64]
    image_positions_A: NDArray[np.float64]
    image_atoms: Int
    mobile_index: int
    n_long: int
    n_short: int
    n_edges: int
    n_angles: int
    short_start: Int
    short_bond: Int
    short_unit: NDArray[np.float64]
    embedding: Float
    first_centre: Float
    first_neighbour: Float
    first_sum: Float


class Workspace(NamedTuple):
    """Buffers of one thread; the framework's rows come first and are filled once.

    Parameters
    ----------
    edge : ndarray, shape (3, n)
        Centre, neighbour and undirected bond of directed edges.
    triple : ndarray, shape (3, n)
        Centre, first and second short bond of angles.
    bond_part : ndarray, shape (n_layers, n, 128)
        The bonds' part of each atom convolution's first linear layer.
    bond_weight : ndarray, shape (n, 64)
        Bond weights of the atom graph.
    short_weight : ndarray, shape (n, 64)
        Bond weights of the bond graph.
    bonds : ndarray, shape (n_layers, n, 64)
        Short bonds' features after 0, 1, ... bond convolutions.
    angles : ndarray, shape (n_layers - 1, n, 64)
        Angle features after 0, 1, ... angle updates.
    first_bond_parts : ndarray, shape (2, n, 128)
        Short bonds' parts (i and j) of the first bond convolution.
    first_angle_parts : ndarray, shape (2, n, 128)
        Angles' parts of the first bond convolution and angle update.
    bond_parts : ndarray, shape (2, n, 128)
        Short bonds' parts in later layers.
    atoms : ndarray, shape (n_atoms, 64)
        Atom features.
    atom_parts : ndarray, shape (2, n_atoms, 128)
        Their parts of first linear layers.
    sums : ndarray, shape (n, 64)
        Aggregated messages of atoms or short bonds.
    tile : ndarray, shape (3, TILE, 128)
        Rows in flight.
    found : ndarray, shape (n_images,)
        Images within the cutoff, short bonds first.
    geometry : ndarray, shape (n_images, 4)
        Their unit vector from the mobile ion and distance (A).
    basis : ndarray, shape (3, n, 32)
        Radial bases of new bonds (atom graph, bond graph) and Fourier bases of new angles.
    cosines : ndarray, shape (n,)
        Cosines of new angles.
    """

    edge: Int
    triple: Int
    bond_part: Float
    bond_weight: Float
    short_weight: Float
    bonds: Float
    angles: Float
    first_bond_parts: Float
    first_angle_parts: Float
    bond_parts: Float
    atoms: Float
    atom_parts: Float
    sums: Float
    tile: Float
    found: Int
    geometry: NDArray[np.float64]
    basis: Float
    cosines: NDArray[np.float64]


@intrinsic
def _float_of_bits(typingctx, bits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Reinterpret an int32 as float32."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


# Taylor-like minimax coefficients of 2**f on [-1/2, 1/2] (Cephes exp2f).
_E0, _E1, _E2, _E3, _E4, _E5, _E6 = (
    np.float32(c)
    for c in (
        1.0,
        6.931472028550421e-1,
        2.402264791363012e-1,
        5.550332471162809e-2,
        9.618437357674640e-3,
        1.339887440266574e-3,
        1.535336188319500e-4,
    )
)
_ONE = np.float32(1.0)
_HALF = np.float32(0.5)
_MINUS_LOG2_E = np.float32(-1.4426950408889634)
# 2**60 keeps the product of two such factors finite.
_CLIP = np.float32(60.0)
_EPSILON = np.float32(1e-5)
_MEAN = np.float32(1.0 / WIDTH)


@njit(fastmath=_FAST, inline="always")
def _exp_minus(x: float) -> float:
    """Return exp(-x) in float32, to 2e-6; written out so that the compiler vectorises it."""
    t = min(max(x * _MINUS_LOG2_E, -_CLIP), _CLIP)
    n = np.floor(t + _HALF)
    f = t - n
    p = _E0 + f * (_E1 + f * (_E2 + f * (_E3 + f * (_E4 + f * (_E5 + f * _E6)))))
    return p * _float_of_bits((np.int32(n) + np.int32(127)) << np.int32(23))


@njit(fastmath=_FAST, error_model="numpy", nogil=True, cache=True)
def _multiply_add(
    x: Float, x_row: int, x_col: int, w: Float, out: Float, row: int, col: int, n: int
) -> None:
    """Add ``x[x_row : x_row+n, x_col : x_col+K] @ w`` to 64 columns of n rows of ``out``."""
    whole = n // 4 * 4
    for r in range(0, whole, 4):
        x0, x1, x2, x3 = x[x_row + r], x[x_row + r + 1], x[x_row + r + 2], x[x_row + r + 3]
        o0, o1, o2, o3 = out[row + r], out[row + r + 1], out[row + r + 2], out[row + r + 3]
        for k in range(0, w.shape[0], 4):
            w0, w1, w2, w3 = w[k], w[k + 1], w[k + 2], w[k + 3]
            q = x_col + k
            a00, a01, a02, a03 = x0[q], x0[q + 1], x0[q + 2], x0[q + 3]
            a10, a11, a12, a13 = x1[q], x1[q + 1], x1[q + 2], x1[q + 3]
            a20, a21, a22, a23 = x2[q], x2[q + 1], x2[q + 2], x2[q + 3]
            a30, a31, a32, a33 = x3[q], x3[q + 1], x3[q + 2], x3[q + 3]
            for j in range(WIDTH):
                v0, v1, v2, v3 = w0[j], w1[j], w2[j], w3[j]
                o0[col + j] += a00 * v0 + a01 * v1 + a02 * v2 + a03 * v3
                o1[col + j] += a10 * v0 + a11 * v1 + a12 * v2 + a13 * v3
                o2[col + j] += a20 * v0 + a21 * v1 + a22 * v2 + a23 * v3
                o3[col + j] += a30 * v0 + a31 * v1 + a32 * v2 + a33 * v3
    for r in range(whole, n):
        x0 = x[x_row + r]
        o0 = out[row + r]
        for k in range(0, w.shape[0], 4):
            w0, w1, w2, w3 = w[k], w[k + 1], w[k + 2], w[k + 3]
            q = x_col + k
            a00, a01, a02, a03 = x0[q], x0[q + 1], x0[q + 2], x0[q + 3]
            for j in range(WIDTH):
                o0[col + j] += a00 * w0[j] + a01 * w1[j] + a02 * w2[j] + a03 * w3[j]


@njit(fastmath=_FAST, error_model="numpy", nogil=True, cache=True)
def _linear(
    x: Float, x_row: int, x_col: int, w: Float, bias: Float, out: Float, row: int, col: int, n: int
) -> None:
    """Set 64 columns of n rows of ``out`` to ``x[...] @ w + bias``; see :func:`_multiply_add`."""
    for r in range(n):
        o = out[row + r]
        for j in range(WIDTH):
            o[col + j] = bias[j]
    _multiply_add(x, x_row, x_col, w, out, row, col, n)


@njit(fastmath=_FAST, error_model="numpy", nogil=True, cache=True)
def _project(x: Float, x_row: int, w: Float, bias: Float, out: Float, row: int, n: int) -> None:
    """Set 128 columns of ``out`` to the core and gate products of 64-wide rows of ``x``."""
    _linear(x, x_row, 0, w[0], bias[:WIDTH], out, row, 0, n)
    _linear(x, x_row, 0, w[1], bias[WIDTH:], out, row, WIDTH, n)


@njit(fastmath=_FAST, error_model="numpy", nogil=True, cache=True)
def _silu(h: Float) -> None:
    """Apply SiLU in place to a 128-wide row."""
    for q in range(2 * WIDTH):
        x = h[q]
        h[q] = x / (_ONE + _exp_minus(x))


@njit(fastmath=_FAST, error_model="numpy", nogil=True, cache=True)
def _gate(o: Float, gamma: Float, beta: Float) -> None:
    """Set ``o[:64] = silu(norm(core)) * sigmoid(norm(gate))`` from mean-free core and gate."""
    core = np.float32(0.0)
    gate = np.float32(0.0)
    for q in range(WIDTH):
        core += o[q] * o[q]
    for q in range(WIDTH):
        gate += o[WIDTH + q] * o[WIDTH + q]
    c = _ONE / np.sqrt(core * _MEAN + _EPSILON)
    g = _ONE / np.sqrt(gate * _MEAN + _EPSILON)
    for q in range(WIDTH):
        x = o[q] * c * gamma[q] + beta[q]
        y = o[WIDTH + q] * g * gamma[WIDTH + q] + beta[WIDTH + q]
        o[q] = x / ((_ONE + _exp_minus(x)) * (_ONE + _exp_minus(y)))


@njit(fastmath=_FAST, error_model="numpy", nogil=True, cache=True)
def atom_messages(
    stack: GatedStack,
    layer: int,
    parts_i: Float,
    parts_j: Float,
    ws: Workspace,
    start: int,
    stop: int,
) -> None:
    """Add the messages of directed edges start..stop to ``ws.sums`` (AtomConv)."""
    h, o = ws.tile[0], ws.tile[1]
    bond_part = ws.bond_part[layer]
    second, second_bias = stack.second[layer], stack.second_bias[layer]
    gamma, beta = stack.gamma[layer], stack.beta[layer]
    for t in range(start, stop, TILE):
        n = min(TILE, stop - t)
        for e in range(n):
            a, c, p = (
                parts_i[ws.edge[0, t + e]],
                parts_j[ws.edge[1, t + e]],
                bond_part[ws.edge[2, t + e]],
            )
            row = h[e]
            for q in range(2 * WIDTH):
                x = a[q] + c[q] + p[q]
                row[q] = x / (_ONE + _exp_minus(x))
        _linear(h, 0, 0, second[0], second_bias[:WIDTH], o, 0, 0, n)
        _linear(h, 0, WIDTH, second[1], second_bias[WIDTH:], o, 0, WIDTH, n)
        for e in range(n):
            row = o[e]
            _gate(row, gamma, beta)
            w, s = ws.bond_weight[ws.edge[2, t + e]], ws.sums[ws.edge[0, t + e]]
            for q in range(WIDTH):
                s[q] += row[q] * w[q]


@njit(fastmath=_FAST, error_model="numpy", nogil=True, cache=True)
def _update(sums: Float, w: Float, before: Float, after: Float, n: int) -> None:
    """Set ``after = before + sums @ w`` in the first n rows (residual connection)."""
    for r in range(n):
        for q in range(WIDTH):
            after[r, q] = before[r, q]
    _multiply_add(sums, 0, 0, w, after, 0, 0, n)


@njit(fastmath=_FAST, error_model="numpy", nogil=True, cache=True)
def _triples(
    stack: GatedStack,
    layer: int,
    two_layers: bool,
    parts_c: Float,
    parts: Float,
    angle_parts: Float,
    ws: Workspace,
    n_angles: int,
) -> None:
    """Evaluate a gated layer on angles: bond convolution (two layers) or angle update (one)."""
    h, o = ws.tile[0], ws.tile[1]
    second, second_bias = stack.second[layer], stack.second_bias[layer]
    gamma, beta = stack.gamma[layer], stack.beta[layer]
    angle_w = stack.inputs[layer, 2]
    no_bias = ws.tile[2, 0]
    for t in range(0, n_angles, TILE):
        n = min(TILE, n_angles - t)
        if layer > 0:
            _project(ws.angles[layer], t, angle_w, no_bias, h, 0, n)
        for e in range(n):
            c, i, j = ws.triple[0, t + e], ws.triple[1, t + e], ws.triple[2, t + e]
            row = h[e]
            p = angle_parts[t + e] if layer == 0 else row
            a, b, d = parts_c[c], parts[0, i], parts[1, j]
            for q in range(2 * WIDTH):
                row[q] = p[q] + a[q] + b[q] + d[q]
            if two_layers:
                _silu(row)
        if two_layers:
            _linear(h, 0, 0, second[0], second_bias[:WIDTH], o, 0, 0, n)
            _linear(h, 0, WIDTH, second[1], second_bias[WIDTH:], o, 0, WIDTH, n)
            for e in range(n):
                row = o[e]
                _gate(row, gamma, beta)
                i, j = ws.triple[1, t + e], ws.triple[2, t + e]
                u, v, s = ws.short_weight[i], ws.short_weight[j], ws.sums[i]
                for q in range(WIDTH):
                    s[q] += row[q] * u[q] * v[q]
        else:
            for e in range(n):
                row = h[e]
                _gate(row, gamma, beta)
                before, after = ws.angles[layer, t + e], ws.angles[layer + 1, t + e]
                for q in range(WIDTH):
                    after[q] = before[q] + row[q]


@njit(error_model="numpy", nogil=True, cache=True)
def _radial(
    distance_A: float, cutoff_A: float, power: float, frequencies: Float, out: Float
) -> None:
    """Bessel functions times the polynomial envelope (CHGNet's RadialBessel)."""
    x = distance_A / cutoff_A
    p = power
    xp = x**p
    envelope = 0.0
    if x < 1.0:
        envelope = (
            1.0 - (p + 1) * (p + 2) / 2 * xp + p * (p + 2) * xp * x - p * (p + 1) / 2 * xp * x * x
        )
    scale = envelope * np.sqrt(2.0 / cutoff_A) / distance_A
    for k in range(frequencies.size):
        out[k] = scale * np.sin(frequencies[k] * x)


@njit(error_model="numpy", nogil=True, cache=True)
def _fourier(cosine: float, frequencies: Float, out: Float) -> None:
    """Fourier expansion of an angle (CHGNet's AngleEncoder, with its 1 - 1e-6)."""
    angle = np.arccos(min(max(cosine, -1.0), 1.0) * (1.0 - 17.0 / 2.0**24))
    scale = 1.0 / np.sqrt(np.pi)
    n = frequencies.size
    out[0] = scale / np.sqrt(2.0)
    for k in range(n):
        out[1 + k] = scale * np.sin(frequencies[k] * angle)
        out[1 + n + k] = scale * np.cos(frequencies[k] * angle)


@njit(error_model="numpy", nogil=True, cache=True)
def _find_bonds(
    position_A: NDArray[np.float64], weights: Weights, fw: Framework, ws: Workspace
) -> tuple[int, int]:
    """List framework images within the cutoff, short bonds first; return the numbers of both."""
    home = np.empty(3)
    for k in range(3):
        f = 0.0
        for m in range(3):
            f += position_A[m] * fw.inverse_lattice[m, k]
        home[k] = np.floor(f)
    x, y, z = position_A[0], position_A[1], position_A[2]
    for k in range(3):
        x -= home[k] * fw.lattice[k, 0]
        y -= home[k] * fw.lattice[k, 1]
        z -= home[k] * fw.lattice[k, 2]
    n = 0
    n_short = 0
    images = fw.image_positions_A
    limit = weights.cutoff_A**2
    for m in range(images.shape[0]):
        dx, dy, dz = images[m, 0] - x, images[m, 1] - y, images[m, 2] - z
        square = dx * dx + dy * dy + dz * dz
        if square >= limit:
            continue
        distance = np.sqrt(square)
        slot = n
        if distance < weights.short_cutoff_A:
            # The first long bond makes room.
            ws.found[n] = ws.found[n_short]
            for k in range(4):
                ws.geometry[n, k] = ws.geometry[n_short, k]
            slot = n_short
            n_short += 1
        ws.found[slot] = fw.image_atoms[m]
        ws.geometry[slot, 0] = dx / distance
        ws.geometry[slot, 1] = dy / distance
        ws.geometry[slot, 2] = dz / distance
        ws.geometry[slot, 3] = distance
        n += 1
    return n, n_short


@njit(error_model="numpy", nogil=True, cache=True)
def _add_bonds(n: int, n_short: int, weights: Weights, fw: Framework, ws: Workspace) -> None:
    """Append the mobile ion's bonds: edges both ways, weights, features, parts of first layers."""
    first = fw.n_long + fw.n_short
    for b in range(n):
        e = fw.n_edges + 2 * b
        ws.edge[0, e], ws.edge[1, e], ws.edge[2, e] = fw.mobile_index, ws.found[b], first + b
        ws.edge[0, e + 1], ws.edge[1, e + 1], ws.edge[2, e + 1] = (
            ws.found[b],
            fw.mobile_index,
            first + b,
        )
        _radial(
            ws.geometry[b, 3],
            weights.cutoff_A,
            weights.envelope_power,
            weights.radial_frequencies,
            ws.basis[0, b],
        )
    no_bias = ws.tile[2, 0]
    _linear(ws.basis[0], 0, 0, weights.embed[0], no_bias, ws.bond_weight, first, 0, n)
    for layer in range(ws.bond_part.shape[0]):
        # Only long bonds keep their features after the first layer.
        skip = 0 if layer == 0 else n_short
        _project(
            ws.basis[0],
            skip,
            weights.radial_parts[layer],
            no_bias,
            ws.bond_part[layer],
            first + skip,
            n - skip,
        )
    s = fw.n_short
    _linear(ws.basis[0], 0, 0, weights.embed[1], no_bias, ws.bonds[0], s, 0, n_short)
    for b in range(n_short):
        _radial(
            ws.geometry[b, 3],
            weights.short_cutoff_A,
            weights.envelope_power,
            weights.short_frequencies,
            ws.basis[1, b],
        )
    _linear(ws.basis[1], 0, 0, weights.embed[2], no_bias, ws.short_weight, s, 0, n_short)
    for k in range(2):
        _project(
            ws.bonds[0], s, weights.bond.inputs[0, k], no_bias, ws.first_bond_parts[k], s, n_short
        )


@njit(error_model="numpy", nogil=True, cache=True, inline="always")
def _add_angle(
    triple: Int, cosines: NDArray[np.float64], n: int, c: int, i: int, j: int, cosine: float
) -> int:
    """Append the angle of short bonds i and j at atom c; return the new number of angles."""
    triple[0, n], triple[1, n], triple[2, n] = c, i, j
    cosines[n] = cosine
    return n + 1


@njit(error_model="numpy", nogil=True, cache=True)
def _add_angles(n_short: int, weights: Weights, fw: Framework, ws: Workspace) -> int:
    """Append all ordered pairs of short edges with a common centre that hold a mobile bond."""
    g, triple, cosines = ws.geometry, ws.triple, ws.cosines
    m = fw.mobile_index
    n = fw.n_angles
    for b in range(n_short):
        i = fw.n_short + b
        # With a framework edge: at the mobile ion (its own images), then at the framework atom.
        for side in range(2):
            c = m if side == 0 else ws.found[b]
            sign = 1.0 if side == 0 else -1.0
            for s in range(fw.short_start[c], fw.short_start[c + 1]):
                v = fw.short_unit[s]
                cosine = sign * (g[b, 0] * v[0] + g[b, 1] * v[1] + g[b, 2] * v[2])
                j = fw.short_bond[s]
                n = _add_angle(triple, cosines, n, c, i, j, cosine)
                n = _add_angle(triple, cosines, n, c, j, i, cosine)
        for d in range(n_short):
            if d == b:
                continue
            j = fw.n_short + d
            cosine = g[b, 0] * g[d, 0] + g[b, 1] * g[d, 1] + g[b, 2] * g[d, 2]
            n = _add_angle(triple, cosines, n, m, i, j, cosine)
            if ws.found[b] == ws.found[d]:
                # Two images of the mobile ion at one framework atom.
                n = _add_angle(triple, cosines, n, ws.found[b], i, j, cosine)
    first = fw.n_angles
    for k in range(first, n):
        _fourier(cosines[k], weights.angular_frequencies, ws.basis[2, k - first])
    no_bias = ws.tile[2, 0]
    _linear(ws.basis[2], 0, 0, weights.embed[3], no_bias, ws.angles[0], first, 0, n - first)
    for k in range(2):
        _project(
            ws.basis[2],
            0,
            weights.angular_parts[k],
            no_bias,
            ws.first_angle_parts[k],
            first,
            n - first,
        )
    return n


@njit(fastmath=_FAST, error_model="numpy", nogil=True, cache=True)
def _readout(weights: Weights, ws: Workspace, n_atoms: int) -> float:
    """Return the sum of the atoms' energies in eV."""
    h, o = ws.tile[0], ws.tile[1]
    total = 0.0
    for t in range(0, n_atoms, TILE):
        n = min(TILE, n_atoms - t)
        for r in range(n):
            x = ws.atoms[t + r]
            mean = np.float32(0.0)
            square = np.float32(0.0)
            for q in range(WIDTH):
                mean += x[q]
            mean *= _MEAN
            for q in range(WIDTH):
                square += (x[q] - mean) * (x[q] - mean)
            scale = _ONE / np.sqrt(square * _MEAN + _EPSILON)
            for q in range(WIDTH):
                h[r, q] = (x[q] - mean) * scale * weights.norm[0, q] + weights.norm[1, q]
        for k in range(weights.readout.shape[0]):
            _linear(h, 0, 0, weights.readout[k], weights.readout_bias[k], o, 0, 0, n)
            for r in range(n):
                for q in range(WIDTH):
                    x = o[r, q]
                    h[r, q] = x / (_ONE + _exp_minus(x))
        for r in range(n):
            e = weights.last_bias
            for q in range(WIDTH):
                e += h[r, q] * weights.last[q]
            total += e
    return total


@njit(error_model="numpy", nogil=True, cache=True)
def _energy(
    position_A: NDArray[np.float64], weights: Weights, fw: Framework, ws: Workspace
) -> float:
    """Return the model's energy in eV (without atomic references) for one position."""
    n_atoms = fw.embedding.shape[0]
    no_bias = ws.tile[2, 0]
    n_bonds, n_new_short = _find_bonds(position_A, weights, fw, ws)
    _add_bonds(n_bonds, n_new_short, weights, fw, ws)
    n_angles = _add_angles(n_new_short, weights, fw, ws)
    n_edges = fw.n_edges + 2 * n_bonds
    n_short = fw.n_short + n_new_short

    ws.sums[:n_atoms] = fw.first_sum
    atom_messages(weights.atom, 0, fw.first_centre, fw.first_neighbour, ws, fw.n_edges, n_edges)
    _update(ws.sums, weights.atom.out[0], fw.embedding, ws.atoms, n_atoms)
    n_layers = weights.bond.bias.shape[0]
    for layer in range(n_layers):
        _project(
            ws.atoms,
            0,
            weights.bond.inputs[layer, 3],
            weights.bond.bias[layer],
            ws.atom_parts[0],
            0,
            n_atoms,
        )
        parts = ws.first_bond_parts
        if layer > 0:
            parts = ws.bond_parts
            for k in range(2):
                _project(
                    ws.bonds[layer], 0, weights.bond.inputs[layer, k], no_bias, parts[k], 0, n_short
                )
        ws.sums[:n_short] = 0.0
        _triples(
            weights.bond,
            layer,
            True,
            ws.atom_parts[0],
            parts,
            ws.first_angle_parts[0],
            ws,
            n_angles,
        )
        _update(
            ws.sums,
            weights.bond.out[layer],
            ws.bonds[layer],
            ws.bonds[layer + 1],
            n_short,
        )
        # Nothing reads the angles after the last update.
        if layer < n_layers - 1:
            stack = weights.angle
            _project(
                ws.atoms, 0, stack.inputs[layer, 3], stack.bias[layer], ws.atom_parts[0], 0, n_atoms
            )
            for k in range(2):
                _project(
                    ws.bonds[layer + 1],
                    0,
                    stack.inputs[layer, k],
                    no_bias,
                    ws.bond_parts[k],
                    0,
                    n_short,
                )
            _triples(
                stack,
                layer,
                False,
                ws.atom_parts[0],
                ws.bond_parts,
                ws.first_angle_parts[1],
                ws,
                n_angles,
            )
        inputs = weights.atom.inputs[layer + 1]
        _project(ws.atoms, 0, inputs[0], weights.atom.bias[layer + 1], ws.atom_parts[0], 0, n_atoms)
        _project(ws.atoms, 0, inputs[2], no_bias, ws.atom_parts[1], 0, n_atoms)
        _project(
            ws.bonds[layer + 1], 0, inputs[1], no_bias, ws.bond_part[layer + 1], fw.n_long, n_short
        )
        ws.sums[:n_atoms] = 0.0
        atom_messages(weights.atom, layer + 1, ws.atom_parts[0], ws.atom_parts[1], ws, 0, n_edges)
        _update(ws.sums, weights.atom.out[layer + 1], ws.atoms, ws.atoms, n_atoms)
    return _readout(weights, ws, n_atoms)


@njit(error_model="numpy", nogil=True, cache=True)
def energies(
    positions_A: NDArray[np.float64],
    weights: Weights,
    fw: Framework,
    ws: Workspace,
    out: NDArray[np.float64],
) -> None:
    """Fill ``out`` with the model's energies in eV (without atomic references) at the positions."""
    for k in range(positions_A.shape[0]):
        out[k] = _energy(positions_A[k], weights, fw, ws)
