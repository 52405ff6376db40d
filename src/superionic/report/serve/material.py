"""Crystals, landscapes and figures of single materials, read when they are asked for."""

import threading
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any

from superionic.report.documents import MaterialDocuments
from superionic.report.figures.gather import data_of, figures_of, landscape_version, path_of_scene
from superionic.report.figures.kinds import KINDS
from superionic.report.figures.scene import scene_of
from superionic.report.figures.write import plotly_json
from superionic.report.serve.errors import nothing_there
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
        scene = scene_of(MaterialDocuments(row, database).need("landscape"))
        with self._lock:
            self._kept[name] = scene
            while len(self._kept) > _MOST_SCENES:
                self._kept.popitem(last=False)
        return scene


def figure_json(
    scenes: Scenes, database: Database, row: ScreeningDocument, name: str, options: dict[str, Any]
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
    name : str
        Which figure, as :func:`~superionic.report.figures.gather.figures_of` names it, or path.
    options : dict
        Of the painter.

    Raises
    ------
    FigureError
        When there are no data for it.
    """
    found = MaterialDocuments(row, database)
    with scenes.at_work:
        kept = partial(scenes.get, database, row)
        if name == "path":
            return plotly_json(KINDS[name].plotly(path_of_scene(kept())))
        draw = {one.name: one.draw for one in figures_of(found, kept)}
        if name in draw:
            return plotly_json(draw[name](**options))
        kind = name.partition("-")[0]
        data = path_of_scene(kept()) if kind == "path" else data_of(found, kind)
        return plotly_json(KINDS[kind].plotly(data))


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
