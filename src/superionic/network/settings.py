"""Settings of shakes, network and training; every field changes numbers and is stored."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from superionic.errors import SettingsError

T = TypeVar("T")

TARGET = "log10_msd_slope"
"""The target that every network has: log10 of the clipped slope in A^2/ps."""

DIFFUSING = "diffusing"
"""Another target: 1 where the verdict is diffusing, 0 where it is not_diffusing."""

MSD = "log10_msd"
"""Another target: log10 of the mobile ions' mean squared displacement in A^2, mean of the lags from
1.5 to 2.5 ps. It is known of every run, and not noise where nothing hops."""

OF_LABELS = (TARGET, DIFFUSING, MSD)
"""Targets that come with the labels; others are descriptors."""


@dataclass(frozen=True)
class ShakeSettings:
    """How a crystal is shaken.

    Parameters
    ----------
    amplitudes_A : tuple of float
        Root mean square lengths of the displacement of an atom (of 7 u, where they depend on the
        mass), in A; shake ``k`` takes the ``k``-th, and the first again after the last.
    n_shakes : int
        Number of shakes; those of a smaller number are the first of a larger one.
    seed : int
        Of the displacements.
    mass_exponent : float
        Displacements are proportional to mass ** -mass_exponent. 0: all atoms alike. 0.5: what each
        atom covers at thermal velocity in one and the same time (0.6 A in 32 fs at 1000 K), so that
        light ions go far while heavy ones hardly move.
    distribution : {"gaussian", "ball"}
        ``gaussian``: independent normal components, as harmonic vibrations have. ``ball``: uniform
        in a ball, which bounds the largest displacement by 1.29 times the root mean square.
    min_image_distance_A : float
        The supercell is the smallest one in which images are this far apart, in A; the labels'
        dynamics use the same rule, and cells are thereby of comparable size.
    max_atoms : int
        Largest supercell.
    """

    amplitudes_A: tuple[float, ...] = (0.2,)
    n_shakes: int = 8
    seed: int = 0
    mass_exponent: float = 0.0
    distribution: Literal["gaussian", "ball"] = "gaussian"
    min_image_distance_A: float = 8.0
    max_atoms: int = 400

    def __post_init__(self) -> None:
        require(
            self,
            amplitudes_A=bool(self.amplitudes_A) and min(self.amplitudes_A) > 0,
            n_shakes=self.n_shakes >= 1,
            seed=self.seed >= 0,
            mass_exponent=0 <= self.mass_exponent <= 4,
            distribution=self.distribution in ("gaussian", "ball"),
            min_image_distance_A=self.min_image_distance_A > 0,
            max_atoms=self.max_atoms >= 1,
        )


@dataclass(frozen=True)
class NetworkSettings:
    """The network's shape.

    Parameters
    ----------
    cutoff_A : float
        Atoms closer than this are neighbours, in A.
    l_max : int
        Largest order of the spherical harmonics and of the features.
    n_layers : int
        Rounds of message passing.
    channels : int
        Features of each order; an atom has ``channels * (l_max + 1)**2`` numbers.
    n_radial : int
        Functions that resolve the distance of neighbours.
    radial_hidden : int
        Width of the network that turns them into weights.
    n_magnitude : int
        Functions that resolve the magnitude of an acceleration.
    acceleration_scale_A_per_ps2 : float
        Accelerations are compressed to ``a log(1 + |a| / scale) / |a|``: linear below the scale,
        logarithmic above, in A/ps^2. 1 eV/A on a lithium ion is 1390 A/ps^2.
    max_compressed : float
        Compressed magnitude that the last of the magnitude functions is centred on.
    readout_hidden : int
        Width of the layers after the last round; a crystal has twice as many features.
    """

    cutoff_A: float = 5.0
    l_max: int = 2
    n_layers: int = 2
    channels: int = 16
    n_radial: int = 8
    radial_hidden: int = 32
    n_magnitude: int = 8
    acceleration_scale_A_per_ps2: float = 100.0
    max_compressed: float = 6.0
    readout_hidden: int = 32

    def __post_init__(self) -> None:
        require(
            self,
            cutoff_A=self.cutoff_A > 0,
            l_max=1 <= self.l_max <= 4,
            n_layers=self.n_layers >= 1,
            channels=self.channels >= 1,
            n_radial=self.n_radial >= 1,
            radial_hidden=self.radial_hidden >= 1,
            n_magnitude=self.n_magnitude >= 2,
            acceleration_scale_A_per_ps2=self.acceleration_scale_A_per_ps2 > 0,
            max_compressed=self.max_compressed > 0,
            readout_hidden=self.readout_hidden >= 1,
        )


@dataclass(frozen=True)
class LabelRules:
    """Which labels are learned, and as what.

    Parameters
    ----------
    floor_A2_per_ps : float
        Slopes are clipped from below at this before the logarithm, in A^2/ps.
    exclude_verdicts : tuple of str
        Rows with these verdicts are left out. A melted framework has no diffusion coefficient of
        its lithium to speak of.
    targets : tuple of str
        What is learned: ``log10_msd_slope`` first. Besides, there may be ``diffusing`` (1 or 0,
        by the verdict), ``log10_msd`` (at 2 ps) and numbers of the study's file of descriptors, by
        their names there. They teach the network what it looks for; only the slope is predicted.
    temperature_K : float or None
        Temperature of the labels; rows of another are left out. None where all are of one.
    activation_energy_eV : float or None
        A crystal that has no label at that temperature, since it melts, is learned by one of a
        lower temperature, its slope taken up with this energy (Arrhenius), and is never tested.
        None leaves it out.
    """

    floor_A2_per_ps: float = 1e-4
    exclude_verdicts: tuple[str, ...] = ("melted",)
    targets: tuple[str, ...] = (TARGET,)
    temperature_K: float | None = None
    activation_energy_eV: float | None = None

    def __post_init__(self) -> None:
        temperature_K, energy_eV = self.temperature_K, self.activation_energy_eV
        require(
            self,
            floor_A2_per_ps=self.floor_A2_per_ps > 0,
            temperature_K=temperature_K > 0 if temperature_K is not None else energy_eV is None,
            activation_energy_eV=energy_eV is None or energy_eV >= 0,
            targets=self.targets[:1] == (TARGET,) and len(set(self.targets)) == len(self.targets),
        )

    @property
    def descriptors(self) -> tuple[str, ...]:
        """Return the targets that do not come with the labels."""
        return tuple(name for name in self.targets if name not in OF_LABELS)


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Parameters
    ----------
    max_epochs : int
        Longest training.
    patience : int
        Epochs without a better validation loss after which it ends; 0 never ends early.
    validation_fraction : float
        Part of the training crystals (by group, where folds are by group) that chooses the epoch.
    learning_rate : float
        Of AdamW, at its highest; it rises over the first epochs and falls as a cosine.
    weight_decay : float
        Of AdamW.
    batch_size : int
        Crystals in a step.
    shakes_per_crystal : int
        Shakes of a crystal in an epoch, drawn anew each time.
    loss : {"huber", "mse", "mae"}
        Of the standardised target.
    ema_decay : float
        The weights that are kept are a running mean with this decay a step; 0 keeps the last.
    gradient_clip : float
        Largest norm of the gradient.
    seed : int
        Of weights, order and choice of shakes.
    """

    max_epochs: int = 120
    patience: int = 30
    validation_fraction: float = 0.15
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    batch_size: int = 8
    shakes_per_crystal: int = 1
    loss: Literal["huber", "mse", "mae"] = "huber"
    ema_decay: float = 0.98
    gradient_clip: float = 5.0
    seed: int = 0

    def __post_init__(self) -> None:
        require(
            self,
            max_epochs=self.max_epochs >= 1,
            patience=self.patience >= 0,
            validation_fraction=0 <= self.validation_fraction < 1,
            learning_rate=self.learning_rate > 0,
            weight_decay=self.weight_decay >= 0,
            batch_size=self.batch_size >= 1,
            shakes_per_crystal=self.shakes_per_crystal >= 1,
            loss=self.loss in ("huber", "mse", "mae"),
            ema_decay=0 <= self.ema_decay < 1,
            gradient_clip=self.gradient_clip > 0,
            seed=self.seed >= 0,
        )


