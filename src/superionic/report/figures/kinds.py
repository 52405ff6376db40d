"""Which kinds of figures there are."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from superionic import defaults
from superionic.errors import FigureError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as PlotlyFigure


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure.

    Parameters
    ----------
    name : str
        Its name, and that of its module.
    text : str
        What it shows.
    scope : {"material", "campaign"}
        Whether it is of one material.
    needs : str
        What must be in the database.
    files : str
        Files that may stand in place of it, empty where there are none.
    sorts : tuple of frozenset of str
        Sorts of those files, as :class:`~superionic.report.figures.sources.Sources` names them;
        files of one set go together.
    """

    name: str
    text: str
    scope: Literal["material", "campaign"]
    needs: str
    files: str = ""
    sorts: tuple[frozenset[str], ...] = ()

    def plotly(self, data: Any, **options: Any) -> "PlotlyFigure":
        """Draw it, interactive."""
        figure: PlotlyFigure = self._module().plotly(data, **options)
        return figure

    def static(self, data: Any, **options: Any) -> "Figure":
        """Draw it for print: the same figure, by matplotlib."""
        from superionic.report.figures.printed import printed

        return printed(self.plotly(data, **options))

    def _module(self) -> Any:
        return import_module(f"superionic.report.figures.{self.name}")


_LANDSCAPE = "a landscape with its arrays"
_LABELS, _VALIDATIONS = frozenset({"labels"}), frozenset({"validations"})
_STUDY, _EVALUATION = frozenset({"study"}), frozenset({"evaluation"})
_ROWS = frozenset({"rows", "labels"})
_ALL = (
    FigureKind(
        "landscape",
        "crystal with its landscape as surfaces of equal energy, and the percolation path",
        "material",
        _LANDSCAPE,
    ),
    FigureKind("path", "energy along the percolation path", "material", _LANDSCAPE),
    FigureKind(
        "volume",
        "volume below an energy, from which free volumes are read",
        "material",
        "a landscape, or descriptors",
    ),
    FigureKind(
        "msd",
        "mean squared displacement with the fitted window, slope and error",
        "material",
        "a label",
        "labels as JSON lines ('superionic label --export')",
        (_LABELS,),
    ),
    FigureKind(
        "arrhenius",
        "conductivity against temperature with the fit and its 95 % interval",
        "material",
        "a validation",
        "validations as JSON ('superionic validate --json')",
        (_VALIDATIONS,),
    ),
    FigureKind(
        "conductivities",
        "conductivities of all validated materials against temperature, with their fits",
        "campaign",
        "validations",
        "validations as JSON ('superionic validate --json')",
        (_VALIDATIONS,),
    ),
    FigureKind(
        "ranking",
        "the best materials with scores and uncertainties",
        "campaign",
        "rows of the screening collection",
        "rows as JSON lines ('superionic query --format jsonl'), and labels beside them",
        (_ROWS,),
    ),
    FigureKind(
        "parity",
        "predicted against simulated diffusion",
        "campaign",
        "rows with a prediction and a label",
        "summary.json of 'superionic train'; rows, and labels beside them",
        (_STUDY, _ROWS),
    ),
    FigureKind(
        "learning_curves",
        "loss by epoch, and quality by number of crystals learned",
        "campaign",
        "nothing: it is drawn from a file",
        "summary.json of 'superionic train'",
        (_STUDY,),
    ),
    FigureKind(
        "precision",
        "conductors among the first N by each score, with chance level and interval",
        "campaign",
        "rows with labels",
        "rows, and labels beside them; the JSON of 'superionic evaluate'",
        (_EVALUATION, _ROWS),
    ),
    FigureKind(
        "pipeline",
        "how many materials a campaign found, left out, screened, labelled and confirmed",
        "campaign",
        "rows of the screening collection",
        "rows, and labels beside them; a campaign file, whose crystals are counted again",
        (_ROWS | {"campaign"},),
    ),
)
KINDS: dict[str, FigureKind] = {kind.name: kind for kind in _ALL}
"""All kinds by name."""


def get_kind(name: str) -> FigureKind:
    """Return a kind by its name.

    Raises
    ------
    FigureError
        When there is none of that name.
    """
    try:
        return KINDS[name]
    except KeyError:
        raise FigureError(
            f"There is no figure '{name}'.", hint=f"There are: {', '.join(KINDS)}."
        ) from None


@dataclass(frozen=True)
class Request:
    """Which figure is asked for.

    Parameters
    ----------
    kind : str
        Name of the kind.
    material_id, mobile_species, potential : str, optional
        Of which material.
    policy : str
        What ranks.
    limit : int
        Most materials of a ranking.
    temperature_K : float, optional
        Of the dynamics.
    """

    kind: str
    material_id: str | None = None
    mobile_species: str | None = None
    potential: str | None = None
    policy: str = defaults.POLICY
    limit: int = 25
    temperature_K: float | None = None

    def __post_init__(self) -> None:
        scope = get_kind(self.kind).scope
        if scope == "material" and self.material_id is None:
            raise FigureError(
                f"A figure of the kind '{self.kind}' is of one material.",
                hint=f"Name it: superionic plot {self.kind} ID.",
            )
        if scope == "campaign" and self.material_id is not None:
            raise FigureError(
                f"A figure of the kind '{self.kind}' is of all materials, not of "
                f"{self.material_id}.",
                hint=f"Leave the identifier out: superionic plot {self.kind}.",
            )
