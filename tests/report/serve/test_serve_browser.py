"""The pages in a real browser: as a reader uses them, with a mouse, by keyboard, on a phone."""

import math
import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from pymatgen.core import Structure
from pymongo import MongoClient
from serve_fixtures import HOSTILE, N_PLAIN, REAL_KEY, Served, real_documents

from superionic.store.database.stores import spec_from_uri

pytestmark = pytest.mark.process

TOKEN = "a-token-of-the-browser-tests"
DRAWN = "#figure-landscape .plot[data-drawn]"
CAMERA = "document.querySelector('#figure-landscape .plot')._fullLayout.scene.camera.eye"
UP = CAMERA.removesuffix("eye") + "up"
PHONE = {"width": 375, "height": 740}
FITS = "document.documentElement.scrollWidth <= window.innerWidth"  # once all is drawn
OF_REAL = "?material_id=licl&group=all"  # its ranking is not the largest
VERTICES = "document.querySelector('#figure-landscape .plot')._fullData[0].x.length"


@pytest.fixture
def page(browser) -> Iterator:
    """Return a page; whatever its console complains of fails the test."""
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    complaints: list[str] = []

    def heard(message) -> None:
        if message.type == "error":
            complaints.append(message.text)

    opened.on("console", heard)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.complaints = complaints
    yield opened
    context.close()
    assert complaints == []


def until(page, condition: str | Callable[[], bool], told: str = "") -> None:
    """Wait for a condition; the pages' own policy forbids Playwright to evaluate it by itself."""
    for _ in range(600):
        if condition() if callable(condition) else page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never: {told or condition}")


N_LARGEST = N_PLAIN - N_PLAIN // 7 + 2
"""Rows of the largest ranking."""


def identifiers(page) -> list[str]:
    page.wait_for_selector("#rows[aria-busy=false] tbody td")
    return page.locator("#rows tbody td:nth-child(3)").all_inner_texts()


def opened_table(page, served, query: str = "") -> list[str]:
    page.goto(served.url + "/" + query)
    return identifiers(page)


def settled(page, action) -> list[str]:
    """Do something that asks for rows anew; return the identifiers that come."""
    with page.expect_response(
        lambda answer: "/api/rows?" in answer.url or answer.url.endswith("/api/rows")
    ):
        action()
    return identifiers(page)


def test_a_search_leads_to_the_ranking_that_holds_what_is_searched(page, served):
    opened_table(page, served, "?material_id=licl")
    cell = page.locator("#rows tbody td")
    assert "No materials of this ranking meet the filter. Found in " in cell.inner_text()
    cell.get_by_role("link").click()
    assert identifiers(page) == ["licl"]


def test_conductivities_show_their_intervals(page, served):
    opened_table(page, served, "?policy=conductivity")
    score = page.locator("#rows tbody tr:first-child td[class~=number]", has_text="[").first
    value, low, high = map(float, re.findall(r"-?\d+(?:\.\d+)?", score.inner_text()))
    assert low < value < high


def test_load_sort_filter_and_page(page, served):
    first = opened_table(page, served)
    assert len(first) == 50
    until(page, "document.getElementById('count').textContent.includes('materials')")
    assert f"{N_LARGEST} materials" in page.inner_text("#count")
    assert f"chgnet:0.3.0, 0.25 A exact: {N_LARGEST} rows" in page.inner_text("#notes")
    assert "Left out: 10 rows" in page.inner_text("#notes")

    barrier = page.locator("th", has_text=re.compile("^Barrier"))
    assert barrier.get_attribute("aria-sort") == "none"
    settled(page, lambda: page.click("[data-sort=mpe_eV]"))
    assert barrier.get_attribute("aria-sort") == "ascending"
    values = page.locator("#rows tbody td:nth-child(6)").all_inner_texts()
    known = [float(value) for value in values if value != "none"]
    assert known == sorted(known)
    settled(page, lambda: page.click("[data-sort=mpe_eV]"))
    assert barrier.get_attribute("aria-sort") == "descending"

    page.fill("[name=elements]", "Li S")
    page.fill("[name=max_barrier_eV]", "1")
    filtered = settled(page, lambda: page.click("#filters button[type=submit]"))
    assert 0 < len(filtered) < 30
    until(page, f"document.getElementById('count').textContent.startsWith('{len(filtered)} ')")
    assert all("S" in text for text in page.locator("#rows td:nth-child(2)").all_inner_texts())
    page.reload()
    assert identifiers(page) == filtered, "the address holds the filter"
    assert page.input_value("[name=elements]") == "Li,S"
    again = settled(page, lambda: page.click("#filters button[type=reset]"))
    assert again == first

    second = settled(page, lambda: page.click("#next"))
    assert len(second) == N_LARGEST - 50
    assert not set(first) & set(second)
    assert page.is_disabled("#next")
    assert settled(page, lambda: page.click("#previous")) == first
    assert settled(page, lambda: page.go_back()) == second
    assert settled(page, lambda: page.click("#first")) == first


