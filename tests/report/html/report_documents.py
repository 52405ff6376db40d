"""Hand-made rows, documents and pages for the tests of reports."""

import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "store" / "builders"))
sys.path.insert(0, str(Path(__file__).parents[2] / "landscape"))

from landscape_helpers import FunctionPotential, pair_energies
from part_documents import CRYSTAL, label, prediction, validation
from pymatgen.core import Lattice, Structure
from screening_helpers import descriptors

from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import LandscapeSettings
from superionic.report.documents import MaterialDocuments
from superionic.report.html.content import Content, Stored, gather
from superionic.schemas.common import PotentialDocument
from superionic.schemas.document import FailureDocument
from superionic.schemas.label import MSDDocument
from superionic.schemas.screen import LandscapeDocument
from superionic.schemas.screening import ScreeningDocument
from superionic.store.builders.documents import read_document
from superionic.store.builders.rows import screening_document
from superionic.store.ranking.policies import ranked

__all__ = ["CRYSTAL", "descriptors", "label", "prediction", "validation"]

THRESHOLDS_eV = [0.1, 0.5, 1.0, 2.0]
MSD = MSDDocument(
    lags_ps=[0.0, 1.0, 2.0, 3.0],
    mobile_A2=[0.0, 1.1, 2.0, 3.1],
    mobile_xyz_A2=[[0.0, 0.4, 0.7, 1.0]] * 3,
    framework_A2={"Cl": [0.0, 0.1, 0.1, 0.1]},
)


def landscape_parts(material_id: str, xi: float, **fields: Any) -> dict:
    """Return the output of a descriptors job with four thresholds."""
    names = ("fv_connected_union", "fv_connected_sum", "fv_disconnected_union")
    names += ("fv_disconnected_sum", "free_volume_A3_per_ion")
    curves = {name: [xi * one / 4 for one in THRESHOLDS_eV] for name in names}
    return descriptors(material_id, xi=xi, **{"thresholds_eV": THRESHOLDS_eV, **curves, **fields})


def row_of(*outputs: dict) -> ScreeningDocument:
    return screening_document([read_document(output) for output in outputs])


def documents_of(
    row: ScreeningDocument, *outputs: dict, landscape: bool = True
) -> MaterialDocuments:
    """Return the documents behind a row, with a real landscape of two ions or without."""
    found = MaterialDocuments(row)
    for output in outputs:
        found.put(read_document(output))
    if landscape:
        found.put(landscape_document(row))
    return found


def landscape_document(row: ScreeningDocument) -> LandscapeDocument:
    """Return the landscape of a small crystal under a pair potential."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    crystal = Structure(Lattice.cubic(3.2), ["Li", "Cl"], sites)
    computed = compute_landscape(
        crystal, "Li", FunctionPotential(pair_energies), LandscapeSettings(grid_step_A=0.4)
    )
    potential = PotentialDocument(
        family="chgnet", name="0.3.0", package_version="1", weights_sha256="0" * 64
    )
    return LandscapeDocument.from_landscape(
        computed,
        material_id=row.material_id,
        formula=row.formula,
        task_key=row.task_key,
        settings={},
        potential=potential,
        job_uuid="landscape",
    )


def failure(material_id: str, code: str = "disorder", **fields: str) -> dict[str, Any]:
    values = {
        "key": f"key of {material_id}",
        "material_id": material_id,
        "source": f"{material_id}.cif",
        "code": code,
        "message": "It has partial occupancies.",
        "hint": "Order it.",
        "last_updated": "2026-01-01T00:00:00+00:00",
    }
    return FailureDocument(**(values | fields)).model_dump()


def content_of(
    rows: Sequence[ScreeningDocument],
    documents: dict[str, MaterialDocuments] | None = None,
    *,
    stored: Sequence[dict[str, Any]] = (),
    failures: Sequence[dict[str, Any]] = (),
    **options: Any,
) -> Content:
    """Return the content of a report on rows, ranked among each other, and further stored ones."""
    documents = documents or {}
    options = {"policy": "xi"} | options
    complete = [row.model_dump() for row in ranked(rows, "xi")] if rows else []
    return gather(
        Stored([*complete, *stored], failures),
        lambda row: documents.get(row.material_id, MaterialDocuments(row)),
        **options,
    )


class Page(HTMLParser):
    """What a browser would see: tags with attributes, scripts, and the text between."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self._script: dict[str, str | None] | None = None
        self._in_style = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self._script = dict(attrs)
            self.scripts.append((self._script, ""))
        self._in_style = tag == "style"

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None
        if tag == "style":
            self._in_style = False

    def handle_data(self, data):
        if self._script is not None:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data
        elif not self._in_style:
            self.text += data

    def json(self, key: str) -> str:
        """Return the JSON of one data block."""
        return next(
            text for attributes, text in self.scripts if attributes.get("id") == f"data-{key}"
        )
