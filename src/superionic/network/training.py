"""Training of one network: seeded, stopped early, resumed where it was killed.

A run lives in a directory: ``last.ckpt`` after each epoch, ``metrics.csv``, and at the end
``network.pt`` with the weights of the best epoch. The order of crystals and the choice of shakes
depend on seed and epoch alone, so that a run that was killed ends with the same weights as one that
was not.
"""

import csv
import hashlib
import json
import logging
import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from numpy.typing import NDArray
from torch import Tensor

from superionic.errors import CellTooLargeError, NetworkError
from superionic.files import write_whole
from superionic.network.batches import GraphTable
from superionic.network.inference import in_parts
from superionic.network.lightning_module import STATE_KEYS, RunKeeper, TrainingModule
from superionic.network.model import ForceNetwork
from superionic.network.settings import NetworkSettings, TrainingSettings, settings_to_dict
from superionic.potentials.batched import is_out_of_memory

IntArray = NDArray[np.int64]
MakeNetwork = Callable[[NetworkSettings, tuple[str, ...]], ForceNetwork]


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network and how it came about.

    Parameters
    ----------
    network : ForceNetwork
        With the weights of the best epoch, in evaluation mode.
    best_epoch : int
        Counted from 0; the last one where no crystals were held out.
    history : list of dict
        For each epoch its losses (of standardised targets) and learning rate.
    """

    network: ForceNetwork
    best_epoch: int
    history: list[dict[str, float]]


def fit_network(
    table: GraphTable,
    learned: IntArray,
    held_out: IntArray,
    network_settings: NetworkSettings,
    settings: TrainingSettings,
    targets: tuple[str, ...],
    directory: Path,
    *,
    make_network: MakeNetwork = ForceNetwork,
    initial: Mapping[str, Tensor] | None = None,
    identity: str = "",
    progress: bool = False,
    device: str = "cpu",
) -> FittedNetwork:
    """Train a network, or go on where a training was stopped, or return the one that is done.

    Parameters
    ----------
    table : GraphTable
        Graphs and targets of the whole training set.
    learned, held_out : ndarray of int
        Crystals whose labels are learned, and those that choose the epoch; no test crystal.
    network_settings : NetworkSettings
        Shape of the network.
    settings : TrainingSettings
        How it is trained.
    targets : tuple of str
        Names of the targets of the table.
    directory : Path
        Where the run lives; made if it is not there.
    make_network : callable
        Makes the network; control experiments give others.
    initial : dict of str to Tensor, optional
        Weights to start from, as from pretraining; heads that do not fit are left as drawn.
    identity : str
        What else tells this run from others (the hash of the training set).
    progress : bool
        Show a progress bar.
    device : str
        ``cpu`` or ``cuda``.

    Raises
    ------
    NetworkError
        When there is nothing to learn, the directory holds another run, or the loss is NaN. What
        cannot be read in the directory is no error: it is said, and the training starts again.
    CellTooLargeError
        When a batch does not fit in memory.
    """
    if len(learned) == 0:
        raise NetworkError("No crystal is left to learn from.", hint="Hold fewer out.")
    if initial is not None:
        identity += weights_hash(initial)
    known = _identity(table, learned, held_out, network_settings, settings, identity)
    claim(directory, known)
    done = _finished(directory, lambda: make_network(network_settings, targets), device)
    if done is not None:
        return done
    torch.manual_seed(settings.seed)
    network = make_network(network_settings, targets)
    if initial is not None:
        _load_fitting(network, initial)
    _standardise(network, table, learned)
    module = TrainingModule(network, table, learned, held_out, settings)
    last = directory / STATE
    if last.exists():
        try:
            check_state(last, module.state_dict(), STATE_KEYS)
        except UNREADABLE as error:
            reason = f"{last} cannot be gone on from ({_first_line(error)})"
            start_again(directory, reason)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lightning's advice on loaders of data
        trainer = _trainer(settings, directory, len(held_out) > 0, progress, device)
        try:
            checkpoint = str(last) if last.exists() else None
            trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
        except SystemExit:  # what lightning makes of Ctrl-C
            raise KeyboardInterrupt from None
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise CellTooLargeError(
                f"A batch of {settings.batch_size} shakes does not fit in memory.",
                hint="Lower batch_size, or max_atoms of the shakes.",
            ) from error
    finished = directory / WEIGHTS
    fresh = directory / f"{WEIGHTS}.new"
    best = {name: value.cpu() for name, value in module.best_weights.items()}
    torch.save({"weights": best, "best_epoch": module.best_epoch}, fresh)
    fresh.replace(finished)
    last.unlink(missing_ok=True)
    network.load_state_dict(module.best_weights)
    return FittedNetwork(network.to(device).eval(), module.best_epoch, module.history)


def predict_crystals(
    network: ForceNetwork, table: GraphTable, crystals: IntArray, max_shakes: int | None = None
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """Return predictions for each shake of some crystals, and their features.

    Shakes of a crystal that do not fit in memory together are computed in parts.

    Returns
    -------
    values : list of ndarray, shape (n_shakes, n_targets)
        One for each crystal, in the units of the targets.
    features : ndarray, shape (n_crystals, n_features)
        Means over shakes.

    Raises
    ------
    CellTooLargeError
        When one shake does not fit in memory.
    """
    values, features = [], []
    network.eval()
    for crystal in crystals.tolist():
        pairs, n_atoms = table.shakes_of(crystal, max_shakes), len(table.graphs[crystal][0])
        found, of_shakes = in_parts(network, pairs, table.batch, n_atoms)
        values.append(found.cpu().numpy().astype(np.float64))
        features.append(of_shakes.mean(dim=0).cpu().numpy())
    return values, np.array(features, dtype=np.float64)


def read_weights(path: Path | None) -> dict[str, Tensor] | None:
    """Return weights to start from; None without a file."""
    if path is None:
        return None
    weights: dict[str, Tensor] = torch.load(path, weights_only=True, map_location="cpu")
    return weights


def read_history(path: Path) -> list[dict[str, float]]:
    """Return the metrics of a run, one dict for each epoch."""
    with path.open(newline="") as stream:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]


def _trainer(
    settings: TrainingSettings, directory: Path, with_validation: bool, progress: bool, device: str
) -> Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    callbacks: list[Callback] = []
    if with_validation and settings.patience:
        callbacks.append(
            EarlyStopping("validation_loss", patience=settings.patience, check_finite=False)
        )
    return Trainer(
        max_epochs=settings.max_epochs,
        accelerator="gpu" if device.startswith("cuda") else "cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
        callbacks=[*callbacks, RunKeeper(directory)],
        gradient_clip_val=settings.gradient_clip,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if with_validation else 0,
        reload_dataloaders_every_n_epochs=1,
    )


def _standardise(network: ForceNetwork, table: GraphTable, learned: IntArray) -> None:
    """Set mean and spread of the targets and the mean number of neighbours."""
    targets = table.targets[learned]
    known = np.isfinite(targets)
    if not known.any(axis=0).all():
        raise NetworkError(
            "A target is unknown for all crystals that are to be learned.",
            hint="Label more crystals, or learn fewer targets.",
        )
    spread = np.nanstd(targets, axis=0)
    network.target_mean.copy_(torch.as_tensor(np.nanmean(targets, axis=0)))
    network.target_std.copy_(torch.as_tensor(np.where(spread > 1e-6, spread, 1.0)))
    network.mean_neighbours.fill_(table.mean_neighbours(learned))


def _load_fitting(network: ForceNetwork, weights: Mapping[str, Tensor]) -> None:
    """Load the weights whose names and shapes fit."""
    own = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    network.load_state_dict(own | fitting)


def _identity(
    table: GraphTable,
    learned: IntArray,
    held_out: IntArray,
    network: NetworkSettings,
    training: TrainingSettings,
    identity: str,
) -> dict[str, Any]:
    """Return what tells a training from others."""
    return {
        "identity": identity,
        "learnt": learned.tolist(),
        "held_out": held_out.tolist(),
        "network": settings_to_dict(network),
        "training": settings_to_dict(training),
        "targets": np.round(np.nan_to_num(table.targets[learned], nan=-99.0), 8).tolist(),
    }


def _finished(
    directory: Path, make: Callable[[], ForceNetwork], device: str
) -> FittedNetwork | None:
    """Return the network that a directory holds; None where there is none that can be read."""
    path = directory / WEIGHTS
    if not path.exists():
        return None
    network = make()
    try:
        stored = torch.load(path, weights_only=True, map_location="cpu")
        network.load_state_dict(stored["weights"])
        best_epoch, history = int(stored["best_epoch"]), read_history(directory / METRICS)
    except UNREADABLE as error:
        start_again(directory, f"{path} cannot be read ({_first_line(error)})")
        return None
    return FittedNetwork(network.to(device).eval(), best_epoch, history)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """Return a hash of weights to start from."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].cpu().numpy().tobytes())
    return digest.hexdigest()


