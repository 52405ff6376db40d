"""How a crystal, CHGNet's transposed weights and its work in progress lie in memory.

Named tuples of arrays, because compiled code takes them as they are; see
:mod:`superionic.potentials.chgnet.md`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from superionic.potentials.chgnet.compiled import Float
from superionic.potentials.chgnet.layout import GatedStack, Int

TILE = 32
"""Rows that pass through a gated layer together: both orders of half as many pairs."""

Double = NDArray[np.float64]


class Transposed(NamedTuple):
    """Weights of the gated layers of one kind, for the way back.

    Parameters
    ----------
    inputs : ndarray, shape (n_layers, n_inputs, 128, 64)
        First linear layer, one block per part of the concatenated input.
    second : ndarray, shape (n_layers, 2, 64, 64)
        Second linear layer.
    out : ndarray, shape (n_layers, 64, 64)
        Linear layer after aggregation.
    """

    inputs: Float
    second: Float
    out: Float


class Readout(NamedTuple):
    """Weights of the layers that turn an atom's features into its energy.

    Parameters
    ----------
    norm : ndarray, shape (2, 64)
        Scale and shift of the first layer norm.
    hidden, hidden_back : ndarray, shape (3, 64, 64)
        Hidden layers, and transposed.
    bias : ndarray, shape (3, 1, 64)
        Their biases.
    last : ndarray, shape (1, 64)
        The last layer.
    last_bias : float
        Its bias in eV.
    """

    norm: Float
    hidden: Float
    hidden_back: Float
    bias: Float
    last: Float
    last_bias: float


class Bases(NamedTuple):
    """What turns elements, lengths and angles into features and weights.

    Parameters
    ----------
    embedding : ndarray, shape (94, 64)
        Features of elements.
    turns : ndarray, shape (3, 3, 32)
        Frequencies of the radial bases of the atom and the bond graph in turns per cutoff and of
        the Fourier basis in turns per radian: rounded, what rounding took off, and rounded in
        radians.
    embed : ndarray, shape (4, 32, 64)
        Bases to bond weight, bond feature, bond weight of the bond graph, and angle feature.
    no_bias : ndarray, shape (1, 128)
        Zeros.
    cutoff_A, short_cutoff_A : float
        Cutoffs of the atom and the bond graph in A.
    envelope_power : float
        Exponent p of the polynomial envelope.
    """

    embedding: Float
    turns: Float
    embed: Float
    no_bias: Float
    cutoff_A: float
    short_cutoff_A: float
    envelope_power: float


class MdWeights(NamedTuple):
    """All weights that energies and gradients need.

    Parameters
    ----------
    atom, bond, angle : GatedStack
        See :class:`superionic.potentials.chgnet.layout.Weights`.
    atom_back, bond_back, angle_back : Transposed
        The same, transposed.
    bases : Bases
        Before the first layer.
    radial_parts : ndarray, shape (n_layers, 2, 32, 64)
        Radial basis to the pair's part of each atom convolution's first linear layer.
    readout : Readout
        After the last.
    ones : ndarray, shape (1, 64)
        Ones.
    """

    atom: GatedStack
    bond: GatedStack
    angle: GatedStack
    atom_back: Transposed
    bond_back: Transposed
    angle_back: Transposed
    bases: Bases
    radial_parts: Float
    readout: Readout
    ones: Float


class NeighbourGraph(NamedTuple):
    """Which atoms and bonds of a crystal belong together at its present positions.

    Parameters
    ----------
    ends : ndarray, shape (n_pairs, 2)
        Atoms of each pair.
    unit : ndarray, shape (n_pairs, 3)
        Unit vectors from second to first atom.
    length_A : ndarray, shape (n_pairs,)
        Lengths.
    bond_of_pair : ndarray, shape (n_pairs,)
        Number of the bond that a pair is, or -1.
    pair_of_bond : ndarray, shape (n_bonds,)
        The reverse.
    bond_length_A : ndarray, shape (n_bonds,)
        Lengths.
    bonds : ndarray, shape (n_angles, 2)
        Bonds of each angle.
    centre : ndarray, shape (n_angles,)
        Atom of each angle.
    sign : ndarray, shape (n_angles,)
        -1 where exactly one of the two vectors has to be reversed, else 1.
    cosine : ndarray, shape (n_angles,)
        Cosines.
    rows : ndarray, shape (n_angles, 2)
        0, 1, 2, ...: the rows of each angle.
    gradient : ndarray, shape (n_pairs, 3)
        Derivative of the energy for the vector from second to first atom, in eV/A.
    """

    ends: Int
    unit: Double
    length_A: Double
    bond_of_pair: Int
    pair_of_bond: Int
    bond_length_A: Double
    bonds: Int
    centre: Int
    sign: Double
    cosine: Double
    rows: Int
    gradient: Double


class SavedActivations(NamedTuple):
    """What the way back needs from the layers of one kind; see ``chgnet_md_kernels``.

    Parameters
    ----------
    slope, inputs : ndarray, shape (n_layers, n_rows, 128)
        Slope of the first activation; input of the layer norms.
    scale : ndarray, shape (n_layers, n_rows, 2)
        Scales of the layer norms.
    """

    slope: Float
    inputs: Float
    scale: Float


class Features(NamedTuple):
    """Features, or derivatives of the energy for them, 64 wide.

    Parameters
    ----------
    atoms, bonds : ndarray, shape (n, 64)
        Of atoms and bonds.
    angles : ndarray, shape (2 * n_angles, 64)
        Of both orders of the bonds of each angle.
    plain_angles : ndarray, shape (n_angles, 64)
        Of angles before the first update, when the order makes no difference.
    """

    atoms: Float
    bonds: Float
    angles: Float
    plain_angles: Float


class Parts(NamedTuple):
    """Parts of a first linear layer, or derivatives of the energy for them, 128 wide.

    Parameters
    ----------
    left, right : ndarray, shape (n, 128)
        Of the first and the second atom or bond of an ordered pair.
    centre : ndarray, shape (n_atoms, 128)
        Of the common atom.
    bonds : ndarray, shape (n_bonds, 128)
        Of bonds, in an atom convolution.
    """

    left: Float
    right: Float
    centre: Float
    bonds: Float


class Rows(NamedTuple):
    """Rows of pairs, bonds and angles.

    Parameters
    ----------
    pairs, bonds, angles : ndarray
        As bases, shapes (2, n, 32), (4, n, 32) and (2, n, 32): functions and derivatives, for bonds
        those of the atom graph, then those of the bond graph. As weights (or derivatives for
        them), shape (n, 64).
    """

    pairs: Float
    bonds: Float
    angles: Float


class MdWorkspace(NamedTuple):
    """Buffers; ``d_`` marks derivatives of the energy.

    Parameters
    ----------
    atom, bond, angle : SavedActivations
        Of the atom convolutions, bond convolutions and angle updates.
    tile : ndarray, shape (3, TILE, 128)
        Rows in flight.
    tangent : ndarray, shape (TILE, 64)
        Derivatives of features or weights in flight.
    x, d_x : Features
        Features.
    parts, d_parts : Parts
        Parts of first linear layers.
    basis : Rows
        Values and derivatives of the basis functions.
    weight, d_weight : Rows
        Weights; those of angles are products of those of two bonds.
    sums, d_sums : ndarray, shape (n, 64)
        Aggregated messages of atoms or bonds.
    readout : ndarray, shape (5, n_atoms, 64)
        Normalised features, slopes of three activations, and rows in flight.
    readout_scale : ndarray, shape (n_atoms,)
        Scales of the layer norm.
    d_length : ndarray, shape (n_pairs,)
        In eV/A.
    """

    atom: SavedActivations
    bond: SavedActivations
    angle: SavedActivations
    tile: Float
    tangent: Float
    x: Features
    d_x: Features
    parts: Parts
    d_parts: Parts
    basis: Rows
    weight: Rows
    d_weight: Rows
    sums: Float
    d_sums: Float
    readout: Float
    readout_scale: Float
    d_length: Double