def test_a_filter_that_is_wrong_is_said(page, served):
    opened_table(page, served)
    page.fill("[name=elements]", "Li,Xx")
    page.click("#filters button[type=submit]")
    page.wait_for_selector("#fault p")
    assert "Xx is no element" in page.inner_text("#fault")
    assert page.complaints.pop().startswith("Failed to load resource")  # Chromium's own words
    with page.expect_download() as download:
        page.click("#filters button[type=reset]")
        identifiers(page)
        page.click("#csv")
    assert download.value.suggested_filename == "superionic_rows.csv"


def vector(at: dict) -> np.ndarray:
    return np.array([at[axis] for axis in "xyz"])


def turned_deg(before: dict, after: dict, about: dict) -> float:
    """Return by what angle an eye went round an axis, counterclockwise seen from its tip."""
    axis = vector(about)
    one, other = (at - (at @ axis) * axis for at in (vector(before), vector(after)))
    return math.degrees(math.atan2(axis @ np.cross(one, other), one @ other))


def test_a_material_with_its_landscape(page, served):
    page.set_viewport_size({"width": 700, "height": 640})  # every pixel is drawn by the processor
    opened_table(page, served, OF_REAL)
    page.click("#rows tbody a")
    page.wait_for_selector(DRAWN)
    assert page.inner_text("h1").split() == ["LiCl", "licl"]
    assert "of 1" in page.inner_text("#standings")
    assert page.evaluate(
        "performance.getEntriesByType('resource').every(e => e.name.startsWith(location.origin))"
    )

    def eye() -> dict:
        return page.evaluate(CAMERA)

    def moved(since: dict, far: float) -> str:
        # Both axes: seen along one of them, a turn to the other side of it would not show.
        return f"Math.hypot({CAMERA}.x - {since['x']}, {CAMERA}.y - {since['y']}) > {far}"

    before = eye()
    page.locator(DRAWN).scroll_into_view_if_needed()
    box = page.locator("#figure-landscape .plot").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 80, y + 10, steps=2)  # a slow browser goes further, but not over the pole
    page.mouse.up()
    until(page, moved(before, 0.05))
    by_mouse, up = eye(), page.evaluate(UP)  # the mouse tilts what points up
    assert np.linalg.norm(vector(up)) == pytest.approx(1, abs=1e-6)
    page.click("text=Turn right")
    until(page, moved(by_mouse, 0.01))
    turned = eye()
    assert page.evaluate(UP) == up
    heights = [vector(at) @ vector(up) for at in (by_mouse, turned)]
    assert heights[1] == pytest.approx(heights[0], abs=1e-6), "it turns about what points up"
    assert turned_deg(by_mouse, turned, up) == pytest.approx(15, abs=1e-6)
    assert math.hypot(*vector(turned)) == pytest.approx(math.hypot(*vector(by_mouse)), abs=1e-6)

    vertices = page.evaluate(VERTICES)
    page.get_by_label("as a number").fill("2")
    page.keyboard.press("Enter")
    until(page, f"{VERTICES} !== {vertices}")
    assert eye()["x"] == pytest.approx(turned["x"], abs=1e-3), "the view stays"
    assert page.get_by_label("Level of the surface in eV", exact=True).input_value() == "2"

    assert page.locator("#figure-volume .plot.shown").count() == 0, "read when it is opened"
    page.click("#figure-volume summary")
    page.wait_for_selector("#figure-volume .plot[data-drawn]")

    with page.expect_download() as download:
        page.click("#cif")
    read = Structure.from_str(download.value.path().read_text(), fmt="cif")
    assert download.value.suggested_filename == "licl_LiCl.cif"
    assert read.matches(real_documents()[1].structure)

    page.set_viewport_size(PHONE)
    until(page, "document.querySelector('#figure-landscape .main-svg').clientWidth <= 375")
    assert page.evaluate("document.querySelector('#figure-landscape .main-svg').clientWidth") > 250
    until(page, FITS)


