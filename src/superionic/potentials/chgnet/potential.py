"""CHGNet: the default family, its weights come with the package.

B. Deng et al., Nature Machine Intelligence 5, 1031 (2023), doi:10.1038/s42256-023-00716-3. Its
energies are those of the Materials Project with the MP2020 corrections for anions and oxides
applied, so they lie below plain PBE by 0.3 eV/atom in an oxide or a chloride; differences between
configurations of one crystal are not affected.
"""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from superionic.errors import PotentialError, PotentialNotFoundError, UnknownElementError
from superionic.potentials.base import FrozenFramework, PotentialInfo
from superionic.potentials.batched import (
    BatchedPotential,
    atoms_per_batch,
    hash_state_dict,
    package_version,
)
from superionic.potentials.checkpoints import load_plain
from superionic.potentials.chgnet import OWN_MODELS
from superionic.potentials.force_field import ForceField

if TYPE_CHECKING:
    from chgnet.model import CHGNet

MODELS = ("0.3.0", "0.2.0", "r2scan")
"""Models whose weights lie in chgnet's wheel."""

ELEMENTS = frozenset(chemical_symbols[1:95]) - {"Po", "At", "Rn", "Fr", "Ra"}
"""The 89 elements of MPtrj.

CHGNet embeds Z = 1 to 94, but the embeddings of Po, At, Rn, Fr and Ra are as they were initialised
(64 numbers from a standard normal distribution, norm 7.5 to 8.7, where every trained one has a norm
above 11): these elements do not occur in the training data.
"""


class ChgnetPotential(BatchedPotential):
    """CHGNet, batched.

    Parameters
    ----------
    model : chgnet.model.CHGNet
        The model, on the device where it is to run.
    name : str
        Name of the model or path of the checkpoint.
    """

    def __init__(self, model: "CHGNet", name: str) -> None:
        self.model = model.eval().requires_grad_(False)
        # An ion far from everything still has an energy: that of its composition.
        self.model.graph_converter.set_isolated_atom_response("ignore")
        device = next(self.model.parameters()).device
        self.max_atoms_per_batch = atoms_per_batch(device)
        self.elements = ELEMENTS
        self.cutoff_A = float(model.graph_converter.atom_graph_cutoff)
        self.info = PotentialInfo(
            family="chgnet",
            name=name,
            package_version=package_version("chgnet"),
            weights_sha256=hash_state_dict(model.state_dict()),
        )

    def _evaluate(
        self, configurations: Sequence[Atoms], *, with_forces: bool
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        import torch

        device = next(self.model.parameters()).device
        graphs = [self._graph(atoms).to(device) for atoms in configurations]
        with torch.set_grad_enabled(with_forces):
            per_atom = self.model(graphs, task="e")["e"]
            n_atoms = torch.tensor([len(atoms) for atoms in configurations], device=device)
            energies = per_atom * n_atoms if self.model.is_intensive else per_atom
            totals = energies.detach().cpu().numpy().astype(np.float64)
            if not with_forces:
                return totals, []
            gradients = torch.autograd.grad(
                energies.sum(), [graph.atom_frac_coord for graph in graphs]
            )
        # dE/dr = dE/ds (ds/dr) with r = s L, which spares the second-order graph that CHGNet's own
        # force task builds for training.
        forces = [
            -np.linalg.solve(atoms.cell.array, gradient.cpu().numpy().astype(np.float64).T).T
            for atoms, gradient in zip(configurations, gradients, strict=True)
        ]
        return totals, forces

    def _graph(self, atoms: Atoms) -> Any:
        from pymatgen.core import Structure

        graph = self.model.graph_converter(
            Structure(
                atoms.cell.array,
                atoms.get_chemical_symbols(),
                atoms.positions,
                coords_are_cartesian=True,
            )
        )
        graph.lattice.requires_grad_(False)  # no stress is asked for
        return graph

    def frozen_framework(self, atoms: Atoms, mobile_index: int) -> FrozenFramework:
        """Return the energy of ``atoms`` as a function of the position of one ion.

        Where the architecture of the model allows it, the graph of the framework is built once and
        only the edges of the mobile ion change: in compiled code on a processor, in large
        batches on a GPU.
        """
        from superionic.potentials.chgnet.device import ChgnetDeviceFramework
        from superionic.potentials.chgnet.frozen import ChgnetFrozenFramework, supports

        if not supports(self.model):
            return super().frozen_framework(atoms, mobile_index)
        self.check_elements(atoms)
        if next(self.model.parameters()).device.type == "cpu":
            return ChgnetFrozenFramework(self.model, atoms, mobile_index)
        return ChgnetDeviceFramework(self.model, atoms, mobile_index)

    def energy_forces_stress(
        self, atoms: Atoms
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Return energy in eV, forces in eV/A and stress in eV/A^3, from one gradient."""
        from superionic.potentials.chgnet.force_field import CHGNetForceField

        field = self.force_field([atoms])
        if not isinstance(field, CHGNetForceField):
            return super().energy_forces_stress(atoms)
        energies_eV, (forces,), (virial,) = field.evaluate_with_virials([atoms.positions])
        return float(energies_eV[0]), forces, virial / atoms.get_volume()

    def force_field(self, systems: Sequence[Atoms]) -> ForceField:
        """Return forces for dynamics, from a graph that is kept from step to step.

        Where the architecture of the model is not the published one, from complete configurations.
        """
        from superionic.potentials.chgnet.force_field import CHGNetForceField

        for atoms in systems:
            self.check_crystal(atoms)
        label = f"{self.info.label}:{self.info.weights_sha256}"
        device = str(next(self.model.parameters()).device)
        try:
            return CHGNetForceField(systems, self.model, label=label, device=device)
        except UnknownElementError:
            raise
        except PotentialError:
            return super().force_field(systems)


def load_chgnet(name: str, *, device: str) -> ChgnetPotential:
    """Load CHGNet.

    Parameters
    ----------
    name : str
        ``0.3.0``, ``0.2.0``, ``r2scan``, ``oam`` or the path of a checkpoint.
    device : str
        Torch device.

    Raises
    ------
    PotentialNotFoundError
        When there is no such model or file.
    PotentialError
        When the checkpoint cannot be read.
    """
    from chgnet.model import CHGNet

    path = OWN_MODELS.get(name, Path(name))
    if name not in MODELS and not path.is_file():
        raise PotentialNotFoundError(
            f"There is no CHGNet model or checkpoint {name!r}.",
            hint=f"Known models: {', '.join([*MODELS, *OWN_MODELS])}.",
        )
    # CHGNet reports each model that it builds on standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        if name in MODELS:
            model = CHGNet.load(model_name=name, use_device=device, verbose=False)
        else:
            try:
                model = CHGNet.from_dict(load_plain(str(path), ["model"])["model"]).to(device)
            except PotentialError:
                raise
            except Exception as error:
                raise PotentialError(
                    f"{name} is not a CHGNet checkpoint ({type(error).__name__}: {error}).",
                    hint="Copy it again, or save it with CHGNet's trainer.",
                ) from error
    return ChgnetPotential(model, name)
