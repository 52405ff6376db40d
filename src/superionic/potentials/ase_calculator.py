"""Any ASE calculator, one configuration at a time."""

import hashlib
import importlib
import inspect
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from numpy.typing import NDArray

from superionic.errors import PotentialError, PotentialNotAllowedError, PotentialNotFoundError
from superionic.potentials.base import PotentialInfo
from superionic.potentials.batched import BatchedPotential, package_version
from superionic.potentials.trust import is_restricted, require_allowed, require_class, words_of

_OUTPUT_SETTINGS = frozenset({"directory", "label", "logfile"})
"""Settings of ASE's calculators that say where they write."""
_METHODS = ("get_property", "get_potential_energy", "get_forces")
_MOST_FILES = 10_000


class AsePotential(BatchedPotential):
    """An ASE calculator as a potential.

    Parameters
    ----------
    calculator : ase.calculators.calculator.BaseCalculator
        A calculator that implements ``energy`` and ``forces``.
    info : PotentialInfo
        Its identity.
    """

    def __init__(self, calculator: BaseCalculator, info: PotentialInfo) -> None:
        self._calculator = calculator
        self.info = info
        self.elements = None
        self.max_atoms_per_batch = 1

    @contextmanager
    def attached(self, atoms: Atoms) -> Iterator[Atoms]:
        """Give a copy of a configuration that has the calculator, for what else that gives."""
        copy = atoms.copy()
        copy.calc = self._calculator
        try:
            yield copy
        finally:
            copy.calc = None

    def energy_forces_stress(
        self, atoms: Atoms
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Return energy in eV, forces in eV/A and stress in eV/A^3: its own, where it has one."""
        if "stress" not in getattr(self._calculator, "implemented_properties", ()):
            return super().energy_forces_stress(atoms)
        (energy_eV,), (forces,) = self.energies_and_forces([atoms])
        with self.attached(atoms) as copy:
            return float(energy_eV), forces, copy.get_stress(voigt=False)

    def _evaluate(
        self, configurations: Sequence[Atoms], *, with_forces: bool
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        energies, forces = [], []
        for atoms in configurations:
            # A copy, since the caller's configuration must not keep the calculator.
            atoms = atoms.copy()
            atoms.calc = self._calculator
            try:
                energies.append(float(atoms.get_potential_energy()))
                if with_forces:
                    forces.append(np.array(atoms.get_forces(), dtype=np.float64))
            except Exception as error:
                raise PotentialError(
                    f"{self.info.label} failed on {atoms.get_chemical_formula()} "
                    f"({type(error).__name__}: {error}).",
                    hint="Check that the calculator knows these elements and gives forces.",
                ) from error
        return np.array(energies), forces


def load_ase(name: str, *, settings: Mapping[str, Any]) -> AsePotential:
    """Build an ASE calculator.

    Parameters
    ----------
    name : str
        Import path ``package.module.Name`` of a calculator class, or of a function that returns a
        calculator.
    settings : mapping
        Its keyword arguments.

    Raises
    ------
    PotentialNotFoundError
        When the module or the name is not there.
    PotentialNotAllowedError
        When a queued job names it, and this site does not allow its code.
    PotentialError
        When it cannot be built from these settings, or is not a calculator.
    """
    factory = _import(name, settings)
    try:
        calculator = factory(**settings)
    except Exception as error:
        raise PotentialError(
            f"{name} cannot be built from {json.dumps(settings)} "
            f"({type(error).__name__}: {error}).",
            hint="Settings are the calculator's keyword arguments, as JSON.",
        ) from error
    # Not by its class: what GPAW of 2026 returns has the methods and is no subclass of ASE's.
    if not all(callable(getattr(calculator, method, None)) for method in _METHODS):
        raise _no_calculator(name, type(calculator))
    return AsePotential(calculator, _info(name, factory, settings))


def identify_ase(name: str, *, settings: Mapping[str, Any]) -> PotentialInfo:
    """Return the identity of an ASE calculator without building it: some start a program.

    Raises as :func:`load_ase` does.
    """
    return _info(name, _import(name, settings), settings)


def _info(name: str, factory: Any, settings: Mapping[str, Any]) -> PotentialInfo:
    return PotentialInfo(
        family="ase",
        name=f"{name}?{json.dumps(settings, sort_keys=True)}" if settings else name,
        package_version=package_version(name.partition(".")[0]),
        weights_sha256=_hash_calculator(name, factory, settings),
    )


def _import(name: str, settings: Mapping[str, Any]) -> Any:
    if is_restricted():
        require_allowed(name, settings)
    module_name, _, attribute = name.rpartition(".")
    hint = "Write ase:package.module.Calculator; the package must be importable from here."
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise PotentialNotFoundError(
            f"{name!r} cannot be imported ({error}).", hint=hint
        ) from error
    if not callable(factory):
        raise PotentialNotFoundError(f"{name!r} is not a class or a function.", hint=hint)
    if inspect.isclass(factory) and not issubclass(factory, BaseCalculator):
        raise _no_calculator(name, factory)
    if not inspect.isclass(factory) and require_class(name):
        raise PotentialNotAllowedError(
            f"ase:{name} comes from a file or a queue, and is no class of an ASE calculator.",
            hint="Name a class, or add the function to the setting 'calculators'.",
        )
    return factory


def _no_calculator(name: str, kind: type) -> PotentialError:
    return PotentialError(
        f"{name} gives a {kind.__name__}, not an ASE calculator.",
        hint="Name a calculator class, or a function that returns a calculator.",
    )


def _hash_calculator(name: str, factory: Any, settings: Mapping[str, Any]) -> str:
    """Return a hash of the import path, the source of its module, the settings and their files.

    Files and folders that settings name are hashed wherever in them they stand.
    """
    digest = hashlib.sha256(f"{name}|{json.dumps(settings, sort_keys=True)}".encode())
    source = getattr(inspect.getmodule(factory), "__file__", None)
    where = {key: value for key, value in settings.items() if key not in _OUTPUT_SETTINGS}
    for text in [source, *words_of(where)]:
        if text and (path := _existing(text)) is not None:
            _add_path(digest, path)
    return digest.hexdigest()


def _add_path(digest: "hashlib._Hash", path: Path) -> None:
    if path.is_file():
        digest.update(path.read_bytes())
        return
    n_files = 0
    for folder, below, names in os.walk(path):
        below[:] = sorted(name for name in below if not name.startswith((".", "__pycache__")))
        for file in (Path(folder) / name for name in sorted(names)):
            n_files += 1
            if n_files > _MOST_FILES:
                raise PotentialError(
                    f"The folder {path} in the settings of a calculator holds more than "
                    f"{_MOST_FILES} files, too many to tell its model by.",
                    hint="Name the folder of the model alone.",
                )
            if file.is_file():
                digest.update(f"|{file.relative_to(path).as_posix()}|".encode())
                digest.update(file.read_bytes())


def _existing(text: str) -> Path | None:
    """Return the path that a setting names, if any; a whole input of a program is no name.

    A folder needs a separator: a word like ``data`` names one by accident.
    """
    try:
        path = Path(text)
        return path if path.is_file() or (os.sep in text and path.is_dir()) else None
    except (OSError, ValueError):
        return None
