"""Many crystals at once: the functions of the commands ``screen`` and ``predict``."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from superionic import defaults
from superionic.api.makers import predict_maker, refine_maker, screen_maker, selection
from superionic.api.rows import Rows
from superionic.defaults import Relaxation
from superionic.report.tables.text_table import html_table
from superionic.schemas.failure import FailureDocument
from superionic.schemas.prediction import PredictionDocument
from superionic.settings import get_settings
from superionic.structures.crystals import Crystal
from superionic.workflows.campaign.outcome import Quiet

if TYPE_CHECKING:
    import pandas as pd

    from superionic.workflows.campaign.outcome import Reporter

Crystals = Crystal | Sequence[Crystal]


class Predictions(list[PredictionDocument]):
    """Predictions of the force network, one for each crystal.

    Parameters
    ----------
    documents : iterable of PredictionDocument
        The predictions.
    failures : sequence of FailureDocument
        Crystals that could not be read or computed, and why.
    """

    def __init__(
        self,
        documents: Iterable[PredictionDocument] = (),
        failures: Sequence[FailureDocument] = (),
    ) -> None:
        super().__init__(documents)
        self.failures = list(failures)

    @overload
    def __getitem__(self, index: SupportsIndex) -> PredictionDocument: ...

    @overload
    def __getitem__(self, index: slice) -> "Predictions": ...

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return Predictions(found) if isinstance(index, slice) else found

    def frame(self) -> "pd.DataFrame":
        """Return the predictions as a pandas table."""
        import pandas as pd

        nested = {"settings", "provenance", "potential", "other_targets"}
        records = [
            one.model_dump(exclude=nested)
            | {"potential": one.potential.label}
            | {"flags": ";".join(one.flags), "warnings": ";".join(w.code for w in one.warnings)}
            for one in self
        ]
        names = [name for name in PredictionDocument.model_fields if name not in nested]
        return pd.DataFrame(records, columns=[*names, "potential"]).set_index("material_id")

    def _repr_html_(self) -> str:
        from superionic.report.tables.predictions import prediction_cells
        from superionic.report.tables.ranking import failures_html

        columns, cells = prediction_cells(self)
        return html_table(columns, cells) + failures_html(self.failures)


def screen(
    crystals: Crystals,
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    policy: str = defaults.POLICY,
    step_A: float = defaults.GRID_STEP_A,
    adaptive: bool = False,
    learned: bool = False,
    max_energies: int | None = None,
    relax: Relaxation = defaults.RELAX,
    min_width_A: float | None = None,
    radius_A: float | None = None,
    filters: str | Path | Sequence[dict] | None = None,
    orderings: int = defaults.N_ORDERINGS,
    every_copy: bool = False,
    workers: int | None = None,
    database_uri: str | None = None,
    progress: bool = True,
) -> Rows:
    """Rank crystals as ionic conductors by their frozen-framework landscape.

    What ``superionic screen`` does: results are kept in the database, the same call goes on where
    it was stopped, and nothing is computed twice.

    Parameters
    ----------
    crystals : path, Structure, Atoms, or a sequence of them
        Files, folders, crystals.
    mobile : str
        The mobile ion, such as Li, Na+, Ag or F-.
    potential : str, optional
        Specification of the potential; by default the setting ``potential``, which is chgnet.
    policy : str
        What ranks: xi (published), barrier, free_volume, network, consensus, calibrated.
    step_A : float
        Largest grid step.
    adaptive : bool
        Evaluate a fraction of the grid, where the landscape is low.
    learned : bool
        Evaluate about a hundred points, learn the others, and give every descriptor an interval.
    max_energies : int, optional
        Energies of a learned landscape at the most; 2000 by default.
    relax : {"auto", "cell", "never"}
        Relax positions where a force is above 0.5 eV/A; the cell, too; or nothing.
    min_width_A : float, optional
        Repeat the cell until it is this wide in every direction.
    radius_A : float, optional
        Points nearer than this to another ion are not evaluated; by default as the ion has it.
    filters : path or sequence of dict, optional
        Which of the crystals are computed: a YAML file with a list ``filters``, or the list.
    orderings : int
        Orderings of each disordered crystal.
    every_copy : bool
        Compute crystals again that are the same as another one.
    workers : int, optional
        Worker processes; by default the setting ``workers``, else one for each core.
    database_uri : str, optional
        MongoDB URI; without it the configured database, or the local server.
    progress : bool
        Whether progress is shown on standard error.

    Returns
    -------
    Rows
        Best first; ``rows.failures`` are the crystals that could not be computed.

    Raises
    ------
    UnreadableFileError
        When there is no crystal.
    SettingsError, PotentialError, DatabaseError
        When nothing can be computed.

    Examples
    --------
    >>> import superionic as si
    >>> rows = si.screen("workflows/example_crystals/mp-22899.cif", step_A=0.6, progress=False)
    >>> rows[0].formula, rows.frame()["barrier_3d_eV"].round(2).to_list()
    ('LiI', [0.6])
    """
    from superionic.workflows.campaign.screening import screen_paths

    maker = screen_maker(
        mobile,
        potential,
        step_A=step_A,
        adaptive=adaptive,
        learned=learned,
        max_energies=max_energies,
        relax=relax,
        min_width_A=min_width_A,
        radius_A=radius_A,
    )
    chosen = selection(filters=filters, orderings=orderings, every_copy=every_copy)
    settings = _settings(database_uri)
    with _reporter(progress) as reporter:
        result = screen_paths(
            as_list(crystals),
            maker,
            settings,
            reporter,
            n_workers=workers or settings.workers,
            prefer_uri=database_uri is not None,
            selection=chosen,
            policy=policy,
        )
    return Rows(result.rows, policy, result.failures, database_uri)


def predict(
    crystals: Crystals,
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    network: str | Path | None = None,
    n_shakes: int | None = None,
    relax: Relaxation = defaults.RELAX,
    workers: int | None = None,
    database_uri: str | None = None,
    progress: bool = True,
) -> Predictions:
    """Predict the diffusion of an ion at 1000 K from how crystals answer to being shaken.

    What ``superionic predict`` does: results are kept in the database, and nothing is computed
    twice.

    Parameters
    ----------
    crystals : path, Structure, Atoms, or a sequence of them
        Files, folders, crystals.
    mobile : str
        The mobile ion.
    potential : str, optional
        Specification of the potential; by default the setting ``potential``, which is chgnet.
    network : path, optional
        A network that ``superionic train`` wrote; by default the one of the package.
    n_shakes : int, optional
        Shakes of each crystal; by default as many as the network was trained with.
    relax : {"auto", "cell", "never"}
        Relax positions where a force is above 0.1 eV/A; the cell, too; or nothing.
    workers : int, optional
        Worker processes; by default the setting ``workers``, else one for each core.
    database_uri : str, optional
        MongoDB URI; without it the configured database, or the local server.
    progress : bool
        Whether progress is shown on standard error.

    Raises
    ------
    UnreadableFileError
        When there is no crystal.
    NetworkError
        When the network cannot be loaded, or the extra ``network`` is not installed.
    SettingsError, PotentialError, DatabaseError
        When nothing can be computed.

    Examples
    --------
    >>> import superionic as si
    >>> crystal = "workflows/example_crystals/mp-22899.cif"
    >>> found = si.predict(crystal, n_shakes=1, relax="never", progress=False)
    >>> found[0].formula, found.frame()["n_shakes"].to_list()
    ('LiI', [1])
    """
    from superionic.workflows.campaign.predicting import predict_paths

    maker = predict_maker(mobile, potential, network=network, n_shakes=n_shakes, relax=relax)
    settings = _settings(database_uri)
    with _reporter(progress) as reporter:
        result = predict_paths(
            as_list(crystals),
            maker,
            settings,
            reporter,
            n_workers=workers or settings.workers,
            prefer_uri=database_uri is not None,
        )
    return Predictions(result.documents, result.failures)


def refine(
    crystals: Crystals = (),
    potential: str | None = None,
    mobile: str = defaults.MOBILE,
    *,
    prior: str | None = None,
    top: int = 0,
    ids: Sequence[str] = (),
    policy: str = defaults.POLICY,
    max_energies: int | None = None,
    engine: str = "potential",
    workers: int | None = None,
    database_uri: str | None = None,
    progress: bool = True,
) -> Rows:
    """Refine landscapes of a first potential with a second one, from some thirty energies each.

    What ``superionic refine`` does: the landscapes are in the database, the difference to them is
    learned, and the second potential gets rows of its own with intervals.

    Parameters
    ----------
    crystals : path, Structure, Atoms, or a sequence of them
        Crystals that were screened; without them, all rows of the screening collection.
    potential : str, optional
        Specification of the second potential; the engine vasp has none.
    mobile : str
        The mobile ion.
    prior : str, optional
        The first potential; by default the setting ``potential``, which is chgnet.
    top : int
        As many of the best by the policy; 0 means all.
    ids : sequence of str
        Identifiers: these, whatever their rank.
    policy : str
        Ranking policy.
    max_energies : int, optional
        Energies of one crystal at the most; 30 by default.
    engine : {"potential", "ase", "vasp"}
        All energies of a crystal in one job, or each as a job of its own.
    workers : int, optional
        Worker processes; by default the setting ``workers``, else one for each core.
    database_uri : str, optional
        MongoDB URI; without it the configured database, or the local server.
    progress : bool
        Whether progress is shown on standard error.

    Returns
    -------
    Rows
        Best first by the second potential; ``rows.failures`` could not be refined.

    Raises
    ------
    SettingsError
        When nothing is named, or both potentials are the same.
    PotentialError, DatabaseError
        When nothing can be computed.

    Examples
    --------
    >>> import superionic as si
    >>> crystal = "workflows/example_crystals/mp-22899.cif"
    >>> rows = si.screen(crystal, step_A=0.6, progress=False)
    >>> second = si.refine(crystal, "chgnet:0.2.0", progress=False)
    >>> second[0].prior_potential, second[0].n_evaluations <= 30
    ('chgnet:0.3.0', True)
    """
    from superionic.workflows.campaign.refining import refine_materials
    from superionic.workflows.campaign.validating import Best

    maker = refine_maker(mobile, potential, prior=prior, max_energies=max_energies, engine=engine)
    settings = _settings(database_uri)
    given = as_list(crystals)
    best = Best(top, policy, tuple(ids)) if top or ids or given else None
    with _reporter(progress) as reporter:
        result = refine_materials(
            maker,
            settings,
            reporter,
            paths=given,
            best=best,
            n_workers=workers or settings.workers,
            prefer_uri=database_uri is not None,
        )
    return Rows(result.rows, policy, result.failures, database_uri)


def as_list(crystals: Crystals) -> list[Any]:
    """Return crystals as a list; a structure and ASE's atoms are sequences themselves."""
    from superionic.structures.crystals import is_several

    several: Any = crystals
    return list(several) if is_several(crystals) else [crystals]


def _settings(database_uri: str | None) -> Any:
    settings = get_settings()
    if database_uri is None:
        return settings
    return settings.model_copy(update={"database_uri": database_uri})


def _reporter(progress: bool) -> Any:
    if not progress:
        quiet: Reporter = Quiet()
        return nullcontext(quiet)
    from superionic.workflows.campaign.progress import ConsoleReporter

    return ConsoleReporter()