DRAWING = "document.querySelector('#figure-landscape .main-svg')"


def legend_and_scene(page) -> tuple[dict, dict]:
    """Return where the legend of the landscape and its scene are."""
    box = "#figure-landscape .plot"
    return (
        page.locator(f"{box} .infolayer .legend").bounding_box(),
        page.locator(f"{box} .gl-container > div").bounding_box(),
    )


def apart(legend: dict, scene: dict) -> bool:
    return legend["y"] >= scene["y"] + scene["height"]


def test_landscape_fills_a_desktop_and_a_phone(page, served):
    """Scene above the energy above the legend, nothing cut off; both cells can be chosen."""
    opened_table(page, served, OF_REAL)
    page.click("#rows tbody a")
    page.wait_for_selector(DRAWN)
    shown = "document.querySelector('#figure-landscape .plot')._fullData.map((one) => one.visible)"
    first = page.evaluate(shown)
    page.locator("#figure-landscape .updatemenu-button", has_text="computed cell").click()
    until(page, f"String({shown}) !== '{','.join(str(one).lower() for one in first)}'")
    for size, least in (({"width": 1280, "height": 900}, 400), (PHONE, 280)):
        page.set_viewport_size(size)
        until(page, f"{DRAWING}.clientWidth < {size['width']}")
        until(page, f"{DRAWING}.clientHeight === {DRAWING}.closest('.plot').clientHeight")
        page.locator(DRAWN).scroll_into_view_if_needed()
        until(page, lambda: apart(*legend_and_scene(page)))
        legend, scene = legend_and_scene(page)
        assert scene["height"] > least
        assert legend["x"] + legend["width"] <= size["width"]
        until(page, FITS)


def test_a_point_of_the_crystal_marks_its_energy(page, served):
    opened_table(page, served, OF_REAL)
    page.click("#rows tbody a")
    page.wait_for_selector(DRAWN)
    page.locator(DRAWN).scroll_into_view_if_needed()
    scene = legend_and_scene(page)[1]
    marked = "document.querySelector('#figure-landscape .plot').dataset.point"
    for k in range(400):  # over the whole scene, line by line
        way = k / 400
        x = scene["x"] + scene["width"] * (0.3 + 0.4 * (way * 20 % 1))
        page.mouse.move(x, scene["y"] + scene["height"] * way)
        if k % 10 == 9 and page.evaluate(f"{marked} !== undefined"):
            break
    point = int(page.evaluate(marked))
    energy = f"""(() => {{
        const {{ _fullData }} = document.querySelector('#figure-landscape .plot');
        const of = (role) => _fullData.find((one) => one.meta?.role === role);
        const [line, mark] = [of("energy"), of("energy cursor")];
        return mark.x[0] === line.x[{point}] && mark.y[0] === line.y[{point}];
    }})()"""
    until(page, energy)


