"""What a figure of a ranking shows: materials with scores and slopes."""

from dataclasses import dataclass
from math import floor, log10

from superionic.report.figures.style import formula_text

_QUANTITIES = {
    "xi": "Ξ (no unit)",
    "barrier": "percolation barrier (eV)",
    "network": "predicted slope (log₁₀ Å²/ps)",
    "calibrated": "probability (no unit)",
    "conductivity": "conductivity at 300 K (log₁₀ S/cm)",
}
LOGARITHMIC = frozenset({"xi"})
SMALLEST = 1e-8
"""Smaller scores are drawn here on a logarithmic axis, which ends a decade below."""


@dataclass(frozen=True)
class Value:
    """A number with the ends of its 95 % interval, where they are known."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def below(self) -> float:
        """Distance to the lower end, 0 where it is not known."""
        return 0.0 if self.low is None else max(0.0, self.value - self.low)

    @property
    def above(self) -> float:
        """Distance to the upper end."""
        return 0.0 if self.high is None else max(0.0, self.high - self.value)


@dataclass(frozen=True)
class RankedMaterial:
    """One line of the ranking.

    Parameters
    ----------
    material_id, formula : str
        Of the material.
    rank : int
        By the policy.
    score : Value
        What the policy ranks by; the network's with its 95 % interval.
    orderings : tuple of float or None
        Smallest and largest value over the orderings of a disordered crystal.
    predicted, simulated : Value or None
        Decimal logarithm of the slope at the temperature of the labels, in A^2/ps; a melt has none.
    verdict : str or None
        Of the simulation; None where there was none.
    learned : bool
        Whether the network that predicts has learned a crystal of this chemical system.
    """

    material_id: str
    formula: str
    rank: int
    score: Value
    orderings: tuple[float, float] | None
    predicted: Value | None
    simulated: Value | None
    verdict: str | None
    learned: bool

    @property
    def name(self) -> str:
        """Rank, formula and identifier."""
        return f"{self.rank}  {formula_text(self.formula)}  {self.material_id}"


@dataclass(frozen=True)
class RankingData:
    """The first materials of a ranking.

    Parameters
    ----------
    policy, summary : str
        What ranks, and what that is.
    lower_is_better : bool
        Whether the smallest score is the best.
    materials : tuple of RankedMaterial
        Best first.
    n_materials : int
        Ranked materials in all.
    """

    policy: str
    summary: str
    lower_is_better: bool
    materials: tuple[RankedMaterial, ...]
    n_materials: int

    @property
    def quantity(self) -> str:
        """What the score is, with its unit."""
        return _QUANTITIES.get(self.policy, "mean percentile (fraction)")

    @property
    def is_logarithmic(self) -> bool:
        """Whether scores are drawn on a logarithmic axis: half of all Xi are below 0.001."""
        return self.policy in LOGARITHMIC

    @property
    def smallest(self) -> float:
        """Where a logarithmic axis begins."""
        scores = [max(one.score.value, SMALLEST) for one in self.materials]
        return 10 ** (floor(log10(min(scores))) - 0.3)

    @property
    def has_slopes(self) -> bool:
        """Whether any material has a prediction or a simulation, a melt included."""
        return any(one.predicted or one.verdict for one in self.materials)
