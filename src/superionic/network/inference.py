"""Predictions of an ensemble: mean, spreads, a calibrated interval, and whether to believe it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superionic.errors import CellTooLargeError, NetworkError, Remark
from superionic.network import keys
from superionic.network.checkpoint import IntervalCalibration, Member, NetworkHeader, load_ensemble
from superionic.network.graphs import CrystalGraph, collate, shake_graphs
from superionic.network.settings import TARGET
from superionic.network.shakes import Shakes
from superionic.potentials.batched import is_out_of_memory
from superionic.statistics import conformal_rank

if TYPE_CHECKING:
    from torch import Tensor

    from superionic.network.model import ForceNetwork

Item = TypeVar("Item")
FloatArray = NDArray[np.float64]

NEIGHBOURS_IN_FEATURES = 5
"""Nearest training crystals whose mean distance measures how far a crystal is from them."""
AT_REST_eV_PER_A = 1.0
"""Largest force of an undisplaced crystal up to which predictions change little by relaxing it
(the page on the force network has the table)."""

ANSWER_A2_PER_PS = 1.0
"""Slope on one side of which the interval has to lie, or the network has not answered."""
SMALLEST_ERROR = 0.05
"""Scale of the errors of crystals without any spread, at least, in decades."""


@dataclass(frozen=True)
class Prediction:
    """What an ensemble says of a crystal.

    Parameters
    ----------
    log10_msd_slope : float
        log10 of the slope in A^2/ps: mean over shakes and members.
    low, high : float or None
        95 % interval; None where the ensemble is not calibrated.
    shake_spread : float
        Standard deviation over shakes of the members' mean, in decades; 0 for one shake.
    ensemble_spread : float
        Standard deviation over members of the shakes' mean, in decades; 0 for one member.
    by_shake : ndarray, shape (n_shakes,)
        Mean over members for each shake.
    novelty : float
        Distance from the training set in the networks' last features, in units of the median
        distance within it.
    far : bool or None
        Whether that is more than cross-validated crystals had; None without calibration.
    others : dict of str to float
        Means of further targets.
    remarks : tuple of Remark
        What the user should know.
    """

    log10_msd_slope: float
    low: float | None
    high: float | None
    shake_spread: float
    ensemble_spread: float
    by_shake: FloatArray
    novelty: float
    far: bool | None
    others: dict[str, float] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


class Ensemble:
    """Trained networks with all that is needed to use them.

    Parameters
    ----------
    members : list of Member
        At least one.
    header : NetworkHeader
        Settings, potential, training set, calibration.
    """

    def __init__(self, members: list[Member], header: NetworkHeader) -> None:
        if not members:
            raise NetworkError("An ensemble has no member.", hint="Train it again.")
        self.members = members
        self.header = header

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> Self:
        """Read an ensemble from its file.

        Raises
        ------
        NetworkError
            When there is no such file, it is none of ours, of another version, or damaged.
        """
        return cls(*load_ensemble(path, device))

    def predict(self, shakes: Shakes) -> Prediction:
        """Predict the slope of one crystal.

        Parameters
        ----------
        shakes : Shakes
            Made with ``self.header.shakes`` and the potential ``self.header.potential``; others
            are remarked upon.

        Raises
        ------
        CellTooLargeError
            When one shake does not fit in memory.
        """
        graphs = shake_graphs(shakes, self.header.network.cutoff_A)
        values, novelties = [], []
        for member, scale in zip(self.members, self._scales, strict=True):
            found, features = evaluate(member.network, graphs)
            values.append(found)
            reference = member.reference_features.cpu().numpy()
            novelties.append(feature_distance(features.mean(axis=0)[None], reference)[0] / scale)
        every = np.array(values)  # (member, shake, target)
        slopes = every[:, :, 0]
        mean = float(slopes.mean())
        calibration = self.header.calibration
        novelty = float(np.mean(novelties))
        by_shake, by_member = slopes.mean(axis=0), slopes.mean(axis=1)
        spreads = _spread(by_shake), _spread(by_member)
        half = calibration.half_width(*spreads) if calibration else None
        return Prediction(
            log10_msd_slope=mean,
            low=None if half is None else mean - half,
            high=None if half is None else mean + half,
            shake_spread=spreads[0],
            ensemble_spread=spreads[1],
            by_shake=by_shake,
            novelty=novelty,
            far=novelty > calibration.novelty_threshold if calibration else None,
            others={
                name: float(every[:, :, k].mean())
                for k, name in enumerate(self.header.targets)
                if name != TARGET
            },
            remarks=tuple(self._remarks(shakes, novelty, mean, half)),
        )

    @cached_property
    def _scales(self) -> list[float]:
        """Median distance within the training set, for each member."""
        return [feature_scale(m.reference_features.cpu().numpy()) for m in self.members]

    def _remarks(
        self, shakes: Shakes, novelty: float, mean: float, half: float | None
    ) -> list[Remark]:
        trained, used = self.header.potential, shakes.potential
        found = []
        if used.weights_sha256 != trained.weights_sha256:
            found.append(
                Remark(
                    "other_potential",
                    f"The network was trained on accelerations of {trained.label}, these are of "
                    f"{used.label}: the prediction is not validated.",
                )
            )
        taught = self.header.shakes
        other = not set(np.round(shakes.amplitudes_A, 6)) <= set(np.round(taught.amplitudes_A, 6))
        if other or shakes.mass_exponent != taught.mass_exponent:
            found.append(
                Remark(
                    "other_shakes",
                    f"The network was trained on shakes of {_numbers(taught.amplitudes_A)} A "
                    f"(exponent of the mass {taught.mass_exponent:g}), these are of "
                    f"{_numbers(shakes.amplitudes_A)} A ({shakes.mass_exponent:g}).",
                )
            )
        if shakes.residual_force_eV_per_A > AT_REST_eV_PER_A:
            found.append(
                Remark(
                    "not_at_rest",
                    f"Before the shakes a force of {shakes.residual_force_eV_per_A:.1f} eV/A acts "
                    f"on an atom (limit {AT_REST_eV_PER_A:g}): relax the crystal.",
                )
            )
        calibration = self.header.calibration
        if calibration is None:
            found.append(
                Remark("not_calibrated", "The ensemble has no calibration: no interval is given.")
            )
        elif novelty > calibration.novelty_threshold:
            found.append(
                Remark(
                    "far_from_training_set",
                    f"The crystal is {novelty:.1f} times as far from the training set as its "
                    f"crystals are from each other (limit {calibration.novelty_threshold:.1f}): "
                    "the interval does not hold.",
                )
            )
        if half is not None and abs(mean - math.log10(ANSWER_A2_PER_PS)) <= half:
            found.append(
                Remark(
                    "undecided",
                    f"The 95 % interval holds {ANSWER_A2_PER_PS:g} A^2/ps: the network does not "
                    "say whether it conducts; compute the landscape ('superionic screen').",
                )
            )
        return found


def evaluate(network: "ForceNetwork", graphs: list[CrystalGraph]) -> tuple[FloatArray, FloatArray]:
    """Return predictions and features of graphs; what does not fit in memory is split.

    Returns
    -------
    values : ndarray, shape (n_graphs, n_targets)
        In the units of the targets.
    features : ndarray, shape (n_graphs, n_features)
        Of the last layer.

    Raises
    ------
    CellTooLargeError
        When one graph does not fit.
    """
    parameter = next(network.parameters())

    def batch(part: Sequence[CrystalGraph]) -> "Mapping[str, Tensor]":
        return collate(part, parameter.dtype, str(parameter.device))

    found = in_parts(network, graphs, batch, len(graphs[0]))
    values, features = (one.cpu().numpy().astype(np.float64) for one in found)
    return values, features


def in_parts(
    network: "ForceNetwork",
    items: Sequence[Item],
    batch: "Callable[[Sequence[Item]], Mapping[str, Tensor]]",
    n_atoms: int,
) -> "tuple[Tensor, Tensor]":
    """Return predictions and features of shakes of one crystal, halved until they fit in memory.

    Parameters
    ----------
    network : ForceNetwork
        In evaluation mode.
    items : sequence
        What stands for the shakes.
    batch : callable
        Makes a batch of some of them.
    n_atoms : int
        Of the supercell, for the message.

    Returns
    -------
    values : Tensor, shape (n_items, n_targets)
        In the units of the targets.
    features : Tensor, shape (n_items, n_features)
        Of the last layer.

    Raises
    ------
    CellTooLargeError
        When one does not fit.
    """
    import torch

    try:
        with torch.no_grad():
            found = network(batch(items))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(items) == 1:
            raise CellTooLargeError(
                f"The network does not fit in memory for a supercell of {n_atoms} atoms.",
                hint="Use a larger machine or a smaller supercell.",
            ) from error
    else:
        return found[keys.TARGETS], found[keys.GRAPH_FEATURES]
    half = len(items) // 2
    parts = [in_parts(network, part, batch, n_atoms) for part in (items[:half], items[half:])]
    values, features = (torch.cat(both) for both in zip(*parts, strict=True))
    return values, features


def feature_distance(features: ArrayLike, reference: ArrayLike) -> FloatArray:
    """Return the mean distance to the nearest of the training crystals, in their features.

    Parameters
    ----------
    features : array, shape (m, d)
        Crystals.
    reference : array, shape (n, d)
        Training crystals; each feature is divided by its standard deviation among them.
    """
    known = np.asarray(reference, dtype=np.float64)
    std = known.std(axis=0)
    std = np.where(std > 1e-9, std, 1.0)
    between = _distances(np.asarray(features, dtype=np.float64) / std, known / std)
    nearest = min(NEIGHBOURS_IN_FEATURES, known.shape[0])
    found: FloatArray = np.sort(between, axis=1)[:, :nearest].mean(axis=1)
    return found


def feature_scale(reference: ArrayLike) -> float:
    """Return the median distance of training crystals to the nearest others among them."""
    known = np.asarray(reference, dtype=np.float64)
    if len(known) < 2:
        return 1.0
    std = known.std(axis=0)
    scaled = known / np.where(std > 1e-9, std, 1.0)
    between = _distances(scaled, scaled)
    np.fill_diagonal(between, np.inf)
    nearest = min(NEIGHBOURS_IN_FEATURES, len(known) - 1)
    median = float(np.median(np.sort(between, axis=1)[:, :nearest].mean(axis=1)))
    return median if median > 1e-12 else 1.0


def calibrate(
    errors: ArrayLike,
    novelties: ArrayLike,
    folds: str,
    spreads: ArrayLike | None = None,
) -> IntervalCalibration | None:
    """Return the interval that cross-validated errors support.

    The half width is the ceil(0.95 (n + 1))-th smallest absolute error (split conformal prediction,
    Lei et al., J. Am. Stat. Assoc. 113, 1094, 2018): a new crystal of the same kind lies within it
    with a probability of at least 0.95. With spreads it is that of the errors over a scale, which
    is fitted to them and grows with the spreads (the same, section 5.2).

    Parameters
    ----------
    errors : array, shape (n,)
        Predicted minus true, in decades, each of a crystal that was not learned.
    novelties : array, shape (n,)
        Their distances from the crystals that were learned.
    folds : str
        How crystals were divided.
    spreads : array, shape (n, 2), optional
        Standard deviations of the predictions over shakes and over networks that have not learned
        the crystal, in decades.

    Returns
    -------
    IntervalCalibration or None
        None with fewer than 19 errors, which support no such interval.
    """
    sizes = np.abs(np.asarray(errors, dtype=np.float64))
    rank = conformal_rank(len(sizes), 0.95)
    if rank > len(sizes):
        return None
    if spreads is None:
        weights = np.array([1.0, 0.0, 0.0])
        scale = np.ones(len(sizes))
    else:
        columns = np.column_stack([np.ones(len(sizes)), np.asarray(spreads, dtype=np.float64)])
        weights = error_scale(columns, sizes)
        scale = columns @ weights
    half, *per_spread = np.sort(sizes / scale)[rank - 1] * weights
    threshold = float(np.quantile(np.asarray(novelties, dtype=np.float64), 0.95))
    return IntervalCalibration(
        float(half), threshold, len(sizes), folds, *(float(value) for value in per_spread)
    )


def error_scale(columns: FloatArray, errors: FloatArray) -> FloatArray:
    """Return coefficients, none of them negative, of what errors grow with.

    Parameters
    ----------
    columns : ndarray, shape (n, k)
        What they may grow with; a column of ones first.
    errors : ndarray, shape (n,)
        Absolute errors in decades.
    """
    from scipy.optimize import nnls

    weights: FloatArray = nnls(columns, errors)[0]
    weights[0] = max(weights[0], SMALLEST_ERROR)  # no interval without a width
    return weights


def shipped_ensemble() -> Path:
    """Return the path of the ensemble that comes with the package.

    Raises
    ------
    NetworkError
        When this installation has none.
    """
    path = Path(str(files("superionic.network") / "models" / "force_network.pt"))
    if not path.is_file():
        raise NetworkError(
            "This installation comes without a trained force network.",
            hint="Train one with 'superionic train', and name its file.",
        )
    return path


def _distances(a: FloatArray, b: FloatArray) -> FloatArray:
    found: FloatArray = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return found


def _spread(values: FloatArray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _numbers(values: Any) -> str:
    return ", ".join(f"{value:g}" for value in sorted({float(v) for v in values}))
