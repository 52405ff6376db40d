"""From partial occupancies to an ordered cell: rounding per orbit, then lowest Ewald energy."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition, Element, Structure

from superionic.errors import DisorderError
from superionic.structures.cells import compact_supercell, orbits
from superionic.structures.ewald import Arrangement, ArrangementProblem, lowest_arrangements

_MAX_ROUNDINGS = 2_000
_MAX_CELLS = 24
_FULL = 1e-3
_ELEMENT_FACTOR = 4.0
"""How much larger than that of the composition the tolerance of a single element's amount is."""
_MAX_DEVIATION = 1.0
"""No element is doubled by rounding, or more than that."""


@dataclass(frozen=True)
class OrderingSettings:
    """Limits of the ordering.

    Parameters
    ----------
    composition_tolerance : float
        Largest deviation of the composition: atoms added, left out or exchanged, summed over
        elements, divided by the number of atoms.
    max_atoms : int
        Largest ordered cell. The smallest supercell that meets the tolerance is taken.
    max_arrangements : int
        Up to this many arrangements all are compared; beyond, a seeded search by swaps is made.
    min_distance_A : float
        Arrangements with atoms closer than this are avoided.
    symprec_A : float
        Tolerance of the symmetry that makes sites equivalent.
    seed : int
        Of the search by swaps.
    """

    composition_tolerance: float = 0.05
    max_atoms: int = 120
    max_arrangements: int = 20_000
    min_distance_A: float = 0.6
    symprec_A: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class Ordering:
    """One ordered approximant of a disordered crystal.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        Ordered, elements only.
    composition_deviation : float
        Deviation of the composition, in the sense of :class:`OrderingSettings`.
    energy_eV : float
        Ewald energy of the cell with the charges used; comparable within one crystal only.
    charges : str
        Where the charges came from: ``given``, ``guessed`` or ``electronegativity``.
    n_cells : int
        Size of the supercell, in cells of the input.
    exhaustive : bool
        Whether all arrangements were compared.
    worst : tuple of (str, float, int)
        The element whose amount rounding changed most: its symbol, how many atoms of it the cell
        should hold, and how many it holds.
    """

    structure: Structure
    composition_deviation: float
    energy_eV: float
    charges: str
    n_cells: int
    exhaustive: bool
    worst: tuple[str, float, int]


@dataclass(frozen=True)
class _Orbit:
    """Equivalent, equally occupied sites: indices, and the fraction of each element."""

    sites: NDArray[np.int_]
    fractions: tuple[tuple[str, float], ...]

    @property
    def disordered(self) -> bool:
        return len(self.fractions) > 1 or self.fractions[0][1] < 1.0 - _FULL


@dataclass(frozen=True)
class _Rounding:
    """Whole atoms for each orbit of a supercell.

    ``lost`` are elements of which none is left; ``worst`` is the element whose amount is off most,
    with the atoms that there should be and those that there are, ``worst_deviation`` by which
    fraction.
    """

    groups: list[_Orbit]
    n_cells: int
    counts: list[tuple[int, ...]]
    deviation: float
    lost: tuple[str, ...]
    worst: tuple[str, float, int]
    worst_deviation: float


def order(
    structure: Structure,
    settings: OrderingSettings | None = None,
    charges: Mapping[str, float] | None = None,
    n_orderings: int = 1,
) -> list[Ordering]:
    """Return ordered approximants of a disordered crystal, lowest Ewald energy first.

    The occupancies of each symmetry orbit are rounded so that no element vanishes and the
    composition of the whole crystal is met best. When the deviation is above the tolerance, or the
    amount of any element off by more than four times it, larger supercells are tried up to the cap;
    if none meets the latter, the one is taken that comes nearest and does not more than double any
    element. Orbits of equal occupancies that
    whole atoms cannot fill one by one are rounded as one. The atoms are then arranged on the sites
    of their orbit for the lowest Ewald energy, with the given charges, else with oxidation states
    guessed from the composition, else (no charge-neutral guess) with pseudo-charges that are
    proportional to the mean electronegativity minus the element's, which keeps like species apart.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        Elements only, no oxidation states; a primitive cell costs least.
    settings : OrderingSettings, optional
        Limits.
    charges : mapping of str to float, optional
        Oxidation state of each element, when the input gave one.
    n_orderings : int
        Largest number of arrangements that are returned. They differ in energy by more than
        0.1 meV, so that symmetry-equivalent ones do not repeat.

    Raises
    ------
    DisorderError
        When no cell within the cap meets the tolerance, or an element is too dilute for it; it
        names the site that is worst, or the element.
    """
    settings = settings or OrderingSettings()
    groups = _orbits(structure, settings.symprec_A)
    n_atoms = structure.composition.num_atoms
    best_seen = _round(_pool(groups, 1), 1), 1
    fallback: _Rounding | None = None
    for n_cells in range(1, min(_MAX_CELLS, int(settings.max_atoms / n_atoms + 1e-6)) + 1):
        rounded = _round(_pool(groups, n_cells), n_cells)
        if rounded.deviation < best_seen[0].deviation:
            best_seen = rounded, n_cells
        n_ordered = sum(sum(c) for c in rounded.counts)
        if (
            rounded.deviation > settings.composition_tolerance
            or rounded.lost
            or rounded.worst_deviation > _MAX_DEVIATION
            or not 0 < n_ordered <= settings.max_atoms
        ):
            continue
        if fallback is None or rounded.worst_deviation < fallback.worst_deviation:
            fallback = rounded
        if rounded.worst_deviation <= _ELEMENT_FACTOR * settings.composition_tolerance:
            break
    if fallback is not None:
        return _arrange(structure, fallback, settings, charges, n_orderings)
    raise _cannot_order(structure, groups, settings, *best_seen)


