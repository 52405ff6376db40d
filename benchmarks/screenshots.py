"""The screenshots of the documentation, of the report and of the page of a campaign.

    superionic report --campaign workflows/label_1000K.yaml --policy consensus --out report.html
    python benchmarks/screenshots.py --report report.html --material mp-755309 --out docs/images

The page is served from the database that the settings name. Chromium has to be installed.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
_WIDE = {"width": 1280, "height": 900}
_TALL = {"width": 1280, "height": 1100}
_PHONE = {"width": 390, "height": 844}
_PATIENCE_MS = 120_000


@contextmanager
def served() -> Iterator[str]:
    """Run ``superionic serve`` on a free port; yield its address."""
    program = Path(sys.executable).with_name("superionic")
    command = [str(program), "serve", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for line in process.stdout:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                yield found[0]
                return
        raise RuntimeError("superionic serve ended before it said its address.")
    finally:
        process.terminate()
        process.wait()


def of_report(browser, report: Path, out: Path) -> None:
    page = browser.new_page(viewport=_WIDE, offline=True)
    page.goto(report.resolve().as_uri())
    page.wait_for_selector("html[data-ready=yes]", timeout=_PATIENCE_MS)

    def shoot(selector: str, name: str, viewport: dict[str, int]) -> None:
        page.set_viewport_size(viewport)
        page.locator(selector).evaluate("one => one.scrollIntoView(true)")
        page.wait_for_timeout(1500)
        page.screenshot(path=out / name)

    shoot("#ranking", "report_ranking.png", _WIDE)
    page.locator("#m1 > summary").click()
    page.wait_for_selector("[data-figure='m1-landscape'][data-drawn=yes]", timeout=_PATIENCE_MS)
    shoot("#m1", "report_material.png", _TALL)
    arrhenius = page.locator("[data-figure='m1-arrhenius']")
    if arrhenius.count():
        arrhenius.scroll_into_view_if_needed()
        page.wait_for_selector("[data-figure='m1-arrhenius'][data-drawn=yes]", timeout=_PATIENCE_MS)
        page.wait_for_timeout(1500)
        arrhenius.screenshot(path=out / "report_arrhenius.png")
    shoot("#agreement", "report_agreement.png", _TALL)
    page.close()


def of_page(browser, address: str, material_id: str, potential: str, out: Path) -> None:
    page = browser.new_page(viewport=_WIDE)
    page.goto(f"{address}/?potential={potential}")
    page.wait_for_selector("#rows[aria-busy=false] tbody td")
    page.screenshot(path=out / "serve_table.png")
    page.goto(f"{address}/?potential={potential}&material_id={material_id}")
    page.wait_for_selector("#rows[aria-busy=false] tbody td")
    page.click("#rows tbody a")
    drawn = "#figure-landscape .plot[data-drawn]"
    page.wait_for_selector(drawn, timeout=_PATIENCE_MS)
    link = page.url
    page.set_viewport_size(_TALL)
    page.wait_for_timeout(1500)
    page.screenshot(path=out / "serve_material.png")
    page.close()
    page = browser.new_page(viewport=_PHONE)
    page.goto(link)
    page.wait_for_selector(drawn, timeout=_PATIENCE_MS)
    page.locator(drawn).evaluate("one => one.scrollIntoView(true)")
    page.wait_for_timeout(1500)
    page.screenshot(path=out / "serve_phone.png")
    page.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--material", required=True)
    parser.add_argument("--potential", default="chgnet:0.3.0", help="of the table")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", *_SOFTWARE_GL]
        )
        of_report(browser, arguments.report, arguments.out)
        with served() as address:
            of_page(browser, address, arguments.material, arguments.potential, arguments.out)
        browser.close()


if __name__ == "__main__":
    main()
