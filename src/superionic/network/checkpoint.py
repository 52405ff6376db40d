"""Files of trained networks: versioned, with all settings, and loaded without executing code.

A file is a torch archive of tensors and one JSON text, read with ``weights_only``.
"""

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superionic import __version__
from superionic.errors import NetworkError, SuperionicError
from superionic.files import whole_file
from superionic.network.settings import (
    TARGET,
    LabelRules,
    NetworkSettings,
    ShakeSettings,
    TrainingSettings,
    settings_from_dict,
    settings_to_dict,
)
from superionic.potentials.base import PotentialInfo

if TYPE_CHECKING:
    from torch import Tensor

    from superionic.network.model import ForceNetwork

FORMAT = "superionic force network"
VERSION = 1


@dataclass(frozen=True)
class IntervalCalibration:
    """What cross-validation says of the predictions; all of crystals that were not learned.

    Parameters
    ----------
    half_width_95 : float
        Half width in decades of the 95 % interval of a crystal without spread: the conformal
        quantile of the absolute errors of cross-validation, over their scale.
    novelty_threshold : float
        Distance from the training set (in units of the distances within it) that 95 % of the
        cross-validated crystals do not exceed.
    n_crystals : int
        Number of errors.
    folds : str
        How crystals were divided, ``random`` or ``chemical_system``.
    per_shake_spread, per_ensemble_spread : float
        By how much the half width grows with the spreads of the prediction over shakes and over
        networks; 0 where all intervals have one width.
    """

    half_width_95: float
    novelty_threshold: float
    n_crystals: int
    folds: str
    per_shake_spread: float = 0.0
    per_ensemble_spread: float = 0.0

    def half_width(self, shake_spread: float, ensemble_spread: float) -> float:
        """Return the half width in decades of the 95 % interval of a crystal."""
        return (
            self.half_width_95
            + self.per_shake_spread * shake_spread
            + self.per_ensemble_spread * ensemble_spread
        )


@dataclass(frozen=True)
class NetworkHeader:
    """All that identifies an ensemble of networks.

    Parameters
    ----------
    network : NetworkSettings
        Shape of each member.
    shakes : ShakeSettings
        How crystals were shaken; inference does the same.
    training : TrainingSettings
        How members were trained; member ``k`` with seed ``seed + k``.
    labels : LabelRules
        What was learned.
    potential : PotentialInfo
        What gave accelerations; those of another potential are something else.
    training_set_sha256 : str
        Hash of crystals, labels and shakes.
    n_crystals : int
        Crystals learned, those that chose the epoch included.
    targets : tuple of str
        Names of the predictions.
    calibration : IntervalCalibration or None
        None where there was no cross-validation.
    chemical_systems : tuple of str or None
        Chemical systems that were learned, with or without labels; None where unknown.
    n_unlabelled : int
        Crystals without a label of the temperature, learned for what else is known of them.
    unlabelled_sha256 : str
        Hash of these; empty for none.
    superionic_version : str
        Version that trained it.
    """

    network: NetworkSettings
    shakes: ShakeSettings
    training: TrainingSettings
    labels: LabelRules
    potential: PotentialInfo
    training_set_sha256: str
    n_crystals: int
    targets: tuple[str, ...] = (TARGET,)
    calibration: IntervalCalibration | None = None
    chemical_systems: tuple[str, ...] | None = None
    n_unlabelled: int = 0
    unlabelled_sha256: str = ""
    superionic_version: str = field(default=__version__)

    def has_learned(self, chemical_system: str) -> bool | None:
        """Say whether crystals of a chemical system were learned; None where that is not known."""
        if self.chemical_systems is None:
            return None
        return chemical_system in self.chemical_systems


@dataclass(frozen=True)
class Member:
    """One network of an ensemble.

    Parameters
    ----------
    network : ForceNetwork
        The network.
    reference_features : Tensor, shape (n_crystals, n_features)
        Its features of the training crystals, means over shakes: what a new crystal is compared
        with.
    """

    network: "ForceNetwork"
    reference_features: "Tensor"


def save_ensemble(path: Path, members: "list[Member]", header: NetworkHeader) -> None:
    """Write an ensemble; the file is replaced in one step."""
    import torch

    content = {
        "format": FORMAT,
        "version": VERSION,
        "header": json.dumps(settings_to_dict(header)),
        "members": [
            {
                "weights": {k: v.detach().cpu() for k, v in member.network.state_dict().items()},
                "reference_features": member.reference_features.detach().cpu(),
            }
            for member in members
        ],
    }
    with whole_file(path) as fresh:
        torch.save(content, fresh)


def load_ensemble(path: Path, device: str = "cpu") -> "tuple[list[Member], NetworkHeader]":
    """Read an ensemble; nothing in the file is executed.

    Raises
    ------
    NetworkError
        When there is no such file, it is none of ours, of another version, or damaged.
    """
    from superionic.network.model import ForceNetwork

    content = _read(path, device)
    header = read_header(content, path)
    members = []
    for stored in content["members"]:
        network = ForceNetwork(header.network, header.targets)
        try:
            network.load_state_dict(stored["weights"])
        except (RuntimeError, KeyError, TypeError) as error:
            raise NetworkError(
                f"The weights in {path} do not fit its settings ({str(error).splitlines()[0]}).",
                hint="The file is damaged; get it again or train anew.",
            ) from None
        network = network.to(device).eval().requires_grad_(False)
        members.append(Member(network, stored["reference_features"].to(device)))
    return members, header


def read_header(content: Mapping[str, Any], path: Path) -> NetworkHeader:
    """Return the header of a file's content.

    Raises
    ------
    NetworkError
        When the content is of another format or version, or the header is wrong.
    """
    if content.get("format") != FORMAT:
        raise NetworkError(
            f"{path} is not a force network of superionic.",
            hint="Name a file that 'superionic train' wrote.",
        )
    if content.get("version") != VERSION:
        raise NetworkError(
            f"{path} is a force network of format version {content.get('version')}; this is "
            f"superionic {__version__}, which reads version {VERSION}.",
            hint="Use the superionic that wrote it, or train anew.",
        )
    try:
        return settings_from_dict(NetworkHeader, json.loads(content["header"]))
    except (KeyError, TypeError, json.JSONDecodeError, SuperionicError) as error:
        raise NetworkError(
            f"The header of {path} cannot be read ({error}).",
            hint="The file is damaged; get it again or train anew.",
        ) from None


def _read(path: Path, device: str) -> dict[str, Any]:
    """Return the content of a torch archive.

    Raises
    ------
    NetworkError
        When it cannot be read as tensors and plain data.
    """
    import torch

    if not path.is_file():
        raise NetworkError(f"There is no file {path}.", hint="Name a trained network.")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError, KeyError) as error:
        raise NetworkError(
            f"{path} cannot be read as a force network ({type(error).__name__}).",
            hint="It is damaged, no checkpoint at all, or holds code, which is never executed. "
            "Name a file that 'superionic train' wrote.",
        ) from None
    return content if isinstance(content, dict) else {}
