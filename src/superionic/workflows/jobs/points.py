"""Single points of a landscape, each a job of its own: ASE calculators and VASP.

All points of a landscape are computed with one set of settings: one cell, basis, mesh of k-points,
smearing, spin and charge. A point whose calculation fails is a point less and no failed job; what
is wrong with the installation is an error.
"""

import hashlib
import math
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ase import Atoms
from jobflow import Job, job
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from superionic.errors import SettingsError
from superionic.potentials.ase_calculator import load_ase
from superionic.potentials.registry import identify_potential, load_potential, parse_spec
from superionic.schemas.common import PotentialDocument
from superionic.schemas.document import digest
from superionic.schemas.screen import PointDocument
from superionic.workflows.jobs.maker import SettingsMaker
from superionic.workflows.keys import key_fields

_DECIMALS = 7
"""Of positions in A, in the key of a point."""
_LONGEST = 500
"""Characters of what is kept of an error."""


@dataclass(frozen=True)
class Point:
    """A single point that is wanted.

    Parameters
    ----------
    point : int
        Which irreducible point of the landscape.
    ion : int
        Site index of the ion that moves.
    position_A : tuple of float
        Where it moves to.
    """

    point: int
    ion: int
    position_A: tuple[float, float, float]

    @classmethod
    def of(cls, point: int, ion: int, position_A: Sequence[float]) -> "Point":
        """Return a point from what a job is told."""
        x, y, z = position_A
        return cls(point, ion, (x, y, z))

    def moved(self, structure: Structure) -> Structure:
        """Return a crystal with the ion where it is wanted."""
        found = structure.copy()
        found.translate_sites(
            [self.ion],
            list(self.position_A) - found[self.ion].coords,
            frac_coords=False,
            to_unit_cell=False,
        )
        return found


class PointEngine(Protocol):
    """Something that computes single points, each as a job."""

    def bound(self, potential: str) -> "PointEngine":
        """Return the engine with a calculator where none is set."""

    def identity(self) -> PotentialDocument:
        """Return what gives the energies."""

    def make(
        self,
        structure: Structure,
        point: int,
        ion: int,
        position_A: Sequence[float],
        about: dict[str, Any],
    ) -> Job:
        """Return the job of a point; its output is a :class:`PointDocument`."""


@dataclass
class PointMaker(SettingsMaker):
    """What all engines of single points are told.

    Parameters
    ----------
    name : str
        Name of the job.
    magnetic_moments_uB : dict of str to float
        Initial magnetic moment of each atom by its element; the others have none. Empty without
        spin. All points start from the same moments.
    """

    name: str = "single point"
    magnetic_moments_uB: dict[str, float] = field(default_factory=dict)

    def identity(self) -> PotentialDocument:
        """Return what gives the energies."""
        raise NotImplementedError

    def key(self, structure: Structure, point: Point) -> str:
        """Return the key under which a point is found again: that of the same calculation."""
        moved = point.moved(structure)
        rounded = [[round(x, _DECIMALS) + 0.0 for x in row] for row in moved.cart_coords.tolist()]
        cell = [[round(x, _DECIMALS) + 0.0 for x in row] for row in moved.lattice.matrix.tolist()]
        content = [list(moved.atomic_numbers), cell, rounded, key_fields(self)]
        return digest(["point", *content, self.identity().weights_sha256])

    def job_of(self, structure: Structure, point: Point, about: dict[str, Any]) -> Job:
        """Return the job of a point, whose uuid is that of the same calculation anywhere."""
        key = self.key(structure, point)
        maker: Any = self
        where = (point.point, point.ion, list(point.position_A))
        found: Job = maker.make(structure, *where, {**about, "task_key": key})
        found.set_uuid(uuid_of(key))
        return found

    def document(
        self,
        point: Point,
        about: dict[str, Any],
        compute: Callable[[], tuple[float, str, str]],
        inputs: str,
        program: str,
    ) -> PointDocument:
        """Return the document of a point, whether its calculation succeeds or not.

        Parameters
        ----------
        point : Point
            The point.
        about : dict
            What the document says of the material.
        compute : callable
            Returns energy in eV, hash of the inputs, and the program.
        inputs, program : str
            Hash and program to be named when it fails.
        """
        start = time.perf_counter()
        energy_eV: float | None = None
        failure = None
        try:
            energy_eV, inputs, program = compute()
            if not math.isfinite(energy_eV):
                energy_eV, failure = None, "The energy is NaN or infinite."
        except Exception as error:  # whatever a program does: a point less
            failure = f"{type(error).__name__}: {error}"[:_LONGEST]
        return PointDocument(
            **about,
            settings={name: value for name, value in key_fields(self).items() if name != "name"},
            wall_time_s=time.perf_counter() - start,
            n_evaluations=1,
            potential=self.identity(),
            point=point.point,
            ion=point.ion,
            position_A=list(point.position_A),
            energy_eV=energy_eV,
            failure=failure,
            inputs_sha256=inputs,
            program=program,
        )

    def moments(self, structure: Structure) -> list[float]:
        """Return the initial magnetic moments of all atoms."""
        return [self.magnetic_moments_uB.get(site.specie.symbol, 0.0) for site in structure]


