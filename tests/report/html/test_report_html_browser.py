"""The report in a real browser: no errors, sorts, filters, draws, by keyboard, on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from report_documents import (
    MSD,
    content_of,
    documents_of,
    label,
    landscape_parts,
    prediction,
    row_of,
)

from superionic.report.html.page import write_report

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """Return a report of six materials, one of them with all kinds of figures."""
    pytest.importorskip("plotly", reason="plotly is not installed (extra report)")
    barriers = {"best": 0.9, "b": None, "c": 0.2, "d": 1.5, "e": 0.4}
    elements = {"best": ["Cl", "Li"], "b": ["Li", "S"], "c": ["Li", "P", "S"]}
    rows, documents = [], {}
    for index, (name, barrier) in enumerate(barriers.items()):
        fields = {"mpe_eV": barrier, "elements": elements.get(name, ["Li", "O"])}
        fields["warnings"] = [{"code": "relaxed", "text": "<b>It</b> was."}] * (name == "d")
        parts = [landscape_parts(name, 0.9 - 0.1 * index, chemical_system=name, **fields)]
        if name == "best":
            parts += [label(name, 2.0, msd=MSD), prediction(name, 0.3)]
        rows.append(row_of(*parts))
        documents[name] = documents_of(rows[-1], *parts, landscape=name == "best")
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(content_of([*rows, row_of(prediction("f", 0.1))], documents, top=3), path)
    return path


@pytest.fixture(scope="module")
def opened(browser, report) -> Iterator:
    """Return the opened page; what it complains of, or loads besides itself, is an error."""
    page = browser.new_page(viewport={"width": 1200, "height": 900}, offline=True)
    faults: list[str] = []
    requests: list[str] = []
    page.on("console", lambda one: faults.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda one: requests.append(one.url))
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    yield page
    assert faults == []
    loaded = [url for url in requests if not url.startswith(("blob:", "data:"))]
    assert {url.split("#")[0] for url in loaded} == {report.as_uri()}


@pytest.fixture
def page(opened) -> Iterator:
    """Return the page as it was opened: loading it takes longest."""
    yield opened
    opened.set_viewport_size({"width": 1200, "height": 900})
    opened.get_by_role("button", name="Clear").click()
    opened.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = false; })")


def column(page, number: int) -> list[str]:
    cells = page.locator(f"#table tbody tr:visible td:nth-child({number})")
    return cells.all_inner_texts()


def test_sorts_by_mouse_and_keyboard_what_is_missing_last(page):
    assert column(page, 3) == ["best", "b", "c", "d", "e", "f"]
    heading = page.get_by_role("button", name="barrier (eV)", exact=True)
    heading.click()
    assert column(page, 5)[:5] == ["0.200", "0.400", "0.900", "1.50", "none"]
    heading.press("Enter")
    assert column(page, 5)[:2] == ["none", "1.50"]
    assert column(page, 3)[-1] == "f"
    sorted_heading = page.locator("th[aria-sort]")
    assert sorted_heading.count() == 1
    assert sorted_heading.get_attribute("aria-sort") == "descending"


def test_filters_together_and_clears(page):
    page.get_by_label("Elements").fill("li s")
    assert sorted(column(page, 3)) == ["b", "c"]
    page.get_by_label("Largest barrier").fill("0.5")
    assert column(page, 3) == ["c"]
    assert page.locator("#shown").inner_text() == "1 of 6 materials"
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("document.querySelector('#shown').textContent === '6 materials'")
    page.get_by_label("Text").fill("RELAXED")
    assert column(page, 3) == ["d"]
    page.get_by_label("Text").fill("")
    page.get_by_label("without warnings").check()
    assert "d" not in column(page, 3)
    page.get_by_label("Has").select_option("label")
    assert column(page, 3) == ["best"]


def test_opens_a_material_draws_its_figures_and_forgets_them(page):
    assert page.locator("#m1 .main-svg").count() == 0
    link = page.locator("#table a[href='#m1']")
    link.focus()
    link.press("Enter")
    page.wait_for_selector("#m1[open] [data-figure='m1-landscape'][data-drawn=yes]")
    assert page.locator("[data-figure='m1-landscape'] canvas").count() > 0
    keys = ("m1-volume", "m1-msd-0")
    for key in keys:
        page.locator(f"[data-figure='{key}']").scroll_into_view_if_needed()
        page.wait_for_selector(f"[data-figure='{key}'][data-drawn=yes] .main-svg")
    assert page.evaluate("document.activeElement.parentElement.id") == "m1"
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download best.cif").click()
    assert "_cell_length_a" in Path(caught.value.path()).read_text()
    page.locator("#m1 > summary").click()
    page.wait_for_function("!document.querySelector('#m1 [data-drawn]')")


def test_scatter_shows_the_pair_that_was_chosen(page):
    page.locator("#agreement").scroll_into_view_if_needed()
    button = page.locator("[data-scatter]").nth(1)
    button.click()
    page.wait_for_selector(".scatter .main-svg")
    chosen = page.locator("#agreement tbody tr").nth(1).locator("td").nth(1).inner_text()
    page.wait_for_function(
        "(text) => document.querySelector('.scatter .ytitle').textContent === text", arg=chosen
    )


def test_fits_a_phone(page):
    page.set_viewport_size({"width": 375, "height": 700})
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    page.wait_for_function(fits)  # figures follow after a moment
    page.locator("#m1 > summary").click()
    page.wait_for_selector("[data-figure='m1-landscape'][data-drawn=yes]")
    page.wait_for_function(fits)
    assert page.get_by_role("button", name="Xi", exact=True).is_visible()


POINT = "[data-figure='m1-landscape']"


def test_a_point_of_the_energy_marks_the_crystal(page):
    page.locator("#m1 > summary").click()
    page.wait_for_selector(f"{POINT}[data-drawn=yes]")
    page.locator(POINT).focus()
    for point in range(3):  # along the path by keyboard, as the pointer does it
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(f"{POINT}[data-point='{point}']")
    marked = f"""(() => {{
        const {{ data }} = document.querySelector("{POINT}");
        const of = (role) => data.find((one) => one.meta?.role === role);
        const [path, cursor] = [of("path"), of("cursor")];
        return [path.meta.points[2], [cursor.x[0], cursor.y[0], cursor.z[0]]];
    }})()"""
    path, cursor = page.evaluate(marked)
    assert cursor == path
    assert "percolate from" in page.locator(f"{POINT} + .figure-remark").inner_text()


def test_the_legend_of_a_scene_is_below_it(page):
    box = "[data-figure='m1-landscape']"
    below = f"""(() => {{
        const part = (name) => document.querySelector("{box} " + name).getBoundingClientRect();
        return part(".infolayer .legend").top >= part(".gl-container > div").bottom;
    }})()"""
    page.set_viewport_size({"width": 375, "height": 800})
    page.locator("#m1 > summary").click()
    for width in (375, 1200):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_selector(f"{box}[data-drawn=yes]")
        page.wait_for_function(below)
