"""Which candidates go on: a declarative list of filters, with a count of what each one removed.

In a campaign file::

    filters:
      - {filter: band_gap, min_eV: 0.5}
      - {filter: hull, max_eV_per_atom: 0.05}
      - {filter: elements, exclude: [Fe, Co, Ni]}
      - {filter: radioactive}
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pymatgen.core import Composition, Element

from superionic.errors import InputError, SettingsError
from superionic.structures.candidate import Candidate
from superionic.structures.checks import cell_widths
from superionic.structures.species import element_composition, parse_mobile_species
from superionic.yaml_file import read_yaml

TOXIC = ("As", "Be", "Cd", "Hg", "Pb", "Tl")
"""Elements whose common compounds are acutely toxic or carcinogenic in small amounts."""


CRUST_PPM: dict[str, float] = {
    "H": 1400, "He": 0.008, "Li": 20, "Be": 2.8, "B": 10, "C": 200, "N": 19, "O": 461000,
    "F": 585, "Ne": 0.005, "Na": 23600, "Mg": 23300, "Al": 82300, "Si": 282000, "P": 1050,
    "S": 350, "Cl": 145, "Ar": 3.5, "K": 20900, "Ca": 41500, "Sc": 22, "Ti": 5650, "V": 120,
    "Cr": 102, "Mn": 950, "Fe": 56300, "Co": 25, "Ni": 84, "Cu": 60, "Zn": 70, "Ga": 19,
    "Ge": 1.5, "As": 1.8, "Se": 0.05, "Br": 2.4, "Kr": 1e-4, "Rb": 90, "Sr": 370, "Y": 33,
    "Zr": 165, "Nb": 20, "Mo": 1.2, "Ru": 0.001, "Rh": 0.001, "Pd": 0.015, "Ag": 0.075,
    "Cd": 0.15, "In": 0.25, "Sn": 2.3, "Sb": 0.2, "Te": 0.001, "I": 0.45, "Xe": 3e-5, "Cs": 3,
    "Ba": 425, "La": 39, "Ce": 66.5, "Pr": 9.2, "Nd": 41.5, "Sm": 7.05, "Eu": 2.0, "Gd": 6.2,
    "Tb": 1.2, "Dy": 5.2, "Ho": 1.3, "Er": 3.5, "Tm": 0.52, "Yb": 3.2, "Lu": 0.8, "Hf": 3.0,
    "Ta": 2.0, "W": 1.25, "Re": 7e-4, "Os": 0.0015, "Ir": 0.001, "Pt": 0.005, "Au": 0.004,
    "Hg": 0.085, "Tl": 0.85, "Pb": 14, "Bi": 0.0085, "Th": 9.6, "U": 2.7,
}  # fmt: skip
"""Abundance in the Earth's crust, in mg/kg; elements that are not listed have none to speak of.

CRC Handbook of Chemistry and Physics, "Abundance of elements in the Earth's crust and in the sea",
entered by hand.
"""


class _Filter(BaseModel):
    """A condition that a candidate fulfils or not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def reason_against(self, candidate: Candidate, composition: Composition) -> str | None:
        """Return why a candidate is removed, None if it stays.

        Parameters
        ----------
        candidate : Candidate
            The crystal as it was read.
        composition : pymatgen.core.Composition
            Its composition by elements.
        """
        raise NotImplementedError

    def label(self) -> str:
        """Return the filter with its settings, in one line."""
        fields = self.model_dump(exclude_defaults=True, exclude={"filter"})
        settings = ", ".join(f"{name} {_text(value)}" for name, value in fields.items())
        return f"{self.model_dump()['filter']} {settings}".strip()


class _RecordedNumber(_Filter):
    """A limit on a number that the database gave with the crystal."""

    unknown: Literal["keep", "remove"] = Field(
        "keep", description="What becomes of crystals for which the number is not known."
    )

    def between(
        self, candidate: Candidate, key: str, low: float | None, high: float | None, unit: str
    ) -> str | None:
        value = candidate.provenance.get(key)
        if not isinstance(value, int | float) or value != value:
            return f"its {key} is not known" if self.unknown == "remove" else None
        return _outside(float(value), low, high, f"{key} of", unit)


class BandGap(_RecordedNumber):
    """A range of the band gap."""

    filter: Literal["band_gap"]
    min_eV: float | None = Field(None, description="Smallest gap in eV.")
    max_eV: float | None = Field(None, description="Largest gap in eV.")
    key: str = Field("band_gap_eV", description="Name under which the candidate carries it.")

    def reason_against(self, candidate: Candidate, composition: Composition) -> str | None:
        """See the base class."""
        return self.between(candidate, self.key, self.min_eV, self.max_eV, "eV")


