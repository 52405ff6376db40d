"""The job that refines a landscape: a second potential from some thirty energies.

What is learned is the difference to a landscape of another potential that is known. All energies
are asked for in one job, or in rounds whose points are jobs of their own, so that workers share
them.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
from jobflow import CURRENT_JOB, Flow, Job, JobStore, Response, job
from numpy.typing import NDArray

from superionic import defaults
from superionic.errors import LandscapeError
from superionic.fields import rebuilt
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.results import Landscape
from superionic.landscape.rounds import LearnedRounds
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.potentials.base import PotentialInfo
from superionic.potentials.registry import load_potential, parse_spec
from superionic.progress import report_progress, report_stage
from superionic.schemas.common import PotentialDocument, Warning_
from superionic.schemas.document import digest, without_monty
from superionic.schemas.screen import LandscapeDocument, PointDocument, PriorDocument
from superionic.workflows.jobs.maker import SettingsMaker
from superionic.workflows.jobs.points import (
    AsePointMaker,
    Point,
    PointMaker,
    VaspPointMaker,
    engine_named,
    uuid_of,
)
from superionic.workflows.keys import key_fields

BATCH_SIZE = 4

_OF_GRID = frozenset(
    {
        *("grid_step_A", "exclusion_radius_A", "symmetry", "symprec_A", "max_grid_growth", "seed"),
    }
)
"""Settings of the landscape that is there which hold for the refined one, too."""


def usual_settings() -> LearnedSettings:
    """Return how surely a refined landscape is known, unless somebody says otherwise."""
    return LearnedSettings(max_energies=defaults.REFINE_ENERGIES, batch_size=BATCH_SIZE)


@dataclass
class RefineLandscapeMaker(SettingsMaker):
    """Compute a crystal's landscape with a second potential, from the one of a first.

    The crystal, its cell and the grid are those of the landscape that is there: the crystal is at
    equilibrium under the first potential. Its symmetry is trusted.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : LearnedSettings
        How surely the landscape is to be known, and what that may cost.
    engine : AsePointMaker, VaspPointMaker, str or None
        What computes the points as jobs of their own, also by name: ase, vasp. None or
        ``potential`` asks the potential in one job.
    """

    name: str = "refine landscape"
    settings: LearnedSettings = field(default_factory=usual_settings)
    engine: AsePointMaker | VaspPointMaker | str | None = None

    def __post_init__(self) -> None:
        """Take an engine by its name."""
        super().__post_init__()
        if isinstance(self.engine, str):
            named: Any = engine_named(self.engine)
            self.engine = named

    def job_of(self, *arguments: Any, **named: Any) -> Job:
        """Return the job; it sees the store, where the landscape is, and points may be already."""
        found: Job = self.make(*arguments, **named)
        found.config.expose_store = True
        return found

    # Without output_schema: jobflow checks it against the reference that a replacement leaves.
    @job(data=["arrays"])
    def make(
        self,
        landscape: LandscapeDocument | str,
        potential: str,
        in_key: Any = None,
        known: list[dict[str, Any]] | None = None,
        points: list[PointDocument] | None = None,
    ) -> LandscapeDocument | Response:
        """Refine one landscape, or ask for the next points.

        Parameters
        ----------
        landscape : LandscapeDocument or str
            The landscape that is there, arrays included; or the uuid of the job that stored it.
        potential : str
            Specification of the second potential; an engine has its own.
        in_key : object, optional
            All settings of the flow that can change numbers, as keys hold them.
        known : list of dict, optional
            Energies of rounds before: ``point``, ``energy_eV``, ``failure``, ``wall_time_s``.
        points : list of PointDocument, optional
            What became of the points that were asked for last.

        Raises
        ------
        LandscapeError
            When there is nothing to start from, or the potential gives no energies at all.
        """
        report_stage("landscape")
        prior = stored_landscape(landscape) if isinstance(landscape, str) else landscape
        task_key = refined_key(
            prior.material_id,
            prior.task_key,
            prior.potential.weights_sha256,
            [str(parse_spec(potential)), key_fields(self)] if in_key is None else in_key,
        )
        before, settings = starting_point(prior, self.settings)
        if isinstance(self.engine, PointMaker):
            found = [*(known or []), *(_record(one) for one in points or [])]
            rounds = _Rounds(self, self.engine, prior, before, settings)
            return rounds.go_on(found, (landscape, potential, in_key), task_key)
        loaded = load_potential(potential)
        refined = compute_landscape(
            prior.structure,
            prior.mobile_species,
            loaded,
            settings,
            progress=report_progress,
            prior=before,
        )
        left_out = any(remark.code == "prior_left_out" for remark in refined.remarks)
        identity = PotentialDocument.from_info(loaded.info)
        return _document(refined, prior, task_key, settings, identity, used=not left_out)


def stored_landscape(uuid: str, store: JobStore | None = None) -> LandscapeDocument:
    """Return the landscape that a job stored, arrays included.

    Parameters
    ----------
    uuid : str
        The job.
    store : JobStore, optional
        Where it is; the store of the running job when left out.

    Raises
    ------
    LandscapeError
        When it is not there, or cannot be read.
    """
    store = store or getattr(CURRENT_JOB, "store", None)
    hint = "Screen the material again, and refine that landscape."
    if store is None:
        raise LandscapeError(
            "The job does not see the store, where the landscape is.",
            hint="Make it with RefineLandscapeMaker.job_of, or give it the document.",
        )
    try:
        output = store.get_output(uuid, load=True)
        return LandscapeDocument.model_validate(without_monty(output))
    except (KeyError, TypeError, ValueError) as error:
        raise LandscapeError(
            f"The landscape of job {uuid} cannot be read ({type(error).__name__}).", hint=hint
        ) from None


def refined_key(material_id: str, prior_key: str, prior_weights: str, in_key: Any) -> str:
    """Return the key under which a refined landscape is found again.

    Parameters
    ----------
    material_id, prior_key, prior_weights : str
        Identifier of the material, and key and weights of the landscape that it starts from.
    in_key : object
        All settings that can change numbers, in plain types.
    """
    return digest(["refine", material_id, prior_key, prior_weights, in_key])


def starting_point(
    prior: LandscapeDocument, learned: LearnedSettings
) -> tuple[Landscape, LandscapeSettings]:
    """Return the landscape that is there, and with which settings it is refined: on its grid.

    Raises
    ------
    LandscapeError
        When it does not hold the whole grid.
    """
    if prior.settings.get("flood_to_eV") is not None:
        raise LandscapeError(
            f"The landscape of {prior.material_id} was computed as far as its ion reaches, and not "
            "on the whole grid.",
            hint="Screen the material without flood_to_eV, and refine that landscape.",
        )
    names = _OF_GRID & {one.name for one in fields(LandscapeSettings)}
    given = {name: value for name, value in prior.settings.items() if name in names}
    settings = rebuilt(LandscapeSettings, given, "settings")
    landscape = prior.landscape()
    if landscape.n_operations == 1:  # it has none, or the first potential broke it
        settings = replace(settings, symmetry=False)
    return landscape, replace(settings, learned=learned, n_symmetry_checks=0)


class _Rounds:
    """Rounds of points that are jobs of their own."""

    def __init__(
        self,
        maker: RefineLandscapeMaker,
        engine: PointMaker,
        prior: LandscapeDocument,
        before: Landscape,
        settings: LandscapeSettings,
    ) -> None:
        self.start = time.perf_counter()
        self.maker, self.engine, self.prior, self.settings = maker, engine, prior, settings
        self.identity = engine.identity()
        info = PotentialInfo(**self.identity.model_dump())
        self.rounds = LearnedRounds(
            prior.structure, prior.mobile_species, settings, info, prior=before
        )
        self.known: list[dict[str, Any]] = []

    def go_on(
        self, known: list[dict[str, Any]], arguments: tuple[Any, ...], task_key: str
    ) -> LandscapeDocument | Response:
        """Learn what is known, look for points that are stored, and ask for the others."""
        if known:
            self._learn(known)
        while len(wanted := self.rounds.propose()):
            points = self._points(wanted)
            stored = self._stored(points)
            if stored:
                self._learn([_record(one) for one in stored])
            there = {one.point for one in stored}
            if missing := [one for one in points if one.point not in there]:
                return self._ask(missing, arguments, task_key)
        document = _document(
            self.rounds.landscape(),
            self.prior,
            task_key,
            self.settings,
            self.identity,
            used=self.rounds.uses_prior,
        )
        elapsed = time.perf_counter() - self.start + sum(one["wall_time_s"] for one in self.known)
        return document.model_copy(update={"wall_time_s": elapsed})

    def _learn(self, records: Sequence[dict[str, Any]]) -> None:
        self.known += records
        energies = [np.nan if one["energy_eV"] is None else one["energy_eV"] for one in records]
        failures = (one["failure"] for one in records if one["failure"])
        self.rounds.learn(
            np.array([one["point"] for one in records]), np.array(energies), next(failures, "")
        )

    def _points(self, wanted: NDArray[np.int64]) -> list[Point]:
        ions, positions_A = self.rounds.moved(wanted)
        rows = zip(wanted.tolist(), ions.tolist(), positions_A.tolist(), strict=True)
        return [Point.of(*row) for row in rows]

    def _stored(self, points: Sequence[Point]) -> list[PointDocument]:
        """Return points that were computed before, be it by a flow that was killed."""
        store = getattr(CURRENT_JOB, "store", None)
        if store is None:
            return []
        by_uuid = {uuid_of(self.engine.key(self.prior.structure, one)): one for one in points}
        criteria = {"uuid": {"$in": sorted(by_uuid)}}
        found = []
        for row in store.query(criteria, properties=["uuid", "output"]):
            document = PointDocument.model_validate(without_monty(row["output"]))
            if document.energy_eV is not None:  # what failed is tried again by another flow
                changes = {"point": by_uuid[row["uuid"]].point, "wall_time_s": 0.0}
                found.append(document.model_copy(update=changes))
        return found

    def _ask(self, points: Iterable[Point], arguments: tuple[Any, ...], task_key: str) -> Response:
        prior = self.prior
        jobs = [self.engine.job_of(prior.structure, one, prior.identity) for one in points]
        again = self.maker.job_of(*arguments, known=self.known, points=[one.output for one in jobs])
        return Response(replace=Flow([*jobs, again], output=again.output))


def _record(point: PointDocument) -> dict[str, Any]:
    names = ("point", "energy_eV", "failure", "wall_time_s")
    return {name: getattr(point, name) for name in names}


def _document(
    landscape: Landscape,
    prior: LandscapeDocument,
    task_key: str,
    settings: LandscapeSettings,
    potential: PotentialDocument,
    *,
    used: bool,
) -> LandscapeDocument:
    return LandscapeDocument.from_landscape(
        landscape,
        material_id=prior.material_id,
        formula=prior.formula,
        task_key=task_key,
        settings=asdict(settings),
        warnings=Warning_.from_remarks(landscape.remarks),
        potential=potential,
        prior=PriorDocument(
            potential=prior.potential,
            task_key=prior.task_key,
            landscape_uuid=prior.job_uuid,
            used=used,
        ),
    )
