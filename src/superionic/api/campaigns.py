"""Many crystals at once: the functions of the commands of the same names."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, SupportsIndex, TypeVar, overload

from superionic import defaults
from superionic.api.rows import Rows
from superionic.defaults import Relaxation
from superionic.errors import SettingsError, UnreadableFileError
from superionic.report.tables.view import view_of
from superionic.schemas.document import FailureDocument
from superionic.schemas.label import LabelRow
from superionic.schemas.prediction import PredictionDocument
from superionic.schemas.validation import ValidationDocument
from superionic.settings import SuperionicSettings, get_settings
from superionic.structures.crystals import Crystal
from superionic.workflows.campaign.definition import Best, Campaign, campaign_of, read_campaign
from superionic.workflows.campaign.outcome import Reporter
from superionic.workflows.makers.table import flow_kind

if TYPE_CHECKING:
    import pandas as pd

    from superionic.cluster.submit import Submission
    from superionic.workflows.campaign.local import CampaignResult

Crystals = Crystal | Sequence[Crystal]
T = TypeVar("T")


class Results(list[T], Generic[T]):
    """Results of a flow, one for each crystal; they show themselves in a notebook.

    Parameters
    ----------
    results : iterable
        The documents of the results.
    flow : str
        Name of the flow.
    failures : sequence of FailureDocument
        Crystals that could not be read or computed, and why.
    """

    def __init__(
        self,
        results: Iterable[T] = (),
        flow: str = "predict",
        failures: Sequence[FailureDocument] = (),
    ) -> None:
        super().__init__(results)
        self.flow = flow
        self.failures = list(failures)

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> "Results[T]": ...

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return Results(found, self.flow) if isinstance(index, slice) else found

    def frame(self) -> "pd.DataFrame":
        """Return the results as a pandas table."""
        return view_of(flow_kind(self.flow)).frame(self)

    def _repr_html_(self) -> str:
        from superionic.report.tables.ranking import failures_html

        return view_of(flow_kind(self.flow)).html(self) + failures_html(self.failures)


def screen(
    crystals: Crystals,
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    policy: str = defaults.POLICY,
    step_A: float = defaults.GRID_STEP_A,
    learned: bool = defaults.LEARNED,
    max_energies: int | None = None,
    relax: Relaxation = defaults.RELAX,
    min_width_A: float | None = None,
    radius_A: float | None = None,
    carrier: defaults.Carrier | None = None,
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
        The mobile ion, such as Li, Na+, Ag or F-; several, joined by commas, one after the other.
    potential : str, optional
        Specification of the potential; by default the setting ``potential``, which is chgnet.
    policy : str
        What ranks: xi (published), barrier, free_volume, network, consensus, calibrated,
        conductivity.
    step_A : float
        Largest grid step.
    learned : bool
        Evaluate about a hundred points, learn the others, and give every descriptor an interval;
        False evaluates every point.
    max_energies : int, optional
        Energies of a learned landscape at the most; 2000 by default.
    relax : {"auto", "cell", "never"}
        Relax positions where a force is above 0.5 eV/A; the cell, too; or nothing.
    min_width_A : float, optional
        Repeat the cell until it is this wide in every direction.
    radius_A : float, optional
        Points nearer than this to another ion are not evaluated; by default as the ion has it.
    carrier : {"vacancy", "interstitial"}, optional
        Make one in cells 8 A wide (or ``min_width_A``), for crystals that conduct only with it.
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
        When there is no crystal, or not the file that is named.
    SettingsError, PotentialError, DatabaseError
        When nothing can be computed.

    Examples
    --------
    >>> import superionic as si
    >>> rows = si.screen("workflows/example_crystals/mp-22899.cif", step_A=0.6, progress=False)
    >>> rows[0].formula, rows.frame()["barrier_3d_eV"].round(2).to_list()
    ('LiI', [0.51])
    """
    options = {
        "step_A": step_A,
        "learned": learned,
        "max_energies": max_energies,
        "relax": relax,
        "min_width_A": min_width_A,
        "radius_A": radius_A,
        "carrier": carrier,
    }
    chosen = _chosen(filters, orderings, every_copy)
    campaign = _campaign("screen", crystals, mobile, potential, options, **chosen)
    rows, failures = _run(campaign, workers, database_uri, progress, policy=policy)
    return Rows(rows, policy, failures, database_uri)


