"""Molecular dynamics of one crystal in this process."""

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from superionic import defaults
from superionic.defaults import Relaxation
from superionic.report.tables.text_table import html_table
from superionic.schemas.label import AnalysisDocument, DiffusionDocument, LabelRow
from superionic.structures.crystals import Crystal
from superionic.workflows.campaign.definition import maker_of

if TYPE_CHECKING:
    import pandas as pd
    from jobflow import Flow

T = TypeVar("T", DiffusionDocument, AnalysisDocument)


class OfDynamics(Generic[T]):
    """What was read from dynamics: a document, and the figure of its mean squared displacement.

    Parameters
    ----------
    document : DiffusionDocument or AnalysisDocument
        All numbers.
    """

    def __init__(self, document: T) -> None:
        self.document: T = document

    def plot(self, *, static: bool = False) -> Any:
        """Return a figure of the mean squared displacement, which shows itself in a notebook.

        Parameters
        ----------
        static : bool
            A figure of matplotlib for print, in place of an interactive one of plotly.

        Raises
        ------
        FigureError
            When there is no curve, or the extra ``report`` is not installed.
        """
        from superionic.report.figures.kinds import get_kind
        from superionic.report.figures.msd import curve_of

        figure = get_kind("msd")
        return (figure.static if static else figure.plotly)(curve_of(self.document))


class Dynamics(OfDynamics[DiffusionDocument]):
    """What a run of molecular dynamics says of the diffusion in a crystal.

    Parameters
    ----------
    document : DiffusionDocument
        The result of the flow, with all numbers.
    """

    @property
    def row(self) -> LabelRow:
        """The numbers as one flat row, as ``superionic label`` exports it."""
        return LabelRow.from_document(self.document)

    def frame(self) -> "pd.DataFrame":
        """Return the numbers as a pandas table of one row."""
        import pandas as pd

        from superionic.report.tables.labels import CSV_FIELDS

        record = self.row.model_dump(include=set(CSV_FIELDS))
        return pd.DataFrame([record], columns=list(CSV_FIELDS)).set_index("material_id")

    def __repr__(self) -> str:
        found = self.document
        return (
            f"Dynamics({found.formula}, {found.material_id}, {found.temperature_K:g} K, "
            f"{found.production_ps:.3g} ps, {found.verdict})"
        )

    def _repr_html_(self) -> str:
        from superionic.report.tables.labels import label_cells

        columns, cells = label_cells([self.row])
        return html_table(columns, cells)


def md(
    structure: Crystal,
    temperature_K: float = defaults.TEMPERATURE_K,
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    length_ps: float = defaults.LENGTH_ps,
    equilibration_ps: float = defaults.EQUILIBRATION_ps,
    seed: int = defaults.SEED,
    relax: Relaxation = defaults.RELAX,
    material_id: str | None = None,
) -> Dynamics:
    """Run molecular dynamics of one crystal, and read the diffusion of an ion from it.

    What ``superionic label`` does, in this process and without a database. The trajectory is kept
    in the data directory: the same call goes on with a run that was stopped, and computes nothing
    that is there.

    Parameters
    ----------
    structure : str, Path, Structure or Atoms
        The crystal, or a file with one.
    temperature_K : float
        Temperature.
    mobile : str
        The mobile ion, such as Li, Na, Ag or F.
    potential : str, optional
        Specification of the potential; by default the setting ``potential``, which is chgnet.
    length_ps : float
        Longest production; a run ends before when its answer is settled.
    equilibration_ps : float
        Time before the production.
    seed : int
        Of velocities and thermostat.
    relax : {"auto", "cell", "never"}
        Relax positions where a force is above 0.1 eV/A; the cell, too; or nothing.
    material_id : str, optional
        Identifier, for what is shown.

    Raises
    ------
    InputError
        When the crystal cannot be read or computed.
    SettingsError, DiffusionError
        When a number makes no sense.
    PotentialError
        When the potential cannot be loaded.

    Examples
    --------
    >>> import superionic as si
    >>> crystal = "workflows/example_crystals/mp-22899.cif"
    >>> si.md(crystal, 600, length_ps=0.04, equilibration_ps=0.02, relax="never")
    Dynamics(LiI, mp-22899, 600 K, 0.04 ps, unconverged)
    """
    maker = maker_of(
        "label",
        mobile,
        potential,
        temperature_K=temperature_K,
        length_ps=length_ps,
        equilibration_ps=equilibration_ps,
        seed=seed,
        relax=relax,
    )
    return Dynamics(run_in_memory(maker.make(structure, material_id)))


def run_in_memory(flow: "Flow") -> Any:
    """Run a flow in this process without a database, and return its output.

    Parameters
    ----------
    flow : Flow
        Of any of the Makers.

    Raises
    ------
    Exception
        Whatever a job of it raises.
    """
    from jobflow import JobStore, run_locally
    from maggma.stores import MemoryStore

    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    with (
        tempfile.TemporaryDirectory(prefix="superionic-") as folder,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", FutureWarning)  # of jobflow's own making
        responses = run_locally(
            flow,
            log=False,
            store=store,
            create_folders=True,
            root_dir=Path(folder),
            raise_immediately=True,
        )
    of_last = responses[flow.output.uuid]
    return of_last[max(of_last)].output
