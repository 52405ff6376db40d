"""Ab initio molecular dynamics with VASP: atomate2's Maker of chained runs.

A run is a chain of segments, each a VASP calculation that goes on with the positions and velocities
that the one before has left. A segment that is finished is kept in the data directory at once, so
that a chain that was killed is gone on with from there.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from ase import units as ase_units
from atomate2.vasp.flows.md import MultiMDMaker
from atomate2.vasp.jobs.base import BaseVaspMaker, vasp_job
from atomate2.vasp.jobs.md import MDMaker
from atomate2.vasp.run import JobType
from atomate2.vasp.sets.base import VaspInputGenerator
from atomate2.vasp.sets.core import MDSetGenerator
from jobflow import CURRENT_JOB, Flow, Maker, Response, job
from pymatgen.core import Structure
from pymatgen.io.vasp import Kpoints

from superionic.dynamics.integrators import thermal_velocities
from superionic.errors import DiffusionError, SettingsError
from superionic.schemas.common import PotentialDocument
from superionic.schemas.document import digest
from superionic.schemas.validation import TrajectoryDocument
from superionic.settings import get_settings
from superionic.workflows.jobs.engines.base import (
    Cell,
    EngineMaker,
    about,
    cell_and_atoms,
    folder_name,
    pack,
    require_ion,
)
from superionic.workflows.jobs.engines.segments import (
    files_of_segment,
    join_segments,
    keep_files,
    keep_segment,
    read_segments,
    segment_of_vasprun,
)
from superionic.workflows.keys import key_fields

_INCAR: dict[str, Any] = {
    "GGA": "PE",  # PBE, as the universal potentials were trained
    "LAECHG": False,  # files that nobody reads after a step of dynamics
    "LVTOT": False,
}
_KEPT_FILES = (
    *("INCAR", "KPOINTS", "POTCAR", "POTCAR.spec", "CONTCAR", "OUTCAR", "OSZICAR"),
    *("vasprun.xml", "vasp.out", "custodian.json"),
)
_DYNAMICS_TAGS = ("POTIM", "NSW", "TEBEG", "TEEND", "IBRION", "ISIF", "MDALGO", "SMASS")


@dataclass
class VaspEngine(EngineMaker):
    """Run the dynamics with VASP, at constant volume with a Nose-Hoover thermostat.

    Commands and pseudopotentials are those of atomate2's and pymatgen's configuration
    (``ATOMATE2_VASP_CMD``, ``PMG_VASP_PSP_DIR``). The stop rules are not looked at while it runs.

    Parameters
    ----------
    segment_steps : int
        Steps of one VASP calculation; the last one may be shorter.
    incar : dict
        INCAR tags that are set otherwise than atomate2 sets them for molecular dynamics, and than
        PBE without charge densities and potentials on disk, which are our own defaults. Tags that
        say which dynamics are run are not among them.
    gamma_only : bool
        One k-point, which is what supercells with images 8 A apart or more are run with; otherwise
        atomate2's mesh.
    potcar_functional : str or None
        Set of pseudopotentials, as pymatgen names it.
    potcar_spec : bool
        Write POTCAR.spec, a list of the pseudopotentials, in the place of POTCAR.
    custodian : dict or None
        Arguments of custodian, which watches each calculation and mends what it can; None runs
        without it.
    """

    segment_steps: int = 500
    incar: dict[str, Any] = field(default_factory=dict)
    gamma_only: bool = True
    potcar_functional: str | None = None
    potcar_spec: bool = False
    custodian: dict[str, Any] | None = field(default_factory=dict)

    def segment_maker(
        self, temperature_K: float, n_steps: int, timestep_fs: float, seed: int
    ) -> "VaspSegmentMaker":
        """Return the Maker of one segment, but for where it is kept.

        Parameters
        ----------
        temperature_K, timestep_fs, seed
            As of the run.
        n_steps : int
            Steps of the segment.

        Raises
        ------
        SettingsError
            When ``incar`` holds a tag that says which dynamics are run.
        """
        if clash := sorted(set(_DYNAMICS_TAGS) & {tag.upper() for tag in self.incar}):
            raise SettingsError(
                f"VaspEngine sets {', '.join(clash)} itself.",
                hint="Set temperature, length and time step of the validation instead.",
            )
        generator = MDSetGenerator(
            ensemble="nvt",
            start_temp=temperature_K,
            end_temp=temperature_K,
            nsteps=n_steps,
            time_step=timestep_fs,
            user_incar_settings={"RANDOM_SEED": [seed, 0, 0], **_INCAR, **self.incar},
            user_kpoints_settings=Kpoints() if self.gamma_only else {},
            sort_structure=False,  # the order of the atoms is that of the document
            **potcars(self.potcar_functional),
        )
        return running(VaspSegmentMaker, generator, self.potcar_spec, self.custodian)

    def identity(self) -> PotentialDocument:
        """Return what gives the forces: functional, and a hash of what else is set."""
        import atomate2

        tags = {**_INCAR, **self.incar}
        sha256 = digest([tags, self.gamma_only, self.potcar_functional])
        return PotentialDocument(
            family="vasp",
            name=f"{tags.get('METAGGA') or tags.get('GGA') or 'default'}-{sha256[:8]}",
            package_version=f"atomate2 {atomate2.__version__}",
            weights_sha256=sha256,
        )

    @job
    def make(
        self, structure: Cell, temperature_K: float, n_steps: int, timestep_fs: float, seed: int
    ) -> Response:
        """Run one temperature, or go on with it; see :class:`Engine`.

        Raises
        ------
        NoMobileIonError
            When the crystal does not hold the ion.
        DiffusionError
            When a segment that was kept is of another run.
        """
        start, atoms = cell_and_atoms(structure)
        run = {
            "engine": "vasp",
            "temperature_K": temperature_K,
            "n_steps": n_steps,
            "timestep_fs": timestep_fs,
            "seed": seed,
        }
        plain = {name: value for name, value in asdict(self).items() if name != "name"} | run
        document = about(structure, self.mobile_species, key_fields(self) | run)
        symbols = atoms.get_chemical_symbols()
        require_ion(document, symbols)
        if len([symbol for symbol, _ in groupby(symbols)]) > len(set(symbols)):
            raise DiffusionError(
                "VASP needs the atoms of each element in a row.",
                hint="Sort the structure by element.",
            )
        identity = self.identity()
        name = folder_name(document["task_key"], temperature_K, seed, identity.weights_sha256)
        kept = read_segments(get_settings().data_dir / "md" / name)
        done = sum(len(segment) for segment in kept)
        total = self.n_equilibration_steps(timestep_fs) + n_steps
        first = kept[-1].structure_after if kept else _with_velocities(start, temperature_K, seed)
        makers = [
            replace(
                self.segment_maker(
                    temperature_K, min(self.segment_steps, total - step), timestep_fs, seed
                ),
                folder=name,
                first_step=step,
                n_kept=index,
            )
            for index, step in enumerate(range(done, total, self.segment_steps), start=len(kept))
        ]
        collect = CollectSegmentsMaker(engine=self, folder=name)
        arguments = (document, plain, start, temperature_K, n_steps, timestep_fs, seed)
        if not makers:
            return Response(replace=collect.make(*arguments))
        chain = MultiMDMaker(name=f"VASP {temperature_K:g} K", md_makers=makers).make(
            first, prev_traj_ids=[segment.uuid for segment in kept]
        )
        last = collect.make(*arguments, segments=chain.output.full_traj_ids)
        return Response(replace=Flow([chain, last], output=last.output))


@dataclass
class VaspSegmentMaker(MDMaker):
    """One segment: atomate2's MD job, whose frames are kept before the next one starts.

    Parameters
    ----------
    name : str
        Name of the job.
    folder : str
        Folder of the run below the folder ``md`` of the data directory.
    first_step : int
        Steps of the run before this segment.
    n_kept : int
        Segments before this one.
    """

    name: str = "VASP segment"
    folder: str = ""
    first_step: int = 0
    n_kept: int = 0

    @vasp_job
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> Response:
        """Run the segment and keep it.

        Parameters
        ----------
        structure : pymatgen.core.Structure
            Where it starts, with velocities.
        prev_dir : str, Path or None
            Not used: folders of jobs may be gone when they are over. The segment before is read
            from where it is kept.
        """
        started = time.perf_counter()
        folder = get_settings().data_dir / "md" / self.folder
        before = files_of_segment(folder, self.n_kept - 1)
        response: Response = MDMaker.make.original(
            self, structure, before if before.is_dir() else None
        )
        current = CURRENT_JOB.job
        segment = segment_of_vasprun(
            Path.cwd(),
            first_step=self.first_step,
            n_steps=self.input_set_generator.nsteps,
            timestep_fs=self.input_set_generator.time_step,
            structure_after=response.output.structure,
            uuid=current.uuid if current is not None else "",
            wall_time_s=time.perf_counter() - started,
        )
        keep_files(folder, self.n_kept, Path.cwd(), _KEPT_FILES)
        keep_segment(folder, self.n_kept, segment)
        return response


@dataclass
class CollectSegmentsMaker(Maker):
    """Join the segments of a run into one trajectory.

    Parameters
    ----------
    name : str
        Name of the job.
    engine : VaspEngine
        The engine of the run.
    folder : str
        Folder of the run below the folder ``md`` of the data directory.
    """

    name: str = "collect segments"
    engine: VaspEngine = field(default_factory=VaspEngine)
    folder: str = ""

    @job(data=["arrays"])
    def make(
        self,
        document: dict[str, Any],
        settings: dict[str, Any],
        start: Structure,
        temperature_K: float,
        n_steps: int,
        timestep_fs: float,
        seed: int,
        segments: list[str] | None = None,
    ) -> TrajectoryDocument:
        """Join them: no frame missing or doubled, positions unwrapped, thinned.

        Parameters
        ----------
        document, settings : dict
            What the document says of the material and of the settings.
        start : pymatgen.core.Structure
            Where the run started.
        temperature_K, n_steps, timestep_fs, seed
            As of the run.
        segments : list of str, optional
            uuids of the jobs of the chain: what this job waits for.

        Raises
        ------
        DiffusionError
            When a segment is missing or does not go on where the one before ended.
        """
        kept = read_segments(get_settings().data_dir / "md" / self.folder)
        whole = join_segments(kept)
        stride = self.engine.stride(timestep_fs)
        thin = whole.every(stride)
        wanted = self.engine.n_equilibration_steps(timestep_fs) + n_steps
        if len(whole) < wanted:
            raise DiffusionError(
                f"{len(whole)} of {wanted} steps are there.",
                hint="Run it again: it goes on after the last finished segment.",
                material_id=document["material_id"],
            )
        return TrajectoryDocument(
            **document,
            settings=settings,
            wall_time_s=sum(segment.wall_time_s for segment in kept),
            n_evaluations=len(whole),
            engine="vasp",
            potential=self.engine.identity().model_copy(
                update={"package_version": f"VASP {kept[-1].version}"}
            ),
            symbols=[site.specie.symbol for site in start],
            lattice_A=start.lattice.matrix.tolist(),
            start_positions_A=start.cart_coords.tolist(),
            temperature_K=temperature_K,
            timestep_fs=timestep_fs,
            stride=stride,
            seed=seed,
            n_frames=len(thin),
            has_first_frame=bool(thin.steps[0] == 0),
            n_equilibration_steps=self.engine.n_equilibration_steps(timestep_fs),
            n_steps_done=len(whole),
            status="completed",
            stop_reason=f"{len(whole)} steps in {len(kept)} segments",
            segments=[segment.uuid for segment in kept],
            arrays=pack(
                thin.steps,
                thin.positions_A,
                thin.energies_eV,
                thin.forces_eV_per_A,
                thin.temperatures_K,
            ),
        )


def _with_velocities(structure: Structure, temperature_K: float, seed: int) -> Structure:
    """Return the structure with thermal velocities in A/fs, as a POSCAR holds them."""
    masses = np.array([float(site.specie.atomic_mass) for site in structure])
    velocities = thermal_velocities(masses, temperature_K, np.random.default_rng(seed))
    started = structure.copy()
    started.add_site_property("velocities", (velocities * ase_units.fs).tolist())
    return started


def potcars(functional: str | None) -> dict[str, str]:
    """Return what an input set of atomate2 is told of the PAW data; nothing for its own."""
    return {} if functional is None else {"user_potcar_functional": functional}


def running(
    make: Callable[..., BaseVaspMaker],
    generator: VaspInputGenerator,
    potcar_spec: bool,
    custodian: dict[str, Any] | None,
) -> Any:
    """Return a Maker of atomate2 that writes these inputs and runs VASP as the settings say.

    Parameters
    ----------
    make : callable
        The class of the Maker.
    generator : VaspInputGenerator
        Its inputs.
    potcar_spec : bool
        Whether names of PAW data are written in place of the data.
    custodian : dict or None
        Arguments of custodian; None runs without it.
    """
    maker: Any = make(
        input_set_generator=generator, write_input_set_kwargs={"potcar_spec": potcar_spec}
    )
    if custodian is None:
        maker.run_vasp_kwargs = {"job_type": JobType.DIRECT}
    else:
        maker.run_vasp_kwargs["custodian_kwargs"] = dict(custodian)
    return maker
