"""From a candidate to a crystal that can be computed, or the reason why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymatgen.core import Species, Structure

from superionic.errors import InputError, Remark
from superionic.structures.candidate import Candidate, structure_hash
from superionic.structures.cells import primitive_cell, space_group, supercell_repeats
from superionic.structures.checks import (
    check_crystal,
    check_distances,
    check_ions,
    check_size,
    density_remarks,
    merge_coincident_sites,
    wrapped,
)
from superionic.structures.ordering import Ordering, OrderingSettings, order
from superionic.structures.species import (
    element_composition,
    element_symbol,
    isotope,
    parse_mobile_species,
)


@dataclass(frozen=True)
class PrepareSettings:
    """How a crystal is made calculable.

    Parameters
    ----------
    primitive : bool
        Reduce to a primitive cell. Cells that are primitive already stay as they are given.
    symprec_A : float
        Tolerance in A of symmetry, translations included.
    min_distance_A : float
        Two atoms closer than this, in A, overlap, whatever they are.
    min_radii_fraction : float
        Two atoms closer than this fraction of the sum of their covalent radii overlap.
    merge_distance_A : float
        Sites closer than this, in A, are the same site listed twice.
    max_atoms : int
        Largest cell that is accepted.
    composition_tolerance : float
        Largest deviation of the composition when partial occupancies are ordered, as in
        :class:`~superionic.structures.ordering.OrderingSettings`.
    ordering_max_atoms : int
        Largest cell that is tried when partial occupancies are ordered.
    ordering_max_arrangements : int
        Up to this many arrangements all are compared.
    ordering_seed : int
        Seed of the search when there are more.
    supercell_min_width_A : float or None
        Repeat the cell until each distance between opposite faces reaches this, in A; None keeps
        the cell.
    """

    primitive: bool = True
    symprec_A: float = 0.01
    min_distance_A: float = 0.6
    min_radii_fraction: float = 0.5
    merge_distance_A: float = 0.01
    max_atoms: int = 200
    composition_tolerance: float = 0.05
    ordering_max_atoms: int = 120
    ordering_max_arrangements: int = 20_000
    ordering_seed: int = 0
    supercell_min_width_A: float | None = None

    def ordering(self) -> OrderingSettings:
        """Return the part that concerns partial occupancies."""
        return OrderingSettings(
            composition_tolerance=self.composition_tolerance,
            max_atoms=min(self.ordering_max_atoms, self.max_atoms),
            max_arrangements=self.ordering_max_arrangements,
            min_distance_A=self.min_distance_A,
            symprec_A=self.symprec_A,
            seed=self.ordering_seed,
        )


@dataclass(frozen=True)
class PreparedCrystal:
    """A crystal that is ready for a potential.

    Parameters
    ----------
    material_id : str
        Identifier of the candidate.
    structure : pymatgen.core.Structure
        Ordered, elements only, no site properties.
    mobile_species : str
        Element of the mobile ions.
    mobile_indices : tuple of int
        Their indices in ``structure``.
    formula : str
        Reduced formula of ``structure``.
    original_formula : str
        Reduced formula of the candidate, partial occupancies included.
    spacegroup_number : int
        Of ``structure``; 1 when none was found.
    spacegroup_symbol : str
        International symbol.
    warnings : tuple of Remark
        What the user should know.
    steps : tuple of str
        What was done to the candidate, in order.
    """

    material_id: str
    structure: Structure
    mobile_species: str
    mobile_indices: tuple[int, ...]
    formula: str
    original_formula: str
    spacegroup_number: int
    spacegroup_symbol: str
    warnings: tuple[Remark, ...] = ()
    steps: tuple[str, ...] = ()

    @property
    def structure_hash(self) -> str:
        """Return the hash of the structure, the key of everything computed for it."""
        return structure_hash(self.structure)


def prepare(
    candidate: Candidate, mobile_species: str = "Li", settings: PrepareSettings | None = None
) -> PreparedCrystal:
    """Make a candidate calculable.

    In order: elements only, sites listed twice merged, primitive cell, partial occupancies
    ordered, supercell; and the checks of :mod:`superionic.structures.checks` in between.

    Parameters
    ----------
    candidate : Candidate
        The crystal as it came; it is not changed.
    mobile_species : str
        Element, with or without a charge, such as ``Li`` or ``F-``. All atoms of the element are
        mobile, whatever their charge.
    settings : PrepareSettings, optional
        Defaults when left out.

    Raises
    ------
    SettingsError
        When ``mobile_species`` is not the name of an ion.
    InputError
        One of its subclasses, naming the material, when the crystal cannot be made calculable.
    """
    settings = settings or PrepareSettings()
    mobile = parse_mobile_species(mobile_species).element
    try:
        return _prepare(candidate, mobile, settings)
    except InputError as error:
        error.for_material(candidate.material_id)
        raise


def orderings_of(
    candidate: Candidate,
    mobile_species: str = "Li",
    settings: PrepareSettings | None = None,
    n_orderings: int = 1,
) -> list[Candidate]:
    """Return low-energy orderings of a disordered candidate, each a candidate of its own.

    Their ids are the parent's with ``-o1``, ``-o2``, ... appended, the lowest in Ewald energy
    first; their provenance is the parent's with ``parent_id``, ``ordering_index`` and
    ``ordering_energy_eV`` (per atom, above the lowest one). There may be fewer than asked for.
    A candidate that is ordered comes back as it is, and so does one if a single ordering is asked
    for, since preparation makes that.

    Parameters
    ----------
    candidate : Candidate
        The crystal as it came.
    mobile_species : str
        Element, with or without a charge.
    settings : PrepareSettings, optional
        Defaults when left out.
    n_orderings : int
        Most orderings.

    Raises
    ------
    InputError
        One of its subclasses, naming the material, when the crystal cannot be ordered.
    """
    settings = settings or PrepareSettings()
    if n_orderings < 2 or candidate.structure.is_ordered:
        return [candidate]
    mobile = parse_mobile_species(mobile_species).element
    remarks: list[Remark] = []
    try:
        structure, charges, formula = _cleaned(candidate, mobile, settings, [], remarks)
        if structure.is_ordered:
            return [candidate]
        found = order(structure, settings.ordering(), charges, n_orderings)
    except InputError as error:
        error.for_material(candidate.material_id)
        raise
    children = []
    for index, ordering in enumerate(found, start=1):
        above_eV = (ordering.energy_eV - found[0].energy_eV) / len(ordering.structure)
        notes = [*remarks, _ordering_remark(formula, ordering)]
        children.append(
            Candidate(
                f"{candidate.material_id}-o{index}",
                ordering.structure,
                candidate.source,
                {
                    **candidate.provenance,
                    "parent_id": candidate.material_id,
                    "ordering_index": index,
                    "ordering_energy_eV": above_eV,
                    "remarks": [{"code": note.code, "text": note.text} for note in notes],
                },
            )
        )
    return children


def _cleaned(
    candidate: Candidate,
    mobile: str,
    settings: PrepareSettings,
    steps: list[str],
    remarks: list[Remark],
) -> tuple[Structure, dict[str, float] | None, str]:
    """Return what is ready to be ordered: the structure, the elements' charges, the formula."""
    check_crystal(candidate.structure)
    remarks += [Remark(**remark) for remark in candidate.provenance.get("remarks", ())]
    structure, moved = wrapped(candidate.structure)
    remarks += moved
    structure, charges = _elements_only(structure, steps, remarks)
    original_formula = structure.composition.reduced_formula
    check_ions(structure, mobile)
    structure, merged = merge_coincident_sites(structure, settings.merge_distance_A)
    remarks += merged
    steps += [remark.text for remark in merged]
    if settings.primitive:
        structure = _primitive(structure, settings, steps)
    return structure, charges, original_formula


