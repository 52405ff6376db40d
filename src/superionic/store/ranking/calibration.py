"""The calibrated probability of being a conductor: reading its coefficients and applying them."""

import json
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from math import exp
from pathlib import Path
from typing import Any

from superionic.errors import SettingsError
from superionic.schemas.screening import ScreeningDocument
from superionic.store.ranking.features import FEATURES, ScorePart

CALIBRATION_FILE = "calibration.json"
FORMAT = 1


@dataclass(frozen=True)
class LogisticModel:
    """A logistic regression on standardised features, and how it did in cross-validation.

    Parameters
    ----------
    features : list of str
        Names in :data:`~superionic.store.ranking.features.FEATURES`.
    means, scales : list of float
        Mean and standard deviation of each feature over the training rows.
    coefficients : list of float
        Of the standardised features.
    intercept : float
        Logarithm of the odds at the means.
    n_rows, n_positive : int
        Training rows, and conductors among them.
    training_sha256 : str
        SHA-256 of the sorted identifiers of the training rows, joined by line ends.
    cross_validation : dict
        Measures of predictions for chemical systems that were left out.
    """

    features: list[str]
    means: list[float]
    scales: list[float]
    coefficients: list[float]
    intercept: float
    n_rows: int
    n_positive: int
    training_sha256: str
    cross_validation: dict[str, Any]

    def lacks(self, row: ScreeningDocument) -> list[str]:
        """Return the names of the features that the row does not have."""
        return [name for name in self.features if FEATURES[name].of(row) is None]

    def parts(self, row: ScreeningDocument) -> list[ScorePart]:
        """Return the terms of the log odds; the row must lack nothing."""
        found = [ScorePart("intercept", None, 1.0, self.intercept)]
        for name, mean, scale, weight in zip(
            self.features, self.means, self.scales, self.coefficients, strict=True
        ):
            value = FEATURES[name].of(row)
            assert value is not None
            found.append(ScorePart(name, value, (value - mean) / scale, weight))
        return found

    def probability(self, row: ScreeningDocument) -> float:
        """Return the probability that the row is a conductor; it must lack nothing."""
        return logistic(sum(part.share for part in self.parts(row)))


@dataclass(frozen=True)
class Calibration:
    """Models for one mobile species and potential; the first for which a row has all features.

    Parameters
    ----------
    mobile_species, potential : str
        What the labels are of.
    conductor : str
        What the probability is of, in words with numbers.
    temperature_K : float
        Temperature of the labels in K.
    threshold_A2_per_ps : float
        MSD slope above which a crystal counts as a conductor.
    models : list of LogisticModel
        The one with most features first.
    labels : str
        Where the labels are from.
    fitted_with : str
        Version of superionic.
    """

    mobile_species: str
    potential: str
    conductor: str
    temperature_K: float
    threshold_A2_per_ps: float
    models: list[LogisticModel]
    labels: str
    fitted_with: str

    def model_for(self, row: ScreeningDocument) -> LogisticModel | None:
        """Return the model that applies to a row, or None."""
        if (row.mobile_species, row.potential) != (self.mobile_species, self.potential):
            return None
        return next((model for model in self.models if not model.lacks(row)), None)

    def lacks(self, row: ScreeningDocument) -> str | None:
        """Return why there is no probability for a row, or None if there is."""
        if (row.mobile_species, row.potential) != (self.mobile_species, self.potential):
            return f"calibrated for {self.mobile_species} and {self.potential} only"
        if self.model_for(row) is not None:
            return None
        return f"no {' and no '.join(self.models[-1].lacks(row))}"

    def probability(self, row: ScreeningDocument) -> float:
        """Return the probability that a row which lacks nothing is a conductor."""
        model = self.model_for(row)
        assert model is not None
        return model.probability(row)

    def to_json(self) -> str:
        """Return the calibration as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Calibration":
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        SettingsError
            When it is something else, or names a feature that is not known.
        """
        try:
            content = json.loads(text)
            if content.pop("format") != FORMAT:
                raise ValueError("another format")
            models = [LogisticModel(**model) for model in content.pop("models")]
            calibration = cls(models=models, **content)
            unknown = {name for model in models for name in model.features} - set(FEATURES)
            lengths = [
                {len(getattr(model, one.name)) for one in fields(model)[:4]} for model in models
            ]
            if unknown or not models or any(len(found) != 1 for found in lengths):
                raise ValueError(f"unknown features {sorted(unknown)} or incomplete models")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SettingsError(
                f"This is no calibration: {error}.",
                hint="Write one with 'superionic evaluate --fit-calibrated FILE'.",
            ) from None
        return calibration


def calibration_path() -> Path:
    """Return where the package keeps its calibration, whether there is one or not."""
    return Path(str(files("superionic.store.ranking").joinpath(CALIBRATION_FILE)))


@cache
def load_calibration() -> Calibration | None:
    """Return the calibration of the package, or None if none was fitted.

    Raises
    ------
    SettingsError
        When the file is damaged.
    """
    path = calibration_path()
    return Calibration.from_json(path.read_text()) if path.is_file() else None


def logistic(odds: float) -> float:
    """Return the probability of a logarithm of odds."""
    # The exponent is never positive, so nothing overflows.
    return 1 / (1 + exp(-odds)) if odds >= 0 else exp(odds) / (1 + exp(odds))
