"""Compiled layers of CHGNet, forwards and backwards, of one crystal.

What layers are and how they pass in tiles: :mod:`superionic.potentials.chgnet.md_kernels`.
"""

from superionic.potentials.chgnet.compiled import WIDTH, Float, linear, multiply_add
from superionic.potentials.chgnet.layout import GatedStack, Int
from superionic.potentials.chgnet.md_kernels import (
    ROW,
    activate_rows,
    activate_rows_back,
    add,
    clear,
    copy,
    dot,
    gate_rows,
    gate_rows_back,
    norm_rows,
    norm_rows_back,
    padded,
    project,
    silu_rows,
    sum_rows,
    sum_rows_back,
)
from superionic.potentials.chgnet.md_layout import (
    TILE,
    Double,
    Features,
    Parts,
    Readout,
    SavedActivations,
    Transposed,
)
from superionic.potentials.vectors import LANES, inner, load, store

_PAIRS = TILE // 2


@inner
def atom_convolution(
    layer: int,
    n_atoms: int,
    n_pairs: int,
    n_bonds: int,
    stack: GatedStack,
    of_basis: Float,
    no_bias: Float,
    ends: Int,
    bond_of_pair: Int,
    basis: Float,
    weight: Float,
    kept: SavedActivations,
    x: Features,
    parts: Parts,
    tile: Float,
    sums: Float,
) -> None:
    """Update atoms; ``n_bonds`` is the number of bonds whose features have changed.

    With features ``a`` of atoms and ``b`` of bonds, the radial weight ``w`` of a pair, layer norms
    ``N``, and halves ``core`` and ``gate`` of each row::

        a_i += O sum_j silu(N(core_ij)) * sigmoid(N(gate_ij)) * w_ij
        (core, gate)_ij = W2 silu(A a_i + B b_ij + C a_j + c) + c2

    ``A``, ``B`` and ``C`` are ``stack.inputs``; where a bond still has the features that it began
    with, which are linear in the radial basis, ``B b_ij`` is the product ``of_basis`` of that.
    """
    inputs, second, bias = stack.inputs[layer], stack.second[layer], stack.second_bias[layer]
    project(x.atoms, inputs[0], stack.bias[layer], parts.left, n_atoms)
    project(x.atoms, inputs[2], no_bias, parts.right, n_atoms)
    project(x.bonds, inputs[1], no_bias, parts.bonds, n_bonds)
    clear(sums, n_atoms * WIDTH)
    hidden, part = tile[0], tile[1]
    slope, pre, scale = kept.slope[layer], kept.inputs[layer], kept.scale[layer]
    gamma, beta = stack.gamma[layer], stack.beta[layer]
    for t in range(0, n_pairs, _PAIRS):
        n = min(_PAIRS, n_pairs - t)
        for k in range(2):
            linear(basis[0], t, 0, of_basis[layer, k], no_bias, part, 0, k * WIDTH, padded(n))
        if n_bonds > 0:
            for p in range(n):
                if bond_of_pair[t + p] >= 0:
                    copy(parts.bonds, bond_of_pair[t + p] * ROW, part, p * ROW, ROW)
        activate_rows(ends, t, n, parts.left, parts.right, part, False, hidden, slope)
        for k in range(2):
            linear(hidden, 0, k * WIDTH, second[k], bias, pre, 2 * t, k * WIDTH, padded(2 * n))
        gate_rows(ends, t, n, pre, gamma, beta, weight, WIDTH, sums, scale)
    multiply_add(sums, 0, 0, stack.out[layer], x.atoms, 0, 0, padded(n_atoms))


