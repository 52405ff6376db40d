"""A potential proves itself before it is used.

A checkpoint can load without an error and be wrong, for example because the package has changed a
convention since it was trained. Checked are energies of reference crystals, forces against finite
differences, and the symmetries that every potential has: translation (of all atoms, and of one by
a lattice vector), rotation, permutation, and energy in proportion to the size of the cell.

Reference energies
------------------
A potential has to agree with one of the conventions in :data:`REFERENCE_eV_per_atom` for all
crystals that it knows:

``PBE``
    VASP total energies with PBE as in the Materials Project, without corrections. The figures are
    not DFT results but the consensus of three potentials of different architecture and code, at
    the lattice constants of :data:`LATTICE_A`: the mean of SevenNet-0 (trained on MPtrj),
    TensorNet-MatPES-PBE-v2025.1, and CHGNet 0.3.0 with its MP2020 corrections taken off. They
    differ from the mean by at most 0.02 eV/atom in the halides, 0.03 in Li2O, 0.07 in MgO and 0.08
    in Si.
``PBE+MP2020``
    The same with the corrections of the Materials Project (-0.687 eV for each oxide ion and -0.614
    eV for each chloride ion: A. Wang et al., Sci. Rep. 11, 15496 (2021)), which CHGNet's training
    data include.
``r2SCAN``
    VASP total energies with r2SCAN: the mean of CHGNet-r2SCAN and SevenNet-MF-0 (R2SCAN), which
    agree to 0.03 eV/atom.

The tolerance of 0.2 eV/atom is wide enough for every potential named here and narrow against what
a broken one does (2 to 4 eV/atom too high in the four ionic crystals, M3GNet-MP-2021.2.8 under
matgl 4). A user's own calculator (family ``ase``) owes PBE nothing, so that its energies are not
compared.
"""

import hashlib
import json
from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms
from pydantic import BaseModel, Field
from scipy.spatial.transform import Rotation

from superionic.errors import SelfCheckError, SuperionicError, UnknownElementError
from superionic.files import cache_file, keep
from superionic.potentials.base import Potential

CHECK_VERSION: Final = 1
"""To be raised whenever a check, a reference or a tolerance changes."""

LATTICE_A: Final = {"NaCl": 5.64, "MgO": 4.21, "Si": 5.43, "Li2O": 4.62, "LiCl": 5.13}
"""Cubic lattice constants in A: rock salt, diamond (Si) and antifluorite (Li2O)."""

_PBE = {"NaCl": -3.366, "MgO": -5.935, "Si": -5.318, "Li2O": -4.710, "LiCl": -3.678}
_MP2020_eV_per_anion = {"NaCl": -0.614, "MgO": -0.687, "Si": 0.0, "Li2O": -0.687, "LiCl": -0.614}
_ATOMS_PER_ANION = {"NaCl": 2, "MgO": 2, "Si": 1, "Li2O": 3, "LiCl": 2}

REFERENCE_eV_per_atom: Final = {
    "PBE": _PBE,
    "PBE+MP2020": {
        crystal: energy + _MP2020_eV_per_anion[crystal] / _ATOMS_PER_ANION[crystal]
        for crystal, energy in _PBE.items()
    },
    "r2SCAN": {"NaCl": -6.879, "MgO": -8.043, "Si": -8.726, "Li2O": -5.576, "LiCl": -6.288},
}
"""Energies in eV/atom by convention and crystal; see the module's text for where they are from."""

ENERGY_TOLERANCE_eV_per_atom: Final = 0.2
"""Largest accepted difference from the reference."""

INVARIANCE_TOLERANCE_eV_per_atom: Final = 1e-4
"""Largest accepted change of the energy under a symmetry: some hundred times float32 noise."""

FORCE_TOLERANCE_eV_per_A: Final = 0.01
"""Largest accepted force error, plus 1 % of the largest force: finite differences in float32."""

_STEP_A = 0.01


class SelfCheckReport(BaseModel):
    """What a self-check found."""

    label: str = Field(description="Potential, as family:name.")
    package_version: str = Field(description="Package that evaluated it.")
    weights_sha256: str = Field(description="Hash of its parameters.")
    convention: str | None = Field(
        None, description="Energy convention that it agrees with best; None when not compared."
    )
    energies_eV_per_atom: dict[str, float] = Field(
        default_factory=dict, description="Energies of the reference crystals in eV/atom."
    )
    force_error_eV_per_A: float | None = Field(
        None, description="Largest difference of forces from finite differences in eV/A."
    )
    invariance_error_eV_per_atom: float | None = Field(
        None, description="Largest change of the energy under a symmetry in eV/atom."
    )
    failures: list[str] = Field(default_factory=list, description="What is wrong, with numbers.")
    remarks: list[str] = Field(default_factory=list, description="What was not checked, and why.")

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failures


