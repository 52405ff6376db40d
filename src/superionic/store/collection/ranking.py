"""Which rows of the collection are one ranking: one ion, one potential, one set of settings."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from superionic.schemas.screening import ScreeningDocument
from superionic.store.collection.survey import Group, Survey

_MOST_NAMED = 5


@dataclass(frozen=True)
class Ranking:
    """The rows that are shown together, and the rankings that are not.

    Parameters
    ----------
    survey : Survey
        What is known of the collection.
    group : Group or None
        The ranking; None where there is none of what was asked for, or all rows are meant.
    left_out : tuple of Group
        The other rankings of the collection, the largest first.
    every : bool
        Whether all rows are meant, each with the rank that it has in its own ranking.
    """

    survey: Survey
    group: Group | None
    left_out: tuple[Group, ...]
    every: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the collection holds rankings, but none of what was asked for."""
        return self.group is None and not self.every and bool(self.left_out)

    def others(self) -> "list[Ranking]":
        """Return the largest of the rankings that were left out, each by itself.

        None where there is no ranking that leaves them out.
        """
        return (
            []
            if self.group is None
            else [Ranking(self.survey, one, ()) for one in self.left_out[:_MOST_NAMED]]
        )

    def criteria(self) -> dict[str, Any]:
        """Return MongoDB criteria that its rows meet."""
        return {} if self.group is None else self.group.criteria()

    def holds(self, row: ScreeningDocument) -> bool:
        """Say whether a row is of it."""
        group = self.group
        return group is not None and row.ranked_among == (
            *(group.mobile_species, group.potential),
            *(group.potential_weights_sha256, group.settings or row.ranking_settings),
        )

    def notes(self) -> list[str]:
        """Return which ranking it is and what it left out, in words; nothing for all rows."""
        if self.every or not (self.group or self.left_out):
            return []
        names = _names([*([self.group] if self.group else []), *self.left_out])
        notes = []
        if self.group is None:
            notes.append("There is no such ranking.")
        else:
            notes.append(f"Ranking of {names[self.group]}: {_counted(self.group.n_rows)}.")
        if self.left_out:
            some = [
                f"{_counted(one.n_rows)} of {names[one]}" for one in self.left_out[:_MOST_NAMED]
            ]
            n_more = len(self.left_out) - len(some)
            more = f"; and {n_more} more rankings" if n_more else ""
            notes.append(f"Left out: {'; '.join(some)}{more}.")
        return notes


def choose_ranking(
    known: Survey,
    *,
    mobile_species: str | None = None,
    potential: str | None = None,
    settings: str | None = None,
    weights_sha256: str | None = None,
    every: bool = False,
) -> Ranking:
    """Return the ranking that is meant: of those that fit, the one with the most rows.

    Of several as large it is the first in alphabetical order of ion, potential and settings.

    Parameters
    ----------
    known : Survey
        What is known of the collection.
    mobile_species : str, optional
        The mobile ion.
    potential : str, optional
        A potential, or its family: ``chgnet`` is all of CHGNet.
    settings : str, optional
        The label of settings, or how it begins: ``0.4 A``.
    weights_sha256 : str, optional
        Hash of the potential's weights.
    every : bool
        Mean all rows, of all rankings.
    """
    if every:
        return Ranking(known, None, (), every=True)

    def order(group: Group) -> tuple[Any, ...]:
        named = group.mobile_species, group.potential, group.settings or ""
        return (-group.n_rows, *named, group.potential_weights_sha256)

    groups = sorted(known.groups, key=order)
    wanted = None if potential is None else potentials_named(known, potential)
    labels = None if settings is None else _labels_named(known, settings)
    for group in groups:
        if (
            mobile_species in (None, group.mobile_species)
            and (wanted is None or group.potential in wanted)
            and (labels is None or group.settings in labels)
            and weights_sha256 in (None, group.potential_weights_sha256)
        ):
            return Ranking(known, group, tuple(one for one in groups if one is not group))
    return Ranking(known, None, tuple(groups))


def rankings_of_potentials(ranking: Ranking) -> list[Ranking]:
    """Return for each potential its largest ranking of the same ion, that of the ranking first.

    Parameters
    ----------
    ranking : Ranking
        One of them.
    """
    if ranking.group is None:
        return []
    ion = ranking.group.mobile_species
    groups = [ranking.group, *(one for one in ranking.left_out if one.mobile_species == ion)]
    first: dict[str, Group] = {}
    for group in groups:
        first.setdefault(group.potential, group)
    return [
        Ranking(ranking.survey, group, tuple(one for one in groups if one is not group))
        for group in first.values()
    ]


def potentials_named(known: Survey, name: str) -> list[str]:
    """Return the potentials of a collection that a name means, as ``chgnet`` does all of CHGNet.

    Parameters
    ----------
    known : Survey
        What is known of the collection.
    name : str
        A potential, or its family.
    """
    potentials = sorted({group.potential for group in known.groups})
    if name in potentials:
        return [name]
    return [one for one in potentials if one.startswith(f"{name}:")] or [name]


def _labels_named(known: Survey, name: str) -> list[str]:
    labels = {group.settings or "" for group in known.groups}
    if name in labels:
        return [name]
    # Words that begin the label, but no part of a word: 0.2 is not 0.25 A.
    return sorted(one for one in labels if f"{one},".startswith((f"{name} ", f"{name},")))


def elsewhere_note(rankings: "Sequence[Ranking]") -> str:
    """Return in words in which other rankings something is found."""
    found = _names([one.group for one in rankings if one.group is not None])
    return f"Found in other rankings: {'; '.join(found.values())}." if found else ""


def ranking_name(mobile_species: str, potential: str, settings: str | None) -> str:
    """Return in words which ranking rows are of."""
    return ", ".join(filter(None, (f"{mobile_species} with {potential}", settings)))


def _names(groups: Sequence[Group]) -> dict[Group, str]:
    plain = {one: ranking_name(one.mobile_species, one.potential, one.settings) for one in groups}
    n_of = Counter(plain.values())
    return {
        group: name + (f" (weights {group.potential_weights_sha256[:8]})" * (n_of[name] > 1))
        for group, name in plain.items()
    }


def _counted(n: int) -> str:
    return f"{n} row{'s' * (n != 1)}"
