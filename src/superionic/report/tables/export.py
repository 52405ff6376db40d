"""Rows of the screening collection for other programs: JSON lines, pandas, OPTIMADE."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from superionic import __version__
from superionic.errors import SettingsError
from superionic.report.numbers import interval_columns
from superionic.schemas.screening import LANDSCAPE_FIELDS, ROW_VERSION, ScreeningDocument

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core import Structure

PREFIX = "_superionic_"
_API_VERSION = "1.1.0"
_NESTED = frozenset(
    {
        *("settings", "runs", "labels", "orderings", "ranks", "scores", "percentiles", "warnings"),
        "intervals",
    }
)
_IN_OPTIMADE = (
    *("material_id", "mobile_species", "potential", "present"),
    *LANDSCAPE_FIELDS,
    *("predicted_log10_msd_slope", "predicted_log10_msd_slope_low"),
    *("predicted_log10_msd_slope_high", "network", "label_verdict", "label_temperature_K"),
    *("msd_slope_A2_per_ps", "msd_slope_low_A2_per_ps", "msd_slope_high_A2_per_ps"),
    *("validation_verdict", "validation_temperature_K", "conductivity_S_per_cm"),
    *("activation_energy_eV", "conductivity_300K_S_per_cm"),
    *("conductivity_300K_low_S_per_cm", "conductivity_300K_high_S_per_cm", "rank"),
    *("duplicate_of", "parent_id", "source", "ending", "prior_potential"),
)


def rows_jsonl(rows: Iterable[ScreeningDocument]) -> str:
    """Return complete rows as JSON lines; :func:`read_rows_file` reads them."""
    return "\n".join(json.dumps(row.model_dump(mode="json"), allow_nan=False) for row in rows)


def read_rows_file(path: Path) -> list[ScreeningDocument]:
    """Read rows that ``superionic query --format jsonl`` wrote; those of before get keys of today.

    Raises
    ------
    SettingsError
        When the file is not there, or a line is no row.
    """
    hint = "Name a file that 'superionic query --format jsonl' wrote."
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The rows {path} cannot be read ({type(error).__name__}).", hint=hint
        ) from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = ScreeningDocument.model_validate_json(line)
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise SettingsError(f"Line {number} of {path} is no row: {said}.", hint=hint) from None
        if row.schema_version != ROW_VERSION:
            from superionic.store.builders.documents import RowIdentity  # needs pymatgen

            key = RowIdentity(row.material_id, *row.ranked_among).key
            row = row.model_copy(update={"key": key})
        rows.append(row)
    return rows


def rows_frame(rows: Sequence[ScreeningDocument]) -> "pd.DataFrame":
    """Return rows as a pandas table: flat fields, and rank and score by each policy.

    Columns are named as the fields; ``rank_network`` and ``score_network`` are those of the policy
    ``network``, ``mpe_eV_low`` and ``mpe_eV_high`` the ends of the interval of ``mpe_eV``. Warnings
    are their codes, joined by semicolons.
    """
    import pandas as pd

    records = []
    for row in rows:
        record = row.model_dump(exclude=set(_NESTED))
        record |= {f"rank_{name}": rank for name, rank in row.ranks.items()}
        record |= {f"score_{name}": score for name, score in row.scores.items()}
        record |= interval_columns(row)
        record["warnings"] = ";".join(warning.code for warning in row.warnings)
        records.append(record)
    columns = [name for name in ScreeningDocument.model_fields if name not in _NESTED]
    return pd.DataFrame(records, columns=None if records else columns)


def optimade_response(
    rows: Iterable[ScreeningDocument], structures: Mapping[str, "Structure"]
) -> dict[str, Any]:
    """Return rows as a response of OPTIMADE's endpoint for structures.

    Parameters
    ----------
    rows : iterable of ScreeningDocument
        The rows; those without a structure are left out.
    structures : mapping of str to Structure
        For each row's key its crystal.

    Returns
    -------
    dict
        With ``data``, a list of structures resources, whose own properties have the prefix
        ``_superionic_`` and, as OPTIMADE asks, lower-case names.
    """
    data = [optimade_resource(row, structures[row.key]) for row in rows if row.key in structures]
    return {
        "data": data,
        "meta": {
            "api_version": _API_VERSION,
            "query": {"representation": "/structures"},
            "more_data_available": False,
            "data_returned": len(data),
            "provider": {
                "name": "superionic",
                "description": "Ionic conductors ranked by their frozen-framework landscape",
                "prefix": PREFIX.strip("_"),
            },
            "implementation": {"name": "superionic", "version": __version__},
        },
    }


def optimade_resource(row: ScreeningDocument, structure: "Structure") -> dict[str, Any]:
    """Return one row with its crystal as a structures resource of OPTIMADE.

    The crystal is ordered, as all that was computed are.
    """
    symbols = [site.specie.symbol for site in structure]
    elements = sorted(set(symbols))
    counts = [symbols.count(element) for element in elements]
    divisor = math.gcd(*counts)
    own = {f"{PREFIX}{name}".lower(): getattr(row, name) for name in _IN_OPTIMADE}
    own |= {f"{PREFIX}rank_{name}": rank for name, rank in row.ranks.items()}
    own |= {f"{PREFIX}{name}".lower(): end for name, end in interval_columns(row).items()}
    own[f"{PREFIX}warnings"] = [warning.code for warning in row.warnings]
    return {
        "id": row.key,
        "type": "structures",
        "attributes": {
            "immutable_id": None,
            "last_modified": row.last_updated,
            "elements": elements,
            "nelements": len(elements),
            "elements_ratios": [count / len(symbols) for count in counts],
            "chemical_formula_descriptive": row.formula,
            "chemical_formula_reduced": _formula(elements, [n // divisor for n in counts]),
            "chemical_formula_anonymous": _formula(
                _anonymous(len(counts)), sorted((n // divisor for n in counts), reverse=True)
            ),
            "dimension_types": [1, 1, 1],
            "nperiodic_dimensions": 3,
            "lattice_vectors": structure.lattice.matrix.tolist(),
            "cartesian_site_positions": structure.cart_coords.tolist(),
            "nsites": len(symbols),
            "species": [
                {"name": element, "chemical_symbols": [element], "concentration": [1.0]}
                for element in elements
            ],
            "species_at_sites": symbols,
            "structure_features": [],
            **own,
        },
    }


def _formula(names: Sequence[str], counts: Sequence[int]) -> str:
    pairs = zip(names, counts, strict=True)
    return "".join(name if count == 1 else f"{name}{count}" for name, count in pairs)


def _anonymous(n: int) -> list[str]:
    """Return A, B, ..., Z, Aa, Ba, ..., as OPTIMADE names elements."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [letters[i % 26] + ("" if i < 26 else letters[i // 26 - 1].lower()) for i in range(n)]
