"""The job that brings a crystal to equilibrium under the potential, where it needs it."""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jobflow import Flow, Maker, Response, job
from pymatgen.core import Structure

from superionic import defaults
from superionic.errors import PotentialError, SettingsError
from superionic.fields import rebuilt
from superionic.potentials.base import Potential, require_finite
from superionic.potentials.registry import load_potential
from superionic.progress import report_stage
from superionic.schemas.common import PotentialDocument, Warning_
from superionic.schemas.screen import PreparedDocument, RelaxedDocument
from superionic.structures.noise import TOLERANCES_A, symmetric_crystals
from superionic.structures.prepare import PrepareSettings, computed_cell

_RELAXED_FORCE_RATIO = 2
"""Forces up to so many times where a relaxation ends are those of a relaxed crystal."""

_LARGEST_RISE_eV_PER_ATOM = 1e-3


def relax_maker(potential: str, *, relax_cell: bool, fmax_eV_per_A: float, steps: int) -> Maker:
    """Return atomate2's relaxation Maker for one of our potentials.

    The space group is kept: it is what makes the landscape after it cheap, and a relaxation must
    not lose it to numerical noise.
    """
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker  # takes seconds, seldom needed

    calculator = {
        "@module": "superionic.potentials.calculator",
        "@callable": "potential_calculator",
    }
    if not relax_cell:
        calculator = {
            "@module": "superionic.potentials.calculator",
            "@callable": "fixed_cell_calculator",
        }
    return ForceFieldRelaxMaker(
        force_field_name=calculator,
        calculator_kwargs={"spec": potential},
        relax_cell=relax_cell,
        fix_symmetry=True,
        steps=steps,
        relax_kwargs={"fmax": fmax_eV_per_A},
        ionic_step_data=None,
    )


@dataclass
class RelaxIfNeededMaker(Maker):
    """Relax a crystal whose largest force is above a threshold, leave the others alone.

    Crystals relaxed with density functional theory are close enough to the potential's own
    equilibrium; CIF files from experiment, or with noise, are not, and a landscape round a strained
    bond is not that of the material.

    Parameters
    ----------
    name : str
        Name of the job.
    max_force_eV_per_A : float or None
        Relax when any force component vector is longer than this; None never relaxes.
    relax_cell : bool
        Relax the cell, too.
    fmax_eV_per_A : float
        Forces at which the relaxation ends.
    steps : int
        Most ionic steps.
    symmetry_tolerance_A : float or None
        A noisy crystal, which has no symmetry and would have one within some tenths of an A, is
        relaxed whatever its forces are, and then given the highest symmetry that it has within
        this tolerance, in A, at no cost in energy; None leaves it as it is. Other crystals are not
        touched.
    """

    name: str = "relax if needed"
    max_force_eV_per_A: float | None = defaults.SCREEN_MAX_FORCE_eV_per_A
    relax_cell: bool = False
    fmax_eV_per_A: float = defaults.RELAXED_FORCE_eV_per_A
    steps: int = defaults.RELAX_STEPS
    symmetry_tolerance_A: float | None = None

    @property
    def symmetrises(self) -> bool:
        """Whether noisy crystals are given their symmetry; only what is relaxed is."""
        return self.symmetry_tolerance_A is not None and self.max_force_eV_per_A is not None

    # Without output_schema: jobflow checks it against the reference that a replacement leaves.
    @job
    def make(self, prepared: PreparedDocument, potential: str) -> RelaxedDocument | Response:
        """Look at the forces and relax the crystal where they are large.

        Parameters
        ----------
        prepared : PreparedDocument
            The crystal.
        potential : str
            Specification of the potential.
        """
        report_stage("forces")
        start = time.perf_counter()
        loaded = load_potential(potential)
        force = largest_force(prepared.structure, loaded)
        limit = self.max_force_eV_per_A
        if limit is not None and self.symmetrises and prepared.noisy:
            limit = min(limit, self.fmax_eV_per_A)
        if limit is None or force <= limit:
            return _document(
                self,
                prepared,
                loaded,
                prepared.structure,
                force_before=force,
                force_after=force,
                wall_time_s=time.perf_counter() - start,
                n_steps=0,
            )
        report_stage("relaxing")
        relax = relax_maker(
            potential,
            relax_cell=self.relax_cell,
            fmax_eV_per_A=self.fmax_eV_per_A,
            steps=self.steps,
        ).make(prepared.structure)
        summary = _SummariseMaker(maker=self).make(
            prepared,
            potential,
            relax.output.structure,
            n_steps=relax.output.output.n_steps,
            relax_time_s=relax.output.output.elapsed_time,
            force_before_eV_per_A=force,
        )
        return Response(replace=Flow([relax, summary], output=summary.output))


