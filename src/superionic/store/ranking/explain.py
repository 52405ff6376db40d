"""Why a row stands where it stands."""

from dataclasses import dataclass

from superionic.schemas.screening import ScreeningDocument
from superionic.store.ranking.features import ScorePart
from superionic.store.ranking.policies import Policy, policies


@dataclass(frozen=True)
class Standing:
    """What one policy says of a row.

    Parameters
    ----------
    policy, summary, quantity : str
        Name of the policy, what it ranks by, and what its score is.
    rank, n_rows : int or None, int
        Rank among the rows of one species and potential, and their number; None when the
        collection was not ranked since the row was written.
    percentile : float or None
        Percentage of the other rows that stand below.
    score : float or None
        The row's score; None where it lacks something, or never percolates.
    reason : str or None
        What it lacks.
    above, below : ScreeningDocument or None
        Its neighbours.
    tie : str or None
        Which rule decided between it and neighbours of the same score.
    parts : tuple of ScorePart
        What a composite score is made of: their shares add up to it, those of ``calibrated`` to
        its log odds.
    """

    policy: str
    summary: str
    quantity: str
    rank: int | None
    n_rows: int
    percentile: float | None
    score: float | None
    reason: str | None
    above: ScreeningDocument | None
    below: ScreeningDocument | None
    tie: str | None
    parts: tuple[ScorePart, ...] = ()


def explain_standing(
    policy: Policy,
    row: ScreeningDocument,
    n_rows: int,
    above: ScreeningDocument | None = None,
    below: ScreeningDocument | None = None,
) -> Standing:
    """Explain the place of a row by one policy.

    Parameters
    ----------
    policy : Policy
        The policy.
    row : ScreeningDocument
        The row, ranked.
    n_rows : int
        Rows of the same species and potential.
    above, below : ScreeningDocument, optional
        The rows whose ranks are one less and one more.
    """
    rank, score = row.ranks.get(policy.name), row.scores.get(policy.name)
    reason = policy.lacks(row)
    tied = [
        other.material_id
        for other in (above, below)
        if other is not None and reason is None and other.scores.get(policy.name) == score
        if policy.lacks(other) is None
    ]
    return Standing(
        policy=policy.name,
        summary=policy.summary,
        quantity=policy.quantity,
        rank=rank,
        n_rows=n_rows,
        percentile=(
            None
            if rank is None or reason is not None or n_rows < 2
            else 100 * (n_rows - rank) / (n_rows - 1)
        ),
        score=score,
        reason=reason,
        above=above,
        below=below,
        tie=f"the same as {' and '.join(tied)}; then by {policy.ties}" if tied else None,
        parts=tuple(policy.parts(row)) if reason is None else (),
    )


def explain_row(
    row: ScreeningDocument,
    n_rows: int,
    neighbours: dict[str, tuple[ScreeningDocument | None, ScreeningDocument | None]],
) -> list[Standing]:
    """Explain the place of a row by every policy.

    Parameters
    ----------
    row : ScreeningDocument
        The row, ranked.
    n_rows : int
        Rows of the same species and potential.
    neighbours : dict
        For each policy the rows above and below.
    """
    return [
        explain_standing(policy, row, n_rows, *neighbours.get(name, (None, None)))
        for name, policy in policies().items()
    ]
