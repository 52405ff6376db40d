"""How far a potential is from its teacher: by family of crystals, by kind of frame."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superionic.distillation.dataset import Frame, batch, groups_of
from superionic.distillation.student import predict
from superionic.potentials.chgnet.network import ChgnetNetwork, cutoffs_A, reference_energies_eV

if TYPE_CHECKING:
    from chgnet.model import CHGNet

FloatArray = NDArray[np.float64]
_MAX_ATOMS = 128


@dataclass(frozen=True)
class Errors:
    """Errors of one group of frames against the teacher.

    Parameters
    ----------
    group : str
        Family, kind or ``all``.
    n_frames, n_crystals : int
        How many.
    force_rmse_eV_per_A, force_mae_eV_per_A : float
        Over components of forces.
    slope : float
        Of the potential's forces against the teacher's, through the origin: 1 is right, less is
        too soft.
    energy_mae_meV_per_atom : float
        Of differences to the mean of the same crystal's frames, which no convention enters.
    """

    group: str
    n_frames: int
    n_crystals: int
    force_rmse_eV_per_A: float
    force_mae_eV_per_A: float
    slope: float
    energy_mae_meV_per_atom: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def evaluate(model: "CHGNet", frames: Sequence[Frame]) -> list[tuple[float, FloatArray]]:
    """Return a CHGNet's energy in eV and forces in eV/A of each frame."""
    network, reference = ChgnetNetwork(model, "cpu"), reference_energies_eV(model)
    found: list[tuple[float, FloatArray]] = []
    for group in groups_of(frames, range(len(frames)), _MAX_ATOMS):
        members = [frames[k] for k in group]
        said = predict(network, batch(members, reference, *cutoffs_A(model)))
        ends = np.cumsum([len(one) for one in members])[:-1]
        forces = np.split(said.forces.numpy().astype(np.float64), ends)
        for frame, energy, force in zip(members, said.energies.tolist(), forces, strict=True):
            found.append((energy * len(frame) + reference[frame.numbers - 1].sum(), force))
    return found


def errors_of(
    frames: Sequence[Frame],
    found: Sequence[tuple[float, FloatArray]],
    group_of: Callable[[Frame], str] = lambda frame: "all",
) -> list[Errors]:
    """Return the errors of each group of frames, the largest group first.

    Parameters
    ----------
    frames : sequence of Frame
        With the teacher's numbers.
    found : sequence of tuple
        Energy in eV and forces in eV/A of each frame, as :func:`evaluate` gives them.
    group_of : callable
        Names the group of a frame.
    """
    energy_errors = _energy_errors(frames, [energy for energy, _ in found])
    groups: dict[str, list[int]] = {}
    for k, frame in enumerate(frames):
        groups.setdefault(group_of(frame), []).append(k)
    rows = []
    for name, members in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        right = np.concatenate([frames[k].forces_eV_per_A.ravel() for k in members])
        said = np.concatenate([found[k][1].ravel() for k in members])
        rows.append(
            Errors(
                group=name,
                n_frames=len(members),
                n_crystals=len({frames[k].crystal for k in members}),
                force_rmse_eV_per_A=float(np.sqrt(np.mean((said - right) ** 2))),
                force_mae_eV_per_A=float(np.mean(np.abs(said - right))),
                slope=float(said @ right / max(right @ right, 1e-12)),
                energy_mae_meV_per_atom=1000 * float(np.mean(np.abs(energy_errors[members]))),
            )
        )
    return rows


def kind_of(frame: Frame) -> str:
    """Name the kind of a frame, dynamics by their temperature."""
    if frame.kind != "md":
        return frame.kind
    low = 400 * int(frame.parameter // 400)
    return f"md, {low} to {low + 400} K"


def _energy_errors(frames: Sequence[Frame], energies_eV: Iterable[float]) -> FloatArray:
    sizes = np.array([len(frame) for frame in frames])
    right = np.array([frame.energy_eV for frame in frames]) / sizes
    error = np.array(list(energies_eV)) / sizes - right
    _, crystal = np.unique([frame.crystal for frame in frames], return_inverse=True)
    mean = np.bincount(crystal, weights=error) / np.bincount(crystal)
    return np.asarray(error - mean[crystal])


def table(title: str, columns: dict[str, list[Errors]]) -> str:
    """Return a Markdown table of the errors of several potentials side by side."""
    lines = [
        f"| {title} | frames (crystals) | "
        + " | ".join(
            f"{name}: RMSE, MAE of forces (eV/A) | slope | energy (meV/atom)" for name in columns
        )
        + " |",
        "| --- | --- |" + " --- | --- | --- |" * len(columns),
    ]
    first = next(iter(columns.values()))
    by_name = [{row.group: row for row in rows} for rows in columns.values()]
    for row in first:
        cells = [
            f"{one[row.group].force_rmse_eV_per_A:.3f}, {one[row.group].force_mae_eV_per_A:.3f} | "
            f"{one[row.group].slope:.3f} | {one[row.group].energy_mae_meV_per_atom:.1f}"
            for one in by_name
        ]
        lines.append(f"| {row.group} | {row.n_frames} ({row.n_crystals}) | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
