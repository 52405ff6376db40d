"""Notebooks as pages: as they were run, with figures that can be turned."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

PLOTLY = "application/vnd.plotly.v1+json"
SCRIPT = "plotly.min.js"
_PAGE = re.compile(r"\[([^\[\]]*)\]\(\.\./docs/([\w/]+)\.md\)")


def as_page(text: str) -> str:
    """Return the JSON of a notebook with what the site shows in place of plotly's own form.

    Links to pages of the documentation name these pages, since notebooks lie elsewhere.
    """
    notebook = json.loads(_PAGE.sub(r"{doc}`\1 </\2>`", text))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if PLOTLY in data:
                data["text/html"] = _figure(data.pop(PLOTLY))
    return json.dumps(notebook)


def copy_script(folder: Path) -> None:
    """Put the script that draws the figures where pages look for it."""
    import plotly

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(plotly.__file__).parent / "package_data" / SCRIPT, folder)


def _figure(figure: dict[str, Any]) -> str:
    from plotly.io import to_html

    return to_html(
        {key: figure[key] for key in ("data", "layout")},
        config={"responsive": True},
        include_plotlyjs=f"../_static/{SCRIPT}",
        full_html=False,
    )