def reference_crystals() -> dict[str, Atoms]:
    """Return the primitive cells of the reference crystals, by formula."""
    a = LATTICE_A
    return {
        "NaCl": face_centred("NaCl", [0, 0.5], a["NaCl"]),
        "MgO": face_centred("MgO", [0, 0.5], a["MgO"]),
        "Si": face_centred("Si2", [0, 0.25], a["Si"]),
        "Li2O": face_centred("OLi2", [0, 0.25, 0.75], a["Li2O"]),
        "LiCl": face_centred("LiCl", [0, 0.5], a["LiCl"]),
    }


def face_centred(symbols: str, diagonal: list[float], a_A: float) -> Atoms:
    """Return a primitive face-centred cell with atoms on the diagonal of the cube.

    By hand, since ``ase.build`` takes as long to import as the check takes for a crystal.
    """
    return Atoms(
        symbols,
        scaled_positions=[[x, x, x] for x in diagonal],
        cell=a_A / 2 * (1 - np.eye(3)),
        pbc=True,
    )


def self_check(potential: Potential) -> SelfCheckReport:
    """Check a potential; it does not raise for a bad one, but reports.

    Parameters
    ----------
    potential : Potential
        The potential to be checked.

    Returns
    -------
    SelfCheckReport
        With ``failures`` in words and numbers, empty when the potential may be used.
    """
    report = SelfCheckReport(
        label=potential.info.label,
        package_version=potential.info.package_version,
        weights_sha256=potential.info.weights_sha256,
    )
    known = {
        name: atoms
        for name, atoms in reference_crystals().items()
        if potential.elements is None or set(atoms.symbols) <= potential.elements
    }
    if potential.info.family == "ase":
        report.remarks.append("Energies were not compared: an ASE calculator need not be PBE.")
    else:
        _check_energies(potential, known, report)
    probes = [*known.values(), face_centred("Cu", [0], 3.61)]
    for probe in probes:
        try:
            _check_derivatives_and_symmetries(
                potential, distorted(probe.repeat((1, 1, 2)), seed=0), report
            )
        except SuperionicError as error:
            # A calculator with a few elements only, such as EMT, refuses the others in its own way.
            refused = isinstance(error, UnknownElementError) or potential.info.family == "ase"
            if not refused:
                report.failures.append(
                    f"A distorted {probe.symbols} could not be computed: {error}"
                )
                break
        else:
            break
    else:
        report.remarks.append("Forces and symmetries were not checked: no test crystal is known.")
    return report


def distorted(atoms: Atoms, *, seed: int) -> Atoms:
    """Return the crystal without any symmetry: sheared by 3 %, atoms moved by up to 0.2 A."""
    rng = np.random.default_rng(seed)
    distorted = atoms.copy()
    distorted.set_cell(
        atoms.cell.array @ (np.eye(3) + rng.uniform(-0.03, 0.03, (3, 3))), scale_atoms=True
    )
    distorted.positions += rng.uniform(-0.2, 0.2, (len(atoms), 3))
    return distorted


def _check_energies(
    potential: Potential, crystals: dict[str, Atoms], report: SelfCheckReport
) -> None:
    if not crystals:
        report.remarks.append("Energies were not compared: no reference crystal is known.")
        return
    try:
        totals = potential.energies(list(crystals.values()))
    except Exception as error:
        report.failures.append(f"Energies of {', '.join(crystals)} could not be computed: {error}")
        return
    found = {
        name: float(total / len(atoms))
        for (name, atoms), total in zip(crystals.items(), totals, strict=True)
    }
    report.energies_eV_per_atom = found
    worst = {
        convention: max(abs(found[name] - expected[name]) for name in found)
        for convention, expected in REFERENCE_eV_per_atom.items()
    }
    report.convention = min(worst, key=worst.__getitem__)
    if worst[report.convention] <= ENERGY_TOLERANCE_eV_per_atom:
        return
    closest = REFERENCE_eV_per_atom[report.convention]
    wrong = [
        f"{name} found {energy:.3f}, expected "
        + " or ".join(f"{table[name]:.3f}" for table in REFERENCE_eV_per_atom.values())
        for name, energy in found.items()
        if abs(energy - closest[name]) > ENERGY_TOLERANCE_eV_per_atom
    ]
    report.failures.append(
        f"energies in eV/atom agree with none of {', '.join(REFERENCE_eV_per_atom)} within "
        f"{ENERGY_TOLERANCE_eV_per_atom}: {', '.join(wrong)}"
    )


