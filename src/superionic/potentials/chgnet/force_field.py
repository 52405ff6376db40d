"""CHGNet for dynamics: a Verlet list, and none of the work that dynamics never uses.

The network is that of Deng et al., Nat. Mach. Intell. 5, 1031 (2023), as the package ``chgnet``
implements it; energies and forces agree with it to single precision. What is left out or done
differently:

* no magnetic moments, no graph of the gradient;
* neighbours come from a Verlet list and the graph is a handful of array operations on it, in place
  of Python objects for every edge;
* on one processor core and in single precision, energies and gradients are compiled code
  (:mod:`superionic.potentials.chgnet.md`), one crystal after the other; elsewhere they are torch's,
  with the layers of :mod:`superionic.potentials.chgnet.network`, all crystals at once;
* the gradient is taken with respect to the pair vectors, and forces are summed in double precision
  from them, so that they add up to zero.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from superionic.errors import UnknownElementError
from superionic.potentials.chgnet.neighbours import Angles, IntArray, Pairs, VerletList
from superionic.potentials.chgnet.network import (
    Bonds,
    ChgnetNetwork,
    cutoffs_A,
    reference_energies_eV,
    require_published_architecture,
)

if TYPE_CHECKING:
    from torch import Tensor

    from superionic.potentials.chgnet.md import Candidates, ChgnetMachine

FloatArray = NDArray[np.float64]

DEFAULT_SKIN_A = 1.0
_N_ELEMENTS = 94


class CHGNetForceField:
    """CHGNet bound to a list of crystals.

    Parameters
    ----------
    systems : sequence of Atoms
        The crystals; their cells stay fixed. Several are evaluated as one disconnected graph.
    model : chgnet.model.CHGNet or None
        The network; the default checkpoint when None. It is not changed.
    label : str
        What identifies the weights.
    skin_A : float
        Skin of the Verlet list in A.
    device : str
        Torch device.
    compiled : bool
        Whether compiled code may do the work where it can; torch does the same more slowly.

    Raises
    ------
    UnknownElementError
        For elements beyond Pu.
    PotentialError
        When the network's architecture is not the published one.
    """

    def __init__(
        self,
        systems: Sequence[Atoms],
        model: Any = None,
        *,
        label: str = "chgnet:default",
        skin_A: float = DEFAULT_SKIN_A,
        device: str = "cpu",
        compiled: bool = True,
    ) -> None:
        import torch

        from superionic.potentials.chgnet.md import ChgnetMachine, supports

        self.label = label
        self._device = torch.device(device)
        self._numbers = np.concatenate([atoms.numbers for atoms in systems])
        if self._numbers.max() > _N_ELEMENTS:
            raise UnknownElementError(
                f"CHGNet knows elements up to Z = {_N_ELEMENTS}, not Z = {self._numbers.max()}.",
                hint="Choose another potential.",
            )
        if model is None:
            model = _load_default()
        require_published_architecture(model)
        compiled = compiled and self._device.type == "cpu" and supports(model)
        self._machine = ChgnetMachine(model) if compiled else None
        self._network = None if compiled else ChgnetNetwork(model, self._device)
        pair_cutoff_A, bond_cutoff_A = cutoffs_A(model)
        self._searches = [0] * len(systems)
        self._candidates: dict[int, Candidates] = {}
        self._verlet = [
            VerletList(atoms.cell.array, pair_cutoff_A, bond_cutoff_A, skin_A) for atoms in systems
        ]
        self._offsets = np.cumsum([0] + [len(atoms) for atoms in systems])
        reference = reference_energies_eV(model)[self._numbers - 1]
        self._reference_energy = np.add.reduceat(reference, self._offsets[:-1])
        self._species = torch.as_tensor(self._numbers - 1, device=self._device)

    @property
    def n_searches(self) -> int:
        """Return how often neighbours were searched for, over all crystals."""
        return sum(verlet.n_searches for verlet in self._verlet)

    def evaluate(self, positions_A: Sequence[FloatArray]) -> tuple[FloatArray, list[FloatArray]]:
        """Return energies in eV, shape (n_crystals,), and forces in eV/A of each crystal."""
        energies, forces, _ = self.evaluate_with_virials(positions_A)
        return energies, forces

    def evaluate_with_virials(
        self, positions_A: Sequence[FloatArray]
    ) -> tuple[FloatArray, list[FloatArray], FloatArray]:
        """Return energies and forces, and dE/d(strain) in eV, shape (n_crystals, 3, 3).

        The energy hangs on the vectors d of pairs alone, and a strain takes d to (1 + strain) d: it
        is the sum of ``d (dE/dd)^T``.
        """
        if self._machine is not None:
            return self._evaluate_compiled(self._machine, positions_A)
        assert self._network is not None
        graphs = [v.graph(p) for v, p in zip(self._verlet, positions_A, strict=True)]
        pairs, vectors, bonds, angles = (
            graphs[0] if len(graphs) == 1 else _join(graphs, self._offsets)
        )
        site_energies, gradient = _energies_and_gradient(
            self._network, self._species, pairs, vectors, bonds, angles
        )
        forces = np.zeros((len(self._numbers), 3))
        for axis in range(3):
            forces[:, axis] = np.bincount(
                pairs.second, gradient[:, axis], minlength=len(forces)
            ) - np.bincount(pairs.first, gradient[:, axis], minlength=len(forces))
        energies = np.add.reduceat(site_energies, self._offsets[:-1]) + self._reference_energy
        ends = np.cumsum([len(graph[0]) for graph in graphs])[:-1]
        virials = [
            _virial(one, other)
            for one, other in zip(np.split(vectors, ends), np.split(gradient, ends), strict=True)
        ]
        return energies, np.split(forces, self._offsets[1:-1]), np.array(virials)

    def _evaluate_compiled(
        self, machine: "ChgnetMachine", positions_A: Sequence[FloatArray]
    ) -> tuple[FloatArray, list[FloatArray], FloatArray]:
        energies, forces = self._reference_energy.copy(), []
        virials = np.empty((len(self._verlet), 3, 3))
        for k, (verlet, positions) in enumerate(zip(self._verlet, positions_A, strict=True)):
            pairs, angles = verlet.candidates(positions)
            if self._searches[k] != verlet.n_searches:
                numbers = self._numbers[self._offsets[k] : self._offsets[k + 1]]
                self._candidates[k] = _candidates(numbers, pairs, angles)
                self._searches[k] = verlet.n_searches
            energy, force = machine.evaluate(positions, self._candidates[k])
            energies[k] += energy
            forces.append(force)
            virials[k] = _virial(*machine.pairs)
        return energies, forces, virials


def _virial(vectors_A: FloatArray, gradient: FloatArray) -> FloatArray:
    """Return the symmetric part of the sum of d (dE/dd)^T; an energy does not see a rotation."""
    virial: FloatArray = vectors_A.T @ gradient
    return 0.5 * (virial + virial.T)


def _candidates(numbers: IntArray, pairs: Pairs, angles: Angles) -> "Candidates":
    from superionic.potentials.chgnet.md import Candidates

    return Candidates(
        species=(numbers - 1).astype(np.int32),
        ends=np.stack([pairs.first, pairs.second], axis=1).astype(np.int32),
        shifts_A=np.ascontiguousarray(pairs.shift_A),
        centre=angles.centre.astype(np.int32),
        bond_pairs=np.stack([angles.bond_a, angles.bond_b], axis=1).astype(np.int32),
        sign=np.ascontiguousarray(angles.sign, dtype=np.float64),
    )


def _load_default() -> Any:
    from contextlib import redirect_stdout
    from io import StringIO

    from chgnet.model import CHGNet

    with redirect_stdout(StringIO()):  # it prints its number of parameters
        return CHGNet.load(use_device="cpu", verbose=False)


def _join(
    graphs: Sequence[tuple[Pairs, FloatArray, IntArray, Angles]], offsets: IntArray
) -> tuple[Pairs, FloatArray, IntArray, Angles]:
    pair_offsets = np.cumsum([0] + [len(graph[0]) for graph in graphs])
    bond_offsets = np.cumsum([0] + [len(graph[2]) for graph in graphs])
    return (
        Pairs(
            np.concatenate([g[0].first + o for g, o in zip(graphs, offsets, strict=False)]),
            np.concatenate([g[0].second + o for g, o in zip(graphs, offsets, strict=False)]),
            np.concatenate([g[0].shift_A for g in graphs]),
        ),
        np.concatenate([g[1] for g in graphs]),
        np.concatenate([g[2] + o for g, o in zip(graphs, pair_offsets, strict=False)]),
        Angles(
            np.concatenate([g[3].centre + o for g, o in zip(graphs, offsets, strict=False)]),
            np.concatenate([g[3].bond_a + o for g, o in zip(graphs, bond_offsets, strict=False)]),
            np.concatenate([g[3].bond_b + o for g, o in zip(graphs, bond_offsets, strict=False)]),
            np.concatenate([g[3].sign for g in graphs]),
        ),
    )


def _energies_and_gradient(
    network: ChgnetNetwork,
    species: "Tensor",
    pairs: Pairs,
    vectors_A: FloatArray,
    bonds: IntArray,
    angles: Angles,
) -> tuple[FloatArray, FloatArray]:
    """Return site energies without reference, and the gradient for the pair vectors."""
    import torch

    if len(pairs) == 0:  # all atoms isolated: nothing depends on the positions
        vectors_A = np.zeros((0, 3))

    def indices(values: IntArray) -> "Tensor":
        return torch.as_tensor(values, device=network.device)

    vectors = torch.tensor(
        vectors_A, dtype=network.dtype, device=network.device, requires_grad=True
    )
    site_energies = network.site_energies(
        species,
        vectors,
        indices(np.concatenate([pairs.first, pairs.second])),
        indices(np.concatenate([pairs.second, pairs.first])),
        Bonds(
            indices(bonds),
            indices(angles.centre),
            indices(angles.bond_a),
            indices(angles.bond_b),
            torch.as_tensor(angles.sign, dtype=network.dtype, device=network.device),
        ),
    )
    (gradient,) = torch.autograd.grad(site_energies.sum(), vectors)
    return (
        site_energies.detach().cpu().numpy().astype(np.float64),
        gradient.cpu().numpy().astype(np.float64),
    )