def _prepare(candidate: Candidate, mobile: str, settings: PrepareSettings) -> PreparedCrystal:
    remarks: list[Remark] = []
    steps: list[str] = []
    structure, charges, original_formula = _cleaned(candidate, mobile, settings, steps, remarks)
    if not structure.is_ordered:
        ordering = order(structure, settings.ordering(), charges)[0]
        structure = ordering.structure
        steps.append(_ordering_step(ordering))
        remark = _ordering_remark(original_formula, ordering)
        hint = "Of its arrangements one is computed; --orderings 5 shows how much that matters."
        remarks.append(Remark(remark.code, f"{remark.text} {hint}"))
        if settings.primitive:
            structure = _primitive(structure, settings, steps)
    if settings.supercell_min_width_A is not None:
        structure = _supercell(structure, settings.supercell_min_width_A, steps)

    check_size(structure, settings.max_atoms)
    check_distances(structure, settings.min_distance_A, settings.min_radii_fraction)
    remarks += density_remarks(structure)
    group = space_group(structure, settings.symprec_A)
    if group is None:
        remarks.append(Remark("no_symmetry", "No space group was found; P1 is assumed."))
    return PreparedCrystal(
        material_id=candidate.material_id,
        structure=structure,
        mobile_species=mobile,
        mobile_indices=check_ions(structure, mobile),
        formula=structure.composition.reduced_formula,
        original_formula=original_formula,
        spacegroup_number=group.number if group else 1,
        spacegroup_symbol=group.symbol if group else "P1",
        warnings=tuple(remarks),
        steps=tuple(steps),
    )


