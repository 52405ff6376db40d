"""Commands that compute again what a section shows."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from superionic import defaults
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.report.documents import MaterialDocuments
from superionic.report.html.summary import flat
from superionic.schemas.label import DiffusionDocument, LabelRow
from superionic.schemas.screening import ScreeningDocument
from superionic.schemas.validation import ValidationDocument

_SCREENED_ABOVE_eV_PER_A = 0.5
_PREDICTED_ABOVE_eV_PER_A = 0.1


@dataclass(frozen=True)
class Command:
    """One command that repeats one part.

    Parameters
    ----------
    part : str
        What it computes.
    text : str
        The command line.
    beyond : list of tuple
        Path and value of settings that it has no option for; a campaign file has.
    """

    part: str
    text: str
    beyond: list[tuple[str, str]]


def repeat_commands(found: MaterialDocuments, crystal_file: str) -> list[Command]:
    """Return the commands that compute a material's parts again, from its crystal.

    Parameters
    ----------
    found : MaterialDocuments
        The documents of the material.
    crystal_file : str
        Name of the file that holds the crystal.
    """
    row = found.row
    commands = []
    common = ["--mobile", row.mobile_species, "--potential", row.potential]
    if row.xi is not None and row.prior_potential is not None:
        commands += _refine_commands(row, crystal_file)
    elif row.xi is not None and "landscape" in row.settings:
        options, beyond = _screen_options(row.settings)
        words = ["superionic", "screen", crystal_file, *common, *options]
        commands.append(Command("landscape", shlex.join(words), beyond))
    if found.prediction is not None:
        relax, unusual = _relax_options(found.prediction.settings, _PREDICTED_ABOVE_eV_PER_A)
        options = ["--shakes", str(found.prediction.n_shakes), *relax]
        words = ["superionic", "predict", crystal_file, *common, *options]
        network = f"{found.prediction.network}, {found.prediction.network_sha256}"
        beyond = [("network", network), *flat(unusual)]
        commands.append(Command("prediction", shlex.join(words), beyond))
    for label in found.all_labels:
        words = ["superionic", "label", crystal_file, *common, *_label_options(label)]
        commands.append(Command(f"dynamics at {label.temperature_K:g} K", shlex.join(words), []))
    if found.validation is not None:
        words = [
            "superionic",
            "validate",
            crystal_file,
            *common,
            *_validate_options(found.validation),
        ]
        commands.append(Command("validation", shlex.join(words), []))
    return commands


def _refine_commands(row: ScreeningDocument, crystal_file: str) -> list[Command]:
    """Return the commands of a refined landscape: that of the first potential, then its own."""
    first = str(row.prior_potential)
    landscape = {**(row.settings.get("landscape") or {})}
    learned = landscape.pop("learned", None) or {}
    landscape.pop("n_symmetry_checks", None)  # of the first potential's, which is not known here
    options, beyond = _screen_options({**row.settings, "landscape": landscape})
    ion = ["--mobile", row.mobile_species]
    screen = ["superionic", "screen", crystal_file, *ion, "--potential", first, *options]
    words = ["superionic", "refine", crystal_file, *ion, "--prior", first]
    is_vasp = row.potential.startswith("vasp:")
    words += ["--engine", "vasp"] if is_vasp else ["--potential", row.potential]
    if learned.get("max_energies") not in (None, defaults.REFINE_ENERGIES):
        words += ["--max-energies", str(learned["max_energies"])]
    return [
        Command(f"landscape with {first}", shlex.join(screen), beyond),
        Command("landscape", shlex.join(words), []),
    ]


def _screen_options(settings: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the options of ``superionic screen``, and settings that none of them sets."""
    options: list[str] = []
    landscape = dict(settings.get("landscape") or {})
    step, radius = landscape.pop("grid_step_A", None), landscape.pop("exclusion_radius_A", None)
    if step is not None:
        options += ["--step", f"{step:g}"]
    if radius is not None:
        options += ["--exclusion-radius", f"{radius:g}"]
    if (carrier := landscape.pop("carrier", None)) is not None:
        options += ["--carrier", carrier]
    beyond: dict[str, Any] = {}
    learned = landscape.pop("learned", None)
    options.append("--exact" if learned is None else "--learned")
    if learned is not None:
        usual = vars(LearnedSettings())
        if learned.get("max_energies") != usual["max_energies"]:
            options += ["--max-energies", str(learned.get("max_energies"))]
        different = {
            name: value
            for name, value in learned.items()
            if usual.get(name) != value and name != "max_energies"
        }
        beyond["landscape_maker.settings.learned"] = different
    usual = vars(LandscapeSettings())
    different = {name: value for name, value in landscape.items() if usual.get(name) != value}
    beyond["landscape_maker.settings"] = different
    relax, beyond_relax = _relax_options(settings, _SCREENED_ABOVE_eV_PER_A)
    options, beyond = options + relax, beyond | beyond_relax
    width = (settings.get("prepared") or {}).get("supercell_min_width_A")
    if width is not None:
        options += ["--min-width", f"{width:g}"]
    return options, flat({name: value for name, value in beyond.items() if value})


def _relax_options(
    settings: Mapping[str, Any], usual_eV_per_A: float
) -> tuple[list[str], dict[str, Any]]:
    """Return the option that says when crystals are relaxed, and the force where it is unusual."""
    relaxed = settings.get("relaxed")
    if relaxed is None or relaxed.get("max_force_eV_per_A") is None:
        return ["--relax", "never"], {}
    beyond = {}
    if relaxed["max_force_eV_per_A"] != usual_eV_per_A:
        beyond["relax_maker"] = {"max_force_eV_per_A": relaxed["max_force_eV_per_A"]}
    return ["--relax", "cell" if relaxed.get("relax_cell") else "auto"], beyond


def _label_options(label: DiffusionDocument | LabelRow) -> list[str]:
    n_steps, timestep_fs = label.settings.get("n_steps"), label.settings.get("timestep_fs")
    options = ["--temperature", f"{label.temperature_K:g}", "--seed", str(label.seed)]
    if n_steps is not None and timestep_fs is not None:
        options += ["--length", f"{n_steps * timestep_fs * 1e-3:g}"]
    return options


def _validate_options(validation: ValidationDocument) -> list[str]:
    temperatures = ",".join(f"{value:g}" for value in validation.temperatures_K)
    options = ["--temperatures", temperatures, "--engine", validation.engine]
    if validation.seeds:
        options += ["--seed", str(validation.seeds[0])]
    return options