def relax_before_landscape() -> RelaxIfNeededMaker:
    """Return what relaxes a crystal before its landscape is computed, by default."""
    return RelaxIfNeededMaker(symmetry_tolerance_A=defaults.SYMMETRY_TOLERANCE_A)


def relax_before_forces(relax: str = defaults.RELAX) -> RelaxIfNeededMaker | None:
    """Return what relaxes a crystal before it is shaken or runs, None for nothing.

    Parameters
    ----------
    relax : {"auto", "cell", "never"}
        Positions where a force is large; the cell, too; or nothing.

    Raises
    ------
    SettingsError
        When it is none of these.
    """
    relax_cell = relaxes_cell(relax)
    if relax == "never":
        return None
    return RelaxIfNeededMaker(
        max_force_eV_per_A=defaults.MD_MAX_FORCE_eV_per_A, relax_cell=relax_cell
    )


def relaxes_cell(relax: str) -> bool:
    """Return whether the cell is relaxed, too.

    Raises
    ------
    SettingsError
        When ``relax`` is none of auto, cell and never.
    """
    if relax not in ("auto", "cell", "never"):
        raise SettingsError(f"relax = {relax!r} is not known.", hint="Use auto, cell or never.")
    return relax == "cell"


@dataclass
class _SummariseMaker(Maker):
    """Write the document of a relaxation that atomate2 ran."""

    name: str = "summarise relaxation"
    maker: RelaxIfNeededMaker = field(default_factory=RelaxIfNeededMaker)

    @job(output_schema=RelaxedDocument)
    def make(
        self,
        prepared: PreparedDocument,
        potential: str,
        structure: Structure,
        n_steps: int,
        relax_time_s: float,
        force_before_eV_per_A: float,
    ) -> RelaxedDocument:
        """Compare the relaxed crystal with the prepared one."""
        start = time.perf_counter()
        loaded = load_potential(potential)
        energy_eV, force_after = energy_and_force(structure, loaded)
        document = _document(
            self.maker,
            prepared,
            loaded,
            structure,
            force_before=force_before_eV_per_A,
            force_after=force_after,
            wall_time_s=relax_time_s + time.perf_counter() - start,
            n_steps=n_steps,
        )
        if not (self.maker.symmetrises and prepared.noisy):
            return document
        report_stage("symmetrising")
        changes = _symmetrised(self.maker, prepared, loaded, document, energy_eV)
        time_s = relax_time_s + time.perf_counter() - start
        return document.model_copy(update=changes | {"wall_time_s": time_s})


