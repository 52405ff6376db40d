"""Every notebook runs from its first cell to its last, and is kept with small outputs."""

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("plotly")
pytest.importorskip("skimage")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_with_its_outputs(path):
    assert path.stat().st_size < 1_000_000
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert any(cell.outputs for cell in cells)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [out for cell in cells for out in cell.outputs if out.output_type == "error"]


@pytest.mark.process
@pytest.mark.real_potential
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path):
    notebook = nbformat.read(path, 4)
    kept, said = pictures(notebook), texts(notebook)
    resources = {"metadata": {"path": str(path.parent)}}
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources=resources
    )
    client.execute()  # raises on the first cell that fails
    assert pictures(notebook) == kept
    for cell, (now, before) in enumerate(zip(texts(notebook), said, strict=True), start=1):
        words, numbers = NUMBER.sub("#", now), [float(found) for found in NUMBER.findall(now)]
        assert words == NUMBER.sub("#", before), f"cell {cell}"
        # The last digits of energies are those of the machine.
        kept_numbers = [float(found) for found in NUMBER.findall(before)]
        assert numbers == pytest.approx(kept_numbers, rel=0.01, abs=0.01), f"cell {cell}"
    if path.stem == "landscape_tour":
        assert "published percolation barrier" in str(notebook.cells)


def pictures(notebook) -> list[int]:
    """Return the number of pictures that each cell shows."""
    return [
        sum(
            bool({"image/png", "application/vnd.plotly.v1+json"} & {*out.get("data", ())})
            for out in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def texts(notebook) -> list[str]:
    """Return what each cell prints and shows as text, the fullest form of each output."""
    forms = ("text/html", "text/markdown", "text/plain")
    found = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        # A stream may come in several pieces.
        parts = [
            output.text
            if output.output_type == "stream"
            else next((output.data[form] for form in forms if form in output.data), "")
            for output in cell.outputs
            if output.get("name") != "stderr"
        ]
        found.append("".join(parts))
    return found