def settings_from_dict(kind: type[T], values: Any, where: str = "") -> T:
    """Return settings from plain data, as read from YAML or JSON.

    Parameters
    ----------
    kind : type
        A dataclass of settings, possibly with others as fields.
    values : mapping
        Its fields; those that are not named keep their defaults.
    where : str
        Path of the mapping in its file, for messages.

    Raises
    ------
    SettingsError
        When a field is unknown or its value wrong, naming it.
    """
    from pydantic import TypeAdapter, ValidationError

    title = where or kind.__name__
    if not isinstance(values, Mapping):
        raise SettingsError(
            f"{title} is {values!r}, not a mapping.", hint="Write 'field: value' lines."
        )
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    unknown = [str(name) for name in values if name not in names]
    if unknown:
        raise SettingsError(
            f"{title} has no setting {', '.join(unknown)}.", hint=f"It has {', '.join(names)}."
        )
    hints = get_type_hints(kind)
    chosen: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{where}.{name}" if where else name
        nested = _dataclass_of(hints[name])
        if nested is not None and value is not None:
            chosen[name] = settings_from_dict(nested, value, path)
            continue
        try:
            chosen[name] = TypeAdapter(hints[name]).validate_python(value)
        except ValidationError as error:
            raise SettingsError(
                f"{path} cannot be {value!r}: {error.errors()[0]['msg']}.", hint="Correct it."
            ) from None
    try:
        return kind(**chosen)
    except TypeError as error:
        raise SettingsError(f"{title} is incomplete: {error}.", hint="Add the field.") from None


def _dataclass_of(hint: Any) -> type | None:
    """Return the dataclass of a field ``X`` or ``X | None``."""
    options = get_args(hint) or (hint,)
    return next((one for one in options if isinstance(one, type) and is_dataclass(one)), None)


def settings_to_dict(settings: Any) -> dict[str, Any]:
    """Return settings as plain data that :func:`settings_from_dict` and JSON take."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(settings), allow_nan=False))
    return plain


def require(settings: Any, **holds: bool) -> None:
    """Raise for the fields whose condition does not hold, or that are not finite.

    Parameters
    ----------
    settings : dataclass
        What is checked.
    **holds : bool
        For each field that can be wrong whether it is right.

    Raises
    ------
    SettingsError
        Naming them with their values.
    """
    endless = [f.name for f in fields(settings) if not _finite(getattr(settings, f.name))]
    wrong = [name for name, good in holds.items() if not good]
    if bad := dict.fromkeys(wrong + endless):
        shown = ", ".join(f"{name} = {getattr(settings, name)!r}" for name in bad)
        raise SettingsError(
            f"These settings make no sense: {shown}.",
            hint=f"See {type(settings).__module__}.{type(settings).__name__}.",
        )


def _finite(value: Any) -> bool:
    """Return whether a number, or all of a tuple, are finite; what is no number is."""
    values = value if isinstance(value, tuple) else (value,)
    return all(math.isfinite(one) for one in values if isinstance(one, float))