def test_a_scene_that_is_slow_has_fewer_points_while_it_is_turned(page, served):
    opened_table(page, served, OF_REAL)
    page.click("#rows tbody a")
    page.wait_for_selector(DRAWN)
    page.locator(DRAWN).scroll_into_view_if_needed()
    scene = legend_and_scene(page)[1]
    plot = "document.querySelector('#figure-landscape .plot')"
    ratio = f"{plot}._fullLayout.scene._scene.glplot.pixelRatio"
    full = page.evaluate(ratio)
    page.evaluate("""() => {
        window.busy = true;
        const draw = () => {
            const start = performance.now();
            while (performance.now() - start < 150);
            if (window.busy) requestAnimationFrame(draw);
        };
        requestAnimationFrame(draw);
    }""")
    page.mouse.move(scene["x"] + scene["width"] / 3, scene["y"] + scene["height"] / 2)
    page.mouse.down()
    page.mouse.move(scene["x"] + scene["width"] / 2, scene["y"] + scene["height"] / 2)
    until(page, f"{ratio} === {full / 4}")
    page.evaluate("window.busy = false")
    page.mouse.up()
    until(page, f"{ratio} === {full}")


def active(page) -> str:
    """Return what has the focus: its identifier, else its text."""
    return page.evaluate(
        "(document.activeElement.id || document.activeElement.getAttribute('aria-label')"
        " || document.activeElement.textContent || '').trim()"
    )


