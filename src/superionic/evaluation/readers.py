"""Reference data from files: experiments and bond-valence barriers."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean

from superionic.errors import SettingsError
from superionic.evaluation.truth import Measurement
from superionic.store.ranking.features import HIGHEST_BARRIER_eV


def read_obelix(path: Path) -> list[Measurement]:
    """Read conductivities of OBELiX, for entries with a crystal (column ``id``).

    Parameters
    ----------
    path : Path
        A CSV with columns id, obelix_id, sigma_RT_S_cm, censored_upper_bound, ordered_cif.

    Raises
    ------
    SettingsError
        When it cannot be read, or lacks a column.
    """
    return [
        Measurement(
            row["id"],
            row["obelix_id"],
            "ordered" if row["ordered_cif"] == "True" else "approximant",
            float(row["sigma_RT_S_cm"]),
            row["censored_upper_bound"] == "True",
        )
        for row in _rows(
            path, ("id", "obelix_id", "sigma_RT_S_cm", "censored_upper_bound", "ordered_cif")
        )
        if row["id"]
    ]


def read_matches(path: Path) -> list[Measurement]:
    """Read conductivities of OBELiX entries matched to crystals of other sources.

    Entries whose space group does not match are passed over.

    Parameters
    ----------
    path : Path
        A CSV with columns mp_id, obelix_id, sigma_RT_S_cm, censored, sg_match.

    Raises
    ------
    SettingsError
        When it cannot be read, or lacks a column.
    """
    columns = ("mp_id", "obelix_id", "sigma_RT_S_cm", "censored", "sg_match")
    return [
        Measurement(
            row["mp_id"],
            row["obelix_id"],
            "matched",
            float(row["sigma_RT_S_cm"]),
            row["censored"] == "True",
        )
        for row in _rows(path, columns)
        if row["sg_match"] == "True"
    ]


def read_bond_valence(*paths: Path) -> dict[str, dict[int, float]]:
    """Read bond-valence percolation barriers in eV, by crystal and number of dimensions.

    Parameters
    ----------
    *paths : Path
        CSV files with columns id, E_1D_eV, E_2D_eV, E_3D_eV; ``inf`` where nothing percolates.
        Of a crystal that several have, the last counts.

    Raises
    ------
    SettingsError
        When it cannot be read, or lacks a column.
    """
    names = {dimension: f"E_{dimension}D_eV" for dimension in (1, 2, 3)}
    return {
        row["id"]: {
            dimension: min(float(row[name]), HIGHEST_BARRIER_eV)
            for dimension, name in names.items()
        }
        for path in paths
        for row in _rows(path, ("id", *names.values()))
    }


def read_held_out(paths: Sequence[Path]) -> dict[str, float]:
    """Read predictions by networks that had not seen the crystal's chemical system.

    Parameters
    ----------
    paths : sequence of Path
        CSV files with columns material_id and log10_msd_slope (A^2/ps), or results of
        cross-validated folds, JSON with ``material_ids`` and for each the ``predictions`` of its
        shakes, or the JSON of a study, whose folds by chemical system count.

    Returns
    -------
    dict of str to float
        Mean over all predictions of a crystal.

    Raises
    ------
    SettingsError
        When a file cannot be read, or lacks what it needs.
    """
    found: dict[str, list[float]] = {}
    for path in paths:
        if path.suffix == ".json":
            for name, values in _fold(path):
                found.setdefault(name, []).append(mean(values))
        else:
            for row in _rows(path, ("material_id", "log10_msd_slope")):
                found.setdefault(row["material_id"], []).append(float(row["log10_msd_slope"]))
    return {name: mean(values) for name, values in found.items()}


def _fold(path: Path) -> list[tuple[str, list[float]]]:
    try:
        content = json.loads(path.read_text())
        if "parity" in content:
            study = content["parity"]["chemical_system"]
            means = [[value] for value in study["predicted"]]
            return list(zip(study["material_id"], means, strict=True))
        return list(zip(content["material_ids"], content["predictions"], strict=True))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise SettingsError(
            f"{path} is no result of a fold ({type(error).__name__}).",
            hint="Name JSON files that 'superionic train' wrote (folds by chemical system) or CSV.",
        ) from None


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    try:
        with path.open(newline="") as stream:
            reader = csv.DictReader(stream)
            missing = sorted(set(columns) - set(reader.fieldnames or ()))
            if missing:
                raise SettingsError(
                    f"The table {path} has no column {missing[0]}.",
                    hint=f"It needs: {', '.join(columns)}.",
                )
            yield from reader
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The table {path} cannot be read ({type(error).__name__}).",
            hint="Name a CSV file.",
        ) from None