def _elements_only(
    structure: Structure, steps: list[str], remarks: list[Remark]
) -> tuple[Structure, dict[str, float] | None]:
    """Return the structure without oxidation states, and the mean charge of each element.

    The charges are None unless every species carries one.
    """
    species = [(sp, amount) for site in structure for sp, amount in site.species.items()]
    for name in sorted({name for sp, _ in species if (name := isotope(sp))}):
        text = f"{name} is treated as H."
        remarks.append(Remark("isotope", text))
        steps.append(text)
    plain = Structure(
        structure.lattice,
        [element_composition(site.species) for site in structure],
        structure.frac_coords,
    )
    charges = _mean_charges(species)
    if charges is not None:
        steps.append("Oxidation states were taken off.")
    return plain, charges


def _mean_charges(species: Sequence[tuple[Any, float]]) -> dict[str, float] | None:
    if not all(isinstance(sp, Species) and sp.oxi_state is not None for sp, _ in species):
        return None
    totals: dict[str, tuple[float, float]] = {}
    for sp, amount in species:
        charge, weight = totals.get(element_symbol(sp), (0.0, 0.0))
        totals[element_symbol(sp)] = (charge + amount * sp.oxi_state, weight + amount)
    return {symbol: charge / weight for symbol, (charge, weight) in totals.items()}


def _primitive(structure: Structure, settings: PrepareSettings, steps: list[str]) -> Structure:
    reduced = primitive_cell(structure, settings.symprec_A)
    if len(reduced) < len(structure):
        steps.append(f"Reduced from {len(structure)} to {len(reduced)} sites (primitive cell).")
    return reduced


def _supercell(structure: Structure, min_width_A: float, steps: list[str]) -> Structure:
    repeats = supercell_repeats(structure.lattice, min_width_A)
    if repeats == (1, 1, 1):
        return structure
    steps.append("Repeated {} x {} x {}".format(*repeats) + f" for a width of {min_width_A:g} A.")
    return structure.make_supercell(repeats, in_place=False)


def computed_cell(structure: Structure, settings: PrepareSettings) -> Structure:
    """Return an ordered crystal in the cell that settings ask for: primitive, and wide enough.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        In any cell.
    settings : PrepareSettings
        As for :func:`prepare`.
    """
    if settings.primitive:
        structure = _primitive(structure, settings, [])
    if settings.supercell_min_width_A is not None:
        structure = _supercell(structure, settings.supercell_min_width_A, [])
    return structure


def _ordering_step(ordering: Ordering) -> str:
    search = (
        "all arrangements compared" if ordering.exhaustive else "arrangements searched by swaps"
    )
    return (
        f"Partial occupancies were ordered in {ordering.n_cells} cell(s),"
        f" {len(ordering.structure)} atoms: lowest Ewald energy, charges {ordering.charges},"
        f" {search}."
    )


_NOTED_DEVIATION = 0.01


def _ordering_remark(original_formula: str, ordering: Ordering) -> Remark:
    text = (
        f"{original_formula} has partial occupancies; computed is an ordered approximant,"
        f" {ordering.structure.composition.reduced_formula}, whose composition deviates by"
        f" {100 * ordering.composition_deviation:.1f} %"
    )
    name, wanted, held = ordering.worst
    if abs(held - wanted) > _NOTED_DEVIATION * wanted:
        text += f"; most in {name}, {held} for {wanted:.3g}"
    return Remark("ordered", f"{text}.")
