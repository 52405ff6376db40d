"""Crystals, landscapes and figures of single materials, read when they are asked for."""

import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from superionic.report.figures.gather import (
    OF_ROW,
    available,
    landscape_version,
    path_of_scene,
    scene_of_row,
)
from superionic.report.figures.kinds import KINDS
from superionic.report.figures.write import plotly_json
from superionic.report.serve.errors import nothing_there
from superionic.report.serve.models import FigureInfo
from superionic.schemas.screening import ScreeningDocument
from superionic.store.collection.query import structures_of
from superionic.store.database.stores import Database

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from superionic.report.figures.scene import LandscapeScene

_MOST_SCENES = 4
_AT_ONCE = 2


class Scenes:
    """The landscapes that were looked at last, so that another level need not read them again.

    Only two are read or drawn at a time: each may need hundreds of MB.
    """

    def __init__(self) -> None:
        self.at_work = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, LandscapeScene] = OrderedDict()

    def get(self, database: Database, row: ScreeningDocument) -> "LandscapeScene":
        """Return the landscape of a row.

        Raises
        ------
        FigureError
            When there is none.
        """
        name = landscape_version(database, row)
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        scene = scene_of_row(database, row)
        with self._lock:
            self._kept[name] = scene
            while len(self._kept) > _MOST_SCENES:
                self._kept.popitem(last=False)
        return scene


def figures_of(row: ScreeningDocument) -> list[FigureInfo]:
    """Return the figures that a row has data for."""
    return [FigureInfo(kind=kind, text=KINDS[kind].text) for kind in available(row)]


def figure_json(
    scenes: Scenes,
    database: Database,
    row: ScreeningDocument,
    kind: str,
    level_eV: float | None = None,
) -> str:
    """Return a figure as JSON, for plotly.js.

    Parameters
    ----------
    scenes : Scenes
        Landscapes that are kept.
    database : Database
        Open.
    row : ScreeningDocument
        Whose figure.
    kind : str
        Which figure.
    level_eV : float, optional
        Level of the surface of a landscape; by default one just above the lowest barrier.

    Returns
    -------
    str
        An object of ``figure`` (``data``, ``layout``, ``config``), and for a landscape the level
        that is shown and the highest energy, both in eV; null otherwise.

    Raises
    ------
    FigureError
        When there are no data for it.
    """
    level = highest = None
    with scenes.at_work:
        if kind == "landscape":
            scene = scenes.get(database, row)
            level = default_level(scene) if level_eV is None else level_eV
            highest = round(float(scene.shared_eV.max()), 2)
            figure = KINDS[kind].plotly(scene, levels_eV=[level])
        elif kind == "path":
            figure = KINDS[kind].plotly(path_of_scene(scenes.get(database, row)))
        else:
            figure = KINDS[kind].plotly(OF_ROW[kind](database, row))
        text = plotly_json(figure)
    about = json.dumps({"level_eV": level, "highest_eV": highest})
    return f'{{"figure": {text}, {about[1:]}'


def default_level(scene: "LandscapeScene") -> float:
    """Return the level that is shown first, in eV."""
    from superionic.report.figures.landscape import percolating_level

    return percolating_level(scene)


def structure_of(database: Database, row: ScreeningDocument) -> "Structure":
    """Return the crystal that a row was computed for.

    Raises
    ------
    AnswerError
        When its documents are gone.
    """
    found = structures_of(database.job_store.docs_store, [row])
    if row.key not in found:
        raise nothing_there(
            "The crystal of this row is not in the database.",
            "Only the row was copied here; the documents of its jobs are elsewhere.",
        )
    return found[row.key]