logger = logging.getLogger(__name__)

FORMAT = 1
"""Of the directory of a training; one without a number is of the first format."""

RUN = "run.json"
STATE = "last.ckpt"
WEIGHTS = "network.pt"
METRICS = "metrics.csv"

# What torch and Python raise on files that are cut off, of another kind, or of other content.
UNREADABLE = (
    *(OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError),
    pickle.PickleError,
)


def claim(directory: Path, content: Mapping[str, Any]) -> None:
    """Write what a training is into its directory, or check that it is the same one.

    Parameters
    ----------
    directory : Path
        Of the training; made if it is not there. What another version wrote, or cannot be read, is
        put aside.
    content : mapping
        Settings and data, as plain as JSON.

    Raises
    ------
    NetworkError
        When the directory holds another training.
    """
    path = directory / RUN
    if path.exists():
        stored = _stored(path)
        if stored is None:
            start_again(directory, f"{path} cannot be read")
        elif stored["format"] != FORMAT:
            start_again(directory, f"{path} is of format {stored['format']}, not {FORMAT}")
        elif stored == {"format": FORMAT, **content}:
            return
        else:
            raise NetworkError(
                f"{directory} holds a training with other settings or data.",
                hint="Use another directory, or remove it.",
            )
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({"format": FORMAT, **content}) + "\n")