class Hull(_RecordedNumber):
    """A largest energy above the convex hull."""

    filter: Literal["hull"]
    max_eV_per_atom: float = Field(description="Largest energy above the hull in eV/atom.")
    key: str = Field(
        "energy_above_hull_eV_per_atom", description="Name under which the candidate carries it."
    )

    def reason_against(self, candidate: Candidate, composition: Composition) -> str | None:
        """See the base class."""
        return self.between(candidate, self.key, None, self.max_eV_per_atom, "eV/atom")


class Elements(_Filter):
    """Elements that a crystal must hold, must not hold, or may hold alone."""

    filter: Literal["elements"]
    require: list[str] = Field(default_factory=list, description="All of these.")
    exclude: list[str] = Field(default_factory=list, description="None of these.")
    only: list[str] = Field(default_factory=list, description="Nothing but these; empty: any.")

    @model_validator(mode="after")
    def _known(self) -> "Elements":
        _check_symbols([*self.require, *self.exclude, *self.only])
        return self

    def reason_against(self, candidate: Candidate, composition: Composition) -> str | None:
        """See the base class."""
        held = _symbols(composition)
        if bad := sorted(held & set(self.exclude)):
            return f"it holds {', '.join(bad)}"
        if bad := sorted(set(self.require) - held):
            return f"it holds no {', '.join(bad)}"
        if self.only and (bad := sorted(held - set(self.only))):
            return f"it holds {', '.join(bad)}"
        return None


class NumberOfAtoms(_Filter):
    """A range of the number of atoms in the cell as it was read."""

    filter: Literal["n_atoms"]
    min: float | None = Field(None, description="Fewest atoms.")
    max: float | None = Field(None, description="Most atoms.")

    def reason_against(self, candidate: Candidate, composition: Composition) -> str | None:
        """See the base class."""
        return _outside(float(composition.num_atoms), self.min, self.max, "it has", "atoms")


class Radioactive(_Filter):
    """Remove elements without a stable isotope: Tc, Pm, and everything from Po on."""

    filter: Literal["radioactive"]
    allow: list[str] = Field(default_factory=list, description="Allowed nevertheless, e.g. Th.")

    def reason_against(self, candidate: Candidate, composition: Composition) -> str | None:
        """See the base class."""
        found = {s for s in _symbols(composition) if Element(s).Z in (43, 61) or Element(s).Z > 83}
        bad = sorted(found - set(self.allow))
        return f"it holds {', '.join(bad)}, radioactive" if bad else None


class Toxic(_Filter):
    """Remove toxic elements; the list can be changed."""

    filter: Literal["toxic"]
    elements: list[str] = Field(
        default_factory=lambda: list(TOXIC),
        description="Which are taken for toxic; by default As, Be, Cd, Hg, Pb and Tl.",
    )

    @model_validator(mode="after")
    def _known(self) -> "Toxic":
        _check_symbols(self.elements)
        return self

    def reason_against(self, candidate: Candidate, composition: Composition) -> str | None:
        """See the base class."""
        bad = sorted(_symbols(composition) & set(self.elements))
        return f"it holds {', '.join(bad)}, toxic" if bad else None


class Abundance(_Filter):
    """Remove elements that are rarer in the Earth's crust than a limit."""

    filter: Literal["abundance"]
    min_ppm: float = Field(description="Smallest abundance of any element, in mg/kg.")

    def reason_against(self, candidate: Candidate, composition: Composition) -> str | None:
        """See the base class."""
        rare = {s: CRUST_PPM.get(s, 0.0) for s in _symbols(composition)}
        bad = sorted(s for s, ppm in rare.items() if ppm < self.min_ppm)
        return ", ".join(f"{s} has {rare[s]:g} ppm" for s in bad) or None


class OxidationStates(_Filter):
    """Keep compositions that common oxidation states make neutral (pymatgen's guess)."""

    filter: Literal["oxidation_states"]
    mobile: str | None = Field(
        None, description="Ion with its charge, such as Li+; the likeliest guess must have it."
    )

    @model_validator(mode="after")
    def _charged(self) -> "OxidationStates":
        if self.mobile is not None:
            try:
                charge = parse_mobile_species(self.mobile).charge
            except SettingsError as error:
                raise ValueError(error.message) from None
            if charge is None:
                raise ValueError(f"{self.mobile!r} has no charge; write it as in Li+ or O2-")
        return self

    def reason_against(self, candidate: Candidate, composition: Composition) -> str | None:
        """See the base class."""
        states = _guessed_states(composition.reduced_formula)
        if not states:
            return "no common oxidation states make it neutral"
        if self.mobile is None:
            return None
        ion = parse_mobile_species(self.mobile)
        found = dict(states).get(ion.element)
        if found is not None and abs(found - (ion.charge or 0)) > 0.01:
            return f"its {ion.element} has the charge {found:+.2g}, not {ion.charge:+d}"
        return None


