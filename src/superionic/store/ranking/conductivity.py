"""The conductivity that is to be expected, with an interval: reading its model and applying it.

The model is boosted regression trees that were fitted on measured conductivities, kept as a plain
file; nothing of what fitted them is needed to apply them.
"""

import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from math import isfinite, log10, sqrt
from pathlib import Path
from typing import Any

from superionic.errors import SettingsError
from superionic.schemas.screening import ScreeningDocument
from superionic.store.ranking.features import FEATURES

CONDUCTIVITY_FILE = "conductivity.json"
FORMAT = 1

_FRACTIONS = ("O", "S", "Se", "F", "Cl", "Br", "I", "N", "H", "P")
_PROPERTIES = ("X", "mendeleev_no", "row", "atomic_mass", "atomic_radius", "group")
_UNKNOWN = 2.0
"""Stands for a property that an element does not have in the table."""
_SAME = 0.002
"""Largest difference of an element's amounts in an atom, by which two compositions are the same."""
STRUCTURE = ("log10_volume_per_atom", "log10_volume_per_ion", "log10_volume_per_framework_atom")
DESCRIPTORS = (
    *("log10_fv_disconnected_2eV", "log10_free_volume_2eV_A3_per_ion"),
    *("log10_fv_connected", "mpe_eV", "barrier_3d_eV", "xi", "log10_fv_disconnected"),
    *("log10_free_volume_A3_per_ion", "barrier_1d_eV", "barrier_2d_eV"),
    *("log10_diffusivity_ratio_1000K", "log10_diffusivity_ratio_min_1000K"),
)
"""Numbers of the landscape, all in :data:`~superionic.store.ranking.features.FEATURES`."""


@dataclass(frozen=True)
class Tree:
    """One regression tree: arrays over its nodes, the root first.

    Parameters
    ----------
    feature : list of int
        Which input a node asks; negative in a leaf.
    threshold : list of float
        Inputs up to it go left.
    left, right : list of int
        Nodes below.
    value : list of float
        What a leaf says.
    """

    feature: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    value: list[float]

    def __call__(self, inputs: Sequence[float]) -> float:
        """Return the value of the leaf that inputs end in."""
        node = 0
        while self.feature[node] >= 0:
            goes_left = inputs[self.feature[node]] <= self.threshold[node]
            node = (self.left if goes_left else self.right)[node]
        return self.value[node]


@dataclass(frozen=True)
class TreeModel:
    """Boosted trees for the decimal logarithm of a conductivity, and the width of its interval.

    Parameters
    ----------
    name : str
        What it knows of a crystal: landscape, or composition.
    features : list of str
        Its inputs, in their order.
    start, rate : float
        Mean of the training set, and what each tree's value is multiplied by.
    trees : list of Tree
        Its trees.
    width : list of float
        Half of the interval at an estimate ``e`` is ``max(least, a + b e) q`` decades: a, b, least
        and q.
    n_rows : int
        Training samples.
    cross_validation : dict
        Measures of estimates for chemical systems that were left out.
    """

    name: str
    features: list[str]
    start: float
    rate: float
    trees: list[Tree]
    width: list[float]
    n_rows: int
    cross_validation: dict[str, Any]

    def estimate(self, inputs: Sequence[float]) -> float:
        """Return the logarithm of the conductivity in S/cm."""
        # Thresholds are of numbers in single precision.
        single = struct.unpack(f"{len(inputs)}f", struct.pack(f"{len(inputs)}f", *inputs))
        return self.start + self.rate * sum(tree(single) for tree in self.trees)

    def half_width(self, estimate: float) -> float:
        """Return half of the interval in decades."""
        a, b, least, q = self.width
        return max(least, a + b * estimate) * q


@dataclass(frozen=True)
class ConductivityEstimate:
    """A conductivity that is to be expected.

    Parameters
    ----------
    log10_S_per_cm, low, high : float
        Decimal logarithm of the conductivity in S/cm, with the ends of its interval.
    model : str
        What it was made from: landscape, or composition alone.
    strange : list of str
        Elements that no training sample has.
    """

    log10_S_per_cm: float
    low: float
    high: float
    model: str
    strange: list[str]


