"""The conductivity that is to be expected, with an interval: reading its model and applying it.

The model is boosted regression trees that were fitted on measured conductivities, kept as a plain
file; nothing of what fitted them is needed to apply them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from math import isfinite, log10
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superionic.errors import SettingsError
from superionic.schemas.screening import ScreeningDocument
from superionic.store.ranking.features import FEATURES

FloatArray = NDArray[np.float64]

CONDUCTIVITY_FILE = "conductivity.json"
FORMAT = 1

_FRACTIONS = ("O", "S", "Se", "F", "Cl", "Br", "I", "N", "H", "P")
_PROPERTIES = ("X", "mendeleev_no", "row", "atomic_mass", "atomic_radius", "group")
_UNKNOWN = 2.0
"""Stands for a property that an element does not have in the table."""
_AT_ONCE = 8192
"""Rows that walk a tree together."""
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

    def __call__(self, inputs: NDArray[np.floating[Any]]) -> FloatArray:
        """Return the values of the leaves that inputs, shape (n, k), end in."""
        feature, threshold, below, value = self._nodes
        node = np.zeros(len(inputs), dtype=np.intp)
        rows = np.arange(len(inputs))
        for _ in range(len(feature)):
            asked = feature[node]
            # A leaf has itself below it.
            goes_left = inputs[rows, asked] <= threshold[node]
            on = below[goes_left.astype(np.intp), node]
            if np.array_equal(on, node):
                break
            node = on
        return value[node]

    @cached_property
    def _nodes(self) -> tuple[NDArray[np.intp], FloatArray, NDArray[np.intp], FloatArray]:
        feature = np.array(self.feature, dtype=np.intp)
        own, is_leaf = np.arange(len(feature)), feature < 0
        below = [
            np.where(is_leaf, own, np.array(side, dtype=np.intp))
            for side in (self.right, self.left)
        ]
        return (
            np.where(is_leaf, 0, feature),
            np.array(self.threshold, dtype=np.float64),
            np.array(below, dtype=np.intp),
            np.array(self.value, dtype=np.float64),
        )


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

    @cached_property
    def needs(self) -> frozenset[str]:
        """Its inputs beside those of the composition."""
        return frozenset(self.features) & {*STRUCTURE, *DESCRIPTORS}

    def estimates(self, inputs: FloatArray) -> FloatArray:
        """Return the logarithm of the conductivity in S/cm for each row of inputs, shape (n, k)."""
        found = np.empty(len(inputs))
        for start in range(0, len(inputs), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            # Thresholds are of numbers in single precision.
            single = inputs[part].astype(np.float32)
            total = np.zeros(len(single))
            for tree in self.trees:
                total += tree(single)
            found[part] = self.start + self.rate * total
        return found

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
    lines : dict of str to list of float
        For single numbers, by the name of the score, intercept and slope of a line through the
        same measurements: what to compare with.
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
    lines: dict[str, list[float]] = field(default_factory=dict)

    def lacks(self, row: ScreeningDocument) -> str | None:
        """Return why there is no estimate for a row, or None if there is."""
        if row.mobile_species != self.mobile_species:
            return f"not known for {row.mobile_species}: fitted on {self.mobile_species} only"
        if _framework(row.formula or "", row.mobile_species) is not None:
            return None
        return f"no composition that can be read ({row.formula})"

    def estimate(self, row: ScreeningDocument) -> ConductivityEstimate:
        """Return the estimate of a row that lacks nothing."""
        return self.around(row, self.estimates([row])[0])

    def estimates(self, rows: Sequence[ScreeningDocument]) -> list[float]:
        """Return log10 of the conductivity in S/cm of rows that lack nothing, many at once."""
        numbers = [_numbers_of(row) for row in rows]
        of_model: dict[int, list[int]] = {}
        for place, (row, known) in enumerate(zip(rows, numbers, strict=True)):
            of_model.setdefault(self.models.index(self._model_for(row, known)), []).append(place)
        found = np.empty(len(rows))
        for index, places in of_model.items():
            model = self.models[index]
            of_formula = composition_table([rows[i].formula for i in places], self.mobile_species)
            columns = [
                of_formula[name]
                if name in of_formula
                else np.array([numbers[i][name] for i in places])
                for name in model.features
            ]
            found[places] = model.estimates(np.column_stack(columns))
        return [float(value) for value in found]

    def of_compositions(self, rows: Sequence[ScreeningDocument]) -> list[float]:
        """Return what compositions say alone, of rows that lack nothing, in log10 of S/cm."""
        found = composition_table([row.formula for row in rows], self.mobile_species)
        model = self.models[-1]
        return model.estimates(np.column_stack([found[name] for name in model.features])).tolist()

    def around(self, row: ScreeningDocument, value: float) -> ConductivityEstimate:
        """Return an estimate of a row with its interval; this takes no composition apart."""
        model = self._model_for(row, _numbers_of(row))
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

    def _model_for(self, row: ScreeningDocument, known: Mapping[str, float]) -> TreeModel:
        return next(
            model
            for model in self.models
            if (model.name == "composition" or row.potential == self.potential)
            and model.needs <= known.keys()
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
    return composition_inputs(row.formula or "", row.mobile_species) | _numbers_of(row)


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


def composition_inputs(formula: str, mobile_species: str) -> dict[str, float]:
    """Return numbers of a composition: fractions, and properties of the framework's elements.

    Empty where the formula cannot be read, or has no framework.

    Parameters
    ----------
    formula : str
        Of the crystal.
    mobile_species : str
        Element symbol of the mobile ion.
    """
    if _framework(formula, mobile_species) is None:
        return {}
    found = composition_table([formula], mobile_species)
    return {name: float(values[0]) for name, values in found.items()}


def composition_table(formulas: Sequence[str], mobile_species: str) -> dict[str, FloatArray]:
    """Return the numbers of :func:`composition_inputs` of many compositions, by their names.

    Parameters
    ----------
    formulas : sequence of str
        That can be read, and have a framework.
    mobile_species : str
        Element symbol of the mobile ion.
    """
    parts = [part for one in formulas if (part := _framework(one, mobile_species)) is not None]
    assert len(parts) == len(formulas)
    sizes = np.array([len(part.elements) for part in parts])
    shape = (len(parts), int(sizes.max(initial=1)))
    is_there = np.arange(shape[1]) < sizes[:, None]
    elements = sorted({name for part in parts for name in part.elements})
    place = {name: i for i, name in enumerate(elements)}
    amount, element = np.zeros(shape), np.zeros(shape, dtype=np.intp)
    amount[is_there] = [one for part in parts for one in part.amounts]
    element[is_there] = [place[name] for part in parts for name in part.elements]
    found = {
        "mobile_fraction_of_formula": np.array([part.mobile for part in parts]),
        "n_framework_elements": sizes.astype(np.float64),
    }
    for name in _FRACTIONS:
        own = is_there & (element == place.get(name, -1))
        found[f"fraction_{name}"] = np.sum(amount, axis=1, where=own)
    found["norm_of_fractions"] = np.sqrt(np.sum(amount**2, axis=1))
    for name in _PROPERTIES:
        values = np.array([_property(one, name) for one in elements])[element]
        mean = np.sum(amount * values, axis=1)
        found[f"mean_{name}"] = mean
        found[f"spread_{name}"] = np.sum(amount * np.abs(values - mean[:, None]), axis=1)
        found[f"least_{name}"] = np.min(values, axis=1, where=is_there, initial=np.inf)
        found[f"most_{name}"] = np.max(values, axis=1, where=is_there, initial=-np.inf)
    return found


class _Framework(NamedTuple):
    """A composition without its mobile ion, and how much of an atom that is."""

    mobile: float
    elements: tuple[str, ...]
    amounts: tuple[float, ...]


@lru_cache(maxsize=2**17)
def _framework(formula: str, mobile_species: str) -> _Framework | None:
    """Return the framework of a composition; None where it cannot be read, or has none."""
    from pymatgen.core import Composition

    try:
        amounts = Composition(formula).get_el_amt_dict()
    except ValueError:
        return None
    total, own = sum(amounts.values()), amounts.pop(mobile_species, 0.0)
    rest = total - own
    if not amounts or rest <= 0:
        return None
    return _Framework(own / total, tuple(amounts), tuple(a / rest for a in amounts.values()))


@cache
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
