"""How CHGNet's weights, a frozen framework and work in progress lie in memory.

Named tuples of arrays, because compiled code takes them as they are. The classes are filled by
:mod:`superionic.potentials.chgnet.pack` and read by :mod:`superionic.potentials.chgnet.kernels`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from superionic.potentials.chgnet.compiled import Float

ALMOST_ONE = 1.0 - 17.0 / 2.0**24
"""CHGNet's 1 - 1e-6 as float32 has it; cosines are multiplied by it."""

TILE = 32
"""Edges or angles that pass through a gated layer together."""

Int = NDArray[np.int32]


class GatedStack(NamedTuple):
    """Weights of the gated layers of one kind, layer by layer.

    Linear maps are stored as blocks ``[core or gate, k, j]`` of 64 x 64, input index first.
    The last linear map before a LayerNorm has its mean over outputs taken out, which saves the norm
    the work.

    Parameters
    ----------
    inputs : ndarray, shape (n_layers, n_inputs, 2, 64, 64)
        First linear layer, one block per part of the concatenated input.
    bias : ndarray, shape (n_layers, 1, 128)
        Its bias.
    second : ndarray, shape (n_layers, 2, 64, 64)
        Second linear layer; zero where the kind has one layer only.
    second_bias : ndarray, shape (n_layers, 1, 128)
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
    radial_turns, short_turns : ndarray, shape (n_radial,)
        Frequencies of the Bessel bases of the atom and the bond graph, in turns per cutoff.
    angular_turns : ndarray, shape (n_angular,)
        Frequencies of the Fourier basis, in turns per radian.
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
    readout_bias : ndarray, shape (3, 1, 64)
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
    radial_turns: NDArray[np.float64]
    short_turns: NDArray[np.float64]
    angular_turns: NDArray[np.float64]
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