def tab_to(page, name: str, most: int = 80) -> None:
    """Press Tab until something has the focus, as somebody without a mouse does."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if active(page) == name:
            return
    pytest.fail(f"{most} times Tab does not reach {name}")


def test_from_the_table_to_a_level_of_a_landscape_by_tab_enter_and_arrows(page, served):
    page.set_viewport_size({"width": 700, "height": 640})
    opened_table(page, served, OF_REAL)
    tab_to(page, "LiCl")
    page.keyboard.press("Enter")
    page.wait_for_url("**/material?key=*")
    page.wait_for_selector(DRAWN)
    slider = page.get_by_label("Level of the surface in eV", exact=True)
    vertices, level = page.evaluate(VERTICES), float(slider.input_value())
    tab_to(page, "Level of the surface in eV")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    until(page, f"{VERTICES} !== {vertices}")
    assert float(slider.input_value()) == pytest.approx(level + 0.2, abs=1e-6)
    assert active(page) == "Level of the surface in eV", "focus stays"
    before = page.evaluate(CAMERA)
    tab_to(page, "Turn right", 5)
    page.keyboard.press("Enter")
    until(page, f"Math.abs({CAMERA}.x - {before['x']}) > 0.01")
    page.keyboard.press("Shift+Tab")
    assert active(page) == "Turn left"


def test_by_keyboard_alone(page, served):
    opened_table(page, served, "?material_id=mp-000")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.focus("#csv")
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.dataset.sort ?? ''"))
    order = [name for name in seen if name]
    assert order[:3] == ["rank", "formula", "material_id"]
    page.focus("[data-sort=material_id]")
    rows = settled(page, lambda: page.keyboard.press("Enter"))
    assert rows == sorted(rows)
    assert page.evaluate("document.activeElement.dataset.sort") == "material_id", "focus stays"
    page.focus("#rows tbody tr:first-child a")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/material?key=*")
    until(page, "document.querySelector('h1').textContent.includes('mp-0002')")


def test_on_a_phone(page, served):
    page.set_viewport_size(PHONE)
    opened_table(page, served)
    until(page, FITS)
    assert not page.is_visible("#filters")
    page.click("summary")
    assert page.is_visible("[name=formula]")
    until(page, FITS)
    page.click("#rows tbody a")
    page.wait_for_url("**/material?key=*")
    page.wait_for_selector("#standings table")
    until(page, FITS)
    page.goto(served.url + "/campaign")
    page.wait_for_selector("#jobs table")
    until(page, FITS)


def test_markup_is_shown_as_text(page, served):
    opened_table(page, served, "?sort=xi&descending=true&limit=3")
    assert HOSTILE in page.inner_text("#rows")
    page.click("text=<b>LiCl</b>")
    page.wait_for_selector("#notes p")
    assert "<script>document.title" in page.inner_text("#notes")
    assert HOSTILE in page.inner_text("h1")
    assert page.locator("main img, main b, #notes script").count() == 0
    page.goto(served.url + "/campaign")
    page.wait_for_selector("#failures td")
    assert "<script>document.title='broken'</script> is no crystal." in page.inner_text("#failures")
    page.wait_for_selector("#jobs table >> nth=1")
    assert "<i>no</i> Look." in page.inner_text("#jobs")
    assert "lpad -l my_launchpad.yaml webgui" in page.inner_text("#webgui")
    assert page.locator("main i, main img").count() == 0
    assert page.title() != "broken"


def test_formulas_have_subscripts_and_materials_lead_to_where_they_come_from(page, served):
    key = "mp-0005|Li|chgnet:0.3.0|weights of chgne|0.25 A exact"
    opened_table(page, served, "?material_id=mp-0005")
    link = page.locator("#rows tbody td a").first
    assert link.inner_html() == "Li<sub>2</sub>O"
    link.click()
    page.wait_for_selector("#source")
    assert page.locator("h1").inner_html().startswith("Li<sub>2</sub>O")
    page.wait_for_selector("#standings tbody tr")
    assert page.locator("#standings sub").count() > 3
    source = page.locator("#source").get_attribute("href")
    assert source == "https://next-gen.materialsproject.org/materials/mp-0005"
    page.goto(f"{served.url}/material?key={REAL_KEY}")
    page.wait_for_selector("#cif")
    assert page.locator("#source").count() == 0, key


def test_nothing_failed_and_there_is_no_more(page, served, server_uri):
    page.goto(served.url + "/campaign")
    page.wait_for_selector("#failures tbody tr")
    assert not page.locator("#more").is_visible()
    with Served(spec_from_uri(server_uri, "never_filled", source="test")) as empty:
        page.goto(empty.url + "/campaign")
        page.wait_for_selector("#failures p")
        assert page.locator("#failures").inner_text() == "None."
        assert not page.locator("#more").is_visible()
    # A page of failures of which none can be read does not end the list.
    name = "serve_tests_unreadable"
    failures = MongoClient(server_uri)[name]["failures"]
    failures.insert_many([{"key": f"a-{n:03d}", "material_id": 7} for n in range(60)])
    try:
        with Served(spec_from_uri(server_uri, name, source="test")) as odd:
            page.goto(odd.url + "/campaign")
            page.wait_for_selector("#failures p")
            assert not page.locator("#more").is_visible()
    finally:
        failures.database.client.drop_database(name)


def test_the_api_can_be_tried_out(page, served):
    page.goto(served.url + "/docs")
    page.wait_for_selector(".endpoint")
    assert page.locator(".endpoint").count() == len(
        page.request.get(served.url + "/openapi.json").json()["paths"]
    )
    rows = page.locator(".endpoint", has=page.get_by_text("GET /api/rows", exact=True))
    rows.locator("summary").click()
    assert "formula" in rows.inner_text()
    rows.locator("[name=limit]").fill("1")
    rows.locator("[name=elements]").fill("Li,S")
    rows.locator("[name=present]").select_option(["landscape"])
    rows.get_by_role("button", name="Ask").click()
    until(page, lambda: "material_id" in rows.locator("pre").inner_text())
    assert rows.locator("pre").inner_text().startswith("200")
    address = rows.locator("p a").get_attribute("href")
    assert address == "/api/rows?elements=Li%2CS&present=landscape&limit=1"
    until(page, FITS)


def test_a_missing_collection_says_what_to_do(page, server_uri):
    with Served(spec_from_uri(server_uri, "never_filled", source="test")) as empty:
        page.goto(empty.url)
        page.wait_for_selector("#fault p")
        assert "superionic build" in page.inner_text("#fault")
    page.complaints.clear()  # Chromium's own words about the status 503


def test_a_token_is_asked_for_once(page, spec):
    with Served(spec, token=TOKEN) as guarded:
        page.goto(guarded.url + "/campaign")
        page.fill("[name=token]", "not the token at all")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=alert]")
        page.complaints.clear()  # Chromium's own words about the status 401
        page.fill("[name=token]", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector("#jobs table")
        assert page.url.endswith("/campaign")
        page.click("text=Log out")
        page.wait_for_selector("[name=token]")
