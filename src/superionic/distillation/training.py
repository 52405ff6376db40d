"""Training of a student: stopped anywhere, it goes on as if it had not been.

A run lives in a directory: ``run.json`` (what it is), ``state.pt`` (after each epoch and every few
minutes), ``metrics.csv``, ``student.pt`` (the running mean of the weights after the best epoch).
The order of frames depends on seed and epoch alone, and a state holds the place within the epoch:
chgnet's own trainer and lightning's resume at the start of an epoch only, and chgnet's takes a
quarter longer for a step.
"""

import csv
import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from superionic.distillation.dataset import Batch, Frame, batch, groups_of, part_of
from superionic.distillation.quality import Errors, errors_of, evaluate
from superionic.distillation.student import (
    Prediction,
    copy_of,
    fit_convention,
    load_student,
    predict,
    trainable_parameters,
    write_student,
)
from superionic.errors import TrainingError
from superionic.files import write_whole
from superionic.potentials.chgnet.network import ChgnetNetwork, cutoffs_A, reference_energies_eV

logger = logging.getLogger(__name__)

FORMAT: Final = 1
"""Of a run's directory; a state of another one is put aside."""
RUN, STATE, METRICS, STUDENT = "run.json", "state.pt", "metrics.csv", "student.pt"
_EV_PER_A3_IN_GPA: Final = 160.21766


@dataclass(frozen=True)
class StudentSettings:
    """How a student is taught.

    Parameters
    ----------
    start : str
        CHGNet that it starts as: a model of the package, or a checkpoint.
    epochs : int
        Passes over the frames.
    max_atoms : int
        Atoms of a batch.
    learning_rate, weight_decay : float
        Of AdamW; a short warm-up, then a cosine.
    energy_weight, force_weight, stress_weight : float
        Of the Huber losses of energies per atom (eV), forces (eV/A) and stresses (GPa).
    huber : float
        Where these losses turn from squares to magnitudes, in the same units.
    ema_decay : float
        Of the running mean of the weights.
    clip : float
        Largest norm of a gradient.
    seed : int
        Of the order of frames and of the split.
    save_every_s : float
        Seconds between states within an epoch.
    """

    start: str = "0.3.0"
    epochs: int = 40
    max_atoms: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 1e-4
    energy_weight: float = 3.0
    force_weight: float = 1.0
    stress_weight: float = 0.01
    huber: float = 0.1
    ema_decay: float = 0.995
    clip: float = 1.0
    seed: int = 0
    save_every_s: float = 300.0


@dataclass(frozen=True)
class Taught:
    """A student and how it came about.

    Parameters
    ----------
    path : Path
        Its checkpoint.
    best_epoch : int
        The epoch that it is from, by the error of forces on the validation part.
    history : list of dict
        Losses and errors of each epoch.
    """

    path: Path
    best_epoch: int
    history: list[dict[str, float]]


def split(frames: Sequence[Frame], seed: int) -> dict[str, list[Frame]]:
    """Return the frames of each part, divided by chemical system (:func:`part_of`).

    Raises
    ------
    TrainingError
        When nothing is left to learn.
    """
    parts: dict[str, list[Frame]] = {"train": [], "validation": [], "test": []}
    for frame in frames:
        parts[part_of(frame.system, seed)].append(frame)
    if not parts["train"]:
        raise TrainingError(
            f"None of {len(frames)} frames is left to learn from.",
            hint="Give more crystals, or another seed.",
        )
    return parts


def train_student(
    frames: Sequence[Frame],
    directory: Path,
    settings: StudentSettings,
    say: Callable[[str], None] = lambda text: None,
) -> Taught:
    """Teach a student, or go on where this was stopped, or return the one that is done.

    Parameters
    ----------
    frames : sequence of Frame
        All frames; :func:`split` says which are learned.
    directory : Path
        Where the run lives; made if it is not there.
    settings : StudentSettings
        How it is taught.
    say : callable
        Hears a line about each epoch.

    Raises
    ------
    TrainingError
        When there is nothing to learn, the directory holds another run, or a loss is not finite.
    """
    parts = split(frames, settings.seed)
    _claim(directory, frames, settings)
    run = _Run(parts, directory, settings, say)
    while run.epoch < settings.epochs:
        run.learn_epoch()
    return Taught(directory / STUDENT, run.best_epoch, run.history)