def predict(
    crystals: Crystals,
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    network: str | Path | None = None,
    n_shakes: int | None = None,
    relax: Relaxation = defaults.RELAX,
    filters: str | Path | Sequence[dict] | None = None,
    orderings: int = defaults.N_ORDERINGS,
    every_copy: bool = False,
    workers: int | None = None,
    database_uri: str | None = None,
    progress: bool = True,
) -> Results[PredictionDocument]:
    """Predict the diffusion of an ion at 1000 K from how crystals answer to being shaken.

    What ``superionic predict`` does: results are kept in the database, and nothing is computed
    twice.

    Parameters
    ----------
    crystals, mobile, potential, filters, orderings, every_copy, workers, database_uri, progress
        As for :func:`screen`.
    network : path, optional
        A network that ``superionic train`` wrote; by default the one of the package.
    n_shakes : int, optional
        Random displacements (shakes) of each crystal; by default as many as the network was
        trained with.
    relax : {"auto", "cell", "never"}
        Relax positions where a force is above 0.1 eV/A; the cell, too; or nothing.

    Raises
    ------
    NetworkError
        When the network cannot be loaded, or the extra ``network`` is not installed.
    UnreadableFileError, SettingsError, PotentialError, DatabaseError
        As for :func:`screen`.

    Examples
    --------
    >>> import superionic as si
    >>> crystal = "workflows/example_crystals/mp-22899.cif"
    >>> found = si.predict(crystal, n_shakes=1, relax="never", progress=False)
    >>> found[0].formula, found.frame()["n_shakes"].to_list()
    ('LiI', [1])
    """
    options = {"network": network, "n_shakes": n_shakes, "relax": relax}
    chosen = _chosen(filters, orderings, every_copy)
    campaign = _campaign("predict", crystals, mobile, potential, options, **chosen)
    return _results("predict", campaign, workers, database_uri, progress)


def label(
    crystals: Crystals,
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    temperature_K: float = defaults.TEMPERATURE_K,
    length_ps: float = defaults.LENGTH_ps,
    equilibration_ps: float = defaults.EQUILIBRATION_ps,
    seed: int = defaults.SEED,
    relax: Relaxation = defaults.RELAX,
    filters: str | Path | Sequence[dict] | None = None,
    orderings: int = defaults.N_ORDERINGS,
    every_copy: bool = False,
    workers: int | None = None,
    database_uri: str | None = None,
    progress: bool = True,
) -> Results[LabelRow]:
    """Label crystals with the diffusion of an ion, by molecular dynamics.

    What ``superionic label`` does; :func:`superionic.md` runs one crystal without a database.

    Parameters
    ----------
    crystals, mobile, potential, filters, orderings, every_copy, workers, database_uri, progress
        As for :func:`screen`.
    temperature_K : float
        Temperature.
    length_ps : float
        Longest production; a run ends before when its answer is settled.
    equilibration_ps : float
        Time before the production.
    seed : int
        Of velocities and thermostat.
    relax : {"auto", "cell", "never"}
        Relax positions where a force is above 0.1 eV/A; the cell, too; or nothing.

    Raises
    ------
    UnreadableFileError, SettingsError, DiffusionError, PotentialError, DatabaseError
        As for :func:`screen`.

    Examples
    --------
    >>> import superionic as si
    >>> crystal = "workflows/example_crystals/mp-22899.cif"
    >>> pairs = 'ase:ase.calculators.lj.LennardJones?{"sigma": 2.7, "rc": 6.0, "smooth": true}'
    >>> short = {"length_ps": 0.04, "equilibration_ps": 0.02, "relax": "never"}
    >>> found = si.label(crystal, potential=pairs, progress=False, **short)
    >>> found[0].formula, found[0].production_ps
    ('LiI', 0.04)
    """
    options = {
        "temperature_K": temperature_K,
        "length_ps": length_ps,
        "equilibration_ps": equilibration_ps,
        "seed": seed,
        "relax": relax,
    }
    chosen = _chosen(filters, orderings, every_copy)
    campaign = _campaign("label", crystals, mobile, potential, options, **chosen)
    return _results("label", campaign, workers, database_uri, progress)


