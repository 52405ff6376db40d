"""SevenNet: the cross-check family, SevenNet-0 comes with the package.

Y. Park et al., J. Chem. Theory Comput. 20, 4857 (2024), doi:10.1021/acs.jctc.4c00190.
"""

import contextlib
import io
import os
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from superionic.errors import PotentialError, PotentialNotFoundError
from superionic.potentials.base import FrozenFramework, PotentialInfo
from superionic.potentials.batched import (
    BatchedPotential,
    atoms_per_batch,
    hash_state_dict,
    package_version,
)
from superionic.potentials.checkpoints import load_plain
from superionic.potentials.frozen_graph import (
    FrozenGraph,
    FrozenGraphFramework,
    GraphBatch,
    edges_per_batch,
)

if TYPE_CHECKING:
    from sevenn.atom_graph_data import AtomGraphData
    from sevenn.nn.sequential import AtomGraphSequential


_BYTES_PER_EDGE = 60_000
"""Some five arrays of messages, 12.5 kB an edge each, live at the same time."""


class SevennetPotential(BatchedPotential):
    """SevenNet, batched.

    Parameters
    ----------
    model : sevenn.nn.sequential.AtomGraphSequential
        The model, on the device where it is to run.
    name : str
        Name of the model or path of the checkpoint.
    modal : str or None
        Which of its training sets a multi-fidelity model speaks for, such as ``PBE``.
    """

    def __init__(
        self,
        model: "AtomGraphSequential",
        name: str,
        *,
        modal: str | None = None,
    ) -> None:
        self._model = model.eval().requires_grad_(False)
        self._model.set_is_batch_data(True)
        self._energy_model = _without_forces(self._model)
        self._modal = modal
        device = next(self._model.parameters()).device
        self.max_atoms_per_batch = atoms_per_batch(device)
        self.cutoff_A = float(model.cutoff)
        self.elements = frozenset(chemical_symbols[z] for z in model.type_map)
        self.info = PotentialInfo(
            family="sevennet",
            name=f"{name}@{modal}" if modal else name,
            package_version=package_version("sevenn"),
            weights_sha256=hash_state_dict(model.state_dict()),
        )

    def _evaluate(
        self, configurations: Sequence[Atoms], *, with_forces: bool
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        import sevenn._keys as key
        import torch
        from torch_geometric.data import Batch

        device = next(self._model.parameters()).device
        batch = Batch.from_data_list([self._graph(atoms) for atoms in configurations]).to(device)
        with torch.set_grad_enabled(with_forces):
            output = (self._model if with_forces else self._energy_model)(batch)
        energies = output[key.PRED_TOTAL_ENERGY].detach().cpu().numpy().astype(np.float64)
        if not with_forces:
            return energies.reshape(-1), []
        forces = output[key.PRED_FORCE].detach().cpu().numpy().astype(np.float64)
        ends = np.cumsum([len(atoms) for atoms in configurations])
        return energies.reshape(-1), np.split(forces, ends[:-1])

    def _graph(self, atoms: Atoms) -> "AtomGraphData":
        import sevenn._keys as key
        from sevenn.atom_graph_data import AtomGraphData
        from sevenn.train.dataload import unlabeled_atoms_to_graph

        data = unlabeled_atoms_to_graph(atoms, self._model.cutoff, with_shift=False)
        del data[key.INFO]  # an empty mapping, which only costs time when graphs are joined
        graph = AtomGraphData.from_numpy_dict(data)
        if self._modal:
            graph[key.DATA_MODALITY] = self._modal
        return graph

    def frozen_framework(self, atoms: Atoms, mobile_index: int) -> FrozenFramework:
        """Return the energy of ``atoms`` as a function of the position of one ion.

        The edges of the framework are found once and only those of the mobile ion change.
        """
        self.check_elements(atoms)
        graph = FrozenGraph(atoms, mobile_index, self._model.cutoff)
        n_edges = edges_per_batch(next(self._model.parameters()).device, _BYTES_PER_EDGE)
        return FrozenGraphFramework(graph, self._evaluate_graphs, max_edges_per_batch=n_edges)

    def _evaluate_graphs(self, graphs: GraphBatch) -> NDArray[np.float64]:
        import sevenn._keys as key
        import torch
        from sevenn.atom_graph_data import AtomGraphData

        parameter = next(self._model.parameters())
        numbers = torch.from_numpy(graphs.numbers)
        data = AtomGraphData(x=numbers, edge_index=torch.from_numpy(graphs.edges))
        data[key.ATOMIC_NUMBERS] = numbers
        data[key.EDGE_VEC] = torch.from_numpy(graphs.vectors_A).to(parameter.dtype)
        data[key.BATCH] = torch.from_numpy(graphs.graph)
        if self._modal:
            data[key.DATA_MODALITY] = [self._modal] * graphs.n_graphs
        with torch.no_grad():
            output = self._energy_model(data.to(parameter.device))
        energies = output[key.PRED_TOTAL_ENERGY].cpu().numpy().astype(np.float64)
        return energies.reshape(-1)


def _without_forces(model: "AtomGraphSequential") -> "AtomGraphSequential":
    """Return the same layers without the last one, which differentiates the energy."""
    from sevenn.nn.sequential import AtomGraphSequential

    layers = OrderedDict(
        (name, layer) for name, layer in model.named_children() if name != "force_output"
    )
    energy_model = AtomGraphSequential(
        layers,
        cutoff=model.cutoff,
        type_map=model.type_map,
        modal_map=model.modal_map,
        eval_type_map=model.eval_type_map,
        eval_modal_map=model.eval_modal_map,
        data_key_grad=None,
    )
    energy_model.set_is_batch_data(True)
    return energy_model.eval()


def load_sevennet(name: str, *, device: str, modal: str | None = None) -> SevennetPotential:
    """Load SevenNet.

    Parameters
    ----------
    name : str
        Name of a model (``7net-0`` and ``7net-l3i5`` lie in the wheel, others are downloaded by
        sevenn) or the path of a checkpoint.
    device : str
        Torch device.
    modal : str or None
        Which of its training sets a multi-fidelity model is to speak for.

    Raises
    ------
    PotentialNotFoundError
        When there is no such model or file, or it cannot be downloaded.
    PotentialError
        When the checkpoint cannot be read, or ``modal`` does not fit it.
    """
    from sevenn.util import get_available_pretrained_models, pretrained_name_to_path

    path = name
    if not Path(name).is_file():
        try:
            # Downloads report on standard output.
            with contextlib.redirect_stdout(io.StringIO()):
                path = pretrained_name_to_path(name)
        except (ValueError, OSError) as error:
            raise PotentialNotFoundError(
                f"There is no SevenNet model or checkpoint {name!r} ({type(error).__name__}).",
                hint=f"Known models: {', '.join(get_available_pretrained_models())}; "
                "without a network only those of the package are at hand, such as 7net-0.",
            ) from error
    model = _read(path).to(device)
    fidelities = list(model.modal_map or {})
    if bool(fidelities) != bool(modal) or (modal and modal not in fidelities):
        raise PotentialError(
            f"sevennet:{name} has the fidelities {fidelities}, and {modal!r} was asked for."
            if fidelities
            else f"sevennet:{name} has no fidelities, and {modal!r} was asked for.",
            hint='Name one after the model: sevennet:7net-mf-0?{"modal":"PBE"}.'
            if fidelities
            else "Leave 'modal' away.",
        )
    return SevennetPotential(model, name, modal=modal)


def _read(path: str | os.PathLike[str]) -> "AtomGraphSequential":
    from sevenn.util import load_checkpoint

    try:
        load_plain(path, ["config", "model_state_dict"])  # sevenn itself does not look
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return load_checkpoint(path).build_model()
    except PotentialError:
        raise
    except Exception as error:
        raise PotentialError(
            f"{path} is not a SevenNet checkpoint ({type(error).__name__}: {error}).",
            hint="Copy it again, or train it with the installed version of sevenn.",
        ) from error