def uuid_of(key: str) -> str:
    """Return the uuid of the job with a key."""
    return str(uuid.UUID(key[:32]))


@dataclass
class AsePointMaker(PointMaker):
    """Compute a single point with a potential of ours or any ASE calculator: GPAW, CP2K, QE.

    Basis, k-points, smearing and charge are the calculator's keyword arguments, the same for all
    points.

    Parameters
    ----------
    potential : str or None
        Specification, such as ``ase:gpaw.GPAW?{"xc": "PBE", "kpts": [4, 4, 4]}``; None takes the
        potential of the flow.
    """

    potential: str | None = None

    def bound(self, potential: str) -> "AsePointMaker":
        """Return the engine with a calculator where none is set."""
        spec = str(parse_spec(self.potential or potential))
        return AsePointMaker(self.name, dict(self.magnetic_moments_uB), spec)

    def identity(self) -> PotentialDocument:
        """Return what gives the energies."""
        return PotentialDocument.from_info(identify_potential(self._spec))

    @property
    def _spec(self) -> str:
        if self.potential is None:
            raise SettingsError(
                "No calculator is named for single points.", hint="Set 'potential'."
            )
        return self.potential

    @job(output_schema=PointDocument)
    def make(
        self,
        structure: Structure,
        point: int,
        ion: int,
        position_A: Sequence[float],
        about: dict[str, Any],
    ) -> PointDocument:
        """Compute one point; a calculation that fails gives a document that says so.

        Raises
        ------
        PotentialError
            When the calculator is not there, or cannot be built.
        """
        where = Point.of(point, ion, position_A)
        spec = parse_spec(self._spec)
        # A new one for each point: a program that a calculator has started lives in one folder.
        potential = (
            load_ase(spec.name, settings=spec.settings)
            if spec.family == "ase"
            else load_potential(self._spec)
        )
        atoms: Atoms = AseAtomsAdaptor.get_atoms(where.moved(structure))
        atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        if self.magnetic_moments_uB:
            atoms.set_initial_magnetic_moments(self.moments(structure))
        given = digest(
            [
                str(spec),
                atoms.numbers.tolist(),
                atoms.cell.array.tolist(),
                atoms.positions.tolist(),
                atoms.get_initial_magnetic_moments().tolist(),
            ]
        )
        program = potential.info.package_version

        def compute() -> tuple[float, str, str]:
            return float(potential.energies([atoms])[0]), given, program

        return self.document(where, about, compute, given, program)


_POINT_INCAR: dict[str, Any] = {
    "GGA": "PE",  # PBE, as the universal potentials were trained
    "ENCUT": 520,
    "EDIFF": 1e-6,
    "PREC": "Accurate",
    "ALGO": "Normal",
    "NELM": 200,
    "ISMEAR": 0,  # one smearing for all points, whatever their gap
    "SIGMA": 0.05,
    "ISYM": 0,  # the moved ion breaks the symmetry anyway, and one mesh is for all points
    "LREAL": False,
    "LASPH": True,
    "LCHARG": False,
    "LWAVE": False,
    "LAECHG": False,
    "LVTOT": False,
    "LORBIT": 0,
}
_SPIN_TAGS = ("ISPIN", "MAGMOM", "NELECT", "NUPDOWN", "NSW")