def validate(
    crystals: Crystals = (),
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    top: int | None = None,
    policy: str = defaults.POLICY,
    ids: Sequence[str] = (),
    temperatures_K: Sequence[float] = defaults.TEMPERATURES_K,
    length_ps: float = defaults.VALIDATION_LENGTH_ps,
    engine: str = "ase",
    calculator: str | None = None,
    seed: int = defaults.SEED,
    workers: int | None = None,
    database_uri: str | None = None,
    progress: bool = True,
) -> Results[ValidationDocument]:
    """Confirm candidates by molecular dynamics at several temperatures.

    What ``superionic validate`` does, of crystals or of the best of the screening collection.

    Parameters
    ----------
    crystals, mobile, potential, workers, database_uri, progress
        As for :func:`screen`.
    top : int, optional
        As many of the best by the policy: of the crystals, or of the collection.
    policy : str
        What ranks them.
    ids : sequence of str
        Identifiers of materials of the collection.
    temperatures_K : sequence of float
        Temperatures of the runs.
    length_ps : float
        Longest production at each.
    engine : {"ase", "vasp"}
        What runs the dynamics.
    calculator : str, optional
        What gives the forces, where it is not the potential.
    seed : int
        Of velocities and thermostat.

    Raises
    ------
    UnreadableFileError, SettingsError, DiffusionError, PotentialError, DatabaseError
        As for :func:`screen`.

    Examples
    --------
    >>> import superionic as si
    >>> si.validate(top=3, policy="consensus").frame()["verdict"]  # doctest: +SKIP
    """
    options = {
        "temperatures_K": temperatures_K,
        "length_ps": length_ps,
        "engine": engine,
        "calculator": calculator,
        "seed": seed,
    }
    best = Best(top=top or 0, policy=policy, ids=tuple(ids)) if top or ids else None
    campaign = _campaign("validate", crystals, mobile, potential, options, best=best)
    return _results("validate", campaign, workers, database_uri, progress)


def submit(
    crystals: Crystals | Campaign,
    flow: str = "screen",
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    launchpad: str | Path | None = None,
    dry_run: bool = False,
    database_uri: str | None = None,
    **options: Any,
) -> "Submission":
    """Submit a small workflow for each crystal to the FireWorks launchpad.

    What ``superionic submit`` does: what is finished, or in the launchpad, is not submitted again.

    Parameters
    ----------
    crystals : path, Structure, Atoms, a sequence of them, or Campaign
        Files, folders, crystals; a campaign file by its name (``.yaml``); or a campaign, of which
        the arguments up to ``options`` are part.
    flow : str
        Kind of flow.
    mobile, potential
        As for :func:`screen`.
    launchpad : path, optional
        FireWorks' ``my_launchpad.yaml``; without it, the one that FireWorks finds, or the results
        database itself.
    dry_run : bool
        Count only.
    database_uri : str, optional
        As for :func:`screen`.
    **options
        Options of the flow, such as ``step_A``.

    Raises
    ------
    UnreadableFileError, SettingsError, PotentialError, DatabaseError
        When nothing can be submitted.

    Examples
    --------
    >>> import superionic as si
    >>> crystal = "workflows/example_crystals/mp-22899.cif"
    >>> si.submit(crystal, step_A=0.6, dry_run=True).n_read
    1
    """
    from superionic.cluster.site import open_site
    from superionic.cluster.submit import submit as submit_campaign

    if isinstance(crystals, Campaign):
        campaign = crystals
    elif isinstance(crystals, str | Path) and Path(crystals).suffix in (".yaml", ".yml"):
        campaign = read_campaign(Path(crystals))
    else:
        campaign = _campaign(flow, crystals, mobile, potential, options)
    settings = _settings(database_uri)
    with open_site(
        settings,
        launchpad=None if launchpad is None else Path(launchpad),
        writing=not dry_run,
        prefer_uri=database_uri is not None,
    ) as site:
        if not dry_run:
            site.launchpad.prepare()
        return submit_campaign(campaign, site, settings.potential, dry_run=dry_run)


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
        As many of the best by the policy; 0 does not choose.
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
    if not (top or ids or as_list(crystals)):
        raise SettingsError(
            "Nothing is named that could be refined.",
            hint="Name crystals, identifiers (ids), or how many of the best (top).",
        )
    options = {"prior": prior, "max_energies": max_energies, "engine": engine}
    best = Best(top=top, policy=policy, ids=tuple(ids)) if top or ids else None
    campaign = _campaign("refine", crystals, mobile, potential, options, best=best)
    rows, failures = _run(campaign, workers, database_uri, progress, policy=policy)
    return Rows(rows, policy, failures, database_uri)