def _check_derivatives_and_symmetries(
    potential: Potential, atoms: Atoms, report: SelfCheckReport
) -> None:
    rng = np.random.default_rng(1)
    rotation = Rotation.random(random_state=rng).as_matrix()
    order = np.arange(len(atoms))[::-1]

    translated = atoms.copy()
    translated.positions += rng.uniform(-3, 3, 3)
    translated.positions[0] += atoms.cell.array[0] - atoms.cell.array[2]
    rotated = atoms.copy()
    rotated.set_cell(atoms.cell.array @ rotation.T)
    rotated.positions = atoms.positions @ rotation.T
    doubled = atoms.repeat((2, 1, 1))

    energies, forces = potential.energies_and_forces(
        [atoms, translated, rotated, atoms[order], doubled]
    )
    n = len(atoms)
    expected_forces = [
        forces[0],
        forces[0] @ rotation.T,
        forces[0][order],
        np.tile(forces[0], (2, 1)),
    ]
    scale = np.abs(forces[0]).max()
    names = ["translation", "rotation", "permutation", "doubling of the cell"]
    shifts = np.abs(energies[1:] / [n, n, n, 2 * n] - energies[0] / n)
    report.invariance_error_eV_per_atom = float(shifts.max())
    allowed_eV = INVARIANCE_TOLERANCE_eV_per_atom + 1e-6 * abs(energies[0]) / n
    allowed_eV_per_A = FORCE_TOLERANCE_eV_per_A + 0.01 * scale
    for name, shift, force, expected in zip(
        names, shifts, forces[1:], expected_forces, strict=True
    ):
        if shift > allowed_eV:
            report.failures.append(
                f"{name} changes the energy of {atoms.symbols} by {shift:.2g} eV/atom, "
                f"expected at most {allowed_eV:.1g}"
            )
        error = np.abs(force - expected).max()
        if error > allowed_eV_per_A:
            report.failures.append(
                f"{name} changes forces in {atoms.symbols} by {error:.2g} eV/A, expected at most "
                f"{allowed_eV_per_A:.2g}"
            )

    error = float(np.abs(_finite_difference_forces(potential, atoms) - forces[0]).max())
    report.force_error_eV_per_A = error
    if error > allowed_eV_per_A:
        report.failures.append(
            f"forces in {atoms.symbols} differ from finite differences of the energy by "
            f"{error:.2g} eV/A, expected at most {allowed_eV_per_A:.2g} (largest force "
            f"{scale:.2g} eV/A)"
        )


def _finite_difference_forces(potential: Potential, atoms: Atoms) -> np.ndarray:
    moved = []
    for index in range(3 * len(atoms)):
        for sign in (1, -1):
            displaced = atoms.copy()
            displaced.positions.flat[index] += sign * _STEP_A
            moved.append(displaced)
    forward, backward = potential.energies(moved).reshape(-1, 2).T
    return ((backward - forward) / (2 * _STEP_A)).reshape(-1, 3)


def require_self_check(potential: Potential) -> SelfCheckReport:
    """Return the report of a potential that passes, from the cache where it has passed before.

    The cache is a small JSON file for each combination of weights, package version and version of
    the check, in ``cache_dir`` of the settings. Only passes are kept.

    Raises
    ------
    SelfCheckError
        Naming expected and found values.
    """
    path = _cache_path(potential)
    try:
        return SelfCheckReport.model_validate_json(path.read_text())
    except (OSError, ValueError):  # no file, no text, or no report
        pass
    report = self_check(potential)
    if not report.passed:
        raise SelfCheckError(
            f"{report.label} under {report.package_version} loads, but fails its self-check: "
            f"{'; '.join(report.failures)}.",
            hint="The weights and the installed package do not fit together: use a release of the "
            "weights made for this version, or another potential.",
        )
    keep(path, report.model_dump_json(indent=1))
    return report


def _cache_path(potential: Potential) -> Path:
    info = potential.info
    key = json.dumps([CHECK_VERSION, info.label, info.package_version, info.weights_sha256])
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    return cache_file("self_checks", f"{info.family}-{name}.json")
