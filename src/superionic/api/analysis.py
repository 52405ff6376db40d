"""Analysis of a trajectory that the user brings."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from superionic import defaults
from superionic.api.dynamics import OfDynamics
from superionic.dynamics.crystal import crystal_of
from superionic.dynamics.files import FileTrajectory, read_trajectory
from superionic.dynamics.slope import SlopeSettings
from superionic.dynamics.verdict import VerdictRules, framework_text
from superionic.dynamics.verdict import analyse as analyse_positions
from superionic.errors import DiffusionError
from superionic.report.tables.text_table import html_table
from superionic.schemas.common import Warning_
from superionic.schemas.label import AnalysisDocument, findings_of
from superionic.structures.crystals import Crystal, read_structures
from superionic.structures.species import charge_of, parse_mobile_species

if TYPE_CHECKING:
    import pandas as pd

_NOT_IN_A_TABLE = frozenset({"structure", "settings", "msd", "slope", "collective_slope"})
_SPARSE_PS = 0.4


class Analysis(OfDynamics[AnalysisDocument]):
    """What a trajectory says of the diffusion of an ion.

    Parameters
    ----------
    document : AnalysisDocument
        All numbers.
    """

    def frame(self) -> "pd.DataFrame":
        """Return the numbers as a pandas table of one row."""
        import pandas as pd

        record = self.document.model_dump(exclude=set(_NOT_IN_A_TABLE))
        return pd.DataFrame([record]).set_index("material_id")

    def lines(self) -> list[tuple[str, str]]:
        """Return what is worth a line of text, each with its name."""
        found = self.document
        slope, together = found.slope, found.collective_slope
        lines = [
            ("verdict", f"{found.verdict}: {found.verdict_reason}"),
            ("production", f"{found.production_ps:.4g} ps in {found.n_frames} frames"),
            (
                f"{found.mobile_species} ions",
                f"{found.n_mobile}, {found.n_hopped} hopped, {found.n_jumps} jumps "
                f"({found.jump_rate_per_ps:.3g} of an ion in a ps)",
            ),
            ("density of mobile ions", f"{found.mobile_density_per_cm3:.3g} /cm^3"),
        ]
        if slope is not None and together is not None:
            lines += [
                ("tracer slope", _interval(slope.slope_A2_per_ps, slope.low_A2_per_ps,
                                           slope.high_A2_per_ps, "A^2/ps")),
                ("tracer diffusivity", f"{found.diffusivity_cm2_per_s:.3g} cm^2/s"),
                ("collective slope", _interval(together.slope_A2_per_ps, together.low_A2_per_ps,
                                               together.high_A2_per_ps, "A^2/ps")),
                ("Haven ratio", _interval(found.haven_ratio, found.haven_ratio_low,
                                          found.haven_ratio_high, "")),
            ]  # fmt: skip
        if found.conductivity_S_per_cm is not None:
            error = found.conductivity_error_S_per_cm
            lines += [
                ("Nernst-Einstein conductivity",
                 f"{found.conductivity_S_per_cm:.3g} +- {error:.2g} S/cm"),
                ("collective conductivity",
                 _interval(found.collective_conductivity_S_per_cm,
                           found.collective_conductivity_low_S_per_cm,
                           found.collective_conductivity_high_S_per_cm, "S/cm")),
            ]  # fmt: skip
        return [*lines, *(("note", warning.text) for warning in found.warnings)]

    def __repr__(self) -> str:
        found = self.document
        return (
            f"Analysis({found.formula}, {found.material_id}, {found.production_ps:.3g} ps, "
            f"{found.verdict})"
        )

    def _repr_html_(self) -> str:
        return html_table([("", False), ("", False)], self.lines())


def analyse(
    trajectory: str | Path,
    mobile: str = defaults.MOBILE,
    temperature_K: float | None = None,
    *,
    timestep_fs: float | None = None,
    skip_ps: float = 0.0,
    structure: Crystal | None = None,
) -> Analysis:
    """Read the diffusion of an ion from a trajectory of any program.

    The same verdict, slopes, figure and numbers as those of ``superionic label``, for a run of your
    own: ASE, VASP, LAMMPS, CP2K, or the folder of a run of ours.

    Parameters
    ----------
    trajectory : str or Path
        A file ``.traj``, ``.extxyz``, ``XDATCAR``, ``vasprun.xml``, ``.lammpstrj`` or ``.dump``,
        ``.xyz`` of CP2K, or a folder with a run of ours.
    mobile : str
        The mobile ion, such as Li, Na, Ag or F.
    temperature_K : float, optional
        Temperature of the run; without it there are no conductivities.
    timestep_fs : float, optional
        Time between frames of the file in fs; vasprun.xml, CP2K and our runs say it themselves.
    skip_ps : float
        Time that is left out at the start, while the crystal warms up.
    structure : str, Path, Structure or Atoms, optional
        The crystal of the run, for files without a cell (CP2K) or without elements (LAMMPS).

    Raises
    ------
    DiffusionError
        When the file cannot be read or analysed: cells that change, frames that are missing or
        unevenly spaced, atoms that move too far between frames, a single frame, another ion.

    Examples
    --------
    >>> import superionic as si
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase.io import write
    >>> with TemporaryDirectory() as folder:
    ...     write(f"{folder}/run.traj", [bulk("LiCl", "rocksalt", a=5.1, cubic=True)] * 400)
    ...     si.analyse(f"{folder}/run.traj", "Li", 600, timestep_fs=20)
    Analysis(LiCl, run.traj, 7.98 ps, not_diffusing)
    """
    from pymatgen.io.ase import AseAtomsAdaptor

    path = Path(trajectory)
    ion = parse_mobile_species(mobile)
    whole = read_trajectory(path, timestep_fs=timestep_fs, structure=_atoms(structure))
    run = whole.since(skip_ps)
    if len(run.positions_A) < 2:
        length_ps = (len(whole.positions_A) - 1) * whole.frame_interval_ps
        raise DiffusionError(
            f"{path.name} is {length_ps:.4g} ps long; after {skip_ps:g} ps nothing is left.",
            hint="Skip less.",
        )
    slope, rules = SlopeSettings(), VerdictRules()
    found = analyse_positions(
        run.positions_A, run.frame_interval_ps, crystal_of(run.atoms, ion.element), slope, rules
    )
    crystal = AseAtomsAdaptor.get_structure(_bare(run))
    charge_e = charge_of(None, ion.element)
    document = AnalysisDocument(
        material_id=path.name,
        formula=crystal.composition.reduced_formula,
        mobile_species=ion.element,
        structure={
            "lattice": np.round(crystal.lattice.matrix, 6).tolist(),
            "species": [site.specie.symbol for site in crystal],
            "frac_coords": np.round(crystal.frac_coords, 6).tolist(),
        },
        n_atoms=len(crystal),
        temperature_K=temperature_K,
        charge_e=charge_e,
        n_frames=len(run.positions_A),
        frame_interval_ps=run.frame_interval_ps,
        skipped_ps=skip_ps,
        settings={"slope": asdict(slope), "verdict": asdict(rules)},
        warnings=_warnings(found, run),
        **findings_of(
            found,
            n_mobile=found.n_mobile,
            volume_A3=float(run.atoms.get_volume()),
            temperature_K=temperature_K,
            charge_e=charge_e,
        ),
    )
    return Analysis(document)


def _atoms(structure: Crystal | None) -> Any:
    from pymatgen.io.ase import AseAtomsAdaptor

    if structure is None:
        return None
    (crystal,) = read_structures(structure)
    return AseAtomsAdaptor.get_atoms(crystal)


def _bare(run: FileTrajectory) -> Any:
    from ase import Atoms

    atoms = run.atoms
    return Atoms(atoms.get_chemical_symbols(), atoms.positions, cell=atoms.cell, pbc=True)


def _warnings(found: Any, run: FileTrajectory) -> list[Warning_]:
    warnings = []
    if found.diffusing_framework:
        warnings.append(Warning_(code="framework_diffuses", text=framework_text(found)))
    if run.frame_interval_ps > _SPARSE_PS:
        text = f"Frames are {run.frame_interval_ps:g} ps apart: jumps there and back are not seen."
        warnings.append(Warning_(code="sparse_frames", text=text))
    return warnings


def _interval(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    if value is None or low is None:
        return "not positive"
    end = "no upper end" if high is None else f"{high:.3g}"
    return f"{value:.3g} [{low:.3g}, {end}] {unit}".rstrip()
