"""The flows that can be submitted, by name."""

from collections.abc import Callable
from dataclasses import dataclass

from superionic.errors import SettingsError


@dataclass(frozen=True)
class FlowKind:
    """A kind of flow.

    Parameters
    ----------
    name : str
        Name on the command line and in the launchpad.
    maker : callable
        Returns the class of its Maker; imported only when needed.
    jobs : tuple of str
        Names of its jobs, for the campaign's categories.
    result_kind : str
        ``kind`` of the document that is there when the flow is finished.
    starts_from : str, optional
        Function ``package.module:name`` of a Maker, the database and candidates, for a flow that
        goes on from results: returns the candidates with what they start from, and errors.
    """

    name: str
    maker: Callable[[], type]
    jobs: tuple[str, ...]
    result_kind: str
    starts_from: str | None = None


def _screen_maker() -> type:
    from superionic.workflows.makers.screen import ScreenMaker

    return ScreenMaker


def _label_maker() -> type:
    from superionic.workflows.makers.label import LabelMaker

    return LabelMaker


def _validate_maker() -> type:
    from superionic.workflows.makers.validate import ValidateMaker

    return ValidateMaker


def _refine_maker() -> type:
    from superionic.workflows.makers.refine import RefineMaker

    return RefineMaker


def _predict_maker() -> type:
    from superionic.workflows.makers.predict import PredictMaker

    return PredictMaker


FLOWS: dict[str, FlowKind] = {
    kind.name: kind
    for kind in (
        FlowKind(
            "screen",
            _screen_maker,
            ("prepare", "relax if needed", "landscape", "descriptors"),
            "descriptors",
        ),
        FlowKind(
            "label",
            _label_maker,
            ("prepare", "relax if needed", "diffusion MD"),
            "diffusion",
        ),
        FlowKind(
            "validate",
            _validate_maker,
            ("prepare", "relax if needed", "supercell", "dynamics", "confirm"),
            "validation",
        ),
        FlowKind(
            "predict",
            _predict_maker,
            ("prepare", "relax if needed", "shakes", "predict diffusion"),
            "prediction",
        ),
        FlowKind(
            "refine",
            _refine_maker,
            ("refine landscape", "single point", "descriptors"),
            "descriptors",
            starts_from="superionic.workflows.campaign.refining:with_landscapes",
        ),
    )
}
"""The flows that are there. A new one is one entry: its Maker has ``make`` and ``key``."""


def flow_kind(name: str) -> FlowKind:
    """Return a kind of flow by name.

    Raises
    ------
    SettingsError
        When it is unknown.
    """
    if name in FLOWS:
        return FLOWS[name]
    raise SettingsError(
        f"There is no flow '{name}'.", hint=f"Flows that can be submitted: {', '.join(FLOWS)}."
    )
