"""The report as one HTML file."""

import base64
import hashlib
import re
from collections import Counter
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superionic.errors import FigureError
from superionic.files import write_whole
from superionic.report.documents import material_url
from superionic.report.figures.write import figure_js
from superionic.report.html.agreement import FEWEST_PAIRS
from superionic.report.html.material import DYNAMICS_COLUMNS
from superionic.report.numbers import NOTHING, plain
from superionic.report.tables.evaluation import interval_text
from superionic.report.tables.ranking import rank_of
from superionic.schemas.screening import ScreeningDocument
from superionic.store.ranking.policies import Policy, policies
from superionic.text import duration

if TYPE_CHECKING:
    from superionic.report.html.content import Content

_PACKAGES = ("plotly", "jinja2")


def require_packages() -> None:
    """Say what to install where a package that reports need is missing.

    Raises
    ------
    FigureError
        When one is.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise FigureError(
            f"Reports need {' and '.join(missing)}, which this installation does not have.",
            hint="Install it: pip install 'superionic[report]'",
        )


def render(content: "Content") -> str:
    """Return the page: one file that loads nothing.

    Every text of a document is escaped; scripts are allowed by their hash alone, and the page may
    not reach any network.

    Parameters
    ----------
    content : Content
        What it shows.

    Raises
    ------
    FigureError
        When a package that reports need is missing.
    """
    require_packages()
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("superionic.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": plain_or,
        "duration": duration,
        "interval": lambda found: interval_text(found, "not defined"),
        "formula_parts": formula_parts,
        "material_url": material_url,
    }
    script = f"\n{figure_js()}{_static('report.js')}"
    plotly_js = get_plotlyjs().replace("\r\n", "\n").replace("\r", "\n")
    if re.search(r"</script|<!--", plotly_js, flags=re.IGNORECASE):
        raise FigureError(
            "This version of plotly cannot be embedded: its script holds HTML.",
            hint="Install plotly 6 or newer.",
        )
    # Markup: our own files, and JSON that cannot end a script element.
    return environment.get_template("report.html.j2").render(
        report=_View(content),
        payloads=[(key, Markup(text)) for key, text in content.payloads.texts.items()],
        policy_header=content_policy(script, plotly_js),
        style=Markup(_static("report.css")),
        script=Markup(script),
        plotly_js=Markup(plotly_js),
        dynamics_columns=DYNAMICS_COLUMNS,
        fewest=FEWEST_PAIRS,
    )


def write_report(content: "Content", path: Path) -> int:
    """Write the page in one step and return its size in bytes.

    Raises
    ------
    FigureError
        When a package that reports need is missing.
    """
    data = render(content).encode("utf-8", errors="replace")
    write_whole(path, data)
    return len(data)


def content_policy(*scripts: str) -> str:
    """Return a Content-Security-Policy that runs these scripts and loads nothing.

    plotly.js compiles functions at run time, hence 'unsafe-eval'.
    """
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def formula_parts(formula: str) -> list[tuple[str, bool]]:
    """Return a formula in parts, each with whether it is a number to be set lower."""
    parts = re.split(r"((?<=[A-Za-z)\]])\d+(?:\.\d+)?)", formula)
    return [(part, index % 2 == 1) for index, part in enumerate(parts) if part]


def plain_or(value: float | None, missing: str = NOTHING) -> str:
    """Return a number with three digits, or what stands for none."""
    return plain(value, missing=missing)


class _View:
    """The content, and what only the page needs to know of it."""

    def __init__(self, content: "Content") -> None:
        self._content = content
        group_sizes = Counter(
            line.row.ranked_among for line in content.table.rows if line.row.duplicate_of is None
        )
        self.ranks: dict[str, str] = {}
        self.standings: dict[str, list[tuple[str, str, str]]] = {}
        for section in content.sections:
            row = section.row
            rank = rank_of(row, content.policy.name)
            self.ranks[section.anchor] = NOTHING if rank is None else str(rank)
            n_rows = group_sizes[row.ranked_among] + content.n_rows_left_out
            self.standings[section.anchor] = [
                _standing(row, name, policy, n_rows) for name, policy in policies().items()
            ]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)


def _standing(
    row: ScreeningDocument, name: str, policy: Policy, n_rows: int
) -> tuple[str, str, str]:
    """Return name, rank and score of a policy, or what the row lacks for it."""
    rank, reason = row.ranks.get(name), policy.lacks(row)
    if rank is None or reason is not None:
        return name, NOTHING, reason or "not ranked yet"
    return name, f"{rank} of {n_rows}", plain(row.scores.get(name), missing="infinite")


def _static(name: str) -> str:
    return (files("superionic.report.html") / "static" / name).read_text(encoding="utf-8")
