"""Compiled kernels of CHGNet's forward pass for one moving ion in a frozen framework.

One position is evaluated at a time, so that all that it touches stays in the processor's caches;
edges and angles pass through in tiles of a few dozen rows. Everything is float32 except for the
geometry (float64). The layers are those of chgnet 0.3.0 (Deng et al., Nat. Mach. Intell. 5, 1031,
2023), with every first linear layer split into its parts: ``W [a_i, b, a_j] = W1 a_i + W2 b + W3
a_j``, so that each part is a product per atom, bond or angle and not per edge.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from superionic.potentials.chgnet.compiled import (
    FAST,
    WIDTH,
    Float,
    exp_minus,
    linear,
    multiply_add,
    sin_turns,
    sum_of_squares,
)
from superionic.potentials.chgnet.layout import (
    ALMOST_ONE,
    Framework,
    GatedStack,
    Int,
    Weights,
    Workspace,
)

BUILT_ON = "933af69a1149"
"""First digits of the SHA-256 of ``compiled.py`` and ``layout.py``, kept by a test.

The compiled code is cached beside this file, and numba takes it from there while this file's own
contents are the same, whatever happened to what it imports.
"""

_ONE = np.float32(1.0)
_EPSILON = np.float32(1e-5)
_MEAN = np.float32(1.0 / WIDTH)


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def _project(x: Float, x_row: int, w: Float, bias: Float, out: Float, row: int, n: int) -> None:
    """Set 128 columns of ``out`` to the core and gate products of 64-wide rows of ``x``."""
    linear(x, x_row, 0, w[0], bias, out, row, 0, n)
    linear(x, x_row, 0, w[1], bias, out, row, WIDTH, n)


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def _gate(o: Float, gamma: Float, beta: Float) -> None:
    """Set ``o[:64] = silu(norm(core)) * sigmoid(norm(gate))`` from mean-free core and gate."""
    c = _ONE / np.sqrt(sum_of_squares(o, 0) * _MEAN + _EPSILON)
    g = _ONE / np.sqrt(sum_of_squares(o, WIDTH) * _MEAN + _EPSILON)
    for q in range(WIDTH):
        x = o[q] * c * gamma[q] + beta[q]
        y = o[WIDTH + q] * g * gamma[WIDTH + q] + beta[WIDTH + q]
        o[q] = x / ((_ONE + exp_minus(x)) * (_ONE + exp_minus(y)))


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
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
    size = len(h)
    for t in range(start, stop, size):
        n = min(size, stop - t)
        for e in range(n):
            a, c, p = (
                parts_i[ws.edge[0, t + e]],
                parts_j[ws.edge[1, t + e]],
                bond_part[ws.edge[2, t + e]],
            )
            row = h[e]
            for q in range(2 * WIDTH):
                x = a[q] + c[q] + p[q]
                row[q] = x / (_ONE + exp_minus(x))
        linear(h, 0, 0, second[0], second_bias, o, 0, 0, n)
        linear(h, 0, WIDTH, second[1], second_bias, o, 0, WIDTH, n)
        for e in range(n):
            row = o[e]
            _gate(row, gamma, beta)
            w, s = ws.bond_weight[ws.edge[2, t + e]], ws.sums[ws.edge[0, t + e]]
            for q in range(WIDTH):
                s[q] += row[q] * w[q]


@njit(nogil=True, cache=True)
def _copy(source: Float, target: Float, n: int) -> None:
    for r in range(n):
        for q in range(WIDTH):
            target[r, q] = source[r, q]


@njit(nogil=True, cache=True)
def _clear(target: Float, n: int) -> None:
    for r in range(n):
        for q in range(WIDTH):
            target[r, q] = 0.0


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def _update(sums: Float, w: Float, before: Float, after: Float, n: int) -> None:
    """Set ``after = before + sums @ w`` in the first n rows (residual connection)."""
    _copy(before, after, n)
    multiply_add(sums, 0, 0, w, after, 0, 0, n)


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
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
    no_bias = ws.tile[2]
    size = len(h)
    for t in range(0, n_angles, size):
        n = min(size, n_angles - t)
        if layer > 0:
            _project(ws.angles[layer], t, angle_w, no_bias, o, 0, n)
        for e in range(n):
            c, i, j = ws.triple[0, t + e], ws.triple[1, t + e], ws.triple[2, t + e]
            row = h[e]
            p = angle_parts[t + e] if layer == 0 else o[e]
            a, b, d = parts_c[c], parts[0, i], parts[1, j]
            if two_layers:
                for q in range(2 * WIDTH):
                    x = p[q] + a[q] + b[q] + d[q]
                    row[q] = x / (_ONE + exp_minus(x))
            else:
                for q in range(2 * WIDTH):
                    row[q] = p[q] + a[q] + b[q] + d[q]
        if two_layers:
            linear(h, 0, 0, second[0], second_bias, o, 0, 0, n)
            linear(h, 0, WIDTH, second[1], second_bias, o, 0, WIDTH, n)
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


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def _radial(
    distance_A: float, cutoff_A: float, p: float, turns: NDArray[np.float64], out: Float
) -> None:
    """Bessel functions times the polynomial envelope (CHGNet's RadialBessel)."""
    x = distance_A / cutoff_A
    envelope = 0.0
    if x < 1.0:
        a, b, c = (p + 1) * (p + 2) / 2, p * (p + 2), p * (p + 1) / 2
        envelope = 1.0 + x**p * (-a + b * x - c * x * x)
    scale = np.float32(envelope * np.sqrt(2.0 / cutoff_A) / distance_A)
    for k in range(turns.size):
        out[k] = scale * sin_turns(turns[k] * x)


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def _fourier(cosine: float, turns: NDArray[np.float64], out: Float) -> None:
    """Fourier expansion of an angle (CHGNet's AngleEncoder, with its 1 - 1e-6)."""
    angle = np.arccos(min(max(cosine, -1.0), 1.0) * ALMOST_ONE)
    scale = np.float32(1.0 / np.sqrt(np.pi))
    n = turns.size
    out[0] = scale * np.float32(np.sqrt(0.5))
    for k in range(n):
        out[1 + k] = scale * sin_turns(turns[k] * angle)
    for k in range(n):
        out[1 + n + k] = scale * sin_turns(turns[k] * angle + 0.25)


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
            weights.radial_turns,
            ws.basis[0, b],
        )
    no_bias = ws.tile[2]
    linear(ws.basis[0], 0, 0, weights.embed[0], no_bias, ws.bond_weight, first, 0, n)
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
    linear(ws.basis[0], 0, 0, weights.embed[1], no_bias, ws.bonds[0], s, 0, n_short)
    for b in range(n_short):
        _radial(
            ws.geometry[b, 3],
            weights.short_cutoff_A,
            weights.envelope_power,
            weights.short_turns,
            ws.basis[1, b],
        )
    linear(ws.basis[1], 0, 0, weights.embed[2], no_bias, ws.short_weight, s, 0, n_short)
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
        _fourier(cosines[k], weights.angular_turns, ws.basis[2, k - first])
    no_bias = ws.tile[2]
    linear(ws.basis[2], 0, 0, weights.embed[3], no_bias, ws.angles[0], first, 0, n - first)
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


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def _readout(weights: Weights, ws: Workspace, n_atoms: int) -> float:
    """Return the sum of the atoms' energies in eV."""
    h, o = ws.tile[0], ws.tile[1]
    total = 0.0
    size = len(h)
    for t in range(0, n_atoms, size):
        n = min(size, n_atoms - t)
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
            linear(h, 0, 0, weights.readout[k], weights.readout_bias[k], o, 0, 0, n)
            for r in range(n):
                for q in range(WIDTH):
                    x = o[r, q]
                    h[r, q] = x / (_ONE + exp_minus(x))
        for r in range(n):
            e = weights.last_bias
            for q in range(WIDTH):
                e += h[r, q] * weights.last[q]
            total += e
    return total


@njit(error_model="numpy", inline="always")
def _energy(
    position_A: NDArray[np.float64], weights: Weights, fw: Framework, ws: Workspace
) -> float:
    """Return the model's energy in eV (without atomic references) for one position."""
    n_atoms = fw.embedding.shape[0]
    no_bias = ws.tile[2]
    n_bonds, n_new_short = _find_bonds(position_A, weights, fw, ws)
    _add_bonds(n_bonds, n_new_short, weights, fw, ws)
    n_angles = _add_angles(n_new_short, weights, fw, ws)
    n_edges = fw.n_edges + 2 * n_bonds
    n_short = fw.n_short + n_new_short

    _copy(fw.first_sum, ws.sums, n_atoms)
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
        _clear(ws.sums, n_short)
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
        _clear(ws.sums, n_atoms)
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
