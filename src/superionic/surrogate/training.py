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
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from numpy.typing import NDArray
from torch import Tensor, nn

from superionic.errors import NetworkError
from superionic.surrogate import keys
from superionic.surrogate.batches import GraphTable
from superionic.surrogate.model import ForceNetwork
from superionic.surrogate.settings import NetworkSettings, TrainingSettings, settings_to_dict

IntArray = NDArray[np.int64]
MakeNetwork = Callable[[NetworkSettings, tuple[str, ...]], ForceNetwork]

_LOSSES: dict[str, Callable[..., Tensor]] = {
    "huber": nn.functional.huber_loss,
    "mse": nn.functional.mse_loss,
    "mae": nn.functional.l1_loss,
}

VALIDATION_SHAKES = 4
WARM_UP_EPOCHS = 3


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
    learnt: IntArray,
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
    learnt, held_out : ndarray of int
        Crystals whose labels are learnt, and those that choose the epoch; no test crystal.
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
        When there is nothing to learn, the directory holds another run, or the loss is NaN.
    """
    if len(learnt) == 0:
        raise NetworkError("No crystal is left to learn from.", hint="Hold fewer out.")
    if initial is not None:
        identity += weights_hash(initial)
    _claim(directory, table, learnt, held_out, network_settings, settings, identity)
    finished = directory / "network.pt"
    torch.manual_seed(settings.seed)
    network = make_network(network_settings, targets)
    if finished.exists():
        stored = torch.load(finished, weights_only=True, map_location=device)
        network.load_state_dict(stored["weights"])
        history = read_history(directory / "metrics.csv")
        return FittedNetwork(network.to(device).eval(), stored["best_epoch"], history)
    if initial is not None:
        _load_fitting(network, initial)
    _standardise(network, table, learnt)
    module = _Module(network, table, learnt, held_out, settings)
    last = directory / "last.ckpt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lightning's advice on loaders of data
        trainer = _trainer(settings, directory, len(held_out) > 0, progress, device)
        try:
            checkpoint = str(last) if last.exists() else None
            trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
        except SystemExit:  # what lightning makes of Ctrl-C
            raise KeyboardInterrupt from None
    fresh = directory / "network.pt.new"
    torch.save({"weights": module.best_weights, "best_epoch": module.best_epoch}, fresh)
    fresh.replace(finished)
    last.unlink(missing_ok=True)
    network.load_state_dict(module.best_weights)
    return FittedNetwork(network.to(device).eval(), module.best_epoch, module.history)


def predict_crystals(
    network: ForceNetwork, table: GraphTable, crystals: IntArray, max_shakes: int | None = None
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """Return predictions for each shake of some crystals, and their features.

    Returns
    -------
    values : list of ndarray, shape (n_shakes, n_targets)
        One for each crystal, in the units of the targets.
    features : ndarray, shape (n_crystals, n_features)
        Means over shakes.
    """
    values, features = [], []
    network.eval()
    with torch.no_grad():
        for batch, _ in table.by_crystal(crystals, max_shakes):
            found = network(batch)
            values.append(found[keys.TARGETS].cpu().numpy().astype(np.float64))
            features.append(found[keys.GRAPH_FEATURES].mean(dim=0).cpu().numpy())
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


class _Loader:
    """Batches in a row: lightning takes a list for several loaders."""

    def __init__(self, batches: list[tuple[dict[str, Tensor], Tensor]]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        return iter(self._batches)


class _Module(LightningModule):
    """One training, as lightning runs it; what is kept is a running mean of the weights."""

    def __init__(
        self,
        network: ForceNetwork,
        table: GraphTable,
        learnt: IntArray,
        held_out: IntArray,
        settings: TrainingSettings,
    ) -> None:
        super().__init__()
        self.network = network
        self.averages = {name: v.detach().clone() for name, v in network.state_dict().items()}
        self.best_weights = self.averages
        self.best_epoch = 0
        self.best_loss = float("inf")
        self.history: list[dict[str, float]] = []
        self._table, self._learnt = table, learnt
        self._settings = settings
        self._losses: list[float] = []
        self._validation = _Loader(list(table.by_crystal(held_out, VALIDATION_SHAKES)))

    def train_dataloader(self) -> Any:
        s = self._settings
        batches = self._table.epoch(
            self._learnt,
            self.current_epoch,
            seed=s.seed,
            batch_size=s.batch_size,
            n_shakes=s.shakes_per_crystal,
        )
        return _Loader(batches)

    def val_dataloader(self) -> Any:
        return self._validation

    def configure_optimizers(self) -> Any:
        s = self._settings
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=s.learning_rate, weight_decay=s.weight_decay
        )
        per_epoch = -(-len(self._learnt) * s.shakes_per_crystal // s.batch_size)
        warm_up = min(WARM_UP_EPOCHS, s.max_epochs) * per_epoch
        total = s.max_epochs * per_epoch

        def factor(step: int) -> float:
            if step < warm_up:
                return (step + 1) / warm_up
            done = (step - warm_up) / max(1, total - warm_up)
            return 0.5 * (1.0 + float(np.cos(np.pi * min(1.0, done)))) + 1e-3

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def training_step(self, batch: tuple[dict[str, Tensor], Tensor], index: int) -> Tensor:
        inputs, targets = batch
        loss = self._loss(self.network(inputs)[keys.TARGETS], targets)
        if not torch.isfinite(loss):
            raise NetworkError(
                f"The loss of epoch {self.current_epoch} is {float(loss)}.",
                hint="Lower learning_rate.",
            )
        self._losses.append(float(loss.detach()))
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        step = self.global_step
        decay = min(self._settings.ema_decay, (1 + step) / (10 + step))
        for name, value in self.network.state_dict().items():
            self.averages[name] = torch.lerp(value.detach(), self.averages[name], decay)

    def validation_step(self, batch: tuple[dict[str, Tensor], Tensor], index: int) -> None:
        inputs, targets = batch
        found = torch.func.functional_call(self.network, self.averages, (inputs,))
        loss = self._loss(found[keys.TARGETS].mean(dim=0, keepdim=True), targets)
        self.log("validation_loss", loss, on_epoch=True, batch_size=1)

    def finish_epoch(self) -> None:
        """Remember the epoch, and its weights if they are the best so far."""
        loss = self.trainer.callback_metrics.get("validation_loss")
        validation = float("nan") if loss is None else float(loss)
        self.history.append(
            {
                "epoch": self.current_epoch,
                "train_loss": float(np.mean(self._losses)),
                "validation_loss": validation,
                "learning_rate": self.trainer.optimizers[0].param_groups[0]["lr"],
            }
        )
        self._losses = []
        if loss is None or validation < self.best_loss:
            self.best_loss = validation
            self.best_epoch = self.current_epoch
            self.best_weights = {name: value.clone() for name, value in self.averages.items()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["superionic"] = {
            "averages": self.averages,
            "best_weights": self.best_weights,
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "history": self.history,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name, value in checkpoint["superionic"].items():
            setattr(self, name, value)

    def _loss(self, predicted: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over the targets that are known."""
        known = torch.isfinite(targets)
        std = self.network.target_std
        difference = (predicted - torch.where(known, targets, predicted)) / std
        zero = torch.zeros_like(difference)
        total: Tensor = _LOSSES[self._settings.loss](difference, zero, reduction="sum")
        return total / known.sum().clamp(min=1)


