"""What ``import superionic as si`` offers, over the same functions as the commands.

``landscape`` and ``md`` compute one crystal in this process and need no database. ``screen``,
``predict``, ``label``, ``validate``, ``refine``, ``submit`` and ``query`` work as the commands of
their names, on the same database: what is there is not computed again. Results show themselves in a
notebook, and ``frame()`` gives pandas.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superionic.api.analysis import Analysis, analyse
    from superionic.api.campaigns import Results, label, predict, refine, screen, submit, validate
    from superionic.api.crystal import CrystalLandscape, landscape
    from superionic.api.dynamics import Dynamics, md
    from superionic.api.rows import Rows, query
    from superionic.store.collection.query import explain
    from superionic.structures.crystals import read_structures

__all__ = [
    "Analysis",
    "CrystalLandscape",
    "Dynamics",
    "Results",
    "Rows",
    "analyse",
    "explain",
    "label",
    "landscape",
    "md",
    "predict",
    "query",
    "read_structures",
    "refine",
    "screen",
    "submit",
    "validate",
]


def __getattr__(name: str) -> Any:
    from superionic.front import load

    return load(name)