def start_again(directory: Path, reason: str) -> None:
    """Warn, and put aside (``.unreadable``) what a training has left in its directory."""
    logger.warning("%s: this training starts again.", reason)
    for name in (STATE, WEIGHTS, METRICS):
        path = directory / name
        if path.exists():
            path.replace(path.with_name(f"{name}.unreadable"))


def check_state(path: Path, expected: Mapping[str, torch.Tensor], own: frozenset[str]) -> None:
    """Check that a state can be gone on from.

    Parameters
    ----------
    path : Path
        What was written after an epoch.
    expected : mapping of str to Tensor
        Weights that it must have.
    own : frozenset of str
        What it must hold besides lightning's own.

    Raises
    ------
    Exception
        One of :data:`UNREADABLE`, when it cannot be read or is of something else.
    """
    state = torch.load(path, weights_only=True, map_location="cpu")
    shapes = {name: value.shape for name, value in state["state_dict"].items()}
    if shapes != {name: value.shape for name, value in expected.items()}:
        raise ValueError("other weights")
    if state["superionic"].keys() != own:
        raise ValueError("another state")


def _stored(path: Path) -> dict[str, Any] | None:
    """Return what a directory says it is of; None where that cannot be read."""
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return {"format": 1, **stored} if isinstance(stored, dict) else None
