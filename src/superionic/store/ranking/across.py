"""One row for each material where several potentials have rows of it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from superionic.errors import SettingsError
from superionic.schemas.document import Interval
from superionic.schemas.screening import LANDSCAPE_FIELDS, ScreeningDocument
from superionic.store.ranking.policies import Policy, get_policy, ranked

Row = ScreeningDocument

RULES = ("worst", "best", "mean")
"""What can be asked for, besides the name of a potential."""


def across_potentials(rows: Iterable[Row], rule: str, policy: str = "xi") -> list[Row]:
    """Return one row for each material and mobile ion, ranked among each other.

    Parameters
    ----------
    rows : iterable of ScreeningDocument
        Rows of any potentials.
    rule : str
        ``worst`` and ``best``: the row of the potential in whose eyes the material stands lowest or
        highest by the policy. ``mean``: the mean of the numbers of the landscape and of the ends of
        their intervals. Otherwise the name of a potential, or of its family: its row, and where
        it has none, the worst.
    policy : str
        Name of the policy that ranks.

    Raises
    ------
    SettingsError
        When there is no such policy, or no row of a potential that is named.
    """
    chosen = get_policy(policy)
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.material_id, row.mobile_species].append(row)
    if rule not in RULES and groups:
        potentials = sorted({row.potential for group in groups.values() for row in group})
        if not any(is_named(potential, rule) for potential in potentials):
            raise SettingsError(
                f"No row is of the potential {rule!r}.",
                hint=f"Use one of {', '.join(RULES)}, or of {', '.join(potentials)}.",
            )
    return ranked((_one_of(group, rule, chosen) for group in groups.values()), policy)


def is_named(potential: str, name: str) -> bool:
    """Return whether a name means a potential, as ``chgnet`` does ``chgnet:0.3.0``."""
    return potential == name or potential.startswith(f"{name}:")


def _one_of(group: Sequence[Row], rule: str, policy: Policy) -> Row:
    if rule == "mean":
        return _mean([row for row in group if row.xi is not None] or group)
    named = [row for row in group if is_named(row.potential, rule)] if rule not in RULES else []
    complete = [row for row in named or group if policy.lacks(row) is None]
    if not complete:
        return (named or group)[0]
    places = policy.places(complete)
    return places[0 if rule == "best" or named else -1].row


def _mean(group: Sequence[Row]) -> Row:
    """Return a row with the mean of the numbers that all rows of a group have."""
    if len(group) == 1:
        return group[0]
    first = group[0]
    changes: dict[str, object] = {
        name: _mean_of([getattr(row, name) for row in group]) for name in LANDSCAPE_FIELDS
    }
    names = {name for row in group for name in row.intervals}
    # A number without an interval is known.
    bounds = {
        name: [row.intervals.get(name) or _known(getattr(row, name)) for row in group]
        for name in sorted(names)
    }
    changes["intervals"] = {
        name: Interval(
            low=_mean_of([one.low for one in found]), high=_mean_of([one.high for one in found])
        )
        for name, found in bounds.items()
    }
    potentials = ", ".join(row.potential for row in group)
    return first.model_copy(update={**changes, "potential": f"mean of {potentials}"})


def _known(value: float | None) -> Interval:
    return Interval(low=value, high=value)


def _mean_of(values: Sequence[float | None]) -> float | None:
    """Return a mean; None where a value is missing: infinite, or not computed."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