@dataclass
class VaspPointMaker(PointMaker):
    """Compute a single point with VASP, by atomate2's Maker of static calculations.

    Commands and pseudopotentials are those of atomate2's and pymatgen's configuration. The cell is
    neutral. Without magnetic moments there is no spin.

    Parameters
    ----------
    incar : dict
        INCAR tags that are set otherwise than for PBE at 520 eV, with Gaussian smearing of 0.05 eV
        and without symmetry.
    reciprocal_density : float
        k-points by reciprocal volume, for atomate2's mesh; the cell is the same for all points, and
        so is the mesh.
    potcar_functional : str or None
        Set of pseudopotentials, as pymatgen names it.
    potcar_spec : bool
        Write POTCAR.spec, a list of the pseudopotentials, in the place of POTCAR.
    custodian : dict or None
        Arguments of custodian; None runs without it.
    """

    incar: dict[str, Any] = field(default_factory=dict)
    reciprocal_density: float = 100.0
    potcar_functional: str | None = None
    potcar_spec: bool = False
    custodian: dict[str, Any] | None = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse tags that are set elsewhere."""
        super().__post_init__()
        if clash := sorted(set(_SPIN_TAGS) & {tag.upper() for tag in self.incar}):
            raise SettingsError(
                f"VaspPointMaker sets {', '.join(clash)} itself.",
                hint="Set magnetic_moments_uB; the cell is neutral and nothing but the ion moves.",
            )

    def bound(self, potential: str) -> "VaspPointMaker":
        """Return the engine itself: VASP has no other calculator."""
        return self

    @property
    def tags(self) -> dict[str, Any]:
        """Return the INCAR tags that are set."""
        spin: dict[str, Any] = {"ISPIN": 1}
        if self.magnetic_moments_uB:
            spin = {"ISPIN": 2, "MAGMOM": dict(self.magnetic_moments_uB)}
        return {**_POINT_INCAR, **spin, **self.incar}

    def identity(self) -> PotentialDocument:
        """Return what gives the energies: functional, and a hash of what else is set."""
        import atomate2

        sha256 = digest([self.tags, self.reciprocal_density, self.potcar_functional])
        return PotentialDocument(
            family="vasp",
            name=f"{self.tags.get('METAGGA') or self.tags['GGA']}-{sha256[:8]}",
            package_version=f"atomate2 {atomate2.__version__}",
            weights_sha256=sha256,
        )

    def static_maker(self, structure: Structure) -> Any:
        """Return atomate2's Maker of the calculation of a crystal."""
        from atomate2.vasp.jobs.core import StaticMaker
        from atomate2.vasp.sets.core import StaticSetGenerator

        from superionic.workflows.jobs.engines.vasp import potcars, running

        tags = self.tags
        if self.magnetic_moments_uB:  # atomate2 has moments of its own for elements without one
            symbols = [element.symbol for element in structure.composition.elements]
            moments = {symbol: self.magnetic_moments_uB.get(symbol, 0.0) for symbol in symbols}
            tags = tags | {"MAGMOM": moments}
        generator = StaticSetGenerator(
            user_incar_settings=tags,
            user_kpoints_settings={"reciprocal_density": self.reciprocal_density},
            auto_ispin=False,
            auto_ismear=False,
            **potcars(self.potcar_functional),
        )
        return running(StaticMaker, generator, self.potcar_spec, self.custodian)

    @job(output_schema=PointDocument)
    def make(
        self,
        structure: Structure,
        point: int,
        ion: int,
        position_A: Sequence[float],
        about: dict[str, Any],
    ) -> PointDocument:
        """Compute one point; a calculation that fails gives a document that says so."""
        import atomate2
        from atomate2.vasp.jobs.core import StaticMaker

        maker = self.static_maker(structure)
        where = Point.of(point, ion, position_A)
        moved = where.moved(structure)
        moved.remove_oxidation_states()

        def compute() -> tuple[float, str, str]:
            found = StaticMaker.make.original(maker, moved).output
            if found.output.energy is None or not found.calcs_reversed[0].has_vasp_completed:
                raise ValueError("VASP did not complete.")
            version = f"VASP {found.calcs_reversed[0].vasp_version}"
            return float(found.output.energy), _hash_of_inputs(Path.cwd()), version

        program = f"atomate2 {atomate2.__version__}"
        given = digest([self.tags, moved.as_dict()])
        return self.document(where, about, compute, given, program)


def _hash_of_inputs(folder: Path) -> str:
    """Return the hash of VASP's input files, whether they were compressed since or not."""
    import gzip

    found = hashlib.sha256()
    for name in ("INCAR", "KPOINTS", "POSCAR", "POTCAR", "POTCAR.spec"):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.exists():
                content = path.read_bytes()
                found.update(f"|{name}|".encode())
                found.update(gzip.decompress(content) if path.suffix == ".gz" else content)
                break
    return found.hexdigest()


def engine_named(name: str) -> PointMaker | None:
    """Return an engine by name; None for ``potential``, which computes all points in one job.

    Raises
    ------
    SettingsError
        When there is none of that name.
    """
    known: dict[str, type[PointMaker] | None] = {
        "potential": None,
        "ase": AsePointMaker,
        "vasp": VaspPointMaker,
    }
    if name not in known:
        raise SettingsError(
            f"There is no engine '{name}' of single points.", hint=f"Engines: {', '.join(known)}."
        )
    found = known[name]
    return None if found is None else found()