def _orbits(structure: Structure, symprec_A: float) -> list[_Orbit]:
    heads = orbits(structure, symprec_A)
    found = []
    for head in np.unique(heads):
        amounts = structure[int(head)].species.items()
        fractions = tuple(sorted((el.symbol, float(amount)) for el, amount in amounts))
        found.append(_Orbit(np.flatnonzero(heads == head), fractions))
    return found


def _pool(groups: list[_Orbit], n_cells: int) -> list[_Orbit]:
    """Join orbits of equal occupancies that cannot be filled with whole atoms one by one.

    How many atoms each of them gets is then left to the energy, not to the rounding. It matters
    for crystals whose symmetry is broken by noise, where every site is an orbit.
    """
    alone: list[_Orbit] = []
    joined: dict[tuple[tuple[str, float], ...], _Orbit] = {}
    for group in groups:
        wanted = np.array([f * len(group.sites) * n_cells for _, f in group.fractions])
        if np.abs(wanted - np.rint(wanted)).max() < _FULL * len(group.sites) * n_cells:
            alone.append(group)
            continue
        key = tuple((name, round(f, 3)) for name, f in group.fractions)
        before = joined.get(key)
        sites = group.sites if before is None else np.append(before.sites, group.sites)
        joined[key] = _Orbit(sites, group.fractions)
    return [*alone, *joined.values()]


def _round(groups: list[_Orbit], n_cells: int) -> _Rounding:
    """Return how many atoms of each element each orbit gets.

    Each count is the floor or the ceiling of what the occupancy asks for. Of all combinations the
    one that loses fewest elements, then with the smallest deviation of the composition, then of the
    single orbits, is taken.
    """
    wanted = [np.array([f * len(g.sites) * n_cells for _, f in g.fractions]) for g in groups]
    options = [_roundings(w, len(g.sites) * n_cells) for g, w in zip(groups, wanted, strict=True)]
    if prod(map(len, options)) > _MAX_ROUNDINGS:
        options = [o[:1] for o in options]
    elements = sorted({name for g in groups for name, _ in g.fractions})
    column = {name: i for i, name in enumerate(elements)}
    target = np.zeros(len(elements))
    for group, amounts in zip(groups, wanted, strict=True):
        for (name, _), amount in zip(group.fractions, amounts, strict=True):
            target[column[name]] += amount

    def totals(choice: tuple[tuple[int, ...], ...]) -> NDArray[np.int_]:
        total = np.zeros(len(elements), dtype=int)
        for group, counts in zip(groups, choice, strict=True):
            for (name, _), count in zip(group.fractions, counts, strict=True):
                total[column[name]] += count
        return total

    def score(choice: tuple[tuple[int, ...], ...]) -> tuple[int, float, float]:
        total = totals(choice)
        pairs = zip(wanted, choice, strict=True)
        local = sum(float(np.abs(amounts - counts).sum()) for amounts, counts in pairs)
        deviation = float(np.abs(total - target).sum() / target.sum())
        return int(np.count_nonzero(total == 0)), round(deviation, 9), round(local, 9)

    best = min(product(*options), key=score)
    total = totals(best)
    relative = np.abs(total - target) / target
    worst = int(relative.argmax())
    return _Rounding(
        groups,
        n_cells,
        list(best),
        score(best)[1],
        tuple(name for name, count in zip(elements, total, strict=True) if count == 0),
        (elements[worst], float(target[worst]), int(total[worst])),
        float(relative[worst]),
    )


def _roundings(wanted: NDArray[np.float64], n_sites: int) -> list[tuple[int, ...]]:
    """Return the integer counts next to ``wanted``, the nearest first."""
    low = np.floor(wanted + 1e-6).astype(int)
    high = np.ceil(wanted - 1e-6).astype(int)
    full = wanted.sum() > n_sites * (1.0 - _FULL)
    choices = [
        counts
        for counts in product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))
        if (sum(counts) == n_sites if full else sum(counts) <= n_sites)
    ]
    return sorted(choices, key=lambda c: (round(float(np.abs(wanted - c).sum()), 9), c))


