"""The table of flows: all that campaigns, commands, reports and workers know of each."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from superionic.errors import SettingsError

if TYPE_CHECKING:
    from superionic.schemas.screening import Part


@dataclass(frozen=True)
class FlowKind:
    """A kind of flow that campaigns run.

    Whatever it names is a path ``package.module:name`` and imported when it is needed, so that the
    table costs nothing.

    Parameters
    ----------
    name : str
        Name in campaign files, on the command line and in the launchpad.
    maker : str
        Class of its Maker, a :class:`~superionic.workflows.makers.base.MaterialMaker`.
    jobs : tuple of str
        Names of its jobs, for the categories of campaign files.
    result_kind : str
        ``kind`` of the document that is there when the flow is finished.
    document : str
        Class of the document, a pydantic model.
    columns : tuple of str
        Fields of the document that tables show, where there is no ``view``.
    view : str, optional
        A :class:`~superionic.report.tables.view.View`: how results are shown.
    done : str
        What has happened to a finished crystal, for the line that counts them.
    order : str, optional
        Function of a candidate; those where it is small run first. By default their rough cost.
        ``""`` keeps the order in which they were given.
    results : str
        Function that collects what is finished, see :mod:`superionic.workflows.campaign.results`.
    reuse : str, optional
        Function of a Maker, the database, candidates and the potential: returns a Maker that goes
        on from what is there, and of how many candidates.
    arrays_of : str, optional
        Kind of the document without whose arrays a result does not count as finished.
    part : str, optional
        Part of the rows of the screening collection that the flow makes.
    work_tells_time : bool
        Whether finished results tell how long others take, by the rough cost of a crystal.
    starts_from : str, optional
        Function of a Maker, the database, candidates or None for all in the database, and which of
        them are the best, for a flow that goes on from results: returns the candidates with what
        they start from, and errors.
    """

    name: str
    maker: str
    jobs: tuple[str, ...]
    result_kind: str
    document: str
    columns: tuple[str, ...] = ("material_id", "formula")
    view: str | None = None
    done: str = "computed"
    order: str | None = None
    results: str = "superionic.workflows.campaign.results:documents"
    reuse: str | None = None
    arrays_of: str | None = None
    part: "Part | None" = None
    work_tells_time: bool = False
    starts_from: str | None = None

    def maker_class(self) -> type[Any]:
        """Return the class of the Maker."""
        found: type[Any] = imported(self.maker)
        return found

    def option_names(self) -> tuple[str, ...]:
        """Return the options that the Maker has besides its fields, as its command does."""
        parameters = inspect.signature(self.maker_class().with_options).parameters.values()
        return tuple(one.name for one in parameters if one.kind is one.KEYWORD_ONLY)

    def read(self, output: dict[str, Any]) -> Any:
        """Return a stored output, without what MongoDB adds, as the document of a result."""
        return imported(self.document).model_validate(output)


FLOWS: dict[str, FlowKind] = {
    one.name: one
    for one in (
        FlowKind(
            "screen",
            maker="superionic.workflows.makers.screen:ScreenMaker",
            jobs=("prepare", "relax if needed", "landscape", "descriptors"),
            result_kind="descriptors",
            document="superionic.schemas.screen:DescriptorsDocument",
            view="superionic.report.tables.ranking:VIEW",
            done="ranked",
            results="superionic.workflows.campaign.results:ranked_rows",
            arrays_of="landscape",
            part="landscape",
            work_tells_time=True,
        ),
        FlowKind(
            "label",
            maker="superionic.workflows.makers.label:LabelMaker",
            jobs=("prepare", "relax if needed", "diffusion MD"),
            result_kind="diffusion",
            document="superionic.schemas.label:DiffusionDocument",
            view="superionic.report.tables.labels:VIEW",
            done="labelled",
            order="superionic.workflows.makers.label:n_atoms_supercell",
            results="superionic.workflows.campaign.results:judged_labels",
            part="label",
        ),
        FlowKind(
            "validate",
            maker="superionic.workflows.makers.validate:ValidateMaker",
            jobs=("prepare", "relax if needed", "supercell", "dynamics", "confirm"),
            result_kind="validation",
            document="superionic.schemas.validation:ValidationDocument",
            view="superionic.report.tables.validation:VIEW",
            done="judged",
            order="",  # the best first
            part="validation",
        ),
        FlowKind(
            "predict",
            maker="superionic.workflows.makers.predict:PredictMaker",
            jobs=("prepare", "relax if needed", "shakes", "predict diffusion"),
            result_kind="prediction",
            document="superionic.schemas.prediction:PredictionDocument",
            view="superionic.report.tables.predictions:VIEW",
            done="predicted",
            results="superionic.workflows.campaign.results:documents_of_all_names",
            reuse="superionic.workflows.campaign.results:known_shakes",
            part="prediction",
        ),
        FlowKind(
            "refine",
            maker="superionic.workflows.makers.refine:RefineMaker",
            jobs=("refine landscape", "single point", "descriptors"),
            result_kind="descriptors",
            document="superionic.schemas.screen:DescriptorsDocument",
            view="superionic.report.tables.ranking:VIEW",
            done="refined",
            order="",  # the best first
            results="superionic.workflows.campaign.results:ranked_rows",
            arrays_of="landscape",
            part="landscape",
            starts_from="superionic.workflows.campaign.refining:with_landscapes",
        ),
    )
}
"""The flows of the package. Those of a site are named in the setting ``flows``."""


def flow_kind(name: str) -> FlowKind:
    """Return a flow by name.

    Raises
    ------
    SettingsError
        When it is unknown, or the setting ``flows`` names what is not there.
    """
    found = FLOWS.get(name) or _of_site().get(name)
    if found is None:
        known = ", ".join([*FLOWS, *_of_site()])
        raise SettingsError(f"There is no flow '{name}'.", hint=f"Flows are {known}.")
    return found


def _of_site() -> dict[str, FlowKind]:
    """Return the flows that the setting ``flows`` names."""
    from superionic.settings import get_settings

    found = {}
    for path in get_settings().flows:
        try:
            flow = imported(path)
        except (ImportError, AttributeError, ValueError) as error:
            raise SettingsError(
                f"The setting 'flows' names {path}, which is not there: {error}.",
                hint="Write 'package.module:NAME' of a FlowKind that Python can import.",
            ) from None
        found[flow.name] = flow
    return found


def imported(path: str) -> Any:
    """Return what a path ``package.module:name`` stands for."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def order_of(flow: FlowKind) -> Callable[[Any], float] | None:
    """Return what candidates are sorted by before they run; None keeps their order."""
    if flow.order is None:
        return lambda candidate: float(candidate.work)
    found: Callable[[Any], float] | None = imported(flow.order) if flow.order else None
    return found