@dataclass(frozen=True)
class Conductivity:
    """Models for one mobile ion; the first for which a row has all inputs.

    Parameters
    ----------
    mobile_species, potential : str
        Mobile ion, and the potential of the landscapes.
    temperature_K, level : float
        Temperature of the conductivities, and coverage that the interval was made for.
    models : list of TreeModel
        The one with most inputs first.
    formulas : list of str
        Compositions of the training set: of its samples, and of the crystals that stand for them.
    source : str
        Where the measurements are from, with their licence.
    fitted_with : str
        Version of superionic.
    material_ids : list of str
        Identifiers of its samples and of the crystals that stand for them.
    """

    mobile_species: str
    potential: str
    temperature_K: float
    level: float
    models: list[TreeModel]
    formulas: list[str]
    source: str
    fitted_with: str
    material_ids: list[str] = field(default_factory=list)

    def lacks(self, row: ScreeningDocument) -> str | None:
        """Return why there is no estimate for a row, or None if there is."""
        if row.mobile_species != self.mobile_species:
            return f"not known for {row.mobile_species}: fitted on {self.mobile_species} only"
        if composition_inputs(row.formula or "", row.mobile_species):
            return None
        return f"no composition that can be read ({row.formula})"

    def estimate(self, row: ScreeningDocument) -> ConductivityEstimate:
        """Return the estimate of a row that lacks nothing."""
        known = inputs_of(row)
        model = self._model_for(row)
        return self.around(row, model.estimate([known[name] for name in model.features]))

    def of_composition(self, row: ScreeningDocument) -> float:
        """Return what the composition of a row that lacks nothing says alone, in log10 of S/cm."""
        model, known = self.models[-1], composition_inputs(row.formula, row.mobile_species)
        return model.estimate([known[name] for name in model.features])

    def around(self, row: ScreeningDocument, value: float) -> ConductivityEstimate:
        """Return an estimate of a row with its interval; this takes no composition apart."""
        model = self._model_for(row)
        width = model.half_width(value)
        strange = sorted(set(row.elements or ()) - self._elements())
        return ConductivityEstimate(value, value - width, value + width, model.name, strange)

    def knows(self, material_id: str, *formulas: str) -> str | None:
        """Return by what a crystal is one of the training set, or None if it is none of them.

        Parameters
        ----------
        material_id : str
            Its identifier.
        *formulas : str
            Its compositions: as it was published, and as it was ordered. A crystal of the training
            set under another name has its composition, so that none of them is missed.
        """
        if material_id in self.material_ids:
            return "by its identifier"
        known = _fractions_of(tuple(self.formulas))
        for one in filter(None, map(_fractions, formulas)):
            for other in known.get(tuple(one), ()):
                if all(abs(other[name] - amount) <= _SAME for name, amount in one.items()):
                    return "by its composition"
        return None

    def kin(self, chemical_system: str) -> bool:
        """Return whether a training sample has the same elements."""
        own = tuple(sorted(chemical_system.split("-")))
        return own in _fractions_of(tuple(self.formulas))

    def _model_for(self, row: ScreeningDocument) -> TreeModel:
        known = _numbers_of(row).keys()
        needed = {*STRUCTURE, *DESCRIPTORS}
        return next(
            model
            for model in self.models
            if (model.name == "composition" or row.potential == self.potential)
            and all(name in known for name in model.features if name in needed)
        )

    def _elements(self) -> frozenset[str]:
        return _elements_of(tuple(self.formulas))

    def to_json(self) -> str:
        """Return the models as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Conductivity":
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        SettingsError
            When it is something else.
        """
        try:
            content = json.loads(text)
            if content.pop("format") != FORMAT:
                raise ValueError("another format")
            models = [
                TreeModel(trees=[Tree(**tree) for tree in model.pop("trees")], **model)
                for model in content.pop("models")
            ]
            if not models:
                raise ValueError("no models")
            return cls(models=models, **content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SettingsError(
                f"This is no model of conductivities: {error}.",
                hint="Write one with 'superionic evaluate --obelix FILE --fit-conductivity FILE'.",
            ) from None


def conductivity_path() -> Path:
    """Return where the package keeps its model, whether there is one or not."""
    return Path(str(files("superionic.store.ranking").joinpath(CONDUCTIVITY_FILE)))


@cache
def load_conductivity() -> Conductivity | None:
    """Return the model of the package, or None if there is none.

    Raises
    ------
    SettingsError
        When the file is damaged.
    """
    path = conductivity_path()
    return Conductivity.from_json(path.read_text()) if path.is_file() else None


def estimate_conductivity(row: ScreeningDocument) -> ConductivityEstimate | None:
    """Return the conductivity that is to be expected of a ranked row; None where it has none."""
    value, model = row.scores.get("conductivity"), load_conductivity()
    return None if value is None or model is None else model.around(row, value)


def inputs_of(row: ScreeningDocument) -> dict[str, float]:
    """Return what models may ask of a row, as far as it is known."""
    return dict(composition_inputs(row.formula or "", row.mobile_species)) | _numbers_of(row)


def _numbers_of(row: ScreeningDocument) -> dict[str, float]:
    """Return what is known of a row beside its composition."""
    found: dict[str, float] = {}
    volume, fraction = row.volume_A3_per_atom, row.mobile_fraction
    if volume is not None and fraction is not None and 0 < fraction < 1:
        per = (volume, volume / fraction, volume / (1 - fraction))
        found |= {name: log10(value) for name, value in zip(STRUCTURE, per, strict=True)}
    for name in DESCRIPTORS:
        value = FEATURES[name].of(row)
        if value is not None:
            found[name] = value
    return found


@lru_cache(maxsize=4096)
def composition_inputs(formula: str, mobile_species: str) -> Mapping[str, float]:
    """Return numbers of a composition: fractions, and properties of the framework's elements.

    Empty where the formula cannot be read, or has no framework.

    Parameters
    ----------
    formula : str
        Of the crystal.
    mobile_species : str
        Element symbol of the mobile ion.
    """
    from pymatgen.core import Composition

    try:
        amounts = Composition(formula).fractional_composition.get_el_amt_dict()
        mobile = amounts.pop(mobile_species, 0.0)
        rest = {name: amount / (1 - mobile) for name, amount in amounts.items()}
        values = {p: [_property(name, p) for name in rest] for p in _PROPERTIES}
    except (ValueError, ZeroDivisionError):
        return {}
    if not rest:
        return {}
    found = {"mobile_fraction_of_formula": mobile, "n_framework_elements": float(len(rest))}
    found |= {f"fraction_{name}": rest.get(name, 0.0) for name in _FRACTIONS}
    found["norm_of_fractions"] = sqrt(sum(amount**2 for amount in rest.values()))
    for name, of_elements in values.items():
        mean = sum(a * v for a, v in zip(rest.values(), of_elements, strict=True))
        spread = sum(a * abs(v - mean) for a, v in zip(rest.values(), of_elements, strict=True))
        found |= {f"mean_{name}": mean, f"spread_{name}": spread}
        found |= {f"least_{name}": min(of_elements), f"most_{name}": max(of_elements)}
    return found


def _property(element: str, name: str) -> float:
    from pymatgen.core import Element

    try:
        value = float(getattr(Element(element), name))
    except (TypeError, ValueError):
        return _UNKNOWN
    return value if isfinite(value) else _UNKNOWN


@cache
def _elements_of(formulas: tuple[str, ...]) -> frozenset[str]:
    return frozenset(re.findall("[A-Z][a-z]?", " ".join(formulas)))


def _fractions(formula: str) -> dict[str, float]:
    """Return the amount of each element in an atom of a composition, in alphabetical order."""
    from pymatgen.core import Composition

    try:
        amounts = Composition(formula).fractional_composition.get_el_amt_dict()
    except (ValueError, ZeroDivisionError):
        return {}
    return dict(sorted(amounts.items()))


@cache
def _fractions_of(formulas: tuple[str, ...]) -> dict[tuple[str, ...], list[dict[str, float]]]:
    found: dict[tuple[str, ...], list[dict[str, float]]] = {}
    for one in map(_fractions, formulas):
        found.setdefault(tuple(one), []).append(one)
    return found
