"""How large a report of many materials is, and how soon a browser can use it.

    python benchmarks/report_page.py --materials 200 --out report.html

Rows of the screening collection, with their documents, are repeated under new names until there
are enough; every one of them gets a section with all figures. The file is then opened in Chromium
without a network. Times: from the start of the navigation until something is painted, until the
table can be sorted and filtered, until all of the page is there; from a click on the first material
until its landscape is drawn, plotly.js included.
"""

import argparse
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from superionic.query import opened
from superionic.report.html.content import Stored, gather, read_stored
from superionic.report.html.page import write_report
from superionic.report.html.reading import read_material

_SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def repeated(stored: Sequence[Any], n: int) -> list[dict[str, Any]]:
    """Return n stored rows, repeated under new names."""
    rows = []
    for index in range(n):
        row, turn = dict(stored[index % len(stored)]), index // len(stored)
        if turn:
            row |= {name: f"{row[name]} copy {turn}" for name in ("key", "material_id")}
        rows.append(row)
    return rows


def write(n_materials: int, out: Path) -> None:
    with opened() as database:
        stored = read_stored(database, None, "xi")
        start = time.perf_counter()
        content = gather(
            Stored(repeated(stored.rows, n_materials)),
            lambda row: read_material(database, row),
            top=n_materials,
        )
        size = write_report(content, out)
    print(
        f"{len(stored.rows)} rows repeated to {n_materials}; {len(content.sections)} sections, "
        f"{size / 1e6:.1f} MB, written in {time.perf_counter() - start:.0f} s"
    )


def measure(path: Path, n_times: int) -> None:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    found: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        for _ in range(n_times):
            browser = playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", *_SOFTWARE_GL]
            )
            # So low that no figure is in sight: the time of plotly.js is that of the click.
            page = browser.new_page(viewport={"width": 1280, "height": 400}, offline=True)
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.goto(path.resolve().as_uri(), wait_until="commit")
            page.wait_for_selector("html[data-ready=yes]", timeout=120_000)
            metrics = session.send("Performance.getMetrics")["metrics"]
            cpu_s = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
            found.setdefault("processor time until complete", []).append(cpu_s)
            page.wait_for_function("performance.getEntriesByType('paint').length > 1")
            for name in ("first-contentful-paint", "usable", "complete"):
                script = f"performance.getEntriesByName('{name}')[0].startTime"
                found.setdefault(name, []).append(page.evaluate(script) / 1e3)
            start = time.perf_counter()
            page.locator("#m1 > summary").click()
            page.wait_for_selector("[data-figure='m1-landscape'][data-drawn=yes]", timeout=120_000)
            found.setdefault("landscape drawn after the click", []).append(
                time.perf_counter() - start
            )
            browser.close()
    for name, times in found.items():
        spread = f"{min(times):.2f} to {max(times):.2f} s"
        print(f"{name}: median {statistics.median(times):.2f} s, {spread}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--materials", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("report.html"))
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--open-only", action="store_true", help="Open a file that is there.")
    arguments = parser.parse_args()
    if not arguments.open_only:
        write(arguments.materials, arguments.out)
    measure(arguments.out, arguments.times)


if __name__ == "__main__":
    main()
