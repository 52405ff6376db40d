"""matgl: M3GNet, TensorNet and their relatives, from a folder or from matgl's model hub.

T. W. Ko et al., npj Comput. Mater. 11, 253 (2025), doi:10.1038/s41524-025-01742-y. matgl 3 changed
the side of an edge on which messages are summed. Checkpoints of before load without an error and
may be wrong, so the self-check matters here.
"""

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

from superionic.errors import PotentialError, PotentialNotFoundError
from superionic.potentials.base import FrozenFramework, PotentialInfo
from superionic.potentials.batched import (
    BatchedPotential,
    atoms_per_batch,
    hash_state_dict,
    package_version,
)
from superionic.potentials.checkpoints import require_package
from superionic.potentials.frozen_graph import (
    FrozenGraph,
    FrozenGraphFramework,
    GraphBatch,
    edges_per_batch,
)

if TYPE_CHECKING:
    import torch
    from matgl.apps.pes import Potential as MatglModel


_BYTES_PER_EDGE = 40_000
"""TensorNet's messages are 64 matrices of 3 x 3 an edge, of which some copies live together."""


class MatglPotential(BatchedPotential):
    """A potential of matgl, batched.

    Parameters
    ----------
    model : matgl.apps.pes.Potential
        The model, on the device where it is to run.
    name : str
        Name of the model or of its folder.
    """

    def __init__(self, model: "MatglModel", name: str) -> None:
        from matgl.ext.ase import Atoms2Graph

        self._model = model.eval().requires_grad_(False)
        self._model.calc_stresses = False
        self._node_types = np.full(len(atomic_numbers), -1)
        for node_type, symbol in enumerate(model.model.element_types):
            self._node_types[atomic_numbers[symbol]] = node_type
        self._to_graph = Atoms2Graph(model.model.element_types, model.model.cutoff)
        device = self._model.data_mean.device
        self.max_atoms_per_batch = atoms_per_batch(device)
        self.cutoff_A = float(model.model.cutoff)
        self.elements = frozenset(model.model.element_types)
        self.info = PotentialInfo(
            family="matgl",
            name=name,
            package_version=package_version("matgl"),
            weights_sha256=hash_state_dict(model.state_dict()),
        )

    def _evaluate(
        self, configurations: Sequence[Atoms], *, with_forces: bool
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        import torch
        from torch_geometric.data import Batch

        graphs, lattices, states = zip(
            *(self._to_graph.get_graph(atoms) for atoms in configurations), strict=True
        )
        device = self._model.data_mean.device
        batch = Batch.from_data_list(list(graphs)).to(device)
        lattice = torch.stack([lattice.reshape(3, 3) for lattice in lattices]).to(device)
        state = torch.tensor(np.array(states), dtype=lattice.dtype, device=device)
        self._model.calc_forces = with_forces
        energies, forces, *_ = self._model(batch, lattice, state)
        ends = np.cumsum([len(atoms) for atoms in configurations])
        return (
            _as_array(energies).reshape(len(graphs)),
            np.split(_as_array(forces), ends[:-1]) if with_forces else [],
        )

    def frozen_framework(self, atoms: Atoms, mobile_index: int) -> FrozenFramework:
        """Return the energy of ``atoms`` as a function of the position of one ion.

        For M3GNet and TensorNet the edges of the framework are found once and only those of the
        mobile ion change; other architectures evaluate complete configurations.
        """
        if type(self._model.model).__name__ not in {"M3GNet", "TensorNet"}:
            return super().frozen_framework(atoms, mobile_index)
        self.check_elements(atoms)
        graph = FrozenGraph(atoms, mobile_index, self._model.model.cutoff)
        cell_A = atoms.cell.array.copy()
        return FrozenGraphFramework(
            graph,
            partial(self._evaluate_graphs, cell_A=cell_A),
            max_edges_per_batch=edges_per_batch(self._model.data_mean.device, _BYTES_PER_EDGE),
        )

    def _evaluate_graphs(
        self, graphs: GraphBatch, *, cell_A: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        import matgl
        import torch
        from torch_geometric.data import Data

        dtype, device = self._model.data_mean.dtype, self._model.data_mean.device
        # Data, not Batch: all graphs have the same lattice.
        data = Data(
            num_nodes=len(graphs.numbers),
            # The integers of its own converter; 64-bit ones can send sums down a slow path.
            edge_index=torch.from_numpy(graphs.edges).to(matgl.int_th),
            pbc_offset=torch.from_numpy(graphs.shifts).to(dtype),
            node_type=torch.from_numpy(self._node_types[graphs.numbers]),
            frac_coords=torch.from_numpy(graphs.fractional).to(dtype),
            batch=torch.from_numpy(graphs.graph),
            num_graphs=graphs.n_graphs,
        ).to(device)
        lattice = torch.as_tensor(cell_A[None], dtype=dtype, device=device)
        state = torch.zeros((graphs.n_graphs, 2), dtype=dtype, device=device)
        self._model.calc_forces = False
        return _as_array(self._model(data, lattice, state)[0]).reshape(graphs.n_graphs)


def _as_array(tensor: "torch.Tensor") -> NDArray[np.float64]:
    return tensor.detach().cpu().numpy().astype(np.float64)


def load_matgl(name: str, *, device: str) -> MatglPotential:
    """Load a potential of matgl.

    Parameters
    ----------
    name : str
        Folder with ``model.json``, ``model.pt`` and ``state.pt``, or a name on matgl's model hub.
    device : str
        Torch device.

    Raises
    ------
    PotentialNotFoundError
        When there is no such folder, or the model hub does not have it or cannot be reached.
    PotentialError
        When the files cannot be read or do not hold an interatomic potential.
    """
    import matgl
    from matgl.apps.pes import Potential as MatglModel
    from matgl.utils.io import _get_file_paths

    folder = Path(name)
    if name.startswith(("/", ".", "~")) and not (folder / "model.json").is_file():
        raise PotentialNotFoundError(
            f"{name} is not a folder with model.json, model.pt and state.pt.",
            hint="Name the folder of a matgl potential, or a model of matgl's hub.",
        )
    try:
        files = _get_file_paths(folder, str_path=name)
        require_package(Path(files["model.json"]), Path(files["model.pt"]), "matgl")
        with warnings.catch_warnings():
            # Whether an older checkpoint still fits is for the self-check to say.
            warnings.filterwarnings("ignore", message="Incompatible model version")
            model = matgl.load_model(name)
    except PotentialError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error.__cause__ or error}".splitlines()[0]
        if folder.is_dir():
            raise PotentialError(
                f"{name} cannot be read as a matgl model ({reason}).",
                hint=f"Copy it again, or use a release made for {package_version('matgl')}.",
            ) from error
        raise PotentialNotFoundError(
            f"matgl has no model {name!r} at hand, and its model hub gave none ({reason}).",
            hint="Check the name and the network, or name a folder.",
        ) from error
    if not isinstance(model, MatglModel):
        raise PotentialError(
            f"{name} is a {type(model).__name__}, not an interatomic potential.",
            hint="Choose a model whose name ends in -PES.",
        )
    return MatglPotential(model.to(device), folder.name if folder.is_dir() else name)