def as_list(crystals: Any) -> list[Any]:
    """Return crystals as a list; a structure and ASE's atoms are sequences themselves."""
    from superionic.structures.crystals import is_several

    return list(crystals) if is_several(crystals) else [crystals]


def _chosen(
    filters: str | Path | Sequence[dict] | None, orderings: int, every_copy: bool
) -> dict[str, Any]:
    """Return fields of a campaign that say which crystals are computed."""
    from superionic.structures.filters import parse_filters, read_filters

    if isinstance(filters, str | Path):
        found = read_filters(Path(filters))
    else:
        found = parse_filters(list(filters or ()), "filters")
    return {"filters": found, "orderings": orderings, "every_copy": every_copy}


def _campaign(
    flow: str,
    crystals: Any,
    mobile: str,
    potential: str | None,
    options: dict[str, Any],
    **fields: Any,
) -> Campaign:
    """Return the campaign that arguments ask for; files that are named must be there."""
    named = as_list(crystals)
    for one in named:
        if isinstance(one, str | Path) and not Path(one).exists():
            raise UnreadableFileError(f"There is no file or folder {one}.", hint="Check the path.")
    return campaign_of(
        {
            "name": flow,
            "flow": flow,
            "crystals": named,
            "mobile_species": mobile,
            "potential": potential,
            "options": {name: value for name, value in options.items() if value is not None},
            **fields,
        }
    )


def _results(flow: str, *arguments: Any) -> Results[Any]:
    rows, failures = _run(*arguments)
    return Results(rows, flow, failures)


def _run(
    campaign: Campaign,
    workers: int | None,
    database_uri: str | None,
    progress: bool,
    **more: Any,
) -> tuple[list[Any], list[FailureDocument]]:
    """Return results and failures of a campaign for all its ions."""
    from superionic.workflows.campaign.local import run_campaign

    settings = _settings(database_uri)
    with _reporter(progress) as reporter:
        found: list[CampaignResult] = list(
            run_campaign(
                campaign,
                settings,
                reporter,
                n_workers=workers or settings.workers,
                prefer_uri=database_uri is not None,
                **more,
            )
        )
    rows = [row for one in found for row in one.rows]
    return rows, [failure for one in found for failure in one.failures]


def _settings(database_uri: str | None) -> SuperionicSettings:
    settings = get_settings()
    return settings.model_copy(update={"database_uri": database_uri}) if database_uri else settings


@contextmanager
def _reporter(progress: bool) -> Iterator[Reporter]:
    if not progress:
        yield Reporter()
        return
    from superionic.workflows.campaign.progress import ConsoleReporter

    with ConsoleReporter() as reporter:
        yield reporter