class _Keeper(Callback):
    """Write the state of a run after each epoch."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, _Module)
        pl_module.finish_epoch()
        fresh = self._directory / "metrics.csv.new"
        with fresh.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(pl_module.history[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(pl_module.history)
        fresh.replace(self._directory / "metrics.csv")
        fresh = self._directory / "last.ckpt.new"
        trainer.save_checkpoint(fresh)
        fresh.replace(self._directory / "last.ckpt")


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
        callbacks=[*callbacks, _Keeper(directory)],
        gradient_clip_val=settings.gradient_clip,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if with_validation else 0,
        reload_dataloaders_every_n_epochs=1,
    )


def _standardise(network: ForceNetwork, table: GraphTable, learnt: IntArray) -> None:
    """Set mean and spread of the targets and the mean number of neighbours."""
    targets = table.targets[learnt]
    known = np.isfinite(targets)
    if not known.any(axis=0).all():
        raise NetworkError(
            "A target is unknown for all crystals that are to be learnt.",
            hint="Label more crystals, or learn fewer targets.",
        )
    spread = np.nanstd(targets, axis=0)
    network.target_mean.copy_(torch.as_tensor(np.nanmean(targets, axis=0)))
    network.target_std.copy_(torch.as_tensor(np.where(spread > 1e-6, spread, 1.0)))
    network.mean_neighbours.fill_(table.mean_neighbours(learnt))


def _load_fitting(network: ForceNetwork, weights: Mapping[str, Tensor]) -> None:
    """Load the weights whose names and shapes fit."""
    own = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    network.load_state_dict(own | fitting)


def _claim(
    directory: Path,
    table: GraphTable,
    learnt: IntArray,
    held_out: IntArray,
    network: NetworkSettings,
    training: TrainingSettings,
    identity: str,
) -> None:
    """Write what a run is into its directory, or check that it is the same run.

    Raises
    ------
    NetworkError
        When the directory holds another run.
    """
    content = {
        "identity": identity,
        "learnt": learnt.tolist(),
        "held_out": held_out.tolist(),
        "network": settings_to_dict(network),
        "training": settings_to_dict(training),
        "targets": np.round(np.nan_to_num(table.targets[learnt], nan=-99.0), 8).tolist(),
    }
    path = directory / "run.json"
    if path.exists():
        if json.loads(path.read_text()) != content:
            raise NetworkError(
                f"{directory} holds a training with other settings or data.",
                hint="Use another directory, or remove it.",
            )
        return
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / "run.json.new"
    fresh.write_text(json.dumps(content) + "\n")
    fresh.replace(path)


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """Return a hash of weights to start from."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].cpu().numpy().tobytes())
    return digest.hexdigest()