@inner
def atom_convolution_back(
    layer: int,
    n_atoms: int,
    n_pairs: int,
    n_bonds: int,
    stack: GatedStack,
    back: Transposed,
    of_basis: Float,
    no_bias: Float,
    ends: Int,
    bond_of_pair: Int,
    basis: Float,
    weight: Float,
    d_weight: Float,
    d_length: Double,
    kept: SavedActivations,
    d_x: Features,
    d_parts: Parts,
    tile: Float,
    d_sums: Float,
) -> None:
    """Take the gradient through :func:`atom_convolution`.

    With ``h = A a_i + B b_ij + C a_j + c`` and ``g`` the gradient for ``(core, gate)``, of which
    :func:`~superionic.potentials.chgnet.md_kernels.gate_rows_back` has the formula::

        dE/da_i  += A^T dE/dh_ij + C^T dE/dh_ji,    dE/dh = silu'(h) * (W2^T g)
        dE/db_ij += B^T (dE/dh_ij + dE/dh_ji)

    or, where the features of the bond are those of the basis, ``d_length`` takes their product with
    the derivative of the basis by the length.
    """
    linear(d_x.atoms, 0, 0, back.out[layer], no_bias, d_sums, 0, 0, padded(n_atoms))
    clear(d_parts.left, n_atoms * ROW)
    clear(d_parts.right, n_atoms * ROW)
    first, hidden, part = tile[0], tile[1], tile[2]
    slope, pre, scale = kept.slope[layer], kept.inputs[layer], kept.scale[layer]
    gamma, beta, second = stack.gamma[layer], stack.beta[layer], back.second[layer]
    for t in range(0, n_pairs, _PAIRS):
        n = min(_PAIRS, n_pairs - t)
        gate_rows_back(ends, t, n, pre, gamma, beta, weight, WIDTH, d_sums, scale, d_weight, first)
        for k in range(2):
            linear(first, 0, k * WIDTH, second[k], no_bias, hidden, 0, k * WIDTH, padded(2 * n))
        activate_rows_back(ends, t, n, hidden, slope, d_parts.left, d_parts.right, part, False)
        for k in range(2):
            linear(basis[1], t, 0, of_basis[layer, k], no_bias, first, 0, k * WIDTH, padded(n))
        for p in range(n):
            b = bond_of_pair[t + p] if n_bonds > 0 else -1
            if b >= 0:
                copy(part, p * ROW, d_parts.bonds, b * ROW, ROW)
            else:
                d_length[t + p] += dot(part, p * ROW, first, p * ROW, ROW)
    inputs = back.inputs[layer]
    if layer > 0:  # the features of elements are constants
        multiply_add(d_parts.left, 0, 0, inputs[0], d_x.atoms, 0, 0, padded(n_atoms))
        multiply_add(d_parts.right, 0, 0, inputs[2], d_x.atoms, 0, 0, padded(n_atoms))
    multiply_add(d_parts.bonds, 0, 0, inputs[1], d_x.bonds, 0, 0, padded(n_bonds))