def _arrange(
    structure: Structure,
    rounded: _Rounding,
    settings: OrderingSettings,
    charges: Mapping[str, float] | None,
    n_orderings: int,
) -> list[Ordering]:
    groups, counts, n_cells = rounded.groups, rounded.counts, rounded.n_cells
    cell, parents = _supercell(structure, n_cells)
    amounts: dict[str, int] = {}
    for group, group_counts in zip(groups, counts, strict=True):
        for (name, _), count in zip(group.fractions, group_counts, strict=True):
            amounts[name] = amounts.get(name, 0) + count
    composition = Composition({name: n for name, n in amounts.items() if n})
    source, table = _charges(composition, charges)
    # Species of each group are numbered; -1 is a vacancy.
    names = sorted(amounts)
    sublattices = []
    for group, group_counts in zip(groups, counts, strict=True):
        sites = np.flatnonzero(np.isin(parents, group.sites))
        labels = [
            names.index(name)
            for (name, _), count in zip(group.fractions, group_counts, strict=True)
            for _ in range(count)
        ]
        sublattices.append((sites, np.array(labels + [-1] * (len(sites) - len(labels)))))
    problem = ArrangementProblem(
        cell,
        sublattices,
        np.array([table.get(name, 0.0) for name in names]),
        settings.min_distance_A,
    )
    found, exhaustive = lowest_arrangements(
        problem, n_orderings, settings.max_arrangements, settings.seed
    )
    return [
        Ordering(
            _build(cell, names, a),
            rounded.deviation,
            a.energy_eV,
            source,
            n_cells,
            exhaustive,
            rounded.worst,
        )
        for a in found
    ]


def _supercell(structure: Structure, n_cells: int) -> tuple[Structure, NDArray[np.int_]]:
    """Return the supercell and, for each of its sites, the site of the input that it repeats."""
    cell = structure.copy(site_properties={"parent": list(range(len(structure)))})
    if n_cells > 1:
        cell = cell.make_supercell(compact_supercell(structure.lattice, n_cells), in_place=False)
    return cell, np.array(cell.site_properties["parent"], dtype=int)


def _build(cell: Structure, names: list[str], arrangement: Arrangement) -> Structure:
    kept = np.flatnonzero(arrangement.labels >= 0)
    species = [names[arrangement.labels[i]] for i in kept]
    return Structure(cell.lattice, species, cell.frac_coords[kept])


def _charges(
    composition: Composition, given: Mapping[str, float] | None
) -> tuple[str, Mapping[str, float]]:
    names = [el.symbol for el in composition]
    if given is not None and all(name in given for name in names):
        return "given", given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guesses = composition.oxi_state_guesses(max_sites=-1)
    if guesses and any(guesses[0].values()):
        return "guessed", guesses[0]
    electronegativity = {name: _electronegativity(name) for name in names}
    mean = sum(electronegativity[n] * composition.get_atomic_fraction(n) for n in names)
    return "electronegativity", {n: mean - x for n, x in electronegativity.items()}


def _electronegativity(symbol: str) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # noble gases have none
        value = float(Element(symbol).X)
    return value if np.isfinite(value) else 2.0


def _cannot_order(
    structure: Structure,
    groups: list[_Orbit],
    settings: OrderingSettings,
    rounded: _Rounding,
    n_cells: int,
) -> DisorderError:
    deviation = rounded.deviation
    if rounded.lost or rounded.worst[1] < 0.5:
        name = rounded.lost[0] if rounded.lost else rounded.worst[0]
        amount = structure.composition[name]
        n_atoms = structure.composition.num_atoms
        return DisorderError(
            f"{name} is too dilute for the cap of {settings.max_atoms} atoms: there are"
            f" {amount:.3g} of it in a cell of {n_atoms:.4g} atoms, so that one whole {name} takes"
            f" {1 / amount:.0f} cells, {n_atoms / amount:.0f} atoms; no element is rounded away.",
            hint="Give an ordered cell, or raise the cap on atoms.",
        )

    def misfit(group: _Orbit) -> float:
        wanted = np.array([f * len(group.sites) * n_cells for _, f in group.fractions])
        return float(np.abs(wanted - np.rint(wanted)).sum())

    disordered = [g for g in groups if g.disordered]
    worst = max(disordered, key=misfit)
    site = structure[int(worst.sites[0])]
    where = ", ".join(f"{x:.4f}" for x in site.frac_coords)
    return DisorderError(
        f"Partial occupancies cannot be ordered within {settings.max_atoms} atoms: the smallest"
        f" deviation of the composition is {100 * deviation:.1f} % in {n_cells} cell(s), above the"
        f" tolerance of {100 * settings.composition_tolerance:.1f} %; the site that fits worst is"
        f" {site.species_string} at ({where}), {len(worst.sites)} in a cell of"
        f" {structure.composition.num_atoms:.4g} atoms.",
        hint="Give an ordered cell, raise the cap on atoms, or widen the composition tolerance.",
    )
