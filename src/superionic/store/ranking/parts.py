"""What the score of a composite policy is made of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ScorePart:
    """One term of a sum.

    The shares of all parts add up to the score, or, for a probability, to its log odds.

    Parameters
    ----------
    name : str
        Name of a policy, feature or field, or ``intercept``.
    value : float or None
        The row's own value; None for the intercept, and for a barrier without a percolating path.
    relative : float
        What is summed of it: the fraction of the other rows that stand below it (percentile), or
        its distance from the mean of the training rows in standard deviations; 1 for the intercept.
    weight : float
        What that is multiplied by.
    """

    name: str
    value: float | None
    relative: float
    weight: float

    @property
    def share(self) -> float:
        """What the part adds."""
        return self.weight * self.relative