class CellWidth(_Filter):
    """A range of the shortest distance between opposite faces of the cell as it was read."""

    filter: Literal["cell_width"]
    min_A: float | None = Field(None, description="Smallest width in A.")
    max_A: float | None = Field(None, description="Largest width in A.")

    def reason_against(self, candidate: Candidate, composition: Composition) -> str | None:
        """See the base class."""
        width_A = float(cell_widths(candidate.structure.lattice).min())
        return _outside(width_A, self.min_A, self.max_A, "it is", "A wide")


AnyFilter = Annotated[
    BandGap
    | Hull
    | Elements
    | NumberOfAtoms
    | Radioactive
    | Toxic
    | Abundance
    | OxidationStates
    | CellWidth,
    Field(discriminator="filter"),
]
"""One entry of the list ``filters``."""

_ADAPTER: TypeAdapter[list[AnyFilter]] = TypeAdapter(list[AnyFilter])


def parse_filters(entries: Any, where: str = "filters") -> list[AnyFilter]:
    """Return the filters of a list as it stands in a campaign file.

    Parameters
    ----------
    entries : list of dict
        Each with its kind under ``filter``.
    where : str
        Named in errors.

    Raises
    ------
    SettingsError
        When a kind or a setting is unknown or wrong.
    """
    try:
        return _ADAPTER.validate_python(entries if entries is not None else [])
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        )
        raise SettingsError(
            f"The list of filters in {where} is wrong: {faults}.",
            hint="An entry is, for example, {filter: band_gap, min_eV: 0.5}.",
        ) from None


def read_filters(path: Path) -> list[AnyFilter]:
    """Return the filters of a YAML file: its list ``filters``, whatever else it holds.

    Raises
    ------
    SettingsError
        When the file cannot be read, has no such list, or an entry is wrong.
    """
    content = read_yaml(path, f"{path} cannot be read", "Give a YAML file.")
    if not isinstance(content, dict) or "filters" not in content:
        raise SettingsError(f"{path} holds no list 'filters'.", hint="Write one, or leave it out.")
    return parse_filters(content["filters"], str(path))


class FilterChain:
    """Filters for a stream of candidates; it counts what each one removed.

    Parameters
    ----------
    filters : sequence of filters
        From :func:`parse_filters`.
    """

    def __init__(self, filters: Sequence[AnyFilter]) -> None:
        self.filters = filters
        self.reasons: dict[str, str] = {}
        self._counts = [0] * len(filters)

    @property
    def removed(self) -> list[tuple[str, int]]:
        """Return for each filter its label and how many it removed so far."""
        return [(one.label(), n) for one, n in zip(self.filters, self._counts, strict=True)]

    def pass_on(self, found: Iterable[Candidate | InputError]) -> Iterator[Candidate | InputError]:
        """Yield what passes all filters, and all errors."""
        for one in found:
            if isinstance(one, InputError) or not self._removes(one):
                yield one

    def _removes(self, candidate: Candidate) -> bool:
        try:
            composition = element_composition(candidate.structure.composition)
        except InputError:  # a dummy species; preparation says what is wrong
            return False
        for i, one in enumerate(self.filters):
            reason = one.reason_against(candidate, composition)
            if reason is not None:
                self._counts[i] += 1
                self.reasons[candidate.material_id] = f"{one.label()}: {reason}"
                return True
        return False


def _outside(
    value: float, low: float | None, high: float | None, before: str, unit: str
) -> str | None:
    if low is not None and value < low:
        return f"{before} {value:g} {unit}, below {low:g}"
    if high is not None and value > high:
        return f"{before} {value:g} {unit}, above {high:g}"
    return None


def _symbols(composition: Composition) -> set[str]:
    return {element.symbol for element in composition.elements}


@lru_cache(maxsize=20_000)
def _guessed_states(reduced_formula: str) -> tuple[tuple[str, float], ...]:
    guesses = Composition(reduced_formula).oxi_state_guesses(max_sites=-1)
    return tuple(guesses[0].items()) if guesses else ()


def _check_symbols(symbols: Iterable[str]) -> None:
    if bad := [s for s in symbols if not Element.is_valid_symbol(s)]:
        raise ValueError(f"{', '.join(bad)}: no such element")


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else f"{value}"