@inner
def angle_layer(
    layer: int,
    two_layers: bool,
    n_atoms: int,
    n_bonds: int,
    n_angles: int,
    stack: GatedStack,
    no_bias: Float,
    bonds: Int,
    centre: Int,
    owners: Int,
    weight: Float,
    step: int,
    kept: SavedActivations,
    x: Features,
    parts: Parts,
    tile: Float,
    sums: Float,
) -> None:
    """Add the messages of angles to ``sums``: bond convolution (two layers) or angle update.

    For the bonds ``p`` and ``q`` of an angle with features ``t`` round the atom ``i``, either way::

        sums[owner] += silu(N(core)) * sigmoid(N(gate)) * w
        (core, gate) = h, or with two layers W2 silu(h) + c2
        h = A b_p + B b_q + C t + D a_i + c
    """
    inputs, second, bias = stack.inputs[layer], stack.second[layer], stack.second_bias[layer]
    project(x.bonds, inputs[0], no_bias, parts.left, n_bonds)
    project(x.bonds, inputs[1], no_bias, parts.right, n_bonds)
    project(x.atoms, inputs[3], stack.bias[layer], parts.centre, n_atoms)
    hidden, part = tile[0], tile[1]
    pre, scale = kept.inputs[layer], kept.scale[layer]
    gamma, beta = stack.gamma[layer], stack.beta[layer]
    split = layer > 0
    rows = 2 if split else 1
    angles = x.angles if split else x.plain_angles
    for t in range(0, n_angles, _PAIRS):
        n = min(_PAIRS, n_angles - t)
        for r in range(n * rows):
            copy(parts.centre, centre[t + r // rows] * ROW, part, r * ROW, ROW)
        for k in range(2):
            w = inputs[2, k]
            multiply_add(angles, rows * t, 0, w, part, 0, k * WIDTH, padded(rows * n))
        if two_layers:
            slope = kept.slope[layer]
            activate_rows(bonds, t, n, parts.left, parts.right, part, split, hidden, slope)
            for k in range(2):
                linear(hidden, 0, k * WIDTH, second[k], bias, pre, 2 * t, k * WIDTH, padded(2 * n))
        else:
            sum_rows(bonds, t, n, parts.left, parts.right, part, split, pre)
        gate_rows(owners, t, n, pre, gamma, beta, weight, step, sums, scale)


@inner
def angle_layer_back(
    layer: int,
    two_layers: bool,
    n_atoms: int,
    n_bonds: int,
    n_angles: int,
    stack: GatedStack,
    back: Transposed,
    no_bias: Float,
    bonds: Int,
    centre: Int,
    owners: Int,
    weight: Float,
    step: int,
    d_weight: Float,
    kept: SavedActivations,
    d_x: Features,
    d_parts: Parts,
    tile: Float,
    d_sums: Float,
) -> None:
    """Take the gradient through :func:`angle_layer`.

    With ``dE/dh`` as in :func:`atom_convolution_back`, ``dE/db_p += A^T dE/dh``,
    ``dE/db_q += B^T dE/dh``, ``dE/dt += C^T dE/dh`` and ``dE/da_i += D^T dE/dh``.
    """
    clear(d_parts.left, n_bonds * ROW)
    clear(d_parts.right, n_bonds * ROW)
    clear(d_parts.centre, n_atoms * ROW)
    first, hidden, part = tile[0], tile[1], tile[2]
    pre, scale = kept.inputs[layer], kept.scale[layer]
    gamma, beta, second = stack.gamma[layer], stack.beta[layer], back.second[layer]
    inputs = back.inputs[layer]
    split = layer > 0
    rows = 2 if split else 1
    d_angles = d_x.angles if split else d_x.plain_angles
    for t in range(0, n_angles, _PAIRS):
        n = min(_PAIRS, n_angles - t)
        gate_rows_back(owners, t, n, pre, gamma, beta, weight, step, d_sums, scale, d_weight, first)
        if two_layers:
            for k in range(2):
                linear(first, 0, k * WIDTH, second[k], no_bias, hidden, 0, k * WIDTH, padded(2 * n))
            slope = kept.slope[layer]
            activate_rows_back(bonds, t, n, hidden, slope, d_parts.left, d_parts.right, part, split)
        else:
            sum_rows_back(bonds, t, n, first, d_parts.left, d_parts.right, part, split)
        for r in range(n * rows):
            add(part, r * ROW, d_parts.centre, centre[t + r // rows] * ROW, ROW)
        multiply_add(part, 0, 0, inputs[2], d_angles, rows * t, 0, padded(rows * n))
    multiply_add(d_parts.left, 0, 0, inputs[0], d_x.bonds, 0, 0, padded(n_bonds))
    multiply_add(d_parts.right, 0, 0, inputs[1], d_x.bonds, 0, 0, padded(n_bonds))
    multiply_add(d_parts.centre, 0, 0, inputs[3], d_x.atoms, 0, 0, padded(n_atoms))


@inner
def readout(
    n_atoms: int,
    w: Readout,
    no_bias: Float,
    atoms: Float,
    kept: Float,
    scale: Float,
    d_atoms: Float,
    other: Float,
) -> float:
    """Return the energy in eV and set its derivative for the atoms' features."""
    unit, one = kept[0], kept[4]
    n = n_atoms * WIDTH
    norm_rows(atoms, n_atoms, w.norm, unit, scale, one)
    for k in range(3):
        linear(one, 0, 0, w.hidden[k], w.bias[k], other, 0, 0, padded(n_atoms))
        silu_rows(other, n, kept[1 + k])
        one, other = other, one
    energy = n_atoms * w.last_bias
    for i in range(n_atoms):
        energy += dot(one, i * WIDTH, w.last, 0, WIDTH)
        copy(w.last, 0, one, i * WIDTH, WIDTH)
    for k in range(2, -1, -1):
        slope = kept[1 + k]
        for q in range(0, n, LANES):
            store(one, q, load(one, q) * load(slope, q))
        linear(one, 0, 0, w.hidden_back[k], no_bias, other, 0, 0, padded(n_atoms))
        one, other = other, one
    norm_rows_back(one, n_atoms, w.norm, unit, scale, d_atoms)
    return energy
