"""Any ASE calculator, one configuration at a time."""

import hashlib
import importlib
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from numpy.typing import NDArray

from superionic.errors import PotentialError, PotentialNotFoundError
from superionic.potentials.base import PotentialInfo
from superionic.potentials.batched import BatchedPotential, package_version


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
    PotentialError
        When it cannot be built from these settings, or is not a calculator.
    """
    factory = _import(name)
    try:
        calculator = factory(**settings)
    except Exception as error:
        raise PotentialError(
            f"{name} cannot be built from {json.dumps(settings)} "
            f"({type(error).__name__}: {error}).",
            hint="Settings are the calculator's keyword arguments, as JSON.",
        ) from error
    if not isinstance(calculator, BaseCalculator):
        raise PotentialError(
            f"{name} gives a {type(calculator).__name__}, not an ASE calculator.",
            hint="Name a calculator class, or a function that returns a calculator.",
        )
    return AsePotential(
        calculator,
        PotentialInfo(
            family="ase",
            name=f"{name}?{json.dumps(settings, sort_keys=True)}" if settings else name,
            package_version=package_version(name.partition(".")[0]),
            weights_sha256=_hash_calculator(name, factory, settings),
        ),
    )


def _import(name: str) -> Any:
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
    return factory


def _hash_calculator(name: str, factory: Any, settings: Mapping[str, Any]) -> str:
    """Return a hash of the import path, the source of its module, the settings and their files."""
    digest = hashlib.sha256(f"{name}|{json.dumps(settings, sort_keys=True)}".encode())
    module = inspect.getmodule(factory)
    source = getattr(module, "__file__", None)
    files = [source, *(value for value in settings.values() if isinstance(value, str))]
    for file in files:
        if file and _is_file(file):
            digest.update(Path(file).read_bytes())
    return digest.hexdigest()


def _is_file(text: str) -> bool:
    """Return whether a setting names a file; a whole input of a program is too long for a name."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