class _Run:
    """A training between its states."""

    def __init__(
        self,
        parts: dict[str, list[Frame]],
        directory: Path,
        settings: StudentSettings,
        say: Callable[[str], None],
    ) -> None:
        self._frames, self._parts = parts["train"], parts
        self._directory, self._settings, self._say = directory, settings, say
        self.epoch = self._step = self.best_epoch = 0
        self._best = math.inf
        self._sums: list[float] = []
        self.history: list[dict[str, float]] = []
        self._model = load_student(settings.start)
        state = self._stored()
        if state is None:
            convention_eV = fit_convention(self._model, self._frames)
        else:
            self._model.load_state_dict(state["weights"])
            convention_eV = state["convention_eV"].numpy()
        self._convention_eV = convention_eV
        self._reference = reference_energies_eV(self._model) + convention_eV
        self._parameters = trainable_parameters(self._model)
        self._means = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._optimizer = torch.optim.AdamW(
            self._parameters.values(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        if state is not None:
            self._optimizer.load_state_dict(state["optimizer"])
            self._means = state["means"]
            for name in ("epoch", "step", "best_epoch", "best", "sums", "history"):
                setattr(self, name if hasattr(self, name) else f"_{name}", state[name])
        self._saved = time.monotonic()

    def learn_epoch(self) -> None:
        """Learn what is left of this epoch, judge it, and write the state."""
        s = self._settings
        order = np.random.default_rng([s.seed, self.epoch]).permutation(len(self._frames))
        groups = groups_of(self._frames, order.tolist(), s.max_atoms)
        total = s.epochs * len(groups)
        for group in groups[self._step :]:
            done = self.epoch * len(groups) + self._step
            graph = self._batch([self._frames[k] for k in group])
            self._sums.append(self._learn(graph, done, total))
            self._step += 1
            if time.monotonic() - self._saved > s.save_every_s:
                self._save()
        self._judge()
        self.epoch, self._step, self._sums = self.epoch + 1, 0, []
        self._save()

    def _learn(self, graph: Batch, done: int, total: int) -> float:
        s = self._settings
        warm_up = min(100, total // 10)
        rate = min(1.0, (done + 1) / max(1, warm_up))
        rate *= 0.5 * (1 + math.cos(math.pi * done / total)) + 0.01
        for group in self._optimizer.param_groups:
            group["lr"] = s.learning_rate * rate
        network = ChgnetNetwork(self._model, "cpu", trainable=True)
        loss = _loss(predict(network, graph, twice=True), graph, s)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"The loss of epoch {self.epoch} is {float(loss.detach())}.",
                hint="Lower the learning rate.",
            )
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters.values(), s.clip)
        self._optimizer.step()
        decay = min(s.ema_decay, (1 + done) / (10 + done))
        for name, parameter in self._parameters.items():
            self._means[name].lerp_(parameter.detach(), 1 - decay)
        return float(loss.detach())

    def _judge(self) -> None:
        """Note the errors of the mean weights on what is not learned, and keep the best."""
        state = {**self._model.state_dict(), **self._means}
        model = copy_of(self._model, state)
        row: dict[str, float] = {"epoch": self.epoch, "train_loss": float(np.mean(self._sums))}
        for part in ("validation", "test"):
            if members := self._parts[part]:
                [errors] = errors_of(members, evaluate(model, members))
                row |= _cells(part, errors)
        self.history.append(row)
        chosen = row.get("validation_force_mae_eV_per_A", -float(self.epoch))
        if chosen < self._best:
            self._best, self.best_epoch = chosen, self.epoch
            write_student(self._model, state, self._directory / STUDENT)
        self._write_metrics()
        self._say(", ".join(f"{name} {value:.4g}" for name, value in row.items()))

    def _batch(self, frames: Sequence[Frame]) -> Batch:
        return batch(frames, self._reference, *cutoffs_A(self._model))

    def _save(self) -> None:
        state = {
            "format": FORMAT,
            "weights": self._model.state_dict(),
            "means": self._means,
            "convention_eV": torch.as_tensor(self._convention_eV),
            "optimizer": self._optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self._step,
            "best_epoch": self.best_epoch,
            "best": self._best,
            "sums": self._sums,
            "history": self.history,
        }
        fresh = self._directory / f"{STATE}.new"
        torch.save(state, fresh)
        fresh.replace(self._directory / STATE)
        self._saved = time.monotonic()

    def _stored(self) -> dict[str, Any] | None:
        """Return the state of the directory; one that cannot be gone on from is put aside."""
        path = self._directory / STATE
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
            if state["format"] != FORMAT:
                raise ValueError(f"of format {state['format']}, not {FORMAT}")
            own = self._model.state_dict()
            if {k: v.shape for k, v in state["weights"].items()} != {
                k: v.shape for k, v in own.items()
            }:
                raise ValueError("of another network")
        except Exception as error:  # what torch and pickle raise on broken files has no end
            logger.warning(
                "%s cannot be gone on from (%s): the training starts again.", path, error
            )
            path.replace(path.with_name(f"{STATE}.unreadable"))
            return None
        return state

    def _write_metrics(self) -> None:
        fresh = self._directory / f"{METRICS}.new"
        with fresh.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(self.history[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.history)
        fresh.replace(self._directory / METRICS)


def _loss(said: Prediction, graph: Batch, s: StudentSettings) -> Tensor:
    known = torch.isfinite(graph.stresses).all(dim=2).all(dim=1)
    energy = huber_loss(said.energies, graph.energies, delta=s.huber)
    force = huber_loss(said.forces, graph.forces, delta=s.huber)
    loss = s.energy_weight * energy + s.force_weight * force
    if s.stress_weight and bool(known.any()):
        factor = _EV_PER_A3_IN_GPA
        stress = huber_loss(
            factor * said.stresses[known], factor * graph.stresses[known], delta=s.huber
        )
        loss = loss + s.stress_weight * stress
    return loss / s.huber


def _cells(part: str, errors: Errors) -> dict[str, float]:
    names = ("force_mae_eV_per_A", "force_rmse_eV_per_A", "slope", "energy_mae_meV_per_atom")
    return {f"{part}_{name}": float(getattr(errors, name)) for name in names}


def _claim(directory: Path, frames: Sequence[Frame], settings: StudentSettings) -> None:
    """Write what a run is into its directory, or check that it is the same one."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(f"{frame.crystal}|{frame.energy_eV!r}|".encode())
        digest.update(frame.positions_A.tobytes())
    changing = {name: v for name, v in asdict(settings).items() if name != "save_every_s"}
    known = {"format": FORMAT, "frames": digest.hexdigest(), "settings": changing}
    path = directory / RUN
    if path.exists():
        try:
            stored = json.loads(path.read_text())
        except ValueError:
            stored = None
        if stored == known:
            return
        raise TrainingError(
            f"{directory} holds a training with other settings or frames.",
            hint="Use another directory, or remove it.",
        )
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(known, indent=1) + "\n")