def _symmetrised(
    maker: RelaxIfNeededMaker,
    prepared: PreparedDocument,
    potential: Potential,
    relaxed: RelaxedDocument,
    energy_eV: float,
) -> dict[str, Any]:
    """Return what changes in a document when its noisy crystal is given its symmetry.

    The most symmetric crystal is taken that lies within the tolerance, is not higher in energy, and
    has forces no larger than a relaxation leaves.
    """
    found = relaxed.structure
    tolerance_A = maker.symmetry_tolerance_A or 0.0
    tried = symmetric_crystals(found, [one for one in TOLERANCES_A if one <= tolerance_A])
    n_evaluations = relaxed.n_evaluations
    for one in tried:
        energy_after_eV, force = energy_and_force(one.structure, potential)
        n_evaluations += 1
        rise_eV = (energy_after_eV - energy_eV) / len(found)
        limit = max(_RELAXED_FORCE_RATIO * maker.fmax_eV_per_A, relaxed.max_force_after_eV_per_A)
        if rise_eV > _LARGEST_RISE_eV_PER_ATOM or force > limit:
            continue
        settings = rebuilt(PrepareSettings, prepared.settings, "settings")
        text = (
            f"A noisy crystal without symmetry was brought to {one.symbol} ({one.number}) within "
            f"{one.tolerance_A:g} A after it was relaxed; atoms moved by up to "
            f"{one.largest_move_A:.3f} A, the energy changed by {1000 * rise_eV:+.2f} meV/atom, "
            f"and the largest force is {force:.3f} eV/A."
        )
        return {
            "structure": computed_cell(one.structure, settings),
            "symmetry_tolerance_A": one.tolerance_A,
            "symmetrised_by_A": one.largest_move_A,
            "max_force_after_eV_per_A": force,
            "n_evaluations": n_evaluations,
            "warnings": [*relaxed.warnings, Warning_(code="symmetrised", text=text)],
        }
    text = (
        f"The crystal has no symmetry, also when it is relaxed: none within {tolerance_A:g} A "
        "without a rise in energy. If that is noise, its numbers are those of the noise."
    )
    warnings = [*relaxed.warnings, Warning_(code="noisy", text=text)]
    return {"n_evaluations": n_evaluations, "warnings": warnings}


def largest_force(structure: Structure, potential: Potential) -> float:
    """Return the length of the longest force vector in eV/A, as :func:`energy_and_force`."""
    return energy_and_force(structure, potential)[1]


def energy_and_force(structure: Structure, potential: Potential) -> tuple[float, float]:
    """Return the energy in eV and the length of the longest force vector in eV/A.

    Raises
    ------
    UnknownElementError, NonFiniteEnergyError
        As the potential does.
    """
    from pymatgen.io.ase import AseAtomsAdaptor  # takes long

    atoms = AseAtomsAdaptor.get_atoms(structure)
    potential.check_crystal(atoms)
    energies_eV, forces = potential.energies_and_forces([atoms])
    require_finite(energies_eV, potential)
    require_finite(forces[0], potential)
    return float(energies_eV[0]), float(np.linalg.norm(forces[0], axis=1).max())


def _document(
    maker: RelaxIfNeededMaker,
    prepared: PreparedDocument,
    potential: Potential,
    structure: Structure,
    *,
    force_before: float,
    force_after: float,
    wall_time_s: float,
    n_steps: int,
) -> RelaxedDocument:
    warnings: list[Warning_] = []
    relaxed = n_steps > 0
    displacement = 0.0
    if relaxed:
        if len(structure) != len(prepared.structure):
            raise PotentialError(
                "The relaxed crystal has another number of atoms.",
                hint="Please report this with the crystal.",
                material_id=prepared.material_id,
            )
        delta = structure.frac_coords - prepared.structure.frac_coords
        delta -= np.rint(delta)
        displacement = float(np.linalg.norm(delta @ structure.lattice.matrix, axis=1).max())
        warnings.append(
            Warning_(
                code="relaxed",
                text=f"The largest force was {force_before:.2f} eV/A; atoms moved by up to "
                f"{displacement:.2f} A in {n_steps} steps.",
            )
        )
        if force_after > _RELAXED_FORCE_RATIO * maker.fmax_eV_per_A:
            warnings.append(
                Warning_(
                    code="relaxation_unconverged",
                    text=f"The largest force is still {force_after:.2f} eV/A after {n_steps} "
                    "steps; raise the number of steps or check the crystal.",
                )
            )
    return RelaxedDocument(
        **prepared.identity,
        settings={
            "max_force_eV_per_A": maker.max_force_eV_per_A,
            "relax_cell": maker.relax_cell,
            "fmax_eV_per_A": maker.fmax_eV_per_A,
            "steps": maker.steps,
            "symmetry_tolerance_A": maker.symmetry_tolerance_A if prepared.noisy else None,
        },
        wall_time_s=wall_time_s,
        n_evaluations=1 + n_steps + int(relaxed),
        warnings=warnings,
        potential=PotentialDocument.from_info(potential.info),
        structure=structure,
        relaxed=relaxed,
        relax_cell=relaxed and maker.relax_cell,
        max_force_before_eV_per_A=force_before,
        max_force_after_eV_per_A=force_after,
        max_displacement_A=displacement,
        n_steps=n_steps,
    )
