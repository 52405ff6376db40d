"""The student: a CHGNet whose energies, forces and stresses can be learned."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from superionic.distillation.dataset import Batch, Frame, batch
from superionic.files import whole_file
from superionic.potentials.chgnet.network import ChgnetNetwork, cutoffs_A, reference_energies_eV

FloatArray = NDArray[np.float64]

if TYPE_CHECKING:
    from chgnet.model import CHGNet


@dataclass(frozen=True)
class Prediction:
    """What a network says of a batch: eV/atom without reference, eV/A, eV/A^3."""

    energies: Tensor
    forces: Tensor
    stresses: Tensor


def predict(network: ChgnetNetwork, graph: Batch, *, twice: bool = False) -> Prediction:
    """Return energies, forces and stresses of a batch.

    Parameters
    ----------
    network : ChgnetNetwork
        The network.
    graph : Batch
        The frames.
    twice : bool
        Whether the result can be differentiated by the weights; the network has to be trainable.
    """
    vectors = graph.vectors.clone().requires_grad_(True)
    site = _site_energies(network, graph, vectors)
    energies = site.new_zeros(graph.n_frames).index_add(0, graph.owner, site)
    (gradient,) = torch.autograd.grad(site.sum(), vectors, create_graph=twice)
    forces = gradient.new_zeros((len(graph.species), 3))
    forces = forces.index_add(0, graph.first, -gradient).index_add(0, graph.second, gradient)
    # A strain takes a pair vector d to d (1 + strain), so that dE/d(strain) = sum of d x dE/dd.
    virial = gradient[:, :, None] * vectors[:, None, :]
    owner = graph.owner.index_select(0, graph.first)
    stresses = virial.new_zeros((graph.n_frames, 3, 3)).index_add(0, owner, virial)
    stresses = 0.5 * (stresses + stresses.mT) / graph.volumes[:, None, None]
    if not twice:
        energies = energies.detach()
    return Prediction(energies / graph.counts, forces, stresses)


def _site_energies(network: ChgnetNetwork, graph: Batch, vectors: Tensor) -> Tensor:
    """Return the energy of each atom; the network reads each pair from both of its ends."""
    ends = torch.cat([graph.first, graph.second])
    other = torch.cat([graph.second, graph.first])
    return network.site_energies(graph.species, vectors, ends, other, graph.bonds)


def load_student(start: str) -> "CHGNet":
    """Return the network of a CHGNet's name or checkpoint, ready to be trained."""
    from superionic.potentials.chgnet.potential import load_chgnet

    return load_chgnet(start, device="cpu").model.train()


def trainable_parameters(model: "CHGNet") -> dict[str, Tensor]:
    """Return the parameters that energies and forces depend on, and let them be differentiated.

    Not the reference energies, which are fitted, and not the layer of magnetic moments.
    """
    model.requires_grad_(False)
    chosen = {
        name: parameter
        for name, parameter in model.named_parameters()
        if not name.startswith(("composition_model.", "site_wise."))
    }
    for parameter in chosen.values():
        parameter.requires_grad_(True)
    return chosen


def fit_convention(model: "CHGNet", frames: list[Frame]) -> FloatArray:
    """Return what a teacher's energies have by elements alone, in eV, shape (94,), Z = 1 first.

    Least squares of the teacher's energy per atom less the network's over compositions of crystals.
    It is taken off what is learned, and the student keeps the network's own convention, for the
    elements of the frames as for all others: a mixture of two would be wrong for both.

    Parameters
    ----------
    model : chgnet.model.CHGNet
        The network before it is taught.
    frames : list of Frame
        Frames to be learned.
    """
    missed: dict[str, list[float]] = {}
    rows: dict[str, FloatArray] = {}
    for frame, energy_eV in zip(frames, _energies(model, frames), strict=True):
        missed.setdefault(frame.crystal, []).append((frame.energy_eV - energy_eV) / len(frame))
        rows[frame.crystal] = np.bincount(frame.numbers - 1, minlength=94) / len(frame)
    matrix = np.stack([rows[name] for name in missed])
    wanted = np.array([np.median(values) for values in missed.values()])
    # The diagonal keeps apart what the compositions do not tell apart.
    normal = matrix.T @ matrix + 1e-3 * np.eye(matrix.shape[1])
    return np.asarray(np.linalg.solve(normal, matrix.T @ wanted))


def _energies(model: "CHGNet", frames: list[Frame]) -> list[float]:
    network, reference = ChgnetNetwork(model, "cpu"), reference_energies_eV(model)
    found = []
    for frame in frames:
        graph = batch([frame], reference, *cutoffs_A(model))
        with torch.no_grad():
            site = _site_energies(network, graph, graph.vectors)
        found.append(float(site.double().sum()) + float(reference[frame.numbers - 1].sum()))
    return found


def write_student(model: "CHGNet", state: dict[str, Tensor], path: Path) -> None:
    """Write weights as a CHGNet checkpoint, in one step; plain numbers, which load everywhere."""
    arguments: dict[str, Any] = {k: v for k, v in model.model_args.items() if k != "version"}
    with whole_file(path) as fresh:
        torch.save({"model": {"state_dict": state, "model_args": arguments}}, fresh)


def copy_of(model: "CHGNet", state: dict[str, Tensor]) -> "CHGNet":
    """Return a network of the same shape with these weights."""
    with contextlib.redirect_stdout(io.StringIO()):
        twin: CHGNet = type(model).from_dict({"model_args": model.model_args, "state_dict": state})
    return twin.eval()
