"""One training as lightning runs it: optimiser, losses, the weights that are kept, its state."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor, nn

from superionic.errors import NetworkError
from superionic.network import keys
from superionic.network.batches import GraphTable
from superionic.network.model import ForceNetwork
from superionic.network.settings import TrainingSettings

IntArray = NDArray[np.int64]

_LOSSES: dict[str, Callable[..., Tensor]] = {
    "huber": nn.functional.huber_loss,
    "mse": nn.functional.mse_loss,
    "mae": nn.functional.l1_loss,
}

VALIDATION_SHAKES = 4
STATE_KEYS = frozenset({"averages", "best_weights", "best_epoch", "best_loss", "history"})
"""What the state of a run holds besides lightning's own."""
WARM_UP_EPOCHS = 3


class _Loader:
    """Batches in a row: lightning takes a list for several loaders."""

    def __init__(self, batches: list[tuple[dict[str, Tensor], Tensor]]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        return iter(self._batches)


class TrainingModule(LightningModule):
    """One training, as lightning runs it; what is kept is a running mean of the weights."""

    def __init__(
        self,
        network: ForceNetwork,
        table: GraphTable,
        learned: IntArray,
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
        self._table, self._learned = table, learned
        self._settings = settings
        self._losses: list[float] = []
        self._validation = _Loader(list(table.by_crystal(held_out, VALIDATION_SHAKES)))

    def train_dataloader(self) -> Any:
        """Return the batches of this epoch."""
        s = self._settings
        batches = self._table.epoch(
            self._learned,
            self.current_epoch,
            seed=s.seed,
            batch_size=s.batch_size,
            n_shakes=s.shakes_per_crystal,
        )
        return _Loader(batches)

    def val_dataloader(self) -> Any:
        """Return one batch for each held-out crystal."""
        return self._validation

    def configure_optimizers(self) -> Any:
        """Return AdamW with a warm-up and a cosine, by step."""
        s = self._settings
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=s.learning_rate, weight_decay=s.weight_decay
        )
        per_epoch = -(-len(self._learned) * s.shakes_per_crystal // s.batch_size)
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
        """Return the loss of a batch; NaN ends the training."""
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
        """Let the running mean of the weights follow."""
        step = self.global_step
        decay = min(self._settings.ema_decay, (1 + step) / (10 + step))
        for name, value in self.network.state_dict().items():
            self.averages[name] = torch.lerp(
                value.detach(), self.averages[name].to(value.device), decay
            )

    def validation_step(self, batch: tuple[dict[str, Tensor], Tensor], index: int) -> None:
        """Log the loss of the mean over a crystal's shakes, by the averaged weights."""
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
        """Add what is ours to the state of a run."""
        checkpoint["superionic"] = {name: getattr(self, name) for name in sorted(STATE_KEYS)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back what is ours."""
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


class RunKeeper(Callback):
    """Write the state of a run after each epoch."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write metrics and state, each in one step."""
        assert isinstance(pl_module, TrainingModule)
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
