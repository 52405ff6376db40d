"""The job that computes the barrier of one hop."""

import time
from dataclasses import asdict, dataclass, field

import numpy as np
from ase import Atoms
from jobflow import job
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from studies.hops.document import HopDocument
from studies.hops.elastic_band import (
    BandSettings,
    elastic_band,
    relax_positions,
)
from studies.hops.hop import HopSettings, hop_barrier
from superionic.errors import InputError
from superionic.potentials.registry import load_potential
from superionic.schemas.common import PotentialDocument, Warning_
from superionic.structures.candidate import structure_hash
from superionic.workflows.jobs.maker import SettingsMaker

_NEAR_A = 1.0


@dataclass
class HopMaker(SettingsMaker):
    """Compute the barrier of one ion between two given places.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : HopSettings
        Grid of the landscape.
    relax : bool
        Compute the barriers with the framework relaxed at the start, and half-way between start and
        end, too.
    band : bool
        Find a nudged elastic band with all ions free, too.
    band_settings : BandSettings
        When relaxations and band end.
    """

    name: str = "hop"
    settings: HopSettings = field(default_factory=HopSettings)
    relax: bool = True
    band: bool = False
    band_settings: BandSettings = field(default_factory=BandSettings)

    @job(output_schema=HopDocument)
    def make(
        self,
        structure: Structure,
        start: list[float],
        end: list[float],
        potential: str,
        material_id: str = "",
    ) -> HopDocument:
        """Compute the barrier of one hop.

        Parameters
        ----------
        structure : Structure
            The crystal with the ion at its start and nothing at its end.
        start, end : list of float
            Fractional coordinates of the places.
        potential : str
            Specification of the potential.
        material_id : str
            What the crystal is called.

        Raises
        ------
        InputError
            When no ion is at the start, or one is at the end.
        """
        begin = time.perf_counter()
        loaded = load_potential(potential)
        mobile = _ion_at(structure, start, end)
        atoms = AseAtomsAdaptor.get_atoms(structure)
        atoms.calc = None
        end_A = np.asarray(end) @ structure.lattice.matrix
        frozen_begin = time.process_time()
        frozen = hop_barrier(atoms, mobile, end_A, loaded, self.settings)
        frozen_core_s = time.process_time() - frozen_begin
        found: dict[str, float | bool | None] = {}
        n_energies, n_forces = frozen.n_evaluations, 0
        warnings = []
        if self.relax or self.band:
            make_force_field = loaded.force_field
            first = relax_positions(atoms, make_force_field, self.band_settings)
            moved = atoms.copy()
            moved.positions[mobile] = end_A
            second = relax_positions(moved, make_force_field, self.band_settings)
            n_forces = first.n_evaluations + second.n_evaluations
            shift = _shortest(second.atoms.positions - first.atoms.positions, atoms)
            others = np.delete(np.linalg.norm(shift, axis=1), mobile)
            found["ends_differ_eV"] = second.energy_eV - first.energy_eV
            found["max_displacement_A"] = float(others.max())
            if np.linalg.norm(shift[mobile]) < _NEAR_A:
                warnings.append(
                    Warning_(code="no_hop", text="Relaxed, start and end are the same place.")
                )
            for name, relaxation in (("start", first), ("end", second)):
                if not relaxation.converged:
                    text = f"The relaxation of the {name} ended before its forces were small."
                    warnings.append(Warning_(code="not_relaxed", text=text))
        if self.relax and not any(warning.code == "no_hop" for warning in warnings):
            target = second.atoms.positions[mobile]
            relaxed = hop_barrier(first.atoms, mobile, target, loaded, self.settings)
            halfway = first.atoms.copy()
            halfway.positions += 0.5 * shift
            halfway.positions[mobile] = first.atoms.positions[mobile]
            between = hop_barrier(halfway, mobile, target, loaded, self.settings)
            found["relaxed_eV"] = _finite(relaxed.barrier_eV)
            found["halfway_eV"] = _finite(between.saddle_energy_eV - first.energy_eV)
            n_energies += relaxed.n_evaluations + between.n_evaluations
        if self.band and not any(warning.code == "no_hop" for warning in warnings):
            band = elastic_band(first.atoms, second.atoms, make_force_field, self.band_settings)
            found["band_eV"] = band.barrier_eV
            found["band_reverse_eV"] = band.reverse_barrier_eV
            found["band_converged"] = band.converged
            n_forces += band.n_evaluations
        hop = _shortest((end_A - atoms.positions[mobile])[None], atoms)
        return HopDocument(
            material_id=material_id,
            formula=structure.composition.reduced_formula,
            mobile_species=structure[mobile].specie.symbol,
            task_key=structure_hash(structure),
            settings={
                "hop": asdict(self.settings),
                "band": asdict(self.band_settings),
                "start": start,
                "end": end,
            },
            wall_time_s=time.perf_counter() - begin,
            n_evaluations=n_energies + n_forces,
            warnings=warnings,
            potential=PotentialDocument.from_info(loaded.info),
            n_atoms=len(structure),
            hop_A=float(np.linalg.norm(hop)),
            frozen_eV=_finite(frozen.barrier_eV),
            frozen_reverse_eV=_finite(frozen.reverse_barrier_eV),
            frozen_core_s=frozen_core_s,
            n_energies=n_energies,
            n_forces=n_forces,
            **found,
        )


def _ion_at(structure: Structure, start: list[float], end: list[float]) -> int:
    """Return the index of the site at the start; the end has to be free."""
    places = np.array([start, end])
    distances = structure.lattice.get_all_distances(places, structure.frac_coords)
    mobile = int(np.argmin(distances[0]))
    if distances[0, mobile] > 0.5:
        raise InputError(
            f"The nearest ion to the start of the hop is {distances[0, mobile]:.2f} A away.",
            hint="Give the fractional coordinates of a site of the crystal.",
        )
    others = np.delete(distances[1], mobile)
    if len(others) and others.min() < _NEAR_A:
        raise InputError(
            f"An ion is {others.min():.2f} A from the end of the hop.",
            hint="Take that ion out: an ion hops into a vacancy or between interstitial places.",
        )
    return mobile


def _shortest(vectors_A: NDArray[np.float64], atoms: Atoms) -> NDArray[np.float64]:
    from ase.geometry import find_mic

    return find_mic(vectors_A, atoms.cell, atoms.pbc)[0]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
